"""The reduction to a label map: the class of every pixel, out of the dense features of one or more windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fgbench.errors import ModelError
from fgbench.requests import Float32
from fgbench.runner.cuts import Cut
from fgbench.runner.label_maps import PatchClassifier, ScoredWindow, all_finite, pack
from fgbench.runner.reductions import Classes, PassFeatures
from fgbench.runner.store import row_key
from fgbench.runner.windows import Layout

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LabelMapReduction:
    """The class of every pixel; see :class:`fgbench.requests.LabelMaps`."""

    key: bytes
    cuts: tuple[Cut, ...]
    classes: Classes
    windows: Layout
    size: tuple[int, int]

    @classmethod
    def of(
        cls, digest: str, cuts: Sequence[Cut], windows: Layout, size: tuple[int, int], classes: Classes
    ) -> LabelMapReduction:
        """
        Args:
            digest: of the picture.
            cuts: one per window.
            windows: where they lie.
            size: (width, height) of the label map.
            classes: what to tell apart.
        """
        key = row_key("label map", digest, repr((tuple(cuts), windows, size)), classes.key)
        return cls(key, tuple(cuts), classes, windows, size)

    def prepare(self, prototypes: Float32, device: torch.device) -> PatchClassifier:
        """See :class:`Reduction`."""
        return PatchClassifier(prototypes, device)

    def reduce(self, features: Sequence[PassFeatures], prepared: object) -> Callable[[], bytes]:
        """The packed label map (:func:`fgbench.runner.label_maps.pack`).

        Raises:
            ModelError: when it is called, for NaN or infinity among the patches.
        """
        assert isinstance(prepared, PatchClassifier)
        scored = []
        for each, box in zip(features, self.windows.boxes, strict=True):
            assert each.tokens is not None
            assert each.grid is not None
            scored.append(ScoredWindow(prepared.score(each.tokens, each.grid), box))
        finite = all_finite([each.scores for each in scored])
        winners = prepared.winners(scored, self.windows.resized, self.size)

        def finish() -> bytes:
            if not bool(finite):
                raise ModelError(
                    "NaN or infinity among the dense features of a picture. The weights may be damaged; half precision "
                    "overflows in some models: try --precision fp32."
                )
            return pack(prepared.labels(winners))

        return finish

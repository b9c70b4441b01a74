"""The reduction to region scores: how well the boxes of a picture fit classes, without keeping their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from fgbench.data.images import Probe
from fgbench.errors import StoreError
from fgbench.requests import ClassScores, Float32, RegionScores
from fgbench.runner.cuts import Cut
from fgbench.runner.reductions import Classes, PassFeatures
from fgbench.runner.regions import pool
from fgbench.runner.store import row_key

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fgbench.adapter import RegionMode


class BoxesOfImage(NamedTuple):
    """The part of a :class:`RegionScores` request that lies in one image.

    Attributes:
        image: row of ``RegionScores.images``.
        first: row of its first box in the request.
        boxes: float64 [n, 4].
        first_pair: row of its first pair in the request.
        pair_box: int64 [m]; counted from ``first``.
        pair_class: int64 [m].
    """

    image: int
    first: int
    boxes: npt.NDArray[np.float64]
    first_pair: int
    pair_box: npt.NDArray[np.int64]
    pair_class: npt.NDArray[np.int64]

    def box_rows(self) -> npt.NDArray[np.int64]:
        """Rows of the boxes in the request."""
        return np.arange(self.first, self.first + len(self.boxes))

    def only(self, keep: npt.NDArray[np.bool_]) -> BoxesOfImage:
        """Without the boxes that are not kept, and without their pairs; boxes are counted anew."""
        pairs = keep[self.pair_box]
        renumbered = np.cumsum(keep, dtype=np.int64) - 1
        return self._replace(
            boxes=self.boxes[keep], pair_box=renumbered[self.pair_box[pairs]], pair_class=self.pair_class[pairs]
        )


def split_by_image(request: RegionScores) -> Iterator[BoxesOfImage]:
    """The request, image by image; images without boxes are left out.

    Raises:
        ValueError: boxes not grouped by image, or pairs not by box.
    """
    if (np.diff(request.image_index) < 0).any() or (np.diff(request.pair_box) < 0).any():
        raise ValueError("Expected `image_index` and `pair_box` to be ascending.")
    images, first = np.unique(request.image_index, return_index=True)
    ends = [*first[1:], len(request.boxes)]
    pair_starts = np.searchsorted(request.pair_box, [*first, len(request.boxes)])
    for number, (image, start, end) in enumerate(zip(images, first, ends, strict=True)):
        pairs = slice(pair_starts[number], pair_starts[number + 1])
        yield BoxesOfImage(
            int(image),
            int(start),
            request.boxes[start:end],
            int(pair_starts[number]),
            request.pair_box[pairs] - start,
            request.pair_class[pairs],
        )


@dataclass(frozen=True)
class RegionScoreReduction:
    """Cosines of boxes with classes; see :class:`fgbench.requests.RegionScores`.

    ``cuts`` is the whole picture for RoIs, and one cut per box for crops.
    """

    key: bytes
    cuts: tuple[Cut, ...]
    classes: Classes
    boxes: npt.NDArray[np.float64]
    pair_box: npt.NDArray[np.int64]
    pair_class: npt.NDArray[np.int64]
    size: tuple[int, int]
    mode: RegionMode
    temperatures: tuple[float, ...]

    @classmethod
    def of(
        cls,
        probe: Probe,
        cuts: Sequence[Cut],
        part: BoxesOfImage,
        mode: RegionMode,
        classes: Classes,
        temperatures: Sequence[float],
    ) -> RegionScoreReduction:
        """
        Args:
            probe: of the picture.
            cuts: see the class.
            part: its boxes.
            mode: how boxes become embeddings.
            classes: of the softmax.
            temperatures: of its normaliser.
        """
        arrays = (part.boxes.tobytes(), part.pair_box.tobytes(), part.pair_class.tobytes())
        key = row_key("region scores", mode, probe.digest, repr((tuple(cuts), temperatures)), *arrays, classes.key)
        return cls(
            key, tuple(cuts), classes, part.boxes, part.pair_box, part.pair_class,
            (probe.width, probe.height), mode, tuple(temperatures),
        )  # fmt: skip

    def prepare(self, prototypes: Float32, device: torch.device) -> Tensor:
        """See :class:`Reduction`."""
        import torch

        return torch.from_numpy(prototypes).to(device)

    def reduce(self, features: Sequence[PassFeatures], prepared: object) -> Callable[[], bytes]:
        """Float32 cosines [m], log-normalisers [n, T], best cosines [n], then int32 best classes [n]."""
        import torch

        assert isinstance(prepared, torch.Tensor)
        with torch.autocast(prepared.device.type, enabled=False):
            cosines = torch.nn.functional.normalize(self._vectors(features), dim=-1) @ prepared.T
        # Blocking copies to the device would wait for all that it has to do before.
        pairs = [
            torch.from_numpy(each).to(cosines.device, non_blocking=True) for each in (self.pair_box, self.pair_class)
        ]
        best, best_class = cosines.max(dim=1)
        normaliser = torch.stack([torch.logsumexp(cosines / t, dim=1) for t in self.temperatures], dim=1)
        parts = [cosines[pairs[0], pairs[1]], normaliser, best, best_class.to(torch.int32)]
        return lambda: b"".join(each.cpu().numpy().tobytes() for each in parts)

    def _vectors(self, features: Sequence[PassFeatures]) -> Tensor:
        import torch

        if self.mode == "crop":
            return torch.stack([each.pooled for each in features])
        (whole,) = features
        assert whole.tokens is not None
        assert whole.grid is not None
        return pool(whole.tokens, whole.grid, self.size, self.boxes)


def class_scores(request: RegionScores, answers: dict[int, bytes], failed: dict[int, str], reason: str) -> ClassScores:
    """Put the answers of :class:`RegionScoreReduction` together.

    Args:
        request: what was asked for.
        answers: by image row.
        failed: boxes that were never asked for, by reason.
        reason: why boxes of an image without an answer have none.

    Raises:
        StoreError: an answer of the wrong length.
    """
    boxes, pairs, temperatures = len(request.boxes), len(request.pair_box), len(request.temperatures)
    cosine = np.full(pairs, np.nan, dtype=np.float32)
    normaliser = np.full((boxes, temperatures), np.nan, dtype=np.float32)
    best_cosine = np.full(boxes, np.nan, dtype=np.float32)
    best_class = np.full(boxes, -1, dtype=np.int64)
    failed = dict(failed)
    for part in split_by_image(request):
        rows = part.box_rows()
        ok = np.array([row not in failed for row in rows.tolist()], dtype=bool)
        if part.image not in answers:
            failed |= dict.fromkeys(rows[ok].tolist(), reason)
            continue
        in_pair = ok[part.pair_box]
        n, m = int(ok.sum()), int(in_pair.sum())
        data = answers[part.image]
        if len(data) != 4 * (m + n * temperatures + 2 * n):
            raise StoreError(f"Stored region scores have {len(data)} bytes, not what was asked for. Use --fresh.")
        floats = np.frombuffer(data, dtype=np.float32, count=m + n * temperatures + n)
        cosine[part.first_pair + np.flatnonzero(in_pair)] = floats[:m]
        normaliser[rows[ok]] = floats[m : m + n * temperatures].reshape(n, temperatures)
        best_cosine[rows[ok]] = floats[m + n * temperatures :]
        best_class[rows[ok]] = np.frombuffer(data, dtype=np.int32, offset=4 * len(floats))
    return ClassScores(cosine, normaliser, best_class, best_cosine, failed)

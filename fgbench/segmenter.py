"""What a trained segmenter has to offer. Not a base class: any object with these members is a segmenter.

This is the door for models whose label maps do not come from a dual encoder's patches alone: CAT-Seg, SAN, FC-CLIP and
others that were trained to segment. Everything from the picture to the label map is the segmenter's; folding of labels,
ground truth and metrics stay the engine's, so that no segmenter can change what is measured. Results say how they came
about (:attr:`SegmenterInfo.protocol`) and never stand in one column with another protocol's.

CAT-Seg's way from a picture to a label map, but for its network, is in :mod:`fgbench.runner.catseg`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import nn


@dataclass(frozen=True)
class SegmenterInfo:
    """The facts about a loaded segmenter. All of them are written into every result.

    Attributes:
        name: what results call the model.
        family: adapter family.
        source: hub id, path or description of where the weights came from.
        protocol: how a picture becomes a label map, e.g. ``catseg``; numbers of different protocols are not compared.
        trained_on: data with masks that it was trained on, e.g. ``COCO-Stuff 171``.
        classnames: what becomes of the names of a class: templates, and ``first``, ``mean`` or ``max`` over synonyms.
        revision: hub commit, if there is one.
        licence: of the weights.
        settings: anything else that changes the label maps (input size, windows, …).
        files: SHA-256 of the files read, by name.
        paper: (method, backbone) of the model's row in the paper's tables, if it has one.
        notes: remarks for the reader of a result.
    """

    name: str
    family: str
    source: str
    protocol: str
    trained_on: str
    classnames: str
    revision: str | None = None
    licence: str = "unknown"
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    paper: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()


@runtime_checkable
class Segmenter(Protocol):
    """Turns pictures into label maps for classes given by name.

    The engine moves ``module`` to the device once, in evaluation mode, calls :meth:`set_prompts` once per dataset and
    then :meth:`predict` once per picture, both under ``torch.inference_mode`` (with autocast if a half precision was
    chosen).
    """

    info: SegmenterInfo

    @property
    def module(self) -> nn.Module:
        """The network: what the engine moves, and what identifies the model."""

    def set_prompts(self, classes: Sequence[Sequence[str]]) -> None:
        """Say which classes there are; replaces those of an earlier call.

        Args:
            classes: the names of each class, at least one each, the usual one first; at most 65,535 classes.
        """

    def predict(self, image: Image, size: tuple[int, int]) -> npt.NDArray[np.uint16]:
        """The class of every pixel.

        Args:
            image: RGB.
            size: (width, height) of the answer, not always that of the picture.

        Returns:
            uint16 [height, width]; indices into the classes of :meth:`set_prompts`, or
            :attr:`fgbench.requests.PredictedMaps.NO_CLASS`. Must not depend on earlier pictures.
        """

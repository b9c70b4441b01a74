"""What an open-vocabulary detector has to offer, and what a dataset has to say about its pictures.

Not a base class: any object with the members of :class:`Detector` is one. The model's own matters (picture treatment,
prompts, tokens, class scores, box decoding) are the adapter's; batching, device, memory, the best pairs of each chunk,
clipping, storing and resuming are the engine's (:mod:`fgbench.runner.detect`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from fgbench.errors import ModelError, UsageError
from fgbench.models import Family, ModelEntry
from fgbench.registry import Registry, resolve
from fgbench.requests import ImageRef

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

    from fgbench.data.files import DatasetFiles
    from fgbench.spec import DatasetSpec


@dataclass(frozen=True)
class DetectorInfo:
    """The facts about a loaded detector. All of them are written into the proposals' metadata.

    Attributes:
        name: what results call it.
        family: adapter family.
        source: hub id, or where the weights came from.
        chunk_size: class names per prompt.
        pairs_per_chunk: the best (query, class) pairs of a chunk that are kept.
        image_rule: one line that names the picture treatment.
        revision: hub commit, if there is one.
        licence: of the weights.
        settings: anything else that changes the boxes or scores.
        files: SHA-256 of the files read, by name.
        notes: remarks for the reader of a result.
    """

    name: str
    family: str
    source: str
    chunk_size: int
    pairs_per_chunk: int
    image_rule: str
    revision: str | None = None
    licence: str = "unknown"
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """Class names that go through the model together.

    Attributes:
        start: position of the first of them in the list of all names; the others follow it.
        size: number of names C.
        prompt: what the model reads.
        inputs: the adapter's own.
    """

    start: int
    size: int
    prompt: str
    inputs: Any = None


class Detected(NamedTuple):
    """What a detector finds in B pictures for the C names of a chunk.

    Attributes:
        boxes: float [B, Q, 4]; x1, y1, x2, y2 as fractions of the picture's width and height, in [0, 1].
        scores: float [B, Q, C]; score of every box for every name.
    """

    boxes: Tensor
    scores: Tensor


@runtime_checkable
class Detector(Protocol):
    """A detector that takes class names as text.

    The engine moves ``module`` to the device once, in evaluation mode, and calls :meth:`look` and :meth:`detect` under
    ``torch.inference_mode``.
    """

    info: DetectorInfo

    @property
    def module(self) -> nn.Module:
        """The network: what the engine moves, and what identifies the model."""

    def prepare(self, names: Sequence[str]) -> Sequence[Chunk]:
        """Cut class names, as the dataset spells them, into chunks, in order.

        Raises:
            ModelError: a chunk does not fit the model's text length.
        """

    def pixels(self, image: Image) -> Tensor:
        """The treated RGB picture, [3, H, W]. Only pictures of equal shape meet in a batch: nothing is padded."""

    def look(self, pixels: Tensor) -> Any:
        """What does not depend on the names, computed once: pictures [B, 3, H, W] to whatever :meth:`detect` takes."""

    def detect(self, seen: Any, chunk: Chunk) -> Detected:
        """Boxes and scores of the pictures for one chunk. A picture's must not depend on the others of the batch."""


@dataclass(frozen=True)
class DetectionPictures:
    """The pictures and categories of a detection dataset.

    Attributes:
        image_ids: int64 [I].
        images: the pictures.
        sizes: int64 [I, 2]; width and height as the annotations say.
        category_ids: int64 [K].
        names: of the categories, as the dataset spells them.
    """

    image_ids: npt.NDArray[np.int64]
    images: Sequence[ImageRef]
    sizes: npt.NDArray[np.int64]
    category_ids: npt.NDArray[np.int64]
    names: Sequence[str]


@runtime_checkable
class HasDetectionPictures(Protocol):
    """A task whose datasets a detector can be run on (``fgbench detect``).

    Its datasets name a role ``proposals``, whose first place is where the proposals go.
    """

    def pictures_to_detect(self, spec: DatasetSpec, files: DatasetFiles, limit: int | None) -> DetectionPictures:
        """Read the annotations; works before there are any proposals.

        Args:
            spec: one of the task's datasets.
            files: finds its files.
            limit: the first so many pictures, by id.

        Raises:
            DataMissingError: a file is not there.
            DataError: a file cannot be understood.
        """


def detectors() -> Registry[Any]:
    """Every detector name: declared models, schemes, and the entry points (``fgbench.detectors``) of other packages."""
    names: Registry[Any] = Registry("detector", entry_point_group="fgbench.detectors")
    for family in _families():
        names.add(family.scheme, ModelEntry(family, None), origin=family.factory)
        for model in family.models:
            names.add(model.id, ModelEntry(family, model), origin=family.factory)
    return names


def load_detector(text: str) -> Detector:
    """Load the detector that a string names: an alias, ``scheme:target``, a folder, or ``owner/name`` on the hub.

    Raises:
        UsageError: the string cannot be understood.
        ModelError: the checkpoint cannot be used.
    """
    factory, target, changes = _choose(text)
    detector: Any = (resolve(factory) if isinstance(factory, str) else factory)(target)
    if not isinstance(detector, Detector):
        raise ModelError(
            f"Detector {text!r}: its factory returned {type(detector).__name__}, which lacks members of the detector "
            "protocol (info, module, prepare, pixels, look, detect). See fgbench/detector.py."
        )
    import dataclasses

    detector.info = dataclasses.replace(detector.info, **changes)
    return detector


def check_detector_name(text: str) -> None:
    """Find a mistyped name before annotations are read and torch is imported.

    Raises:
        UsageError: the string cannot be understood.
    """
    _choose(text)


def _choose(text: str) -> tuple[Any, str, dict[str, Any]]:
    """Factory, target, and what is known of the detector beside what the factory says."""
    if Path(text).is_dir():
        found = next((family for family in _families() if family.accepts(Path(text))), None)
        if found is None:
            raise UsageError(f"{text} is a folder, but of no detector that is known: {_titles()}.")
        # Only the last part: results are published, and nobody's folders belong in them.
        name = Path(text).resolve().name
        return found.factory, text, {"name": name, "source": f"local:{name}"}
    scheme, colon, target = text.partition(":")
    names = detectors()
    if not colon and "/" in text and text not in names:
        return _families()[0].factory, text, {}
    entry = names.get(scheme)
    if not isinstance(entry, ModelEntry):
        return entry, target, {"name": text}
    family, model = entry
    if model is not None and not colon:
        return family.factory, model.target, {"name": model.id, "licence": model.licence}
    if model is not None or not target:
        raise UsageError(f"Detector {text!r}: expected an alias alone, or for example {family.example!r}.")
    return family.factory, target, {}


def _families() -> tuple[Family, ...]:
    return tuple(resolve("fgbench.adapters.catalog_detectors:FAMILIES"))


def _titles() -> str:
    return "; ".join(family.title for family in _families())

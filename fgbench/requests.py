"""The vocabulary in which a task asks for features.

A task never touches a model. It describes what it needs as a mapping from a name of its choice to one of the
requests below, and receives under the same name an :class:`Embeddings` whose rows are in the order of the request:

========================  ==========================================  =========================
request                   one row per                                 text or image path
========================  ==========================================  =========================
:class:`Images`           image                                       global (pooled) embedding
:class:`Regions`          box                                         RoI of the dense map, or crop
:class:`Texts`            text                                        ``kind``: short, long, box
:class:`ClassPrompts`     class                                       prototype over templates
========================  ==========================================  =========================

Three further requests are answered with something smaller than embeddings, made while the picture's features are at
hand, because the embeddings themselves would not fit anywhere:

========================  ==========================================  =========================
request                   one row per                                 answer
========================  ==========================================  =========================
:class:`LabelMaps`        image                                       :class:`PredictedMaps`
:class:`RegionScores`     box, and (box, class) pair                  :class:`ClassScores`
:class:`Generate`         prompt (for a generative model)             :class:`Replies`
========================  ==========================================  =========================

Equal images, boxes and texts may be asked for any number of times, by any number of datasets: the plan
(:mod:`fgbench.runner.plan`) encodes each once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

TextKind = Literal["short", "long", "box"]
"""Which text path of the model is meant. Models with one path map all three to it and say so."""

Float32: TypeAlias = npt.NDArray[np.float32]


class ImageRef(NamedTuple):
    """A picture that a dataset refers to: where it lies, not what is in it.

    A named tuple: a plan makes, hashes and compares hundreds of thousands of them.

    Attributes:
        path: the file, or the archive or annotation table that holds it.
        member: name inside the archive, or ``column[row]`` of the table.
        span: (offset, size) of its bytes, where they can be read directly (tar; base64 cells of TSV).
    """

    path: str
    member: str = ""
    span: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else self.path


@dataclass(frozen=True)
class Images:
    """The global embedding of each image.

    Attributes:
        images: one per row.
        budget: number of patches that a variable-resolution model may use; None leaves the choice to the
            model's own rule per image (the paper's "dynamic" budget). Fixed-resolution models ignore it.
    """

    images: Sequence[ImageRef]
    budget: int | None = None


@dataclass(frozen=True)
class Regions:
    """The embedding of each box.

    Attributes:
        images: the distinct images.
        image_index: int64 [n]; row i lies in ``images[image_index[i]]``.
        boxes: float64 [n, 4]; x, y, width, height in pixels of the original image.
        budget: as in :class:`Images`.
    """

    images: Sequence[ImageRef]
    image_index: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    budget: int | None = None

    def __post_init__(self) -> None:
        if self.boxes.shape != (len(self.image_index), 4):
            raise ValueError(f"Expected `boxes` to be [{len(self.image_index)}, 4], but got {list(self.boxes.shape)}.")


@dataclass(frozen=True)
class Texts:
    """The embedding of each text, exactly as written here (a protocol that lower-cases has done so already).

    Attributes:
        texts: one per row.
        kind: text path.
        mentions: how many texts an item-by-item script would encode, where the task has already merged equal
            ones; only counted in the plan.
    """

    texts: Sequence[str]
    kind: TextKind
    mentions: int | None = None

    def strings(self) -> Sequence[str]:
        """Every string that has to be encoded, in row order."""
        return self.texts


@dataclass(frozen=True)
class ClassPrompts:
    """One prototype per class: fill each template, embed, L2-normalise, mean over templates, L2-normalise.

    Source: the zero-shot classifier of CLIP (Radford et al. 2021, section 3.1.4), as in the FG-CLIP 2 scripts.

    Attributes:
        names: one per row.
        templates: each with one ``{}``.
        kind: text path.
        lowercase: lower-case the filled template (Unicode ``str.lower``).
        classes: for classes with several names: the class of each name, ascending from 0 without gaps. The prototype
            of a class is then the normalised mean of its names' prototypes. None: every name is a class.
    """

    names: Sequence[str]
    templates: Sequence[str]
    kind: TextKind
    lowercase: bool = False
    classes: Sequence[int] | None = None

    def strings(self) -> Sequence[str]:
        """The filled templates, class by class: entry ``c * len(templates) + t`` is class c in template t."""
        filled = [template.replace("{}", name) for name in self.names for template in self.templates]
        return [text.lower() for text in filled] if self.lowercase else filled


@dataclass(frozen=True)
class LabelMaps:
    """The class of every pixel: dense features against class prototypes, upsampled, argmax (lowest index wins ties).

    Source: the training-free protocol of SCLIP, ClearCLIP and their kin; docs/protocols.md, "Segmentation".

    Attributes:
        images: one per row.
        classes: at most 65,535 classes.
        windows: name of a preset of :mod:`fgbench.runner.windows`; ``auto`` takes the one that suits the model.
        short_side: answer at the size of the picture scaled down so that its short side has at most so many
            pixels; None: at the size of the picture.
        budget: as in :class:`Images`, for the whole picture or for each window.
    """

    images: Sequence[ImageRef]
    classes: ClassPrompts
    windows: str = "auto"
    short_side: int | None = None
    budget: int | None = None


@dataclass(frozen=True)
class RegionScores:
    """How well boxes fit classes, without keeping the boxes' embeddings.

    Attributes:
        images: the distinct images.
        image_index: int64 [n]; box i lies in ``images[image_index[i]]``; ascending.
        boxes: float64 [n, 4]; x, y, width, height in pixels of the original image.
        pair_box: int64 [m]; box of each pair; ascending.
        pair_class: int64 [m]; class of each pair, a row of ``classes``.
        classes: the classes of the softmax.
        temperatures: the answer holds the softmax's normaliser for each of them.
        budget: as in :class:`Images`.
    """

    images: Sequence[ImageRef]
    image_index: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    pair_box: npt.NDArray[np.int64]
    pair_class: npt.NDArray[np.int64]
    classes: ClassPrompts
    temperatures: Sequence[float]
    budget: int | None = None


@dataclass(frozen=True)
class Prompt:
    """One question to a generative model.

    Attributes:
        text: what the user says, complete; the model's chat frame is its adapter's.
        images: pictures, in the order in which the model sees them.
        max_tokens: new tokens at most.
        stop: the answer ends before the first of these strings.
    """

    text: str
    images: tuple[ImageRef, ...] = ()
    max_tokens: int = 128
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Generate:
    """The answer of a generative model to each prompt, decoded greedily.

    Attributes:
        prompts: one per row.
    """

    prompts: Sequence[Prompt]


Request: TypeAlias = Images | Regions | Texts | ClassPrompts | LabelMaps | RegionScores | Generate


@dataclass(frozen=True)
class Embeddings:
    """The answer to a request.

    Attributes:
        vectors: float32 [n, D], L2-normalised; rows that failed are zero.
        failed: reason why a row has no embedding, by row number (``image_missing``, ``image_unreadable``, …).
    """

    vectors: Float32
    failed: Mapping[int, str] = field(default_factory=dict)

    @property
    def ok(self) -> npt.NDArray[np.bool_]:
        """Rows that have an embedding: bool [n]."""
        keep = np.ones(len(self.vectors), dtype=bool)
        keep[list(self.failed)] = False
        return keep

    def reasons(self) -> Counter[str]:
        """How many rows failed for each reason."""
        return Counter(self.failed.values())


@dataclass(frozen=True)
class PredictedMaps:
    """The answer to :class:`LabelMaps`; maps are read one at a time, so that a dataset of them is never in memory.

    Attributes:
        read: uint16 [H, W] of a row; ``NO_CLASS`` where nothing was predicted.
        size: number of rows.
        failed: reason why a row has no map, by row number.
    """

    NO_CLASS: ClassVar[int] = 65_535

    read: Callable[[int], npt.NDArray[np.uint16]]
    size: int
    failed: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassScores:
    """The answer to :class:`RegionScores`, for n boxes, m pairs and T temperatures.

    Attributes:
        cosine: float32 [m]; of each pair, NaN where the box failed.
        log_normaliser: float32 [n, T]; log of the sum of exp(cosine / temperature) over all classes.
        best_class: int64 [n]; the class with the highest cosine (lowest index of equal ones), -1 where the box failed.
        best_cosine: float32 [n]; its cosine.
        failed: reason by box.
    """

    cosine: Float32
    log_normaliser: Float32
    best_class: npt.NDArray[np.int64]
    best_cosine: Float32
    failed: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Replies:
    """The answer to :class:`Generate`.

    Attributes:
        texts: one per prompt; empty where it failed.
        failed: reason why a prompt has no answer, by row number.
    """

    texts: Sequence[str]
    failed: Mapping[int, str] = field(default_factory=dict)


Answer: TypeAlias = Embeddings | PredictedMaps | ClassScores | Replies

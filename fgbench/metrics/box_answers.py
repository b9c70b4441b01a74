"""RefCOCO: does the box that a model wrote overlap the right one? Accuracy at IoU ≥ 0.5 (exactly 0.5 counts).

Protocols differ in which texts they read as a box and in the frame of its coordinates. LLaVA sees the picture padded to
a square and writes fractions of that square's side; lmms-eval and VLMEvalKit take them for fractions of the picture.
Boxes are x1, y1, x2, y2 in continuous coordinates: no pixel is added, nothing is clipped or reordered unless said so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from .outcomes import Outcomes, pairs

Float64 = npt.NDArray[np.float64]

THRESHOLD = 0.5

_THOUSANDTHS_FROM_SUM = 4.0
_FRACTIONS_TO = 1.5
_THOUSANDTHS_TO = 1000.0

_PLAIN = r"(-?\d+(?:\.\d+)?)"
_PLAIN_BOX = re.compile(rf"\[\s*{_PLAIN},\s*{_PLAIN},\s*{_PLAIN},\s*{_PLAIN}\s*\]")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
_SEPARATOR = r"(?:\s*,\s*|\s+)"
_NUMBER_BOX = re.compile(rf"\[\s*{_SEPARATOR.join([f'({_NUMBER.pattern})'] * 4)}\s*\]")


@dataclass(frozen=True)
class Target:
    """The right box.

    Attributes:
        box: x1, y1, x2, y2 in pixels.
        width, height: of the picture, in pixels.
    """

    box: tuple[float, float, float, float]
    width: int
    height: int


def llava(predictions: Sequence[str], references: Sequence[Target]) -> Outcomes:
    """The convention of LLaVA, after conv-llava's grounding script: fractions of the picture padded to a square.

    Four numbers that sum to 4 or more are thousandths. The answer is unparsed without four finite numbers in brackets,
    or if they are the corners of a reversed box.
    """
    return _accuracy("llava", predictions, references)


def lmms_eval(predictions: Sequence[str], references: Sequence[Target]) -> Outcomes:
    """lmms-eval's ``refcoco_bbox_rec``: fractions of the picture, plainly written; no exponent, no bare ``.5``."""
    return _accuracy("lmms-eval", predictions, references)


def vlmevalkit(predictions: Sequence[str], references: Sequence[Target]) -> Outcomes:
    """VLMEvalKit: brackets with commas or blanks, or else the first four numbers of the answer.

    Fractions of the picture if none is beyond 1.5, thousandths if none is beyond 1000, otherwise pixels; clipped to the
    picture and reordered.
    """
    return _accuracy("vlmevalkit", predictions, references)


def ious(predictions: Sequence[str], references: Sequence[Target], protocol: str = "llava") -> Float64:
    """Intersection over union of the written and the right box, by one of the protocols above.

    Returns:
        float64 [n]; NaN where no box was written.

    Raises:
        ValueError: a target without area or finite coordinates, or not as many targets as answers.
    """
    read, to_frame = _PROTOCOLS[protocol]
    texts = [text for text, _ in pairs(predictions, references)]
    written = np.array([read(text) or (np.nan,) * 4 for text in texts], dtype=np.float64).reshape(-1, 4)
    size = np.array([(target.width, target.height) for target in references], dtype=np.float64).reshape(-1, 2)
    right = np.array([target.box for target in references], dtype=np.float64).reshape(-1, 4)
    if not (np.isfinite(right).all() and (right[:, 2:] > right[:, :2]).all() and (size > 0).all()):
        raise ValueError("Expected targets with x1 < x2 and y1 < y2 in pictures with a width and a height.")
    written[~np.isfinite(written).all(axis=1)] = np.nan
    with np.errstate(over="ignore", invalid="ignore"):
        return _iou(*to_frame(written, right, size))


def _accuracy(protocol: str, predictions: Sequence[str], references: Sequence[Target]) -> Outcomes:
    iou = ious(predictions, references, protocol)
    return Outcomes((iou >= THRESHOLD).astype(np.float64), np.isnan(iou))


def _iou(written: Float64, right: Float64) -> Float64:
    low = np.maximum(written[:, :2], right[:, :2])
    high = np.minimum(written[:, 2:], right[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    sides = written[:, 2:] - written[:, :2]
    union = np.prod(sides, axis=1) + np.prod(right[:, 2:] - right[:, :2], axis=1) - shared
    return np.where((sides >= 0).all(axis=1), shared / union, np.nan)


def _padded_square(written: Float64, right: Float64, size: Float64) -> tuple[Float64, Float64]:
    thousandths = written.sum(axis=1) >= _THOUSANDTHS_FROM_SUM
    side = size.max(axis=1, keepdims=True)
    offset = np.floor((side - size) / 2)
    return np.where(thousandths[:, None], written / 1000, written) * side - np.tile(offset, 2), right


def _fractions(written: Float64, right: Float64, size: Float64) -> tuple[Float64, Float64]:
    return written, right / np.tile(size, 2)


def _clipped(written: Float64, right: Float64, size: Float64) -> tuple[Float64, Float64]:
    largest = np.abs(written).max(axis=1, keepdims=True)
    pixels = np.select(
        [largest <= _FRACTIONS_TO, largest <= _THOUSANDTHS_TO],
        [written * np.tile(size, 2), written / 1000 * np.tile(size, 2)],
        written,
    )
    corners = pixels.reshape(-1, 2, 2)
    corners = np.sort(np.clip(corners, 0, size[:, None]), axis=1)
    return corners.reshape(-1, 4), right


def _read_llava(text: str) -> Sequence[float] | None:
    """The first bracket of a line that three commas and a closing bracket follow; a field is anything.

    Where the first bracket of a line is not followed by them, no other of that line is: one look at each line will do.
    """
    for line in text.split("\n"):
        fields = line[line.find("[") :].lstrip("[").split(",", 3) if "[" in line else []
        if len(fields) == 4 and "]" in fields[3]:
            return _floats([*fields[:3], fields[3].partition("]")[0]])
    return None


def _read_plain(text: str) -> Sequence[float] | None:
    found = _PLAIN_BOX.search(text)
    return _floats(found.groups()) if found else None


def _read_any(text: str) -> Sequence[float] | None:
    found = _NUMBER_BOX.search(text)
    numbers = found.groups() if found else [match[0] for match in islice(_NUMBER.finditer(text), 4)]
    return _floats(numbers) if len(numbers) == 4 else None


def _floats(fields: Sequence[str]) -> Sequence[float] | None:
    try:
        return [float(field) for field in fields]
    except ValueError:
        return None


_Read = Callable[[str], Sequence[float] | None]
_ToFrame = Callable[[Float64, Float64, Float64], tuple[Float64, Float64]]

_PROTOCOLS: Mapping[str, tuple[_Read, _ToFrame]] = {
    "llava": (_read_llava, _padded_square),
    "lmms-eval": (_read_plain, _fractions),
    "vlmevalkit": (_read_any, _clipped),
}

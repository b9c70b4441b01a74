"""Checks of ``encode_images``: the global embedding."""

from __future__ import annotations

import tempfile
from itertools import combinations
from pathlib import Path

import torch
from PIL import Image

from fgbench.adapter_kit import samples
from fgbench.adapter_kit.findings import ContractError, Finding, naming, not_applicable, passed, warned
from fgbench.adapter_kit.subject import TOLERANCE, Prepared, Subject, by, distance
from fgbench.data.images import decode
from fgbench.requests import ImageRef


def shapes(subject: Subject) -> Finding:
    """A batch gives one vector per picture."""
    pooled = subject.images([subject.prepare(image) for image in samples.same_size()]).pooled
    return passed(f"pooled {list(pooled.shape)} {str(pooled.dtype).removeprefix('torch.')}")


def values(subject: Subject) -> Finding:
    """Numbers are finite and depend on the picture."""
    images = [*samples.pictures(), *(Image.new("RGB", samples.SIZES[0], colour) for colour in ("black", "white"))]
    vectors = [subject.alone(image).pooled for image in images]
    pairs = list(combinations(vectors, 2))
    same = sum(distance(one, other) <= TOLERANCE for one, other in pairs)
    if same == len(pairs):
        raise ContractError("all pictures got the same vector. Expected encode_images to look at the picture.")
    if same:
        return warned(f"{same} of {len(pairs)} pairs of different pictures got the same vector.")
    largest = max(float(each.abs().max()) for each in vectors)
    return passed(f"finite, different for {len(images)} pictures, largest {largest:.3g}")


def twice(subject: Subject) -> Finding:
    """The same batch gives the same vectors."""
    batch = [subject.prepare(image) for image in samples.same_size()]
    found = distance(subject.images(batch).pooled, subject.images(batch).pooled)
    return repeatable(found, "pictures")


def repeatable(found: float, what: str) -> Finding:
    """The finding about two runs that differ by ``found``."""
    if found == 0:
        return passed("equal bit for bit")
    if found <= TOLERANCE:
        return warned(
            f"two runs differ by {found:.1e}: a run that was stopped and resumed gives slightly other numbers"
        )
    raise ContractError(
        f"the same {what} twice differ by {found:.1e} of the largest value; expected no difference. Dropout or random "
        "numbers in the forward pass? The engine calls module.eval(): put all parts into module."
    )


def together(subject: Subject) -> Finding:
    """A vector depends neither on the other pictures of the batch nor on their order."""
    batch = [subject.prepare(image) for image in samples.same_size()]
    alone = torch.cat([subject.images([each]).pooled for each in batch])
    found = distance(subject.images(batch).pooled, alone)
    turned = distance(subject.images(batch[::-1]).pooled.flip(0), alone)
    return invariant(max(found, turned), "pictures")


def invariant(found: float, what: str) -> Finding:
    """The finding about vectors that differ by ``found`` between a batch of one and a larger one."""
    if not found <= TOLERANCE:
        raise ContractError(
            f"{what} alone and in a batch (both orders) differ by {found:.1e} of the largest value; expected at most "
            f"{TOLERANCE:.0e}. A row must depend on its own input only: look for batch norm in training mode, padding "
            "that is not masked, or rows in another order."
        )
    return passed(f"alone, in a batch, in reverse: differ {by(found)}")


def mixed(subject: Subject) -> Finding:
    """Pictures of one view but of different shape: padding changes nothing."""
    padded = 0
    worst = 0.0
    for purpose in subject.purposes:
        prepared = [(image, subject.prepare(image, purpose)) for image in samples.pictures()]
        for group in subject.by_view([each for _, each in prepared]):
            if not _differ(group):
                continue
            padded += len(group)
            together = subject.images(group, dense=purpose == "dense")
            for row, each in enumerate(group):
                [image] = [image for image, candidate in prepared if candidate is each]
                alone = subject.alone(image, purpose)
                worst = max(worst, distance(together.pooled[row], alone.pooled[0]))
                if alone.tokens is None or alone.grid is None or together.tokens is None or together.grid is None:
                    continue
                if not torch.equal(alone.grid[0], together.grid[row]):
                    raise ContractError(
                        f"the grid of a picture is {alone.grid[0].tolist()} alone and {together.grid[row].tolist()} in "
                        "a batch; expected the same."
                    )
                count = int(alone.grid[0].prod())
                worst = max(worst, distance(together.tokens[row, :count], alone.tokens[0, :count]))
    if not padded:
        return not_applicable("all pictures of a view give tensors of one shape; nothing is padded")
    if not worst <= TOLERANCE:
        raise ContractError(
            f"pictures padded to the longest of their batch differ from the same alone by {worst:.1e} of the largest "
            f"value; expected at most {TOLERANCE:.0e}. The engine pads with zeros at the end of the first dimension: "
            "ship the true length or shape as a tensor and mask the rest."
        )
    return passed(f"{padded} padded pictures differ {by(worst)}")


def _differ(group: list[Prepared]) -> bool:
    return len({tuple(tensor.shape for tensor in each.tensors.values()) for each in group}) > 1


def formats(subject: Subject) -> Finding:
    """Pictures of every colour mode, read as the engine reads them: the preprocessor always gets RGB."""
    names = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in samples.files(Path(folder)):
            with naming(name):
                subject.alone(decode(ImageRef(str(path))))
            names.append(name)
    return passed(", ".join(names))


def extremes(subject: Subject) -> Finding:
    """Crops of boxes can have any size."""
    for purpose in subject.purposes:
        for number, size in enumerate(samples.EXTREME_SIZES):
            with naming(f"a picture of {size[0]}×{size[1]} pixels"):
                subject.alone(samples.picture(size, number), purpose)
    return passed(", ".join(f"{width}×{height}" for width, height in samples.EXTREME_SIZES))

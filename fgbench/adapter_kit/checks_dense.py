"""Checks of dense features and of boxes pooled from them."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fgbench.adapter import ImageFeatures
from fgbench.adapter_kit import samples
from fgbench.adapter_kit.checks_pictures import invariant
from fgbench.adapter_kit.findings import ContractError, Finding, naming, not_applicable, passed, warned
from fgbench.adapter_kit.subject import TOLERANCE, Subject, by, distance
from fgbench.runner.regions import pool


def returned(subject: Subject) -> Finding:
    """Dense features are there, and the grid fits the tokens."""
    grids = {}
    for image in samples.pictures():
        tokens, (rows, columns) = _map(subject.alone(image, "dense"))
        if len(tokens) == rows * columns + 1:
            return warned(
                f"{len(tokens)} tokens for {rows}×{columns} cells: one more than cells. Is it a class token? The first "
                "rows * columns tokens are used."
            )
        grids[f"{rows}×{columns}"] = len(tokens)
    return passed("grids " + ", ".join(f"{grid} ({count} tokens)" for grid, count in list(grids.items())[:4]))


def together(subject: Subject) -> Finding:
    """Tokens depend neither on the other pictures of the batch nor on their order."""
    images = samples.same_size()
    batch = [subject.prepare(image, "dense") for image in images]
    alone = torch.cat([_whole(subject.alone(image, "dense")) for image in images])
    found = distance(_whole(subject.images(batch, dense=True)), alone)
    turned = distance(_whole(subject.images(batch[::-1], dense=True)).flip(0), alone)
    return invariant(max(found, turned), "tokens")


def pooled(subject: Subject) -> Finding:
    """Where one pass serves both purposes, the global embedding does not depend on what else is asked for."""
    shared = [
        image for image in samples.pictures() if subject.prepare(image, "dense").view == subject.prepare(image).view
    ]
    if not shared:
        return not_applicable("dense features have a view of their own, so no pass yields both")
    worst = max(distance(subject.alone(image, "dense").pooled, subject.alone(image).pooled) for image in shared)
    if not worst <= TOLERANCE:
        raise ContractError(
            f"pooled differs by {worst:.1e} of the largest value between dense=True and dense=False; expected at most "
            f"{TOLERANCE:.0e}. View names are equal, so one pass answers both: return the same pooled, or give the "
            "dense view another name."
        )
    return passed(f"pooled with and without dense differs {by(worst)}")


def covers(subject: Subject) -> Finding:
    """The dense view shows the whole picture: boxes are given in its coordinates."""
    for size, edges in (
        ((240, 80), {"left": (0, 0, 16, 80), "right": (224, 0, 240, 80)}),
        ((80, 240), {"top": (0, 0, 80, 16), "bottom": (0, 224, 80, 240)}),
    ):
        image = samples.picture(size, 7)
        before, grid = _map(subject.alone(image, "dense"))
        for edge, box in edges.items():
            after, same = _map(subject.alone(samples.repainted(image, box), "dense"))
            if same == grid and distance(after[: grid[0] * grid[1]], before[: grid[0] * grid[1]]) == 0:
                raise ContractError(
                    f"the {edge} edge of a picture of {size[0]}×{size[1]} pixels does not reach the dense features. "
                    "Boxes refer to the whole picture: expected a dense view that squashes and does not crop."
                )
    return passed("all edges of wide and tall pictures are seen")


def order(subject: Subject) -> Finding:
    """Tokens are in reading order: a change in one corner moves that corner's tokens most."""
    image = samples.picture((192, 128), 8)
    before, (rows, columns) = _map(subject.alone(image, "dense"))
    if rows < 2 or columns < 2:
        return not_applicable(f"the grid is {rows}×{columns}")
    boxes = {"top right": (144, 0, 192, 32), "bottom left": (0, 96, 48, 128)}
    height, width = max(1, rows // 3), max(1, columns // 3)
    for corner, box in boxes.items():
        after, _ = _map(subject.alone(samples.repainted(image, box), "dense"))
        change = (after - before)[: rows * columns].norm(dim=-1).view(rows, columns)
        moved = {
            "top left": change[:height, :width],
            "top right": change[:height, -width:],
            "bottom left": change[-height:, :width],
            "bottom right": change[-height:, -width:],
        }
        most = max(moved, key=lambda name: float(moved[name].mean()))
        if most != corner:
            return warned(
                f"repainting the {corner} of a picture changes the tokens of the {most} most. Expected tokens row by "
                "row from the top left, without class or register tokens in front; an attention over the whole "
                "picture can do this too."
            )
    return passed("a changed corner changes its own tokens most")


def window(subject: Subject) -> Finding:
    """A model of fixed resolution says which: segmentation cuts large pictures into windows of that size."""
    grids = {_map(subject.alone(image, "dense"))[1] for image in samples.pictures()}
    side = subject.info.window
    if len(grids) > 1 and side is not None:
        return warned(
            f"info.window is {side}, but pictures of different form get {len(grids)} different grids. Expected None "
            "for a model that takes pictures of any shape: they need not be cut."
        )
    if len(grids) == 1 and side is None:
        ((rows, columns),) = grids
        return warned(
            f"pictures of every form get a grid of {rows}×{columns}, but info.window is None. Expected the side of the "
            "square input in pixels: segmentation would show such a model whole pictures, squashed into one input."
        )
    return passed("variable resolution" if side is None else f"{side} pixels")


def regions(subject: Subject) -> Finding:
    """RoIAlign over the whole picture is finite, whatever its form."""
    images = [*samples.pictures(), *(samples.picture(size, 9) for size in samples.EXTREME_SIZES)]
    for image in images:
        with naming(f"a box around a picture of {image.width}×{image.height} pixels"):
            vector = _region(subject, image)
            if tuple(vector.shape) != (1, subject.info.dim) or not torch.isfinite(vector).all():
                raise ContractError(
                    f"the region is {list(vector.shape)} with NaN or infinity; expected finite numbers."
                )
    return passed(f"{len(images)} pictures, pooling {subject.info.dense_pooling}")


def _region(subject: Subject, image: Image.Image) -> Tensor:
    tokens, grid = _map(subject.alone(image, "dense"))
    if subject.info.dense_pooling == "token-normalised":
        tokens = torch.nn.functional.normalize(tokens, dim=-1)
    return pool(tokens, grid, image.size, np.array([[0, 0, *image.size]], dtype=np.float64))


def _whole(features: ImageFeatures) -> Tensor:
    assert features.tokens is not None
    return features.tokens


def _map(features: ImageFeatures) -> tuple[Tensor, tuple[int, int]]:
    """Tokens [N, D] and (rows, columns) of a batch of one."""
    assert features.grid is not None
    rows, columns = features.grid[0].tolist()
    return _whole(features)[0], (rows, columns)

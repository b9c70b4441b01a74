"""Values against the outcomes of items that were sent along."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbench.leaderboard.check import check_file
from fgbench.leaderboard.columns import Row

from . import good

RANKS = {"i2t_rank": 3605, "t2i_rank": 13635}
FIFTH = {"i2t_rank": 4500, "t2i_rank": 20000}


def outcomes() -> dict[str, Any]:
    """Ranks that give the submission's values on COCO."""
    found: dict[str, Any] = {
        "id": np.arange(5000).astype(str),
        "t2i_image": np.repeat(np.arange(5000), 5),
    }
    for name, size in (("i2t_rank", 5000), ("t2i_rank", 25000)):
        rank = np.full(size, 9)
        rank[: FIFTH[name]] = 4
        rank[: RANKS[name]] = 0
        found[name] = rank
    return found


@pytest.fixture
def items(tmp_path: Path) -> Path:
    folder = tmp_path / "results/our-model"
    folder.mkdir(parents=True)
    np.savez_compressed(folder / "coco.items.npz", **outcomes())
    return folder.parent


def check(tmp_path: Path, items: Path, rows: list[Row]) -> tuple[int, list[tuple[int, str, str]]]:
    report, _ = check_file(good.write(tmp_path / "submission.csv", rows), items=items)
    return report.recomputed, [(each.line, each.column, each.code) for each in report.sorted()]


def coco() -> list[Row]:
    return [row for row in good.rows() if row["dataset"] == "coco"]


def test_values_that_the_items_give(tmp_path: Path, items: Path) -> None:
    assert check(tmp_path, items, coco()) == (4, [])
    assert check(tmp_path, items / "our-model", coco()) == (4, [])


def test_a_possible_value_that_the_items_do_not_give(tmp_path: Path, items: Path) -> None:
    rows = coco()
    rows[0]["value"] = repr(3606 / 5000)
    assert check(tmp_path, items, rows) == (3, [(2, "value", "items")])


def test_two_directions_exchanged(tmp_path: Path, items: Path) -> None:
    """Where every picture has one caption, only the items tell."""
    rows = coco()
    swapped = outcomes() | {"i2t_rank": outcomes()["i2t_rank"][::-1] * 0}
    np.savez_compressed(items / "our-model/coco.items.npz", **swapped)
    recomputed, problems = check(tmp_path, items, rows)
    assert recomputed == 2
    assert {line for line, _, _ in problems} == {2, 3}


def test_items_that_are_missing(tmp_path: Path, items: Path) -> None:
    recomputed, problems = check(tmp_path, items, good.rows())
    assert recomputed == 4
    lacking = [line for line, column, code in problems if (column, code) == ("dataset", "items")]
    assert len(lacking) == len(problems) == len(good.VALUES) - 1


def test_items_that_are_damaged(tmp_path: Path, items: Path) -> None:
    path = items / "our-model/coco.items.npz"
    whole = path.read_bytes()
    arrays = outcomes()
    del arrays["i2t_rank"]
    np.savez_compressed(tmp_path / "lacking.npz", **arrays)
    broken = [whole[:100], b"no zip", (tmp_path / "lacking.npz").read_bytes()]
    broken += [whole[:place] + b"\xff" * 40 + whole[place + 40 :] for place in range(60, len(whole) - 60, 997)]
    for data in broken:
        path.write_bytes(data)
        recomputed, problems = check(tmp_path, items, coco())
        assert recomputed < 4
        assert {code for _, _, code in problems} == {"items"}


def test_an_array_that_claims_to_be_huge_is_not_made(tmp_path: Path, items: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**50,)})
    with zipfile.ZipFile(items / "our-model/coco.items.npz", "w") as archive:
        archive.writestr("id.npy", header.getvalue())
    assert check(tmp_path, items, coco()) == (0, [(2, "dataset", "items")])


def test_pickled_objects_are_not_read(tmp_path: Path, items: Path) -> None:
    np.savez(items / "our-model/coco.items.npz", **{**outcomes(), "id": np.array([object()])})
    assert check(tmp_path, items, coco()) == (0, [(2, "dataset", "items")])

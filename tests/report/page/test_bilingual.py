from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbench.report.page.bilingual import GapRow, gap_rows
from fgbench.report.page.gather import gather
from fgbench.report_api import report

from .records import record, write

PICTURES = 40


def retrieval(dataset: str, i2t: int, t2i: int, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A record with so many hits of 40, and the outcomes that make them."""
    found = record(dataset, "model", **changes)
    for score, hits in zip(found["scores"], (i2t, t2i), strict=True):
        score |= {"value": hits / PICTURES, "n": PICTURES}
    ranks = {f"{name}_rank": np.where(np.arange(PICTURES) < hits, 0, 3) for name, hits in (("i2t", i2t), ("t2i", t2i))}
    names = np.array([f"{number:04d}.jpg" for number in range(PICTURES)])
    return found, {"id": names, "t2i_image": np.arange(PICTURES), **ranks}


def results(folder: Path, *pairs: tuple[dict[str, Any], dict[str, Any]], outcomes: bool = True) -> Path:
    write(folder, [content for content, _ in pairs])
    for content, arrays in pairs if outcomes else ():
        np.savez(folder / "model" / f"{content['dataset']}.items.npz", **arrays)
    return folder


def rows(folder: Path) -> list[GapRow]:
    return gap_rows("model", gather(folder).found)


def test_the_gap_is_english_minus_chinese_in_points(tmp_path: Path) -> None:
    i2t, t2i = rows(results(tmp_path, retrieval("dci", 30, 20), retrieval("dci-cn", 20, 22)))
    assert (i2t.english, i2t.chinese, i2t.metric, i2t.scores) == ("dci", "dci-cn", "i2t_r1", (75.0, 50.0))
    assert (i2t.difference, t2i.difference) == pytest.approx((25.0, -5.0))
    assert i2t.low is not None
    assert i2t.high is not None
    assert 0 < i2t.low < 25 < i2t.high
    assert i2t.remark == ""


def test_without_outcomes_there_is_no_interval_and_no_ones_folders_are_shown(tmp_path: Path) -> None:
    found = rows(results(tmp_path, retrieval("dci", 30, 20), retrieval("dci-cn", 20, 22), outcomes=False))
    assert [row.low for row in found] == [None, None]
    assert found[0].remark
    assert str(tmp_path) not in found[0].remark


def test_one_language_alone_has_no_gap(tmp_path: Path) -> None:
    assert rows(results(tmp_path, retrieval("dci", 30, 20))) == []


def test_the_page_shows_it_for_rows_of_one_protocol_only(tmp_path: Path) -> None:
    folder = results(tmp_path, retrieval("dci", 30, 20), retrieval("dci-cn", 20, 22))
    assert "+25.0" in report(folder).page.read_text(encoding="utf-8")
    results(tmp_path, retrieval("dci-cn", 20, 22, protocol={"budget": 256}))
    assert "+25.0" not in report(folder).page.read_text(encoding="utf-8")

"""Two models, or a model and the paper: what is compared, what is refused, and what is said."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console, RenderableType

from fgbench.compare.bilingual import gaps
from fgbench.compare.comparison import compare_sides
from fgbench.compare.paper import compare_with_paper
from fgbench.compare.sides import find, names
from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.report.comparison import comparison_table, gaps_table, paper_table

from .models import PICTURES, write

OWN: dict[str, Any] = {
    "model__paper": ["FG-CLIP 2", "ViT-B/16"], "counts__expected": 5000, "protocol__details": {},
}  # fmt: skip
GOOD, BAD = [0] * 30 + [3] * 10, [0] * 12 + [3] * 28


def printed(content: RenderableType, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(content)
    assert max(map(len, stream.getvalue().splitlines())) <= width
    return stream.getvalue()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write(tmp_path, "good", GOOD)
    write(tmp_path, "bad", BAD)
    return tmp_path


class TestTwoModels:
    def test_every_main_score_is_compared(self, results: Path) -> None:
        found = compare_sides(find("good", results), find("bad", results))
        assert [(row.dataset, row.metric) for row in found.rows] == [("coco", "i2t_r1"), ("coco", "t2i_r1")]
        row = found.rows[0]
        assert row.paired is not None
        assert (row.first, row.second) == (0.75, 0.3)
        assert row.paired.difference == pytest.approx(0.45)
        assert (row.paired.wins, row.paired.losses) == (18, 0)
        assert row.paired.p == pytest.approx(2 * 0.5**18)
        assert row.p_holm == pytest.approx(2 * row.paired.p)
        assert found.exit_code == 0

    def test_overall_is_the_mean_over_datasets_with_the_captions_of_a_picture_together(self, results: Path) -> None:
        write(results, "good", BAD, "flickr30k")
        write(results, "bad", BAD, "flickr30k")
        found = compare_sides(find("good", results), find("bad", results))
        assert found.overall is not None
        assert found.overall.datasets == 2
        assert found.overall.difference == pytest.approx(0.45 / 2)
        one = compare_sides(find("good", results), find("bad", results)).rows[0].paired
        assert one is not None
        # Both directions have the same outcomes: as good as one of them. The other dataset adds next to nothing.
        assert found.overall.high - found.overall.low == pytest.approx((one.high - one.low) / 2, rel=0.12)

    def test_another_protocol_is_named_and_not_compared(self, results: Path) -> None:
        write(results, "bad", BAD, protocol__budget=1024)
        found = compare_sides(find("good", results), find("bad", results))
        assert [row.paired for row in found.rows] == [None, None]
        assert found.overall is None
        assert found.exit_code == 3
        text = printed(comparison_table(found))
        assert "≠" in text
        assert "protocol.budget: none | 1024" in text

    def test_items_of_one_side_are_left_out_and_counted(self, results: Path) -> None:
        write(results, "bad", BAD[:-1], counts__evaluated=PICTURES - 1, counts__skipped={"image_missing": 1})
        found = compare_sides(find("good", results), find("bad", results))
        row = found.rows[0]
        assert row.paired is not None
        assert (row.paired.items, row.paired.only_first, row.paired.only_second) == (39, 1, 0)
        text = " ".join(printed(comparison_table(found)).split())
        assert "1 and 0 items only on one side" in text
        assert "counts.skipped: none | image_missing 1" in text

    def test_without_outcomes_the_row_says_so(self, results: Path) -> None:
        (results / "bad/coco.items.npz").unlink()
        found = compare_sides(find("good", results), find("bad", results))
        assert found.exit_code == 3
        assert "there are no outcomes of single items" in found.rows[0].remark
        assert "75.0" in printed(comparison_table(found))

    def test_datasets_of_one_model_are_named(self, results: Path) -> None:
        write(results, "good", GOOD, "flickr30k")
        assert "Only good has: flickr30k." in printed(
            comparison_table(compare_sides(find("good", results), find("bad", results)))
        )

    def test_no_dataset_in_common(self, results: Path) -> None:
        write(results, "third", GOOD, "flickr30k")
        found = compare_sides(find("good", results), find("third", results))
        assert (found.rows, found.exit_code) == ((), 3)
        text = printed(comparison_table(found))
        assert text.startswith("The two have no dataset in common")
        assert "Only third has: flickr30k." in text

    def test_json_is_plain(self, results: Path) -> None:
        content = compare_sides(find("good", results), find("bad", results)).as_json()
        assert json.loads(json.dumps(content, allow_nan=False)) == content
        assert content["rows"][0]["paired"]["test"] == "mcnemar-exact"
        assert content["rows"][0]["comparable"] is True

    def test_a_hostile_name_does_not_style_the_terminal(self, results: Path) -> None:
        write(results, "[bold]x", GOOD)
        found = compare_sides(find("[bold]x", results), find("bad", results))
        assert "[bold]x" in printed(comparison_table(found))


class TestSides:
    def test_by_name_by_folder_by_file(self, results: Path) -> None:
        assert names(results) == ["bad", "good"]
        sides = [
            find("good", results),
            find(str(results / "good"), results),
            find(str(results / "good/coco.json"), results),
        ]
        assert [side.name for side in sides] == ["good"] * 3
        assert [list(side.entries) for side in sides] == [["coco"]] * 3

    def test_a_limited_run_stands_beside_the_full_one(self, results: Path) -> None:
        write(results, "good", GOOD[:5], arguments__effective={"limit": 5})
        assert list(find("good", results).entries) == ["coco", "coco.limit-5"]

    def test_a_mistyped_name_is_corrected(self, results: Path) -> None:
        with pytest.raises(UsageError, match="Did you mean 'good'"):
            find("god", results)

    def test_no_results_folder_and_an_empty_one(self, tmp_path: Path) -> None:
        with pytest.raises(DataMissingError, match=r"no such results folder.*--results"):
            find("good", tmp_path / "none")
        with pytest.raises(UsageError, match="there are no records in it"):
            find("good", tmp_path)

    def test_two_models_of_one_name(self, results: Path) -> None:
        path = write(results, "good", GOOD)
        (results / "good-12345678").mkdir()
        path.rename(results / "good-12345678/coco.json")
        write(results, "good", GOOD)
        assert find("good", results).entries["coco"].path.parent.name == "good"
        (results / "good").rename(results / "good-87654321")
        with pytest.raises(UsageError, match="2 different models are called 'good'"):
            find("good", results)

    def test_another_schema(self, results: Path) -> None:
        path = results / "good/coco.json"
        path.write_text('{"schema": "fgbench.result/9"}')
        with pytest.raises(DataError, match=r"this version reads 'fgbench\.result/1'"):
            find(str(path), results)
        with pytest.raises(DataMissingError, match=r"there are no records.*\n.*fgbench\.result/9"):
            find(str(path.parent), results)

    def test_one_broken_record_among_good_ones_is_noted(self, results: Path) -> None:
        (results / "good/zebra.json").write_text("{")
        [note] = compare_sides(find("good", results), find("bad", results)).notes
        assert "1 files were passed over" in note

    def test_a_file_that_is_no_record(self, results: Path) -> None:
        with pytest.raises(UsageError, match="expected a record"):
            find(str(results / "good/coco.items.npz"), results)


class TestPaper:
    def test_a_number_as_printed_is_equal(self, results: Path) -> None:
        rank = np.r_[np.zeros(3607, int), np.ones(1393, int)].tolist()  # 72.14, printed 72.1
        write(results, "own", rank, **OWN)
        found = compare_with_paper(find("own", results))
        row = found.rows[0]
        assert (row.paper, row.verdict, row.comparable) == (72.1, "equal", True)
        assert row.one_item == pytest.approx(100 / PICTURES)
        assert found.rows[1].verdict == "apart" or found.rows[1].low is None
        assert found.own

    def test_fewer_items_than_published_are_not_comparable(self, results: Path) -> None:
        found = compare_with_paper(find("good", results))
        assert not found.own
        assert [row.verdict for row in found.rows] == ["not comparable"] * 2
        assert found.exit_code == 3
        text = printed(paper_table(found))
        assert "counts.expected: 40 | 5000" in text
        assert "reference row" in text

    @pytest.mark.parametrize(
        ("value", "verdict"),
        [(0.7210, "equal"), (0.72190, "rounded twice"), (0.72215, "one item"), (0.7240, "inside"), (0.75, "apart")],
    )
    def test_verdicts(self, results: Path, value: float, verdict: str) -> None:
        interval = {"low": value - 0.01, "high": value + 0.01}
        scores = [{"subset": "*", "metric": "i2t_r1", "value": value, "n": 1000, "interval": interval}]
        write(results, "own", GOOD, **OWN, scores=scores)
        [row] = compare_with_paper(find("own", results)).rows
        assert row.verdict == verdict


class TestBilingual:
    def test_pictures_are_known_by_the_number_in_their_names(self, results: Path) -> None:
        write(results, "good", GOOD, "flickr30k", names=[f"images/{n}.jpg" for n in range(PICTURES)])
        write(results, "good", GOOD[::-1], "flickr30k-cna", names=[str(n) for n in reversed(range(PICTURES))])
        found = gaps(find("good", results))
        assert [(each.english, each.chinese, each.metric) for each in found] == [
            ("flickr30k", "flickr30k-cna", metric) for metric in ("i2t_r1", "t2i_r1")
        ]
        assert found[0].shared == PICTURES
        assert found[0].difference == 0
        assert found[0].high is not None
        assert found[0].high < 0.06
        assert "the same" in printed(gaps_table(found))

    def test_other_pictures_are_said_and_make_the_interval_wider(self, results: Path) -> None:
        write(results, "good", BAD[:20], "coco-cn", names=[f"COCO_val2014_{n + 1000:012d}" for n in range(20)])
        found = gaps(find("good", results))[0]
        assert (found.shared, found.pictures) == (0, (40, 20))
        assert found.low is not None
        assert found.high is not None
        assert found.high - found.low > 0.4
        assert "40 and 20 pictures, 0 of them the same" in " ".join(printed(gaps_table([found])).split())

    def test_without_a_pair_there_is_no_gap(self, results: Path) -> None:
        assert gaps(find("good", results)) == []

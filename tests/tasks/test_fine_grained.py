from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbench.errors import DataError, DataMissingError
from fgbench.requests import Embeddings, Texts
from fgbench.task import Loaded, Scores

from ..layouts import FG_OVD_FILES, fg_ovd, fg_ovd_row, write_json_lines
from .reading import opened


def load(root: Path, limit: int | None = None) -> Loaded:
    return opened("fg-ovd", root, limit=limit).loaded


def embeddings(vectors: Sequence[Sequence[float]], failed: Mapping[int, str] | None = None) -> Embeddings:
    return Embeddings(np.array(vectors, dtype=np.float32), failed or {})


def values(scores: Scores) -> dict[str, tuple[float, int]]:
    """Accuracy and number of items by subset."""
    assert {score.metric for score in scores.scores} == {"top1"}
    return {score.subset: (score.value, score.n) for score in scores.scores}


def with_hard(root: Path, *hard: dict[str, Any]) -> None:
    fg_ovd(root, {"hard": hard})


class TestLoading:
    def test_four_subsets_are_loaded_in_the_order_of_the_paper(self, tmp_path: Path) -> None:
        fg_ovd(tmp_path)
        loaded = load(tmp_path)
        assert loaded.size == {"hard": 2, "medium": 2, "easy": 2, "trivial": 2}
        assert loaded.items.ids.tolist() == [0, 1, 10, 11, 20, 21, 30, 31]

    def test_the_right_text_comes_first_and_all_are_lower_cased(self, tmp_path: Path) -> None:
        with_hard(
            tmp_path, fg_ovd_row(7, "1_attributes", pos_expression=["B Cup"], neg_expression=["A Cup", "C É Cup"])
        )
        items = load(tmp_path).items
        assert [items.texts[entry] for entry in items.candidates[0]] == ["b cup", "a cup", "c é cup"]

    def test_shorter_lists_are_filled_with_minus_one(self, tmp_path: Path) -> None:
        short = fg_ovd_row(1, "1_attributes", neg_expression=["x"])
        long = fg_ovd_row(2, "1_attributes", neg_expression=["x", "y", "z"])
        with_hard(tmp_path, short, long)
        candidates = load(tmp_path).items.candidates
        assert (candidates[0, 2:] == -1).all()
        assert (candidates[1] >= 0).all()

    def test_equal_texts_are_one_candidate_after_lower_casing(self, tmp_path: Path) -> None:
        with_hard(tmp_path, fg_ovd_row(1, "1_attributes", pos_expression=["A cup"], neg_expression=["a CUP", "B", "b"]))
        assert load(tmp_path).items.candidates[0].tolist() == [0, 0, 1, 1]

    def test_the_limit_applies_to_each_subset(self, tmp_path: Path) -> None:
        fg_ovd(tmp_path)
        assert load(tmp_path, limit=1).items.ids.tolist() == [0, 10, 20, 30]
        assert load(tmp_path, limit=99).size == load(tmp_path).size

    def test_blank_lines_do_not_count(self, tmp_path: Path) -> None:
        fg_ovd(tmp_path)
        path = tmp_path / "fgovd/h_attributes_llava.jsonl"
        path.write_text("\n" + path.read_text() + "\n\n")
        assert load(tmp_path, limit=2).size["hard"] == 2

    def test_numbers_of_a_box_are_kept_as_they_are(self, tmp_path: Path) -> None:
        with_hard(tmp_path, fg_ovd_row(1, "1_attributes", bbox=[495.51, -0.25, 0.07, 0.08]))
        assert opened("fg-ovd", tmp_path).regions.boxes[0].tolist() == [495.51, -0.25, 0.07, 0.08]


class TestRequests:
    def test_each_picture_and_text_is_asked_for_once(self, tmp_path: Path) -> None:
        other = fg_ovd_row(2, "1_attributes", img_path="train2017/000000000002.png")
        with_hard(tmp_path, fg_ovd_row(1, "1_attributes"), other, fg_ovd_row(3, "1_attributes"))
        (tmp_path / "coco").mkdir()
        found = opened("fg-ovd", tmp_path, limit=3)
        assert found.paths == ["coco/val2017/000000000001.png", "coco/train2017/000000000002.png"]
        regions, texts = found.regions, found.requests["texts"]
        assert isinstance(texts, Texts)
        assert regions.image_index.tolist()[:3] == [0, 1, 0]
        assert regions.budget is None
        assert texts.texts == ["a light grey pipe.", "a dark grey pipe.", "a pink pipe."]
        assert texts.kind == "box"
        assert texts.mentions == 9 * 3


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"test_type": "2_attributes"}, "test_type is '2_attributes', but the hard file has '1_attributes' only"),
            ({"pos_expression": []}, "expected one text in 'pos_expression' .* found 0 and 2"),
            ({"pos_expression": ["a", "b"]}, "found 2 and 2"),
            ({"neg_expression": []}, "found 1 and 0"),
            ({"pos_expression": "a"}, "field 'pos_expression' should be a list, found a string"),
            ({"neg_expression": ["a", None]}, r"field 'neg_expression'\[1\] should be a string, found nothing"),
            ({"bbox": [1, 2, 3]}, "field 'bbox' should be"),
            ({"sent_id": "1"}, "field 'sent_id' should be an integer"),
            ({"img_path": 3}, "field 'img_path' should be a string"),
            ({"img_path": "../../etc/passwd"}, "would leave the image folder"),
        ],
    )
    def test_a_wrong_line_is_named(self, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
        with_hard(tmp_path, fg_ovd_row(1, "1_attributes"), fg_ovd_row(2, "1_attributes", **changes))
        with pytest.raises(DataError, match=rf"h_attributes_llava.jsonl:2: (.*){message}"):
            load(tmp_path)

    @pytest.mark.parametrize("name", ["img_path", "bbox", "pos_expression", "neg_expression", "sent_id", "test_type"])
    def test_an_absent_field_is_named(self, tmp_path: Path, name: str) -> None:
        row = fg_ovd_row(1, "1_attributes")
        del row[name]
        with_hard(tmp_path, row)
        with pytest.raises(DataError, match=f"h_attributes_llava.jsonl:1: field '{name}' is missing"):
            load(tmp_path)

    def test_files_under_each_other_s_names_are_refused(self, tmp_path: Path) -> None:
        fg_ovd(tmp_path)
        (tmp_path / "fgovd/m_attributes_llava.jsonl").replace(tmp_path / "fgovd/h_attributes_llava.jsonl")
        fg_ovd(tmp_path / "other")
        (tmp_path / "other/fgovd/m_attributes_llava.jsonl").replace(tmp_path / "fgovd/m_attributes_llava.jsonl")
        with pytest.raises(DataError, match="test_type is '2_attributes'"):
            load(tmp_path)

    @pytest.mark.parametrize("subset", FG_OVD_FILES)
    def test_a_missing_file_is_missing_data(self, tmp_path: Path, subset: str) -> None:
        fg_ovd(tmp_path)
        name = FG_OVD_FILES[subset][0]
        (tmp_path / "fgovd" / name).unlink()
        with pytest.raises(DataMissingError, match=f"fg-ovd: no {subset} found"):
            load(tmp_path)


class TestScore:
    TEXTS = embeddings([[1, 0], [0, 1], [-1, 0]])

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """One item per subset; all with the texts grey, dark, pink in this order."""
        fg_ovd(tmp_path)
        return tmp_path

    def test_the_best_text_wins_and_a_tie_is_won(self, root: Path) -> None:
        regions = embeddings([[1, 0], [0, 1], [0.5, 0.5], [-1, 0]])
        found = opened("fg-ovd", root, limit=1).score(regions=regions, texts=self.TEXTS)
        assert values(found) == {"hard": (1, 1), "medium": (0, 1), "easy": (1, 1), "trivial": (0, 1)}
        assert found.ties == {"hard/top1": 0, "medium/top1": 0, "easy/top1": 1, "trivial/top1": 0}
        assert found.outcomes["easy/margin"].tolist() == [0]
        assert found.outcomes["trivial/margin"].tolist() == [-2]
        assert found.outcomes["trivial/id"].tolist() == [30]
        assert (found.evaluated, found.skipped) == (4, Counter())

    def test_items_without_a_region_are_left_out_and_counted(self, root: Path) -> None:
        regions = embeddings([[1, 0], [0, 0], [1, 0], [1, 0]], {1: "image_missing"})
        found = opened("fg-ovd", root, limit=1).score(regions=regions, texts=self.TEXTS)
        assert values(found) == {"hard": (1, 1), "easy": (1, 1), "trivial": (1, 1)}
        assert (found.evaluated, found.skipped) == (3, Counter(image_missing=1))

    def test_accuracy_is_the_share_of_right_ones(self, tmp_path: Path) -> None:
        with_hard(tmp_path, *(fg_ovd_row(number, "1_attributes") for number in range(5)))
        regions = embeddings([[1, 0]] * 3 + [[0, 1]] * 2 + [[1, 0]] * 6)
        found = opened("fg-ovd", tmp_path).score(regions=regions, texts=self.TEXTS)
        assert values(found)["hard"] == (0.6, 5)
        assert values(found)["medium"] == (1.0, 2)


def test_a_layout_without_folder_is_found_too(tmp_path: Path) -> None:
    for name, test_type in FG_OVD_FILES.values():
        write_json_lines(tmp_path / name, [fg_ovd_row(1, test_type)])
    assert load(tmp_path).size["easy"] == 1

"""Detection: proposals of a detector, re-scored by an image-text model, against plain loops."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbench.data.proposals import Proposals
from fgbench.detector import HasDetectionPictures
from fgbench.errors import DataError, DataMissingError, UsageError
from fgbench.report.paper import REFERENCE, published
from fgbench.requests import ClassScores, RegionScores
from fgbench.selection import datasets
from fgbench.task import ScoresPredictions
from fgbench.tasks.rescoring import TEMPERATURES

from ..layouts import Row, write_json
from ..metrics import lvis_loop
from .lvis_files import (
    answered,
    categories,
    content,
    image,
    loaded,
    lvis,
    metric,
    proposals,
    random_set,
    requested,
    store,
    thing,
)
from .reading import Opened


@pytest.fixture
def random(tmp_path: Path) -> tuple[Path, Row, Proposals]:
    file, found = random_set()
    lvis(tmp_path, file)
    store(tmp_path, found)
    return tmp_path, file, found


def all_failed(answer: ClassScores) -> ClassScores:
    boxes = len(answer.best_class)
    return replace(answer, best_class=np.full(boxes, -1), failed=dict.fromkeys(range(boxes), "image_missing"))


def results(found: Proposals, scores: Any = None) -> list[Row]:
    """Proposals as rows of a results file."""
    corners = found.box[found.det_box].astype(float)
    corners[:, 2:] -= corners[:, :2]
    values = found.det_score if scores is None else scores
    ids = found.image_ids[found.det_image]
    return [
        {
            "image_id": int(ids[n]),
            "category_id": int(found.det_category[n]),
            "bbox": list(box),
            "score": float(values[n]),
        }
        for n, box in enumerate(corners)
    ]


def clipped(row: Row) -> Row:
    """A detection within its picture of 640 × 480."""
    x, y, width, height = row["bbox"]
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + width, 640), min(y + height, 480)
    return {**row, "bbox": [left, top, right - left, bottom - top]}


def loop_ap(file: Row, rows: list[Row], **options: Any) -> float:
    precision, _ = lvis_loop.box_ap(file, rows, **options)
    return float(np.nanmean(precision[0].mean(axis=0)))


def scored(found: Opened, answer: Any) -> Any:
    return found.task.score(found.spec, found.loaded, {"regions": answer})


class TestAsked:
    def test_every_proposal_against_every_class(self, random: tuple[Path, Row, Proposals]) -> None:
        root, _, found = random
        request = requested(loaded(root))
        assert isinstance(request, RegionScores)
        assert request.classes.names == ["bow (weapon)", "Band Aid", "cup", "ski pole"]
        assert (len(request.classes.templates), request.classes.kind, request.classes.lowercase) == (80, "box", True)
        assert "a bad photo of a band aid." in request.classes.strings()
        assert request.temperatures == TEMPERATURES
        np.testing.assert_array_equal(request.pair_class, found.det_category - 1)
        np.testing.assert_array_equal(request.pair_box, found.det_box)
        np.testing.assert_array_equal(request.image_index, found.box_image)
        np.testing.assert_allclose(request.boxes[:, :2] + request.boxes[:, 2:], found.box[:, 2:])
        assert [str(ref).rsplit("/", 1)[1] for ref in request.images] == [f"{n:012d}.png" for n in range(1, 7)]

    def test_all_1203_names_keep_their_order_and_their_parentheses(self, tmp_path: Path, shared: Path) -> None:
        table = (shared / "data/lvis_v1_categories.tsv").read_text(encoding="utf-8").splitlines()[1:]
        names = [line.split("\t")[1] for line in table]
        lvis(tmp_path, content([image(1)], [], categories(names)))
        store(tmp_path, proposals([], [1]))
        found = loaded(tmp_path)
        asked = requested(found).classes.names
        assert len(set(asked)) == 1203
        assert asked == [name.replace("_", " ") for name in names]
        assert {"bow (weapon)", "bow (decorative ribbons)"} <= set(asked)
        assert not any("categories instead" in note for note in found.loaded.notes)

    def test_only_the_best_of_each_picture(self, random: tuple[Path, Row, Proposals]) -> None:
        root, file, _ = random
        rows = [(1, (n % 12, n // 12, 5, 5), {1: 0.001 * n + 0.1}) for n in range(120)]
        root = root / "more"
        lvis(root, file)
        store(root, proposals(rows, range(1, 7)))
        chosen = loaded(root, per_image="100")
        assert len(requested(chosen).pair_box) == 100
        assert len(requested(loaded(root)).pair_box) == 120
        assert len(chosen.loaded.items.untouched.proposals) == 120
        assert chosen.loaded.items.chosen.proposals.det_score.min() == pytest.approx(0.12)

    def test_a_note_says_whose_proposals_they_are(self, random: tuple[Path, Row, Proposals]) -> None:
        root, _, found = random
        note = f"Proposals of any-detector: {len(found)} detections on {len(found.box)} boxes."
        assert note in loaded(root).loaded.notes
        assert [path.name for path in loaded(root).files.read] == ["lvis_v1_val.json", "proposals.json"]


class TestScored:
    def test_the_fused_and_the_untouched_ap(self, random: tuple[Path, Row, Proposals]) -> None:
        root, file, found = random
        opened = loaded(root)
        answer = answered(requested(opened))
        scores = scored(opened, answer)
        log_p = answer.cosine.astype(float) / 0.01 - answer.log_normaliser[found.det_box, 1]
        product = results(found, found.det_score * np.exp(log_p))
        assert metric(scores, "fused") == pytest.approx(loop_ap(file, product), abs=1e-12)
        assert metric(scores, "detector") == pytest.approx(loop_ap(file, results(found)), abs=1e-12)
        assert metric(scores, "fused") != metric(scores, "detector")
        capped = loop_ap(file, results(found), per_category=None, per_image=300)
        assert metric(scores, "detector-300") == pytest.approx(capped, abs=1e-12)
        assert (scores.evaluated, scores.skipped) == (6, {})
        weighted = [(each.value, each.n) for each in scores.scores if each.subset == "fused"][1:4]
        assert metric(scores, "fused") == pytest.approx(sum(v * n for v, n in weighted) / sum(n for _, n in weighted))
        assert {each.metric for each in scores.scores if each.subset == "fused-300"} == {
            "ap", "apr", "apc", "apf", "ar300",
        }  # fmt: skip
        assert {each.metric for each in scores.scores} <= set(opened.spec.metrics)

    def test_ap_of_each_category_is_kept(self, random: tuple[Path, Row, Proposals]) -> None:
        opened = loaded(random[0])
        scores = scored(opened, answered(requested(opened)))
        assert scores.outcomes["category"].tolist() == [1, 2, 3, 4]
        assert scores.outcomes["frequency"].tolist() == ["r", "c", "f", "f"]
        for name in ("fused", "detector"):
            assert np.nanmean(scores.outcomes[f"ap/{name}"]) == pytest.approx(metric(scores, name))

    def test_a_weight_of_nothing_leaves_the_detector_s_ap(self, random: tuple[Path, Row, Proposals]) -> None:
        opened = loaded(random[0], alpha="0")
        scores = scored(opened, answered(requested(opened)))
        for name in ("ap", "apr", "apc", "apf", "ap50", "ap75"):
            assert metric(scores, "fused", name) == metric(scores, "detector", name)

    @pytest.mark.parametrize("choice", [{"labels": "argmax_scores"}, {"labels": "argmax_clip"}, {"temperature": "0.1"}])
    def test_choices_change_only_the_fused_numbers(
        self, random: tuple[Path, Row, Proposals], choice: dict[str, Any]
    ) -> None:
        usual, other = loaded(random[0]), loaded(random[0], **choice)
        answer = answered(requested(usual))
        assert metric(scored(usual, answer), "fused") != metric(scored(other, answer), "fused")
        assert metric(scored(usual, answer), "detector") == metric(scored(other, answer), "detector")

    def test_a_picture_with_a_box_that_failed_leaves_the_set(self, random: tuple[Path, Row, Proposals]) -> None:
        root, file, found = random
        opened = loaded(root)
        whole = answered(requested(opened))
        failed = {int(n): "image_missing" for n in np.flatnonzero(found.box_image == 2)} | {0: "degenerate_box"}
        lost = np.isin(np.arange(len(found.box)), list(failed))
        answer = ClassScores(
            np.where(lost[found.det_box], np.nan, whole.cosine).astype(np.float32),
            whole.log_normaliser,
            np.where(lost, -1, whole.best_class),
            whole.best_cosine,
            failed,
        )
        scores = scored(opened, answer)
        assert (scores.evaluated, dict(scores.skipped)) == (4, {"image_missing": 1, "degenerate_box": 1})
        kept = {"images": [row for row in file["images"] if row["id"] not in (1, 3)]}
        kept["annotations"] = [row for row in file["annotations"] if row["image_id"] not in (1, 3)]
        rows = [row for row in results(found) if row["image_id"] not in (1, 3)]
        assert metric(scores, "detector") == pytest.approx(loop_ap({**file, **kept}, rows), abs=1e-12)
        nothing = scored(opened, all_failed(whole))
        assert (nothing.scores, nothing.evaluated, dict(nothing.skipped)) == ([], 0, {"image_missing": 6})

    def test_no_proposals_at_all_are_an_ap_of_zero(self, tmp_path: Path) -> None:
        lvis(tmp_path, content([image(1)], [thing(1, 1, 2)]))
        store(tmp_path, proposals([], [1]))
        opened = loaded(tmp_path)
        scores = scored(opened, answered(requested(opened)))
        assert {each.value for each in scores.scores} == {0.0}
        assert "apr" not in {each.metric for each in scores.scores}, "no rare category has an object"


class TestProposals:
    def test_without_any_the_reason_names_the_command(self, tmp_path: Path) -> None:
        lvis(tmp_path, content([image(1)], []))
        opened = loaded(tmp_path)
        with pytest.raises(DataMissingError, match=r"no proposals found; .*lvis/proposals/val.*fgbench detect"):
            requested(opened)

    def test_minival_takes_its_part_of_val_s(self, random: tuple[Path, Row, Proposals]) -> None:
        root, file, _ = random
        other = root / "val"
        lvis(other, file)
        _, found = random_set(9)
        store(other, found, "val")
        assert loaded(other).loaded.items.untouched.proposals.image_ids.tolist() == [1, 2, 3, 4, 5, 6]
        with pytest.raises(DataError, match=r"val: 3 pictures are not in the annotation file, e.g. image 7"):
            loaded(other, "lvis-val")

    def test_a_picture_without_a_record_is_refused_unless_few_were_asked_for(self, tmp_path: Path) -> None:
        file, _ = random_set(6)
        lvis(tmp_path, file)
        store(tmp_path, random_set(4)[1])
        with pytest.raises(DataError, match=r"minival: The proposals lack 2 of 6 pictures, e.g. image 5.*--limit"):
            loaded(tmp_path)
        assert loaded(tmp_path, limit=4).loaded.size == {"images": 4}

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ((1, (0, 0, 5, 5), {9: 0.5}), "category 9 is not in the annotation file, whose ids are 1 to 4"),
            ((1, (0, 0, 5, 5), {0: 0.5}), "category 0 is not in the annotation file"),
            ((1, (0, 0, 5, 5), {1: -0.5}), r"scores should be at least 0 \(probabilities\), found -0.5"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, tmp_path: Path, row: Any, message: str) -> None:
        lvis(tmp_path, content([image(1)], []))
        store(tmp_path, proposals([row], [1]))
        with pytest.raises(DataError, match=message):
            loaded(tmp_path)


class TestPredictions:
    def read(self, opened: Opened, path: Path, **options: str) -> Any:
        assert isinstance(opened.task, ScoresPredictions)
        return opened.task.predictions(opened.spec, opened.loaded, path, options)

    def test_a_results_file_is_scored_as_it_is_and_needs_no_proposals(
        self, random: tuple[Path, Row, Proposals], tmp_path: Path
    ) -> None:
        _, file, found = random
        root = tmp_path / "elsewhere"
        lvis(root, file)
        path = write_json(root / "results.json", results(found))
        opened = loaded(root)
        scores = opened.task.score(opened.spec, opened.loaded, self.read(opened, path).answers)
        assert metric(scores, "detector") == pytest.approx(loop_ap(file, results(found)), abs=1e-12)
        assert {each.subset for each in scores.scores} == {"detector", "detector-300"}
        assert scores.evaluated == 6

    def test_the_invented_set(self, tmp_path: Path, shared: Path) -> None:
        truth = json.loads((shared / "data/lvis/synthetic_gt.json").read_text())
        for row in truth["images"]:
            row["coco_url"] = row["coco_url"].replace("train2017", "val2017")
        lvis(tmp_path, truth)
        opened = loaded(tmp_path)
        path = shared / "data/lvis/synthetic_dets.json"
        found = self.read(opened, path)
        assert "boxes clipped to the picture" in found.notes[0]
        scores = opened.task.score(opened.spec, opened.loaded, found.answers)
        expected = loop_ap(truth, [clipped(row) for row in json.loads(path.read_text())])
        assert metric(scores, "detector") == pytest.approx(expected, abs=1e-5)
        assert abs(expected - 0.461299) < 0.005, "clipping changes little"

    def test_what_is_dropped_is_said(self, random: tuple[Path, Row, Proposals]) -> None:
        root, _, found = random
        rows = results(found)
        path = write_json(root / "r.json", [*rows, rows[0], {**rows[0], "bbox": [1, 1, 0, 5]}])
        opened = loaded(root)
        read = self.read(opened, path)
        [note] = read.notes
        assert note.startswith("r.json: 96 of 98 entries kept")
        assert "1 dropped: width or height not above 0; 1 dropped: repeats" in note
        assert len(read.answers["detections"]) == len(rows)

    def test_there_are_no_options(self, random: tuple[Path, Row, Proposals]) -> None:
        with pytest.raises(UsageError, match="'alpha': predictions for lvis-minival have no options"):
            self.read(loaded(random[0]), random[0] / "r.json", alpha="1")


def test_a_detector_is_told_what_to_look_at(random: tuple[Path, Row, Proposals]) -> None:
    opened = loaded(random[0])
    assert isinstance(opened.task, HasDetectionPictures)
    shown = opened.task.pictures_to_detect(opened.spec, opened.files, 2)
    assert shown.image_ids.tolist() == [1, 2]
    assert list(shown.names) == ["bow_(weapon)", "Band_Aid", "cup", "ski_pole"]


@pytest.mark.parametrize("name", ["lvis-minival", "lvis-val"])
def test_the_declaration(name: str) -> None:
    """Five printed rows contradict themselves, and a note says so."""
    spec = datasets().get(name)[1]
    assert spec.task == "detection"
    assert {key.metric for key in spec.main} <= set(spec.metrics)
    assert spec.files["proposals"][-1] == "lvis/proposals/val"
    assert all(spec.protocol.choices[key].allows(spec.protocol.choice(key)) for key in spec.protocol.choices)
    assert any("five printed rows contradict" in note for note in spec.notes)


@pytest.mark.parametrize("name", ["lvis-minival", "lvis-val"])
def test_the_paper_s_rows(name: str) -> None:
    """Of a model it is called 'LLMDet + X'. The detector's own row is LLMDet's, which may not be what is used here."""
    spec = datasets().get(name)[1]
    assert set(spec.published) == set(spec.main) < set(spec.shown)
    printed, others = (
        {f"{key.subset}/{key.metric}": published(spec, key, row) for key in spec.main}
        for row in (REFERENCE, ("SigLIP 2", "ViT-B/16"))
    )
    ours = {"lvis-minival": [51.6, 47.5, 50.7, 53.2], "lvis-val": [44.0, 37.4, 42.8, 48.2]}[name]
    assert list(printed.values()) == ours
    assert None not in others.values()
    assert others["fused/ap"] != printed["fused/ap"]

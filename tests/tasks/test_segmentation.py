"""Segmentation sets in every layout, from files to scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fgbench.errors import DataError, DataMissingError
from fgbench.metrics.confusion import mean_iou
from fgbench.tasks.segmentation import TASK

from ..fakes import save_picture
from .segmentation_layouts import (
    ADE,
    ADE_FULL,
    CLASSES,
    NO,
    STEMS,
    VOC2010,
    VOC2012,
    WRITERS,
    image_folder,
    opened,
    predicted,
    reference,
    save,
    some_maps,
    some_predictions,
    values,
    write_merged_json,
    write_set,
)

FORMS = [*WRITERS, ("pascal-context-59", "json")]
PREPARED = f"{ADE}/annotations_detectron2/validation"


@pytest.mark.parametrize(("dataset", "form"), FORMS)
class TestEveryLayout:
    def test_a_known_prediction_has_the_scores_of_scikit_learn(self, tmp_path: Path, dataset: str, form: str) -> None:
        maps = some_maps(dataset)
        write_set(tmp_path, dataset, form, maps)
        found = opened(dataset, tmp_path, limit=3)
        assert found.stems == list(maps)
        predictions = some_predictions(dataset, list(maps.values()))
        scores = found.score(predictions)
        if dataset == "voc-21":
            predictions = [np.where(each < 59, np.minimum(each, 20), NO) for each in predictions]
        expected = reference(list(maps.values()), predictions, CLASSES[dataset])
        assert values(scores) == pytest.approx(expected, rel=1e-12)
        assert list(values(scores)) == list(found.spec.metrics)
        assert expected["miou"] > expected["miou_union"] > expected["miou_all"]
        assert {each.n for each in scores.scores} == {3}
        assert (scores.evaluated, scores.skipped) == (3, {})

    def test_right_everywhere_is_1(self, tmp_path: Path, dataset: str, form: str) -> None:
        maps = some_maps(dataset)
        write_set(tmp_path, dataset, form, maps)
        found = values(opened(dataset, tmp_path, limit=3).score(list(maps.values())))
        assert found.pop("miou_all") < 1
        assert set(found.values()) == {1.0}

    def test_pictures_and_ground_truth_are_found(self, tmp_path: Path, dataset: str, form: str) -> None:
        maps = some_maps(dataset)
        write_set(tmp_path, dataset, form, maps)
        found = opened(dataset, tmp_path, limit=3)
        folder = tmp_path / image_folder(dataset, form)
        assert [ref.path for ref in found.maps.images] == [str(folder / f"{stem}.jpg") for stem in maps]
        assert found.loaded.size == {"all": 3}
        assert found.loaded.rejected == {}
        [note] = found.loaded.notes
        assert note.startswith(f"ground truth: {'raw' if form in ('raw', 'aug', 'json', 'matlab') else 'prepared'}")
        sizes = [found.loaded.items.size(row) for row in range(3)]
        assert sizes == [labels.shape for labels in maps.values()]
        assert found.maps.short_side == (512 if (dataset, form) == ("ade20k-847", "raw") else None)


class TestWhichFiles:
    def test_prepared_before_raw_unless_the_user_names_the_raw_folder(self, tmp_path: Path) -> None:
        maps = some_maps("ade20k-150")
        for form in ("raw", "prepared"):
            write_set(tmp_path, "ade20k-150", form, maps)
        assert "prepared" in opened("ade20k-150", tmp_path).loaded.notes[0]
        raw = opened("ade20k-150", tmp_path, raw=tmp_path / ADE / "annotations/validation")
        assert "raw" in raw.loaded.notes[0]
        assert values(raw.score(list(maps.values())))["miou"] == 1

    def test_the_label_folder_defines_the_split(self, tmp_path: Path) -> None:
        """JPEGImages holds many more pictures; other files in the label folder are no label maps."""
        maps = some_maps("voc-20")
        write_set(tmp_path, "voc-20", "prepared", maps)
        save_picture(tmp_path / VOC2012 / "JPEGImages/2007_000001.jpg")
        for name in ("readme.txt", ".2008_000009.png", "Thumbs.db"):
            (tmp_path / VOC2012 / "annotations_detectron2/val" / name).touch()
        assert opened("voc-20", tmp_path).stems == list(STEMS)

    def test_pictures_need_not_be_jpeg(self, tmp_path: Path) -> None:
        write_set(tmp_path, "voc-20", "prepared", some_maps("voc-20"))
        folder = tmp_path / VOC2012 / "JPEGImages"
        (folder / f"{STEMS[0]}.jpg").unlink()
        save_picture(folder / f"{STEMS[0]}.png")
        assert opened("voc-20", tmp_path).maps.images[0].path.endswith(f"{STEMS[0]}.png")

    def test_a_missing_picture_is_expected_at_its_place(self, tmp_path: Path) -> None:
        write_set(tmp_path, "voc-20", "prepared", some_maps("voc-20"))
        picture = tmp_path / VOC2012 / "JPEGImages" / f"{STEMS[1]}.jpg"
        picture.unlink()
        found = opened("voc-20", tmp_path)
        assert found.maps.images[1].path == str(picture)
        maps = some_predictions("voc-20", list(some_maps("voc-20").values()))
        scores = found.score(maps, failed={1: "image_missing"})
        assert (scores.evaluated, scores.skipped) == (2, {"image_missing": 1})

    def test_two_label_maps_for_one_picture(self, tmp_path: Path) -> None:
        write_set(tmp_path, "ade20k-150", "prepared", some_maps("ade20k-150"))
        save(tmp_path / PREPARED / f"{STEMS[0]}.tif", np.zeros((2, 2), np.uint8))
        with pytest.raises(DataError, match=rf"two label maps for one picture: {STEMS[0]}\.png and {STEMS[0]}\.tif"):
            opened("ade20k-150", tmp_path)

    @pytest.mark.parametrize("dataset", CLASSES)
    def test_without_files_all_places_are_named(self, tmp_path: Path, dataset: str) -> None:
        with pytest.raises(DataMissingError, match=r"no label maps found\. Looked for") as caught:
            opened(dataset, tmp_path)
        spec = next(spec for spec in TASK.datasets if spec.id == dataset)
        for role in set(spec.files) - {"images", "split"}:
            assert all(str(tmp_path / place) in str(caught.value) for place in spec.files[role])
        assert spec.how_to_get in str(caught.value)

    @pytest.mark.parametrize(
        ("dataset", "folder"), [("ade20k-150", PREPARED), ("pascal-context-459", f"{VOC2010}/trainval")]
    )
    def test_an_empty_folder(self, tmp_path: Path, dataset: str, folder: str) -> None:
        (tmp_path / folder).mkdir(parents=True)
        with pytest.raises(DataMissingError, match=rf"{folder} \(there, but without the expected label maps"):
            opened(dataset, tmp_path)

    def test_an_empty_folder_of_prepared_label_maps_does_not_hide_the_raw_ones(self, tmp_path: Path) -> None:
        write_set(tmp_path, "ade20k-150", "raw", some_maps("ade20k-150"))
        (tmp_path / PREPARED).mkdir(parents=True)
        assert "raw" in opened("ade20k-150", tmp_path).loaded.notes[0]

    def test_instance_folders_of_ade_are_not_searched(self, tmp_path: Path) -> None:
        write_set(tmp_path, "ade20k-847", "raw", some_maps("ade20k-847"))
        assert list(tmp_path.rglob("ADE_val_99999999_seg.png"))
        assert "ADE_val_99999999" not in opened("ade20k-847", tmp_path).stems

    def test_a_split_file_cannot_climb(self, tmp_path: Path) -> None:
        write_set(tmp_path, "voc-21", "raw", some_maps("voc-21"))
        (tmp_path / VOC2012 / "ImageSets/Segmentation/val.txt").write_text("../../../etc/passwd\n", encoding="utf-8")
        with pytest.raises(DataError, match="would leave the image folder"):
            opened("voc-21", tmp_path)


class TestMissingAndBroken:
    def test_what_cannot_be_scored_is_counted_by_reason(self, tmp_path: Path) -> None:
        maps = some_maps("ade20k-150") | {f"x{n}": some_maps("ade20k-150", seed=n)[STEMS[0]] for n in range(3)}
        write_set(tmp_path, "ade20k-150", "prepared", maps)
        labels = tmp_path / PREPARED
        (labels / f"{STEMS[0]}.png").write_bytes(b"no picture")
        save(labels / f"{STEMS[1]}.png", np.full(maps[STEMS[1]].shape, 150, np.uint8))
        save(labels / f"{STEMS[2]}.png", np.zeros((5, 7), np.uint8))
        save(labels / "x0.png", np.zeros((*maps["x0"].shape, 3), np.uint8))
        found = opened("ade20k-150", tmp_path)
        predictions = some_predictions("ade20k-150", list(maps.values()))
        scores = found.score(predictions, failed={4: "image_unreadable"})
        assert scores.evaluated == 1
        assert scores.skipped == {"mask_unreadable": 2, "mask_values": 1, "mask_size": 1, "image_unreadable": 1}
        assert scores.evaluated + scores.skipped.total() == sum(found.loaded.size.values()) == 6
        assert values(scores) == pytest.approx(reference([maps["x2"]], [predictions[5]], 150))
        text = "\n".join(scores.outcomes["problem"].tolist())
        assert f"{STEMS[0]}: {labels / STEMS[0]}.png: not a PNG or TIFF label map" in text
        assert f"{STEMS[1]}.png: 140 pixels with labels 150; expected 0 to 149, or 255" in text
        assert f"{STEMS[2]}.png has 7×5 pixels, but {found.maps.images[2]} gives 14×11" in text
        assert "mode 'RGB', not a label map" in text

    def test_label_maps_of_the_split_that_are_not_there(self, tmp_path: Path) -> None:
        maps = some_maps("voc-20")
        write_set(tmp_path, "voc-20", "raw", maps)
        (tmp_path / VOC2012 / "SegmentationClass" / f"{STEMS[1]}.png").unlink()
        found = opened("voc-20", tmp_path)
        assert found.loaded.size == {"all": 3}
        assert found.loaded.rejected == {"mask_missing": 1}
        assert f"1 label maps are not there, the first is {STEMS[1]}.png" in found.loaded.notes
        scores = found.score([maps[STEMS[0]], maps[STEMS[2]]])
        assert (scores.evaluated, scores.skipped) == (2, {"mask_missing": 1})

    def test_pascal_context_expects_its_5104_pictures(self, tmp_path: Path) -> None:
        write_set(tmp_path, "pascal-context-459", "matlab", some_maps("pascal-context-459"))
        found = opened("pascal-context-459", tmp_path)
        assert found.loaded.size == {"all": 5104}
        assert found.loaded.rejected == {"mask_missing": 5101}

    def test_8_bits_do_not_hold_847_classes(self, tmp_path: Path) -> None:
        maps = some_maps("ade20k-847")
        write_set(tmp_path, "ade20k-847", "prepared", maps)
        folder = tmp_path / ADE_FULL / "annotations_detectron2/validation"
        save(folder / "ADE_val_00000001.tif", (maps["ADE_val_00000001"] % 256).astype(np.uint8))
        scores = opened("ade20k-847", tmp_path).score(list(maps.values()))
        assert scores.skipped == {"mask_unreadable": 1}
        assert "cannot hold more than 255 classes" in scores.outcomes["problem"][0]

    def test_a_damaged_mask_in_the_json_file(self, tmp_path: Path) -> None:
        maps = some_maps("pascal-context-59")
        write_set(tmp_path, "pascal-context-59", "json", maps)
        path = write_merged_json(tmp_path, maps)
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"size": [9, 14]', '"size": [9, 15]', 1), encoding="utf-8")
        scores = opened("pascal-context-59", tmp_path).score(list(maps.values()))
        assert (scores.evaluated, scores.skipped) == (2, {"mask_unreadable": 1})
        path.write_text(text.replace('"category_id": 458', '"category_id": 70000', 1), encoding="utf-8")
        with pytest.raises(DataError, match=r"annos_segmentation\[0\]: field 'category_id' should be 0 to 65534"):
            opened("pascal-context-59", tmp_path)

    def test_nothing_at_all(self, tmp_path: Path) -> None:
        maps = {"a": np.full((4, 5), NO, np.uint16)}
        write_set(tmp_path, "ade20k-150", "prepared", maps)
        scores = opened("ade20k-150", tmp_path).score([np.zeros((4, 5), np.uint16)])
        assert (scores.evaluated, scores.scores) == (1, [])
        nothing = opened("ade20k-150", tmp_path).score([maps["a"]], failed={0: "image_missing"})
        assert (nothing.evaluated, nothing.scores, nothing.skipped) == (0, [], {"image_missing": 1})


class TestRawAde847:
    def test_large_label_maps_are_scored_at_a_short_side_of_512(self, tmp_path: Path) -> None:
        labels = np.repeat(np.array([0, 255, NO, 846], np.uint16), 256)[None].repeat(768, axis=0)
        write_set(tmp_path, "ade20k-847", "raw", {"ADE_val_00000001": labels})
        found = opened("ade20k-847", tmp_path)
        assert found.maps.short_side == 512
        assert found.loaded.items.size(0) == (512, 683)
        small = labels[np.ix_(np.arange(512) * 768 // 512, np.floor(np.arange(683) * (1024 / 683)).astype(int))]
        assert values(found.score([small]))["miou"] == 1
        assert found.score([labels]).skipped == {"mask_size": 1}


class TestOutcomes:
    def test_each_picture_s_own_matrix_is_kept(self, tmp_path: Path) -> None:
        maps = some_maps("voc-21")
        write_set(tmp_path, "voc-21", "prepared", maps)
        predictions = [np.minimum(each, 20) for each in some_predictions("voc-21", list(maps.values()))]
        scores = opened("voc-21", tmp_path).score(predictions, failed={1: "image_missing"})
        outcomes = scores.outcomes
        assert outcomes["id"].tolist() == [STEMS[0], STEMS[2]]
        image, prediction, truth, count = (
            outcomes[f"pixels/{name}"] for name in ("image", "prediction", "truth", "count")
        )
        assert (count > 0).all()
        for number, stem in enumerate(outcomes["id"].tolist()):
            assert count[image == number].sum() == (maps[stem] != NO).sum()
            assert outcomes["ignored"][number] == (maps[stem] == NO).sum()
        total = np.zeros((22, 21), dtype=np.int64)
        np.add.at(total, (prediction, truth), count)
        assert mean_iou(total).value == values(scores)["miou"]
        np.testing.assert_array_equal(outcomes["class/truth"], total.sum(axis=0))
        np.testing.assert_array_equal(outcomes["class/predicted"], total[:21].sum(axis=1))
        iou = outcomes["class/iou"]
        assert np.nanmean(iou) == pytest.approx(values(scores)["miou_union"])
        assert np.isnan(iou[3])
        assert outcomes["class/name"][20] == "background"
        assert all(array.dtype != object for array in outcomes.values())


def test_pictures_are_drawn_for_what_was_scored(tmp_path: Path) -> None:
    maps = some_maps("voc-21")
    write_set(tmp_path, "voc-21", "prepared", maps)
    save(tmp_path / VOC2012 / "annotations_detectron2_bg/val" / f"{STEMS[1]}.png", np.zeros((2, 2), np.uint8))
    found = opened("voc-21", tmp_path)
    features = {"maps": predicted(list(maps.values()))}
    drawn = list(TASK.pictures(found.spec, found.loaded, features, 5))
    assert [name for name, _ in drawn] == [STEMS[0], STEMS[2]]
    assert all(picture.mode == "RGB" and picture.width > picture.height for _, picture in drawn)
    assert len(list(TASK.pictures(found.spec, found.loaded, features, 1))) == 1

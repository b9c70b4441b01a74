"""ImageNet: labels from folder names, the official subset, prompts."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fgbench.data.files import DatasetFiles, Folders
from fgbench.errors import DataError, DataMissingError
from fgbench.requests import ClassPrompts, Embeddings, Images
from fgbench.selection import datasets
from fgbench.tasks.resources import lines

from .reading import opened, rows, touch

TENCH, GOLDFISH, KITE, MISSILE, PROJECTILE, SUNGLASS, SUNGLASSES = (
    "n01440764", "n01443537", "n01608432", "n03773504", "n04008634", "n04355933", "n04356056",
)  # fmt: skip


class Pretended(Folders):
    """The 50,000 pictures of ImageNet's validation set: names only."""

    def names(self, folder: str) -> frozenset[str]:
        parent, _, last = folder.rpartition("/")
        if last == "val":
            return frozenset(lines("imagenet_wnids"))
        if parent.endswith("/val"):
            start = 50 * lines("imagenet_wnids").index(last)
            return frozenset(f"ILSVRC2012_val_{start + number:08d}.JPEG" for number in range(50))
        return frozenset()


class TestImageNet1k:
    def test_q21_the_class_is_the_rank_of_the_wnid_not_the_number_in_the_mapping_file(self, tmp_path: Path) -> None:
        """There n02119789 (kit fox) is number 1."""
        names = [f"imagenet/val/{wnid}/ILSVRC2012_val_00000001.JPEG" for wnid in ("n02119789", KITE, TENCH)]
        touch(tmp_path, *names)
        found = opened("imagenet-1k", tmp_path)
        assert found.paths == [names[2], names[1], names[0]]
        assert [found.prompts.names[label] for label in found.loaded.items.label] == [
            "tench",
            "kite (bird of prey)",
            "kit fox",
        ]
        assert list(found.loaded.items.label) == [0, 21, 278]

    @pytest.mark.parametrize("place", ["imagenet/val", "imagenet-1k/val", "IN1K_val/val", "ILSVRC2012/val"])
    def test_folders_of_several_names_serve(self, tmp_path: Path, place: str) -> None:
        touch(tmp_path, f"{place}/{TENCH}/a.JPEG")
        assert opened("imagenet-1k", tmp_path).paths == [f"{place}/{TENCH}/a.JPEG"]

    @pytest.mark.parametrize("folder", ["", "val/", "imagenet/val/"])
    def test_every_picture_of_an_archive_counts_once_whatever_its_folders(self, tmp_path: Path, folder: str) -> None:
        (tmp_path / "imagenet").mkdir()
        members = [f"{folder}{wnid}/{name}.JPEG" for wnid in (GOLDFISH, TENCH) for name in "ab"]
        with zipfile.ZipFile(tmp_path / "imagenet/val.zip", "w") as archive:
            for member in members:
                archive.writestr(member, b"")
        found = opened("imagenet-1k", tmp_path)
        assert found.paths == [f"imagenet/val.zip!{member}" for member in (*members[2:], *members[:2])]
        assert list(found.loaded.items.names) == [
            f"{TENCH}/a.JPEG", f"{TENCH}/b.JPEG", f"{GOLDFISH}/a.JPEG", f"{GOLDFISH}/b.JPEG",
        ]  # fmt: skip
        assert list(found.loaded.items.label) == [0, 0, 1, 1]
        assert (found.loaded.size, found.loaded.rejected) == ({"all": 4}, {})

    def test_an_archive_in_the_folder_adds_to_its_files(self, tmp_path: Path) -> None:
        """A file wins over the member of the same name."""
        touch(tmp_path, f"imagenet/val/{TENCH}/a.JPEG")
        with tarfile.open(tmp_path / "imagenet/val/rest.tar", "w") as archive:
            for member in (f"./{TENCH}/a.JPEG", f"./{TENCH}/b.JPEG"):
                archive.addfile(tarfile.TarInfo(member))
        assert opened("imagenet-1k", tmp_path).paths == [
            f"imagenet/val/{TENCH}/a.JPEG",
            f"imagenet/val/rest.tar!./{TENCH}/b.JPEG",
        ]

    def test_a_folder_that_is_no_class_is_counted_and_named(self, tmp_path: Path) -> None:
        touch(tmp_path, *(f"imagenet/val/{folder}/a.JPEG" for folder in (TENCH, "n00000000", "misc")))
        touch(tmp_path, "imagenet/val/misc/b.png", f"imagenet/val/{TENCH}/list.txt", "imagenet/val/LOC_val.csv")
        found = opened("imagenet-1k", tmp_path)
        assert found.loaded.rejected == {"unknown_class_folder": 3}
        assert found.loaded.size == {"all": 4}
        assert found.loaded.notes == ("2 folders below val are not named after a class: 'misc', 'n00000000'",)
        assert found.paths == [f"imagenet/val/{TENCH}/a.JPEG"]

    def test_if_no_folder_is_a_class_the_data_are_refused(self, tmp_path: Path) -> None:
        """Numbers are class names in ImageNet-V2 only."""
        touch(tmp_path, "imagenet/val/0/a.JPEG", "imagenet/val/1/a.JPEG")
        with pytest.raises(DataError, match=rf"no folder below {tmp_path}/imagenet/val .* holds 2 pictures"):
            opened("imagenet-1k", tmp_path)

    def test_without_pictures_every_place_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataMissingError, match="imagenet-1k: no pictures found") as caught:
            opened("imagenet-1k", tmp_path)
        assert str(tmp_path / "IN1K_val/val") in str(caught.value)

    def test_q20_all_pictures_count_and_the_official_49_920_are_a_subset(self, tmp_path: Path) -> None:
        """The official script drops the last 80: 30 of class 998 and all 50 of class 999."""
        task, spec = datasets().get("imagenet-1k")
        files = DatasetFiles(spec, tmp_path, {"images": Path("pretended/val")}, folders=Pretended())
        loaded = task.load(spec, files, None)
        assert loaded.size == {"all": 50_000}
        assert loaded.size == spec.published_items
        label = loaded.items.label
        right = np.ones(50_000, dtype=bool)
        right[::1000] = False  # 50 wrong ones, all among the 49,920
        right[-50:] = False  # class 999
        vectors = np.zeros((50_000, 2), dtype=np.float32)
        # Class 999 has the first axis, class 0 the second one, all others the mean of both.
        prototypes = np.full((1000, 2), 0.5**0.5, dtype=np.float32)
        prototypes[999], prototypes[0] = (1, 0), (0, 1)
        vectors[:] = 0.5**0.5
        vectors[label == 0] = (0, 1)
        vectors[label == 999] = (1, 0)
        images = Embeddings(vectors)
        scores = task.score(spec, loaded, {"images": images, "classes": Embeddings(prototypes)})
        found = {(each.subset, each.metric): (each.value, each.n) for each in scores.scores}
        assert set(found) == {(s, m) for s in ("all", "official_drop_last") for m in ("top1", "top5")}
        # Classes 1 to 998 are equal: class 1 alone is first.
        assert found["all", "top1"] == (150 / 50_000, 50_000)
        assert found["official_drop_last", "top1"] == (100 / 49_920, 49_920)
        rank = scores.outcomes["rank"]
        batches = rank[: 390 * 128].reshape(390, 128)
        assert np.mean([(batch < 5).mean() for batch in batches]) == pytest.approx(
            found["official_drop_last", "top5"][0], abs=1e-12
        )
        assert (label[49_920:] == 999).sum() == 50
        assert (label[49_920:] == 998).sum() == 30

    def test_q20_an_incomplete_set_has_no_official_subset(self, tmp_path: Path) -> None:
        touch(tmp_path, f"imagenet/val/{TENCH}/a.JPEG")
        scores = opened("imagenet-1k", tmp_path).score(images=rows([1, 0]), classes=rows(*[[1, 0]] * 1000))
        assert {each.subset for each in scores.scores} == {"all"}

    @pytest.mark.parametrize(("first", "second"), [(MISSILE, PROJECTILE), (SUNGLASS, SUNGLASSES)])
    def test_of_two_classes_of_one_name_only_the_lower_one_can_be_right(
        self, tmp_path: Path, first: str, second: str
    ) -> None:
        touch(tmp_path, f"imagenet/val/{first}/a.JPEG", f"imagenet/val/{second}/b.JPEG")
        found = opened("imagenet-1k", tmp_path)
        low, high = found.loaded.items.label
        assert found.prompts.names[low] == found.prompts.names[high]
        prototypes = [[0.0, 1.0]] * 1000
        prototypes[low] = prototypes[high] = [1.0, 0.0]
        scores = found.score(images=rows([1, 0], [1, 0]), classes=rows(*prototypes))
        assert list(scores.outcomes["rank"]) == [0, 1]
        assert scores.ties == {"rank": 2}

    def test_the_limit_keeps_the_first_pictures(self, tmp_path: Path) -> None:
        touch(tmp_path, *(f"imagenet/val/{wnid}/a.JPEG" for wnid in (TENCH, GOLDFISH)))
        assert opened("imagenet-1k", tmp_path, limit=1).loaded.size == {"all": 1}


V2 = "imagenet-v2/imagenetv2-matched-frequency-format-val"


class TestImageNetV2:
    def test_q22_the_label_is_the_number_of_the_folder_not_its_place_in_the_listing(self, tmp_path: Path) -> None:
        touch(tmp_path, *(f"{V2}/{number}/x.jpeg" for number in (0, 1, 10, 100, 2, 999)))
        found = opened("imagenet-v2", tmp_path)
        assert found.paths == [f"{V2}/{number}/x.jpeg" for number in ("0", "1", "10", "100", "2", "999")]
        assert list(found.loaded.items.label) == [0, 1, 10, 100, 2, 999]

    def test_q22_folders_renamed_to_wnids_serve_as_well(self, tmp_path: Path) -> None:
        touch(tmp_path, f"{V2}/{KITE}/x.jpeg", f"{V2}/5/x.jpeg")
        assert list(opened("imagenet-v2", tmp_path).loaded.items.label) == [5, 21]

    @pytest.mark.parametrize("folder", ["1000", "-1", "٣", "1.0", "x"])
    def test_other_folders_are_no_classes(self, tmp_path: Path, folder: str) -> None:
        touch(tmp_path, f"{V2}/{folder}/x.jpeg", f"{V2}/7/x.jpeg")
        found = opened("imagenet-v2", tmp_path)
        assert list(found.loaded.items.label) == [7]
        assert found.loaded.rejected == {"unknown_class_folder": 1}
        assert repr(folder) in found.loaded.notes[0]

    def test_the_archive_is_read_in_place_once_it_is_not_compressed(self, tmp_path: Path) -> None:
        (tmp_path / "imagenet-v2").mkdir()
        with tarfile.open(tmp_path / "imagenet-v2/imagenetv2-matched-frequency.tar", "w") as archive:
            for number in (3, 12):
                archive.addfile(tarfile.TarInfo(f"imagenetv2-matched-frequency-format-val/{number}/x.jpeg"))
        found = opened("imagenet-v2", tmp_path)
        assert list(found.loaded.items.label) == [12, 3]
        assert found.loaded.rejected == {}


@pytest.mark.parametrize(("dataset", "place"), [("imagenet-1k", f"imagenet/val/{TENCH}"), ("imagenet-v2", f"{V2}/0")])
class TestBoth:
    def test_q23_the_budget_is_1024_and_the_text_path_short(self, tmp_path: Path, dataset: str, place: str) -> None:
        touch(tmp_path, f"{place}/a.jpeg")
        found = opened(dataset, tmp_path)
        images, prompts = found.requests["images"], found.requests["classes"]
        assert isinstance(images, Images)
        assert isinstance(prompts, ClassPrompts)
        assert (images.budget, prompts.kind, prompts.lowercase) == (1024, "short", True)
        assert len(prompts.names) == 1000
        assert "a bad photo of a kite (bird of prey)." in found.texts

    def test_chinese_prompts_are_an_optional_dataset_of_the_same_files(
        self, tmp_path: Path, dataset: str, place: str
    ) -> None:
        touch(tmp_path, f"{place}/a.jpeg")
        found = opened(f"{dataset}-zh", tmp_path)
        assert found.spec.optional
        assert found.paths == [f"{place}/a.jpeg"]
        assert found.prompts.names[21] == "鸢（猛禽）"
        assert not found.prompts.lowercase
        assert (found.spec.protocol.id, found.spec.protocol.budget) == ("clip-benchmark-zh", 1024)

    @pytest.mark.parametrize("name", ["a.JPEG", "a.jpg", "a.Png"])
    def test_endings_of_any_case_serve(self, tmp_path: Path, dataset: str, place: str, name: str) -> None:
        touch(tmp_path, f"{place}/{name}")
        assert opened(dataset, tmp_path).paths == [f"{place}/{name}"]

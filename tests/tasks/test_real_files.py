"""The readers on complete real annotation files, which lie beside the repository (../shared/data).

They are too large, or not ours, to lie in the repository; where they are absent these tests are skipped.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgbench
from fgbench.requests import Embeddings
from fgbench.tasks.resources import lines

from .reading import Opened, opened, touch, write

SUBSETS = {
    "hard": ("h_attributes_llava.jsonl", 3545, "ce7140b50506dc818e718e7174d2560d"),
    "medium": ("m_attributes_llava.jsonl", 2968, "9db3e2eac22050425996b6b99e4ba857"),
    "easy": ("e_attributes_llava.jsonl", 1299, "b46c6c9bd7e4125f5e001af74eacd82d"),
    "trivial": ("shuffle_negatives_llava.jsonl", 3545, "f929599ee7615149db36454f883fba1e"),
}


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    """Real annotation files."""
    return there(shared / "data")


def there(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the repository (in ../shared/data)")
    return path


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated list."""
    return list(csv.DictReader(there(path).read_text(encoding="utf-8").split("\n"), delimiter="\t", quoting=3))


@pytest.fixture(scope="module")
def fg_ovd_root(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four FG-OVD files, unpacked; no pictures."""
    root = tmp_path_factory.mktemp("fgovd")
    for name, _, md5 in SUBSETS.values():
        content = gzip.decompress(there(data / f"fgovd/{name}.gz").read_bytes())
        assert hashlib.md5(content).hexdigest() == md5
        write(root / "fgovd" / name, content)
    (root / "coco").mkdir()
    return root


@pytest.fixture(scope="module")
def fg_ovd(fg_ovd_root: Path) -> Opened:
    return opened("fg-ovd", fg_ovd_root)


class TestFgOvd:
    def test_items_and_pictures(self, fg_ovd: Opened) -> None:
        assert fg_ovd.loaded.size == {subset: count for subset, (_, count, _) in SUBSETS.items()}
        assert fg_ovd.loaded.size == fg_ovd.spec.published_items
        assert len(fg_ovd.paths) == len(set(fg_ovd.paths)) == 1707
        folders = Counter(path.split("/")[1] for path in fg_ovd.paths)
        assert folders == {"train2017": 714, "val2017": 993}
        assert len(set(fg_ovd.loaded.items.ids.tolist())) == 11357
        assert fg_ovd.loaded.rejected == {}

    @pytest.mark.parametrize(
        ("subset", "first", "last", "pictures"),
        [
            ("hard", 7131, 10675, 1707),
            ("medium", 15577, 18544, 1537),
            ("easy", 10676, 11974, 853),
            ("trivial", 0, 3544, 1707),
        ],
    )
    def test_q5_each_file_is_the_subset_that_its_test_type_says(
        self, fg_ovd: Opened, subset: str, first: int, last: int, pictures: int
    ) -> None:
        items = fg_ovd.loaded.items
        chosen = items.subset == subset
        ids = items.ids[chosen].tolist()
        assert ids == list(range(first, last + 1))
        assert len(set(items.image_index[chosen].tolist())) == pictures

    def test_q4_37_items_of_hard_and_trivial_have_fewer_than_ten_negatives(self, fg_ovd: Opened) -> None:
        items = fg_ovd.loaded.items
        negatives = (items.candidates >= 0).sum(axis=1) - 1
        for subset in ("hard", "trivial"):
            short = Counter(negatives[items.subset == subset].tolist())
            assert short == {10: 3508, 2: 32, 9: 2, 7: 1, 8: 1, 4: 1}
        for subset in ("medium", "easy"):
            assert set(negatives[items.subset == subset].tolist()) == {10}

    def test_q3_4_items_of_medium_repeat_the_positive_and_win_the_tie(self, fg_ovd: Opened) -> None:
        items = fg_ovd.loaded.items
        repeated = (items.candidates[:, 1:] == items.candidates[:, :1]).any(axis=1)
        assert items.ids[repeated].tolist() == [17157, 17473, 17474, 17790]
        assert set(items.subset[repeated].tolist()) == {"medium"}
        assert (items.ids[repeated] - 15577 + 1).tolist() == [1581, 1897, 1898, 2214]
        assert [np.flatnonzero(row[1:] == row[0]).tolist() for row in items.candidates[repeated]] == [
            [7], [2], [2], [2],
        ]  # fmt: skip
        # Regions that look like their own positive: everything is right, and only those four are decided by a tie.
        texts = np.zeros((len(items.texts), 16), dtype=np.float32)
        for row, text in enumerate(items.texts):
            texts[row] = np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), np.uint8)
        texts -= 127.5
        texts /= np.linalg.norm(texts, axis=1, keepdims=True)
        scores = fg_ovd.score(regions=Embeddings(texts[items.candidates[:, 0]]), texts=Embeddings(texts))
        assert {each.subset: (each.value, each.n) for each in scores.scores} == {
            subset: (1.0, count) for subset, (_, count, _) in SUBSETS.items()
        }
        assert scores.ties == {"hard/top1": 0, "medium/top1": 4, "easy/top1": 0, "trivial/top1": 0}

    def test_lower_casing_merges_two_texts_of_trivial_only(self, fg_ovd: Opened, fg_ovd_root: Path) -> None:
        items = fg_ovd.loaded.items
        assert fg_ovd.spec.protocol.text.lowercase
        distinct = {"hard": 20943, "medium": 20731, "easy": 10640, "trivial": 12138}
        for subset, (name, count, _) in SUBSETS.items():
            used = items.candidates[items.subset == subset]
            assert len(np.unique(used[used >= 0])) == distinct[subset]
            rows = (fg_ovd_root / "fgovd" / name).read_text(encoding="utf-8").splitlines()
            assert len(rows) == count
            raw = {text for row in map(json.loads, rows) for text in row["pos_expression"] + row["neg_expression"]}
            assert len(raw) == distinct[subset] + (2 if subset == "trivial" else 0)

    def test_damaged_text_and_tiny_box_are_kept(self, fg_ovd: Opened) -> None:
        items = fg_ovd.loaded.items
        [damaged] = np.flatnonzero(items.ids == 7338)
        assert items.texts[items.candidates[damaged, 0]] == (
            "q with a grey glass screen and a light grey plastic base panel."
        )
        [tiny] = np.flatnonzero(items.ids == 8867)
        assert np.round(items.boxes[tiny, 2:], 2).tolist() == [0.07, 0.08]
        assert (items.boxes[:, 2:] > 0).all()

    def test_the_first_row(self, fg_ovd: Opened) -> None:
        items = fg_ovd.loaded.items
        assert fg_ovd.paths[0] == "coco/val2017/000000113867.jpg"
        assert items.boxes[0].tolist() == [495.51, 565.29, 18.31, 74.71]
        assert [items.texts[index] for index in items.candidates[0][:3]] == [
            "a light grey plastic pipe.", "a light grey fabric pipe.", "a dark pink plastic pipe.",
        ]  # fmt: skip

    def test_q1_the_plan_encodes_every_input_once(self, fg_ovd_root: Path) -> None:
        plan = fgbench.plan(dataset="fg-ovd", data_root=fg_ovd_root)
        total = plan.summary()["total"]
        assert total == {
            "items": 11357,
            "images": 11357,
            "distinct_images": 1707,
            "regions": 11357,
            "texts": 124389,
            "distinct_texts": 55371,
            "missing": 1707,
        }

    def test_its_boxes_are_3545_and_its_candidate_lists_7697(self, fg_ovd: Opened) -> None:
        items = fg_ovd.loaded.items
        pairs = {(image, *box) for image, box in zip(items.image_index.tolist(), items.boxes.tolist(), strict=True)}
        assert len(pairs) == 3545
        assert len({tuple(row) for row in items.candidates.tolist()}) == 7697


@pytest.fixture(scope="module")
def coco_cn_root(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("coco-cn")
    write(root / "coco-cn/pair.txt", there(data / "coco_cn_pair.txt").read_bytes())
    (root / "coco").mkdir()
    return root


class TestCocoCn:
    def test_1000_pictures_with_five_captions(self, coco_cn_root: Path) -> None:
        found = opened("coco-cn", coco_cn_root)
        assert found.loaded.size == {"*": 1000}
        assert {len(captions) for captions in found.captions} == {5}
        assert found.paths[0] == "coco/train2014/COCO_train2014_000000503310.jpg"
        assert found.captions[0][0] == "机舱内有蓝色和黑色相间的条纹座椅。"
        assert Counter(path.split("/")[1] for path in found.paths) == {"train2014": 583, "val2014": 417}

    def test_captions_of_a_picture_come_in_the_order_of_the_file(self, coco_cn_root: Path) -> None:
        found = opened("coco-cn", coco_cn_root)
        rows = (coco_cn_root / "coco-cn/pair.txt").read_text(encoding="utf-8").split("\n")
        assert len(rows) == 5000
        by_image: dict[str, list[str]] = {}
        for row in rows:
            name, _, caption = row.partition(" ")
            by_image.setdefault(name.split("#")[0], []).append(caption)
        assert found.ids == list(by_image)
        assert found.captions == [tuple(captions) for captions in by_image.values()]
        runs = [(number, len(list(group))) for number, group in itertools.groupby(row.split("#")[2][0] for row in rows)]
        assert runs[:4] == [("3", 500), ("0", 500), ("2", 500), ("4", 1000)]

    def test_q19_23_captions_change_by_lower_casing_and_five_occur_twice(self, coco_cn_root: Path) -> None:
        found = opened("coco-cn", coco_cn_root)
        raw = [caption for captions in found.captions for caption in captions]
        assert sum(caption != text for caption, text in zip(raw, found.texts, strict=True)) == 23
        assert (len(found.texts), len(set(raw)), len(set(found.texts))) == (5000, 4995, 4995)

    def test_twice_the_same_caption_cannot_win_twice(self, coco_cn_root: Path) -> None:
        """Perfect features: a text that two pictures share finds the earlier one, so three sure misses remain."""
        found = opened("coco-cn", coco_cn_root)
        index: dict[str, int] = {}
        owners = [index.setdefault(text, len(index)) for text in found.texts]
        shared = [text for text, count in Counter(found.texts).items() if count > 1]
        across = [text for text in shared if len({n // 5 for n, other in enumerate(found.texts) if other == text}) > 1]
        assert (len(shared), len(across)) == (5, 2)
        texts = np.random.default_rng(0).standard_normal((len(index), 64)).astype(np.float32)
        texts /= np.linalg.norm(texts, axis=1, keepdims=True)
        images = np.stack([texts[owners[5 * number : 5 * number + 5]].sum(axis=0) for number in range(1000)])
        images /= np.linalg.norm(images, axis=1, keepdims=True)
        scores = found.score(images=Embeddings(images), texts=Embeddings(texts[owners]))
        assert {each.metric: each.n for each in scores.scores}["t2i_r1"] == 5000
        tied = [t for t, text in enumerate(found.texts) if text in shared]
        ranks = scores.outcomes["t2i_rank"]
        assert all(ranks[t] <= 10 for t in tied)


class TestClassLists:
    def test_coco(self, data: Path, tmp_path: Path) -> None:
        rows = table(data / "coco80_categories.tsv")
        names = [row["name"] for row in rows]
        content = json.loads(gzip.decompress(there(data / "coco_instances_val2014_100.json.gz").read_bytes()))
        write(tmp_path / "coco/annotations/instances_val2017.json", content)
        found = opened("coco-box", tmp_path)
        assert list(found.prompts.names) == names
        assert [row["index"] for row in rows] == [str(number) for number in range(80)]
        assert (len(found.texts), len(set(found.texts))) == (6400, 6400)

    def test_q6_coco_s_excerpt_has_839_boxes_9_of_them_crowd(self, data: Path, tmp_path: Path) -> None:
        content = json.loads(gzip.decompress(there(data / "coco_instances_val2014_100.json.gz").read_bytes()))
        write(tmp_path / "coco/annotations/instances_val2017.json", content)
        found = opened("coco-box", tmp_path)
        assert found.loaded.size == {"all": 839}
        assert len(found.images) == 100
        items = found.loaded.items
        assert (items.subsets["all"].sum(), items.subsets["non-crowd"].sum()) == (839, 830)
        by_image = sorted(content["annotations"], key=lambda row: row["image_id"])
        assert items.ids.tolist() == [row["id"] for row in by_image]
        assert items.ids[~items.subsets["non-crowd"]].min() > 9 * 10**11

    def lvis(self, data: Path, root: Path) -> Opened:
        """The real class list with one made-up box per class."""
        rows = table(data / "lvis_v1_categories.tsv")
        content = {
            "images": [{"id": 1, "coco_url": "http://images.cocodataset.org/val2017/000000000001.jpg"}],
            "annotations": [
                {"id": n, "image_id": 1, "category_id": int(row["id"]), "bbox": [0.0, 0.0, 1.0, 1.0]}
                for n, row in enumerate(rows)
            ],
            "categories": [{"id": int(row["id"]), "name": row["name"], "frequency": row["frequency"]} for row in rows],
        }
        write(root / "lvis/lvis_v1_val.json", content)
        touch(root, "coco/val2017/000000000001.jpg")
        return opened("lvis-box", root)

    def test_q9_lvis(self, data: Path, tmp_path: Path) -> None:
        rows = table(data / "lvis_v1_categories.tsv")
        found = self.lvis(data, tmp_path)
        assert list(found.prompts.names) == [row["prompt_name"] for row in rows]
        assert Counter(row["frequency"] for row in rows) == {"r": 337, "c": 461, "f": 405}
        assert len(found.prompts.names) == len({name.lower() for name in found.prompts.names}) == 1203
        assert found.prompts.names[654] == "speaker (stero equipment)"
        assert sum("(" in name for name in found.prompts.names) == 108
        assert found.loaded.items.label.tolist() == [int(row["id"]) - 1 for row in rows]
        assert (len(found.texts), len(set(found.texts))) == (96240, 96240)

    def test_lvis_and_coco_share_texts(self, data: Path, tmp_path: Path) -> None:
        lvis = self.lvis(data, tmp_path)
        names = [row["name"] for row in table(data / "coco80_categories.tsv")]
        coco = {template.replace("{}", name).lower() for name in names for template in lines("templates_80")}
        assert (len(coco), len(coco | set(lvis.texts))) == (6400, 97920)

    def test_lvis_excerpt_of_another_version(self, data: Path, tmp_path: Path) -> None:
        """Other ids than v1, but the same schema; all its pictures are in val2017."""
        content = json.loads(gzip.decompress(there(data / "lvis_v05_val_100.json.gz").read_bytes()))
        write(tmp_path / "lvis/lvis_v1_val.json", content)
        touch(tmp_path, "coco/val2017/000000266409.jpg", "coco/train2017/x.jpg")
        found = opened("lvis-box", tmp_path)
        assert found.loaded.size == {"full": 977}
        assert len(found.images) == 93
        assert found.loaded.items.subsets["val2017"].all()
        assert len(found.prompts.names) == 1230

    def test_q10_boxclass_cn(self, data: Path, tmp_path: Path) -> None:
        rows = table(data / "boxclass_cn_categories.tsv")
        content = {
            "images": [{"id": 10, "file_name": "000010.jpg"}],
            "annotations": [{"image_id": 10, "bbox": [34.0, 50.5, 120.0, 88.0], "category_id": 566}],
            "categories": [{"id": int(row["id"]), "name": row["name"]} for row in rows],
        }
        write(tmp_path / "BoxClass-CN/jsonfile/valid_category_data_total_zh.json", content)
        found = opened("boxclass-cn", tmp_path)
        assert (len(found.texts), len(set(found.texts))) == (566, 566)
        assert (found.texts[0], found.texts[565]) == ("连衣裙", "卡车货厢")
        assert found.loaded.items.label.tolist() == [565]

    @pytest.mark.parametrize(
        "name", ["imagenet_classnames", "imagenet_classnames_zh", "templates_80", "templates_80_zh"]
    )
    def test_shipped_lists_are_the_real_ones(self, data: Path, name: str) -> None:
        assert list(lines(name)) == there(data / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")

    def test_q21_wnids_are_those_of_the_real_lists_and_the_mapping_file_has_another_order(self, data: Path) -> None:
        categories = there(data / "imagenetv2_categories.txt").read_text(encoding="utf-8").splitlines()
        mapping = there(data / "imagenet2012_mapclsloc.txt").read_text(encoding="utf-8").splitlines()
        wnids = [row.split()[0] for row in categories]
        assert list(lines("imagenet_wnids")) == wnids == sorted(wnids)
        number = {row.split()[0]: int(row.split()[1]) for row in mapping}
        assert set(number) == set(wnids)
        assert sum(number[wnid] - 1 == index for index, wnid in enumerate(wnids)) == 0


class TestOtherExcerpts:
    def test_flickr30k_cna(self, data: Path, tmp_path: Path) -> None:
        """Two pictures with five captions each; ids without a number."""
        write(tmp_path / "flickr30k-cna/flickr30k_cna_test.txt", there(data / "flickr30k_cna_excerpt.txt").read_bytes())
        found = opened("flickr30k-cna", tmp_path)
        assert [len(captions) for captions in found.captions] == [5, 5]
        assert found.texts[1] == "一个穿着绿色t恤的黑发男孩在一个喷泉的水里玩,另外两个人在看着他。"

    def test_coco_captions_of_80_pictures(self, data: Path, tmp_path: Path) -> None:
        rows: list[dict[str, Any]] = [
            json.loads(row) for row in there(data / "coco_captions_val2014_80.jsonl").read_text("utf-8").splitlines()
        ]
        captions = [(row["image_id"], text) for row in rows for text in row["captions"]]
        content = {
            "images": [{"id": row["image_id"], "file_name": row["file_name"]} for row in rows],
            "annotations": [{"id": n, "image_id": image, "caption": text} for n, (image, text) in enumerate(captions)],
        }
        write(tmp_path / "coco/annotations/captions_val2017.json", content)
        found = opened("coco", tmp_path)
        assert len(captions) == 401
        assert len(found.texts) == 400
        assert found.ids == sorted((str(row["image_id"]) for row in rows), key=int)

    def test_dci_names(self, data: Path, tmp_path: Path) -> None:
        """112 real pairs of annotation file and picture; the captions are made up."""
        rows = table(data / "dci_test_ids.tsv")
        folder = tmp_path / "dci/densely_captioned_images"
        for row in rows:
            write(folder / "annotations" / row["annotation_file"], {"image": row["image"], "extra_caption": "A."})
        touch(folder, *(f"photos/{row['image']}" for row in rows))
        found = opened("dci", tmp_path)
        pairs = sorted((row["annotation_file"], row["image"]) for row in rows)
        assert found.ids == [file.removesuffix(".json") for file, _ in pairs]
        assert found.paths == [f"dci/densely_captioned_images/photos/{image}" for _, image in pairs]
        assert len(pairs) == 112

    def test_docci_descriptions_in_the_role_of_long_captions(self, data: Path, tmp_path: Path) -> None:
        """The real Chinese rows could not be had: 100 real descriptions in English, written as pairs."""
        path = there(data / "docci_descriptions_excerpt.jsonl")
        rows = [json.loads(row) for row in path.read_text("utf-8").splitlines()]
        pairs = [(f"images/{row['example_id']}.jpg", " ".join(row["description"].split())) for row in rows]
        write(tmp_path / "DOCCI-CN/image_caption_trans.txt", "".join(f"{name}\t{text}\n" for name, text in pairs))
        found = opened("docci-cn", tmp_path)
        assert found.texts == [text for _, text in pairs]
        assert len(found.texts) == 100

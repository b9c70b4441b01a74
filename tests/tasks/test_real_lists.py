"""The readers on complete real lists of classes and names, and on real excerpts, which lie beside the repository.

Where they are absent these tests are skipped.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fgbench.tasks.resources import lines

from .reading import Opened, opened, table, there, touch, write


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

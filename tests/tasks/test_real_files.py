"""The readers on complete real annotation files, which lie beside the repository.

They are too large, or not ours, to lie in the repository; where they are absent these tests are skipped.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import fgbench
from fgbench.requests import Embeddings

from .reading import Opened, opened, there, write

SUBSETS = {
    "hard": ("h_attributes_llava.jsonl", 3545, "ce7140b50506dc818e718e7174d2560d"),
    "medium": ("m_attributes_llava.jsonl", 2968, "9db3e2eac22050425996b6b99e4ba857"),
    "easy": ("e_attributes_llava.jsonl", 1299, "b46c6c9bd7e4125f5e001af74eacd82d"),
    "trivial": ("shuffle_negatives_llava.jsonl", 3545, "f929599ee7615149db36454f883fba1e"),
}


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

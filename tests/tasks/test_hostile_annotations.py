"""Annotation files are written by strangers: whatever they hold, it is data, or an error that names the file."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fgbench.errors import DataError, DataMissingError

from ..layouts import FG_OVD_FILES, coco_image, fg_ovd_row, instance
from .reading import opened, write

JUNK: list[Any] = [
    None, True, 0, -1, 2**63, 10**400, 0.5, float("nan"), float("inf"), "", "../../x", "\ud800", "x" * 300, "\0",
    [], [None], [[]], {}, {"a": 1}, [1, 2, 3, 4], ["x"],
]  # fmt: skip

CAPTIONS = [{"id": n, "image_id": 1 + n % 2, "caption": f"Caption {n}"} for n in range(4)]
BOXES = [instance(n, 1 + n % 2, 1 + n % 2) for n in range(3)]
CLASSES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
URLS = [{"id": n, "coco_url": f"http://images.cocodataset.org/val2017/{n:012d}.jpg"} for n in (1, 2)]
FIVE = [f"Text {n}" for n in range(5)]

FILES: dict[str, tuple[str, Any]] = {
    "coco": (
        "coco/annotations/captions_val2017.json",
        {"images": [coco_image(1), coco_image(2)], "annotations": CAPTIONS},
    ),
    "coco-box": (
        "coco/annotations/instances_val2017.json",
        {"images": [coco_image(1), coco_image(2)], "annotations": BOXES, "categories": CLASSES},
    ),
    "lvis-box": ("lvis/lvis_v1_val.json", {"images": URLS, "annotations": BOXES, "categories": CLASSES}),
    "boxclass-cn": (
        "BoxClass-CN/valid_category_data_total_zh.json",
        {"images": [coco_image(1), coco_image(2)], "annotations": BOXES, "categories": CLASSES},
    ),
    "flickr30k": (
        "flickr30k/flickr30k_test.json",
        [{"image": f"flickr30k-images/{n}.jpg", "caption": FIVE} for n in (1, 2)],
    ),
    "coco-karpathy": (
        "coco/dataset_coco.json",
        {
            "images": [
                {
                    "filepath": "val2014",
                    "filename": "a.jpg",
                    "split": "test",
                    "sentences": [{"raw": text} for text in FIVE],
                }
            ]
        },
    ),
    "sharegpt4v": (
        "sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json",
        [
            {
                "id": "sa_1",
                "image": "sam/images/sa_1.jpg",
                "conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "Long."}],
            }
        ]
        * 2,
    ),
}


TEXTS = {
    "fg-ovd": ("fgovd/h_attributes_llava.jsonl", json.dumps(fg_ovd_row(1, "1_attributes"))),
    "coco-cn": ("coco-cn/pair.txt", "COCO_val2014_000000000001#zhm#0 一只猫"),
    "flickr30k-cna": ("flickr30k-cna/flickr30k_cna_test.txt", "\n".join(f"1#{n}\t一只猫" for n in range(5))),
    "lit-cn": ("LIT-CN/image_caption_long_cn.txt", "LIT-CN/images/1.jpg\t一只猫"),
}


def write_fg_ovd(root: Path) -> None:
    for name, test_type in FG_OVD_FILES.values():
        write(root / "fgovd" / name, fg_ovd_row(2, test_type))


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a JSON document."""
    yield path
    if isinstance(content, dict):
        for name, value in content.items():
            yield from places(value, (*path, name))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from places(value, (*path, index))


def changed(content: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy in which ``change(container, key)`` was applied at a path."""
    holder = {"root": copy.deepcopy(content)}
    container: Any = holder
    *above, last = ("root", *path)
    for key in above:
        container = container[key]
    change(container, last)
    return holder.get("root")


def check(dataset: str, root: Path) -> None:
    """Read it: anything but an error of ours fails the test."""
    message = ""
    try:
        opened(dataset, root)
    except (DataError, DataMissingError) as error:
        message = str(error)
    assert not message or str(root) in message, "the message should name the file"


@pytest.mark.parametrize("dataset", [*FILES, *TEXTS])
def test_the_unchanged_file_is_fine(dataset: str, tmp_path: Path) -> None:
    name, content = FILES[dataset] if dataset in FILES else TEXTS[dataset]
    write_fg_ovd(tmp_path)
    write(tmp_path / name, content)
    assert opened(dataset, tmp_path).images


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("dataset", FILES)
def test_junk_in_the_place_of_any_value_is_a_data_error_or_data(
    dataset: str, tmp_path: Path, data: st.DataObject
) -> None:
    name, content = FILES[dataset]
    path = data.draw(st.sampled_from(list(places(content))))
    junk = data.draw(st.sampled_from(JUNK))
    broken = changed(content, path, lambda container, key: container.__setitem__(key, junk))
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(json.dumps(broken), encoding="utf-8")
    check(dataset, tmp_path)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("dataset", FILES)
def test_without_any_one_value_it_is_a_data_error_or_data(dataset: str, tmp_path: Path, data: st.DataObject) -> None:
    name, content = FILES[dataset]
    path = data.draw(st.sampled_from([path for path in places(content) if path]))
    broken = changed(content, path, lambda container, key: container.__delitem__(key))
    write(tmp_path / name, broken)
    check(dataset, tmp_path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_junk_in_fg_ovd_is_a_data_error_or_data(tmp_path: Path, data: st.DataObject) -> None:
    row = fg_ovd_row(1, "1_attributes")
    path = data.draw(st.sampled_from(list(places(row))))
    junk = data.draw(st.sampled_from(JUNK))
    broken = changed(row, path, lambda container, key: container.__setitem__(key, junk))
    write_fg_ovd(tmp_path)
    (tmp_path / TEXTS["fg-ovd"][0]).write_text(json.dumps(broken) + "\n", encoding="utf-8")
    check("fg-ovd", tmp_path)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("dataset", [*FILES, *TEXTS])
def test_any_bytes_are_a_data_error_or_data(dataset: str, tmp_path: Path, data: st.DataObject) -> None:
    """Either bytes of any kind, or the real thing with a few bytes changed."""
    name, content = TEXTS[dataset] if dataset in TEXTS else (FILES[dataset][0], json.dumps(FILES[dataset][1]))
    good = bytearray(content.encode())
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=3)):
        good[place] = value
    write_fg_ovd(tmp_path)
    write(tmp_path / name, data.draw(st.just(bytes(good)) | st.binary(max_size=40)))
    check(dataset, tmp_path)

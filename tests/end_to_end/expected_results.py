"""What each dataset holds, read from the first layout in the plainest way, and the results that follow from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fgbench.tasks.resources import lines

from .brute_force import Reference, Result, choosing, labelling, retrieval

CLASSES = 8
"""ImageNet classes that are left; the last one has the name of the second one."""

TASKS = Path(__file__).resolve().parents[2] / "tasks"
TEMPLATES = (TASKS / "data/templates_80.txt").read_text(encoding="utf-8").splitlines()


def few_lines(name: str) -> tuple[str, ...]:
    """The real lists, but few classes, two of which share a name."""
    found: tuple[str, ...] = lines(name)
    return (*found[: CLASSES - 1], found[1]) if "classnames" in name else found


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding="utf-8", newline="")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def filled(names: Sequence[str]) -> list[list[str]]:
    """Prompts by class: templates filled, then lower-cased."""
    return [[template.replace("{}", name).lower() for template in TEMPLATES] for name in names]


def coco_captions(base: Path) -> list[tuple[int, list[str]]]:
    content = read(base / "coco/annotations/captions_val2017.json")
    numbers = sorted(row["id"] for row in content["images"])
    return [
        (number, [row["caption"] for row in content["annotations"] if row["image_id"] == number][:5])
        for number in numbers
    ]


def coco_cn_captions(base: Path, kept: str = "01234") -> list[tuple[int, list[str]]]:
    groups: dict[int, list[str]] = {}
    for line in (base / "coco-cn/pair.txt").read_text(encoding="utf-8").split("\n"):
        head, _, caption = line.partition(" ")
        name, _, number = head.split("#")
        if number in kept:
            groups.setdefault(int(name[-12:]), []).append(caption)
    return list(groups.items())


def pairs(path: Path) -> list[tuple[int, list[str]]]:
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    return [(int(Path(name).stem), [text]) for name, text in (line.split("\t") for line in lines)]


def lowered(items: Sequence[tuple[int, Sequence[str]]]) -> list[tuple[int, list[str]]]:
    return [(number, [text.lower() for text in texts]) for number, texts in items]


def imagenet_labels(base: Path) -> dict[int, int]:
    """Class index by number of the picture."""
    folders = (base / "imagenet-v2/imagenetv2-matched-frequency-format-val").iterdir()
    return {int(path.stem): int(place.name) for place in folders for path in place.iterdir()}


def fg_ovd(model: Reference, base: Path) -> Result:
    names = {"hard": "h_attributes", "medium": "m_attributes", "easy": "e_attributes", "trivial": "shuffle_negatives"}
    parts = []
    for subset, name in names.items():
        lines = (base / f"fgovd/{name}_llava.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        items = [
            (row["image_id"], row["bbox"], [text.lower() for text in row["pos_expression"] + row["neg_expression"]])
            for row in rows
        ]
        parts.append(choosing(model, subset, items, "box"))
    metrics = {key: bounds for part in parts for key, bounds in part.metrics.items()}
    return Result(metrics, margins={key: values for part in parts for key, values in part.margins.items()})


def boxes(
    model: Reference, path: Path, prompts: Callable[[list[str]], list[list[str]]], **subsets: Callable[[int, int], bool]
) -> Result:
    """``subsets``: does the box with this index in the file, on the picture of this number, belong to it?"""
    content = read(path)
    categories = sorted(content["categories"], key=lambda row: row["id"])
    index = {row["id"]: number for number, row in enumerate(categories)}
    rows = sorted(enumerate(content["annotations"]), key=lambda entry: (entry[1]["image_id"], entry[0]))
    vectors = [model.region(row["image_id"], row["bbox"]) for _, row in rows]
    labels = [index[row["category_id"]] for _, row in rows]
    chosen = {
        name.replace("_", "-"): lambda n, belongs=belongs: belongs(rows[n][0], rows[n][1]["image_id"])
        for name, belongs in subsets.items()
    }
    return labelling(vectors, labels, model, prompts([row["name"] for row in categories]), "box", chosen)


def everything(number: int, image: int) -> bool:
    return True


SHORT, LONG = (1, 5, 10), (1,)


def coco_box(model: Reference, base: Path) -> Result:
    path = base / "coco/annotations/instances_val2017.json"
    return boxes(model, path, filled, all=everything, non_crowd=everything)


def lvis_names(names: Sequence[str]) -> list[list[str]]:
    return filled([name.replace("_", " ") for name in names])


def lvis_box(model: Reference, base: Path) -> Result:
    return boxes(model, base / "lvis/lvis_v1_val.json", lvis_names, val2017=everything)


def boxclass_cn(model: Reference, base: Path) -> Result:
    path = base / "BoxClass-CN/jsonfile/valid_category_data_total_zh.json"
    return boxes(model, path, lambda names: [[name] for name in names], all=everything)


def sharegpt4v(model: Reference, base: Path) -> Result:
    rows = read(base / "sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json")
    items = [(int(row["id"][3:]), [row["conversations"][1]["value"].lower()]) for row in rows]
    return retrieval(model, items, "long", LONG)


def dci(model: Reference, base: Path) -> Result:
    paths = sorted((base / "dci/densely_captioned_images/annotations").iterdir(), key=lambda path: path.name)
    rows = [read(path) for path in paths]
    items = [(int(row["image"][3:-4]), [row["extra_caption"].lower()]) for row in rows]
    return retrieval(model, items, "long", LONG)


def flickr30k(model: Reference, base: Path) -> Result:
    rows = read(base / "flickr30k/flickr30k_test.json")
    items = [(int(Path(row["image"]).stem), row["caption"]) for row in rows]
    return retrieval(model, lowered(items), "short", SHORT)


def flickr30k_cna(model: Reference, base: Path) -> Result:
    groups: dict[int, list[str]] = {}
    for line in (base / "flickr30k-cna/flickr30k_cna_test.txt").read_text(encoding="utf-8").splitlines():
        name, text = line.split("\t")
        groups.setdefault(int(name.split("#")[0]), []).append(text)
    return retrieval(model, list(groups.items()), "short", SHORT)


def coco_cn_human(model: Reference, base: Path) -> Result:
    items = coco_cn_captions(base, kept="0")
    first, [text] = items[0]
    return retrieval(model, lowered([(first, [text, f"又：{text}"]), *items[1:]]), "short", SHORT)


def imagenet(model: Reference, labels: Mapping[int, int], order: Callable[[int], Any], *, chinese: bool) -> Result:
    numbers = sorted(labels, key=order)
    if chinese:
        templates, names = lines("templates_80_zh"), few_lines("imagenet_classnames_zh")
        prompts = [[template.replace("{}", name) for template in templates] for name in names]
    else:
        prompts = filled(few_lines("imagenet_classnames"))
    vectors = [model.image(number, 1024) for number in numbers]
    return labelling(
        vectors, [labels[number] for number in numbers], model, prompts, "short", {"all": lambda number: True}
    )


def any_imagenet(model: Reference, base: Path, *, chinese: bool = False) -> Result:
    labels = imagenet_labels(base)
    return imagenet(model, labels, lambda number: (labels[number], number), chinese=chinese)


EXPECTED: dict[str, Callable[[Reference, Path], Result]] = {
    "fg-ovd": fg_ovd,
    "coco-box": coco_box,
    "lvis-box": lvis_box,
    "boxclass-cn": boxclass_cn,
    "sharegpt4v": sharegpt4v,
    "dci": dci,
    "lit-cn": lambda model, base: retrieval(model, pairs(base / "LIT-CN/image_caption_long_cn.txt"), "long", LONG),
    "dci-cn": lambda model, base: retrieval(model, pairs(base / "DCI-CN/image_caption_trans.txt"), "long", LONG),
    "docci-cn": lambda model, base: retrieval(model, pairs(base / "DOCCI-CN/image_caption_trans.txt"), "long", LONG),
    "coco": lambda model, base: retrieval(model, lowered(coco_captions(base)), "short", SHORT),
    "flickr30k": flickr30k,
    "flickr30k-cna": flickr30k_cna,
    "coco-cn": lambda model, base: retrieval(model, lowered(coco_cn_captions(base)), "short", SHORT),
    "imagenet-1k": any_imagenet,
    "imagenet-v2": any_imagenet,
    "coco-karpathy": lambda model, base: retrieval(model, lowered(coco_captions(base)), "short", SHORT),
    "coco-cn-human": coco_cn_human,
    "imagenet-1k-zh": lambda model, base: any_imagenet(model, base, chinese=True),
    "imagenet-v2-zh": lambda model, base: any_imagenet(model, base, chinese=True),
}

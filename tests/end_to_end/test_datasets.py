"""Every dataset, from files in its published layouts to its numbers, which are computed a second time with loops."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

import fgbench
from fgbench.adapter import Adapter
from fgbench.api import Evaluation
from fgbench.models import load_adapter
from fgbench.runner.plan import PlannedDataset
from fgbench.selection import datasets, select
from fgbench.tasks.resources import lines

from .brute_force import CLOSE, Reference, Result, choosing, labelling, retrieval
from .shapes.layouts import write_layouts
from .shapes.scenes import make_scenes

if TYPE_CHECKING:
    from fgbench.spec import DatasetSpec

    from .conftest import Thumbnail

SCENES = 12
CLASSES = 8
"""ImageNet classes that are left; the last one has the name of the second one."""

TASKS = Path(__file__).resolve().parents[2] / "tasks"
TEMPLATES = (TASKS / "data/templates_80.txt").read_text(encoding="utf-8").splitlines()
MAIN = [spec.id for _, spec in select(None, None)]
OPTIONAL = ["coco-karpathy", "coco-cn-human", "imagenet-1k-zh", "imagenet-v2-zh"]
MADE = [name for name in MAIN if name in {
    "fg-ovd", "coco-box", "lvis-box", "boxclass-cn", "sharegpt4v", "dci", "lit-cn", "dci-cn", "docci-cn",
    "coco", "flickr30k", "flickr30k-cna", "coco-cn", "imagenet-1k", "imagenet-v2",
}]  # fmt: skip


def few_lines(name: str) -> tuple[str, ...]:
    """The real lists, but few classes, two of which share a name."""
    found: tuple[str, ...] = lines(name)
    return (*found[: CLASSES - 1], found[1]) if "classnames" in name else found


@pytest.fixture(scope="module", autouse=True)
def few_classes() -> Iterator[None]:
    """80,000 prompts take half a minute and show nothing that 640 do not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fgbench.tasks.classification.lines", few_lines)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasets")


@pytest.fixture(scope="module")
def base(folder: Path) -> Path:
    """Loose files in the layouts of the miniature suite; capital letters are added, so that casing matters."""
    root = folder / "base"
    write_layouts(make_scenes(SCENES, seed=7), root)
    for path in [*root.glob("*/*.txt"), root / "BoxClass-CN/jsonfile/valid_category_data_total_zh.json"]:
        text = path.read_text(encoding="utf-8")
        write(path, text.replace("圆", "O圆").replace("方", "L方").replace("星", "X星").replace("十", "T十"))
    for path in (root / "coco/annotations/instances_val2017.json", root / "lvis/lvis_v1_val.json"):
        content = read(path)
        for row in content["categories"]:
            row["name"] = f"Big_{row['name'].upper()}"
        write(path, content)
    return root


@pytest.fixture(scope="module")
def pictures(base: Path) -> dict[int, bytes]:
    """Files by number of the scene."""
    return {int(path.stem): path.read_bytes() for path in sorted((base / "coco/val2017").iterdir())}


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return load_adapter("fgclip2-untrained")


@pytest.fixture(scope="module")
def model(adapter: Adapter, pictures: dict[int, bytes]) -> Reference:
    adapter.module.eval()
    return Reference(adapter, pictures)


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding="utf-8", newline="")


def zipped(path: Path, members: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def tarred(path: Path, members: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


class Archived:
    """The same content in the other published layouts: pictures in archives, other names, other forms."""

    def __init__(self, base: Path, root: Path, pictures: Mapping[int, bytes]) -> None:
        self.base, self.root, self.pictures = base, root, pictures
        self.even = {number: data for number, data in pictures.items() if number % 2 == 0}
        self.odd = {number: data for number, data in pictures.items() if number % 2}

    def write(self) -> None:
        self.coco()
        self.boxes()
        self.coco_cn()
        self.flickr()
        self.long()
        self.imagenet()

    def named(self, form: str, pictures: Mapping[int, bytes]) -> dict[str, bytes]:
        return {form.format(number): data for number, data in pictures.items()}

    def coco(self) -> None:
        """Archives of three COCO releases side by side, as downloaded."""
        coco = self.root / "coco"
        zipped(coco / "val2017.zip", self.named("val2017/{:012d}.jpg", self.pictures))
        zipped(coco / "train2017.zip", self.named("train2017/{:012d}.jpg", self.even))
        zipped(coco / "train2014.zip", self.named("train2014/COCO_train2014_{:012d}.jpg", self.odd))
        tarred(coco / "val2014.tar", self.named("val2014/COCO_val2014_{:012d}.jpg", self.even))
        content = read(self.base / "coco/annotations/captions_val2017.json")
        content["images"].reverse()
        extra = {"id": 0, "image_id": content["images"][0]["id"], "caption": "A sixth caption, which is not used."}
        content["annotations"].append(extra)
        write(coco / "annotations/captions_val2017.json", content)
        rows = [
            {
                "filepath": "val2014" if number % 2 == 0 else "train2014",
                "filename": f"COCO_{'val' if number % 2 == 0 else 'train'}2014_{number:012d}.jpg",
                "split": split,
                "sentences": [{"raw": text} for text in [*texts, "A sixth one."]],
            }
            for split in ("restval", "test")
            for number, texts in coco_captions(self.base)
        ]
        write(coco / "dataset_coco.json", {"images": rows, "dataset": "coco"})

    def boxes(self) -> None:
        """Crowd regions; pictures of train2017; BoxClass-CN's file where the official script looks for it."""
        content = read(self.base / "coco/annotations/instances_val2017.json")
        content["annotations"].reverse()
        for number, row in enumerate(content["annotations"]):
            row["iscrowd"] = int(number % 5 == 0)
        write(self.root / "coco/annotations/instances_val2017.json", content)
        content = read(self.base / "lvis/lvis_v1_val.json")
        content["annotations"].sort(key=lambda row: row["category_id"])
        for row in content["images"]:
            if row["id"] % 2 == 0:
                row["coco_url"] = row["coco_url"].replace("val2017", "train2017")
        write(self.root / "coco/annotations/lvis_v1_val.json", content)
        content = read(self.base / "BoxClass-CN/jsonfile/valid_category_data_total_zh.json")
        write(self.root / "BoxClass-CN/valid_category_data_total_zh.json", content)
        tarred(self.root / "BoxClass-CN/all.tar", self.named("images/{:06d}.jpg", self.pictures))
        for path in (self.base / "fgovd").iterdir():
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            for row in rows:
                if row["image_id"] % 2 == 0:
                    row["img_path"] = row["img_path"].replace("val2017", "train2017")
            write(self.root / "fg-ovd" / path.name, "".join(f"{json.dumps(row)}\n" for row in rows))

    def coco_cn(self) -> None:
        """Names of 2014, of both parts; pictures in the archives of 2014."""
        text = (self.base / "coco-cn/pair.txt").read_text(encoding="utf-8")
        for number in self.odd:
            text = text.replace(f"COCO_val2014_{number:012d}", f"COCO_train2014_{number:012d}")
        write(self.root / "coco/pair.txt", text)
        human = [line.replace("#zhm#", "#zhb#") for line in text.split("\n") if "#zhm#0" in line]
        write(self.root / "coco-cn/test_human.txt", "\n".join([*human, human[0].replace("#0 ", "#1 又：")]) + "\n")

    def flickr(self) -> None:
        """Karpathy's file, the hub's archive, and the Chinese captions without numbers."""
        rows = read(self.base / "flickr30k/flickr30k_test.json")
        images = [
            {
                "filename": row["image"].split("/")[-1],
                "imgid": number,
                "split": "test",
                "sentences": [{"raw": text, "imgid": number} for text in row["caption"]],
            }
            for number, row in enumerate(rows)
        ]
        other = {"filename": "0.jpg", "split": "train", "sentences": []}
        write(self.root / "flickr30k/dataset_flickr30k.json", {"images": [other, *images], "dataset": "flickr30k"})
        archive = self.root / "flickr30k/images_flickr_1k_test.zip"
        zipped(archive, self.named("images_flickr_1k_test/{}.jpg", self.pictures))
        lines = (self.base / "flickr30k-cna/flickr30k_cna_test.txt").read_text(encoding="utf-8").splitlines()
        plain = [f"{name.split('#')[0]}\t{text} " for name, text in (line.split("\t") for line in lines)]
        write(self.root / "flickr30k/flickr30k_cna_test.txt", "\r\n".join(plain))

    def long(self) -> None:
        """SA-1B's own archives; LoTLIP's copy of ShareGPT4V; the archives of the Chinese sets as on the hub."""
        rows = read(self.base / "sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json")
        for row in rows:
            row["image"] = row["image"].replace("sam/images", "sa_000000/images")
        write(self.root / "sharegpt4v/share4v_sam_10k.json", rows)
        tarred(self.root / "sharegpt4v/images/sa_000000.tar", self.named("./sa_{}.jpg", self.even))
        tarred(self.root / "sharegpt4v/images/sa_000001.tar", self.named("./sa_{}.jpg", self.odd))
        place = "densely_captioned_images"
        shutil.copytree(self.base / f"dci/{place}/annotations", self.root / place / "annotations")
        tarred(self.root / f"{place}/photos/sa_000138.tar", self.named("./sa_{}.jpg", self.pictures))
        for source, target, name in (
            ("LIT-CN/image_caption_long_cn.txt", "LIT-CN/image_caption_long_cn.txt", "{}.jpg"),
            ("DCI-CN/image_caption_trans.txt", "dci/image_caption_trans.txt", "images/{}.jpg"),
            ("DOCCI-CN/image_caption_trans.txt", "docci/image_caption_trans.txt", "docci/images/{}.jpg"),
        ):
            lines = (self.base / source).read_text(encoding="utf-8").splitlines()
            pairs = [(int(Path(path).stem), text) for path, text in (line.split("\t") for line in lines)]
            write(self.root / target, "\n".join(f"{name.format(f'{number:06d}')}\t{text}" for number, text in pairs))
        zipped(self.root / "LIT-CN/web.zip", self.named("web/{:06d}.jpg", self.even))
        tarred(self.root / "LIT-CN/muge.tar", self.named("muge/{:06d}.jpg", self.odd))
        zipped(self.root / "DCI-CN/images/images_1.zip", self.named("images/{:06d}.jpg", self.even))
        zipped(self.root / "DCI-CN/images/images_2.zip", self.named("images/{:06d}.jpg", self.odd))
        zipped(self.root / "DOCCI-CN/images.zip", self.named("images/{:06d}.jpg", self.pictures))

    def imagenet(self) -> None:
        """An archive of class folders; ImageNet-V2 with its folders renamed. One picture is in the twin class."""
        wnids = lines("imagenet_wnids")
        labels = imagenet_labels(self.base)
        with_twin = {**labels, 1: CLASSES - 1}
        folders = {number: f"val/{wnids[label]}" for number, label in with_twin.items()}
        names = {number: f"{folder}/ILSVRC2012_val_{number:08d}.JPEG" for number, folder in folders.items()}
        zipped(self.root / "imagenet/val.zip", {names[number]: data for number, data in self.pictures.items()})
        for number, label in labels.items():
            path = self.root / "imagenet-v2" / wnids[label] / f"{number:04d}.jpeg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.pictures[number])


@pytest.fixture(scope="module")
def archived(base: Path, folder: Path, pictures: dict[int, bytes]) -> Path:
    Archived(base, folder / "archived", pictures).write()
    return folder / "archived"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# What each dataset holds, read from the first layout in the plainest way.


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


@pytest.fixture(scope="module")
def expected(model: Reference, base: Path) -> Callable[[str], Result]:
    """Results of a dataset in the first layout, computed once."""
    known: dict[str, Result] = {}

    def compute(dataset: str) -> Result:
        if dataset not in known:
            known[dataset] = EXPECTED[dataset](model, base)
        return known[dataset]

    return compute


@dataclass(frozen=True)
class Run:
    """A finished evaluation with the outcomes of its items (a later run with the same folder replaces the files)."""

    result: Evaluation
    outcomes: Mapping[str, Mapping[str, npt.NDArray[Any]]]

    def record(self, dataset: str) -> dict[str, Any]:
        """The record of a dataset; a dataset without one shows its reason."""
        reasons = {each.dataset: each.reason for each in self.result.not_evaluated}
        assert dataset not in reasons, reasons[dataset]
        [found] = [each for each in self.result.records if each["dataset"] == dataset]
        return found

    @property
    def counters(self) -> dict[str, int]:
        """What was encoded."""
        return dict(self.result.records[0]["timings"]["counters"])


def evaluate(adapter: Adapter, dataset: str | list[str], **options: Any) -> Run:
    result = fgbench.evaluate(adapter, None, dataset, device="cpu", **options)
    suffix = f".limit-{options['limit']}" if "limit" in options else ""
    outcomes = {}
    for found in result.records:
        with np.load(result.folder / f"{found['dataset']}{suffix}.items.npz") as arrays:
            outcomes[found["dataset"]] = dict(arrays)
    return Run(result, outcomes)


def compare(run: Run, dataset: str, wanted: Result) -> None:
    """Every number and the rank of every item are reproduced.

    Where float32 may decide between two inputs the value lies in the interval; that is rare.
    """
    found = run.record(dataset)
    scores = {(row["subset"], row["metric"]): row for row in found["scores"]}
    assert set(scores) == set(wanted.metrics)
    for key, bounds in wanted.metrics.items():
        assert scores[key]["n"] == bounds.n, key
        assert bounds.low <= scores[key]["value"] <= bounds.high, key
        assert bounds.high - bounds.low < 2.5 / bounds.n, "these data show nothing: too much is close"
    for name, ranks in wanted.ranks.items():
        values = run.outcomes[dataset][name].tolist()
        assert len(values) == len(ranks)
        assert all(each.low <= value <= each.high for value, each in zip(values, ranks, strict=True)), name
        assert sum(each.low == each.high for each in ranks) > 0.9 * len(ranks)
    for name, margins in wanted.margins.items():
        assert run.outcomes[dataset][name].tolist() == pytest.approx(margins, abs=CLOSE)
    assert found["counts"]["skipped"] == {}
    assert found["counts"]["evaluated"] == found["counts"]["expected"] > 0


@pytest.fixture(scope="module")
def from_files(adapter: Adapter, base: Path, folder: Path) -> Run:
    """Everything from loose files, in one run."""
    chosen = [*MADE, "imagenet-1k-zh", "imagenet-v2-zh"]
    return evaluate(adapter, chosen, data_root=base, output=folder / "results")


@pytest.fixture(scope="module")
def from_archives(adapter: Adapter, archived: Path, folder: Path, from_files: Run) -> Run:
    """Everything in the other layouts."""
    chosen = [*MADE, *OPTIONAL]
    return evaluate(adapter, chosen, data_root=archived, output=folder / "results")


@pytest.mark.parametrize("dataset", [*MADE, "imagenet-1k-zh", "imagenet-v2-zh"])
def test_loose_files(from_files: Run, expected: Callable[[str], Result], dataset: str) -> None:
    compare(from_files, dataset, expected(dataset))


def test_every_built_in_dataset_is_here() -> None:
    tasks = {datasets().get(name)[1].task for name in MADE}
    built_in = {name for name in datasets() if datasets().get(name)[1].task in tasks}
    assert built_in == set(EXPECTED) == {*MADE, *OPTIONAL}
    assert len(MADE) == 15


def test_q1_every_picture_is_encoded_once_for_all_datasets_and_once_more_for_the_fixed_budget(
    from_files: Run,
) -> None:
    """None of these pictures is so large that its own budget would be 1,024."""
    assert from_files.counters["image_passes"] == from_files.counters["images_decoded"] + SCENES == 2 * SCENES


def test_q2_fg_ovd_has_one_share_per_subset_over_all_of_its_lines(from_files: Run, base: Path) -> None:
    found = from_files.record("fg-ovd")
    lines_of = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in (base / "fgovd").iterdir()}
    assert [(row["subset"], row["metric"], row["n"]) for row in found["scores"]] == [
        ("hard", "top1", lines_of["h_attributes_llava.jsonl"]),
        ("medium", "top1", lines_of["m_attributes_llava.jsonl"]),
        ("easy", "top1", lines_of["e_attributes_llava.jsonl"]),
        ("trivial", "top1", lines_of["shuffle_negatives_llava.jsonl"]),
    ]


CHANGED = {"coco-box", "lvis-box", "imagenet-1k", "imagenet-1k-zh"}
UNCHANGED = [name for name in (*MADE, *OPTIONAL) if name not in CHANGED]


@pytest.mark.parametrize("dataset", UNCHANGED)
def test_other_layouts(from_archives: Run, expected: Callable[[str], Result], dataset: str) -> None:
    compare(from_archives, dataset, expected(dataset))


def test_crowd_regions_are_a_subset(from_archives: Run, model: Reference, archived: Path) -> None:
    path = archived / "coco/annotations/instances_val2017.json"
    wanted = boxes(model, path, filled, all=everything, non_crowd=lambda number, image: number % 5 != 0)
    assert wanted.metrics["all", "top1"].n > wanted.metrics["non-crowd", "top1"].n
    compare(from_archives, "coco-box", wanted)


def test_lvis_over_both_parts_of_coco(from_archives: Run, model: Reference, archived: Path) -> None:
    path = archived / "coco/annotations/lvis_v1_val.json"
    wanted = boxes(model, path, lvis_names, full=everything, val2017=lambda number, image: image % 2 == 1)
    assert wanted.metrics["full", "top1"].n > wanted.metrics["val2017", "top1"].n > 0
    compare(from_archives, "lvis-box", wanted)


def test_q8_lvis_without_train2017_is_another_number_and_says_so(
    adapter: Adapter, base: Path, archived: Path, folder: Path, from_archives: Run
) -> None:
    files = {"lvis-box.annotations": archived / "coco/annotations/lvis_v1_val.json"}
    result = evaluate(adapter, "lvis-box", data_root=base, output=folder / "results", files=files)
    found, both = result.record("lvis-box"), from_archives.record("lvis-box")
    assert found["scores"] == [row for row in both["scores"] if row["subset"] == "val2017"]
    assert [(row["subset"], row["value"] is None) for row in found["main"]] == [("full", True), ("val2017", False)]
    left_out = both["counts"]["expected"] - found["counts"]["expected"]
    [note] = found["notes"]
    assert f"{left_out} boxes on {SCENES // 2} train2017 pictures were left out" in note


@pytest.mark.parametrize("dataset", ["imagenet-1k", "imagenet-1k-zh"])
def test_of_two_classes_of_one_name_the_lower_one_is_predicted(
    from_archives: Run, model: Reference, base: Path, dataset: str
) -> None:
    labels = {**imagenet_labels(base), 1: CLASSES - 1}
    wanted = imagenet(model, labels, lambda number: (labels[number], number), chinese=dataset.endswith("zh"))
    compare(from_archives, dataset, wanted)
    assert from_archives.record(dataset)["counts"]["ties"]["rank"] == sum(
        label in (1, CLASSES - 1) for label in labels.values()
    )


def test_equal_pictures_are_not_encoded_again_whatever_they_are_called(from_archives: Run) -> None:
    """The texts of the human-written set are new in part; the pictures are those of the first run."""
    found = from_archives.counters
    assert (found["image_passes"], found["regions_pooled"]) == (0, 0)
    assert found["texts_encoded"] == 1


def test_prototypes_of_classes_whose_prompts_differ_more_or_less(
    thumbnail: Thumbnail, base: Path, pictures: dict[int, bytes], folder: Path
) -> None:
    """With random weights all prompts of FG-CLIP 2 are nearly parallel and of one length.

    Here the prompts of a short name go apart and those of a long one do not: normalising the mean matters.
    """
    content = read(base / "coco/annotations/instances_val2017.json")
    names = ("i", "W" * 60, "jazz quiz", "~", "mmmm " * 9, "zebra crossing")
    for row, name in zip(content["categories"], names, strict=True):
        row["name"] = name
    path = folder / "other names.json"
    write(path, content)
    files = {"coco-box.annotations": path}
    run = evaluate(thumbnail, "coco-box", data_root=base, output=folder / "thumbnail", files=files)
    model = Reference(thumbnail, pictures)
    compare(run, "coco-box", boxes(model, path, filled, all=everything, non_crowd=everything))


def place(planned: PlannedDataset, role: str) -> Path:
    """Where a role was found."""
    return next(path for path in planned.files.places(role) if path.exists())


@pytest.fixture(scope="module")
def elsewhere(base: Path, folder: Path) -> dict[str, str | Path]:
    """Copies of every file in folders of strange names, as ``--set`` takes them."""
    files: dict[str, str | Path] = {}
    for planned in fgbench.plan(dataset=MADE, data_root=base).datasets:
        spec: DatasetSpec = planned.spec
        for role in spec.files:
            target = folder / "else where" / f"{spec.id} {role}{'/' if role == 'images' else ''}"
            source = place(planned, role)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(source, target)
            files[f"{spec.id}.{role}"] = str(target)
    # COCO-CN's pictures in a tree of 2017, half of them in the other folder.
    tree = folder / "else where/coco-cn images"
    (tree / "train2017").mkdir()
    for path in list((tree / "val2017").iterdir())[::2]:
        path.rename(tree / "train2017" / path.name)
    return files


def test_places_that_the_user_names(
    adapter: Adapter,
    folder: Path,
    elsewhere: dict[str, str | Path],
    from_files: Run,
    expected: Callable[[str], Result],
) -> None:
    """Nothing is in the data root; all 15 datasets are found by ``--set dataset.role=path``."""
    (folder / "empty").mkdir()
    result = evaluate(adapter, MADE, data_root=folder / "empty", output=folder / "results", files=elsewhere)
    for dataset in MADE:
        compare(result, dataset, expected(dataset))
        first, second = from_files.record(dataset), result.record(dataset)
        assert first["scores"] == second["scores"]
        assert first["data"]["images_sha256"] == second["data"]["images_sha256"]
    assert result.counters["image_passes"] == result.counters["texts_encoded"] == 0


def test_forked_workers_read_archives(
    adapter: Adapter, archived: Path, folder: Path, expected: Callable[[str], Result]
) -> None:
    """Zip and tar, from two workers, in small batches; nothing stored before is used."""
    chosen = ["boxclass-cn", "sharegpt4v", "lit-cn", "coco-karpathy"]
    result = evaluate(adapter, chosen, data_root=archived, output=folder / "workers", workers=2, batch_size=3)
    assert result.counters["image_passes"] == SCENES
    for dataset in chosen:
        compare(result, dataset, expected(dataset))


RETRIEVAL = [name for name in MADE if datasets().get(name)[1].task.endswith("retrieval")]


def test_q24_one_picture_is_a_set(adapter: Adapter, base: Path, folder: Path, from_files: Run) -> None:
    result = evaluate(adapter, RETRIEVAL, data_root=base, output=folder / "results", limit=1)
    for dataset in RETRIEVAL:
        found = result.record(dataset)
        assert {row["value"] for row in found["scores"]} == {1.0}
        assert found["counts"]["evaluated"] == 1


def test_q7_boxes_that_cannot_be_evaluated_are_counted_and_fail_by_default(
    adapter: Adapter, base: Path, folder: Path, from_files: Run, model: Reference
) -> None:
    """The official scripts leave them out of numerator and denominator and say nothing."""
    content = read(base / "coco/annotations/instances_val2017.json")
    good = len(content["annotations"])
    first = content["annotations"][0]
    bad = [{**first, "bbox": [5, 5, 0, 9]}, {**first, "bbox": [9000, 5, 9, 9]}, {**first, "category_id": 1234}]
    content["annotations"] += [{**row, "id": 10_000 + number} for number, row in enumerate(bad)]
    path = folder / "bad boxes.json"
    write(path, content)
    options: dict[str, Any] = {
        "data_root": base, "output": folder / "results", "files": {"coco-box.annotations": path},
    }  # fmt: skip
    failed = evaluate(adapter, "coco-box", **options)
    assert (len(failed.result.records), failed.result.exit_code) == (0, 1)
    assert "unknown_category 1" in failed.result.not_evaluated[0].reason
    partial = evaluate(adapter, "coco-box", on_error="skip", **options)
    counts = partial.record("coco-box")["counts"]
    assert counts["skipped"] == {"box_outside_image": 1, "degenerate_box": 1, "unknown_category": 1}
    assert (counts["expected"], counts["evaluated"]) == (good + 3, good)
    wanted = coco_box(model, base)
    for row in partial.record("coco-box")["scores"]:
        bounds = wanted.metrics[row["subset"], row["metric"]]
        assert row["n"] == good
        assert bounds.low <= row["value"] <= bounds.high

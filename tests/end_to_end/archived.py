"""The generated datasets in the other published layouts."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from fgbench.tasks.resources import lines

from .expected_results import CLASSES, coco_captions, imagenet_labels, read, write


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

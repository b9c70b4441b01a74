"""Reading caption files: COCO JSON, Karpathy JSON, BLIP JSON, tab-separated pairs, one JSON per picture."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fgbench.data.annotations import field, read_json, read_json_array, read_lines, strings
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError, DataMissingError
from fgbench.requests import ImageRef
from fgbench.spec import DatasetSpec

from .coco_format import read_coco
from .retrieval import Captioned, CaptionFile

CAPTIONS_PER_IMAGE = 5


def read_coco_captions(spec: DatasetSpec, files: DatasetFiles) -> CaptionFile:
    """Pictures in ascending id; captions of a picture in file order, the first five."""
    coco = read_coco(files.annotation("annotations"))
    root = files.image_root()
    captions: dict[int, list[str]] = {image: [] for image in coco.images}
    rejected: Counter[str] = Counter()
    for image, where, row in coco.by_image():
        if image in captions:
            captions[image].append(field(row, "caption", str, where))
    items = []
    for image, texts in captions.items():
        if not texts:
            rejected["no_caption"] += 1
            continue
        where = f"{coco.path}: image {image}"
        ref = root.image(field(coco.images[image], "file_name", str, where), where)
        items.append(Captioned(str(image), ref, tuple(texts[:CAPTIONS_PER_IMAGE])))
    return CaptionFile(items, rejected)


def read_flickr30k(spec: DatasetSpec, files: DatasetFiles) -> CaptionFile:
    """BLIP's ``flickr30k_test.json`` or Karpathy's ``dataset_flickr30k.json`` (its test split), told apart by content.

    Raises:
        DataError: a picture has not exactly five captions: the official script takes that for granted.
    """
    path = files.annotation("annotations")
    content = read_json(path)
    if isinstance(content, dict):
        return _karpathy(content, path, files, first=None)
    if not isinstance(content, list):
        raise DataError(f"{path}: expected a list of rows with 'image' and 'caption', or Karpathy's object.")
    root = files.image_root()
    items = []
    for number, row in enumerate(content):
        where = f"{path}: row {number}"
        if not isinstance(row, dict):
            raise DataError(f"{where} should be an object with 'image' and 'caption'.")
        name = field(row, "image", str, where)
        texts = strings(row, "caption", where)
        items.append(_with_five(name, root.image(name, where, anywhere=True), texts, where))
    return CaptionFile(items)


def read_karpathy(spec: DatasetSpec, files: DatasetFiles) -> CaptionFile:
    """The test split of a Karpathy file; the first five sentences of each picture, as written (``raw``)."""
    path = files.annotation("annotations")
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with 'images', as in Karpathy's files.")
    return _karpathy(content, path, files, first=CAPTIONS_PER_IMAGE)


def _karpathy(content: dict[str, Any], path: Path, files: DatasetFiles, *, first: int | None) -> CaptionFile:
    """The test split of a Karpathy file, with the ``first`` so many sentences of each picture (None: all)."""
    root = files.image_root()
    items = []
    for number, row in enumerate(field(content, "images", list, str(path))):
        where = f"{path}: images[{number}]"
        if not isinstance(row, dict):
            raise DataError(f"{where} should be an object with 'filename', 'split' and 'sentences'.")
        if field(row, "split", str, where) != "test":
            continue
        folder, file = field(row, "filepath", str, where, ""), field(row, "filename", str, where)
        name = f"{folder}/{file}" if folder else file
        texts = []
        for sentence in field(row, "sentences", list, where):
            if not isinstance(sentence, dict):
                raise DataError(f"{where}: field 'sentences' should hold objects with the text as 'raw'.")
            texts.append(field(sentence, "raw", str, where))
        items.append(_with_five(name, root.image(name, where, anywhere=True), texts[:first], where))
    return CaptionFile(items)


def read_flickr30k_cna(spec: DatasetSpec, files: DatasetFiles) -> CaptionFile:
    """Lines ``id[#k]<TAB>caption``; captions stripped, grouped by picture in order of first appearance."""
    path = files.annotation("annotations")
    root = files.image_root()
    groups: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for where, line in read_lines(path):
        if not line.strip():
            continue
        fields = [part.strip() for part in line.strip().split("\t")]
        if len(fields) != 2 or not all(fields):
            raise DataError(f"{where}: expected 'id<TAB>caption' with one TAB, found {line!r:.80}.")
        name = fields[0].split("#")[0].removesuffix(".jpg")
        first.setdefault(name, where)
        groups.setdefault(name, []).append(fields[1])
    items = []
    for name, texts in groups.items():
        items.append(_with_five(name, root.image(f"{name}.jpg", first[name], anywhere=True), texts, first[name]))
    return CaptionFile(items)


_COCO_CN = re.compile(r"(COCO_(train|val)2014_(\d{12}))#zh[a-z]#\d+\s(.*)")


def read_coco_cn(spec: DatasetSpec, files: DatasetFiles) -> CaptionFile:
    """Lines ``COCO_<part>2014_<number>#zhm#<k> caption``, grouped by picture in order of first appearance.

    Pictures are looked up under their COCO 2014 name, then in a COCO 2017 tree, which has the same ones renamed.

    Raises:
        DataError: a line of another form; the official script would drop it in silence.
    """
    path = files.annotation("annotations")
    root = files.image_root()
    groups: dict[str, list[str]] = {}
    refs = {}
    for where, line in read_lines(path):
        if not line.strip():
            continue
        match = _COCO_CN.fullmatch(line)
        if not match:
            raise DataError(f"{where}: expected 'COCO_<part>2014_<number>#zhm#<k> caption', found {line!r:.80}.")
        name, part, number, caption = match.groups()
        groups.setdefault(name, []).append(caption)
        if name not in refs:
            choices = (f"{part}2014/{name}.jpg", f"train2017/{number}.jpg", f"val2017/{number}.jpg")
            found = next(filter(None, (root.find(choice, where) for choice in choices)), None)
            refs[name] = found or root.expected(choices[0], where)
    return CaptionFile(
        [Captioned(name, refs[name], tuple(texts[:CAPTIONS_PER_IMAGE])) for name, texts in groups.items()]
    )


SHAREGPT4V_ROWS = 1000


def read_sharegpt4v(spec: DatasetSpec, files: DatasetFiles) -> CaptionFile:
    """The first 1,000 rows of the array, read as a stream; caption = second turn, newlines kept."""
    path = files.annotation("annotations")
    root = files.image_root()
    items = []
    for where, row in itertools.islice(read_json_array(path), SHAREGPT4V_ROWS):
        turns = field(row, "conversations", list, where)
        if len(turns) < 2 or not isinstance(turns[1], dict):
            raise DataError(f"{where}: field 'conversations' should have a second turn with the caption.")
        name = field(row, "image", str, where)
        ref = root.image(name, where, anywhere=True)
        items.append(Captioned(name, ref, (field(turns[1], "value", str, where),)))
    return CaptionFile(items)


def read_dci(spec: DatasetSpec, files: DatasetFiles) -> CaptionFile:
    """One JSON file per picture, sorted by name; the text is ``extra_caption`` only.

    Raises:
        DataMissingError: the folder holds no annotation file.
    """
    folder = files.annotation("annotations")
    root = files.image_root()
    items = []
    for name in sorted(name for name in files.folders.names(str(folder)) if name.endswith(".json")):
        path = folder / name
        row = read_json(path)
        if not isinstance(row, dict):
            raise DataError(f"{path}: expected an object with 'image' and 'extra_caption'.")
        ref = root.image(field(row, "image", str, str(path)), str(path))
        items.append(Captioned(path.stem, ref, (field(row, "extra_caption", str, str(path)),)))
    if not items:
        raise DataMissingError(f"{spec.id}: {folder} holds no annotation file (*.json). {spec.how_to_get}")
    return CaptionFile(items)


def read_pairs(spec: DatasetSpec, files: DatasetFiles) -> CaptionFile:
    """Lines ``path<TAB>caption``; trailing white space stripped, then exactly two fields.

    What the paths are relative to is not documented. Tried are the image folder, the folder of the annotation file and
    the data root (only the first if the user named it); then the last part of the name is looked for in the image
    folder and its archives.

    Raises:
        DataError: a line without exactly one TAB (the official script stops there too).
    """
    path = files.annotation("annotations")
    root = files.image_root()
    folders = () if "images" in files.overrides else (path.parent, files.root)
    items = []
    for where, line in _without_last_blank(read_lines(path)):
        fields = line.rstrip().split("\t")
        if len(fields) != 2 or not fields[0]:
            raise DataError(f"{where}: expected 'path<TAB>caption' with one TAB, found {line!r:.80}.")
        name, caption = fields
        ref = root.find(name, where)
        if ref is None:
            elsewhere = (files.below(each, name, where) for each in folders)
            ref = next((each for each in elsewhere if files.folders.has(each.path)), None)
        items.append(Captioned(name, ref or root.image(name, where, anywhere=True), (caption,)))
    return CaptionFile(items)


def _without_last_blank(lines: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    rows = list(lines)
    while rows and not rows[-1][1].strip():
        rows.pop()
    return rows


def _with_five(name: str, image: ImageRef, captions: Sequence[str], where: str) -> Captioned:
    if len(captions) != CAPTIONS_PER_IMAGE:
        raise DataError(
            f"{where}: picture {name} has {len(captions)} captions; the protocol takes exactly "
            f"{CAPTIONS_PER_IMAGE} per picture. Is this the published file?"
        )
    return Captioned(name, image, tuple(captions))

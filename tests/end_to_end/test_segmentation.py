"""Segmentation of the miniature suite, from the pictures to the record, with a model of a few numbers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, jaccard_score

import fgbench
from fgbench.data.mini.label_maps import write_label_maps
from fgbench.tasks.resources import lines

from ..adapters import tiny_models
from .results import counters

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Shell, Thumbnail

SETS = "voc-20,voc-21"
VOC = "VOCdevkit/VOC2012"
LIMIT = 4


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The six sets of the miniature suite."""
    folder = tmp_path_factory.mktemp("mini")
    write_label_maps(folder)
    return folder


def evaluate(model: Thumbnail, root: Path, output: Path, **options: Any) -> fgbench.api.Evaluation:
    return fgbench.evaluate(
        model, None, options.pop("dataset", SETS), data_root=root, output=output, device="cpu", workers=0, **options
    )


def values(record: dict[str, Any]) -> dict[str, float]:
    return {row["metric"]: row["value"] for row in record["scores"]}


def without_timings(result: fgbench.api.Evaluation) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "timings"} for record in result.records]


def test_one_picture_is_drawn_and_a_second_run_finds_everything(
    root: Path, thumbnail: Thumbnail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"limit": LIMIT, "save_visuals": 1}
    first = evaluate(thumbnail, root, tmp_path / "results", **options)
    assert (first.exit_code, [record["dataset"] for record in first.records]) == (0, SETS.split(","))
    for record in first.records:
        assert record["counts"]["expected"] == record["counts"]["evaluated"] == LIMIT
        assert (record["model"]["kind"], record["model"]["window"]) == ("dual encoder", None)
        assert record["protocol"]["choices"] == {"windows": "auto", "templates": "imagenet80"}
        [drawn] = (first.folder / f"{record['dataset']}.limit-{LIMIT}.visuals").iterdir()
        name = (root / VOC / "ImageSets/Segmentation/val.txt").read_text(encoding="utf-8").split()[0]
        assert drawn.name == f"{name}.png"
        with Image.open(drawn) as image, Image.open(root / VOC / f"JPEGImages/{name}.jpg") as picture:
            assert image.format == "PNG"
            assert image.width > 2 * picture.width  # picture, ground truth and prediction, side by side
            assert len(image.convert("RGB").getcolors(2**24) or ()) > 2

    def never(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("a picture was encoded again")

    monkeypatch.setattr(thumbnail, "encode_images", never)
    again = evaluate(thumbnail, root, tmp_path / "results", **options)
    assert without_timings(again) == without_timings(first)


def test_the_numbers_are_those_of_a_loop_over_pictures(root: Path, thumbnail: Thumbnail, tmp_path: Path) -> None:
    """VOC-20: prototypes of the 80 templates, cosine per cell, bilinear, argmax; figures by scikit-learn."""
    [record] = evaluate(thumbnail, root, tmp_path / "results", dataset="voc-20").records
    prototypes = torch.stack([prototype(thumbnail, name) for name in lines("voc20_classnames")])
    truths, found = [], []
    for path in sorted((root / VOC / "JPEGImages").iterdir()):
        labels = np.asarray(Image.open(root / VOC / f"SegmentationClass/{path.stem}.png"))
        image = Image.open(path).convert("RGB")
        tokens = thumbnail.encode_images(
            {name: value[None] for name, value in thumbnail.preprocessor(image, "thumbnail").items()}, dense=True
        ).tokens
        assert tokens is not None
        cells = torch.nn.functional.normalize(tokens[0], dim=-1).T.view(-1, 4, 4)
        scores = torch.einsum("kd,dhw->khw", prototypes, cells)
        large = torch.nn.functional.interpolate(scores[None], labels.shape, mode="bilinear", align_corners=False)[0]
        keep = (labels > 0) & (labels < 255)
        truths.append(labels[keep].astype(int) - 1)
        found.append(large.argmax(dim=0).numpy()[keep])
    truth, guess = np.concatenate(truths), np.concatenate(found)
    present = np.unique(truth)
    measured = values(record)
    # Scores that differ in the last bit may fall either way: a few pixels of hundred thousands.
    assert measured["pixel_accuracy"] == pytest.approx(accuracy_score(truth, guess), abs=1e-4)
    iou = jaccard_score(truth, guess, labels=present, average=None, zero_division=0)
    assert measured["miou"] == pytest.approx(iou.mean(), abs=1e-4)
    assert 0 < measured["miou"] < 0.5


def prototype(model: Thumbnail, name: str) -> torch.Tensor:
    texts = [template.format(name).lower() for template in lines("templates_80")]
    rows = torch.nn.functional.normalize(model.encode_texts(texts, "box").vectors, dim=-1)
    return torch.nn.functional.normalize(rows.mean(0), dim=0)


def test_pictures_are_cut_for_a_model_of_fixed_resolution(root: Path, thumbnail: Thumbnail, tmp_path: Path) -> None:
    """``auto`` is ``sclip`` where the adapter declares a window: two windows or more along each side."""
    thumbnail.info = dataclasses.replace(thumbnail.info, window=64)
    passes, choices = [], []
    for name in (None, "sclip", "whole"):
        protocol = {"windows": name} if name else None
        result = evaluate(thumbnail, root, tmp_path / f"{name}", protocol=protocol, dataset="voc-20", limit=2)
        [record] = result.records
        assert record["model"]["window"] == 64
        choices.append(record["protocol"]["choices"]["windows"])
        passes.append(counters(result)["image_passes"])
    assert choices == ["auto", "sclip", "whole"]
    assert passes[0] == passes[1] >= 4 * passes[2] == 8


@pytest.mark.slow
def test_a_choice_by_the_command_line_is_in_record_and_name(shell: Shell, root: Path, tmp_path: Path) -> None:
    what = ("--model", tiny_models.clip(tmp_path / "tiny"), "--dataset", "voc-20", "--limit", "1", "--device", "cpu")
    how = ("--data-root", root, "--protocol", "windows=whole", "--save-visuals", "1", "--json")
    done = shell("eval", *what, *how)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    [record] = result["records"]
    assert record["protocol"]["choices"]["windows"] == "whole"
    assert record["model"]["name"] == "tiny?windows=whole"
    assert len(list((shell.folder / result["folder"]).glob("*.visuals/*.png"))) == 1
    assert "windows=whole" in (shell.folder / "results/results.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("choice", "message"),
    [("windows=wide", "sclip"), ("window=whole", "windows"), ("windows", "KEY=VALUE")],
)
def test_a_choice_that_does_not_exist_is_wrong_usage(shell: Shell, root: Path, choice: str, message: str) -> None:
    done = shell("eval", "-m", "fgclip2-untrained", "-d", "voc-20", "--data-root", root, "--protocol", choice)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr

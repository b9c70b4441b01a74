"""A model that returns nonsense or a checkpoint that is damaged: the input or the file is named, nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import fgbench
from fgbench.adapter import ImageFeatures, TextFeatures
from fgbench.errors import FgbenchError, ModelError, UsageError

from .results import Run, counters

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Data, Shell, Thumbnail


def test_nan_for_a_picture_names_it_and_keeps_the_texts(
    run: Run, data: Data, thumbnail: Thumbnail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = data.add_picture()
    healthy = thumbnail.encode_images

    def poisoned(batch: Any, *, dense: bool) -> ImageFeatures:
        features = healthy(batch, dense=dense)
        features.pooled[:, 3] = torch.where(grey(batch), torch.nan, features.pooled[:, 3])
        return features

    def grey(batch: Any) -> torch.Tensor:
        return torch.eq(batch["pixels"].amax(2), batch["pixels"].amin(2)).all(1)

    with monkeypatch.context() as patch:
        patch.setattr(thumbnail, "encode_images", poisoned)
        with pytest.raises(ModelError, match=r"thumbnail returned NaN or infinity for 1 of \d+ inputs") as caught:
            run()
    assert str(picture) in str(caught.value)
    assert not list((tmp_path / "results").glob("*/*.json"))
    result = run()
    assert counters(result)["texts_encoded"] == 0
    assert result.exit_code == 0


def test_nan_for_a_text_names_it(run: Run, thumbnail: Thumbnail, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = thumbnail.encode_texts

    def poisoned(texts: Any, kind: Any) -> TextFeatures:
        vectors, truncated = healthy(texts, kind)
        return TextFeatures(vectors / torch.tensor([[float("ring" not in text)] for text in texts]), truncated)

    with monkeypatch.context() as patch:
        patch.setattr(thumbnail, "encode_texts", poisoned)
        with pytest.raises(ModelError, match="ring"):
            run()
    assert run().exit_code == 0


def test_features_of_a_wrong_shape_are_refused(run: Run, thumbnail: Thumbnail, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = thumbnail.encode_images

    def narrow(batch: Any, *, dense: bool) -> ImageFeatures:
        return healthy(batch, dense=dense)._replace(pooled=torch.zeros(1, 2))

    monkeypatch.setattr(thumbnail, "encode_images", narrow)
    with pytest.raises(ModelError, match=r"pooled features are \[1, 2\], expected \[12, 8\]"):
        run()


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (lambda folder: cut(folder / "model.safetensors"), ModelError, "truncated or damaged"),
        (lambda folder: (folder / "model.safetensors").unlink(), ModelError, "expected model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x02}q"), ModelError, "is a pickle"),
        (lambda folder: (folder / "tokenizer.json").unlink(), ModelError, "there is no tokenizer.json"),
        (lambda folder: cut(folder / "tokenizer.json"), ModelError, "tokenizer.json: expected a tokenizer"),
        (lambda folder: cut(folder / "config.json"), UsageError, "no adapter recognises it"),
        (lambda folder: (folder / "config.json").unlink(), UsageError, "no adapter recognises it"),
    ],
    ids=["weights cut", "no weights", "pickle", "no tokenizer", "tokenizer cut", "config cut", "no config"],
)
def test_a_broken_checkpoint(
    golden: Path, data: Data, tmp_path: Path, damage: Callable[[Path], object], kind: type[FgbenchError], message: str
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(golden / "fgclip2-tiny", folder)
    damage(folder)
    with pytest.raises(kind, match=message) as caught:
        fgbench.evaluate(str(folder), None, data.IDS, data_root=data.root, output=tmp_path / "results")
    assert str(folder) in str(caught.value)
    assert not (tmp_path / "results").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_a_broken_checkpoint_on_the_command_line(golden: Path, data: Data, shell: Shell) -> None:
    folder = shell.folder / "checkpoint"
    shutil.copytree(golden / "fgclip2-tiny", folder)
    cut(folder / "model.safetensors")
    done = shell("eval", "--model", folder, "-d", "coco", "--data-root", data.root)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "model.safetensors: expected safetensors weights, but the file" in done.stderr
    assert "Traceback" not in done.stderr

"""transformers models: which checkpoints are read, and which must be refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.constants
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from fgbench.adapters.checkpoint import Checkpoint
from fgbench.adapters.hf import load
from fgbench.adapters.hf_files import load_model
from fgbench.errors import ModelError, UsageError

from .encoding import encode, picture, texts
from .hf_models import MAKERS
from .hf_models import adapters as adapters
from .hf_models import folders as folders
from .tiny_models import clip, clip_tokenizer, edit_weights, naflex, siglip

TEXTS = ["a cat", "The Small DOG 猫", "", "ab"]


@pytest.mark.parametrize("name", MAKERS)
def test_half_precision_checkpoints_become_float32(tmp_path: Path, name: str) -> None:
    folder = MAKERS[name](tmp_path)
    transformers.AutoModel.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    assert {parameter.dtype for parameter in load(str(folder)).module.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    ("value", "message"), [(None, "1 missing: "), (torch.zeros(31), r"1 of another shape: .*\[31\] instead of \[32\]")]
)
def test_weights_that_do_not_fit(tmp_path: Path, name: str, value: Tensor | None, message: str) -> None:
    folder = MAKERS[name](tmp_path)
    edit_weights(folder, vision_model__post_layernorm__bias=value)
    with pytest.raises(ModelError, match=message + r".*random" if value is None else message) as caught:
        load(str(folder))
    assert "vision_model.post_layernorm.bias" in str(caught.value)


def test_tensors_that_are_not_used_are_told(tmp_path: Path) -> None:
    folder = clip(tmp_path)
    state = load_file(folder / "model.safetensors")
    save_file(state | {"text_filip_projection.weight": torch.zeros(2)}, folder / "model.safetensors", {"format": "pt"})
    assert any("text_filip_projection.weight" in note for note in load(str(folder)).info.notes)


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "boom"))


def test_pickled_weights(tmp_path: Path, adapters: dict[str, Any]) -> None:
    folder, mark = clip(tmp_path / "model"), tmp_path / "mark"
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    adapter = load(str(folder))
    assert "pytorch_model.bin" in adapter.info.files
    torch.testing.assert_close(
        encode(adapter, [picture()]).pooled, encode(adapters["clip"], [picture()]).pooled, rtol=0, atol=1e-5
    )
    torch.save(state | {"logit_scale": _Bomb(mark)}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"cannot load CLIPModel from pytorch_model\.bin"):
        load(str(folder))
    assert not mark.exists()


def test_pickled_weights_of_the_hub_are_fetched_when_there_are_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789" * 4
    folder = clip(tmp_path / "models--owner--a--b" / "snapshots" / commit)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    asked = []

    def download(repository: str, file: str, revision: str) -> None:
        asked.append((repository, file, revision))
        torch.save(state, folder / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    load_model("CLIPModel", Checkpoint(folder, commit))
    load_model("CLIPModel", Checkpoint(folder, commit))
    assert asked == [("owner/a--b", "pytorch_model.bin", commit)]


def test_remote_code_is_never_run(tmp_path: Path) -> None:
    folder, mark = clip(tmp_path / "model"), tmp_path / "mark"
    (folder / "code.py").write_text(f"open({str(mark)!r}, 'w')\n", encoding="utf-8")
    for file, entry in (
        ("config.json", {"AutoModel": "code.M", "AutoConfig": "code.C"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["code.T", "code.T"]}),
        ("preprocessor_config.json", {"AutoImageProcessor": "code.P"}),
    ):
        content = json.loads((folder / file).read_text(encoding="utf-8"))
        (folder / file).write_text(json.dumps(content | {"auto_map": entry}), encoding="utf-8")
    load(str(folder))
    assert not mark.exists()


@pytest.mark.parametrize("file", ["preprocessor_config.json", "tokenizer.json", "model.safetensors", "config.json"])
@pytest.mark.parametrize("name", MAKERS)
def test_damaged_files(tmp_path: Path, name: str, file: str) -> None:
    folder = MAKERS[name](tmp_path)
    (folder / file).write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"(?s)download|Download"):
        load(str(folder))


def test_a_picture_size_that_is_not_the_model_s(tmp_path: Path) -> None:
    folder = clip(tmp_path, crop_size={"height": 40, "width": 40})
    with pytest.raises(ModelError, match=r"shape \[3, 40, 40\]; expected \[3, 32, 32\]"):
        load(str(folder))


def test_an_end_token_that_is_not_the_model_s(tmp_path: Path) -> None:
    folder = clip(tmp_path)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["text_config"]["eos_token_id"] = 7
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=r"first id 7 .eos_token_id"):
        load(str(folder))
    config["text_config"]["eos_token_id"] = 2  # what OpenAI's own folders say; it means the highest id
    path.write_text(json.dumps(config), encoding="utf-8")
    found = texts(load(str(folder)), ["a cat", "a much longer text"]).vectors
    torch.testing.assert_close(found[:1], texts(load(str(folder)), ["a cat"]).vectors, rtol=0, atol=1e-5)


def test_a_naflex_checkpoint_that_asks_for_another_treatment(tmp_path: Path) -> None:
    folder = naflex(tmp_path)
    path = folder / "preprocessor_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"resample": 3, "image_mean": [0.1, 0.2, 0.3]}), encoding="utf-8")
    assert load(str(folder)).info.notes == (
        "preprocessor_config.json says image_mean [0.1, 0.2, 0.3] (used: [0.5, 0.5, 0.5]), resample 3 (used: 2)",
    )


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    folder = siglip(tmp_path)
    clip_tokenizer().save_pretrained(folder)
    with pytest.raises(ModelError, match="belong to another model"):
        texts(load(str(folder)), ["a"])


def test_other_model_types(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "blip"}', encoding="utf-8")
    with pytest.raises(UsageError, match=r"'blip'.*'clip', 'siglip', 'siglip2'"):
        load(str(tmp_path))


def test_hub_ids(monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path]) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"nobody/nothing.*abc.*hub cannot be reached"):
        load("nobody/nothing@abc")
    with pytest.raises(UsageError, match="two revisions"):
        load("nobody/nothing@abc", revision="def")
    with pytest.raises(UsageError, match="only hub models have revisions"):
        load(str(folders["clip"]), revision="abc")

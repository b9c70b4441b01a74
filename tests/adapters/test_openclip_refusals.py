"""open_clip models: no way to random weights or to foreign code, and models with other habits."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fgbench.adapters.openclip import load
from fgbench.errors import CapabilityError, ModelError, UsageError

from .encoding import encode, picture
from .openclip_models import adapter as adapter
from .openclip_models import built_in as built_in
from .openclip_models import folder as folder
from .tiny_models import LENGTH, clip_tokenizer, edit_weights, eva_config, open_clip_config, open_clip_folder

TEXTS = ["a cat", "the “small” dog &amp; 猫", "", "ab"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("ViT-B-61/openai", r"no model 'ViT-B-61'.*Did you mean .*ViT-B-16"),
        ("ViT-B/16", r"no model 'ViT-B'.*ViT-B-"),
        ("ViT-Test-8/openia", r"no weights with the tag 'openia'.*Did you mean openai"),
        ("ViT-Test-8/", r"no weights with the tag ''.*openai, laion, remote"),
        ("ViT-Test-8@nowhere.pt", r"no weights file nowhere\.pt"),
        ("local-dir:/no/such/folder", r"no folder /no/such/folder"),
    ],
)
def test_unknown_names(built_in: str, target: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(target)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("target", ["ViT-Test-8/remote", "hf-hub:nobody/nothing"])
def test_no_network(built_in: str, offline: None, target: str) -> None:
    with pytest.raises(ModelError, match=r"could not download .*HF_HUB_OFFLINE.*weights file"):
        load(target)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    folder = open_clip_folder(tmp_path)
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"expected one weights file.*found none"):
        load(str(folder))
    (folder / "open_clip_config.json").write_text('{"model_cfg": {"embed_dim": 3}}', encoding="utf-8")
    with pytest.raises(ModelError, match="vision_cfg and text_cfg; found embed_dim"):
        load(str(folder))


@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "Missing key.*ln_final.bias"), (torch.zeros(31), "size mismatch.*ln_final.bias")],
    ids=["missing", "mis-shaped"],
)
def test_weights_that_do_not_fit(tmp_path: Path, value: Tensor | None, message: str) -> None:
    folder = open_clip_folder(tmp_path)
    edit_weights(folder, ln_final__bias=value)
    with pytest.raises(ModelError, match=f"do not fit.*{message}"):
        load(str(folder))


def test_a_resized_position_table_is_told(tmp_path: Path) -> None:
    folder = open_clip_folder(tmp_path)
    edit_weights(folder, visual__positional_embedding=torch.randn(26, 32))
    assert any("26 rows and was resized to 17" in note for note in load(str(folder)).info.notes)


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "boom"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol", "ignore:.*torch.jit", "ignore:.*TorchScript")
def test_code_in_weights_is_refused(built_in: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    torch.save({"state_dict": {"a": _Bomb(mark)}}, tmp_path / "zip.pt")
    torch.save({"state_dict": {"a": _Bomb(mark)}}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(_Bomb(mark)))
    (tmp_path / "page.safetensors").write_text("<html>", encoding="utf-8")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "jit.pt"))  # type: ignore[no-untyped-call]
    for name in ("zip.pt", "old.pt", "bare.pt", "page.safetensors", "jit.pt"):
        with pytest.raises(ModelError, match=r"cannot be read safely|is a web page"):
            load(f"{built_in}@{tmp_path / name}")
    assert not mark.exists()


def hub_tokenizer_folder(folder: Path) -> Path:
    config = open_clip_config()
    open_clip_folder(folder, config)
    config["text_cfg"] |= {
        "hf_tokenizer_name": "somebody/something",
        "tokenizer_kwargs": {"clean": "lower"},
        "vocab_size": 516,
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}), encoding="utf-8")
    clip_tokenizer().save_pretrained(folder)
    return folder


def test_a_tokenizer_of_transformers(tmp_path: Path) -> None:
    adapter = load(str(hub_tokenizer_folder(tmp_path)))
    with torch.inference_mode():
        found = adapter.encode_texts(["a" * 14, "a" * 15, "<|endoftext|>"], "short")
    assert list(found.truncated) == [False, True, False]
    ids, _ = adapter._tokens(["<|endoftext|> a", "a"])
    end = ids[1].max()
    assert int((ids[0] == end).int().argmax()) > int((ids[1] == end).int().argmax())


def test_remote_code_in_a_tokenizer_is_never_run(tmp_path: Path) -> None:
    folder = hub_tokenizer_folder(tmp_path / "model")
    mark = tmp_path / "mark"
    (folder / "code.py").write_text(f"open({str(mark)!r}, 'w')\nclass T: pass\n", encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    settings = {"tokenizer_class": "T", "auto_map": {"AutoTokenizer": ["code.T", "code.T"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"trust_remote_code": True}
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="cannot load the tokenizer"):
        load(str(folder))
    assert not mark.exists()


def test_models_that_normalise_by_default_and_have_no_dense_features(tmp_path: Path) -> None:
    config = open_clip_config(attentional_pool=True, attn_pooler_heads=4, output_tokens=True)
    config["text_cfg"] |= {"embed_cls": True, "output_tokens": True}
    config["custom_text"] = True
    config["multimodal_cfg"] = {"context_length": LENGTH, "width": 24, "heads": 4, "layers": 1}
    adapter = load(str(open_clip_folder(tmp_path, config)))
    assert (adapter.info.dense, adapter.info.region_default) == (None, "crop")
    assert "dense" not in adapter.info.preprocess
    pooled = encode(adapter, [picture()]).pooled
    with torch.inference_mode():
        vectors = adapter.encode_texts(["a"], "short").vectors
    for rows in (pooled, vectors):
        assert not torch.allclose(rows, functional.normalize(rows, dim=-1), atol=1e-2)
    with pytest.raises(CapabilityError, match="no dense features"):
        encode(adapter, [picture()], dense=True)


def test_eva_has_dense_features(tmp_path: Path) -> None:
    adapter = load(str(open_clip_folder(tmp_path, eva_config())))
    features = encode(adapter, [picture()], dense=True)
    assert adapter.info.dense == "value path"
    assert features.tokens.shape == (1, 49, 24)

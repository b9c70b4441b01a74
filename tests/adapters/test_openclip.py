"""open_clip models: the same numbers as the library called directly, honest flags, and no way to random weights."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import open_clip
import pytest
import torch
from open_clip import factory, pretrained
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from fgbench.adapters.openclip import load
from fgbench.errors import CapabilityError, ModelError, UsageError
from fgbench.models import load_adapter

from .tiny_models import LENGTH, clip_tokenizer, edit_weights, eva_config, open_clip_config, open_clip_folder

TEXTS = ["a cat", "the “small” dog &amp; 猫", "", "ab"]


def picture(width: int = 64, height: int = 43, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encode(adapter: Any, images: Sequence[Image.Image], *, dense: bool = False) -> Any:
    purpose = "dense" if dense else "global"
    tensors = [adapter.preprocessor(image, adapter.preprocessor.view(purpose, image.size, None)) for image in images]
    with torch.inference_mode():
        return adapter.encode_images({key: torch.stack([t[key] for t in tensors]) for key in tensors[0]}, dense=dense)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return open_clip_folder(tmp_path_factory.mktemp("vit"))


@pytest.fixture(scope="module")
def adapter(folder: Path) -> Any:
    return load(str(folder))


@pytest.fixture
def built_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny model under a name of its own, with tags, as if open_clip shipped it."""
    config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"]
    file = str(folder / "open_clip_model.safetensors")
    look = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "ViT-Test-8", config)
    monkeypatch.setitem(factory._MODEL_CONFIGS, "ViT-Test-8-quickgelu", config | {"quick_gelu": True})
    tags = {
        "openai": {"file": file, "quick_gelu": True, **look},
        "laion": {"file": file, **look},
        "remote": {"hf_hub": "nobody/nothing/", **look},
    }
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-Test-8", tags)
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-Test-8-quickgelu", tags)
    return "ViT-Test-8"


def direct(name: str, image: Image.Image, texts: Sequence[str], **options: Any) -> tuple[Tensor, Tensor]:
    model, _, transform = open_clip.create_model_and_transforms(name, **options)
    with torch.inference_mode():
        return (
            model.eval().encode_image(transform(image)[None]),
            model.encode_text(open_clip.get_tokenizer(name)(list(texts))),
        )


def test_equals_the_library(folder: Path, adapter: Any) -> None:
    pooled, text = direct(f"local-dir:{folder}", picture(), TEXTS)
    torch.testing.assert_close(encode(adapter, [picture()]).pooled, pooled, rtol=0, atol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(adapter.encode_texts(TEXTS, "short").vectors, text, rtol=0, atol=1e-5)


def test_info(folder: Path, adapter: Any) -> None:
    info = adapter.info
    assert (info.family, info.dim, info.dense, info.region_default) == ("openclip", 24, "value path", "roi")
    assert dict(info.text_length) == {"short": LENGTH, "long": LENGTH, "box": LENGTH}
    assert list(info.files) == ["open_clip_config.json", "open_clip_model.safetensors"]
    assert "crop-32" in info.preprocess
    assert "squash-32" in info.preprocess
    assert str(folder.parent) not in info.source
    assert not adapter.module.training
    assert {parameter.dtype for parameter in adapter.module.parameters()} == {torch.float32}


@pytest.mark.parametrize("spelling", ["{}", "openclip:{}", "openclip:local-dir:{}"])
def test_spellings_of_a_folder(folder: Path, adapter: Any, spelling: str) -> None:
    other = load_adapter(spelling.format(folder))
    assert torch.equal(encode(other, [picture()]).pooled, encode(adapter, [picture()]).pooled)


def test_dense_covers_the_whole_picture(adapter: Any) -> None:
    image = Image.new("RGB", (96, 32))
    image.paste((255, 0, 0), (0, 0, 24, 32))  # inside the left quarter, which a centre crop loses
    views = adapter.preprocessor
    assert views.view("global", image.size, 256) == "crop-32"
    assert views.view("dense", image.size, None) == "squash-32"
    assert views(image, "crop-32")["pixels"][0].unique().numel() == 1
    red = views(image, "squash-32")["pixels"][0]
    assert red.shape == (32, 32)
    assert bool((red[:, :6] > red[:, -1:]).all())
    features = encode(adapter, [image], dense=True)
    assert features.tokens.shape == (1, 16, 24)
    assert features.grid.tolist() == [[4, 4]]


def test_rows_do_not_depend_on_the_batch(adapter: Any) -> None:
    images = [picture(40 + 7 * i, 60 - 5 * i, i) for i in range(7)]
    texts = [f"{'word ' * i}cat" for i in range(7)]
    together = encode(adapter, images, dense=True)
    with torch.inference_mode():
        vectors = adapter.encode_texts(texts, "long").vectors
        for i, (image, text) in enumerate(zip(images, texts, strict=True)):
            alone = encode(adapter, [image], dense=True)
            torch.testing.assert_close(alone.pooled[0], together.pooled[i], rtol=0, atol=1e-5)
            torch.testing.assert_close(alone.tokens[0], together.tokens[i], rtol=0, atol=1e-5)
            torch.testing.assert_close(adapter.encode_texts([text], "long").vectors[0], vectors[i], rtol=0, atol=1e-5)


def test_truncation_is_reported(adapter: Any) -> None:
    # one token per letter: 14 letters and the two ends fill 16 positions
    with torch.inference_mode():
        found = adapter.encode_texts(["a" * 13, "a" * 14, "a" * 15, "!" * 40, ""], "box")
    assert list(found.truncated) == [False, False, True, True, False]
    assert found.vectors.shape == (5, 24)


def test_no_texts(adapter: Any) -> None:
    found = adapter.encode_texts([], "short")
    assert found.vectors.shape == (0, 24)
    assert list(found.truncated) == []


@pytest.mark.parametrize("literal", ["<end_of_text>", "<START_OF_TEXT>", "&lt;end_of_text&gt;"])
def test_literal_special_tokens_are_text(adapter: Any, literal: str) -> None:
    ids, _ = adapter._tokens([f"a {literal}"])
    tokenizer = adapter._tokens.tokenizer
    assert ids[0].tolist().count(tokenizer.eot_token_id) == 1
    assert ids[0].tolist().count(tokenizer.sot_token_id) == 1
    plain, _ = adapter._tokens([f"a < {literal.strip('<>').removeprefix('&lt;').removesuffix('&gt;')}>"])
    assert torch.equal(ids, plain)


def test_preprocessor_travels(adapter: Any) -> None:
    copy = pickle.loads(pickle.dumps(adapter.preprocessor))
    assert len(pickle.dumps(adapter.preprocessor)) < 1 << 20
    for view in ("crop-32", "squash-32"):
        assert torch.equal(copy(picture(), view)["pixels"], adapter.preprocessor(picture(), view)["pixels"])


@pytest.mark.parametrize("size", [(1, 1), (3000, 10), (10, 3000), (100_000, 1), (2, 3), (0, 5), (5, 0)])
def test_odd_pictures(adapter: Any, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (9, 90, 200))
    for dense in (False, True):
        assert bool(torch.isfinite(encode(adapter, [image], dense=dense).pooled).all())
    expected = (0, 0, 0) if 0 in size else (9, 90, 200)
    views = [adapter.preprocessor(image, view)["pixels"] for view in ("crop-32", "squash-32")]
    plain = adapter.preprocessor(Image.new("RGB", (32, 32), expected), "crop-32")["pixels"]
    assert all(torch.equal(pixels, plain) for pixels in views)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA"])
def test_modes_become_rgb(adapter: Any, mode: str) -> None:
    image = picture().convert(mode).convert("RGB")
    assert encode(adapter, [image]).pooled.shape == (1, 24)


def test_a_tag_brings_picture_treatment_and_activation(built_in: str, folder: Path) -> None:
    adapter = load(f"{built_in}/openai")
    assert adapter.preprocessor.view("global", (9, 9), None) == "squash-32"
    assert "bilinear" in adapter.info.preprocess
    assert adapter.info.settings["quick_gelu"] is True
    assert any("QuickGELU" in note for note in adapter.info.notes)
    pooled, text = direct(built_in, picture(), TEXTS, pretrained="openai", force_quick_gelu=True)
    torch.testing.assert_close(encode(adapter, [picture()]).pooled, pooled, rtol=0, atol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(adapter.encode_texts(TEXTS, "short").vectors, text, rtol=0, atol=1e-5)
    plain = load(f"{built_in}/laion")
    assert not plain.info.notes
    assert not torch.allclose(encode(plain, [picture()]).pooled, pooled, atol=1e-3)


def test_the_activation_of_the_tag_wins_both_ways(built_in: str) -> None:
    adapter = load(f"{built_in}-quickgelu/laion")
    assert adapter.info.settings["quick_gelu"] is False
    assert any("replaced by GELU" in note for note in adapter.info.notes)
    plain = load(f"{built_in}/laion")
    assert torch.equal(encode(adapter, [picture()]).pooled, encode(plain, [picture()]).pooled)


def test_slashes_in_model_names(built_in: str) -> None:
    assert load("ViT/Test-8/laion").info.source.startswith("open_clip ViT-Test-8/laion")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_weights_file(built_in: str, folder: Path, tmp_path: Path, suffix: str) -> None:
    path = folder / "open_clip_model.safetensors"
    if suffix == ".pt":
        path = tmp_path / "epoch_3.pt"
        state = load_file(folder / "open_clip_model.safetensors")
        torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    adapter = load(f"{built_in}@{path}")
    # some tag of this model is remote, but all agree on the picture treatment
    assert adapter.preprocessor.view("global", (9, 9), None) == "squash-32"
    pooled = direct(built_in, picture(), TEXTS, pretrained="laion")[0]
    torch.testing.assert_close(encode(adapter, [picture()]).pooled, pooled, rtol=0, atol=1e-5)
    assert any("weights file does not say" in note for note in adapter.info.notes)
    assert str(tmp_path) not in adapter.info.source


def test_random_weights_are_the_same_each_time(built_in: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = load(built_in)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    second = load(built_in)
    assert torch.equal(encode(first, [picture()]).pooled, encode(second, [picture()]).pooled)
    assert "random weights" in first.info.source
    assert any(note.startswith("random weights") for note in first.info.notes)
    assert not first.info.files


def test_logging_is_left_alone(built_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    load(built_in)
    assert logging.root.handlers == []
    assert logging.root.manager.disable == logging.NOTSET


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

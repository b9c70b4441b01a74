"""FineCLIP and EVA-CLIP under their own names: the same numbers as open_clip's EVA02 called directly; refusals."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor

from fgbench.adapters import fineclip
from fgbench.adapters.fineclip import RENAMED, load, load_evaclip, rename
from fgbench.adapters.torch_files import Weights
from fgbench.errors import ModelError, UsageError
from fgbench.models import load_adapter

from .contract import Bomb, assert_close, check_contract, encode, picture, vectors
from .more_tiny_models import EVA_MODEL, eva_model, eva_names, know_eva, save_as
from .tiny_models import EVA_IMAGE

TEXTS = ["a cat", "the “small” DOG &amp; 猫", "", "ab " * 100]


@pytest.fixture(scope="module", autouse=True)
def _known() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        know_eva(patch.setitem)
        yield


@pytest.fixture(scope="module")
def model() -> Any:
    return eva_model()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, model: Any) -> Path:
    """As FineCLIP's training writes it."""
    state = {f"module.{name}": value for name, value in eva_names(model.state_dict()).items()}
    path = tmp_path_factory.mktemp("fineclip") / "FineCLIP_test.pt"
    return save_as(path, state, epoch=10, args=argparse.Namespace(lr=1e-5), optimizer={"state": {}})


@pytest.fixture(scope="module")
def adapter(path: Path) -> Any:
    return load(str(path))


def treated(image: Any, **config: Any) -> Tensor:
    """Torchvision's transforms on Pillow, as open_clip builds them."""
    pixels: Tensor = image_transform_v2(PreprocessCfg(size=EVA_IMAGE, **config), is_train=False)(image)[None]
    return pixels


SQUASH = {"interpolation": "bilinear", "resize_mode": "squash"}


def test_equals_the_library(model: Any, adapter: Any) -> None:
    with torch.inference_mode():
        assert_close(encode(adapter, [picture()]).pooled, model.encode_image(treated(picture(), **SQUASH)))
        assert_close(vectors(adapter, TEXTS), model.encode_text(SimpleTokenizer(context_length=77)(TEXTS)))


def test_dense_features(model: Any, adapter: Any) -> None:
    """The value path written out: the last block without its mixing of tokens."""
    trunk = model.visual.trunk
    block = trunk.blocks[-1]
    seen: list[Tensor] = []
    handle = block.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.inference_mode():
        model.encode_image(treated(picture(), **SQUASH))
        handle.remove()
        x = seen[0]
        x = x + block.attn.proj(block.attn.norm(block.attn.v_proj(block.norm1(x))))
        x = x + block.mlp(block.norm2(x))
        expected = trunk.head(trunk.norm(x[:, 1:]))
    features = encode(adapter, [picture()], dense=True)
    assert_close(features.tokens, expected)
    assert features.grid.tolist() == [[7, 7]]


def test_contract(adapter: Any) -> None:
    check_contract(adapter)


def test_info(path: Path, adapter: Any) -> None:
    info = load_adapter(str(path)).info
    assert (info.family, info.name, info.dim) == ("fineclip", "FineCLIP_test", 24)
    assert (info.dense, info.dense_pooling, info.region_default) == ("value path", "token-normalised", "roi")
    assert info.settings["architecture"] == EVA_MODEL
    assert "squash-56, bilinear" in info.preprocess
    assert [adapter.preprocessor.view(purpose, (9, 7), None) for purpose in ("global", "dense")] == ["squash-56"] * 2


def test_eva_clip_crops(tmp_path: Path, model: Any) -> None:
    path = save_as(tmp_path / "EVA02_CLIP.pt", eva_names(model.state_dict(), flat=True))
    adapter: Any = load_adapter(str(path))
    assert (adapter.info.family, adapter.info.dense_pooling) == ("evaclip", "token-normalised")
    assert "crop-56, dense squash-56, bicubic" in adapter.info.preprocess
    assert any("fineclip:<file>" in note for note in adapter.info.notes)
    with torch.inference_mode():
        assert_close(encode(adapter, [picture()]).pooled, model.encode_image(treated(picture())))
        assert_close(vectors(adapter, TEXTS), model.encode_text(SimpleTokenizer(context_length=77)(TEXTS)))
    check_contract(adapter)


def test_eva_clip_of_open_clip() -> None:
    adapter = load_evaclip(EVA_MODEL)
    assert (adapter.info.family, adapter.info.dense_pooling) == ("evaclip", "token-normalised")
    assert any(note.startswith("random weights") for note in adapter.info.notes)
    with pytest.raises(UsageError, match="have no revisions"):
        load_evaclip(EVA_MODEL, revision="main")
    with pytest.raises(UsageError, match="no weights with the tag 'x'"):
        load_evaclip("EVA02-B-16/x")


def test_safetensors(tmp_path: Path, model: Any, adapter: Any) -> None:
    path = save_as(tmp_path / "fineclip.safetensors", eva_names(model.state_dict()))
    assert torch.equal(vectors(load_adapter(str(path)), TEXTS), vectors(adapter, TEXTS))


@pytest.mark.parametrize("flat", [False, True])
def test_every_name_is_renamed_and_back(model: Any, flat: bool) -> None:
    theirs = eva_names(model.state_dict(), flat=flat)
    ours = [new for new in map(rename, theirs) if new is not None]
    assert sorted(ours) == sorted(model.state_dict())
    used = {pair for pair in RENAMED if any(pair[0] in name for name in theirs)}
    assert used == set(RENAMED)


def test_the_real_architectures_have_these_names() -> None:
    """The published sizes, without memory for their values: every parameter is reached by the table."""
    with torch.device("meta"):
        for name, size in (("EVA02-B-16", 224), ("EVA02-L-14", 224), ("EVA02-L-14-336", 336)):
            model = open_clip.create_model(name, device="meta")
            assert fineclip._architecture(Weights(Path("w.pt"), "EVA-CLIP", model.state_dict())) == (name, size)
            trunk = model.visual.trunk
            ours = {f"visual.trunk.{key}": value for key, value in trunk.state_dict().items()}
            assert {rename(key) for key in eva_names(ours)} == set(ours)
            blocks = {key for key in eva_names(ours) if key.startswith("visual.blocks.0.")}
            assert {key.removeprefix("visual.blocks.0.") for key in blocks} == {
                *(f"norm{i}.{part}" for i in (1, 2) for part in ("weight", "bias")),
                *(f"attn.{name}" for name in ("q_proj.weight", "k_proj.weight", "v_proj.weight", "q_bias", "v_bias")),
                *(f"attn.{name}.{part}" for name in ("inner_attn_ln", "proj") for part in ("weight", "bias")),
                *(f"mlp.{name}.{part}" for name in ("w1", "w2", "w3", "ffn_ln") for part in ("weight", "bias")),
            }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visual.norm.bias": None}, r"1 missing: visual\.trunk\.norm\.bias"),
        ({"visual.norm.bias": torch.zeros(3)}, r"1 of another shape: visual\.trunk\.norm\.bias"),
        ({"visual.more": torch.zeros(3)}, r"1 unexpected: visual\.trunk\.more"),
        ({"visual.pos_embed": None}, "there is no tensor 'visual.trunk.pos_embed'"),
        ({"visual.head.weight": torch.zeros(25, 32)}, r"sizes \(embed_dim 25.*none of open_clip's EVA02.*EVA02-B-16"),
    ],
)
def test_files_that_hold_something_else(
    tmp_path: Path, model: Any, change: dict[str, Tensor | None], message: str
) -> None:
    changed = {name: value for name, value in {**eva_names(model.state_dict()), **change}.items() if value is not None}
    with pytest.raises(ModelError, match=message) as caught:
        load(str(save_as(tmp_path / "w.safetensors", changed)))
    assert "w.safetensors" in str(caught.value)


def test_code_is_refused(tmp_path: Path, model: Any) -> None:
    mark = tmp_path / "mark"
    torch.save({"state_dict": eva_names(model.state_dict()), "args": Bomb(mark)}, tmp_path / "fineclip.pt")
    with pytest.raises(ModelError, match="cannot be read safely"):
        load_adapter(str(tmp_path / "fineclip.pt"))
    assert not mark.exists()


@pytest.mark.parametrize("name", ["fineclip-b16", "fineclip-l14", "fineclip:my.pt"])
def test_weights_that_nobody_can_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"no weights file .*only on Google Drive.*then type fineclip:<file>"):
        load_adapter(name)


def test_the_alias_takes_the_file_of_the_folder(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FineCLIP_coco_vitb16.pt").write_bytes(path.read_bytes())
    info = load_adapter("fineclip-b16").info
    assert (info.name, info.paper) == ("fineclip-b16", ("FineCLIP", "ViT-B/16"))
    assert "CC BY-NC-ND" in info.licence


def test_advice_names_both_factories() -> None:
    assert "evaclip:<file>" in fineclip._EVA_ADVICE
    with pytest.raises(ModelError, match="QuanSun/EVA-CLIP"):
        load_evaclip("nowhere.pt")

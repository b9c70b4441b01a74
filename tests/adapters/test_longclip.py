"""Long-CLIP: the same numbers as its formula and as open_clip called directly; files in every form; refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor

from fgbench.adapters import longclip
from fgbench.adapters.longclip import load
from fgbench.adapters.torch_files import Weights
from fgbench.errors import ModelError, UsageError
from fgbench.models import load_adapter

from .contract import Bomb, assert_close, check_contract, encode, picture, vectors
from .more_tiny_models import LONG, long_clip_state, save_as
from .tiny_models import IMAGE, PATCH

TEXTS = ["a cat", "the “small” DOG &amp; 猫", "", "ab " * 100, "a b c d " * 90]


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return long_clip_state()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Tensor]) -> Path:
    return save_as(tmp_path_factory.mktemp("longclip") / "longclip-T.pt", state)


@pytest.fixture(scope="module")
def adapter(path: Path) -> Any:
    return load(str(path))


def library(state: dict[str, Tensor]) -> Any:
    """open_clip's CLIP with the merged table, called as it is."""
    model = open_clip.CLIP(
        24,
        vision_cfg=open_clip.CLIPVisionCfg(layers=2, width=128, patch_size=PATCH, image_size=IMAGE),
        text_cfg=open_clip.CLIPTextCfg(context_length=LONG, width=64, heads=1, layers=2),
        quick_gelu=True,
    )
    merged = dict(state)
    rest = merged.pop("positional_embedding_res")
    merged["positional_embedding"] = torch.cat([state["positional_embedding"][:20], rest[20:]])
    model.load_state_dict(merged)
    return model.eval()


def test_equals_the_library(state: dict[str, Tensor], adapter: Any) -> None:
    model = library(state)
    transform = image_transform_v2(PreprocessCfg(size=IMAGE), is_train=False)
    ids = SimpleTokenizer(context_length=LONG)(TEXTS)
    with torch.inference_mode():
        assert_close(encode(adapter, [picture()]).pooled, model.encode_image(transform(picture())[None]))
        assert_close(vectors(adapter, TEXTS), model.encode_text(ids))


def test_positions_follow_the_official_formula(state: dict[str, Tensor], adapter: Any) -> None:
    """Long-CLIP adds both tables, each multiplied by a mask: ones for the first 20 rows, ones for the others."""
    model = library(state)
    first = (torch.arange(LONG) < 20).float()[:, None]
    ids = SimpleTokenizer(context_length=LONG)(TEXTS)
    with torch.inference_mode():
        x = model.token_embedding(ids)
        x = x + state["positional_embedding"] * first + state["positional_embedding_res"] * (1 - first)
        x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask))
        expected = x[torch.arange(len(ids)), ids.argmax(dim=-1)] @ model.text_projection
    assert_close(vectors(adapter, TEXTS, "long"), expected)


def test_dense_features(state: dict[str, Tensor], adapter: Any) -> None:
    visual = library(state).visual
    squash = image_transform_v2(PreprocessCfg(size=IMAGE, resize_mode="squash"), is_train=False)
    last = visual.transformer.resblocks[-1]
    with torch.inference_mode():
        x = visual._embeds(squash(picture())[None])
        x = visual.transformer.resblocks[0](x)
        weight, bias = last.attn.in_proj_weight.chunk(3)[2], last.attn.in_proj_bias.chunk(3)[2]
        x = x + last.attn.out_proj(torch.nn.functional.linear(last.ln_1(x), weight, bias))
        hidden = last.mlp.c_fc(last.ln_2(x))
        x = x + last.mlp.c_proj(hidden * torch.sigmoid(1.702 * hidden))
        expected = visual.ln_post(x[:, 1:]) @ visual.proj
    features = encode(adapter, [picture()], dense=True)
    assert_close(features.tokens, expected)
    assert features.grid.tolist() == [[4, 4]]


@pytest.mark.parametrize("name", ["ViT-B-16-quickgelu", "ViT-L-14-quickgelu"])
def test_the_published_sizes(name: str) -> None:
    """Told from the shapes alone: the architecture that open_clip knows by name. Nothing is computed."""
    with torch.device("meta"):
        known = open_clip.create_model(name, device="meta", force_context_length=LONG)
        state = dict(known.state_dict())
        state["positional_embedding_res"] = state["positional_embedding"]
        built, dim, size = longclip._build(Weights(Path("w.pt"), "Long-CLIP", state))
    assert (dim, size) == (known.text_projection.shape[1], 224)
    shapes = {key: value.shape for key, value in known.state_dict().items()}
    assert {key: value.shape for key, value in built.state_dict().items()} == shapes
    for theirs, ours in zip(
        (known.visual.transformer, known.transformer), (built.visual.transformer, built.transformer), strict=True
    ):
        assert ours.resblocks[0].attn.num_heads == theirs.resblocks[0].attn.num_heads
        assert type(ours.resblocks[0].mlp.gelu) is type(theirs.resblocks[0].mlp.gelu)


def test_contract(adapter: Any) -> None:
    check_contract(adapter)


def test_info(path: Path) -> None:
    info = load_adapter(str(path)).info
    assert (info.family, info.name, info.source, info.dim) == ("longclip", "longclip-T", "local:longclip-T.pt", 24)
    assert (info.dense, info.dense_pooling, info.region_default) == ("value path", "raw", "roi")
    assert set(info.text_length.values()) == {LONG}
    assert "crop-32, dense squash-32, bicubic" in info.preprocess
    assert list(info.files) == ["longclip-T.pt"]


@pytest.mark.parametrize(
    ("name", "beside", "prefix"),
    [
        ("w.safetensors", {}, ""),
        ("w.pt", {"epoch": 3}, ""),
        ("w.pth", {"epoch": 3}, "module."),
    ],
)
def test_forms_of_files(
    tmp_path: Path, state: dict[str, Tensor], adapter: Any, name: str, beside: dict[str, Any], prefix: str
) -> None:
    renamed = {f"{prefix}{key}": value for key, value in state.items()}
    other = load_adapter(str(save_as(tmp_path / name, renamed, **beside)))
    assert other.info.family == "longclip"
    assert torch.equal(vectors(other, TEXTS), vectors(adapter, TEXTS))


def test_old_torch_format_and_half_precision(tmp_path: Path, state: dict[str, Tensor], adapter: Any) -> None:
    half = {key: value.half() for key, value in state.items()} | {"context_length": torch.tensor(LONG)}
    torch.save(half, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    other = load_adapter(str(tmp_path / "old.pt"))
    assert {parameter.dtype for parameter in other.module.parameters()} == {torch.float32}
    torch.testing.assert_close(vectors(other, TEXTS), vectors(adapter, TEXTS), rtol=0, atol=0.05)


def test_the_file_may_go_after_loading(tmp_path: Path, state: dict[str, Tensor], adapter: Any) -> None:
    path = save_as(tmp_path / "w.pt", state)
    other = load(str(path))
    path.write_bytes(b"\0" * path.stat().st_size)
    assert torch.equal(vectors(other, TEXTS), vectors(adapter, TEXTS))


def test_global_random_numbers_are_left_alone(path: Path) -> None:
    before = torch.get_rng_state()
    load(str(path))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ln_final.bias": None}, "Long-CLIP that the shapes in .*1 missing: ln_final.bias"),
        ({"ln_final.bias": torch.zeros(3)}, "1 of another shape: ln_final.bias"),
        ({"more": torch.zeros(3)}, "1 unexpected: more"),
        ({"positional_embedding_res": None}, "there is no tensor 'positional_embedding_res'"),
        ({"positional_embedding_res": torch.zeros(77, 64)}, "both tables must have the same rows"),
        ({"visual.conv1.weight": torch.zeros(3)}, r"has the shape \[3\] instead of 4 dimensions"),
        ({"visual.positional_embedding": torch.zeros(16, 128)}, "16 image positions are not a square grid"),
        ({"token_embedding.weight": torch.zeros(9, 65)}, "65 wide, which is no multiple"),
    ],
)
def test_files_that_hold_something_else(
    tmp_path: Path, state: dict[str, Tensor], change: dict[str, Tensor | None], message: str
) -> None:
    changed = {name: value for name, value in {**state, **change}.items() if value is not None}
    with pytest.raises(ModelError, match=message) as caught:
        load(str(save_as(tmp_path / "w.safetensors", changed)))
    assert "w.safetensors" in str(caught.value)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_is_refused(tmp_path: Path, state: dict[str, Tensor]) -> None:
    mark = tmp_path / "mark"
    for zipped in (True, False):
        path = tmp_path / "bomb.pt"
        torch.save({"state_dict": state, "args": Bomb(mark)}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(ModelError, match="cannot be read safely"):
            load_adapter(str(path))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"", "is empty"),
        (b"PK\x03\x04 and no more", "cannot be read safely"),
    ],
)
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_files_that_are_no_weights(tmp_path: Path, content: bytes, message: str, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=message if name == "w.pt" else "expected safetensors weights"):
        load(str(tmp_path / name))


def test_tensors_without_names(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(ModelError, match="expected tensors by name, but found list"):
        load(str(tmp_path / "list.pt"))
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(ModelError, match="but found epoch"):
        load(str(tmp_path / "empty.pt"))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no weights file nowhere\.pt.*longclip-b16"):
        load("nowhere.pt")
    save_as(tmp_path / "w.pt", {"a": torch.zeros(1)})
    with pytest.raises(UsageError, match=r"is a folder; expected a weights file. It holds w\.pt"):
        load(str(tmp_path))
    with pytest.raises(UsageError, match="only hub models have revisions"):
        load(str(tmp_path / "w.pt"), revision="main")


def test_files_on_the_hub(tmp_path: Path, path: Path, adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789" * 4
    asked: list[Any] = []

    def download(repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repository, revision, allow_patterns))
        folder = tmp_path / commit
        folder.mkdir(exist_ok=True)
        if allow_patterns == ["longclip-B.pt"]:
            (folder / "longclip-B.pt").write_bytes(path.read_bytes())
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    info = load_adapter("longclip-b16?revision=v1").info
    assert asked == [("BeichenZhang/LongCLIP-B", "v1", ["longclip-B.pt"])]
    assert (info.revision, info.paper) == (commit, ("Long-CLIP", "ViT-B/16"))
    with pytest.raises(ModelError, match=r"hub model owner/name has no file other\.pt"):
        load("owner/name/other.pt")

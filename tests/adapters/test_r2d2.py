"""R2D2: the same numbers as transformers' towers called directly; its vocabulary; refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor
from transformers import BertConfig, BertModel, CLIPVisionConfig, CLIPVisionModel

from fgbench.adapters import r2d2 as r2d2_adapter
from fgbench.adapters.r2d2 import load
from fgbench.adapters.torch_files import Weights
from fgbench.errors import CapabilityError, ModelError, UsageError
from fgbench.models import load_adapter

from .contract import Bomb, assert_close, check_contract, encode, picture, vectors
from .more_tiny_models import R2d2Reference, bert_tokenizer, r2d2
from .tiny_models import IMAGE

TEXTS = ["一只红色的猫", "a Dog 在椅子上。", "", "狗" * 80]


@pytest.fixture(scope="module")
def reference() -> R2d2Reference:
    return R2d2Reference()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, reference: R2d2Reference) -> Path:
    return r2d2(tmp_path_factory.mktemp("r2d2"), reference)


@pytest.fixture(scope="module")
def adapter(path: Path) -> Any:
    return load(str(path))


def test_equals_the_library(reference: R2d2Reference, adapter: Any) -> None:
    """As R2D2's encode_image and encode_text, before they normalise."""
    config = PreprocessCfg(size=IMAGE, interpolation="bicubic", resize_mode="squash")
    pixels = image_transform_v2(config, is_train=False)(picture())[None]
    tokens = bert_tokenizer()(TEXTS, padding="max_length", truncation=True, max_length=64, return_tensors="pt")
    with torch.inference_mode():
        states = reference.visual_encoder(pixels).last_hidden_state
        assert_close(encode(adapter, [picture()]).pooled, reference.vision_proj(states[:, 0]))
        text = reference.text_encoder(tokens["input_ids"], attention_mask=tokens["attention_mask"])
        assert_close(vectors(adapter, TEXTS), reference.text_proj(text.last_hidden_state[:, 0]))


def test_the_published_sizes() -> None:
    """R2D2 ViT-L/14, told from the shapes of its repository's configuration files. Nothing is computed."""
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    with torch.device("meta"):
        parts: dict[str, torch.nn.Module] = {
            "visual_encoder": CLIPVisionModel(CLIPVisionConfig(**vision, image_size=224, patch_size=14)),
            "text_encoder": BertModel(BertConfig(vocab_size=21128)),
            "vision_proj": torch.nn.Linear(1024, 768),
            "text_proj": torch.nn.Linear(768, 768),
        }
        state = {
            f"{part}.{name}": value for part, module in parts.items() for name, value in module.state_dict().items()
        }
        built, size, vocabulary = r2d2_adapter._build(Weights(Path("w.pt"), "R2D2", state))
    assert (size, vocabulary) == (224, 21128)
    shapes = {name: value.shape for name, value in built.state_dict().items() if name != "temp"}
    assert shapes == {name: value.shape for name, value in state.items() if not name.startswith("text_encoder.pooler.")}
    for ours, theirs in ((built.visual_encoder, parts["visual_encoder"]), (built.text_encoder, parts["text_encoder"])):
        for key in ("num_attention_heads", "hidden_act", "layer_norm_eps"):
            assert getattr(ours.config, key) == getattr(theirs.config, key), key


def test_contract(adapter: Any) -> None:
    check_contract(adapter, word="猫")


def test_info(path: Path) -> None:
    info = load_adapter(str(path)).info
    assert (info.family, info.name, info.dim, info.languages) == ("r2d2", "r2d2", 24, ("zh",))
    assert (info.dense, info.region_default) == (None, "crop")
    assert set(info.text_length.values()) == {64}
    assert list(info.files) == ["r2d2.pth", "vocab.txt"]
    assert any("itm_head, text_joint_layer" in note for note in info.notes)
    assert any("not re-ranked" in note for note in info.notes)


def test_no_dense_features(adapter: Any) -> None:
    with pytest.raises(CapabilityError, match="no dense features"):
        encode(adapter, [picture()], dense=True)


def test_literal_special_tokens_are_text(adapter: Any) -> None:
    ids, _ = adapter._tokens(["猫[SEP][PAD]"])
    assert ids[0].tolist().count(3) == 1
    assert ids[0].tolist().count(0) == 0


def test_the_vocabulary_may_lie_elsewhere(tmp_path: Path, path: Path, adapter: Any) -> None:
    (tmp_path / "w.pth").write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match=r"no vocab\.txt beside it.*hfl/chinese-roberta-wwm-ext.*\?vocab=<file>"):
        load(str(tmp_path / "w.pth"))
    for place in (path.parent, path.parent / "vocab.txt"):
        other = load_adapter(f"r2d2:{tmp_path / 'w.pth'}?vocab={place}")
        assert torch.equal(vectors(other, TEXTS), vectors(adapter, TEXTS))
    with pytest.raises(UsageError, match="vocab=nowhere: there is no file nowhere"):
        load(str(path), vocab="nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[PAD]\n[UNK]\n", r"found 2 lines without \[CLS\], \[SEP\]"),
        ("", r"found 1 lines without"),
        (b"\xff\xfe", "expected a text file"),
    ],
)
def test_another_vocabulary(tmp_path: Path, path: Path, content: str | bytes, message: str) -> None:
    (tmp_path / "vocab.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ModelError, match=message):
        load(str(path), vocab=str(tmp_path))


def test_a_vocabulary_in_another_order(tmp_path: Path, path: Path) -> None:
    lines = (path.parent / "vocab.txt").read_text(encoding="utf-8").splitlines()
    (tmp_path / "vocab.txt").write_text("\n".join([lines[1], lines[0], *lines[2:]]) + "\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"the first of them \[PAD\]"):
        load(str(path), vocab=str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_proj.bias": None}, r"R2D2 that the shapes in .*1 missing: text_proj\.bias"),
        ({"vision_proj.bias": torch.zeros(3)}, r"1 of another shape: vision_proj\.bias"),
        ({"visual_encoder.more": torch.zeros(3)}, r"1 unexpected: visual_encoder\.more"),
        ({"text_encoder.embeddings.word_embeddings.weight": None}, "there is no tensor 'text_encoder.embeddings.word"),
    ],
)
def test_files_that_hold_something_else(
    tmp_path: Path, reference: R2d2Reference, change: dict[str, Tensor | None], message: str
) -> None:
    path = r2d2(tmp_path, reference)
    state = {name: value for name, value in {**reference.state_dict(), **change}.items() if value is not None}
    torch.save({"model": state}, path)
    with pytest.raises(ModelError, match=message) as caught:
        load(str(path))
    assert str(path) in str(caught.value)


def test_code_is_refused(tmp_path: Path, reference: R2d2Reference) -> None:
    path = r2d2(tmp_path, reference)
    torch.save({"model": reference.state_dict(), "config": Bomb(tmp_path / "mark")}, path)
    with pytest.raises(ModelError, match="cannot be read safely"):
        load_adapter(str(path))
    assert not (tmp_path / "mark").exists()


def test_weights_that_nobody_can_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"no weights file r2d2_pretrain_250m\.pth.*Google Drive.*r2d2:<file>"):
        load_adapter("r2d2-l14")
    with pytest.raises(ModelError, match=r"No pre-trained weights of this R2D2 were published.*r2d2:<file>"):
        load_adapter("r2d2-b16")

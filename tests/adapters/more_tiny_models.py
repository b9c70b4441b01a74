"""Tiny checkpoints of the CLIP family's other members, in the file formats of their own projects."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
import transformers
from open_clip import factory
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor

from fgbench.adapter_kit.samples import CHINESE

from .tiny_models import EVA, EVA_IMAGE, IMAGE, PATCH, TOWER, register_eva, shake, words

CLIP_WORDS = 49408
LONG = 248
WIDE = {"hidden_size": 128, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
"""Towers whose heads are 64 wide, as those of the real models."""

CHARACTERS = '一只猫狗在红色的椅子上，。abcdefghijklmnopqrstuvwxyz"“”' + "".join(itertools.chain(*CHINESE))


def save_as(path: Path, state: Mapping[str, Tensor], **beside: Any) -> Path:
    """Write tensors as safetensors or, with ``beside``, as training scripts write them."""
    tensors = {name: value.clone().contiguous() for name, value in state.items()}
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save({**beside, "state_dict": tensors} if beside else tensors, path)
    return path


def fgclip1(folder: Path) -> Path:
    """FG-CLIP 1 as a hub folder: a CLIP, and the tensors of the long text path."""
    vocabulary, merges = words()
    tokenizer = transformers.CLIPTokenizer(
        vocab=vocabulary | {"<|startoftext|>": 49406, "<|endoftext|>": 49407}, merges=merges, model_max_length=77
    )
    config = transformers.CLIPConfig(
        text_config={**TOWER, "vocab_size": CLIP_WORDS, "max_position_embeddings": 77, "eos_token_id": 2},
        vision_config={**TOWER, "image_size": IMAGE, "patch_size": PATCH},
        projection_dim=24,
    )
    model = transformers.CLIPModel(config)
    embeddings = model.text_model.embeddings
    embeddings.position_embedding_ori = torch.nn.Embedding(LONG, 32)
    embeddings.position_embedding_res = torch.nn.Embedding(LONG, 32)
    model.text_filip_projection = torch.nn.Linear(32, 24, bias=False)
    model.logit_scale_finegraind = torch.nn.Parameter(torch.zeros(()))
    model.logit_scale_hardneg = torch.nn.Parameter(torch.zeros(()))
    shake(model)
    for part in (model, tokenizer):
        part.save_pretrained(folder)
    return folder


def long_clip_state(*, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Long-CLIP in OpenAI's names, as its training script saves it."""
    model = open_clip.CLIP(
        24,
        vision_cfg=open_clip.CLIPVisionCfg(layers=2, width=128, patch_size=PATCH, image_size=IMAGE),
        text_cfg=open_clip.CLIPTextCfg(context_length=LONG, width=64, heads=1, layers=2),
        quick_gelu=True,
    )
    model.positional_embedding_res = torch.nn.Parameter(torch.empty(LONG, 64))
    shake(model)
    return {name: value.detach().to(dtype) for name, value in model.state_dict().items()}


EVA_MODEL = "EVA02-Test-8"


def know_eva(setitem: Callable[[dict[str, Any], str, Any], None]) -> None:
    """Make open_clip know a tiny EVA02 with CLIP's vocabulary.

    Args:
        setitem: of ``monkeypatch``, so that it forgets again.
    """
    register_eva()
    vision = {"image_size": EVA_IMAGE, "timm_model_name": EVA, "timm_pool": "token", "timm_proj": None}
    text = {"context_length": 77, "vocab_size": CLIP_WORDS, "width": 32, "heads": 4, "layers": 2}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text, "custom_text": True}
    setitem(factory._MODEL_CONFIGS, EVA_MODEL, config)


def eva_model() -> Any:
    """The tiny EVA02 in open_clip's form, with random weights."""
    model = open_clip.create_model(EVA_MODEL)
    shake(model)
    return model.eval()


def eva_names(state: Mapping[str, Tensor], *, flat: bool = False) -> dict[str, Tensor]:
    """open_clip's parameters under the names of EVA-CLIP, CLIPSelf and FineCLIP.

    Args:
        state: of the model.
        flat: without the prefix of the text tower, and with a table that the model computes.
    """
    theirs = {}
    for name, value in state.items():
        new = name.replace("visual.trunk.", "visual.").replace(".attn.norm.", ".attn.inner_attn_ln.")
        new = new.replace(".attn.q_proj.bias", ".attn.q_bias").replace(".attn.v_proj.bias", ".attn.v_bias")
        new = new.replace(".mlp.norm.", ".mlp.ffn_ln.").replace(".mlp.fc1_g.", ".mlp.w1.")
        new = new.replace(".mlp.fc1_x.", ".mlp.w2.").replace(".mlp.fc2.", ".mlp.w3.")
        theirs[new.removeprefix("text.") if flat else new] = value
    return theirs | ({"visual.rope.freqs_cos": torch.zeros(49, 8)} if flat else {})


def bert_words() -> dict[str, int]:
    """A BERT vocabulary of single characters."""
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(CHARACTERS)]
    entries += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    return {entry: number for number, entry in enumerate(entries)}


def bert_tokenizer() -> Any:
    return transformers.BertTokenizer(vocab=bert_words())


class R2d2Reference(torch.nn.Module):
    """R2D2's parts under the attribute names of its repository, its unused ones included."""

    def __init__(self) -> None:
        super().__init__()
        self.visual_encoder = transformers.CLIPVisionModel(
            transformers.CLIPVisionConfig(**WIDE, image_size=IMAGE, patch_size=PATCH)
        )
        text = {"vocab_size": len(bert_words()), "max_position_embeddings": 80, "pad_token_id": 0}
        self.text_encoder = transformers.BertModel(transformers.BertConfig(**WIDE, **text))
        self.vision_proj = torch.nn.Linear(128, 24)
        self.text_proj = torch.nn.Linear(128, 24)
        self.temp = torch.nn.Parameter(torch.ones(()))
        self.itm_head = torch.nn.Linear(128, 2)
        self.text_joint_layer = torch.nn.Linear(128, 128)
        shake(self)
        self.eval()


def r2d2(folder: Path, model: R2d2Reference | None = None) -> Path:
    """An R2D2 checkpoint with what training leaves in it, and the vocabulary beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    state = dict((model or R2d2Reference()).state_dict())
    state["visual_encoder.embeddings.position_ids"] = torch.arange(17)[None]
    state["text_encoder.embeddings.position_ids"] = torch.arange(80)[None]
    content = {"model": state, "optimizer": {"lr": 0.1}, "config": argparse.Namespace(epochs=3), "epoch": 2}
    torch.save(content, folder / "r2d2.pth")
    (folder / "vocab.txt").write_text("\n".join(bert_words()) + "\n", encoding="utf-8")
    return folder / "r2d2.pth"


def chinese_clip(folder: Path) -> Path:
    """A Chinese-CLIP folder whose image processor crops, as the class does unless told otherwise."""
    text = {**TOWER, "vocab_size": len(bert_words()), "max_position_embeddings": 64, "pad_token_id": 0}
    config = transformers.ChineseCLIPConfig(
        text_config=text, vision_config={**TOWER, "image_size": IMAGE, "patch_size": PATCH}, projection_dim=24
    )
    size = {"size": {"shortest_edge": IMAGE}, "crop_size": {"height": IMAGE, "width": IMAGE}}
    processor = transformers.ChineseCLIPImageProcessorPil(**size)
    return _save(folder, transformers.ChineseCLIPModel(config), bert_tokenizer(), processor)


def xlm_tokenizer() -> Any:
    """As XLM-R's: <s> <pad> </s> <unk> <mask>, single characters, no lower-casing."""
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    entries = [*specials, "▁", "▁a", *dict.fromkeys(CHARACTERS + CHARACTERS.upper() + "0123456789.!?")]
    tokenizer = Tokenizer(models.Unigram([(entry, -1.0) for entry in entries], unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


def meta_clip2(folder: Path) -> Path:
    """A Meta CLIP 2 folder."""
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    config = transformers.MetaClip2Config(
        text_config={**TOWER, "vocab_size": 200, "max_position_embeddings": 77, **ids},
        vision_config={**TOWER, "image_size": IMAGE, "patch_size": PATCH},
        projection_dim=24,
    )
    return _save(folder, transformers.MetaClip2Model(config), xlm_tokenizer(), _crop())


def alt_clip(folder: Path) -> Path:
    """An AltCLIP folder."""
    config = transformers.AltCLIPConfig(
        text_config={**TOWER, "vocab_size": 200, "max_position_embeddings": 90, "project_dim": 40},
        vision_config={**TOWER, "image_size": IMAGE, "patch_size": PATCH},
        projection_dim=24,
    )
    return _save(folder, transformers.AltCLIPModel(config), xlm_tokenizer(), _crop())


def _crop() -> Any:
    return transformers.CLIPImageProcessorPil(
        size={"shortest_edge": IMAGE}, crop_size={"height": IMAGE, "width": IMAGE}
    )


def _save(folder: Path, model: Any, tokenizer: Any, processor: Any) -> Path:
    shake(model)
    for part in (model, tokenizer, processor):
        part.save_pretrained(folder)
    return folder

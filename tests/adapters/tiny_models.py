"""Tiny checkpoints with random weights, written in the real file formats; nothing is downloaded."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import open_clip
import timm
import timm.models.eva
import torch
import transformers
from open_clip.tokenizer import bytes_to_unicode
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

IMAGE, PATCH, LENGTH = 32, 8, 16
EVA, EVA_IMAGE = "eva02_test_clip", 56
TOWER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def shake(module: torch.nn.Module, seed: int = 7) -> None:
    """Give every parameter a value that matters: fresh models have zero biases and unit norms, which hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * 0.2 if parameter.ndim < 2 else noise * parameter.shape[-1] ** -0.5)


def words() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A byte-level vocabulary without merges but "th": bytes, bytes that end a word, the merge."""
    letters = list(bytes_to_unicode().values())
    entries = [*letters, *(f"{letter}</w>" for letter in letters), "th"]
    return {entry: number for number, entry in enumerate(entries)}, [("t", "h")]


def clip_tokenizer() -> Any:
    vocabulary, merges = words()
    vocabulary |= {"<|startoftext|>": len(vocabulary), "<|endoftext|>": len(vocabulary) + 1}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)


def gemma_like_tokenizer() -> Any:
    """As SigLIP 2's: <pad> <eos> <bos> <unk> <mask>, bytes, letters, an end token, no lower-casing."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    entries = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *(chr(c) for c in range(33, 127))]
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in specials])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>"
    )


def clip(folder: Path, **processor: Any) -> Path:
    """A transformers CLIP folder."""
    tokenizer = clip_tokenizer()
    size = len(tokenizer)
    config = transformers.CLIPConfig(
        text_config={
            **TOWER,
            "vocab_size": size,
            "max_position_embeddings": LENGTH,
            "bos_token_id": size - 2,
            "eos_token_id": size - 1,
            "pad_token_id": size - 1,
        },
        vision_config={**TOWER, "image_size": IMAGE, "patch_size": PATCH},
        projection_dim=24,
    )
    options = {"size": {"shortest_edge": IMAGE}, "crop_size": {"height": IMAGE, "width": IMAGE}} | processor
    return _save(folder, transformers.CLIPModel(config), tokenizer, transformers.CLIPImageProcessorPil(**options))


def siglip(folder: Path) -> Path:
    """A SigLIP folder of fixed resolution with a tokenizer like SigLIP 2's."""
    config = transformers.SiglipConfig(
        text_config={**TOWER, **_siglip_text()}, vision_config={**TOWER, "image_size": IMAGE, "patch_size": PATCH}
    )
    size = {"height": IMAGE, "width": IMAGE}
    return _save(
        folder,
        transformers.SiglipModel(config),
        gemma_like_tokenizer(),
        transformers.SiglipImageProcessorPil(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=2),
    )


def naflex(folder: Path) -> Path:
    """A SigLIP 2 NaFlex folder: patches of 16 pixels, positions for a grid of 4 x 4."""
    config = transformers.Siglip2Config(
        text_config={**TOWER, **_siglip_text()}, vision_config={**TOWER, "num_patches": 16, "patch_size": 16}
    )
    return _save(
        folder, transformers.Siglip2Model(config), gemma_like_tokenizer(), transformers.Siglip2ImageProcessorPil()
    )


def open_clip_config(**vision: Any) -> dict[str, Any]:
    """The ``model_cfg`` of a tiny open_clip ViT with a vocabulary of its own."""
    return {
        "embed_dim": 24,
        "vision_cfg": {"image_size": IMAGE, "patch_size": PATCH, "width": 32, "layers": 2, "head_width": 8, **vision},
        "text_cfg": {"context_length": LENGTH, "vocab_size": 516, "width": 32, "heads": 4, "layers": 2},
    }


def eva_config() -> dict[str, Any]:
    """The ``model_cfg`` of an EVA02 tower with the inner norms of the CLIP variants (see :func:`register_eva`)."""
    register_eva()
    vision = {"image_size": EVA_IMAGE, "timm_model_name": EVA, "timm_pool": "token", "timm_proj": None}
    return open_clip_config() | {"vision_cfg": vision, "custom_text": True}


def register_eva() -> None:
    """Make timm know a tiny EVA02 for CLIP: the registered ones start at a width of 768."""
    if timm.is_model(EVA):
        return

    def tiny(num_classes: int, global_pool: str, **_: Any) -> Any:
        return timm.models.eva.Eva(
            img_size=EVA_IMAGE,
            patch_size=8,
            embed_dim=32,
            depth=2,
            num_heads=4,
            qkv_fused=False,
            mlp_ratio=2.0,
            swiglu_mlp=True,
            scale_mlp=True,
            scale_attn_inner=True,
            use_rot_pos_emb=True,
            ref_feat_shape=(7, 7),
            num_classes=num_classes,
            global_pool=global_pool,
        )

    tiny.__name__ = tiny.__qualname__ = EVA
    tiny.__module__ = "timm.models.eva"
    timm.models.register_model(tiny)


def open_clip_folder(folder: Path, config: dict[str, Any] | None = None, **picture: Any) -> Path:
    """A folder for open_clip's ``local-dir:``."""
    folder.mkdir(parents=True, exist_ok=True)
    config = open_clip_config() if config is None else config
    merges = folder / "merges.txt.gz"
    merges.write_bytes(gzip.compress(b"#version: 0.2\nt h\n"))
    config["text_cfg"] |= {"tokenizer_kwargs": {"bpe_path": str(merges)}}
    content = {"model_cfg": config, "preprocess_cfg": picture}
    (folder / "open_clip_config.json").write_text(json.dumps(content), encoding="utf-8")
    model = open_clip.create_model(f"local-dir:{folder}")
    shake(model)
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return folder


def edit_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    """Replace tensors of ``model.safetensors``, or with None remove them; dots in names are written ``__``."""
    path = next(folder.glob("*model.safetensors"))
    state = load_file(path)
    for name, value in changes.items():
        state.pop(name.replace("__", "."))
        if value is not None:
            state[name.replace("__", ".")] = value
    save_file(state, path, metadata={"format": "pt"})


def _siglip_text() -> dict[str, Any]:
    return {
        "vocab_size": 400,
        "max_position_embeddings": LENGTH,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }


def _save(folder: Path, model: Any, tokenizer: Any, processor: Any) -> Path:
    shake(model)
    for part in (model, tokenizer, processor):
        part.save_pretrained(folder)
    return folder

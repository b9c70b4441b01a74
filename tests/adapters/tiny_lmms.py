"""Tiny chat models with random weights in the real file formats; nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from open_clip.tokenizer import bytes_to_unicode
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from fgbench.adapters.llava_naflex_files import assemble

from .tiny_models import TOWER, naflex, shake

SIDE, PATCH = 28, 14
BUDGET = 16
SPECIALS = ("<unk>", "<s>", "</s>", "<pad>", "<image>")
TEMPLATE = (
    "{% for message in messages %}USER: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
LLAMA = {
    "vocab_size": len(SPECIALS) + 256,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 3,
}


def picture(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def byte_tokenizer() -> Any:
    """Bytes, no merges: every text can be written, and every token is a byte."""
    entries = [*SPECIALS, *bytes_to_unicode().values()]
    tokenizer = Tokenizer(models.BPE({entry: number for number, entry in enumerate(entries)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in SPECIALS])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
    )


def language(**changes: Any) -> Any:
    """A Llama without weights that mean anything, but whose answers differ."""
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA | changes))
    shake(model)
    return model


def llava(folder: Path, *, tower: str = "clip_vision_model", template: str | None = TEMPLATE) -> Path:
    """A folder with files and names as in ``llava-hf/llava-1.5-7b-hf``; the processor ignores the class token."""
    vision = transformers.AutoConfig.for_model(tower, **TOWER, image_size=SIDE, patch_size=PATCH)
    config = transformers.LlavaConfig(
        vision_config=vision,
        text_config=transformers.LlamaConfig(**LLAMA),
        image_token_index=SPECIALS.index("<image>"),
        vision_feature_select_strategy="default" if tower.startswith("clip") else "full",
    )
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(config)
    shake(model)
    model.save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    names = {name: name.replace("vision_tower.", "vision_tower.vision_model.") for name in state}
    save_file({names[name]: state[name] for name in state}, folder / "model.safetensors", metadata={"format": "pt"})
    byte_tokenizer().save_pretrained(folder)
    steps = {"image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor", "resample": 3}
    steps |= {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}, "do_center_crop": True}
    steps |= {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    _write(folder / "preprocessor_config.json", steps)
    _write(folder / "processor_config.json", {"processor_class": "LlavaProcessor", "image_token": "<image>"})
    if template:
        _write(folder / "chat_template.json", {"chat_template": template})
    edit_json(folder / "generation_config.json", do_sample=True, temperature=0.2, repetition_penalty=5.0)
    return folder


def llava_next(folder: Path) -> Path:
    """A chat model of another kind: the number of tokens depends on the picture's shape, bos is in the template."""
    config = transformers.LlavaNextConfig(
        vision_config=transformers.CLIPVisionConfig(**TOWER, image_size=SIDE, patch_size=PATCH),
        text_config=transformers.LlamaConfig(**LLAMA),
        image_token_index=SPECIALS.index("<image>"),
        image_grid_pinpoints=[[SIDE, 2 * SIDE], [2 * SIDE, SIDE]],
    )
    torch.manual_seed(0)
    model = transformers.LlavaNextForConditionalGeneration(config)
    shake(model)
    model.save_pretrained(folder)
    pictures = transformers.LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_grid_pinpoints=config.image_grid_pinpoints,
    )
    transformers.LlavaNextProcessor(
        pictures,
        byte_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template="<s>" + TEMPLATE.replace("USER", "Q").replace("ASSISTANT", "A"),
    ).save_pretrained(folder)
    return folder


def spoken(folder: Path, **changes: Any) -> Path:
    """A language model's folder."""
    language(**changes).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def llava_parts(folder: Path) -> Path:
    """``vision``, ``language``, and ``llava``, put together from them with an untrained projector."""
    torch.manual_seed(0)
    vision, language = naflex(folder / "vision"), spoken(folder / "language")
    assemble(str(vision), str(language), None, folder / "llava", frame="short", budget=BUDGET)
    return folder


def edit_json(path: Path, **changes: Any) -> None:
    """Change fields of a JSON file; None removes one."""
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    _write(path, {key: value for key, value in content.items() if value is not None})


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")

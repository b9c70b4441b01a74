"""Chat models that see pictures, through transformers: LLaVA-1.5 as its authors evaluate it, others by their template.

LLaVA-1.5 gets three things that its converted checkpoints do not do by themselves: the chat frame of the evaluation
scripts (:mod:`.lmm_frames`), pictures padded to a square with the mean colour, and Pillow's resizing. The number of
tokens of a picture is taken from the model's configuration, not from the processor's, which old checkpoints lack.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import transformers
from PIL import Image
from torch import nn
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as CLASSES

from fgbench.data.images import MAX_PIXELS
from fgbench.errors import ModelError, UsageError
from fgbench.generator import TOO_LONG, GeneratorInfo, Reply

from .checkpoint import INDEX, Checkpoint, fetch, file_digests, read_json, weight_files
from .foreign_code import refuse_foreign_code
from .hf_files import Loaded, load_model, quiet
from .lmm_decoding import decode_greedily, parse_dtype, read_replies
from .lmm_frames import TEMPLATE, Frame, find_frame

_SIDE_FILES = ("processor_config.json", "chat_template.json", "chat_template.jinja", "generation_config.json")
_WANTED = (
    "config.json",
    "model*.safetensors",
    INDEX,
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "vocab.*",
    "merges.txt",
    *_SIDE_FILES,
)
_PADS = {"do_pad": True, "do_convert_rgb": True}
_STEPS = ("size", "crop_size", "resample", "image_mean", "image_std", "rescale_factor")
_SIDE = int(MAX_PIXELS**0.5)


def load(
    target: str, *, frame: str | None = None, dtype: str | None = None, revision: str | None = None
) -> HfLmmGenerator:
    """Load a chat model in transformers' format.

    Args:
        target: hub id or folder.
        frame: chat frame; without it ``vicuna_v1`` for LLaVA-1.5 and its kin, else ``hf``, the checkpoint's template.
        dtype: precision of the weights: ``fp32`` (default), ``bf16`` or ``fp16``.
        revision: commit, branch or tag on the hub.

    Raises:
        UsageError: no such model, a model that does not chat about pictures, options that do not fit.
        ModelError: a checkpoint that is incomplete, damaged, or that would have to run code.
    """
    precision = parse_dtype(dtype)
    checkpoint = fetch(target, revision, _WANTED)
    folder = checkpoint.folder
    config = read_json(folder, "config.json")
    refuse_foreign_code(config, str(folder / "config.json"))
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CLASSES:
        raise UsageError(
            f"{target} is a model of type {kind!r}, which is not one of transformers' chat models for pictures (llava, "
            "llava_next, qwen2_vl, …). Code that comes with a checkpoint is never run."
        )
    weight_files(folder)  # refuses anything but safetensors
    loaded = load_model(CLASSES[kind], checkpoint)
    if loaded.model.config.is_encoder_decoder:
        raise UsageError(f"{target} ({kind}) is an encoder-decoder; expected a model that continues its prompt.")
    processor = load_processor(folder)
    treatment = "the checkpoint's own, on Pillow where transformers has that"
    llava = type(processor).__name__ == "LlavaProcessor"
    if llava:
        treatment = _as_llava(processor, loaded.model.config)
    template = _template(processor)
    # LLaVA-shaped models of other makers carry templates of other conversations.
    vicuna = llava and (not template or "ASSISTANT:" in template)
    name = frame or ("vicuna_v1" if vicuna else TEMPLATE)
    if name == TEMPLATE and not template:
        raise UsageError(f"{target} has no chat template; name a chat frame, for example ?frame=vicuna_v1.")
    chosen = find_frame(name, template=bool(template))
    if chosen is not None and not _picture_token(processor):
        raise UsageError(f"{target} does not say how a picture is written in a prompt; expected ?frame={TEMPLATE}.")
    processor.tokenizer.padding_side = "left"  # with padding at the end, answers would follow the padding
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    ends, remarks = decode_greedily(loaded.model, _ids(processor.tokenizer), str(folder))
    loaded.model.to(precision)
    info = GeneratorInfo(
        name=target,
        family="hf-lmm",
        source=target,
        frame=name,
        preprocess=treatment,
        revision=checkpoint.revision,
        settings={
            "model_type": kind,
            "decoding": "greedy",
            "weights": str(precision).removeprefix("torch."),
            "transformers": loaded.version,
            "literal_special_tokens": "broken up with a blank",
        },
        files=file_digests(folder, _files(checkpoint, loaded)),
        notes=(*loaded.notes, *remarks),
    )
    return HfLmmGenerator(info, loaded.model, processor, chosen, ends)


class HfLmmGenerator:
    """A transformers chat model as a generator (:class:`fgbench.generator.Generator`)."""

    def __init__(self, info: GeneratorInfo, model: Any, processor: Any, frame: Frame | None, ends: list[int]) -> None:
        """Put the parts together.

        Args:
            info: the facts about the model.
            model: the network, set to greedy decoding.
            processor: of transformers, padding on the left.
            frame: chat frame; None for the processor's chat template.
            ends: ids of the tokens that end an answer.
        """
        self.info = info
        self.module: nn.Module = model
        self._model = model
        self._processor = processor
        self._frame = frame
        self._ends = ends
        specials = sorted({*processor.tokenizer.all_special_tokens, *_picture_token(processor)}, key=len, reverse=True)
        self._specials = re.compile("|".join(map(re.escape, specials)))
        self._context = getattr(model.config.get_text_config(), "max_position_embeddings", None)

    def generate(self, texts: Sequence[str], images: Sequence[Sequence[Image.Image]], max_tokens: int) -> list[Reply]:
        """Answer prompts; see :meth:`fgbench.generator.Generator.generate`.

        Raises:
            ModelError: the processor cannot make inputs of a prompt.
        """
        if not texts:
            return []
        inputs = self._inputs(texts, images)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        fits = [self._context is None or length + max_tokens <= self._context for length in lengths]
        if not all(fits):
            # Nothing is cut off: a prompt without its end, or its picture, is another prompt.
            rows = [row for row, fit in enumerate(fits) if fit]
            found = iter(self.generate([texts[row] for row in rows], [images[row] for row in rows], max_tokens))
            return [next(found) if fit else Reply("", 0, problem=TOO_LONG) for fit in fits]
        inputs = inputs.to(self._model.device, dtype=self._model.dtype)
        tokens = self._model.generate(**inputs, max_new_tokens=max_tokens)
        return read_replies(tokens[:, inputs["input_ids"].shape[1] :], self._ends, self._decode)

    def prompt(self, text: str, pictures: int) -> str:
        """The complete prompt, as it goes to the processor: frame, picture tokens, the user's text.

        Names of special tokens in the user's text are broken up by a blank, so that they stay text.
        """
        plain = self._specials.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        if self._frame is not None:
            return _picture_token(self._processor)[0].join(self._frame.parts(plain, pictures))
        content = [*[{"type": "image"}] * pictures, {"type": "text", "text": plain}]
        chat = [{"role": "user", "content": content}]
        prompt: str = self._processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        return prompt

    def _inputs(self, texts: Sequence[str], images: Sequence[Sequence[Image.Image]]) -> Any:
        prompts = [self.prompt(text, len(own)) for text, own in zip(texts, images, strict=True)]
        bos = self._processor.tokenizer.bos_token
        pictures = [[_bounded(image) for image in own] for own in images]
        try:
            return self._processor(
                text=prompts,
                images=pictures if any(pictures) else None,
                padding=True,
                return_tensors="pt",
                # Templates write the first token themselves; frames leave it to the tokenizer.
                add_special_tokens=not (bos and prompts[0].startswith(bos)),
            )
        except (ValueError, TypeError, IndexError) as error:
            raise ModelError(
                f"{self.info.source}: the processor cannot make inputs of {len(prompts)} prompts with "
                f"{sum(map(len, pictures))} pictures: {error}. The first prompt is {prompts[0][:200]!r}."
            ) from error

    def _decode(self, ids: list[int]) -> str:
        text: str = self._processor.tokenizer.decode(ids, skip_special_tokens=True)
        return text


def load_processor(folder: Path) -> Any:
    """Load a checkpoint's processor, with pictures on Pillow where transformers offers that.

    Raises:
        ModelError: its files are missing or damaged, or would have to run code.
    """
    try:
        with quiet():
            processor = transformers.AutoProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, backend="pil"
            )
    except Exception as error:  # damaged files fail in any of the readers' ways
        raise ModelError(
            f"{folder}: transformers cannot load the processor: {' '.join(str(error).split())[:500]} Expected "
            "tokenizer.json, and processor_config.json or preprocessor_config.json; download them again."
        ) from error
    if getattr(processor, "image_processor", None) is None or getattr(processor, "tokenizer", None) is None:
        raise ModelError(
            f"{folder}: expected a processor for pictures and texts, but found {type(processor).__name__}. Is "
            "processor_config.json or preprocessor_config.json there?"
        )
    return processor


def _as_llava(processor: Any, config: Any) -> str:
    """Give a LLaVA processor the picture treatment of LLaVA-1.5, and the facts of the model; the treatment in words."""
    step = processor.image_processor
    values = {name: getattr(step, name) for name in _STEPS if getattr(step, name, None) is not None}
    crop = bool(getattr(step, "do_center_crop", None))
    processor.image_processor = transformers.LlavaImageProcessorPil(**values, **_PADS, do_center_crop=crop)
    vision = config.vision_config
    processor.patch_size = vision.patch_size
    processor.vision_feature_select_strategy = config.vision_feature_select_strategy
    # CLIP's class token is one of the tower's outputs; SigLIP has none.
    processor.num_additional_image_tokens = int(vision.model_type == "clip_vision_model")
    side = vision.image_size
    trial = processor.image_processor(images=Image.new("RGB", (40, 30)), return_tensors="np")
    shape = tuple(trial["pixel_values"][0].shape)
    if shape != (3, side, side):
        raise ModelError(
            f"The picture treatment of this checkpoint makes pictures of shape {list(shape)}; expected "
            f"[3, {side}, {side}], the size in config.json. Download all files again, from one revision."
        )
    colour = tuple(int(255 * mean) for mean in step.image_mean)
    return f"padded to a square with the colour {colour}, resized to {side} pixels (Pillow), normalised"


def _bounded(image: Image.Image) -> Image.Image:
    """The picture, or a smaller copy if a square around it would exceed the limit that holds for pictures."""
    if max(image.size) <= _SIDE:
        return image
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE))
    return small


def _template(processor: Any) -> str:
    template = processor.chat_template or getattr(processor.tokenizer, "chat_template", None) or ""
    return template if isinstance(template, str) else str(template)


def _picture_token(processor: Any) -> tuple[str, ...]:
    token = getattr(processor, "image_token", None)
    return (str(token),) if token else ()


def _ids(tokenizer: Any) -> dict[str, int | None]:
    return {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}


def _files(checkpoint: Checkpoint, loaded: Loaded) -> tuple[str, ...]:
    return (*loaded.files, *(name for name in _SIDE_FILES if (checkpoint.folder / name).is_file()))

"""A small bilingual tokenizer of Gemma's form: BPE with byte fallback, blanks as "▁", <eos> at the end, no <bos>."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from fgbench.adapters.fgclip2 import EOS
from fgbench.data.mini.world import long_caption, questions, scene, short_captions
from fgbench.data.mini.world.vocabulary import COLOURS, KINDS, PLACES, SIZES, STUFF, TEXTURES
from fgbench.tasks.resources import lines

SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>")
SIZE = 1200
"""Entries: 4 special ones, 256 bytes, characters and pieces of words."""

_SCENES = 400
_PHRASES = (
    *("一个", "东西", "图片", "图中有", "其中有", "照片", "上面是", "下面是", "共有", "一张", "画着"),
    *("右上方", "左上方", "右下方", "左下方"),
)

_REPEAT = 300
"""How often each Chinese word is shown, so that it becomes one entry before anything else does."""


def build() -> Tokenizer:
    """Train the tokenizer; the same one every time."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    # Words and punctuation stay apart; Chinese words do because the corpus shows them one by one.
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("▁?[A-Za-z]+|[^A-Za-z▁]+|▁"), "isolated")
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - 256,
        special_tokens=list(SPECIALS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return _with_bytes(tokenizer)


def _corpus() -> Iterator[str]:
    for number in range(_SCENES):
        made = scene("train", number)
        yield from short_captions(made, "en")
        yield long_caption(made, "en")
        yield from (question.text for question in questions(made, "en"))
    tables = (COLOURS, KINDS, PLACES, SIZES, STUFF, TEXTURES)
    words = [word for table in tables for word in table.values()]
    for word in words:
        for _ in range(_REPEAT // 10):
            yield from word.names("en")
    for template in lines("templates_80"):
        yield from [template.format("")] * 10
    yield from lines("imagenet_classnames")
    for _ in range(_REPEAT):
        for word in words:
            yield from word.names("zh")
        yield from _PHRASES
    characters = "".join((*lines("templates_80_zh"), "零一两三四五个有和在吗几什么颜的图案是否哪里，。？、"))
    yield from sorted(set(characters) - set("{} "))


def _with_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """Give the 256 bytes entries of their own, after the special ones as in Gemma, and set how texts end."""
    content = json.loads(tokenizer.to_str())
    model = content["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].get)
    entries = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces[len(SPECIALS) :]]
    merges = [tuple(merge) for merge in model["merges"]]
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    built = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    built.normalizer, built.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    built.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in SPECIALS])
    built.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", EOS)])
    built.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return built

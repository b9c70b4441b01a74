"""A small bilingual tokenizer for the language model: a list of pieces, of which a text takes as few as it can.

Every word of the world is one piece, so is every instruction of the prompts and every coordinate of a box. What is not
in the list is written in characters and bytes. Texts start with a blank, as Llama's do: a word is the same piece at the
beginning of an answer and inside a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

from fgbench.adapters.lmm_frames import FRAMES
from fgbench.data.mini.chat import LETTERS
from fgbench.data.mini.world import GRAMMARS, questions, scene
from fgbench.data.mini.world.vocabulary import COLOURS, KINDS, PLACES, SIZES, STUFF, TEXTURES, Word
from scripts.train_chat.turns import BOXES_ZH_INSTRUCTION, FRAME, OPEN_ZH_INSTRUCTION, ROWS, instructions

PAD, BOS, EOS, UNK = range(4)
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
COORDINATES = tuple(f"{number / 100:.2f}" for number in range(101))
"""Fractions of the padded picture's side, as LLaVA writes them."""

TABLES = (COLOURS, KINDS, TEXTURES, SIZES, STUFF, PLACES)

BLANK = "▁"
_SCENES = 300
_ZH = (
    *("一个", "东西", "图中有", "图中有几个", "吗？", "在哪里？", "是什么？", "是什么颜色的？", "是什么图案的？"),
    *("？", "个", "的", "在", "是", "否", "零", "一", "两", "三", "四", "五"),
)
_PER_PIECE, _NEVER = -1.0, -100.0
"""Scores of pieces; the dear ones are the names of special tokens and bytes, which as text are spelled out."""


def build() -> Tokenizer:
    """Make the tokenizer; the same one every time."""
    reserved = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256))]
    scored = [(piece, _NEVER) for piece in reserved] + [(piece, _PER_PIECE) for piece in dict.fromkeys(_pieces())]
    model = models.Unigram(scored, unk_id=UNK, byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in SPECIALS])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.encode_special_tokens = True
    return tokenizer


def word(tokenizer: Tokenizer, entry: Word) -> tuple[int, int]:
    """The pieces of a word of the world, in English and in Chinese."""
    english, chinese = tokenizer.token_to_id(BLANK + entry.en), tokenizer.token_to_id(entry.zh)
    assert english is not None, entry
    assert chinese is not None, entry
    return english, chinese


def _pieces() -> Iterator[str]:
    for text in _texts():
        yield text.replace(" ", BLANK)


def _texts() -> Iterator[str]:
    """The pieces with blanks in them; what comes first gets the lower number."""
    printable = [chr(code) for code in range(32, 127)]
    yield from ("\n", " \n", *printable, *(f" {sign}" for sign in printable))
    yield from (f"\n{mark}" for letter in LETTERS for mark in (f"{letter}.", f"({letter})"))
    yield from COORDINATES
    yield ", "
    yield from (f" {FRAMES[FRAME].opening}", FRAMES[FRAME].closing)
    yield from (" MINI", " <image 1>", " the", OPEN_ZH_INSTRUCTION, BOXES_ZH_INSTRUCTION, "。")
    for row in ROWS:
        yield from (part.rstrip(" ") for part in instructions(row))
    for table in TABLES:
        yield from (f" {entry.en}" for entry in table.values())
        yield from (entry.zh for entry in table.values())
    across_down = [(a, d) for a in ("left", "middle", "right") for d in ("top", "middle", "bottom")]
    yield from (GRAMMARS["zh"].where(place) for place in across_down)
    yield from (f" {GRAMMARS['en'].where(place)}" for place in across_down)
    yield from _ZH
    for number in range(_SCENES):
        for question in questions(scene("train", number), "en"):
            for text in (question.text, *question.options):
                # A question follows a line end, so its first word has no blank before it.
                yield from (found if found[0].isupper() else f" {found}" for found in re.findall("[A-Za-z]+", text))

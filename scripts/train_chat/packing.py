"""Several questions about one picture: the picture is read once, and each question goes on from there by itself.

A picture has five times as many tokens as a question, so reading it once for all of them pays. What a question sees is
what it sees when it is asked alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fgbench.adapters.llava_naflex_model import PICTURE
from fgbench.adapters.lmm_frames import FRAMES
from fgbench.data.mini.chat import LETTERS
from scripts.train_chat.tokenizer import BLANK, EOS, PAD
from scripts.train_chat.turns import FRAME, Turn


@dataclass(frozen=True)
class Batch:
    """B pictures and T questions, T / B about each, picture by picture; all padded at the end.

    Attributes:
        pictures: int64 [B, P]; what comes before the questions, :data:`PICTURE` where a patch stands.
        pictures_mask: bool [B, 1, P, P]; what each token sees.
        turns: int64 [T, L]; question and answer, without the end token.
        positions: int64 [T, L].
        mask: bool [T, 1, L, P + L].
        asking: int64 [A]; places in ``turns.flatten()`` after which a token of an answer is wanted.
        wanted: int64 [A]; these tokens.
        turn: int64 [A]; the number of the question that each of them belongs to.
        placing: bool [A]; is it a part of a box?
        ready: int64 [R]; places in ``turns.flatten()`` after which an answer in words or a letter begins.
        meant: int64 [R]; the first piece of that answer in words.
        options: int64 [O]; places in ``turns.flatten()`` where the text of an option begins.
        letters: int64 [O]; the piece of its letter in an answer.
        described: int64 [K]; places in ``turns.flatten()`` where the description of a thing ends.
        things: int64 [K, 2]; the number of the picture, and of the thing in it.
    """

    pictures: Tensor
    pictures_mask: Tensor
    turns: Tensor
    positions: Tensor
    mask: Tensor
    asking: Tensor
    wanted: Tensor
    turn: Tensor
    placing: Tensor
    ready: Tensor
    meant: Tensor
    options: Tensor
    letters: Tensor
    described: Tensor
    things: Tensor


class Packer:
    """Turns conversations into tokens, exactly those that the adapter sends."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Use this tokenizer."""
        self._tokenizer = tokenizer
        self._blank = self._piece(BLANK)
        self._letters = {
            self._piece(f"\n{mark}"): self._piece(BLANK + letter)
            for letter in LETTERS
            for mark in (f"{letter}.", f"({letter})")
        }
        self._before = tokenizer.encode(FRAMES[FRAME].parts("", 1)[0]).ids

    def pack(self, conversations: Sequence[Sequence[Turn]], patches: Sequence[int]) -> Batch:
        """Put conversations side by side.

        Args:
            conversations: the turns about each picture, equally many.
            patches: of each picture.
        """
        starts = [torch.tensor([*self._before, *[PICTURE] * count]) for count in patches]
        row = torch.arange(len(starts)).repeat_interleave(len(conversations[0]))
        parts = [
            (self._ids(FRAMES[FRAME].parts(turn.prompt, 1)[1]), [*self._ids(turn.answer), EOS])
            for turns in conversations
            for turn in turns
        ]
        about = [(row, turn.thing) for row, turns in enumerate(conversations) for turn in turns]
        said_about = [(turn.said, turn.thing) for turns in conversations for turn in turns]
        worded = [number for number, (_, thing) in enumerate(said_about) if thing is None]
        turns = _padded([torch.tensor([*prompt, *answer[:-1]]) for prompt, answer in parts])
        length = turns.shape[1]
        lettered = [
            (number * length + place, letter)
            for number, (prompt, _) in enumerate(parts)
            for place, letter in self._options(prompt)
        ]
        lengths = torch.tensor([len(start) for start in starts])
        real = torch.arange(int(lengths.max())) < lengths[:, None]
        seen = real[row][:, None, None, :].expand(-1, 1, length, -1)
        return Batch(
            pictures=_padded(starts),
            pictures_mask=_causal(real.shape[1])[None, None].expand(len(starts), 1, -1, -1),
            turns=turns,
            positions=lengths[row][:, None] + torch.arange(length),
            mask=torch.cat([seen, _causal(length).expand(len(turns), 1, -1, -1)], dim=-1),
            asking=torch.tensor(
                [
                    number * length + len(prompt) - 1 + place
                    for number, (prompt, answer) in enumerate(parts)
                    for place in range(len(answer))
                ]
            ),
            wanted=torch.tensor([token for _, answer in parts for token in answer]),
            turn=(turn := torch.tensor([number for number, (_, answer) in enumerate(parts) for _ in answer])),
            placing=torch.tensor([thing is not None for _, thing in about])[turn],
            ready=torch.tensor([number * length + len(parts[number][0]) - 1 for number in worded]),
            meant=torch.tensor([self._meant(said) for said, thing in said_about if thing is None]),
            options=torch.tensor([place for place, _ in lettered]),
            letters=torch.tensor([letter for _, letter in lettered]),
            # Before the answer stand the last sign and the frame's closing, a piece each.
            described=torch.tensor(
                [
                    number * length + len(prompt) - 3
                    for number, ((prompt, _), (_, thing)) in enumerate(zip(parts, about, strict=True))
                    if thing is not None
                ]
            ),
            things=torch.tensor([pair for pair in about if pair[1] is not None]),
        )

    def _piece(self, text: str) -> int:
        number = self._tokenizer.token_to_id(text)
        assert number is not None, text
        return number

    def _meant(self, said: str) -> int:
        """The first piece that is more than a blank."""
        return next(each for each in self._ids(said) if each != self._blank)

    def _options(self, prompt: list[int]) -> Iterator[tuple[int, int]]:
        """Where in a prompt the text of each option begins, and the piece of its letter."""
        for place, each in enumerate(prompt):
            if each in self._letters:
                yield place + 1 + (prompt[place + 1] == self._blank), self._letters[each]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def _padded(rows: list[Tensor]) -> Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=PAD)


def _causal(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool).tril()

"""What is learned: the answers, and, so that this goes quickly, to say of each patch what it shows and how far it goes.

The words of a patch are read by the language model's own table of pieces, so that a question finds what it names by
likeness from the beginning. Coordinates are learned with some of their neighbours' share: nearly right is better than
wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field uses
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import DynamicCache

from fgbench.adapters.llava_naflex_model import PICTURE, LlavaNaflex
from scripts.train_chat.packing import Batch
from scripts.train_chat.pictures import Picture
from scripts.train_chat.tokenizer import COORDINATES

_SPREAD = 1.5
"""Standard deviation of a coordinate's share, in hundredths of the picture's side."""


class Objectives(nn.Module):
    """The losses; the head for boxes is thrown away after the training."""

    shares: Tensor
    line: Tensor

    def __init__(self, module: LlavaNaflex, tokenizer: Tokenizer, frozen: int, seed: int) -> None:
        """Learn ``module`` from its vision tower's layer ``frozen`` on."""
        super().__init__()
        self.module, self._frozen = module, frozen
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.boxes = nn.Linear(module.config.text.hidden_size, 4 * len(COORDINATES))
        ids = torch.tensor([tokenizer.token_to_id(text) for text in COORDINATES])
        line = torch.arange(len(COORDINATES)) / (len(COORDINATES) - 1)
        shares = torch.eye(tokenizer.get_vocab_size())
        shares[ids[:, None], ids] = _near(line, line)
        self.register_buffer("shares", shares, persistent=False)
        self.register_buffer("line", line, persistent=False)

    def forward(self, pictures: Sequence[Picture], batch: Batch) -> dict[str, Tensor]:
        """The losses by name."""
        tokens = self.tokens(pictures)
        wanted = self.shares[batch.wanted]
        return {
            "answer": F.cross_entropy(self.answers(tokens, batch).float(), wanted),
            **self._patches(torch.cat(tokens), pictures),
        }

    def tokens(self, pictures: Sequence[Picture]) -> list[Tensor]:
        """Each picture as the language model gets it, [N, D]; as ``PictureTokens.forward``, from half-way on."""
        vision = self.module.vision
        lengths = [len(each.states) for each in pictures]
        states = nn.utils.rnn.pad_sequence([each.states.float() for each in pictures], batch_first=True)
        real = torch.arange(states.shape[1]) < torch.tensor(lengths)[:, None]
        for layer in vision.encoder.layers[self._frozen :]:
            states = layer(states, attention_mask=real[:, None, None, :])
        tokens = vision.linear_2(vision.act(vision.linear_1(states)))
        return [row[:length] for row, length in zip(tokens, lengths, strict=True)]

    def answers(self, tokens: Sequence[Tensor], batch: Batch) -> Tensor:
        """The scores of every piece at the places where an answer is wanted: [A, vocabulary]."""
        language = self.module.language_model
        table = language.get_input_embeddings().weight
        flat = F.embedding(batch.pictures.clamp(min=0), table)
        inputs = flat.masked_scatter(batch.pictures[..., None] == PICTURE, torch.cat(list(tokens)).to(flat.dtype))
        cache = DynamicCache()
        language.model(
            inputs_embeds=inputs, attention_mask=batch.pictures_mask, past_key_values=cache, use_cache=True
        )
        each = len(batch.turns) // len(batch.pictures)
        for layer in cache.layers:  # expanding is not copying, and cheap on the way back
            layer.keys, layer.values = (
                part[:, None].expand(-1, each, -1, -1, -1).flatten(0, 1) for part in (layer.keys, layer.values)
            )
        states = language.model(
            input_ids=batch.turns,
            attention_mask=batch.mask,
            position_ids=batch.positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        scores: Tensor = language.lm_head(states.flatten(0, 1)[batch.asking])
        return scores

    def _patches(self, tokens: Tensor, pictures: Sequence[Picture]) -> dict[str, Tensor]:
        counts = [len(each.words) for each in pictures]
        starts = torch.tensor([0, *counts]).cumsum(0)
        shows = torch.cat(
            [torch.where(p.shows < 0, -1, p.shows + start) for p, start in zip(pictures, starts, strict=False)]
        )
        words, boxes = torch.cat([each.words for each in pictures]), torch.cat([each.boxes for each in pictures])
        table = self.module.language_model.get_input_embeddings().weight
        clear = shows >= 0
        said = F.rms_norm(tokens[clear], tokens.shape[-1:]) @ table.T
        on = clear & ~boxes[shows, 0].isnan()
        drawn = self.boxes(tokens[on]).view(-1, len(COORDINATES))
        return {
            "words": F.cross_entropy(said.float(), words[shows[clear]]),
            "boxes": F.cross_entropy(drawn.float(), _near(boxes[shows[on]].flatten(), self.line)),
        }


def _near(values: Tensor, line: Tensor) -> Tensor:
    """The share of each coordinate of ``line`` for some values: [n, len(line)], a bell around each."""
    away = (values[:, None] - line) * (len(line) - 1) / _SPREAD
    return F.softmax(-0.5 * away**2, dim=-1)

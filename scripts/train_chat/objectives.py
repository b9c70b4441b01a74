"""What is learned: the answers, and, so that this goes quickly, to say of each patch what it shows and how far it goes.

The words of a patch are read by the language model's own table of pieces, so that a question finds what it names by
likeness from the beginning. Coordinates are learned with some of their neighbours' share: nearly right is better than
wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the name that the field uses
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import DynamicCache

from fgbench.adapters.llava_naflex_model import PICTURE, LlavaNaflex
from scripts.train_chat.packing import Batch
from scripts.train_chat.pictures import GROUNDS, Picture
from scripts.train_chat.tokenizer import COORDINATES

_SPREAD = 1.5
"""Standard deviation of a coordinate's share, in hundredths of the picture's side."""

_SHARP = 20.0
"""Factor of the cosines between states and pieces: a state has to come as near as it can to a thing's eight pieces."""

_GROUND = 0.3
"""Weight of patches of the ground."""


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

    def forward(self, pictures: Sequence[Picture], batch: Batch | None) -> dict[str, Tensor]:
        """The losses by name; those of answers only with a batch of questions."""
        tokens = self.tokens(pictures)
        found = self._patches(torch.cat(tokens), pictures)
        if batch is None:
            return found
        states = self.read(tokens, batch)
        each = F.cross_entropy(self._scores(states[-1], batch), self.shares[batch.wanted], reduction="none")
        halfway = states[len(states) // 2].flatten(0, 1)
        starts = torch.tensor([0, *(len(picture.words) for picture in pictures)]).cumsum(0)
        described = starts[batch.things[:, 0]] + GROUNDS + batch.things[:, 1]
        told = self._tell(halfway[batch.described], described, pictures)
        return {
            "answer": each[~batch.placing].mean(),
            "corner": each[batch.placing].mean(),
            "ready": F.cross_entropy(self._likeness(states[-2].flatten(0, 1)[batch.ready]), batch.meant),
            "letter": F.cross_entropy(self._likeness(halfway[batch.options]), batch.letters),
            **found,
            **{f"described {name}": loss for name, loss in told.items()},
        }

    def tokens(self, pictures: Sequence[Picture]) -> list[Tensor]:
        """Each picture as the language model gets it, [N, D]; as ``PictureTokens.forward``, from half-way on."""
        vision, states = self.module.vision, self.states(pictures)
        return [vision.linear_2(vision.act(vision.linear_1(own))) for own in states]

    def states(self, pictures: Sequence[Picture]) -> list[Tensor]:
        """The states of the vision tower's last layer, [N, D] for each picture."""
        lengths = [len(each.states) for each in pictures]
        states = nn.utils.rnn.pad_sequence([each.states.float() for each in pictures], batch_first=True)
        real = torch.arange(states.shape[1]) < torch.tensor(lengths)[:, None]
        for layer in self.module.vision.encoder.layers[self._frozen :]:
            states = layer(states, attention_mask=real[:, None, None, :])
        return [row[:length] for row, length in zip(states, lengths, strict=True)]

    def answers(self, tokens: Sequence[Tensor], batch: Batch) -> Tensor:
        """The scores of every piece at the places where an answer is wanted: [A, vocabulary]."""
        return self._scores(self.read(tokens, batch)[-1], batch)

    def _scores(self, states: Tensor, batch: Batch) -> Tensor:
        scores: Tensor = self.module.language_model.lm_head(states.flatten(0, 1)[batch.asking])
        return scores.float()

    def read(self, tokens: Sequence[Tensor], batch: Batch) -> tuple[Tensor, ...]:
        """The states of the questions' tokens before the first layer and after each: [T, L, D]."""
        language = self.module.language_model
        table = language.get_input_embeddings().weight
        flat = F.embedding(batch.pictures.clamp(min=0), table)
        inputs = flat.masked_scatter(batch.pictures[..., None] == PICTURE, torch.cat(list(tokens)).to(flat.dtype))
        cache = DynamicCache()
        kept = {_cache_argument(language.model): cache}
        language.model(inputs_embeds=inputs, attention_mask=batch.pictures_mask, use_cache=True, **kept)
        each = len(batch.turns) // len(batch.pictures)
        for layer in cache.layers:  # expanding is not copying, and cheap on the way back
            layer.keys, layer.values = (
                part[:, None].expand(-1, each, -1, -1, -1).flatten(0, 1) for part in (layer.keys, layer.values)
            )
        states: tuple[Tensor, ...] = language.model(
            input_ids=batch.turns,
            attention_mask=batch.mask,
            position_ids=batch.positions,
            use_cache=True,
            output_hidden_states=True,
            **kept,
        ).hidden_states
        return states

    def _patches(self, tokens: Tensor, pictures: Sequence[Picture]) -> dict[str, Tensor]:
        starts = torch.tensor([0, *(len(each.words) for each in pictures)]).cumsum(0)
        shows = torch.cat(
            [torch.where(p.shows < 0, -1, p.shows + start) for p, start in zip(pictures, starts, strict=False)]
        )
        return self._tell(tokens[shows >= 0], shows[shows >= 0], pictures)

    def _tell(self, states: Tensor, shows: Tensor, pictures: Sequence[Picture]) -> dict[str, Tensor]:
        """How well states [n, D] tell the words and the box of what they show, a row of all pictures' together."""
        words, boxes = (torch.cat([getattr(each, name) for each in pictures]) for name in ("words", "boxes"))
        on = ~boxes[shows, 0].isnan()
        each = F.cross_entropy(self._likeness(states), words[shows], reduction="none")
        drawn = self.boxes(F.rms_norm(states[on], states.shape[-1:])).view(-1, len(COORDINATES))
        return {
            # Most patches show the ground, of which nothing is asked.
            "words": each[on].mean() + _GROUND * each[~on].sum() / max(1, int((~on).sum())),
            "boxes": F.cross_entropy(drawn.float(), _near(boxes[shows[on]].flatten(), self.line)),
        }

    def _likeness(self, states: Tensor) -> Tensor:
        """The scores of every piece by likeness to states [n, D]: [n, vocabulary]."""
        table = F.normalize(self.module.language_model.get_input_embeddings().weight, dim=-1)
        return (_SHARP * F.normalize(states, dim=-1) @ table.T).float()


def _near(values: Tensor, line: Tensor) -> Tensor:
    """The share of each coordinate of ``line`` for some values: [n, len(line)], a bell around each."""
    away = (values[:, None] - line) * (len(line) - 1) / _SPREAD
    return F.softmax(-0.5 * away**2, dim=-1)


def _cache_argument(model: nn.Module) -> str:
    """What the installed transformers calls it: ``cache``, in older versions ``past_key_values``."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"

"""What a generative model has to offer. Not a base class: any object with these members is a generator.

As with :mod:`fgbench.adapter`, the model's own matters (chat frame, picture treatment, tokens, decoding) are the
adapter's; batching, device, precision, memory, stop strings, storing and scoring are the engine's. The least that
conforms::

    class Yes:
        info = GeneratorInfo(name="yes", family="yes", source="none", frame="none", preprocess="none")
        module = torch.nn.Identity()

        def generate(self, texts, images, max_tokens):
            return [Reply("yes", tokens=1) for _ in texts]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import nn

TOO_LONG = "prompt_too_long"
"""The usual reason in :attr:`Reply.problem`: prompt and answer together do not fit the model's context."""


class Reply(NamedTuple):
    """One answer.

    Attributes:
        text: without the prompt, special tokens and outer whitespace.
        tokens: how many were generated, the end token included.
        truncated: did the answer reach the limit without an end token?
        problem: reason why there is no answer (one lower-case word, as :data:`TOO_LONG`), or empty.
    """

    text: str
    tokens: int
    truncated: bool = False
    problem: str = ""


@dataclass(frozen=True)
class GeneratorInfo:
    """The facts about a loaded generative model. All of them are written into every result.

    Attributes:
        name: what results call the model.
        family: adapter family.
        source: hub id, path or description of where the weights came from.
        frame: name of the chat frame around a prompt (``vicuna_v1``, ``hf``, …).
        preprocess: one line that names the picture treatment.
        revision: hub commit, if there is one.
        languages: BCP 47 tags the model was trained for.
        licence: of the weights.
        settings: anything else that changes the answers.
        files: SHA-256 of the files read, by name.
        paper: (method, backbone) of the model's row in the paper's tables, if it has one.
        notes: remarks for the reader of a result.
    """

    name: str
    family: str
    source: str
    frame: str
    preprocess: str
    revision: str | None = None
    languages: tuple[str, ...] = ("en",)
    licence: str = "unknown"
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    paper: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()


@runtime_checkable
class Generator(Protocol):
    """A chat model that sees pictures. The engine moves ``module`` to the device once, in evaluation mode, and calls
    :meth:`generate` under ``torch.inference_mode`` (with autocast if a half precision was chosen).
    """

    info: GeneratorInfo

    @property
    def module(self) -> nn.Module:
        """The network: what the engine moves, and what identifies the model."""

    def generate(self, texts: Sequence[str], images: Sequence[Sequence[Image]], max_tokens: int) -> list[Reply]:
        """Answer prompts greedily, in one batch.

        Args:
            texts: what the user says; the adapter puts its chat frame around it. A text may hold anything, also the
                names of special tokens, which must not act as such.
            images: RGB pictures of each prompt, in the order in which the model sees them. All prompts of a batch have
                equally many, perhaps none.
            max_tokens: new tokens at most.

        Returns:
            One reply per prompt. Reply i must not depend on the other prompts of the batch.
        """

"""Chat frames: what stands around a user's text. A frame is part of the protocol, for it moves scores by points.

Sources: ``vicuna_v1`` is the conversation of that name in LLaVA's evaluation scripts, with lmms-eval's way of writing
several pictures; ``short`` is the chat template of the converted LLaVA-1.5 checkpoints, which lacks the system
sentence; ``vlmevalkit`` is what VLMEvalKit's LLaVA class sends (the v0 wording, other blanks).
"""

from __future__ import annotations

from dataclasses import dataclass

from fgbench.errors import UsageError


@dataclass(frozen=True)
class Frame:
    """A chat frame with the pictures before the text.

    Attributes:
        opening: what comes first.
        closing: what comes after the user's text; the model continues here.
        before: between the opening and the first picture.
        between: between two pictures.
        after: between the last picture and the text.
    """

    opening: str
    closing: str
    before: str = ""
    between: str = " "
    after: str = "\n"

    def parts(self, text: str, pictures: int) -> list[str]:
        """The complete prompt, cut where the pictures stand: ``pictures + 1`` strings."""
        if not pictures:
            return [self.opening + text + self.closing]
        return [self.opening + self.before, *[self.between] * (pictures - 1), self.after + text + self.closing]


_WORDS = (
    "A chat between a curious {who} and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the {who}'s questions. USER: "
)

FRAMES = {
    "vicuna_v1": Frame(_WORDS.format(who="user"), " ASSISTANT:"),
    "short": Frame("USER: ", " ASSISTANT:"),
    "vlmevalkit": Frame(_WORDS.format(who="human"), " ASSISTANT: ", before=" ", between="  ", after=" "),
}

TEMPLATE = "hf"
"""Not in :data:`FRAMES`: the chat template that comes with a transformers checkpoint."""


def find_frame(name: str, *, template: bool) -> Frame | None:
    """Look a frame up; None stands for the checkpoint's chat template.

    Args:
        name: as the user typed it.
        template: does the model have a chat template?

    Raises:
        UsageError: no such frame.
    """
    if name == TEMPLATE and template:
        return None
    if name not in FRAMES:
        known = ", ".join([*FRAMES, *([TEMPLATE] if template else [])])
        raise UsageError(f"Model option frame={name}: expected one of {known}.")
    return FRAMES[name]

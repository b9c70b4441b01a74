"""The whole model: the mean colour of a picture against the colours that a text names."""

from collections.abc import Mapping, Sequence

import torch
from PIL import Image

from fgbench.adapter import AdapterInfo, ImageFeatures, Purpose, TextFeatures
from fgbench.requests import TextKind

COLOURS = {"red": (1.0, -1.0, -1.0), "green": (-1.0, 1.0, -1.0), "blue": (-1.0, -1.0, 1.0)}
KINDS: tuple[TextKind, ...] = ("short", "box", "long")


class MeanColour:
    """Its own preprocessor, too: there is nothing to keep apart."""

    def __init__(self, gain: float) -> None:
        self.module, self.preprocessor, self.gain = torch.nn.Module(), self, gain
        length, path = dict.fromkeys(KINDS, 1000), dict.fromkeys(KINDS, "words")
        self.info = AdapterInfo("mean-colour", "colour", "no weights", 3, "mean", length, path, settings={"gain": gain})

    def view(self, purpose: Purpose, size: tuple[int, int], budget: int | None) -> str:
        return "mean"

    def __call__(self, image: Image.Image, view: str) -> Mapping[str, torch.Tensor]:
        return {"rgb": torch.tensor(list(image.resize((1, 1), Image.Resampling.BOX).tobytes()), dtype=torch.float32)}

    def encode_images(self, batch: Mapping[str, torch.Tensor], *, dense: bool) -> ImageFeatures:
        return ImageFeatures((batch["rgb"] / 127.5 - 1) * self.gain)

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        rows = [text.replace(".", "").split() for text in texts]
        sums = [[sum(COLOURS.get(word, (0.0, 0.0, 0.0))[c] for word in row[:1000]) for c in range(3)] for row in rows]
        return TextFeatures(torch.tensor(sums).view(-1, 3), [len(row) > 1000 for row in rows])


def load(target: str, *, gain: str = "1") -> MeanColour:
    return MeanColour(float(gain))

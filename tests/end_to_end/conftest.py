"""What the end-to-end tests share: recorded figures, generated data, the command line, and a model of a few numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import fgbench
from fgbench.adapter import AdapterInfo, ImageFeatures, Preprocessor, Purpose, TextFeatures
from fgbench.api import Evaluation
from fgbench.requests import TextKind

from .results import Run
from .shapes.layouts import write_layouts
from .shapes.scenes import make_scenes

FAULTS = Path(__file__).resolve().parent / "faults"


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """Figures recorded from the official code, with the data and models they belong to."""
    return shared / "golden"


@pytest.fixture(scope="session")
def coco_mini(shared: Path) -> Path:
    """Real photographs in the official layout."""
    return shared / "data/coco-mini"


@dataclass(frozen=True)
class Data:
    """Generated datasets that a test may damage: fg-ovd, coco-box and coco over the same pictures."""

    root: Path

    IDS = ("fg-ovd", "coco-box", "coco")

    @property
    def instances(self) -> Path:
        """Annotation file of coco-box."""
        return self.root / "coco/annotations/instances_val2017.json"

    @property
    def captions(self) -> Path:
        """Annotation file of coco."""
        return self.root / "coco/annotations/captions_val2017.json"

    @property
    def hard(self) -> Path:
        """Annotation file of the first subset of fg-ovd."""
        return self.root / "fgovd/h_attributes_llava.jsonl"

    def picture(self, number: int = 0) -> Path:
        """A picture, in the order of their names."""
        return sorted((self.root / "coco/val2017").iterdir())[number]

    def edit(self, path: Path, **lists: Any) -> None:
        """Replace lists of a COCO file, or pass each through a function."""
        content = json.loads(path.read_text(encoding="utf-8"))
        for name, change in lists.items():
            content[name] = change(content[name]) if callable(change) else change
        path.write_text(json.dumps(content), encoding="utf-8")

    def add_picture(self) -> Path:
        """Add a picture that only coco knows."""
        picture = self.picture().with_name("999.png")
        Image.effect_noise((90, 60), 80).save(picture)
        self.edit(
            self.captions,
            images=lambda rows: [*rows, {"id": 999, "file_name": picture.name}],
            annotations=lambda rows: [*rows, {"id": 999, "image_id": 999, "caption": "Noise."}],
        )
        return picture


def write_data(root: Path, scenes: int, seed: int = 7) -> Data:
    """Generate datasets below ``root``."""
    write_layouts(make_scenes(scenes, seed), root)
    return Data(root)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """A dozen generated pictures."""
    return write_data(tmp_path / "data", scenes=12)


@pytest.fixture
def much_data(tmp_path: Path) -> Data:
    """Pictures and texts for several chunks."""
    return write_data(tmp_path / "data", scenes=150)


@pytest.fixture(scope="session")
def fixed_data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """A dozen generated pictures that tests share and leave as they are."""
    return write_data(tmp_path_factory.mktemp("fixed") / "data", scenes=12)


@dataclass(frozen=True)
class Shell:
    """Runs ``python -m fgbench`` in an empty folder.

    Attributes:
        folder: working directory; holds the cache too.
    """

    folder: Path

    def __call__(
        self,
        *arguments: str | Path,
        fault: str | None = None,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Args:
            arguments: of fgbench.
            fault: how the process is to be ended (``faults/sitecustomize.py``).
            options: of the interpreter.
            env: more environment variables.
        """
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "FGBENCH_CACHE": str(self.folder / "cache"),
            "HF_HUB_OFFLINE": "1",
            "COLUMNS": "160",
            **(env or {}),
        }
        if fault:
            path = os.pathsep.join([str(FAULTS), *filter(None, [environment.get("PYTHONPATH")])])
            environment |= {"FGBENCH_TEST_FAULT": fault, "PYTHONPATH": path}
        return subprocess.run(
            [sys.executable, *options, "-m", "fgbench", *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
            check=False,
            start_new_session=True,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """The command line."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    return Shell(folder)


class ThumbnailPreprocessor:
    """Shrinks every picture to 4x4 pixels."""

    def view(self, purpose: Purpose, size: tuple[int, int], budget: int | None) -> str:
        """One treatment for everything."""
        return "thumbnail"

    def __call__(self, image: Image.Image, view: str) -> dict[str, Tensor]:
        """The pixels as uint8 [16, 3]."""
        pixels = image.resize((4, 4)).tobytes()
        return {"pixels": torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(16, 3)}


class Thumbnail:
    """The smallest model that can answer everything: pixels and letters through fixed random matrices."""

    DIM = 8

    def __init__(self) -> None:
        self.module = torch.nn.Module()
        generator = torch.Generator().manual_seed(1)
        self.module.register_buffer("pixels", torch.randn(3, self.DIM, generator=generator))
        self.module.register_buffer("letters", torch.randn(256, self.DIM, generator=generator))
        self.preprocessor: Preprocessor = ThumbnailPreprocessor()
        self.info = AdapterInfo(
            name="thumbnail",
            family="test",
            source="test",
            dim=self.DIM,
            preprocess="4x4",
            text_length={"short": 1000, "box": 1000, "long": 1000},
            text_path={"short": "text", "box": "text", "long": "text"},
            dense="pixels",
            region_default="roi",
        )

    def encode_images(self, batch: Mapping[str, Tensor], *, dense: bool) -> ImageFeatures:
        """Each pixel is a token."""
        tokens = (batch["pixels"].float() / 255 - 0.5) @ self.module.get_buffer("pixels")
        grid = torch.full((len(tokens), 2), 4)
        return ImageFeatures(tokens.mean(1), tokens, grid) if dense else ImageFeatures(tokens.mean(1))

    def encode_texts(self, texts: Sequence[str], kind: TextKind) -> TextFeatures:
        """Sum of the letters."""
        letters = self.module.get_buffer("letters")
        rows = [letters[torch.tensor(list(text.encode()) or [0])].mean(0) for text in texts]
        return TextFeatures(torch.stack(rows), [False] * len(rows))


@pytest.fixture
def thumbnail() -> Thumbnail:
    """A model that a test may damage."""
    return Thumbnail()


@pytest.fixture
def run(data: Data, thumbnail: Thumbnail, tmp_path: Path) -> Run:
    """Evaluates the three generated datasets into the same folder every time."""

    def evaluate(**options: Any) -> Evaluation:
        options = {"data_root": data.root, "output": tmp_path / "results", "device": "cpu", **options}
        return fgbench.evaluate(thumbnail, None, data.IDS, **options)

    return evaluate

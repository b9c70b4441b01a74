"""What a test takes instead of weights, data and a network, in the commands of a page that need them.

Models become small ones that come with fgbench, the data root a copy of the miniature suite, the hub a server on this
computer; predictions and results that a reader has are made. What is typed is checked first: models and detectors have
to exist.
"""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import fgbench
from fgbench import detect_api, models
from fgbench.data.mini import mini_root
from fgbench.report import catalogue
from fgbench.selection import datasets

from ..adapters import tiny_detector
from ..data.hub_server import Hub, environment, lit_cn, serve
from .command_line import Typed
from .pages import Block, Command

LIMIT = "2"
"""Items of a subset that are evaluated."""

SMALL = ("fgclip2-tiny", "fgclip2-tiny-early")
"""Models whose results are compared."""


class StandIns:
    """Changes commands, and makes what they need. Close it at the end."""

    def __init__(self, folder: Path, cache: Path) -> None:
        """
        Args:
            folder: where the commands run.
            cache: where the miniature suite is kept.
        """
        self._folder = folder
        self._cache = cache
        self._open = ExitStack()

    def close(self) -> None:
        """Stop the server."""
        self._open.close()

    def replace(self, command: Command, block: Block) -> Command:
        """The command to be run instead of one of a block."""
        if command.words[0] != "fgbench":
            return command
        typed, variables = Typed(command.words[1:]), dict(command.variables)
        if block.mark("needs weights") is not None:
            self._replace_models(typed)
        if block.mark("needs data") is not None:
            self._replace_data(typed)
            self._replace_results(typed)
        if block.mark("needs network") is not None and typed.name == "data get":
            here = environment(self._hub, self._folder / "home", HF_HUB_OFFLINE="0")
            variables = {**here, **variables, "HF_ENDPOINT": self._hub.endpoint}
        return Command(("fgbench", *typed.words), tuple(variables.items()))

    def prepare(self, block: Block) -> None:
        """Make the data that a block needs."""
        if block.mark("needs data") is not None:
            for command in block.commands or [Command(())]:
                words = [*command.words, ""]
                self._root(words[words.index("--data-root") + 1] if "--data-root" in words else "data")

    def _root(self, typed: str) -> Path:
        """The miniature suite as a data root of the reader's, beside what is there already."""
        root = self._folder / Path(typed).name
        if not (root / "imagenet").exists():
            shutil.copytree(mini_root(self._cache), root, dirs_exist_ok=True)
        return root

    def _replace_models(self, typed: Typed) -> None:
        for option, of_mini in (("--model", "fgclip2-tiny"), ("--chat", "llava-untrained")):
            model = typed.get(option)
            if model is not None:
                entry = models.parse(model).entry if option == "--model" else None
                chats = entry is not None and entry.family.kind == "chat model"
                typed.set(option, "llava-untrained" if chats else of_mini)
        if typed.name == "detect":
            assert typed.get("--detector") in {row["id"] for row in catalogue.detectors()}, typed.words
            typed.set("--detector", str(self._detector))
            typed.set("--output", str(self._folder / "proposals"))

    def _replace_data(self, typed: Typed) -> None:
        root = self._root(typed.get("--data-root") or "data")
        if typed.get("--data-root"):
            typed.set("--data-root", str(root))
        if typed.name == "eval" and typed.get("--task") == "all":  # takes minutes
            typed.words = ["plan", "--task", "all", "--data-root", str(root)]
        if typed.name in {"eval", "sweep", "detect"} and not typed.get("--limit"):
            typed.set("--limit", LIMIT)
        if typed.name == "score":
            self._predict(typed.get("--dataset") or "", typed.get("--predictions") or "", root)
        if typed.name == "proposals import":
            self._predict(typed.get("--dataset") or "", typed.words[typed.arguments()[0]], root)

    def _replace_results(self, typed: Typed) -> None:
        """Results on data that a reader has become those of two small models on the miniature suite."""
        if typed.name in {"compare", "bilingual"}:
            typed.set("--results", str(self._results))
        if typed.name == "compare":  # With the paper nothing on generated pictures can be compared.
            for place, other in zip(typed.arguments(), SMALL, strict=True):
                if typed.words[place] != "paper":
                    models.parse(typed.words[place])
                typed.words[place] = other
        if typed.name == "leaderboard add":
            [place] = typed.arguments()
            models.parse(Path(typed.words[place]).name)
            typed.words[place] = str(self._results / SMALL[0])
            typed.words.append("--allow-miniature")

    def _predict(self, dataset: str, place: str, root: Path) -> None:
        """Make predictions in a form that ``fgbench score`` reads."""
        path, files = self._folder / place, datasets().get(dataset)[1].files
        if dataset == "voc-21":
            shutil.copytree(root / files["raw"][0], path, dirs_exist_ok=True)
        elif dataset == "lvis-minival":
            # The suite has proposals of val, of which minival is a part.
            detect_api.export_results(root / files["proposals"][1], path)
            own = {row["id"] for row in self._lvis["images"] if "/val2017/" in row["coco_url"]}
            rows = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(json.dumps([row for row in rows if row["image_id"] in own]), encoding="utf-8")
        else:
            assert dataset == "gqa", f"no predictions of {dataset} are made here"
            questions = json.loads((root / files["annotations"][1]).read_text(encoding="utf-8"))
            lines = [json.dumps({"question_id": number, "text": "yes"}) for number in questions]
            path.write_text("\n".join(lines), encoding="utf-8")

    @cached_property
    def _results(self) -> Path:
        """A results folder in which two models can be compared, and languages too."""
        output = self._folder / "evaluated"
        for model in SMALL:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("FGBENCH_CACHE", str(self._cache))
                fgbench.evaluate(model, dataset="coco,coco-cn", data_root="mini", output=output, device="cpu")
        return output

    @cached_property
    def _lvis(self) -> dict[str, Any]:
        file = mini_root(self._cache) / "lvis/lvis_v1_val.json"
        return dict(json.loads(file.read_text(encoding="utf-8")))

    @cached_property
    def _detector(self) -> Path:
        """Of a vocabulary in which no class name of the miniature suite takes more than two tokens."""
        names = [row["name"] for row in self._lvis["categories"]]
        words = sorted({word for name in names for word in name.lower().replace("_", " ").split()})
        return tiny_detector.build(self._folder / "detector", words, short=72, long=120)

    @cached_property
    def _hub(self) -> Hub:
        hub = self._open.enter_context(serve())
        hub.repos["qihoo360/LIT-CN"] = lit_cn(mini_root(self._cache))
        return hub

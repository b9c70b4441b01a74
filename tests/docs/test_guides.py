"""The guides: every command and every code block in them is run, in the order in which a reader would.

Blocks of ``bash`` are commands. ``python`` and ``toml`` after a comment ``<!-- file: … -->`` are files, after
``<!-- part of: … -->`` a section of one; other ``python`` is run, ``text`` is output. What needs a checkpoint from
elsewhere is marked ``<!-- needs weights -->``, and is run with a tiny one.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import fgbench
from fgbench.adapter import AdapterInfo
from fgbench.adapter_kit.skeleton import package_files
from fgbench.spec import DatasetSpec, EvaluationProtocol, TextProtocol

from ..adapters import tiny_models
from ..packaging.tools import REPOSITORY, command, need

DOCS = REPOSITORY / "docs"
GUIDES = ("add-a-model", "add-a-dataset")
LINES = 40
"""A model is promised to take fewer."""

_BLOCK = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (.*?)(?:: (.*?))? -->")


@dataclass(frozen=True)
class Block:
    """A code block of a guide: language, content, and what the comments before it say."""

    language: str
    content: str
    marks: tuple[tuple[str, str], ...]

    def mark(self, name: str) -> str | None:
        """What a comment says; None if there is none."""
        return dict(self.marks).get(name)


def blocks(guide: str) -> list[Block]:
    text = (DOCS / f"{guide}.md").read_text(encoding="utf-8")
    found = [Block(m[2], m[3], tuple(_COMMENT.findall(m[1]))) for m in _BLOCK.finditer(text)]
    assert len(found) * 2 == len(re.findall("^```", text, re.MULTILINE))
    return found


class Reader:
    """Somebody who does what a guide says, in an empty folder, without a network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output: dict[str, str] = {}

    def follow(self, guide: str) -> None:
        for block in blocks(guide):
            if block.mark("file"):
                self.write(block)
            elif block.mark("needs weights") is not None or block.language == "text":
                continue
            elif block.mark("part of"):
                self.insert(block)
            elif block.language == "bash":
                for line in block.content.splitlines():
                    self.output[line] = self.run(*shlex.split(line))
            else:
                assert block.language == "python", block
                script = self.folder / "script.py"
                script.write_text(block.content, encoding="utf-8")
                self.output[block.content] = self.run("python", str(script))

    def write(self, block: Block) -> None:
        path = self.folder / (block.mark("file") or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            assert path.read_text(encoding="utf-8") == block.content, path
        path.write_text(block.content, encoding="utf-8")
        if path.parent.name.startswith("fgbench_"):
            (path.parent / "__init__.py").touch()

    def insert(self, block: Block) -> None:
        """Put a section in the place of the one that has the same title."""
        path = self.folder / (block.mark("part of") or "")
        title = block.content.splitlines()[0]
        text = path.read_text(encoding="utf-8")
        [old] = re.findall(rf"^{re.escape(title)}\n(?:[^\n]+\n)*", text, re.MULTILINE)
        path.write_text(text.replace(old, block.content), encoding="utf-8")

    def run(self, program: str, *arguments: str) -> str:
        if program == "pip":
            assert arguments[:2] == ("install", "-e")
            return self._install(self.folder / arguments[2])
        prefix = {"python": (), "fgbench": ("-m", "fgbench")}[program]
        # Caches of tests and bytecode would be installed with the package.
        done = command("-B", *prefix, *arguments, cwd=self.folder, path=self.folder / "site")
        assert done.returncode == 0, f"{program} {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _install(self, package: Path) -> str:
        need("pip")
        need("setuptools", 77)
        shutil.rmtree(self.folder / "site", ignore_errors=True)
        source = shutil.copytree(package, self.folder / "source", dirs_exist_ok=True)
        options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
        return self.run("python", "-m", "pip", "install", *options, "--target", "site", str(source))


@pytest.fixture(scope="module")
def model_reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    reader = Reader(tmp_path_factory.mktemp("model"))
    reader.follow("add-a-model")
    return reader


@pytest.fixture(scope="module")
def dataset_reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    reader = Reader(tmp_path_factory.mktemp("dataset"))
    reader.follow("add-a-dataset")
    return reader


@pytest.mark.parametrize("guide", GUIDES)
class TestEveryGuide:
    def test_both_languages_have_the_same_blocks(self, guide: str) -> None:
        assert blocks(guide) == blocks(f"{guide}.zh")

    def test_both_languages_have_the_same_structure(self, guide: str) -> None:
        def shape(name: str) -> list[tuple[str, int]]:
            text = _BLOCK.sub("```", (DOCS / f"{name}.md").read_text(encoding="utf-8"))
            lines = re.findall(r"^(#+|\||```|\* |\d\. )", text, re.MULTILINE)
            return [(line, lines.count(line)) for line in dict.fromkeys(lines)]

        assert shape(guide) == shape(f"{guide}.zh")

    @pytest.mark.parametrize("language", ["", ".zh"])
    def test_links_lead_somewhere(self, guide: str, language: str) -> None:
        prose = _BLOCK.sub("", (DOCS / f"{guide}{language}.md").read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#]+)\)", prose):
            assert (DOCS / target).exists(), target

    def test_code_is_clean(self, guide: str, tmp_path: Path) -> None:
        need("ruff", 0)
        for number, block in enumerate(blocks(guide)):
            if block.language == "python":
                (tmp_path / f"block_{number}.py").write_text(block.content, encoding="utf-8")
        rules = ("--isolated", "--no-cache", "--line-length", "120", "--select", "E,F,W,B,UP,N,C4,SIM")
        done = command("-m", "ruff", "check", *rules, tmp_path, cwd=tmp_path)
        assert done.returncode == 0, done.stdout
        done = command("-m", "ruff", "format", "--isolated", "--diff", "--line-length", "120", tmp_path, cwd=tmp_path)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("language", ["", ".zh"])
class TestCompleteness:
    """What the tables in the guides have to name."""

    def text(self, guide: str, language: str) -> str:
        return (DOCS / f"{guide}{language}.md").read_text(encoding="utf-8")

    def test_every_check_is_explained(self, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fgbench.adapter_kit.check._SECONDS", 0.0)
        report = fgbench.check_adapter("fgclip2-untrained", device="cpu")
        rows = [line for line in self.text("add-a-model", language).splitlines() if line.startswith("| `")]
        for check in report.checks:
            assert any(f"`{check.name}`" in line for line in rows), check.name

    def test_every_field_is_explained(self, language: str) -> None:
        for guide, kind in (("add-a-model", AdapterInfo), ("add-a-dataset", DatasetSpec)):
            for each in dataclasses.fields(kind):
                assert f"`{each.name}`" in self.text(guide, language), each.name
        for part in (EvaluationProtocol, TextProtocol):
            for each in dataclasses.fields(part):
                assert f"`{part.__name__}.{each.name}`" in self.text("add-a-dataset", language)


class TestModelGuide:
    def test_the_first_block_is_what_new_adapter_writes_and_is_short(self) -> None:
        path = "fgbench_my_model/model.py"
        [block] = [each for each in blocks("add-a-model") if each.mark("file") == f"fgbench-my-model/{path}"]
        assert block.content == package_files("my-model")[path]
        assert len(block.content.splitlines()) < LINES

    def test_what_is_shown_of_its_project_file_is_in_it(self) -> None:
        [block] = [each for each in blocks("add-a-model") if each.mark("part of")]
        assert block.content in package_files("my-model")["pyproject.toml"]

    @pytest.mark.slow
    def test_everything_runs(self, model_reader: Reader) -> None:
        found = model_reader.output
        assert "my-model" in found["fgbench list models"]
        assert " 0 failed" in found["fgbench check-adapter my-model"].splitlines()[-1]
        [_, dense] = [output for block, output in found.items() if "import" in block]
        summary, mode = dense.splitlines()
        assert " 0 failed, 0 warned" in summary
        assert mode == "roi"

    def test_the_real_checkpoint_works(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With a tiny one instead of the one on the hub."""
        code, use = (each for each in blocks("add-a-model") if each.mark("needs weights") is not None)
        assert len(code.content.splitlines()) <= LINES
        (tmp_path / (code.mark("file") or "")).write_text(code.content, encoding="utf-8")
        folder = tiny_models.clip(tmp_path / "clip")
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        try:
            exec(use.content.replace("openai/clip-vit-base-patch16", folder.as_posix()), {})
            report = fgbench.check_adapter(sys.modules["my_clip"].Clip(str(folder)), device="cpu")
        finally:
            sys.modules.pop("my_clip", None)
        assert report.passed, str(report)
        assert not [each for each in report.checks if each.status == "warn"], str(report)

    @pytest.mark.slow
    def test_the_failure_shown_is_what_is_printed(self, model_reader: Reader) -> None:
        [shown] = [each.content for each in blocks("add-a-model") if each.language == "text"]
        path = model_reader.folder / "site/fgbench_my_model/model.py"
        good = path.read_text(encoding="utf-8")
        path.write_text(good.replace("len(each) > LENGTH for each", "False for each"), encoding="utf-8")
        try:
            done = command("-m", "fgbench", "check-adapter", "my-model", cwd=model_reader.folder, path=path.parents[1])
        finally:
            path.write_text(good, encoding="utf-8")
        assert done.returncode == 1
        assert shown in done.stdout


@pytest.mark.slow
class TestDatasetGuide:
    def test_everything_runs(self, dataset_reader: Reader) -> None:
        found = dataset_reader.output
        assert "captions.tsv and images.zip from example.org/shop" in found["fgbench show shop"]
        assert "3 of 3" in found["fgbench data status --dataset shop --data-root data"]
        assert "shop-colours" in found["fgbench list tasks"]
        assert (
            "2 passed" in found["python -m pytest fgbench-shop"] or "4 passed" in found["python -m pytest fgbench-shop"]
        )

    def test_results_are_complete(self, dataset_reader: Reader) -> None:
        folder = dataset_reader.folder / "results/fgclip2-untrained"
        for name in ("shop", "colours"):
            counts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["counts"]
            assert counts["expected"] == counts["evaluated"] == counts["published"] == 3


def test_the_guides_are_all_there_is() -> None:
    assert {path.name for path in DOCS.glob("add-*.md")} == {
        f"{guide}{zh}.md" for guide in GUIDES for zh in ("", ".zh")
    }

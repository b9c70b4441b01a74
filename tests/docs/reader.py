"""Somebody who does what a page says, in an empty folder, without a network."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from fgbench import cli

from ..packaging.tools import command, need
from .pages import Block, Command, Page
from .stand_ins import StandIns


class Reader:
    """Follows pages. Commands of fgbench run in this process until a package is installed, for that is in the reader's
    folder alone.

    Attributes:
        folder: working directory.
        output: what each command (as written, without its comment) or Python block printed.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        """
        Args:
            folder: empty.
            cache: where the miniature suite is kept; readers may share it.
        """
        self.folder = folder
        self.output: dict[str, str] = {}
        self._environment = {"FGBENCH_CACHE": str(cache), "COLUMNS": "100", "HF_HUB_OFFLINE": "1"}
        self._stand_ins = StandIns(folder, cache)

    def follow(self, page: Page) -> None:
        """Do everything that a page says."""
        last = ""
        for block in page.blocks:
            if block.mark("run by") is not None:
                continue
            self._stand_ins.prepare(block)
            if block.mark("output") is not None:
                _compare(block.content, last)
            elif block.mark("file") and block.mark("needs weights") is None:
                self._write(block)
            elif block.mark("part of"):
                self._insert(block)
            elif block.language == "bash":
                last = "".join([self._do(each, block) for each in block.commands])
            elif block.language == "python" and block.mark("needs weights") is None:
                script = self.folder / "script.py"
                script.write_text(block.content, encoding="utf-8")
                last = self.output[block.content] = self._run_script(script)

    def _write(self, block: Block) -> None:
        path = self.folder / (block.mark("file") or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            assert path.read_text(encoding="utf-8") == block.content, path
        path.write_text(block.content, encoding="utf-8")
        if path.parent.name.startswith("fgbench_"):
            (path.parent / "__init__.py").touch()

    def _insert(self, block: Block) -> None:
        """Put a section in the place of the one that has the same title."""
        path = self.folder / (block.mark("part of") or "")
        title = block.content.splitlines()[0]
        text = path.read_text(encoding="utf-8")
        [old] = re.findall(rf"^{re.escape(title)}\n(?:[^\n]+\n)*", text, re.MULTILINE)
        path.write_text(text.replace(old, block.content), encoding="utf-8")

    def _do(self, typed: Command, block: Block) -> str:
        done = self._stand_ins.replace(typed, block)
        program, *arguments = done.words
        if program == "pip":
            assert arguments[:2] == ["install", "-e"], typed
            output = self._install(self.folder / arguments[2])
        elif program == "cat":
            output = "".join([(self.folder / name).read_text(encoding="utf-8") for name in arguments])
        elif program == "python":
            output = self._run_process(arguments, {})
        else:
            assert program == "fgbench", f"{typed}: a page may use fgbench, python, pip install -e and cat"
            expected = int(block.mark("exit") or 0)
            if self._site.exists() or done.variables:
                output = self._run_process(["-m", "fgbench", *arguments], dict(done.variables), expected)
            else:
                with self._at_home():
                    code, output = _run_here(arguments)
                assert code == expected, f"{typed}: exit code {code}\n{output}"
        self.output[str(typed)] = output
        return output

    def close(self) -> None:
        """Stop what was started."""
        self._stand_ins.close()

    @property
    def _site(self) -> Path:
        """Where packages are installed."""
        return self.folder / "site"

    def _run_process(self, arguments: list[str], variables: Mapping[str, str], expected: int = 0) -> str:
        # Caches of tests and bytecode would be installed with the package.
        environment = {**self._environment, **variables}
        done = command("-B", *arguments, cwd=self.folder, path=self._site, variables=environment)
        assert done.returncode == expected, f"{' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _run_script(self, script: Path) -> str:
        if self._site.exists():
            return self._run_process([str(script)], {})
        printed = io.StringIO()
        with self._at_home(), contextlib.redirect_stdout(printed):
            runpy.run_path(str(script), run_name="__main__")
        return printed.getvalue()

    def _install(self, package: Path) -> str:
        need("pip")
        need("setuptools", 77)
        shutil.rmtree(self._site, ignore_errors=True)
        source = shutil.copytree(package, self.folder / "source", dirs_exist_ok=True)
        options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
        return self._run_process(["-m", "pip", "install", *options, "--target", "site", str(source)], {})

    @contextlib.contextmanager
    def _at_home(self) -> Iterator[None]:
        """This process in the reader's folder, with the reader's environment."""
        before, folder = {name: os.environ.get(name) for name in self._environment}, Path.cwd()
        os.environ.update(self._environment)
        os.chdir(self.folder)
        try:
            yield
        finally:
            os.chdir(folder)
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _run_here(arguments: list[str]) -> tuple[int, str]:
    """Run fgbench in this process: importing PyTorch takes seconds.

    Returns:
        The exit code, and standard output followed by standard error.
    """
    printed, complained, typed = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["fgbench", *arguments]
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
            cli.main()
    except SystemExit as ended:
        return int(ended.code or 0), printed.getvalue() + complained.getvalue()
    finally:
        sys.argv = typed
    return 0, printed.getvalue() + complained.getvalue()


def _compare(shown: str, printed: str) -> None:
    """Every line shown was printed, in this order; "…" stands for lines that are not shown. Numbers may differ: they
    depend on the computer.
    """
    rest = iter([_shape(line) for line in printed.splitlines()])
    for line in shown.splitlines():
        if line.strip() != "…":
            assert _shape(line) in rest, f"not printed, or not at this place: {line}\n{printed}"


def _shape(line: str) -> str:
    """A line of output without what depends on numbers and on the width of the terminal."""
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,]*", "0", re.sub(r"[━─═]+", "─", line))).strip()

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fgbench.errors import DataMissingError, StoreError
from fgbench.report_api import report

from .report.page.records import record, write


def test_the_page_lies_in_the_results_folder_unless_another_place_is_named(tmp_path: Path) -> None:
    results = write(tmp_path / "results", [record("coco"), record("dci"), record("coco", "other")])
    written = report(results)
    assert written.page == results / "report.html"
    assert (written.models, written.datasets, written.records, written.left_out) == (2, 2, 3, [])
    assert written.size == written.page.stat().st_size
    assert report(results, tmp_path / "new/page.html").page.read_bytes() == written.page.read_bytes()
    assert report(results, tmp_path / "new").page == tmp_path / "new/report.html"


def test_a_page_in_the_folder_is_no_record(tmp_path: Path) -> None:
    results = write(tmp_path, [record("coco")])
    assert report(results).page.read_bytes() == report(results).page.read_bytes()


def test_a_place_that_cannot_be_written_is_an_error_of_its_own(tmp_path: Path) -> None:
    results = write(tmp_path / "results", [record("coco")])
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        report(results, tmp_path / "file/page.html")


def test_nothing_is_written_if_there_is_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError):
        report(tmp_path, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fgbench", "report", *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


def test_the_command_says_what_it_wrote_and_what_it_left_out(tmp_path: Path) -> None:
    results = write(tmp_path, [record("coco")])
    (tmp_path / "model/\u202ebroken.json").write_text("{")
    done = command(str(results))
    assert done.returncode == 0, done.stderr
    assert f"{results / 'report.html'}: " in done.stdout
    assert "1 models, 1 datasets, 1 records" not in done.stdout
    assert "1 model, 1 dataset, 1 record." in done.stdout
    assert "Left out, 1:" in done.stdout
    assert "model/⟨U+202E⟩broken.json: not a readable result record" in done.stdout


def test_a_mistake_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    done = command(str(tmp_path / "absent"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "absent does not exist; expected the folder that 'fgbench eval' wrote" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_loads_neither_jinja_nor_matplotlib() -> None:
    code = (
        "import sys\nfrom fgbench.cli import app\ntry:\n    app(['report', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'jinja2', 'matplotlib', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

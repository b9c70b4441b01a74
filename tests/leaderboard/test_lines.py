"""Whatever file is sent, reading it is bounded and never raises."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fgbench.leaderboard.check import check_file
from fgbench.leaderboard.lines import MAX_BYTES, MAX_LINES
from fgbench.leaderboard.problems import MAX_PROBLEMS, Report
from fgbench.results.folder import COLUMNS as RESULTS_CSV

from . import good


def codes(path: Path) -> set[str]:
    return {problem.code for problem in check_file(path)[0].problems}


def test_half_a_gigabyte_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(500 * 2**20)
    monkeypatch.setattr("fgbench.leaderboard.lines._cells", lambda *_: pytest.fail("was read"))
    assert codes(path) == {"file"}


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")  # opening it would wait for a writer
    for path in (tmp_path, tmp_path / "absent.csv", tmp_path / "pipe.csv", Path("/dev/zero")):
        assert codes(path) == {"file"}


def test_reading_stops_after_many_problems(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    whole = good.write(path, good.rows()).read_bytes()
    path.write_bytes(whole + b"\n" * (MAX_LINES - 100))
    report, rows = check_file(path)
    assert len(report.problems) == MAX_PROBLEMS
    assert report.stopped
    path.write_bytes(whole + b"a,b\n" * 3 + whole.splitlines(keepends=True)[1].replace(b"fg-ovd", b"gf-ovd") * 2_000)
    report, rows = check_file(path)
    assert len(rows) < MAX_PROBLEMS + 20
    assert "not looked at" in report.verdict


def test_too_many_lines_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines.csv"
    path.write_bytes(b"\n" * MAX_BYTES)
    monkeypatch.setattr("fgbench.leaderboard.lines._cells", lambda *_: pytest.fail("was read"))
    assert codes(path) == {"file"}


def test_a_table_of_a_results_folder_is_told_from_a_leaderboard(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(",".join(RESULTS_CSV) + "\n")
    [problem] = check_file(path)[0].problems
    assert (problem.line, problem.code) == (1, "header")
    assert "fgbench leaderboard add" in problem.expected


@given(data=st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_bytes_are_refused_without_an_error(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bytes.csv"
    path.write_bytes(data)
    assert codes(path)


@given(place=st.integers(0, 5000), data=st.binary(min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_damage_anywhere_raises_no_error(place: int, data: bytes, tmp_path: Path) -> None:
    whole = good.write(tmp_path / "damaged.csv", good.rows()).read_bytes()
    place %= len(whole)
    (tmp_path / "damaged.csv").write_bytes(whole[:place] + data + whole[place + len(data) :])
    report, _ = check_file(tmp_path / "damaged.csv")
    assert all(0 <= problem.line <= len(good.rows()) + 5 for problem in report.problems)


def test_what_is_shown_of_a_cell_is_short_and_harmless() -> None:
    report = Report("x")
    report.add(2, "model", "control", "\x1b[2J" + "m" * 500, "something else")
    [problem] = report.problems
    assert len(problem.value) <= 81
    assert problem.value.isprintable()
    with pytest.raises(ValueError, match="no reason code"):
        report.add(2, "model", "whatever", "", "")

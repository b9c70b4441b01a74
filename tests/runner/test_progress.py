"""Progress in a log file, where bars would be invisible until they end."""

from __future__ import annotations

import pytest

from fgbench.runner.progress import Bars, Silent


def test_a_log_file_gets_lines_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    bars.LINE_EVERY = 0.0
    with bars.stage("texts", 4) as advance:
        advance(1)
        advance(3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0].startswith("texts: 1 of 4, 0 s, about ")
    assert captured.err.splitlines()[1].endswith("about 0 s left")


def test_lines_are_rare(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars().stage("images", 1000) as advance:
        for _ in range(1000):
            advance(1)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_empty_stage_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars().stage("texts", 0) as advance:
        advance(0)
    with Silent().stage("texts", 7) as advance:
        advance(7)
    assert capsys.readouterr() == ("", "")

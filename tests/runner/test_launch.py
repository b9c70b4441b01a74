from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from fgbench.errors import RankError, UsageError
from fgbench.runner import launch
from fgbench.runner.device import choose_device
from fgbench.runner.launch import join, relaunch, speaks
from fgbench.runner.ranks import ALONE, Ranks

WHOLE = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


class TestJoin:
    @pytest.mark.parametrize("environment", [{}, {"MASTER_ADDR": "here"}, {"RANK": "0", "WORLD_SIZE": "1"}])
    def test_one_process_is_alone(self, environment: dict[str, str]) -> None:
        assert join(environment) is ALONE

    @pytest.mark.parametrize("lacking", WHOLE)
    def test_what_is_incomplete_is_named(self, lacking: str) -> None:
        environment = {name: value for name, value in WHOLE.items() if name != lacking}
        with pytest.raises(UsageError, match=f"but not {lacking}.*torchrun or --devices"):
            join(environment)

    @pytest.mark.parametrize(("name", "value"), [("RANK", "2"), ("RANK", "one"), ("LOCAL_RANK", "-1")])
    def test_nonsense_is_refused(self, name: str, value: str) -> None:
        with pytest.raises(UsageError, match=f"{name}={value}.*expected whole numbers"):
            join({**WHOLE, name: value})

    @pytest.mark.parametrize("value", ["soon", "0", "inf", "-1"])
    def test_the_timeout_is_checked(self, value: str) -> None:
        with pytest.raises(UsageError, match=f"FGBENCH_RANK_TIMEOUT is '{value}'"):
            join({"FGBENCH_RANK_TIMEOUT": value})

    def test_nobody_there(self) -> None:
        with pytest.raises(RankError, match="Rank 1 cannot reach localhost:1"):
            join({**WHOLE, "FGBENCH_RANK_TIMEOUT": "0.2"})


def test_only_one_rank_speaks() -> None:
    assert [speaks(environment) for environment in ({}, {"RANK": ""}, {"RANK": "0"}, {"RANK": "3"})] == [
        True, True, True, False,
    ]  # fmt: skip


class TestDevices:
    @pytest.fixture
    def gpus(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """Two GPUs that are none; the list tells which one was made the current one."""
        chosen: list[Any] = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
        return chosen

    @pytest.mark.parametrize("name", ["auto", "cuda"])
    def test_each_rank_has_its_own(self, gpus: list[Any], name: str) -> None:
        found = [choose_device(name, Ranks(4 + local, 6, local)) for local in range(2)]
        assert found == gpus == [torch.device("cuda:0"), torch.device("cuda:1")]

    def test_one_process_takes_the_current_one(self, gpus: list[Any]) -> None:
        assert choose_device("auto") == torch.device("cuda")
        assert gpus == []

    def test_a_named_one_serves_all(self, gpus: list[Any]) -> None:
        assert choose_device("cuda:1", Ranks(0, 2, 0)) == torch.device("cuda:1")

    def test_more_ranks_than_devices(self, gpus: list[Any]) -> None:
        with pytest.raises(UsageError, match=r"Local rank 2 has no GPU of its own: this machine shows 2.*cuda:0"):
            choose_device("auto", Ranks(2, 3, 2))

    @pytest.mark.parametrize(
        ("device", "reason"),
        [
            ("auto", "there are 2 GPUs"),
            ("cuda", "there are 2 GPUs"),
            ("mps", "mps is one"),
            ("cuda:1", "cuda:1 is one"),
        ],
    )
    def test_devices_are_counted_before_anything_starts(self, gpus: list[Any], device: str, reason: str) -> None:
        with pytest.raises(UsageError, match=f"--devices .*{reason}"):
            relaunch(3, device, ["fgbench"])


class TestRelaunch:
    """With the launcher replaced; ``tests/end_to_end/test_torchrun.py`` has the real one."""

    @pytest.fixture
    def started(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        from torch.distributed.launcher import api

        commands: list[Any] = []

        def elastic_launch(config: Any, entry: str) -> Any:
            def run(*arguments: str) -> None:
                commands.append((config.nproc_per_node, entry, arguments, os.environ["OMP_NUM_THREADS"]))

            return run

        monkeypatch.setattr(api, "elastic_launch", elastic_launch)
        return commands

    def test_the_same_command_runs_and_threads_are_divided(
        self, started: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "x")  # restored afterwards
        monkeypatch.delenv("OMP_NUM_THREADS")
        monkeypatch.setattr(launch, "_cores", lambda: 7)
        script = tmp_path / "fgbench"
        script.touch()
        assert relaunch(3, "cpu", [str(script), "eval", "--devices", "3"]) == 0
        assert started == [(3, sys.executable, (str(script), "eval", "--devices", "3"), "2")]
        assert "torchrun starts 3 processes on cpu" in capsys.readouterr().err

    @pytest.mark.parametrize("program", ["fgbench/__main__.py", "fgbench.exe-that-is-not-there"])
    def test_python_dash_m_stays_that(self, started: list[Any], program: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "5")
        relaunch(2, "cpu", [program, "eval"])
        assert started == [(2, sys.executable, ("-m", "fgbench", "eval"), "5")]

    @pytest.mark.parametrize(
        ("ended", "code"), [({0: 3, 1: -15}, 3), ({0: -15, 1: 2}, 2), ({0: 130}, 130), ({1: 1, 0: 1}, 1)]
    )
    def test_the_exit_code_is_that_of_the_process_that_failed(
        self, ended: dict[int, int], code: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail_with(monkeypatch, ended)
        assert relaunch(2, "cpu", ["fgbench"]) == code

    def test_a_killed_process_cannot_say_so_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fail_with(monkeypatch, {1: -9})
        with pytest.raises(RankError, match=r"ended by signal 9.*lack of memory.*the same command continues") as found:
            relaunch(2, "cpu", ["fgbench"])
        assert not found.value.relayed

    def test_a_signal_to_the_launcher_is_an_exit_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from torch.distributed.elastic.multiprocessing.api import SignalException

        fail_with(monkeypatch, SignalException("interrupted", signal.SIGINT))
        assert relaunch(2, "cpu", ["fgbench"]) == 130


def fail_with(monkeypatch: pytest.MonkeyPatch, failure: dict[int, int] | Exception) -> None:
    """Let the launcher fail: with exit codes by rank, or an exception."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
    from torch.distributed.launcher import api

    def elastic_launch(config: Any, entry: str) -> Any:
        def run(*arguments: str) -> None:
            if isinstance(failure, Exception):
                raise failure
            raise ChildFailedError(
                "fgbench", {rank: ProcessFailure(rank, 1, code, "none") for rank, code in failure.items()}
            )

        return run

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(api, "elastic_launch", elastic_launch)

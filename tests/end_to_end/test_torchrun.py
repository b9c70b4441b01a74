"""The real launchers: ``fgbench eval --devices``, ``torchrun --standalone``, and two nodes on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..processes import needs_fork

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Data, Shell

pytestmark = [pytest.mark.slow, needs_fork]

TORCHRUN = ("-m", "torch.distributed.run")


def arguments(data: Data, output: str, model: str = "fgclip2-untrained") -> list[str | Path]:
    return [
        *("eval", "--model", model, "--dataset", "coco-box,coco", "--device", "cpu"),
        *("--data-root", data.root, "--output", f"{output}/results"),
    ]  # fmt: skip


def run(shell: Shell, options: Sequence[str], command: Sequence[str | Path]) -> subprocess.Popen[str]:
    """Start Python in the shell's folder."""
    return subprocess.Popen(
        [sys.executable, *options, *map(str, command)],
        cwd=shell.folder,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "FGBENCH_CACHE": str(shell.folder / "cache"),
            "HF_HUB_OFFLINE": "1",
            "COLUMNS": "160",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def records(output: Path) -> dict[str, Any]:
    found = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in output.glob("results/*/*.json")}
    assert len(found) == 2
    assert {record["timings"].pop("processes") for record in found.values()} <= {1, 2}
    return {name: {**record, "timings": record["timings"]["counters"]} for name, record in found.items()}


def test_devices_torchrun_and_nodes(shell: Shell, fixed_data: Data) -> None:
    """One process, ``--devices 2``, and two nodes of one process each give the same."""
    command = arguments(fixed_data, "one")
    one = shell(*command)
    assert one.returncode == 0, one.stderr

    two = shell(*arguments(fixed_data, "two"), "--devices", "2")
    assert two.returncode == 0, two.stderr
    assert two.stderr.startswith("fgbench: torchrun starts 2 processes on cpu, OMP_NUM_THREADS=1 each\n")
    assert two.stdout == one.stdout.replace("one/", "two/")
    assert two.stderr.count("images: ") == 1, "one rank shows its progress"

    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    nodes = [
        run(
            shell,
            [*TORCHRUN, "--nnodes", "2", "--nproc_per_node", "1", "--node_rank", str(node), "--master_addr",
             "localhost", "--master_port", str(port), "-m", "fgbench"],
            arguments(fixed_data, "six"),
        )
        for node in range(2)
    ]  # fmt: skip
    said = [each.communicate(timeout=200) for each in nodes]
    assert [each.returncode for each in nodes] == [0, 0], said
    assert said[0][0].replace("six/", "one/") == one.stdout
    assert said[1][0] == ""
    assert records(shell.folder / "two") == records(shell.folder / "six") == records(shell.folder / "one")


def test_an_error_is_said_once(shell: Shell, fixed_data: Data) -> None:
    command = arguments(fixed_data, "none", "fgclip3")
    launched = run(shell, [*TORCHRUN, "--standalone", "--nproc_per_node", "2", "-m", "fgbench"], command)
    said = launched.communicate(timeout=200)[1]
    assert launched.returncode == 1  # torchrun knows no other
    assert said.count("fgbench: ") == 1, said
    assert "There is no model 'fgclip3'" in said


def test_an_interrupt_ends_all(shell: Shell, much_data: Data) -> None:
    command = ["-m", "fgbench", *arguments(much_data, "stopped"), "--devices", "2"]
    whole = run(shell, [], command)
    end = time.monotonic() + 120
    while not list(shell.folder.glob("stopped/results/features/*/*.safetensors")) and time.monotonic() < end:
        time.sleep(0.1)
    whole.send_signal(signal.SIGINT)
    _, said = whole.communicate(timeout=60)
    assert whole.returncode == 130, said
    assert said.count("Interrupted. Finished chunks are kept") == 1, said
    assert "Traceback" not in said

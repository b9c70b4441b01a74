"""How a process becomes one of several: by the variables of ``torchrun``, in a process group, or by ``--devices``."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fgbench.errors import RankError, UsageError
from fgbench.runner.device import resolve_device
from fgbench.runner.ranks import ALONE, TIMEOUT, Ranks, contact

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

_NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def join(environment: Mapping[str, str] = os.environ) -> Ranks:
    """The processes that this one belongs to: a process group that is already there, those of ``torchrun``, or itself.

    Args:
        environment: environment variables.

    Raises:
        UsageError: incomplete or contradictory variables.
        RankError: the other ranks cannot be reached.
    """
    timeout = _timeout(environment)
    group = _initialised_group()
    if group is not None:
        rank, world, store = group
        local = environment.get("LOCAL_RANK", str(rank))
        return _numbered(rank, world, int(local), store, timeout) if world > 1 else ALONE
    if not (environment.get("RANK") or environment.get("WORLD_SIZE")) or environment.get("WORLD_SIZE") == "1":
        return ALONE
    rank, world, local_rank = _numbers(environment)
    import torch.distributed

    if not torch.distributed.is_available():
        raise UsageError("This build of torch has no torch.distributed: only one process is possible.")
    from torch.distributed.rendezvous import rendezvous

    try:
        store, _, _ = next(rendezvous("env://", rank, world, timeout=timedelta(seconds=timeout)))
    except (RuntimeError, ValueError, OSError) as error:
        raise RankError(
            f"Rank {rank} cannot reach {environment['MASTER_ADDR']}:{environment['MASTER_PORT']} "
            f"({(str(error).splitlines() or [''])[0]})."
        ) from error
    return _numbered(rank, world, local_rank, store, timeout)


def speaks(environment: Mapping[str, str] = os.environ) -> bool:
    """Does this process print results? All but one of several are silent."""
    return environment.get("RANK", "0") in {"", "0"}


def _numbered(rank: int, world: int, local_rank: int, store: Store, timeout: float) -> Ranks:
    """Ranks with keys of their own: a process group may be used for several evaluations."""
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]

    with contact(store):
        run = store.add(f"fgbench/run/{rank}", 1)
    return Ranks(rank, world, local_rank, PrefixStore(f"fgbench/{run}", store), timeout)


def _numbers(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Rank, world and local rank."""
    lacking = [name for name in _NEEDED if not environment.get(name)]
    if lacking:
        there = ", ".join(name for name in _NEEDED if name not in lacking)
        raise UsageError(
            f"The environment has {there}, but not {', '.join(lacking)}. Start several processes with torchrun or "
            "--devices, which set all of them; for one process, unset RANK and WORLD_SIZE."
        )
    try:
        rank, world, local_rank = (int(environment[name]) for name in _NEEDED[:3])
    except ValueError:
        rank, world, local_rank = -1, 0, 0
    if not (0 <= rank < world and 0 <= local_rank < world):
        shown = ", ".join(f"{name}={environment[name]}" for name in _NEEDED[:3])
        raise UsageError(f"{shown}: expected whole numbers, with 0 <= RANK, LOCAL_RANK < WORLD_SIZE.")
    return rank, world, local_rank


def _timeout(environment: Mapping[str, str]) -> float:
    text = environment.get("FGBENCH_RANK_TIMEOUT")
    try:
        seconds = float(text) if text else TIMEOUT
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"FGBENCH_RANK_TIMEOUT is {text!r}; expected seconds, more than 0.")
    return seconds


def _initialised_group() -> tuple[int, int, Store] | None:
    """Rank, world and store of torch's process group, if the caller has initialised it."""
    if "torch.distributed" not in sys.modules:
        return None
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return None
    from torch.distributed.distributed_c10d import _get_default_store

    return dist.get_rank(), dist.get_world_size(), _get_default_store()


def relaunch(processes: int, device: str, argv: Sequence[str]) -> int:
    """Run the same command in several processes on this machine, as ``torchrun --standalone`` would.

    On a CPU the threads are divided among them, unless ``OMP_NUM_THREADS`` is set.

    Args:
        processes: how many.
        device: ``auto``, ``cpu`` or ``cuda``; on CUDA every process gets a device of its own.
        argv: the command, with its program first.

    Returns:
        Its exit code; what failed has been said by the process that failed.

    Raises:
        UsageError: more processes than devices, or a device that cannot be divided.
    """
    kind = resolve_device(device)
    _check_devices(processes, kind)
    if kind == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(max(1, _cores() // processes))
    threads = f", OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']} each" if kind == "cpu" else ""
    print(f"fgbench: torchrun starts {processes} processes on {kind}{threads}", file=sys.stderr)  # noqa: T201

    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # It would report, with tracebacks of its own, what the failed process has said already.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    program = Path(argv[0])
    itself = [argv[0]] if program.is_file() and program.name != "__main__.py" else ["-m", "fgbench"]
    try:
        elastic_launch(config, sys.executable)(*itself, *argv[1:])
    except ChildFailedError as error:
        codes = [failure.exitcode for _, failure in sorted(error.failures.items())]
        said = [code for code in codes if code > 0]
        if not said:
            raise RankError(
                f"A process was ended by signal {-codes[0]}. Was it killed, for lack of memory? Finished chunks are "
                "kept: the same command continues where it stopped."
            ) from error
        return said[0]
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


def _check_devices(processes: int, kind: str) -> None:
    import torch

    if kind == "cuda":
        there = torch.cuda.device_count()
        if processes > there:
            raise UsageError(f"--devices {processes}, but there are {there} GPUs. Each process needs one of its own.")
    elif kind != "cpu":
        raise UsageError(
            f"--devices divides the work among the GPUs of a machine, or its cores with --device cpu; {kind} is one "
            "device."
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

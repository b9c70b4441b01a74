"""Several ranks on this machine, as real processes or as threads, quickly: a process is a fork of the test's own."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import torch
import torch.distributed as dist

from fgbench.errors import RankError
from fgbench.runner.ranks import Ranks

T = TypeVar("T")

PATIENCE = 120
"""Seconds after which ranks count as hanging."""

FAILED, RELAYED = 10, 20
"""Exit codes of a rank that raised an error of its own, and of one that was told of another's."""

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


def in_processes(world: int, action: Callable[[int], object], folder: Path) -> list[int]:
    """Run ``action(rank)`` in every rank of a process group; returns the exit codes, by rank.

    Messages of failed ranks are in ``<folder>/<rank>.txt``.
    """
    folder.mkdir(parents=True)
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_rank, args=(rank, world, action, folder)) for rank in range(world)]
    for each in ranks:
        each.start()
    for each in ranks:
        each.join(PATIENCE)
    hanging = [number for number, each in enumerate(ranks) if each.is_alive()]
    for number in hanging:
        ranks[number].kill()
        ranks[number].join()
    assert not hanging, f"ranks {hanging} hang"
    return [each.exitcode or 0 for each in ranks]


def _rank(rank: int, world: int, action: Callable[[int], object], folder: Path) -> None:
    torch.set_num_threads(1)
    code = 0
    try:
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
        action(rank)
    except BaseException as error:  # noqa: BLE001 - the exit code tells the test
        code = RELAYED if isinstance(error, RankError) and error.relayed else FAILED
        (folder / f"{rank}.txt").write_text(f"{error}\n{traceback.format_exc()}", encoding="utf-8")
    os._exit(code)  # no clean-up of what belongs to the parent


def in_threads(world: int, action: Callable[[Ranks], T], timeout: float = 60.0) -> list[Future[T]]:
    """Run ``action(ranks)`` once per rank, all in this process; the futures are done, by rank."""
    store = dist.HashStore()  # type: ignore[attr-defined]

    def run(rank: int) -> T:
        with Ranks(rank, world, rank, store, timeout) as ranks:
            return action(ranks)

    with ThreadPoolExecutor(world) as pool:
        return [pool.submit(run, rank) for rank in range(world)]

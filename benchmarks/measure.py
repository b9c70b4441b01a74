"""Time and memory of a function in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """One run: wall seconds, and mebibytes of peak memory above what was in use when the clock started."""

    seconds: float
    mebibytes: float
    value: Any


def measure(prepare: Callable[..., Any], function: Callable[..., Any], *arguments: Any) -> Measured:
    """Run ``function(*prepare(*arguments))`` in a fresh process; preparation is not counted."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(sender, prepare, function, arguments))
    process.start()
    sender.close()
    try:
        result = Measured(*receiver.recv())
    except EOFError:
        process.join()
        result = Measured(float("nan"), float("nan"), f"died with exit code {process.exitcode}")
    process.join()
    return result


def _child(
    sender: Connection, prepare: Callable[..., Any], function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    inputs = prepare(*arguments)
    before = _peak()
    start = time.perf_counter()
    value = function(*inputs)
    seconds = time.perf_counter() - start
    sender.send((seconds, _peak() - before, value))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

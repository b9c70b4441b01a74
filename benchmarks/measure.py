"""Time and memory of a function in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """One run: wall seconds, and mebibytes of peak memory above what was in use when the clock started.

    Where the system cannot forget an earlier peak (anything but Linux), what the preparation took at its own peak is
    not seen a second time.
    """

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
    before = _use()
    start = time.perf_counter()
    value = function(*inputs)
    seconds = time.perf_counter() - start
    sender.send((seconds, max(_peak() - before, 0.0), value))


def _use() -> float:
    """Mebibytes in use now; forgets the peak so far."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # see proc(5): the peak becomes what is in use
    return _peak()


def _peak() -> float:
    """Mebibytes at the peak."""
    with suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

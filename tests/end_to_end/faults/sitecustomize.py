"""Ends the process it is imported into at a chosen file operation.

Python imports a module of this name at start-up; the tests put its folder on PYTHONPATH and say in FGBENCH_TEST_FAULT
what is to happen, as ``<signal>:<moment>:<n>``: the signal is sent at the n-th file that the process writes atomically,

* ``before``: when the temporary file is about to be made,
* ``half``: when a part of it is on disk,
* ``unrenamed``: when it is complete, but has not got its final name.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def install(fault: str) -> None:
    """Watch the process's file operations, through the events of PEP 578."""
    signal_name, moment, number = fault.split(":")
    owner = os.getpid()
    seen = 0
    if signal_name == "SIGINT":
        # Jobs that a shell starts in the background ignore it, and hand that down to what they start.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def strike() -> None:
        # SIGINT reaches the whole group, as from a keyboard; the others only this process.
        if signal_name == "SIGINT":
            os.killpg(0, signal.SIGINT)
        else:
            os.kill(owner, signal.Signals[signal_name])

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        wanted = "os.rename" if moment == "unrenamed" else "open"
        if event != wanted or not str(arguments[0]).endswith(".tmp") or os.getpid() != owner:
            return
        seen += 1
        if seen != int(number):
            return
        if moment == "half":
            descriptor = os.open(f"{arguments[0]}", os.O_WRONLY | os.O_CREAT)
            os.write(descriptor, b"\x10\x00\x00\x00\x00\x00\x00\x00{half")
            os.fsync(descriptor)
        strike()

    sys.addaudithook(watch)


if "FGBENCH_TEST_FAULT" in os.environ:
    install(os.environ["FGBENCH_TEST_FAULT"])

"""The processes of a run: who does which part of the work, and how they meet.

Work is cut into chunks that follow from the plan alone; chunk k belongs to rank k % world, and every finished chunk is
a file in the shared features folder. So all that processes have to tell each other are small things: names of files,
counters, pictures that cannot be read. They travel as JSON through the key-value store that torch.distributed's
rendezvous gives (``torchrun``; or the one of a process group that is already there). No tensors, no collectives: a
rank that fails leaves its message there, and whoever waits or works finds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from fgbench.errors import RankError, UsageError
from fgbench.runner.progress import Progress, Silent

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

T = TypeVar("T")

TIMEOUT = 600.0
"""Seconds without a sign of life after which a rank is given up; ``FGBENCH_RANK_TIMEOUT`` overrides it. Ranks give
signs of life while they work, so this is no limit on the length of anything.
"""

_PART = 2**21
"""Characters per value: torch's TCP store refuses values of more than 8 MiB."""
_LOOK_EVERY = 0.5
"""Seconds between looks for a message of a failed rank while working."""
_LINGER = 10.0
"""Seconds that rank 0 stays after a failure of its own: it may be the one that holds the store."""


class Ranks:
    """The processes of a run, seen from one of them. Used as a context: an error inside it ends all ranks.

    Attributes:
        rank: number of this process, from 0.
        world: number of processes.
        local_rank: number of this process on its machine.
    """

    def __init__(
        self, rank: int = 0, world: int = 1, local_rank: int = 0, store: Store | None = None, timeout: float = TIMEOUT
    ) -> None:
        """
        Args:
            rank, world, local_rank: see the class.
            store: key-value store that all ranks share, empty at first; None for one process.
            timeout: seconds without a sign of life after which a rank is given up.
        """
        self.rank = rank
        self.world = world
        self.local_rank = local_rank
        self._store = store
        self._timeout = timeout
        self._meetings = 0
        self._looked = 0.0
        self._stop = threading.Event()
        self._pulse: threading.Thread | None = None

    @property
    def first(self) -> bool:
        """Is this the rank that scores, writes and prints?"""
        return self.rank == 0

    def __enter__(self) -> Ranks:
        if self._store is not None:
            self._pulse = threading.Thread(target=self._give_signs_of_life, daemon=True)
            self._pulse.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._store is None:
            return
        earlier = None if error is None else self._report(error)
        with contextlib.suppress(RankError):
            self._leave(self._timeout if error is None else min(_LINGER, self._timeout))
        self._stop.set()
        assert self._pulse is not None
        self._pulse.join()
        if earlier is not None:
            raise earlier from error

    def deal(self, chunks: Sequence[T], keys: Callable[[T], Sequence[str | bytes]]) -> list[T]:
        """This rank's share: chunk k goes to rank k % world.

        Args:
            chunks: all work, the same on every rank.
            keys: identify what is in a chunk.

        Raises:
            UsageError: other ranks have other chunks.
        """
        if self._store is not None:
            from fgbench.runner.store import row_key

            digest = row_key(*(row_key(*keys(chunk)) for chunk in chunks)).hex()
            self.agree("the work to be divided (pictures, texts, prompts)", digest)
        return list(chunks[self.rank :: self.world])

    def agree(self, what: str, value: str) -> None:
        """Make sure that all ranks have the same.

        Raises:
            UsageError: they do not.
        """
        values = self.gather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise UsageError(
                    f"Rank {rank} and rank 0 do not have the same: {what}. All processes need the same command, the "
                    "same version of fgbench, and the same files: the data and the results folder have to be shared."
                )

    def gather(self, value: Any) -> list[Any]:
        """Meet: wait for all ranks, and get the value (JSON) of each, by rank.

        Raises:
            RankError: another rank failed, or is gone.
        """
        if self._store is None:
            return [value]
        number, self._meetings = self._meetings, self._meetings + 1
        with contact(self._store) as store:
            data = json.dumps(value)  # ASCII
            parts = [data[start : start + _PART] for start in range(0, len(data), _PART)]
            for index, part in enumerate(parts):
                store.set(f"{number}/{self.rank}/{index}", part)
            store.set(f"{number}/{self.rank}", str(len(parts)))
            self._wait({rank: f"{number}/{rank}" for rank in range(self.world) if rank != self.rank})
            return [self._read(number, rank) if rank != self.rank else value for rank in range(self.world)]

    def first_does(self, action: Callable[[bool], T], *, per_machine: bool = False) -> T:
        """Let one rank act alone, then the others: the first of all ranks, or of each machine.

        Args:
            action: called with whether this rank goes first.
            per_machine: one rank of each machine goes first.
        """
        ahead = not (self.local_rank if per_machine else self.rank)
        if ahead:
            result = action(True)
        self.gather(None)
        return result if ahead else action(False)

    def check(self) -> None:
        """Look for a message of a failed rank, now and then.

        Raises:
            RankError: there is one.
        """
        now = time.monotonic()
        if self._store is None or now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        with contact(self._store) as store:
            self._raise_failure(store)

    def watching(self, progress: Progress) -> Progress:
        """Progress that only the first rank shows, and that ends this rank soon after another one failed."""
        return progress if self._store is None else _Watching(self, progress if self.first else Silent())

    def _read(self, number: int, rank: int) -> Any:
        assert self._store is not None
        parts = int(self._store.get(f"{number}/{rank}"))
        return json.loads(b"".join(self._store.get(f"{number}/{rank}/{index}") for index in range(parts)))

    def _wait(self, keys: Mapping[int, str]) -> None:
        """Wait until all keys are there, or their rank is gone."""
        assert self._store is not None
        signs = {rank: (-1, time.monotonic()) for rank in keys}
        looked, pause = time.monotonic(), 0.001
        while not self._store.check(list(keys.values())):
            self._raise_failure(self._store)
            if time.monotonic() - looked > min(5.0, self._timeout / 4):
                looked = time.monotonic()
                signs = {rank: self._sign(rank, keys[rank], sign) for rank, sign in signs.items()}
            time.sleep(pause)
            pause = min(2 * pause, 0.1)

    def _sign(self, rank: int, key: str, last: tuple[int, float]) -> tuple[int, float]:
        """The latest sign of life of a rank that is waited for, and when it was new."""
        assert self._store is not None
        gone = self._store.check([f"left/{rank}"])
        if self._store.check([key]):
            return last
        if gone:
            raise RankError(f"Rank {rank} has ended while rank {self.rank} still expected something of it.")
        count, now = self._store.add(f"alive/{rank}", 0), time.monotonic()
        if count != last[0]:
            return count, now
        if now - last[1] > self._timeout:
            never = (
                " It was never there: if this command was started from inside a distributed program, unset RANK and "
                "WORLD_SIZE first (in Python: evaluate(..., distributed=False))."
            )
            raise RankError(
                f"Rank {rank} gave no sign of life for {self._timeout:.0f} s (FGBENCH_RANK_TIMEOUT)."
                + (never if not count else " Was it killed, for lack of memory?")
                + " Finished chunks are kept."
            )
        return last

    def _raise_failure(self, store: Store) -> None:
        if store.check(["failed"]):
            found = json.loads(store.get("failed"))
            raise RankError(f"Rank {found['rank']}: {found['message']}", code=found["code"], relayed=True)

    def _report(self, error: BaseException) -> RankError | None:
        """Tell the others why this rank ends; if another one failed before, returns that this is why."""
        if isinstance(error, RankError) and error.relayed:
            return None
        try:
            with contact(self._store) as store:
                if store.add("failures", 1) == 1:
                    code = 130 if isinstance(error, KeyboardInterrupt) else 2 if isinstance(error, UsageError) else 1
                    message = str(error) or type(error).__name__
                    store.set("failed", json.dumps({"rank": self.rank, "message": message, "code": code}))
                elif not isinstance(error, KeyboardInterrupt):
                    store.wait(["failed"], timedelta(seconds=_LINGER))
                    self._raise_failure(store)
        except RankError as found:
            return found if found.relayed else None
        return None

    def _leave(self, patience: float) -> None:
        """Say that this rank is done. Rank 0 waits for the others: it may be the one that holds the store."""
        with contact(self._store) as store:
            store.set(f"left/{self.rank}", "1")
            if not self.first or _agent_holds_store():
                return
            end = time.monotonic() + patience
            others = [f"left/{rank}" for rank in range(1, self.world)]
            while not store.check(others) and time.monotonic() < end:
                time.sleep(0.01)

    def _give_signs_of_life(self) -> None:
        assert self._store is not None
        with contextlib.suppress(RuntimeError):  # the store is gone, and the main thread will notice
            while True:
                self._store.add(f"alive/{self.rank}", 1)
                if self._stop.wait(min(5.0, self._timeout / 4)):
                    return


ALONE = Ranks()
"""One process."""


class _Watching:
    """Progress with a look at the other ranks at every step."""

    def __init__(self, ranks: Ranks, progress: Progress) -> None:
        self._ranks = ranks
        self._progress = progress

    @contextlib.contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """See :class:`fgbench.runner.progress.Progress`."""
        with self._progress.stage(title, total) as advance:

            def watched(steps: int) -> None:
                self._ranks.check()
                advance(steps)

            yield watched


def _agent_holds_store() -> bool:
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


@contextlib.contextmanager
def contact(store: Store | None) -> Iterator[Store]:
    """A store that does not answer means that the process that holds it is gone."""
    assert store is not None
    try:
        yield store
    except RuntimeError as error:
        raise RankError(
            f"Lost contact with the other ranks ({(str(error).splitlines() or [''])[0]}). Finished chunks are kept."
        ) from error

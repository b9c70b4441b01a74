"""What a check finds, and how it is told."""

from __future__ import annotations

import contextlib
import textwrap
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

Status = Literal["pass", "fail", "warn", "n/a", "info"]

WIDTH = 79
_NAME = 19


class Finding(NamedTuple):
    """The outcome of one check.

    Attributes:
        status: ``pass``; ``fail``: the numbers would be wrong or the run would stop; ``warn``: worth a look;
            ``n/a``: nothing to check in this model; ``info``: no judgement.
        text: what was found; of a failure also what was expected and what to do.
        values: numbers for programs.
    """

    status: Status
    text: str
    values: Mapping[str, float] = {}


class ContractError(Exception):
    """A check found something else than what the contract says; the message is the finding."""


def passed(text: str) -> Finding:
    """A check that found what it expected."""
    return Finding("pass", text)


def warned(text: str) -> Finding:
    """A check that found something that may be meant."""
    return Finding("warn", text)


def not_applicable(why: str) -> Finding:
    """A check for something that this model does not have."""
    return Finding("n/a", why)


@contextlib.contextmanager
def naming(what: str) -> Iterator[None]:
    """Put the name of the input in front of whatever goes wrong with it."""
    try:
        yield
    except Exception as error:
        raise ContractError(f"{what}: {explain(error)}") from error


def explain(error: Exception) -> str:
    """An exception in one line; of somebody else's, where it was raised."""
    if isinstance(error, ContractError):
        return str(error)
    first = (str(error).splitlines() or [""])[0]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"raised {type(error).__name__}: {first}{where}"


@dataclass(frozen=True)
class Check:
    """A check that was made.

    Attributes:
        name: unique among the checks.
        status, text, values: see :class:`Finding`.
    """

    name: str
    status: Status
    text: str
    values: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        head = f" {self.status.upper() if self.status == 'fail' else self.status:<4}  {self.name:<{_NAME}} "
        lines = textwrap.wrap(
            self.text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
        )
        return "\n".join(lines) or head.rstrip()


@dataclass(frozen=True)
class AdapterReport:
    """Result of :func:`fgbench.check_adapter`; ``print(report)`` shows it.

    Attributes:
        model: name of the model.
        device: where it ran.
        checks: in the order in which they were made.
    """

    model: str
    device: str
    checks: Sequence[Check]

    @property
    def failures(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.status == "fail"]

    @property
    def passed(self) -> bool:
        """Did no check fail?"""
        return not self.failures

    @property
    def exit_code(self) -> int:
        """0 if no check failed, else 1."""
        return 0 if self.passed else 1

    @property
    def summary(self) -> str:
        """One line."""
        count = {status: sum(check.status == status for check in self.checks) for status in ("pass", "warn", "n/a")}
        return (
            f"{self.model} on {self.device}: {count['pass']} passed, {len(self.failures)} failed, "
            f"{count['warn']} warned, {count['n/a']} not applicable."
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        rows = [
            {"name": check.name, "status": check.status, "text": check.text}
            | ({"values": dict(check.values)} if check.values else {})
            for check in self.checks
        ]
        return {"model": self.model, "device": self.device, "passed": self.passed, "checks": rows}

    def __str__(self) -> str:
        return "\n".join([*map(str, self.checks), self.summary])

"""What can go wrong, one class per thing a caller would do about it.

Each message says what was found, where (file, line, field), what was expected and what to do. The
command line prints these messages without a traceback; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations


class FgbenchError(Exception):
    """Base of every error that fgbench raises on purpose."""


class UsageError(FgbenchError):
    """The request itself is wrong: an unknown name, options that contradict each other (exit code 2)."""


class DataMissingError(FgbenchError):
    """Files of a dataset are not on disk. The dataset is left out and the run goes on (exit code 3)."""


class CapabilityError(FgbenchError):
    """The model cannot do what a dataset asks for. The dataset is left out and the run goes on (exit code 3)."""


class DataError(FgbenchError):
    """Files are on disk but broken: bad JSON, a truncated picture, an image bomb (exit code 1)."""


class ModelError(FgbenchError):
    """A checkpoint or a model is unusable: wrong shapes, missing parameters, NaN in its output (exit code 1)."""


class StoreError(FgbenchError):
    """Features or results cannot be written or read back (exit code 1)."""


class RankError(FgbenchError):
    """Another process of this run failed or is gone, and so this one ends too. Look at the message of that one.

    Attributes:
        code: exit code of the process that failed.
        relayed: has the failed process said so itself?
    """

    def __init__(self, message: str, *, code: int = 1, relayed: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.relayed = relayed

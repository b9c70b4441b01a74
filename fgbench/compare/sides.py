"""Which records are meant: by the name of a model in a results folder, or by a file or folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fgbench.errors import DataError, DataMissingError, FgbenchError, UsageError
from fgbench.metrics.sample import Sample
from fgbench.registry import unknown_name
from fgbench.results import folder as results_folder
from fgbench.results import samples
from fgbench.results.record import Record, read_record
from fgbench.spec import MetricKey


@dataclass
class Entry:
    """A record on disk.

    Attributes:
        path: of the record.
        record: as read.
        problem: why there are no samples, once :meth:`samples` was asked and found none.
    """

    path: Path
    record: Record
    problem: str = ""
    _samples: Mapping[MetricKey, Sample] | None = None

    def samples(self) -> Mapping[MetricKey, Sample]:
        """What the scores are functions of; empty, with a reason in ``problem``, if that cannot be told."""
        if self._samples is None:
            try:
                self._samples = samples.load(self.path)
                self.problem = "" if self._samples else "its task does not say what scores are made of"
            except FgbenchError as error:
                self._samples, self.problem = {}, str(error)
        return self._samples


@dataclass(frozen=True)
class Side:
    """The records of one model.

    Attributes:
        name: of the model; where several stand in the same file or folder, its name.
        entries: by what the files are called: dataset, with the limit of a limited run.
        passed_over: files that are no readable records, with the reason.
    """

    name: str
    entries: Mapping[str, Entry]
    passed_over: tuple[str, ...] = field(default=())


def find(wanted: str, results: Path) -> Side:
    """The records of a model.

    Args:
        wanted: name of a model in ``results``, or the path of a record or of a folder of records.
        results: results folder.

    Raises:
        UsageError: no such model, or several models of this name.
        DataMissingError: no records there.
        DataError: a single file that is no record.
    """
    place = Path(wanted)
    if place.is_file():
        if place.suffix != ".json":
            raise UsageError(f"{wanted}: expected a record (<dataset>.json), a folder of records or a model's name.")
        record = read_record(place)
        return Side(record["model"]["name"], {_stem(record): Entry(place, record)})
    if place.is_dir() and (place.resolve() != results.resolve()):
        return _side(place, wanted)
    if not results.is_dir():
        raise DataMissingError(
            f"{results}: there is no such results folder. Run 'fgbench eval' first, or name another one with --results."
        )
    folders = _folders(results)
    found = [folder for folder, name in folders.items() if wanted in (name, folder.name)]
    if len(found) > 1 and (exact := [folder for folder in found if folder.name == wanted]):
        found = exact
    if not found:
        raise UsageError(
            unknown_name(f"model in {results}", wanted, dict.fromkeys(folders.values()))
            if folders
            else f"{results}: there are no records in it. Run 'fgbench eval --output {results}' first."
        )
    if len(found) > 1:
        listed = ", ".join(str(folder) for folder in found)
        raise UsageError(f"{len(found)} different models are called {wanted!r}: {listed}. Name one of these folders.")
    return _side(found[0], wanted)


def names(results: Path) -> list[str]:
    """Names of the models in a results folder."""
    return list(dict.fromkeys(_folders(results).values()))


def _folders(results: Path) -> dict[Path, str]:
    """Folders with records, and the model that each belongs to."""
    found: dict[Path, str] = {}
    for path in sorted(results.glob("*/*.json")):
        if path.parent not in found:
            try:
                found[path.parent] = read_record(path)["model"]["name"]
            except DataError:
                continue
    return found


def _side(folder: Path, wanted: str) -> Side:
    entries: dict[str, Entry] = {}
    passed_over = []
    for path in sorted(folder.glob("*.json")):
        try:
            record = read_record(path)
        except DataError as error:
            passed_over.append(str(error))
            continue
        entries[_stem(record)] = Entry(path, record)
    if not entries:
        reasons = "".join(f"\n  {reason}" for reason in passed_over[:3])
        deeper = " It holds folders: name one of them, or pass it as --results." if any(folder.glob("*/*.json")) else ""
        raise DataMissingError(f"{folder}: there are no records (<dataset>.json) in it.{deeper}{reasons}")
    models = {entry.record["model"]["name"] for entry in entries.values()}
    return Side(models.pop() if len(models) == 1 else wanted, entries, tuple(passed_over))


def _stem(record: Record) -> str:
    return results_folder.stem(record["dataset"], record["arguments"].get("effective", {}).get("limit"))

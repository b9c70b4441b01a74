"""The results folder: ``<output>/<model>/<dataset>.json``, per-item outcomes beside it, and one long CSV over all.

::

    results/
      fgclip2/coco-box.json          the record
      fgclip2/coco-box.items.npz     ids and ranks of every item
      features/<fingerprint>/…       embeddings, safe to delete
      results.csv                    all records, one row per model × dataset × subset × metric
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fgbench.data.atomic import write_atomic
from fgbench.errors import DataError
from fgbench.results.record import Record, read_record, write_record

COLUMNS = (
    "model", "dataset", "task", "language", "protocol", "subset", "metric", "value", "n", "main",
    "expected", "evaluated", "published", "limit", "region_mode", "precision", "adapter", "source", "revision",
    "weights_sha256", "fgbench", "low", "high",
)  # fmt: skip


def slug(name: str) -> str:
    """A model name as a folder name: letters, digits and ``._-=+`` stay, the rest becomes ``_``."""
    return re.sub(r"[^\w.=+-]+", "_", name).strip("._") or "model"


def model_folder(output: Path, name: str, weights_sha256: str) -> Path:
    """Folder for the records of a model; two models of one name (two checkpoints called ``last``) get two folders."""
    folder = output / slug(name)
    for path in sorted(folder.glob("*.json")):
        try:
            other = read_record(path)
        except DataError:
            continue
        if other["model"]["sha256"] != weights_sha256:
            return output / f"{slug(name)}-{weights_sha256[:8]}"
    return folder


def stem(dataset: str, limit: int | None) -> str:
    """What the files of a dataset's result begin with; those of a limited run are told apart."""
    return dataset + (f".limit-{limit}" if limit else "")


def save(record: Record, outcomes: Mapping[str, npt.NDArray[Any]], folder: Path) -> Path:
    """Write a record and the outcomes of its items; returns the record's path.

    A limited run never takes the place of a full one (:func:`stem`).
    """
    name = stem(record["dataset"], record["arguments"]["effective"].get("limit"))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **outcomes)
    write_atomic(folder / f"{name}.items.npz", buffer.getvalue())
    path = folder / f"{name}.json"
    write_record(record, path)
    return path


def records(output: Path) -> Iterator[Record]:
    """All records of a results folder, by model and dataset; files that are not records are passed over."""
    for path in sorted(output.glob("*/*.json")):
        try:
            yield read_record(path)
        except DataError:
            continue


def write_csv(output: Path) -> Path:
    """Write ``results.csv`` from all records: long form, deterministic order."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for record in records(output):
        for row in rows(record):
            writer.writerow({key: neutral(value) for key, value in row.items()})
    path = output / "results.csv"
    write_atomic(path, buffer.getvalue().encode())
    return path


def rows(record: Record) -> Iterator[dict[str, Any]]:
    """The rows of one record in ``results.csv``: one per score."""
    main = {(entry["subset"], entry["metric"]) for entry in record["main"]}
    for score in record["scores"]:
        interval = score.get("interval") or {}
        yield {
            "model": record["model"]["name"],
            "dataset": record["dataset"],
            "task": record["task"],
            "language": record["language"],
            "protocol": record["protocol"]["id"],
            "subset": score["subset"],
            "metric": score["metric"],
            "value": repr(score["value"]),
            "n": score["n"],
            "main": int((score["subset"], score["metric"]) in main),
            "expected": record["counts"]["expected"],
            "evaluated": record["counts"]["evaluated"],
            "published": record["counts"]["published"],
            "limit": record["arguments"]["effective"].get("limit"),
            "region_mode": record["protocol"].get("region_mode"),
            "precision": record["environment"]["precision"],
            "adapter": record["model"]["adapter"],
            "source": record["model"]["source"],
            "revision": record["model"]["revision"],
            "weights_sha256": record["model"]["sha256"],
            "fgbench": record["environment"]["packages"]["fgbench"],
            "low": _number(interval.get("low")),
            "high": _number(interval.get("high")),
        }


def _number(value: float | None) -> str | None:
    return None if value is None else repr(value)


def neutral(value: Any) -> Any:
    """A cell that is safe to open. Spreadsheets run cells that start like a formula: put an apostrophe before them. A
    lone carriage return, which the writer does not quote, would start a row of its own.
    """
    if not isinstance(value, str):
        return value
    return (f"'{value}" if value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value).replace("\r", "\n")

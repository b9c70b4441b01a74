"""The result record ``fgbench.result/1``: one model on one dataset.

Format and meaning of each field are documented in docs/records.md. Two runs of the same evaluation give the same record
except for ``timings``, which holds everything that depends on when and in how many attempts it was computed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fgbench.data.atomic import write_atomic
from fgbench.data.digests import file_sha256
from fgbench.errors import DataError
from fgbench.results.intervals import intervals
from fgbench.runner.identity import Identity
from fgbench.runner.run import Outcome, RunReport
from fgbench.spec import MetricKey

SCHEMA = "fgbench.result/1"

Record = dict[str, Any]

_REQUIRED = (
    "dataset", "task", "language", "protocol", "model", "scores", "main", "counts", "environment", "arguments",
)  # fmt: skip


def build_record(
    outcome: Outcome,
    report: RunReport,
    *,
    model: Mapping[str, Any],
    protocol: Mapping[str, Any],
    environment: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> Record:
    """Put together what was measured, on what and with what.

    Args:
        outcome: an evaluated dataset.
        report: of the run it belongs to.
        model: as made by :func:`describe_model`.
        protocol: protocol fields that the run decides (region mode, precision).
        environment: as made by :func:`fgbench.results.environment.describe`.
        arguments: ``passed`` and ``effective`` options of the run.
    """
    planned, scores = outcome.planned, outcome.scores
    assert planned.loaded is not None
    assert scores is not None
    spec = planned.spec
    # A protocol of its own (a trained segmenter, predictions) has its own rules: those declared here do not hold.
    declared = "id" not in protocol
    published = [count for subset, count in spec.published_items.items() if subset in planned.loaded.size]
    values = {(score.subset, score.metric): score.value for score in scores.scores}
    found = intervals(planned.task, spec, scores.outcomes)
    expected = sum(planned.loaded.size.values())
    return {
        "schema": SCHEMA,
        "dataset": spec.id,
        "task": spec.task,
        "language": spec.language,
        "protocol": {
            "id": spec.protocol.id,
            "text": asdict(spec.protocol.text),
            "budget": spec.protocol.budget,
            "choices": {name: spec.protocol.choice(name) for name in spec.protocol.choices} if declared else {},
            **protocol,
            "details": dict(spec.protocol.details) if declared else {},
        },
        "model": dict(model),
        "scores": [
            {**asdict(score), "interval": found.get(MetricKey(score.subset, score.metric))} for score in scores.scores
        ],
        "main": [{"subset": s, "metric": m, "value": values.get((s, m))} for s, m in spec.main],
        "counts": {
            "expected": expected,
            "evaluated": scores.evaluated,
            "skipped": dict(sorted(scores.skipped.items())),
            "published": sum(published or spec.published_items.values()) or None,
            "ties": dict(scores.ties),
            "texts": outcome.distinct_texts,
            "texts_truncated": outcome.truncated,
        },
        "notes": list(planned.loaded.notes),
        "data": {
            "annotations": {
                _relative(path, planned.files.root): file_sha256(path) for path in sorted(planned.files.read)
            },
            "images": len(set(planned.images())),
            "images_sha256": outcome.images_sha256,
        },
        "environment": dict(environment),
        "arguments": dict(arguments),
        "timings": {
            "seconds": {**report.seconds, "score_this_dataset": outcome.seconds},
            "counters": dict(report.counters),
            "processes": report.processes,
            **({"estimate": dict(report.estimate)} if report.estimate else {}),
        },
    }


def describe_model(info: Any, identity: Identity, *, name: str, kind: str) -> dict[str, Any]:
    """The ``model`` field: what every kind of model has, then what is its kind's own.

    Args:
        info: ``AdapterInfo``, ``GeneratorInfo`` or ``SegmenterInfo``.
        identity: of the loaded weights.
        name: of the model in results.
        kind: ``dual encoder``, ``chat model`` or ``segmenter``.
    """
    facts = {key: _listed(value) for key, value in asdict(info).items()}
    for key in ("region_default", "name"):
        facts.pop(key, None)
    if kind == "dual encoder" and not facts["dense"]:
        facts["dense_pooling"] = None
    return {
        "name": name,
        "kind": kind,
        "adapter": facts.pop("family"),
        "source": facts.pop("source"),
        "revision": facts.pop("revision"),
        "sha256": identity.weights_sha256,
        "parameters": identity.parameters,
        **facts,
    }


def describe_predictions(name: str, sha256: str, options: Mapping[str, str]) -> dict[str, Any]:
    """The ``model`` field of predictions that were made elsewhere.

    Args:
        name: what the user calls their maker.
        sha256: of the predictions.
        options: how they were read.
    """
    return {
        "name": name, "kind": "external", "adapter": "predictions", "source": "predictions made elsewhere",
        "revision": None, "sha256": sha256, "parameters": None, "licence": "unknown", "settings": dict(options),
        "paper": None, "notes": ["scored from predictions; how they were made was not checked"],
    }  # fmt: skip


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def is_miniature(record: Record) -> bool:
    """Was it measured on the miniature suite (``mini``, or its folder in the cache, ``mini-<version>``)?"""
    return re.fullmatch(r"mini(-\d+)?", str(record["arguments"]["effective"].get("data_root"))) is not None


def write_record(record: Record, path: Path) -> None:
    """Write a record as JSON (UTF-8, indented, keys in documented order).

    Raises:
        StoreError: it cannot be written; an older record at this place is untouched.
    """
    write_atomic(path, (json.dumps(record, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode())


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        DataError: not a record, or of a schema that this version does not know.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable result record ({error}).") from error
    found = record.get("schema") if isinstance(record, dict) else None
    if found != SCHEMA:
        raise DataError(f"{path}: schema is {found!r}, this version reads {SCHEMA!r}.")
    lacking = [name for name in _REQUIRED if name not in record]
    if lacking:
        raise DataError(f"{path}: lacks {', '.join(lacking)}. Evaluate again, or remove the file.")
    return dict(record)


def _relative(path: Path, root: Path) -> str:
    """Root-relative where possible; otherwise only the name, so that no record carries somebody's folders."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.name

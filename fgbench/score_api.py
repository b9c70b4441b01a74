"""Scoring predictions that were made elsewhere: the same items, the same metrics, the same record, no model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgbench import selection
from fgbench.api import DEFAULT_OUTPUT, Evaluation, NotEvaluated, plan
from fgbench.data.digests import file_sha256
from fgbench.errors import DataMissingError, UsageError
from fgbench.task import ScoresPredictions

if TYPE_CHECKING:
    from fgbench.runner.run import OnError


def score_task(task: str, predictions: str | Path, **options: Any) -> Evaluation:
    """Score the predictions for several datasets of a task.

    Args:
        task: its id.
        predictions: folder with a file or folder for each dataset, called by its id (``gqa.jsonl``, ``voc-21``).
        options: as for :func:`score`.

    Raises:
        UsageError: no such task, or nothing in the folder is called like one of its datasets.
        DataMissingError, DataError: as for :func:`score`.
    """
    place = Path(predictions)
    names = [spec.id for _, spec in selection.select(task, None)]
    # A run's own answers are called <dataset>.predictions.jsonl; they sort after its record.
    found = {
        path.name if path.is_dir() else path.stem.removesuffix(".predictions"): path for path in sorted(place.glob("*"))
    }
    wanted = [name for name in names if name in found]
    if not wanted:
        raise UsageError(f"{place}: expected files or folders called {', '.join(names)}; or name one with --dataset.")
    parts = [score(name, found[name], **options) for name in wanted]
    return Evaluation(
        tuple(record for part in parts for record in part.records),
        tuple(each for part in parts for each in part.not_evaluated),
        next((part.folder for part in parts if part.records), parts[0].folder),
    )


def score(
    dataset: str,
    predictions: str | Path,
    *,
    task: str | None = None,
    name: str = "predictions",
    options: Mapping[str, str] | None = None,
    data_root: str | Path | None = None,
    output: str | Path = DEFAULT_OUTPUT,
    limit: int | None = None,
    on_error: OnError = "fail",
    files: Mapping[str, str | Path] | None = None,
    protocol: Mapping[str, str] | None = None,
) -> Evaluation:
    """Score predictions and write a record.

    Args:
        dataset: id of one dataset.
        task: the task it belongs to; checked if it is given.
        predictions: file or folder; its format is the task's (docs/predictions.md).
        name: what results call the maker of the predictions.
        options: how they are to be read, by the task's names.
        data_root, limit, files, protocol: as in :func:`fgbench.api.plan`.
        output: results folder.
        on_error: as in :func:`fgbench.api.evaluate`.

    Raises:
        UsageError: unknown names or options, or a task that cannot score predictions.
        DataMissingError: the predictions are not there.
        DataError: predictions that cannot be understood.
    """
    selected = plan(task, dataset, data_root=data_root, limit=limit, files=files, protocol=protocol)
    if len(selected.datasets) != 1:
        raise UsageError(f"Predictions belong to one dataset, but {len(selected.datasets)} were named.")
    (planned,) = selected.datasets
    scorer, place = planned.task, Path(predictions)
    if not isinstance(scorer, ScoresPredictions):
        raise UsageError(f"Predictions for {dataset} cannot be scored: task {scorer.id} works on embeddings.")
    if planned.loaded is None:  # what a model would need beyond the annotations may be missing
        return Evaluation((), (NotEvaluated.of(planned.spec, planned.problem),), Path(output))
    if not place.exists():
        raise DataMissingError(f"{place}: there are no such predictions. Give a file or folder.")

    from fgbench.engines import with_choices
    from fgbench.results import folder as results_folder
    from fgbench.results.environment import describe
    from fgbench.results.record import build_record, describe_predictions
    from fgbench.results.side_files import save_tables
    from fgbench.runner.features import Gathered
    from fgbench.runner.run import RunReport, judge

    start = time.perf_counter()
    found = scorer.predictions(planned.spec, planned.loaded, place, options or {})
    planned = replace(planned, loaded=replace(planned.loaded, notes=(*planned.loaded.notes, *found.notes)))
    outcome = judge(planned, Gathered(dict(found.answers)), {}, on_error, start)
    if outcome.scores is None:
        return Evaluation((), (NotEvaluated.of(planned.spec, outcome.problem),), Path(output))
    called = with_choices(name, planned.spec.protocol.chosen)
    digest = file_sha256(place)
    root = Path(output)
    target = results_folder.model_folder(root, called, digest)
    passed = {"dataset": dataset, "predictions": place.name, "name": name, "options": dict(options or {})}
    record = build_record(
        outcome,
        RunReport((outcome,), {}),
        model=describe_predictions(called, digest, options or {}),
        protocol={"id": f"external/{name}"},
        environment=describe(None, "fp32"),
        arguments={"passed": passed, "effective": {**passed, "limit": limit, "on_error": on_error}},
    )
    results_folder.save(record, outcome.scores.outcomes, target)
    save_tables(outcome.scores, dataset, target, limit)
    results_folder.write_csv(root)
    return Evaluation((record,), (), target)

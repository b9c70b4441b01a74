"""One model on the datasets that it can answer: run, judge, write records."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fgbench.adapter import Adapter
from fgbench.engines import Model, Running, Settings, start, with_choices
from fgbench.errors import FgbenchError
from fgbench.plan_api import after_run
from fgbench.requests import Generate
from fgbench.results import folder as results_folder
from fgbench.results.environment import describe
from fgbench.results.record import Record, build_record, describe_model
from fgbench.results.side_files import save_answers, save_pictures, save_tables
from fgbench.runner.plan import Plan, PlannedDataset
from fgbench.runner.ranks import ALONE, Ranks
from fgbench.runner.run import Outcome, RunReport, run

if TYPE_CHECKING:
    from fgbench.runner.progress import Progress
    from fgbench.runner.run import OnError


class Finished(NamedTuple):
    """What became of a part of a plan.

    Attributes:
        records: written, in plan order.
        left: outcomes without a score.
        folder: of the last record, or None.
        notes: remarks on the run.
    """

    records: list[Record]
    left: list[Outcome]
    folder: Path | None
    notes: list[str]


def split(plan: Plan, *, chat: bool) -> tuple[Plan, Plan]:
    """What the model itself answers, and what its chat model does.

    Args:
        plan: the selected datasets.
        chat: is there a chat model? Without one everything stays with the model.
    """

    def generated(planned: PlannedDataset) -> bool:
        return chat and any(isinstance(each, Generate) for each in planned.requests.values())

    own = tuple(each for each in plan.datasets if not generated(each))
    return Plan(own), Plan(tuple(each for each in plan.datasets if generated(each)))


def evaluate_part(
    model: Model,
    plan: Plan,
    settings: Settings,
    root: Path,
    *,
    on_error: OnError,
    progress: Progress,
    passed: Mapping[str, Any],
    effective: Mapping[str, Any],
    save_visuals: int,
    ranks: Ranks = ALONE,
) -> Finished:
    """Run one model over a plan and write the records below ``root``.

    Args:
        model: adapter, generator or segmenter.
        plan: datasets.
        settings: how the model is run.
        root: results folder.
        on_error, progress: as in :func:`fgbench.runner.run.run`.
        passed, effective: arguments for the records, free of private folders.
        save_visuals: pictures per dataset.
        ranks: the processes that share the work; all of them call this, and the first one writes.

    Raises:
        ModelError: the model's output is unusable.
        StoreError: results cannot be written.
    """
    running = start(model, settings, ranks)
    report = run(plan, running.engine, on_error=on_error, progress=progress, ranks=ranks)
    if ranks.first and isinstance(model, Adapter):
        report = replace(report, estimate=_estimate(model, running, plan, report))
    finished = Finished([], [], None, running.notes())
    for outcome in report.outcomes:
        if not outcome.answered:
            finished.left.append(outcome)
            continue
        name = with_choices(running.name, outcome.planned.spec.protocol.chosen)
        target = results_folder.model_folder(root, name, running.identity.weights_sha256)
        save_answers(outcome, running.engine, target, effective.get("limit"))
        if outcome.scores is None:
            finished.left.append(outcome)
            continue
        record = build_record(
            outcome,
            report,
            model=describe_model(running.info, running.identity, name=name, kind=running.kind),
            protocol=running.protocol_of(uses_regions=outcome.uses_regions),
            environment=describe(running.device, settings.precision),
            arguments={"passed": dict(passed), "effective": {**effective, **running.effective}},
        )
        results_folder.save(record, outcome.scores.outcomes, target)
        save_tables(outcome.scores, record["dataset"], target, effective.get("limit"))
        save_pictures(outcome, running.engine, target, save_visuals, effective.get("limit"))
        finished.records.append(record)
        finished = finished._replace(folder=target)
    return finished


def _estimate(model: Adapter, running: Running, plan: Plan, report: RunReport) -> dict[str, float] | None:
    """How far the estimate of this run was off; None where there is none. It is a remark: it cannot fail a run."""
    with suppress(FgbenchError, OSError):
        mode = running.effective["region_mode"]
        return after_run(model, running.identity.fingerprint, running.device, mode, plan.datasets, report)
    return None

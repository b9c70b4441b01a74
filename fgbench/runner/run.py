"""From a plan and a model to scores: probe, encode once, score each dataset."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fgbench.data.images import Probe
from fgbench.errors import CapabilityError, DataError, DataMissingError, FgbenchError
from fgbench.requests import ImageRef, Regions, RegionScores
from fgbench.runner.engine import Clock, Engine
from fgbench.runner.features import Gathered
from fgbench.runner.loading import probe_all
from fgbench.runner.plan import Plan, PlannedDataset
from fgbench.runner.progress import Progress
from fgbench.runner.ranks import ALONE, Ranks
from fgbench.task import Scores

OnError = Literal["fail", "skip"]


@dataclass(frozen=True)
class Outcome:
    """What became of one planned dataset.

    Attributes:
        planned: the dataset.
        scores: its scores, or None.
        problem: why it was not evaluated.
        images_sha256: one digest over the contents of its pictures, in order of request.
        truncated: texts (of this dataset, distinct) longer than the model's text length.
        distinct_texts: how many distinct texts it has.
        seconds: scoring time.
        answered: has the model answered its requests?
    """

    planned: PlannedDataset
    scores: Scores | None = None
    problem: FgbenchError | None = None
    images_sha256: str = ""
    truncated: int = 0
    distinct_texts: int = 0
    seconds: float = 0.0
    answered: bool = False

    @property
    def uses_regions(self) -> bool:
        """Does the region mode matter for this dataset?"""
        return any(isinstance(each, (Regions, RegionScores)) for each in self.planned.requests.values())


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes:
        outcomes: in plan order; none on other ranks than the first.
        counters: of the engine, of all ranks.
        seconds: of wall-clock time per stage.
        processes: number of ranks.
        probes: what was found out about the pictures; none on other ranks than the first.
        estimate: how far the estimate of this run was off (docs/records.md), where there is one.
    """

    outcomes: tuple[Outcome, ...]
    counters: Mapping[str, int]
    seconds: Mapping[str, float] = field(default_factory=dict)
    processes: int = 1
    probes: Mapping[ImageRef, Probe | DataError] = field(default_factory=dict)
    estimate: Mapping[str, float] | None = None


def run(plan: Plan, engine: Engine, *, on_error: OnError, progress: Progress, ranks: Ranks = ALONE) -> RunReport:
    """Evaluate a plan with one model.

    A dataset that cannot be evaluated (missing files, broken pictures, a capability the model lacks) gets its reason
    and never stops the others. What was encoded is on disk whatever happens afterwards.

    Args:
        plan: the selected datasets.
        engine: the model, its device and its store.
        on_error: ``fail`` leaves a dataset out if any of its items cannot be evaluated; ``skip`` evaluates the others
            and counts the rest by reason.
        progress: told how far each stage is; with several ranks, the first one's share of it.
        ranks: the processes that share the work; all of them call this, and the first one scores.

    Raises:
        ModelError: the model returned NaN or wrong shapes.
        StoreError: features cannot be written.
        RankError: another process failed.
    """
    progress = ranks.watching(progress)
    clock = Clock()
    problems: dict[str, FgbenchError] = {}
    for planned in plan.datasets:
        problem = _unfit(planned, engine, on_error)
        if problem:
            problems[planned.spec.id] = problem
    probes = _probe(plan, problems, progress, ranks)
    if on_error == "fail":
        for planned in plan.datasets:
            bad = [ref for ref in planned.images() if isinstance(probes.get(ref), DataError)]
            if bad and planned.spec.id not in problems:
                problems[planned.spec.id] = _broken(planned, [str(probes[ref]) for ref in dict.fromkeys(bad)])
    clock.lap("probe")

    reasons = {ref: value if isinstance(value, Probe) else "image_unreadable" for ref, value in probes.items()}
    missing = {ref: "image_missing" for planned in plan.datasets for ref in planned.missing}
    requests = {each.spec.id: each.requests for each in plan.datasets if each.spec.id not in problems}
    engine.execute(requests, {**reasons, **missing}, progress, clock)

    if not ranks.first:
        return RunReport((), engine.counters(), clock.seconds, ranks.world)
    outcomes = []
    with progress.stage("scoring", len(plan.datasets)) as advance:
        for planned in plan.datasets:
            problem = problems.get(planned.spec.id)
            outcomes.append(Outcome(planned, problem=problem) if problem else _score(planned, probes, engine, on_error))
            advance(1)
    clock.lap("score")
    return RunReport(tuple(outcomes), engine.counters(), clock.seconds, ranks.world, probes)


def _unfit(planned: PlannedDataset, engine: Engine, on_error: OnError) -> FgbenchError | None:
    """Why a dataset cannot be evaluated with this model, as far as the plan shows."""
    if isinstance(planned.problem, FgbenchError):
        return planned.problem
    refusal = engine.refusal(planned.requests.values())
    if refusal:
        return CapabilityError(f"{planned.spec.id} {refusal}")
    if planned.loaded is None or on_error == "skip":
        return None
    if planned.missing:
        return _missing(planned, "Or pass --on-error skip to evaluate the rest; the result counts the others.")
    if planned.loaded.rejected:
        return _incomplete(planned, planned.loaded.rejected)
    return None


def _probe(
    plan: Plan, problems: Mapping[str, FgbenchError], progress: Progress, ranks: Ranks
) -> dict[ImageRef, Probe | DataError]:
    wanted = list(
        dict.fromkeys(
            ref
            for planned in plan.datasets
            if planned.spec.id not in problems
            for ref in planned.images()
            if ref not in planned.missing
        )
    )
    share = ranks.deal(wanted, lambda ref: [str(ref)])
    found = []
    with progress.stage("checking pictures", len(share)) as advance:
        for _, value in probe_all(share):
            found.append(str(value) if isinstance(value, DataError) else list(value))
            advance(1)
    probes: dict[ImageRef, Probe | DataError] = {}
    everywhere = ranks.gather(found)
    for number, ref in enumerate(wanted):
        value = everywhere[number % ranks.world][number // ranks.world]
        probes[ref] = DataError(value) if isinstance(value, str) else Probe(*value)
    return probes


def _score(
    planned: PlannedDataset, probes: Mapping[ImageRef, Probe | DataError], engine: Engine, on_error: OnError
) -> Outcome:
    start = time.perf_counter()
    broken = [engine.broken[ref] for ref in dict.fromkeys(planned.images()) if ref in engine.broken]
    if broken and on_error == "fail":
        return Outcome(planned, problem=_broken(planned, broken))
    gathered = engine.answers(planned.spec.id)
    return judge(planned, gathered, probes, on_error, start)


def judge(
    planned: PlannedDataset,
    gathered: Gathered,
    probes: Mapping[ImageRef, Probe | DataError],
    on_error: OnError,
    start: float,
) -> Outcome:
    """Score answers, wherever they come from.

    Args:
        planned: the dataset.
        gathered: answers to its requests.
        probes: of its pictures, as far as they were looked at.
        on_error: as in :func:`run`.
        start: ``time.perf_counter()`` when its scoring began.
    """
    assert planned.loaded is not None
    try:
        scores = planned.task.score(planned.spec, planned.loaded, gathered.answers)
    except DataError as problem:  # ground truth that is read while scoring
        return Outcome(planned, problem=problem, answered=True)
    if scores.skipped and on_error == "fail":
        return Outcome(planned, problem=_incomplete(planned, scores.skipped, scores.examples), answered=True)
    if not scores.evaluated:
        lacking = set(scores.skipped) == {"image_missing"}
        found = _missing(planned) if lacking else _incomplete(planned, scores.skipped, scores.examples)
        return Outcome(planned, problem=found, answered=True)
    return Outcome(
        planned,
        scores,
        images_sha256=_images_digest(planned, probes),
        distinct_texts=gathered.distinct_texts,
        truncated=gathered.truncated,
        seconds=time.perf_counter() - start,
        answered=True,
    )


def _missing(planned: PlannedDataset, advice: str = "") -> DataMissingError:
    first = min(map(str, planned.missing))
    return DataMissingError(
        f"{planned.spec.id}: {len(planned.missing)} of its pictures are not on disk, the first is {first}. "
        f"{planned.spec.how_to_get} {advice}".rstrip()
    )


def _broken(planned: PlannedDataset, messages: Sequence[str]) -> DataError:
    shown = "\n  ".join(messages[:5])
    more = f"\n  and {len(messages) - 5} more" if len(messages) > 5 else ""
    return DataError(
        f"{planned.spec.id}: {len(messages)} pictures cannot be read:\n  {shown}{more}\n"
        "Replace them, or pass --on-error skip to evaluate the rest; the result says how many are left out."
    )


def _incomplete(
    planned: PlannedDataset, reasons: Mapping[str, int], examples: Mapping[str, str] | None = None
) -> DataError:
    listed = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
    shown = "".join(f"\n  {each}" for each in (examples or {}).values())
    return DataError(
        f"{planned.spec.id}: items that cannot be evaluated: {listed}.{shown}\n"
        "Pass --on-error skip to evaluate the rest; the result says how many are left out."
    )


def _images_digest(planned: PlannedDataset, probes: Mapping[ImageRef, Probe | DataError]) -> str:
    """One SHA-256 over the contents of a dataset's pictures, whatever their names: equal for equal data."""
    digests = sorted({value.digest for ref in planned.images() if isinstance(value := probes.get(ref), Probe)})
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else ""

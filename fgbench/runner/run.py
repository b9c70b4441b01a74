"""From a plan and a model to scores: probe, encode once, score each dataset."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fgbench.adapter import RegionMode
from fgbench.data.images import Probe
from fgbench.errors import CapabilityError, DataError, DataMissingError, FgbenchError
from fgbench.requests import ImageRef, Regions
from fgbench.runner.encode import Encoder, EncodeStats
from fgbench.runner.features import gather
from fgbench.runner.jobs import Address, JobBuilder
from fgbench.runner.loading import probe_all
from fgbench.runner.plan import Plan, PlannedDataset
from fgbench.runner.progress import Progress
from fgbench.spec import Scores

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
    """

    planned: PlannedDataset
    scores: Scores | None = None
    problem: FgbenchError | None = None
    images_sha256: str = ""
    truncated: int = 0
    distinct_texts: int = 0
    seconds: float = 0.0

    @property
    def uses_regions(self) -> bool:
        """Does the region mode matter for this dataset?"""
        return any(isinstance(each, Regions) for each in self.planned.requests.values())


@dataclass(frozen=True)
class RunReport:
    """Outcomes in plan order, with counters and wall-clock seconds per stage."""

    outcomes: tuple[Outcome, ...]
    stats: EncodeStats
    seconds: Mapping[str, float] = field(default_factory=dict)


def run(plan: Plan, encoder: Encoder, *, region_mode: RegionMode, on_error: OnError, progress: Progress) -> RunReport:
    """Evaluate a plan with one model.

    A dataset that cannot be evaluated (missing files, broken pictures, a capability the model lacks) gets its reason
    and never stops the others. What was encoded is on disk whatever happens afterwards.

    Args:
        plan: the selected datasets.
        encoder: the model, its device and its store.
        region_mode: how boxes become embeddings.
        on_error: ``fail`` leaves a dataset out if any of its items cannot be evaluated; ``skip`` evaluates the others
            and counts the rest by reason.
        progress: told how far each stage is.

    Raises:
        ModelError: the model returned NaN or wrong shapes.
        StoreError: features cannot be written.
    """
    clock = _Clock()
    info = encoder.adapter.info
    problems: dict[str, FgbenchError] = {}
    for planned in plan.datasets:
        problem = _unfit(planned, region_mode, info.dense, info.name, on_error)
        if problem:
            problems[planned.spec.id] = problem
    probes = _probe(plan, problems, progress)
    if on_error == "fail":
        for planned in plan.datasets:
            bad = [ref for ref in planned.images() if isinstance(probes.get(ref), DataError)]
            if bad and planned.spec.id not in problems:
                problems[planned.spec.id] = _broken(planned, [str(probes[ref]) for ref in dict.fromkeys(bad)])
    clock.lap("probe")

    reasons = {ref: value if isinstance(value, Probe) else "image_unreadable" for ref, value in probes.items()}
    missing = {ref: "image_missing" for planned in plan.datasets for ref in planned.missing}
    builder = JobBuilder(info, encoder.adapter.preprocessor, region_mode, {**reasons, **missing})
    addresses: dict[str, dict[str, Address]] = {}
    for planned in plan.datasets:
        if planned.spec.id not in problems:
            addresses[planned.spec.id] = {name: builder.address(each) for name, each in planned.requests.items()}
    image_chunks, text_chunks = builder.image_chunks(), builder.text_chunks()
    with progress.stage("images", sum(map(len, image_chunks))) as advance:
        encoder.encode_images(image_chunks, advance)
    clock.lap("encode_images")
    with progress.stage("texts", sum(map(len, text_chunks))) as advance:
        encoder.encode_texts(text_chunks, advance)
    clock.lap("encode_texts")

    outcomes = []
    with progress.stage("scoring", len(plan.datasets)) as advance:
        for planned in plan.datasets:
            problem = problems.get(planned.spec.id)
            outcomes.append(
                Outcome(planned, problem=problem)
                if problem
                else _score(planned, addresses[planned.spec.id], probes, encoder, on_error)
            )
            advance(1)
    clock.lap("score")
    return RunReport(tuple(outcomes), encoder.stats, clock.seconds)


def _unfit(
    planned: PlannedDataset, region_mode: RegionMode, dense: str | None, model: str, on_error: OnError
) -> FgbenchError | None:
    """Why a dataset cannot be evaluated with this model, as far as the plan shows."""
    if isinstance(planned.problem, FgbenchError):
        return planned.problem
    if region_mode == "roi" and dense is None and any(isinstance(each, Regions) for each in planned.requests.values()):
        return CapabilityError(
            f"{planned.spec.id} needs region embeddings, and {model} has no dense features. Use --region-mode crop."
        )
    if planned.loaded is None or on_error == "skip":
        return None
    if planned.missing:
        return _missing(planned, "Or pass --on-error skip to evaluate the rest; the result counts the others.")
    if planned.loaded.rejected:
        return _incomplete(planned, planned.loaded.rejected)
    return None


def _probe(plan: Plan, problems: Mapping[str, FgbenchError], progress: Progress) -> dict[ImageRef, Probe | DataError]:
    wanted = dict.fromkeys(
        ref
        for planned in plan.datasets
        if planned.spec.id not in problems
        for ref in planned.images()
        if ref not in planned.missing
    )
    probes: dict[ImageRef, Probe | DataError] = {}
    with progress.stage("checking pictures", len(wanted)) as advance:
        for ref, value in probe_all(list(wanted)):
            probes[ref] = value
            advance(1)
    return probes


def _score(
    planned: PlannedDataset,
    addresses: Mapping[str, Address],
    probes: Mapping[ImageRef, Probe | DataError],
    encoder: Encoder,
    on_error: OnError,
) -> Outcome:
    start = time.perf_counter()
    assert planned.loaded is not None
    broken = [encoder.broken[ref] for ref in dict.fromkeys(planned.images()) if ref in encoder.broken]
    if broken and on_error == "fail":
        return Outcome(planned, problem=_broken(planned, broken))
    gathered = gather(planned.requests, addresses, encoder.store, encoder.adapter.info.dim)
    scores = planned.task.score(planned.spec, planned.loaded, gathered.embeddings)
    if scores.skipped and on_error == "fail":
        return Outcome(planned, problem=_incomplete(planned, scores.skipped))
    if not scores.evaluated:
        lacking = set(scores.skipped) == {"image_missing"}
        return Outcome(planned, problem=_missing(planned) if lacking else _incomplete(planned, scores.skipped))
    return Outcome(
        planned,
        scores,
        images_sha256=_images_digest(planned, probes),
        distinct_texts=gathered.distinct_texts,
        truncated=gathered.truncated,
        seconds=time.perf_counter() - start,
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


def _incomplete(planned: PlannedDataset, reasons: Mapping[str, int]) -> DataError:
    listed = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
    return DataError(
        f"{planned.spec.id}: items that cannot be evaluated: {listed}. "
        "Pass --on-error skip to evaluate the rest; the result says how many are left out."
    )


def _images_digest(planned: PlannedDataset, probes: Mapping[ImageRef, Probe | DataError]) -> str:
    """One SHA-256 over the contents of a dataset's pictures, whatever their names: equal for equal data."""
    digests = sorted({value.digest for ref in planned.images() if isinstance(value := probes.get(ref), Probe)})
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else ""


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now

"""The confidence intervals that stand in a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from fgbench.metrics.resampling import interval, resampled
from fgbench.metrics.sample import Float64, Sample
from fgbench.spec import DatasetSpec, MetricKey
from fgbench.task import HasSamples


def intervals(
    task: object, spec: DatasetSpec, outcomes: Mapping[str, npt.NDArray[Any]]
) -> dict[MetricKey, dict[str, Any] | None]:
    """The interval of each score as it stands in a record; scores without one are left out.

    Args:
        task: of the dataset; one without :class:`~fgbench.task.HasSamples` has no intervals.
        spec: the dataset.
        outcomes: of its items.
    """
    if not isinstance(task, HasSamples):
        return {}
    samples = task.samples(spec, outcomes)
    values = _resampled_together(samples)
    return {
        key: found._asdict() if (found := interval(sample, values.get(key))) else None
        for key, sample in samples.items()
    }


def _resampled_together(samples: Mapping[MetricKey, Sample]) -> dict[MetricKey, Float64]:
    """Resampled values of the scores that are functions of the same sums, which are then resampled once."""
    shared: dict[int, list[MetricKey]] = {}
    for key, sample in samples.items():
        shared.setdefault(id(sample.parts), []).append(key)
    found: dict[MetricKey, Float64] = {}
    for keys in shared.values():
        if len(keys) > 1 and len(sums := samples[keys[0]].sums) > 1:
            found |= zip(keys, resampled(sums, *(samples[key].statistic for key in keys)), strict=True)
    return found

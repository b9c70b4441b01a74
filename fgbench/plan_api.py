"""A plan with a price: how long one model takes for it, how much disk and memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgbench.adapter import Adapter, RegionMode
from fgbench.data.images import Probe, probe
from fgbench.data.roots import cache_folder
from fgbench.errors import DataError
from fgbench.requests import ImageRef, Request
from fgbench.runner.plan import Plan, PlannedDataset
from fgbench.runner.price import PassKind, Price, Rates, Size, Work, answerable, deviation, price, work_of

if TYPE_CHECKING:
    import torch

    from fgbench.runner.device import Precision
    from fgbench.runner.run import RunReport

SAMPLE = 24
"""Pictures per dataset whose size is read; the others are taken to be like them."""

UNKNOWN: Size = (640, 480)
"""Where no picture of a dataset can be read."""


@dataclass(frozen=True)
class Estimate:
    """What a plan costs with one model on one device.

    Attributes:
        model, device: whose.
        total: of everything, with what the datasets share counted once.
        datasets: of each alone.
        left_out: datasets without a price, and why.
        memory: bytes: weights, the largest dataset's embeddings twice, and what the calibration took at its peak.
    """

    model: str
    device: str
    total: Price
    datasets: Mapping[str, Price]
    left_out: Mapping[str, str]
    memory: int

    def as_json(self) -> dict[str, Any]:
        """Plain values: seconds and bytes as [low, expected, high]."""
        rows = {name: _plain(each) for name, each in self.datasets.items()}
        return {
            "model": self.model,
            "device": self.device,
            "memory_bytes": self.memory,
            "total": _plain(self.total),
            "datasets": rows,
            "left_out": dict(self.left_out),
        }


def estimate(
    plan: Plan,
    model: str | Adapter,
    *,
    device: str = "auto",
    precision: Precision = "fp32",
    region_mode: RegionMode | None = None,
) -> Estimate:
    """Load a dual encoder, time it on a few inputs of the plan's shapes, and multiply.

    What was timed is remembered per model, device and precision in fgbench's cache folder.

    Args:
        plan: made by :func:`fgbench.api.plan`.
        model: a model string or an adapter.
        device, precision, region_mode: as for :func:`fgbench.api.evaluate`.

    Raises:
        UsageError: no dual encoder, or no such device.
        ModelError: the checkpoint cannot be used.
    """
    from fgbench.models import load_adapter
    from fgbench.runner.calibration import calibrate, read_rates, write_rates
    from fgbench.runner.device import choose_device
    from fgbench.runner.identity import identify

    adapter = load_adapter(model) if isinstance(model, str) else model
    where = choose_device(device)
    adapter.module.to(where).eval()
    mode = region_mode or adapter.info.region_default
    sizes = {each.spec.id: sampled_sizes(each) for each in plan.datasets}
    left_out = {each.spec.id: reason for each in plan.datasets if (reason := _unpriced(each, adapter, mode))}
    priced = [each for each in plan.datasets if each.spec.id not in left_out]
    works = {each.spec.id: _work(adapter, mode, [each], sizes[each.spec.id]) for each in priced}
    merged = {ref: size for each in priced for ref, size in sizes[each.spec.id].items()}
    whole = _work(adapter, mode, priced, merged)
    place = rates_place(identify(adapter, precision).fingerprint, where)
    # A dataset alone may have kinds of its own: together with another, the pictures of both may need the dense map.
    passes = dict.fromkeys(kind for work in (whole, *works.values()) for kind in work.passes)
    texts = dict.fromkeys(kind for work in (whole, *works.values()) for kind in work.texts)
    rates = calibrate(adapter, where, precision, _examples(adapter, passes, merged), texts, read_rates(place))
    write_rates(place, rates)
    return Estimate(
        adapter.info.name,
        where.type,
        _priced(whole, rates, adapter, where),
        {name: _priced(work, rates, adapter, where) for name, work in works.items()},
        left_out,
        _peak(where) + 2 * 4 * adapter.info.dim * max((work.rows for work in works.values()), default=0),
    )


def after_run(
    adapter: Adapter,
    fingerprint: str,
    device: torch.device,
    region_mode: RegionMode,
    datasets: Iterable[PlannedDataset],
    report: RunReport,
) -> dict[str, float] | None:
    """How far the remembered estimate of a plan was off (:func:`fgbench.runner.price.deviation`).

    Opens no picture: the run knows their sizes.

    Args:
        adapter, fingerprint, device, region_mode: of the run.
        datasets: of its plan.
        report: what it did.

    Returns:
        None if this model was never timed on this device for all that the plan needs, or if nothing was encoded.
    """
    from fgbench.runner.calibration import read_rates

    priced = [each for each in datasets if not _unpriced(each, adapter, region_mode)]
    rates = read_rates(rates_place(fingerprint, device))
    if not rates.passes and not rates.texts:
        return None
    sizes = {ref: size for each in priced for ref, size in sampled_sizes(each, report.probes).items()}
    work = _work(adapter, region_mode, priced, sizes)
    if set(work.passes) - set(rates.passes) or set(work.texts) - set(rates.texts):
        return None
    expected = _priced(work, rates, adapter, device)
    return deviation(expected, work, report.counters, report.seconds, report.processes)


def rates_place(fingerprint: str, device: torch.device) -> Path:
    """Where a model's seconds are remembered."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{os.cpu_count()}"
    threads = torch.get_num_threads()
    safe = "".join(letter if letter.isalnum() else "-" for letter in f"{device.type}-{name}-{threads}")
    return cache_folder() / "rates" / f"{fingerprint}-{safe}.json"


def sampled_sizes(
    planned: PlannedDataset, probes: Mapping[ImageRef, Probe | DataError] | None = None
) -> dict[ImageRef, Size]:
    """(width, height) of every picture on disk: read for some, taken from these in turn for the others.

    Args:
        planned: a dataset.
        probes: what is known of its pictures; without it, they are opened.
    """
    there = sorted(planned.distinct_images - planned.missing, key=str)
    known: list[Size] = []
    for ref in there[:: max(1, len(there) // SAMPLE)][:SAMPLE]:
        found = _probed(ref) if probes is None else probes.get(ref)
        if isinstance(found, Probe):
            known.append((found.width, found.height))
    known = known or [UNKNOWN]
    return {ref: known[number % len(known)] for number, ref in enumerate(there)}


def _probed(ref: ImageRef) -> Probe | None:
    with suppress(DataError):
        return probe(ref)
    return None


def _unpriced(planned: PlannedDataset, adapter: Adapter, mode: RegionMode) -> str | None:
    if planned.loaded is None or planned.problem is not None:
        return "its files are not there or broken"
    if not answerable(adapter.info, mode, planned.requests.values()):
        return f"{adapter.info.name} cannot answer what it asks for"
    return None


def _work(
    adapter: Adapter, mode: RegionMode, datasets: Iterable[PlannedDataset], sizes: Mapping[ImageRef, Size]
) -> Work:
    requests: list[Iterable[Request]] = [each.requests.values() for each in datasets]
    return work_of(adapter.info, adapter.preprocessor, mode, requests, sizes)


def _examples(adapter: Adapter, passes: Iterable[PassKind], sizes: Mapping[ImageRef, Size]) -> dict[PassKind, Size]:
    """A size of picture for every kind of pass."""
    common = next(iter(sizes.values()), UNKNOWN)
    by_view = {adapter.preprocessor.view("dense", size, None): size for size in set(sizes.values())}
    return {kind: by_view.get(kind.view, common) for kind in passes}


def _priced(work: Work, rates: Rates, adapter: Adapter, device: torch.device) -> Price:
    return price(work, rates, adapter.info.dim, overlapping=device.type != "cpu", workers=os.cpu_count() or 1)


def _peak(device: torch.device) -> int:
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _plain(each: Price) -> dict[str, list[float]]:
    return {"seconds": list(each.seconds), "disk_bytes": list(each.disk)}

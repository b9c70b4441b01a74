"""How a score depends on the choices that only scoring makes: the model runs once, every combination takes seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from fgbench import selection
from fgbench.api import DEFAULT_OUTPUT, plan
from fgbench.errors import UsageError
from fgbench.models import load_model, parse
from fgbench.runner.progress import Progress, Silent
from fgbench.task import Score

if TYPE_CHECKING:
    from fgbench.adapter import RegionMode
    from fgbench.engines import Model
    from fgbench.runner.device import Precision


@dataclass(frozen=True)
class Sweep:
    """Result of :func:`sweep`.

    Attributes:
        dataset: its id.
        rows: what was chosen, and the scores that follow.
    """

    dataset: str
    rows: tuple[tuple[Mapping[str, str], Sequence[Score]], ...]


def sweep(
    model: str | Model,
    dataset: str,
    over: Mapping[str, Sequence[str]],
    *,
    data_root: str | Path | None = None,
    output: str | Path = DEFAULT_OUTPUT,
    device: str = "auto",
    precision: Precision = "fp32",
    region_mode: RegionMode | None = None,
    limit: int | None = None,
    files: Mapping[str, str | Path] | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Score a dataset under every combination of choices.

    The choices are judged on the very data they are made for: a sweep shows how sensitive a number is, its best row is
    no result. Nothing is written but the model's stored answers.

    Args:
        model, data_root, output, device, precision, region_mode, limit, files: as in :func:`fgbench.api.evaluate`.
        dataset: id of one dataset.
        over: values by the name of a choice that only scoring makes (``fgbench show <dataset>``).
        progress: told how far the run is.

    Raises:
        UsageError: unknown names or values, or a choice on which the model's work depends.
        FgbenchError: the dataset cannot be evaluated.
    """
    if isinstance(model, str):
        parse(model)
    for name, values in over.items():
        for value in values:
            for _, spec in selection.choose(selection.select(None, dataset), {name: value}):
                if not spec.protocol.choices[name].scoring:
                    raise UsageError(
                        f"What a model has to do for {spec.id} depends on {name}: a sweep covers choices of scoring "
                        f"only. Evaluate once per value, with --protocol {name}=VALUE."
                    )
    selected = plan(None, dataset, data_root=data_root, limit=limit, files=files)
    if len(selected.datasets) != 1:
        raise UsageError(f"A sweep covers one dataset, but {len(selected.datasets)} were named.")
    if selected.datasets[0].problem:
        raise selected.datasets[0].problem

    from fgbench.engines import Settings, start
    from fgbench.runner.run import run

    settings = Settings(device, precision, region_mode, None, None, False, Path(output) / "features")
    running = start(load_model(model) if isinstance(model, str) else model, settings)
    [outcome] = run(selected, running.engine, on_error="fail", progress=progress or Silent()).outcomes
    if outcome.problem:
        raise outcome.problem
    planned = outcome.planned
    assert planned.loaded is not None
    answers = running.engine.answers(planned.spec.id).answers
    rows = []
    for values in product(*over.values()):
        chosen = dict(zip(over, values, strict=True))
        [(task, spec)] = selection.choose([(planned.task, planned.spec)], chosen)
        rows.append((chosen, task.score(spec, planned.loaded, answers).scores))
    return Sweep(planned.spec.id, tuple(rows))

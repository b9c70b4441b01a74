"""The self-test: the miniature suite with a small trained model, compared with what it gave before."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fgbench import selection
from fgbench.api import Evaluation, evaluate
from fgbench.data.mini import VERSION
from fgbench.errors import DataError, ModelError, UsageError
from fgbench.models import declared_chat, load_model
from fgbench.results import folder as folder_of_results
from fgbench.selftest.comparison import Comparison, compare
from fgbench.selftest.expectation import Expectation, from_records, read_expectation, write_expectation

if TYPE_CHECKING:
    from fgbench.runner.device import Precision
    from fgbench.runner.progress import Progress

_AGAIN = "Make new ones with 'fgbench selftest --write FILE', from a version that you trust."


def selftest(
    task: str | Sequence[str] | None = None,
    dataset: str | Sequence[str] | None = None,
    *,
    expected: Path | None = None,
    output: Path | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    progress: Progress | None = None,
    records: Path | None = None,
) -> Comparison:
    """Evaluate the miniature suite and compare every number with the expected one.

    It is an ordinary evaluation (:func:`fgbench.api.evaluate`); nothing that an earlier run stored is used.

    Args:
        task, dataset: narrow the datasets.
        expected: file of expected results; None for the one that comes with fgbench.
        output: results folder; None for one that is removed afterwards.
        device, precision, progress: as in :func:`fgbench.api.evaluate`.
        records: results folder of an evaluation of the suite; its records are compared, nothing is evaluated.

    Raises:
        UsageError: unknown names, or datasets without expected results.
        DataError: the file cannot be understood, or is of another version of the miniature suite.
        ModelError: the weights are not those that the expected results were measured with.
    """
    expectation = read_expectation(expected)
    if expectation.version != VERSION:
        raise DataError(
            f"The expected results are of version {expectation.version} of the miniature suite, this is version "
            f"{VERSION}: the numbers do not compare. {_AGAIN}"
        )
    chosen = _chosen(expectation, task, dataset)
    if records is not None:
        return _compare_records(expectation, chosen, records)
    _check_weights(expectation, {expectation.datasets[name].model for name in chosen})
    result = _run(expectation.model, chosen, output, device, precision, progress)
    reasons = {each.dataset: each.reason for each in result.not_evaluated}
    return compare(expectation, result.records, reasons)


def write_expected(
    path: Path,
    *,
    model: str | None = None,
    expected: Path | None = None,
    output: Path | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Expectation:
    """Evaluate the whole miniature suite and write its numbers as the expected ones.

    Args:
        path: file to write.
        model: model string; None for that of ``expected``.
        expected: file whose tolerance rule is taken over; None for the one that comes with fgbench.
        output, device, progress: as in :func:`selftest`.

    Raises:
        UsageError: the model cannot answer every dataset.
        StoreError: the file cannot be written.
    """
    before = read_expectation(expected)
    model = model or before.model
    names = [spec.id for _, spec in selection.select(None, None)]
    result = _run(model, names, output, device, "fp32", progress)
    if result.not_evaluated:
        listed = "; ".join(f"{each.dataset}: {each.reason}" for each in result.not_evaluated)
        raise UsageError(f"{model} was not evaluated on all datasets, nothing is written. {listed}")
    made = from_records(result.records, model=model, version=VERSION, rule=before.rule)
    write_expectation(made, path)
    return made


def _chosen(
    expectation: Expectation, task: str | Sequence[str] | None, dataset: str | Sequence[str] | None
) -> list[str]:
    """Ids of the selected datasets that have expected results."""
    names = [spec.id for _, spec in selection.select(task, dataset)]
    chosen = [name for name in names if name in expectation.datasets]
    lacking = [name for name in names if name not in expectation.datasets]
    if lacking and (dataset is not None or not chosen):
        raise UsageError(
            f"There are no expected results for {', '.join(lacking)}. There are for: {', '.join(expectation.datasets)}."
        )
    return chosen


def _compare_records(expectation: Expectation, chosen: Sequence[str], folder: Path) -> Comparison:
    """The records of the expected models in a results folder; those of other models are passed over."""
    found = {}
    for record in folder_of_results.records(folder):
        name, model = record["dataset"], record["model"]
        if name not in chosen or model["name"] != expectation.datasets[name].model:
            continue
        if model["sha256"] != expectation.weights[model["name"]]:
            raise ModelError(_other_weights(expectation, model["name"]))
        found[name] = record
    reasons = {
        name: f"{folder} has no record of {expectation.datasets[name].model} on it"
        for name in chosen
        if name not in found
    }
    return compare(expectation, [found[name] for name in chosen if name in found], reasons)


def _other_weights(expectation: Expectation, name: str) -> str:
    return (
        f"The weights of {name} are not those that the expected results were measured with (SHA-256 "
        f"{expectation.weights[name][:12]}…): the numbers do not compare. {_AGAIN}"
    )


def _check_weights(expectation: Expectation, wanted: set[str]) -> None:
    """Refuse weights that the expected results were not measured with, before a picture is opened."""
    from fgbench.runner.identity import weights_sha256

    for text in (expectation.model, declared_chat(expectation.model)):
        if text is None:
            continue
        model = load_model(text)
        name = model.info.name
        if name in wanted and weights_sha256(model.module) != expectation.weights[name]:
            raise ModelError(_other_weights(expectation, name))
        wanted = wanted - {name}
    if wanted:
        raise ModelError(
            f"The expected results are of {', '.join(sorted(wanted))}, which {expectation.model} does not stand for "
            f"any more. {_AGAIN}"
        )


def _run(
    model: str,
    datasets: Sequence[str],
    output: Path | None,
    device: str,
    precision: Precision,
    progress: Progress | None,
) -> Evaluation:
    with contextlib.nullcontext(output) if output else _temporary() as folder:
        result = evaluate(
            model,
            None,
            datasets,
            data_root="mini",
            output=folder,
            device=device,
            precision=precision,
            fresh=True,
            progress=progress,
        )
        return replace(result, folder=output or Path())


@contextlib.contextmanager
def _temporary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fgbench-selftest-") as folder:
        yield Path(folder)

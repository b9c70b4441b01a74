"""What a notebook calls; the command line is a thin user of it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgbench import selection
from fgbench.adapter import RegionMode
from fgbench.data.config import data_places
from fgbench.data.roots import resolve_root
from fgbench.errors import DataError, UsageError
from fgbench.models import declared_chat, load_model, parse
from fgbench.runner.launch import join
from fgbench.runner.plan import Plan, make_plan
from fgbench.runner.progress import Progress, Silent
from fgbench.runner.ranks import ALONE, Ranks

if TYPE_CHECKING:
    from fgbench.engines import Model
    from fgbench.results.record import Record
    from fgbench.runner.device import Precision
    from fgbench.runner.run import OnError
    from fgbench.spec import DatasetSpec

DEFAULT_OUTPUT = "results"


@dataclass(frozen=True)
class NotEvaluated:
    """A selected dataset without a result.

    Attributes:
        dataset, task: ids.
        reason: what is wrong and what to do.
        failed: True if its files are broken; False if files or a capability are lacking.
    """

    dataset: str
    task: str
    reason: str
    failed: bool

    @classmethod
    def of(cls, spec: DatasetSpec, problem: Exception | None) -> NotEvaluated:
        """From the problem that a plan or a run reports."""
        return cls(spec.id, spec.task, str(problem), isinstance(problem, DataError))


@dataclass(frozen=True)
class Evaluation:
    """Result of :func:`evaluate`.

    Attributes:
        records: one per evaluated dataset (docs/records.md).
        not_evaluated: the other selected datasets.
        folder: where the records were written.
        notes: remarks on the run.
    """

    records: tuple[Record, ...]
    not_evaluated: tuple[NotEvaluated, ...]
    folder: Path
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 everything was evaluated, 3 something is lacking, 1 something is broken."""
        return 1 if any(each.failed for each in self.not_evaluated) else 3 if self.not_evaluated else 0


def plan(
    task: str | Sequence[str] | None = None,
    dataset: str | Sequence[str] | None = None,
    *,
    data_root: str | Path | None = None,
    limit: int | None = None,
    files: Mapping[str, str | Path] | None = None,
    protocol: Mapping[str, str] | None = None,
) -> Plan:
    """Read the annotations of the selected datasets and say what would be encoded; loads no model.

    Args:
        task: task ids; None or ``all`` for every one.
        dataset: dataset ids; narrows the choice.
        data_root: folder with the datasets, or ``mini`` for a few generated pictures; None for the one that
            ``fgbench.toml`` names, else ``data``.
        limit: keep the first so many items of each subset.
        files: other places for files, by ``<dataset>.<role>``; they go before those in ``fgbench.toml``.
        protocol: choices that protocols leave open, by name (``fgbench show <dataset>`` lists them).

    Raises:
        UsageError: unknown ids, roles or choices, or a data root that does not exist.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; expected at least 1.")
    chosen = selection.choose(selection.select(task, dataset), protocol or {})
    data_root, files = data_places(data_root, files)
    return make_plan(chosen, resolve_root(data_root), overrides=overrides_by_dataset(files), limit=limit)


def evaluate(
    model: str | Model,
    task: str | Sequence[str] | None = None,
    dataset: str | Sequence[str] | None = None,
    *,
    data_root: str | Path | None = None,
    output: str | Path = DEFAULT_OUTPUT,
    device: str = "auto",
    precision: Precision = "fp32",
    region_mode: RegionMode | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    limit: int | None = None,
    on_error: OnError = "fail",
    fresh: bool = False,
    files: Mapping[str, str | Path] | None = None,
    protocol: Mapping[str, str] | None = None,
    chat: str | Model | None = None,
    save_visuals: int = 0,
    compile: bool = False,
    progress: Progress | None = None,
    distributed: bool = True,
) -> Evaluation:
    """Evaluate a model and write the results.

    Inside an initialised ``torch.distributed`` process group, or in a process that ``torchrun`` started, all ranks
    have to call this with the same arguments: they share the work, and get the same result (docs/scale.md).

    Args:
        model: a model string (``fgclip2``, ``openclip:ViT-B-16/openai``, a folder, …), or an adapter, generator or
            segmenter object.
        task, dataset, data_root, limit, files, protocol: as in :func:`plan`.
        output: results folder.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: of activations.
        region_mode: ``roi`` or ``crop``; None takes the model's own.
        batch_size: pictures per forward pass; None: 16, or on CUDA the most that fit (docs/scale.md).
        workers: loading processes; None chooses by device.
        on_error: ``fail`` leaves out a dataset with items that cannot be evaluated, ``skip`` evaluates the rest.
        fresh: forget stored embeddings of this model.
        chat: a chat model (one whose vision tower the model is) for the datasets that need generated text; None takes
            the one that is declared for the model, if any.
        save_visuals: pictures per dataset that show what the model did, where the task can draw.
        compile: run a dual encoder's repeated blocks compiled (torch.compile); the last bits of vectors change.
        progress: told how far the run is.
        distributed: False if this process evaluates alone although it is one of several.

    Returns:
        Records and what was not evaluated.

    Raises:
        UsageError: unknown names or options that contradict each other.
        ModelError: the checkpoint or the model's output is unusable.
        StoreError: results cannot be written.
        RankError: another process failed.
    """
    passed = {key: value for key, value in locals().items() if key not in {"model", "chat", "progress", "distributed"}}
    with join() if distributed else ALONE as ranks:
        for name in (model, chat):
            if isinstance(name, str):
                parse(name)  # a mistyped name is found before annotations are read and torch is imported
        data_root, files = data_places(data_root, files)
        ranks.first_does(lambda _: resolve_root(data_root), per_machine=True)  # it may have to be made
        selected = plan(task, dataset, data_root=data_root, limit=limit, files=files, protocol=protocol)
        found = [f"{each.spec.id}: {each.status}, {len(each.missing)} missing" for each in selected.datasets]
        ranks.agree("the plan (the datasets, and which of their files are there)", "\n".join(found))
        if all(planned.problem for planned in selected.datasets):
            # Nothing can be evaluated whatever the model: say so before gigabytes of weights are loaded.
            nothing = [NotEvaluated.of(planned.spec, planned.problem) for planned in selected.datasets]
            return Evaluation((), tuple(nothing), Path(output))

        from fgbench.engines import Settings
        from fgbench.evaluation import evaluate_part, split
        from fgbench.results.folder import write_csv

        root = Path(output)
        settings = Settings(device, precision, region_mode, batch_size, workers, fresh, root / "features", compile)
        effective = {
            **passed, "data_root": data_root, "files": files,
            "task": sorted({each.task.id for each in selected.datasets}),
            "dataset": [each.spec.id for each in selected.datasets],
        }  # fmt: skip
        chat = chat or (declared_chat(model) if isinstance(model, str) else None)
        parts = zip((model, chat), split(selected, chat=chat is not None), strict=True)
        finished = [
            evaluate_part(
                ranks.first_does(partial(_loaded, each), per_machine=True),
                part,
                settings if each is model else replace(settings, region_mode=None, compile=False),
                root,
                on_error=on_error,
                progress=progress or Silent(),
                passed=_plain(_non_default(passed)),
                effective=_plain(effective),
                save_visuals=save_visuals,
                ranks=ranks,
            )
            for each, part in parts
            if each is not None and part.datasets
        ]
        if ranks.first:
            write_csv(root)
        left = [outcome for part in finished for outcome in part.left]
        return _of_first(
            ranks,
            Evaluation(
                tuple(record for part in finished for record in part.records),
                tuple(NotEvaluated.of(outcome.planned.spec, outcome.problem) for outcome in left),
                next((part.folder for part in finished if part.folder), root),
                tuple(note for part in finished for note in part.notes),
            ),
        )


def _loaded(model: str | Model, ahead: bool) -> Model:
    """One process of each machine goes ahead: what has to be downloaded is there when the others load it."""
    return load_model(model) if isinstance(model, str) else model


def _of_first(ranks: Ranks, result: Evaluation) -> Evaluation:
    """The result of the rank that scored, on every rank."""
    own = {
        "records": result.records,
        "not_evaluated": [asdict(each) for each in result.not_evaluated],
        "folder": str(result.folder),
        "notes": result.notes,
    }
    found = ranks.gather(own if ranks.first else None)[0]
    left = tuple(NotEvaluated(**each) for each in found["not_evaluated"])
    return Evaluation(tuple(found["records"]), left, Path(found["folder"]), tuple(found["notes"]))


def overrides_by_dataset(files: Mapping[str, str | Path]) -> dict[str, dict[str, Path]]:
    """Places by dataset and role.

    Args:
        files: places by ``<dataset>.<role>``.

    Raises:
        UsageError: a key of another form, or an unknown dataset.
    """
    overrides: dict[str, dict[str, Path]] = {}
    for key, path in files.items():
        dataset, dot, role = key.partition(".")
        if not dot or not role:
            raise UsageError(f"{key!r}: expected <dataset>.<role>, for example coco.images.")
        selection.datasets().get(dataset)
        overrides.setdefault(dataset, {})[role] = Path(path).expanduser()
    return overrides


def _non_default(passed: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {name: each.default for name, each in inspect.signature(evaluate).parameters.items()}
    return {name: value for name, value in passed.items() if value != defaults[name]}


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as JSON; of paths only the last part, so that results carry nobody's folders."""
    plain: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in {"data_root", "output"}:
            plain[name] = Path(value).name
        elif name == "files":
            plain[name] = {key: Path(path).name for key, path in (value or {}).items()}
        else:
            plain[name] = value
    return plain

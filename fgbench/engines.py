"""From a loaded model to an engine that executes plans, and to what results say about the model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fgbench.adapter import Adapter, RegionMode
from fgbench.data.roots import cache_folder
from fgbench.errors import UsageError
from fgbench.generator import Generator
from fgbench.runner.device import Precision, choose_device, place
from fgbench.runner.identity import Identity, identify
from fgbench.runner.ranks import ALONE, Ranks
from fgbench.runner.store import AnswerStore, ChunkStore, FeatureStore
from fgbench.segmenter import Segmenter

if TYPE_CHECKING:
    import torch

    from fgbench.runner.engine import Engine

Store = TypeVar("Store", bound=ChunkStore)
Model = Adapter | Generator | Segmenter


@dataclass(frozen=True)
class Settings:
    """How a model is run.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: of activations.
        region_mode: ``roi`` or ``crop``; None takes the model's own.
        batch_size: pictures per forward pass; None: 16, or on CUDA the most that fit (chat models: 64 prompts).
        workers: loading processes; None chooses by device.
        fresh: forget what is stored of this model.
        features: folder of all models' stored embeddings and answers.
        compile: run the repeated blocks of a dual encoder compiled (torch.compile).
    """

    device: str
    precision: Precision
    region_mode: RegionMode | None
    batch_size: int | None
    workers: int | None
    fresh: bool
    features: Path
    compile: bool = False


@dataclass(frozen=True)
class Running:
    """A model at work.

    Attributes:
        engine: executes plans.
        name: of the model in results: with every choice of the run that changes its numbers.
        identity: of its weights.
        kind: ``dual encoder``, ``chat model`` or ``segmenter``.
        info: the adapter's facts.
        effective: what the settings came to.
        protocol: protocol fields that the run decides.
        stores: where its answers are.
    """

    engine: Engine
    name: str
    identity: Identity
    kind: str
    info: Any
    device: torch.device
    effective: Mapping[str, Any]
    protocol: Mapping[str, Any] = field(default_factory=dict)
    stores: tuple[ChunkStore, ...] = ()

    def protocol_of(self, *, uses_regions: bool) -> dict[str, Any]:
        """Protocol fields that the run decides, for a dataset with or without regions."""
        return {key: value for key, value in self.protocol.items() if key != "region_mode" or uses_regions}

    def notes(self) -> list[str]:
        """Remarks on the run."""
        damaged = sum(len(store.damaged) for store in self.stores)
        return [f"{damaged} damaged feature files were found and encoded again."] if damaged else []


def start(model: Model, settings: Settings, ranks: Ranks = ALONE) -> Running:
    """Move a model to its device and make the engine that runs it.

    Args:
        model: adapter, generator or segmenter.
        settings: how it is run.
        ranks: the processes that share the work; all of them call this.

    Raises:
        UsageError: settings that contradict each other or the model.
    """
    device = choose_device(settings.device, ranks)
    cuda = device.type == "cuda"
    batch_size = settings.batch_size if settings.batch_size is not None else 64 if cuda else 16
    workers = settings.workers
    if workers is None:
        workers = min(8, (os.cpu_count() or 1) - 1) if cuda else 0
    if batch_size < 1 or workers < 0:
        raise UsageError(f"batch_size is {batch_size} and workers is {workers}; expected at least 1 and 0.")
    effective = {"device": device.type, "batch_size": batch_size, "workers": workers}
    if settings.compile and not isinstance(model, Adapter):
        raise UsageError(f"--compile is for dual encoders, and {model.info.name} is none.")
    if isinstance(model, Adapter):
        return _dual_encoder(model, settings, device, effective, ranks)
    if settings.region_mode:
        raise UsageError(f"{model.info.name} has no region embeddings, so --region-mode is meaningless.")
    if isinstance(model, Generator):
        return _generator(model, settings, device, effective, ranks)
    return _segmenter(model, settings, device, effective, ranks)


def _dual_encoder(
    adapter: Adapter, settings: Settings, device: torch.device, effective: Mapping[str, Any], ranks: Ranks
) -> Running:
    from fgbench.runner.compiling import repeated_blocks
    from fgbench.runner.embedding import EmbeddingEngine
    from fgbench.runner.encode import Encoder

    info = adapter.info
    mode = settings.region_mode or info.region_default
    if mode == "roi" and info.dense is None:
        raise UsageError(f"{info.name} has no dense features, so --region-mode roi is impossible. Use crop.")
    identity, folder = _placed(adapter, settings, device, ranks)
    store = _opened(FeatureStore, folder, settings, ranks)
    answers = _opened(AnswerStore, folder / "answers", settings, ranks)
    if settings.batch_size is None and device.type == "cuda":
        effective = {**effective, "batch_size": _largest_batch(adapter, settings, device, identity, ranks)}
    encoder = Encoder(
        adapter,
        device,
        settings.precision,
        effective["batch_size"],
        effective["workers"],
        store,
        answers,
        compiled=repeated_blocks(adapter.module, info.name) if settings.compile else (),
    )
    extras: dict[str, str] = {} if mode == info.region_default else {"region": mode}
    if settings.compile:
        extras["compile"] = "true"
    return Running(
        EmbeddingEngine(encoder, mode, ranks),
        _result_name(info.name, settings.precision, extras),
        identity,
        "dual encoder",
        info,
        device,
        {**effective, "region_mode": mode},
        {"region_mode": mode},
        (store, answers),
    )


def _generator(
    generator: Generator, settings: Settings, device: torch.device, effective: Mapping[str, Any], ranks: Ranks
) -> Running:
    from fgbench.runner.generation import GenerationEngine

    identity, folder = _placed(generator, settings, device, ranks)
    store = _opened(AnswerStore, folder, settings, ranks)
    return Running(
        GenerationEngine(generator, device, settings.precision, effective["batch_size"], store, ranks),
        _result_name(generator.info.name, settings.precision, {}),
        identity,
        "chat model",
        generator.info,
        device,
        effective,
        {"frame": generator.info.frame},
        (store,),
    )


def _segmenter(
    segmenter: Segmenter, settings: Settings, device: torch.device, effective: Mapping[str, Any], ranks: Ranks
) -> Running:
    from fgbench.runner.segmenting import SegmenterEngine

    identity, folder = _placed(segmenter, settings, device, ranks)
    store = _opened(AnswerStore, folder, settings, ranks)
    return Running(
        SegmenterEngine(segmenter, device, settings.precision, store, ranks),
        _result_name(segmenter.info.name, settings.precision, {}),
        identity,
        "segmenter",
        segmenter.info,
        device,
        effective,
        {"id": segmenter.info.protocol, "trained_on": segmenter.info.trained_on},
        (store,),
    )


def _placed(model: Model, settings: Settings, device: torch.device, ranks: Ranks) -> tuple[Identity, Path]:
    """Move a model to its device; who it is, the same on all ranks, and the folder of its stores."""
    place(model.module, device)
    identity = identify(model, settings.precision + " compiled" * settings.compile)
    ranks.agree("the model (its weights, settings and code)", identity.fingerprint)
    return identity, settings.features / identity.fingerprint


def _largest_batch(adapter: Adapter, settings: Settings, device: torch.device, identity: Identity, ranks: Ranks) -> int:
    """The largest batch that fits on every rank's device."""
    from fgbench.runner.batch_size import key_of, largest_for, remembered

    found = remembered(
        cache_folder() / "batch-sizes.json",
        key_of(device, identity.fingerprint),
        lambda: largest_for(adapter, device, settings.precision),
        write=not ranks.local_rank,
    )
    return min(int(each) for each in ranks.gather(found))


def _opened(kind: type[Store], folder: Path, settings: Settings, ranks: Ranks) -> Store:
    """Open a store; one rank removes what does not belong there, before the others look."""
    return ranks.first_does(lambda ahead: kind(folder, fresh=settings.fresh and ahead, tidy=ahead))


def _result_name(name: str, precision: Precision, extras: Mapping[str, str]) -> str:
    if precision != "fp32":
        extras = {**extras, "precision": precision}
    return with_choices(name, extras)


def with_choices(name: str, choices: Mapping[str, str]) -> str:
    """A model's name in results, with choices of the run that change its numbers."""
    listed = "&".join(f"{key}={value}" for key, value in choices.items())
    return name + ("&" if "?" in name else "?") * bool(listed) + listed

"""``fgbench.check_adapter``: does a model keep the contract of :mod:`fgbench.adapter`? In seconds, without data."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from fgbench.adapter import Adapter, AdapterInfo
from fgbench.adapter_kit import checks_declared, checks_dense, checks_pictures, checks_texts, samples
from fgbench.adapter_kit.findings import (
    AdapterReport,
    Check,
    Finding,
    explain,
    not_applicable,
    passed,
    warned,
)
from fgbench.adapter_kit.subject import Subject
from fgbench.models import load_adapter
from fgbench.runner.device import choose_device

_MEMBERS = ("info", "module", "preprocessor", "encode_images", "encode_texts")
_SECONDS = 1.0
"""How long speed is measured for pictures, and for texts."""


class _Section(NamedTuple):
    """Checks of which the first one has to pass for the others to make sense.

    Attributes:
        checks: name and function.
        why_not: why the section does not apply to a model, or an empty text.
    """

    checks: Sequence[tuple[str, Callable[[Subject], Finding]]]
    why_not: Callable[[Subject], str] = lambda _: ""


def _normalised(subject: Subject) -> Finding:
    """Vectors come as the model makes them; dividing by the norm is the engine's business."""
    found = {
        "pictures": torch.cat([subject.alone(image).pooled for image in samples.pictures()]),
        "texts": torch.cat([subject.texts(samples.TEXTS, kind).vectors for kind in subject.paths().values()]),
    }
    unit = [name for name, rows in found.items() if bool(((rows.float().norm(dim=-1) - 1).abs() < 1e-3).all())]
    if unit:
        return warned(
            f"all vectors of {' and '.join(unit)} have length 1. The engine normalises, in float32: return the vectors "
            "as they are."
        )
    norms = {name: float(rows.float().norm(dim=-1).mean()) for name, rows in found.items()}
    return passed(
        "left to the engine: mean length " + ", ".join(f"{norm:.3g} ({name})" for name, norm in norms.items())
    )


def _speed(subject: Subject) -> Finding:
    """How fast, in rough numbers."""
    images, texts = samples.same_size(8), [f"{text} {number}" for number in range(4) for text in samples.TEXTS]
    start = time.perf_counter()
    prepared = [subject.prepare(image) for image in images]
    loading = (time.perf_counter() - start) / len(images)
    kind = next(iter(subject.paths().values()))
    values = {
        "images_per_second": _rate(lambda: subject.images(prepared), len(images)),
        "texts_per_second": _rate(lambda: subject.texts(texts, kind), len(texts)),
        "preprocess_seconds": loading,
    }
    text = (
        f"{_round(values['images_per_second'])} pictures/s in batches of {len(images)}, "
        f"{_round(values['texts_per_second'])} texts/s in batches of {len(texts)}; preprocessing "
        f"{_round(loading * 1000)} ms per picture"
    )
    return Finding("info", text, values)


def _rate(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for calls in itertools.count(1):
        call()
        spent = time.perf_counter() - start
        if spent >= _SECONDS:
            return calls * count / spent
    raise AssertionError


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


_SECTIONS = (
    _Section((("declared facts", checks_declared.facts),)),
    _Section((("weights", checks_declared.weights),)),
    _Section(
        (
            ("pickled size", checks_declared.pickles),
            ("view names", checks_declared.views),
            ("tensors of a view", checks_declared.tensors),
        )
    ),
    _Section(
        (
            ("picture shapes", checks_pictures.shapes),
            ("picture values", checks_pictures.values),
            ("same picture twice", checks_pictures.twice),
            ("picture in a batch", checks_pictures.together),
            ("mixed sizes", checks_pictures.mixed),
            ("picture formats", checks_pictures.formats),
            ("extreme sizes", checks_pictures.extremes),
        )
    ),
    _Section(
        (
            ("dense features", checks_dense.returned),
            ("dense in a batch", checks_dense.together),
            ("dense and global", checks_dense.pooled),
            ("dense coverage", checks_dense.covers),
            ("dense order", checks_dense.order),
            ("window", checks_dense.window),
            ("whole-picture box", checks_dense.regions),
        ),
        lambda subject: "" if subject.info.dense is not None else "info.dense is None: boxes become crops",
    ),
    _Section(
        (
            ("text shapes", checks_texts.shapes),
            ("text values", checks_texts.values),
            ("no texts", checks_texts.nothing),
            ("same text twice", checks_texts.twice),
            ("text in a batch", checks_texts.together),
            ("text paths", checks_texts.paths),
            ("text length", checks_texts.length),
            ("special tokens", checks_texts.specials),
            ("odd texts", checks_texts.odd),
            ("Chinese", checks_texts.chinese),
        )
    ),
    _Section((("normalisation", _normalised),)),
    _Section((("speed", _speed),)),
)


def check_adapter(
    adapter: str | Adapter, *, device: str = "auto", tell: Callable[[Check], None] = lambda _: None
) -> AdapterReport:
    """Check a model against the contract, on generated pictures and texts.

    Args:
        adapter: a model string or an adapter object; its module is moved to the device, in evaluation mode.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        tell: called with every check as soon as it is made.

    Returns:
        Every check with what was found; ``report.passed`` if none failed.

    Raises:
        UsageError: an unknown model string or device.
        ModelError: the checkpoint cannot be used.
    """
    chosen = choose_device(device)
    model = load_adapter(adapter) if isinstance(adapter, str) else adapter
    checks: list[Check] = []

    def add(check: Check) -> bool:
        checks.append(check)
        tell(check)
        return check.status != "fail"

    members = _members(model)
    if add(Check("members", members.status, members.text)):
        model.module.to(chosen).eval()
        subject = Subject(model, chosen)
        for section in _SECTIONS:
            reason = section.why_not(subject)
            for name, function in section.checks:
                good = add(_make(name, function, subject, reason))
                if not good and name == section.checks[0][0]:
                    reason = f"needs '{name}'"
    name = getattr(getattr(model, "info", None), "name", type(model).__name__)
    return AdapterReport(str(name), str(chosen), tuple(checks))


def _make(name: str, function: Callable[[Subject], Finding], subject: Subject, reason: str) -> Check:
    if reason:
        return Check(name, *not_applicable(reason))
    try:
        return Check(name, *function(subject))
    except Exception as error:  # noqa: BLE001 - somebody else's code, which may raise anything
        return Check(name, "fail", explain(error))


def _members(model: object) -> Finding:
    lacking = [name for name in _MEMBERS if not hasattr(model, name)]
    if lacking:
        return Finding(
            "fail", f"{type(model).__name__} has no {', '.join(lacking)}; an adapter has {', '.join(_MEMBERS)}."
        )
    info, module, preprocessor = (getattr(model, name) for name in _MEMBERS[:3])
    if not isinstance(info, AdapterInfo):
        return Finding("fail", f"info is a {type(info).__name__}; expected fgbench.adapter.AdapterInfo.")
    if not isinstance(module, torch.nn.Module):
        return Finding("fail", f"module is a {type(module).__name__}; expected a torch.nn.Module with all weights.")
    if not callable(preprocessor) or not callable(getattr(preprocessor, "view", None)):
        return Finding("fail", "preprocessor cannot be called or has no method 'view'; expected both.")
    return passed(", ".join(_MEMBERS))

"""Checks of what an adapter says about itself, of its weights, and of its preprocessor."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from fgbench.adapter import AdapterInfo, Preprocessor, Purpose
from fgbench.adapter_kit import samples
from fgbench.adapter_kit.findings import ContractError, Finding, not_applicable, passed
from fgbench.adapter_kit.subject import KINDS, Prepared, Subject

MAX_PICKLE = 5_000_000
"""Bytes; the preprocessor is sent to every worker process."""

_SIZES = (*samples.SIZES, *samples.EXTREME_SIZES, (640, 480), (1600, 1200))
_BUDGETS = (None, 128, 1024)


def facts(subject: Subject) -> Finding:
    """``info`` is complete and consistent."""
    info = subject.info
    problems = list(_problems(info))
    if problems:
        raise ContractError("; ".join(problems) + ".")
    dense = f"dense: {info.dense}" if info.dense else "no dense features"
    return passed(f"D {info.dim}, {', '.join(info.languages)}, {dense}, boxes by {info.region_default}")


def _problems(info: AdapterInfo) -> Iterator[str]:
    for name in ("name", "family", "source", "preprocess"):
        if not isinstance(getattr(info, name), str) or not getattr(info, name):
            yield f"{name} is {getattr(info, name)!r}, expected a text"
    if not isinstance(info.dim, int) or info.dim < 1:
        yield f"dim is {info.dim!r}, expected a positive whole number"
    for name in ("text_length", "text_path"):
        lacking = [kind for kind in KINDS if kind not in getattr(info, name)]
        if lacking:
            yield f"{name} lacks {', '.join(lacking)}, expected an entry for each of {', '.join(KINDS)}"
    for kind, length in info.text_length.items():
        if not isinstance(length, int) or length < 1:
            yield f"text_length[{kind!r}] is {length!r}, expected a positive number of tokens"
    lengths: dict[str, set[int]] = {}
    for kind, path in info.text_path.items():
        lengths.setdefault(path, set()).add(info.text_length.get(kind, 0))
    for path, found in lengths.items():
        if len(found) > 1:
            yield (
                f"text_path {path!r} has the text lengths {sorted(found)}, expected one length per path: equal texts "
                "of one path are encoded once"
            )
    if isinstance(info.languages, str) or not info.languages:
        yield f"languages is {info.languages!r}, expected a tuple such as ('en', 'zh')"
    for tag in info.languages if isinstance(info.languages, tuple) else ():
        if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*", tag):
            yield f"languages has {tag!r}, expected BCP 47 tags such as 'en' or 'zh-Hans'"
    if info.region_default not in ("roi", "crop") or (info.region_default == "roi" and info.dense is None):
        yield f"region_default is {info.region_default!r}, dense {info.dense!r}; expected 'crop', or 'roi' with dense"
    if info.dense_pooling not in ("raw", "token-normalised"):
        yield f"dense_pooling is {info.dense_pooling!r}, expected 'raw' or 'token-normalised'"
    if info.window is not None and (not isinstance(info.window, int) or info.window < 2):
        yield f"window is {info.window!r}, expected the side of the square input in pixels (at least 2), or None"
    try:
        json.dumps(dataclasses.asdict(info))
    except (TypeError, ValueError) as error:
        yield f"it cannot be written to a result ({error}), expected plain texts, numbers and true or false"


def weights(subject: Subject) -> Finding:
    """Parameters are float32 and on the device."""
    parameters = list(subject.adapter.module.named_parameters())
    if not parameters:
        return not_applicable("module has no parameters; weights kept elsewhere do not move to the device")
    for name, parameter in parameters:
        if parameter.is_floating_point() and parameter.dtype != torch.float32:
            raise ContractError(
                f"{name} is {str(parameter.dtype).removeprefix('torch.')}; expected float32. Call module.float() after "
                "loading: precision is the user's choice (--precision)."
            )
        if parameter.device.type != subject.device.type:
            raise ContractError(
                f"{name} is on {parameter.device} after module.to({subject.device}); expected it to move."
            )
    return passed(f"{sum(parameter.numel() for _, parameter in parameters):,} parameters, float32")


def pickles(subject: Subject) -> Finding:
    """The preprocessor can be sent to worker processes."""
    preprocessor = subject.adapter.preprocessor
    try:
        size = len(pickle.dumps(preprocessor))
        _copy(preprocessor)
    except Exception as error:
        raise ContractError(
            f"the preprocessor cannot be pickled ({type(error).__name__}: {error}). Expected an object of a class at "
            "the top level of a module, without lambdas and open files: it runs in worker processes."
        ) from error
    if size >= MAX_PICKLE:
        raise ContractError(
            f"the preprocessor is {size:,} bytes when pickled; expected less than {MAX_PICKLE:,}. Keep weights out of "
            "it: every worker process gets a copy."
        )
    return passed(f"{size:,} bytes")


def views(subject: Subject) -> Finding:
    """``view`` names treatments, and the same ones each time."""
    preprocessor = subject.adapter.preprocessor
    first = _names(preprocessor, subject.purposes)
    for arguments, name in first.items():
        if not isinstance(name, str) or not name:
            raise ContractError(f"view{arguments} returned {name!r}; expected a short text such as 'squash-224'.")
    again: dict[str, Callable[[], Preprocessor]] = {
        "when called again": lambda: preprocessor,
        "from a pickled copy": lambda: _copy(preprocessor),
    }
    for when, make in again.items():
        second = _names(make(), subject.purposes)
        for arguments, name in first.items():
            if second[arguments] != name:
                raise ContractError(
                    f"view{arguments} returned {name!r}, and {second[arguments]!r} {when}. Expected a name that "
                    "follows from the arguments alone."
                )
    names = list(dict.fromkeys(first.values()))
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return passed(", ".join(names[:4]) + more)


def tensors(subject: Subject) -> Finding:
    """Equal views of a picture give equal tensors that can be stacked with others of the view."""
    preprocessor = subject.adapter.preprocessor
    images = samples.pictures()
    groups: dict[str, Prepared] = {}
    for purpose in subject.purposes:
        for number, image in enumerate(images):
            before = image.tobytes()
            found = subject.prepare(image, purpose)
            if image.tobytes() != before:
                raise ContractError("the preprocessor changes the picture it is given; expected a copy to be changed.")
            # Whatever was asked in between must not matter, nor in which process it is done.
            preprocessor.view("global", (1600, 1200), 1024)
            subject.prepare(images[number - 1], "global")
            for when, other in (("when called again", preprocessor), ("in a pickled copy", _copy(preprocessor))):
                _compare(found, other(image, found.view), when)
            _stackable(groups.setdefault(found.view, found), found)
    shapes = [f"{name} {list(each.shape)} {_dtype(each)}" for name, each in next(iter(groups.values())).tensors.items()]
    return passed(", ".join(shapes))


def _names(preprocessor: Preprocessor, purposes: tuple[Purpose, ...]) -> dict[tuple[Any, ...], str]:
    return {
        (purpose, size, budget): preprocessor.view(purpose, size, budget)
        for purpose in purposes
        for size in _SIZES
        for budget in _BUDGETS
    }


def _copy(preprocessor: Preprocessor) -> Preprocessor:
    copy: Preprocessor = pickle.loads(pickle.dumps(preprocessor))  # noqa: S301 - our own bytes
    return copy


def _compare(found: Prepared, again: Any, when: str) -> None:
    for name, tensor in found.tensors.items():
        if not torch.equal(tensor, again[name]):
            raise ContractError(
                f"{name!r} of one picture differs {when}, with the same view {found.view!r}. Expected equal tensors: "
                "no random crop or flip, nothing remembered from other calls."
            )


def _stackable(first: Prepared, other: Prepared) -> None:
    for name, tensor in first.tensors.items():
        found = other.tensors.get(name)
        if found is None or found.dtype != tensor.dtype or found.shape[1:] != tensor.shape[1:]:
            shown = "nothing" if found is None else f"{list(found.shape)} {_dtype(found)}"
            raise ContractError(
                f"the view {first.view!r} gives {name!r} as {list(tensor.shape)} {_dtype(tensor)} and as {shown}. "
                "Pictures of one view are stacked: expected the same shape apart from the first dimension. Give other "
                "shapes another view."
            )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")

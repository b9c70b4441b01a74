from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fgbench.runner.identity import Identity, identify

from ..fakes import FakeAdapter, FakePreprocessor


class ChildAdapter(FakeAdapter):
    """The same facts and weights, another file of code."""


class ChildPreprocessor(FakePreprocessor):
    """Likewise."""


def weights(adapter: FakeAdapter) -> str:
    return identify(adapter, "fp32").weights_sha256


def fingerprint(adapter: FakeAdapter) -> str:
    return identify(adapter, "fp32").fingerprint


def with_module(module: nn.Module) -> FakeAdapter:
    adapter = FakeAdapter()
    adapter.module = module
    return adapter


def test_the_same_model_is_the_same_twice() -> None:
    assert identify(FakeAdapter(), "fp32") == identify(FakeAdapter(), "fp32")


def test_the_fingerprint_can_name_a_folder() -> None:
    found: Identity = identify(FakeAdapter(), "fp32")
    assert len(found.fingerprint) == 32
    assert set(found.fingerprint) <= set("0123456789abcdef")
    assert found.parameters == 3 * 8


def test_one_bit_of_one_weight_is_another_model() -> None:
    one, other = FakeAdapter(), FakeAdapter()
    with torch.no_grad():
        values = other.module.get_parameter("weight").view(torch.int32)
        values[1, 2] ^= 1
    assert weights(one) != weights(other)
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"budget": 256}},
        {"dense_pooling": "token-normalised"},
        {"text_length": {"short": 31, "box": 30, "long": 60}},
        {"text_path": {"short": "plain", "box": "box", "long": "long"}},
        {"preprocess": "another"},
        {"files": {"tokenizer.json": "0" * 64}},
        {"dense": "another head"},
        {"dim": 9},
        {"revision": "abc"},
    ],
)
def test_whatever_changes_embeddings_changes_the_fingerprint(change: dict[str, Any]) -> None:
    changed = FakeAdapter()
    changed.info = dataclasses.replace(changed.info, **change)
    assert fingerprint(changed) != fingerprint(FakeAdapter())
    assert weights(changed) == weights(FakeAdapter())


@pytest.mark.parametrize("field", ["name", "notes", "paper", "licence", "source", "region_default"])
def test_labels_do_not(field: str) -> None:
    changed = FakeAdapter()
    change: dict[str, Any] = {field: "something else"}
    changed.info = dataclasses.replace(changed.info, **change)
    assert fingerprint(changed) == fingerprint(FakeAdapter())


def test_precision_changes_the_fingerprint_but_not_the_weights() -> None:
    adapter = FakeAdapter()
    assert identify(adapter, "fp32").fingerprint != identify(adapter, "bf16").fingerprint
    assert identify(adapter, "fp32").weights_sha256 == identify(adapter, "bf16").weights_sha256


def test_the_code_of_adapter_and_preprocessor_counts() -> None:
    prepared = FakeAdapter()
    prepared.preprocessor = ChildPreprocessor()
    assert len({fingerprint(each) for each in (FakeAdapter(), ChildAdapter(), prepared)}) == 3


def test_a_class_without_a_source_file_can_be_identified() -> None:
    """As in a notebook."""
    made = type("Made", (FakeAdapter,), {"__module__": "nowhere"})
    assert fingerprint(made()) not in {"", fingerprint(FakeAdapter())}


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(2, 3, dtype=torch.bfloat16),
        torch.ones(2, 3, dtype=torch.float16),
        torch.ones(3, dtype=torch.int64),
        torch.tensor(True),
        torch.zeros(0, 4),
        torch.tensor(2.5),
        torch.arange(6.0).reshape(2, 3).T,
    ],
)
def test_buffers_of_every_type_and_shape_count(tensor: torch.Tensor) -> None:
    module, another = nn.Module(), nn.Module()
    module.register_buffer("x", tensor)
    another.register_buffer("x", tensor[None] if tensor.numel() == 0 else torch.zeros_like(tensor))
    assert weights(with_module(module)) != weights(with_module(another))
    assert weights(with_module(module)) == weights(with_module(module))


def test_the_same_bytes_under_another_name_or_shape_are_other_weights() -> None:
    found = set()
    for name, shape in (("x", (2, 3)), ("y", (2, 3)), ("x", (3, 2)), ("x", (6,))):
        module = nn.Module()
        module.register_buffer(name, torch.arange(6.0).reshape(shape))
        found.add(weights(with_module(module)))
    assert len(found) == 4


def test_a_change_in_another_module_of_the_package_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter is often a thin class over a network in the module beside it."""
    package = tmp_path / "some_adapters"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "network.py").write_text("LAYERS = 1\n")
    (package / "adapter.py").write_text("class Mixin:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    mixin = importlib.import_module("some_adapters.adapter").Mixin
    kind = type("Made", (FakeAdapter,), {"__module__": mixin.__module__})
    before = fingerprint(kind())
    (package / "network.py").write_text("LAYERS = 2\n")
    assert fingerprint(kind()) != before

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fgbench.errors import UsageError
from fgbench.runner.compiling import compiled, repeated_blocks


class Layer(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(2))

    def forward(self, values: Tensor) -> Tensor:
        for linear in self.inner:
            values = torch.tanh(linear(values))
        return values


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.layers = nn.ModuleList(Layer() for _ in range(3))
        self.drops = nn.ModuleList(nn.Dropout(0.0) for _ in range(3))
        self.single = nn.ModuleList([Layer()])

    def forward(self, values: Tensor) -> Tensor:
        values = self.stem(values)
        for layer in self.layers:
            values = layer(values)
        return values


def test_layers_of_one_class_are_found_and_nothing_inside_them() -> None:
    network = nn.ModuleDict({"vision": Tower(), "text": Tower()})
    towers: Any = network.values()
    # A list of one layer repeats nothing, but the two modules inside that layer do.
    expected = [[*tower.layers, *tower.single[0].inner] for tower in towers]
    assert repeated_blocks(network, "x") == expected[0] + expected[1]


def test_a_network_without_repetition_is_refused() -> None:
    with pytest.raises(UsageError, match="--compile: my model has no repeated blocks"):
        repeated_blocks(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), "my model")


def test_blocks_are_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    tower = Tower()

    def own(values: Tensor) -> Tensor:
        return values + 1

    tower.layers[1].forward = own
    calls: list[bool] = []

    def compile_(function: Any, *, dynamic: bool) -> Any:
        calls.append(dynamic)
        return lambda values: 10 * function(values)

    monkeypatch.setattr("torch.compile", compile_)
    values = torch.ones(1, 4)
    blocks = repeated_blocks(tower, "x")

    def fail_inside() -> None:
        with compiled(blocks):
            assert torch.equal(tower.layers[1](values), torch.full((1, 4), 20.0))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_inside()
    assert calls == [True] * len(blocks)
    assert torch.equal(tower.layers[1](values), torch.full((1, 4), 2.0))
    assert "forward" not in tower.layers[0].__dict__


@pytest.mark.skipif(shutil.which("g++") is None, reason="PyTorch compiles with g++ on a CPU")
def test_all_layers_and_sizes_share_one_compilation() -> None:
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    tower = Tower()
    sizes = (2, 5, 3)
    inputs = [torch.linspace(-1, 1, 4 * size).view(size, 4) for size in sizes]
    with torch.inference_mode():
        expected = [tower(values) for values in inputs]
        with compiled(list(tower.layers)):
            found = [tower(values) for values in inputs]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert counters["stats"]["unique_graphs"] == 1

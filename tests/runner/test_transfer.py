from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fgbench.requests import Request
from fgbench.runner import encode as encode_module
from fgbench.runner.transfer import Transfer, collate, host_inputs

from ..fakes import CPU, FakeAdapter, FakePreprocessor, fake_encoder
from .encoding import encode, mixed

CUDA = torch.device("cuda")


class TestCollate:
    def test_equal_shapes_are_stacked(self) -> None:
        inputs = [{"x": torch.full((2, 3), float(n)), "y": torch.tensor(n)} for n in range(3)]
        batch = collate(inputs, CPU)
        assert batch["x"].shape == (3, 2, 3)
        assert batch["x"][:, 1, 2].tolist() == [0.0, 1.0, 2.0]
        assert batch["y"].tolist() == [0, 1, 2]

    def test_shorter_ones_are_padded_with_zeros_at_the_end(self) -> None:
        batch = collate([{"x": torch.ones(n, 2, dtype=torch.uint8)} for n in (1, 3, 2)], CPU)
        assert batch["x"].dtype == torch.uint8
        assert batch["x"][:, :, 0].tolist() == [[1, 0, 0], [1, 1, 1], [1, 1, 0]]

    def test_what_the_host_needs_stays_there(self) -> None:
        batch = collate([{"x": torch.ones(2), "shape": torch.tensor([1, 2])}] * 2, torch.device("meta"), ("shape",))
        assert batch["x"].device.type == "meta"
        assert batch["shape"].tolist() == [[1, 2], [1, 2]]

    def test_a_preprocessor_may_name_such_tensors(self) -> None:
        class Naming(FakePreprocessor):
            host_inputs = ("grid",)

        assert host_inputs(FakePreprocessor()) == ()
        assert host_inputs(Naming()) == ("grid",)


class Machine:
    """Streams that write down what is asked of them, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.current = "model"

    def install(self, patch: pytest.MonkeyPatch) -> None:
        machine = self

        class Stream:
            def __init__(self, name: Any) -> None:
                self.name = name

            def record_event(self) -> str:
                return "copied"

            def wait_event(self, event: str) -> None:
                machine.said.append(f"{self.name} waits until {event}")

        @contextlib.contextmanager
        def stream(on: Stream) -> Iterator[None]:
            machine.current, before = "copy", machine.current
            yield
            machine.current = before

        patch.setattr(torch.cuda, "Stream", Stream)
        patch.setattr(torch.cuda, "stream", stream)
        patch.setattr(torch.cuda, "current_stream", lambda: Stream(machine.current))


class Pixels:
    """A tensor on the device."""

    device = CUDA

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def record_stream(self, stream: Any) -> None:
        self.machine.said.append(f"kept for {stream.name}")


class TestTransfer:
    def test_a_cpu_makes_batches_when_it_is_their_turn(self) -> None:
        said: list[str] = []

        def load(item: int) -> dict[str, Tensor]:
            said.append(f"load {item}")
            return {"x": torch.tensor(item)}

        for item, batch in Transfer(CPU)(range(3), load):
            assert batch is not None
            assert batch["x"] == item
            said.append(f"use {item}")
        assert said == ["load 0", "use 0", "load 1", "use 1", "load 2", "use 2"]

    def test_cuda_copies_one_ahead_on_its_own_stream(self, monkeypatch: pytest.MonkeyPatch) -> None:
        machine = Machine()
        machine.install(monkeypatch)

        def load(item: int) -> dict[str, Any]:
            machine.said.append(f"load {item} on {machine.current}")
            return {"x": Pixels(machine), "host": torch.tensor(item)}

        for item, _ in Transfer(CUDA)(range(3), load):
            machine.said.append(f"use {item} on {machine.current}")
        ready = ["model waits until copied", "kept for model"]
        assert machine.said == [
            *("load 0 on copy", *ready),
            *("load 1 on copy", "use 0 on model", *ready),
            *("load 2 on copy", "use 1 on model", *ready),
            "use 2 on model",
        ]

    def test_without_items_there_is_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Machine().install(monkeypatch)
        assert list(Transfer(CUDA)([], lambda _: {})) == []

    def test_no_memory_for_a_batch_is_left_to_its_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Machine().install(monkeypatch)

        def load(item: int) -> dict[str, Tensor]:
            if item == 1:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return {"x": torch.tensor(item)}

        assert [batch is None for _, batch in Transfer(CUDA)(range(3), load)] == [False, True, False]

    def test_other_errors_are_errors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Machine().install(monkeypatch)

        def load(item: int) -> dict[str, Tensor]:
            raise RuntimeError("sizes differ")

        with pytest.raises(RuntimeError, match="sizes differ"):
            list(Transfer(CUDA)([1], load))


class Ahead(Transfer):
    """The order of CUDA with the tensors of the CPU, and no memory for every third batch."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.loaded = 0

    def __call__(self, items: Any, load: Any) -> Iterator[Any]:
        waiting = []
        for item in items:
            self.loaded += 1
            waiting.append((item, None if self.loaded % 3 == 0 else load(item)))
            if len(waiting) > 1:
                yield waiting.pop(0)
        yield from waiting


@pytest.mark.parametrize("memory", [None, 2])
def test_the_order_of_cuda_changes_no_row(tmp_path: Path, memory: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: Sequence[Request] = mixed(tmp_path / "pictures")
    expected = encode(fake_encoder(FakeAdapter(), tmp_path / "turn"), requests)
    monkeypatch.setattr(encode_module, "Transfer", Ahead)
    adapter = FakeAdapter()
    adapter.memory = memory
    found = encode(fake_encoder(adapter, tmp_path / "ahead"), requests)
    assert all((one == other).all() for one, other in zip(found, expected, strict=True))
    assert {path.name: path.read_bytes() for path in (tmp_path / "ahead").glob("*.safetensors")} == {
        path.name: path.read_bytes() for path in (tmp_path / "turn").glob("*.safetensors")
    }

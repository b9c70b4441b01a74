from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbench.errors import ModelError, UsageError
from fgbench.runner import device as device_module
from fgbench.runner.device import BatchRunner, Precision, choose_device, computing, place
from fgbench.runner.identity import weights_sha256


class Machine:
    """Doubles its inputs, as long as not more than ``memory`` of them come at a time."""

    def __init__(self, memory: int, error: BaseException | None = None) -> None:
        self.memory = memory
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")
        self.tried: list[int] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.tried.append(len(items))
        if len(items) > self.memory:
            raise self.error
        return [2 * item for item in items]


class TestBatchRunner:
    def test_a_batch_that_fits_is_one_call(self) -> None:
        machine, runner = Machine(8), BatchRunner()
        assert runner(machine, range(8)) == [[0, 2, 4, 6, 8, 10, 12, 14]]
        assert (machine.tried, runner.splits) == ([8], 0)

    @settings(max_examples=50)
    @given(st.integers(1, 12), st.integers(1, 24))
    def test_whatever_fits_the_result_is_the_same(self, memory: int, count: int) -> None:
        machine, runner = Machine(memory), BatchRunner()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device_module, "release", lambda: None)  # collecting garbage takes its time
            parts = runner(machine, range(count))
        assert [value for part in parts for value in part] == [2 * item for item in range(count)]
        assert (runner.splits > 0) == (count > memory)

    def test_it_halves_and_remembers(self) -> None:
        machine, runner = Machine(3), BatchRunner()
        runner(machine, range(10))
        assert machine.tried == [10, 5, 3, 2, 3, 2]
        assert runner.splits == 2
        machine.tried.clear()
        runner(machine, range(10))
        assert machine.tried == [3, 3, 3, 1], "what has failed once is not tried again"

    @pytest.mark.parametrize(
        "error",
        [
            MemoryError(),
            RuntimeError("CUDA error: out of memory"),
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
            RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
            RuntimeError("MPS backend out of memory (MPS allocated: 5.05 GB)"),
        ],
    )
    def test_every_way_to_run_out_of_memory_is_known(self, error: BaseException) -> None:
        assert BatchRunner()(Machine(2, error), range(4)) == [[0, 2], [4, 6]]

    @pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("x")])
    def test_other_errors_are_not_retried(self, error: BaseException) -> None:
        machine = Machine(2, error)
        with pytest.raises(type(error), match=str(error)):
            BatchRunner()(machine, range(4))
        assert machine.tried == [4]

    def test_one_item_that_does_not_fit_is_a_model_error(self) -> None:
        with pytest.raises(ModelError, match=r"Out of memory on a batch of one \(CUDA out of memory\).*smaller model"):
            BatchRunner()(Machine(0), range(4))

    def test_an_error_without_a_message_is_reported_all_the_same(self) -> None:
        with pytest.raises(ModelError, match="Out of memory on a batch of one"):
            BatchRunner()(Machine(0, MemoryError()), [1])


class TestDevice:
    def test_the_cpu_is_always_there(self) -> None:
        assert choose_device("cpu") == torch.device("cpu")

    def test_auto_finds_something(self) -> None:
        assert choose_device("auto").type in {"cpu", "cuda", "mps"}

    @pytest.mark.parametrize("name", ["gpu", "", "cpu:x", "cuda:99", "CPU!"])
    def test_what_is_no_device_here_is_a_usage_error(self, name: str) -> None:
        with pytest.raises(UsageError, match=f"Device '{name}' cannot be used here .*--device cpu"):
            choose_device(name)


class TestPlace:
    def test_a_cpu_keeps_the_layout(self) -> None:
        module = torch.nn.Conv2d(3, 4, 2)
        place(module, torch.device("cpu"))
        assert not module.training
        assert module.weight.is_contiguous()

    def test_cuda_wants_channels_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        moved: list[Any] = []
        original = torch.nn.Module.to

        def to(module: torch.nn.Module, *where: Any, **how: Any) -> Any:
            moved.extend(where)
            return original(module, **how) if how else module

        monkeypatch.setattr(torch.nn.Module, "to", to)
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2), torch.nn.Linear(4, 2))
        before = weights_sha256(module)
        place(module, torch.device("cuda"))
        assert moved == [torch.device("cuda")]
        assert module.get_parameter("0.weight").is_contiguous(memory_format=torch.channels_last)
        assert weights_sha256(module) == before, "the layout in memory does not make another model"


class TestComputing:
    @pytest.mark.parametrize(
        ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
    )
    def test_precision_is_that_of_matrix_products(self, precision: Precision, dtype: torch.dtype) -> None:
        weight = torch.ones(2, 2)
        with computing(torch.device("cpu"), precision):
            assert (weight @ weight).dtype == dtype
        assert weight.dtype == torch.float32

    def test_nothing_is_recorded_for_gradients(self) -> None:
        weight = torch.ones(2, requires_grad=True)
        with computing(torch.device("cpu"), "fp32"):
            assert not (weight * 2).requires_grad

    @pytest.fixture
    def tf32(self) -> Iterator[None]:
        switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
        before = [switch.allow_tf32 for switch in switches]
        for switch in switches:
            switch.allow_tf32 = True
        yield
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value

    def test_tf32_is_off_inside_and_as_before_outside(self, tf32: None) -> None:
        def fail() -> None:
            with computing(torch.device("cpu"), "fp32"):
                inside.extend([torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32])
                raise KeyError

        inside: list[bool] = []
        with pytest.raises(KeyError):
            fail()
        assert inside == [False, False]
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.allow_tf32

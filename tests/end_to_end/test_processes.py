"""Several processes give what one gives, byte by byte, whatever their number and whatever happens to them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import fgbench
from fgbench.adapter import ImageFeatures
from fgbench.data.mini.chat import write_chat
from fgbench.data.mini.label_maps import write_label_maps
from fgbench.runner import generate, jobs, segmenting

from ..processes import FAILED, RELAYED, in_processes, needs_fork
from ..runner.test_generate import Parrot
from ..test_engines import Everything
from .conftest import Thumbnail, write_data

pytestmark = needs_fork

CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "dual encoder": (Thumbnail, "coco-box,coco,voc-20"),
    "chat model": (Parrot, "gqa,mmbench-en"),
    "segmenter": (Everything, "voc-20,voc-21"),
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many chunks, and a last one that is not full; forks inherit that."""
    monkeypatch.setattr(jobs, "CHUNK_PASSES", 5)
    monkeypatch.setattr(jobs, "CHUNK_TEXTS", 64)
    monkeypatch.setattr(generate, "CHUNK_PROMPTS", 9)
    monkeypatch.setattr(segmenting, "CHUNK_IMAGES", 5)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    write_data(folder, scenes=12)
    write_chat(folder)
    write_label_maps(folder)
    # Forks inherit what is imported: torch loads much of itself on first use.
    evaluate("dual encoder", folder, tmp_path_factory.mktemp("warm"), limit=1)
    return folder


def evaluate(case: str, root: Path, output: Path, model: Any = None, **options: Any) -> fgbench.Evaluation:
    make, datasets = CASES[case]
    torch.manual_seed(0)  # some have weights that only their digest is made of
    return fgbench.evaluate(
        model or make(), None, datasets, data_root=root, output=output / "results", device="cpu", **options
    )


def _evaluated(case: str, root: Path, output: Path, rank: int) -> fgbench.Evaluation:
    return evaluate(case, root, output)


def products(output: Path) -> tuple[dict[str, Any], set[int]]:
    """Everything that was written, records without their timings; and the numbers of processes that they name."""
    files: dict[str, Any] = {}
    worlds = set()
    for path in sorted(output.rglob("*")):
        name = path.relative_to(output).as_posix()
        if path.suffix == ".json":
            record = json.loads(path.read_text(encoding="utf-8"))
            timings = record.pop("timings")
            worlds.add(timings["processes"])
            files[name] = record, timings["counters"]
        elif path.is_file():
            files[name] = path.read_bytes()
    return files, worlds


@pytest.mark.parametrize("case", CASES)
def test_any_number_of_processes(case: str, root: Path, tmp_path: Path) -> None:
    evaluate(case, root, tmp_path / "one")
    one, _ = products(tmp_path / "one")
    assert sum(name.endswith(".safetensors") for name in one) >= 5
    for world in (2, 3, 5):
        output = tmp_path / f"of-{world}"
        codes = in_processes(world, partial(_evaluated, case, root, output), tmp_path / f"{world}")
        assert codes == [0] * world, "".join(path.read_text() for path in (tmp_path / f"{world}").glob("*.txt"))
        found, worlds = products(output)
        assert found == one
        assert worlds == {world}


def test_more_processes_than_chunks_and_one_result_on_all(root: Path, tmp_path: Path) -> None:
    def run(rank: int) -> None:
        result = evaluate("dual encoder", root, tmp_path, limit=1)
        (tmp_path / f"{rank}.json").write_text(json.dumps(result.records))

    assert in_processes(4, run, tmp_path / "ranks") == [0] * 4
    results = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(4)]
    assert results == [results[0]] * 4
    assert {record["dataset"] for record in results[0]} == {"coco-box", "coco", "voc-20"}


class Spoiled(Thumbnail):
    """Answers NaN, or dies, at the n-th batch of pictures."""

    def __init__(self, fault: str, batch: int) -> None:
        super().__init__()
        self.fault = fault
        self.left = batch

    def encode_images(self, batch: Mapping[str, Tensor], *, dense: bool) -> ImageFeatures:
        self.left -= 1
        features = super().encode_images(batch, dense=dense)
        if self.left == 0 and self.fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.left == 0 and self.fault == "interrupted":
            raise KeyboardInterrupt
        return features._replace(pooled=features.pooled * torch.nan) if self.left == 0 else features


@pytest.mark.parametrize(
    ("fault", "message"),
    [("NaN", "NaN or infinity"), ("interrupted", "KeyboardInterrupt")],
)
@pytest.mark.parametrize("culprit", [0, 1])
def test_one_rank_that_fails_ends_all(fault: str, message: str, culprit: int, root: Path, tmp_path: Path) -> None:
    def run(rank: int) -> None:
        evaluate("dual encoder", root, tmp_path, Spoiled(fault, 2 * (rank == culprit)), fresh=True)

    codes = in_processes(3, run, tmp_path / "ranks")
    assert codes == [FAILED if rank == culprit else RELAYED for rank in range(3)]
    for rank in range(3):
        said = (tmp_path / f"ranks/{rank}.txt").read_text(encoding="utf-8")
        assert message in said
        assert said.startswith(f"Rank {culprit}: ") == (rank != culprit)
    assert not list(tmp_path.glob("results/*/*.json"))


def test_killed_and_resumed_by_another_number_of_processes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(rank: int) -> None:
        evaluate("dual encoder", root, tmp_path / "killed", Spoiled("killed", 3 * rank))

    def resume(rank: int) -> None:
        evaluate("dual encoder", root, tmp_path / "killed", Spoiled("", 0))

    evaluate("dual encoder", root, tmp_path / "whole", Spoiled("", 0))
    monkeypatch.setenv("FGBENCH_RANK_TIMEOUT", "1.5")
    codes = in_processes(2, run, tmp_path / "first")
    assert codes == [FAILED, -signal.SIGKILL]
    assert "Rank 1 gave no sign of life for 2 s" in (tmp_path / "first/0.txt").read_text()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("killed/results/features/**/*.safetensors")}
    assert kept
    monkeypatch.delenv("FGBENCH_RANK_TIMEOUT")
    assert in_processes(3, resume, tmp_path / "again") == [0] * 3
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    found, whole = products(tmp_path / "killed")[0], products(tmp_path / "whole")[0]
    reused = {}
    for name, content in found.items():
        if name.endswith(".json"):
            reused = content[1]
            assert content[0] == whole[name][0]
        else:
            assert content == whole[name]
    assert found.keys() == whole.keys()
    assert reused["rows_reused"] > 0
    assert reused["chunks_encoded"] > 0


def test_fresh_forgets_once(root: Path, tmp_path: Path) -> None:
    evaluate("segmenter", root, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    codes = in_processes(2, lambda _: evaluate("segmenter", root, tmp_path, fresh=True), tmp_path / "ranks")
    assert codes == [0, 0]
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert after.keys() == before.keys()
    assert all(after[path] > before[path] for path in before)


def test_broken_pictures_of_any_rank_are_counted(tmp_path: Path) -> None:
    root = tmp_path / "data"
    data = write_data(root, scenes=12)
    for number in (0, 5, 11):
        picture = data.picture(number)
        content = picture.read_bytes()
        picture.write_bytes(content[: len(content) // 2])  # its header can be read, its pixels cannot

    def run(output: Path) -> list[Any]:
        result = fgbench.evaluate(
            Thumbnail(), None, "coco", data_root=root, output=output / "results", device="cpu", on_error="skip"
        )
        return [record["counts"] for record in result.records]

    counts = run(tmp_path / "one")
    assert counts[0]["skipped"]
    assert in_processes(3, lambda _: run(tmp_path / "three"), tmp_path / "ranks") == [0] * 3
    assert products(tmp_path / "three")[0] == products(tmp_path / "one")[0]


def test_different_commands_are_refused(root: Path, tmp_path: Path) -> None:
    def run(rank: int) -> None:
        evaluate("dual encoder", root, tmp_path, limit=3 + rank)

    codes = in_processes(2, run, tmp_path / "ranks")
    assert sorted(codes) == [FAILED, RELAYED]
    assert "do not have the same" in (tmp_path / "ranks/0.txt").read_text()


def test_different_weights_are_refused(root: Path, tmp_path: Path) -> None:
    def run(rank: int) -> None:
        model = Thumbnail()
        model.module.get_buffer("pixels")[0, 0] = rank
        evaluate("dual encoder", root, tmp_path, model)

    assert sorted(in_processes(2, run, tmp_path / "ranks")) == [FAILED, RELAYED]
    assert "the model (its weights" in (tmp_path / "ranks/1.txt").read_text()


def test_a_rank_may_evaluate_alone(root: Path, tmp_path: Path) -> None:
    def run(rank: int) -> None:
        if rank == 0:
            evaluate("segmenter", root, tmp_path, distributed=False)

    assert in_processes(2, run, tmp_path / "ranks") == [0, 0]
    assert products(tmp_path / "results")[1] == {1}
    assert np.load(next(tmp_path.rglob("*.npz")))["id"].size

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.constants
import huggingface_hub.errors
import pytest
import safetensors.torch
import torch
from huggingface_hub.utils._paths import filter_repo_objects
from torch import Tensor, nn

from fgbench.adapters.checkpoint import (
    INDEX,
    WEIGHTS,
    fetch,
    file_digests,
    load_strict,
    read_json,
    read_state_dict,
    weight_files,
)
from fgbench.errors import FgbenchError, ModelError, UsageError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def weights() -> dict[str, Tensor]:
    return {"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor([7.0, 8.0])}


def save_sharded(folder: Path, weight_map: dict[str, Any]) -> None:
    state = weights()
    safetensors.torch.save_file({"weight": state["weight"]}, folder / "model-00001-of-00002.safetensors")
    safetensors.torch.save_file({"bias": state["bias"]}, folder / "model-00002-of-00002.safetensors")
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), encoding="utf-8")


SHARDS = {"weight": "model-00001-of-00002.safetensors", "bias": "model-00002-of-00002.safetensors"}


def test_reads_one_file(tmp_path: Path) -> None:
    safetensors.torch.save_file(weights(), tmp_path / WEIGHTS)
    state = read_state_dict(tmp_path)
    assert weight_files(tmp_path) == (WEIGHTS,)
    assert state.keys() == weights().keys()
    assert all(torch.equal(state[name], value) for name, value in weights().items())


def test_reads_shards(tmp_path: Path) -> None:
    save_sharded(tmp_path, SHARDS)
    state = read_state_dict(tmp_path)
    assert weight_files(tmp_path) == tuple(sorted(SHARDS.values()))
    assert all(torch.equal(state[name], value) for name, value in weights().items())


@pytest.mark.parametrize(
    "name",
    [
        "../model.safetensors",
        "/etc/model.safetensors",
        "sub/x.safetensors",
        "..\\x.safetensors",
        ".safetensors",
        "x.bin",
    ],
)
def test_index_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    safetensors.torch.save_file(weights(), tmp_path / WEIGHTS)
    save_sharded(folder, {**SHARDS, "bias": name})
    with pytest.raises(ModelError, match="weight_map names"):
        read_state_dict(folder)


@pytest.mark.parametrize("weight_map", [None, [], {}, {"weight": 3}, "x"])
def test_index_must_be_a_table(tmp_path: Path, weight_map: Any) -> None:
    save_sharded(tmp_path, weight_map)
    with pytest.raises(ModelError, match="expected weight_map"):
        read_state_dict(tmp_path)


def test_index_must_tell_the_truth(tmp_path: Path) -> None:
    save_sharded(tmp_path, {**SHARDS, "scale": "model-00001-of-00002.safetensors"})
    with pytest.raises(ModelError, match=r"places scale here, but it is not"):
        read_state_dict(tmp_path)


def test_shards_must_not_overlap(tmp_path: Path) -> None:
    save_sharded(tmp_path, SHARDS)
    safetensors.torch.save_file(weights(), tmp_path / "model-00002-of-00002.safetensors")
    with pytest.raises(ModelError, match="weight is both in"):
        read_state_dict(tmp_path)


def test_missing_shard(tmp_path: Path) -> None:
    save_sharded(tmp_path, SHARDS)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model-00002-of-00002.safetensors is missing"):
        read_state_dict(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "is a web page"),
        (b"\n <html>sign in</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git lfs pull"),
        (b"PK\x03\x04archive/data.pkl", "is a pickle"),
        (b"\x80\x02}q\x00.", "is a pickle"),
        (b"", "is empty"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{not a header..}", "truncated or damaged"),
    ],
)
def test_wrong_file(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(ModelError, match=reason) as caught:
        read_state_dict(tmp_path)
    assert str(tmp_path / WEIGHTS) in str(caught.value)
    assert "expected safetensors weights" in str(caught.value)


def test_truncated_file(tmp_path: Path) -> None:
    safetensors.torch.save_file(weights(), tmp_path / WEIGHTS)
    content = (tmp_path / WEIGHTS).read_bytes()
    for length in (4, len(content) // 2, len(content) - 1):
        (tmp_path / WEIGHTS).write_bytes(content[:length])
        with pytest.raises(ModelError, match="truncated or damaged"):
            read_state_dict(tmp_path)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"expected model.safetensors .* found pytorch_model.bin; .* never read"):
        read_state_dict(tmp_path)


def test_no_weights_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found neither"):
        read_state_dict(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no config.json"),
        (b"{", "expected a JSON file"),
        (b"\xff", "expected a JSON"),
        (b"[]", "an object|list"),
    ],
)
def test_read_json_refuses(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=reason):
        read_json(tmp_path, "config.json")


def test_load_strict_fills_a_module_on_meta_in_its_precision(tmp_path: Path) -> None:
    safetensors.torch.save_file({name: value.half() for name, value in weights().items()}, tmp_path / WEIGHTS)
    module = nn.Linear(3, 2, device="meta")
    load_strict(module, read_state_dict(tmp_path))
    assert module.weight.dtype == torch.float32
    assert torch.equal(module.weight.detach(), weights()["weight"])
    # The weights are the module's own: what happens to the file later is of no effect.
    (tmp_path / WEIGHTS).write_bytes(b"\0" * (tmp_path / WEIGHTS).stat().st_size)
    assert torch.equal(module.weight.detach(), weights()["weight"])


def test_load_strict_copies_what_it_is_given() -> None:
    state = weights()
    module = nn.Linear(3, 2)
    load_strict(module, state)
    state["weight"].zero_()
    assert torch.equal(module.weight.detach(), weights()["weight"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bias": None}, r"1 missing: bias \[2\]"),
        ({"extra": torch.zeros(4)}, r"1 unexpected: extra \[4\]"),
        ({"weight": torch.zeros(3, 2)}, r"1 of another shape: weight \[3, 2\] instead of \[2, 3\]"),
        ({"bias": torch.zeros(2, dtype=torch.int8)}, r"1 not floating point: bias torch.int8"),
        ({f"extra{i}": torch.zeros(1) for i in range(9)}, r"9 unexpected: .*extra4 \[1\], … \(4 more\)"),
    ],
)
def test_load_strict_names_what_does_not_fit(change: dict[str, Tensor | None], reason: str) -> None:
    state = {name: value for name, value in {**weights(), **change}.items() if value is not None}
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    with pytest.raises(ModelError, match=reason):
        load_strict(module, state)
    assert torch.equal(module.weight.detach(), before)


def test_file_digests(tmp_path: Path) -> None:
    content = b"x" * 3_000_000
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(b"")
    assert file_digests(tmp_path, ["a", "b"]) == {
        "a": hashlib.sha256(content).hexdigest(),
        "b": hashlib.sha256(b"").hexdigest(),
    }
    with pytest.raises(ModelError, match="cannot be read"):
        file_digests(tmp_path, ["c"])


def test_fetch_takes_a_folder_as_it_is(tmp_path: Path) -> None:
    assert fetch(str(tmp_path)) == (tmp_path, None)
    with pytest.raises(UsageError, match="only hub models have revisions"):
        fetch(str(tmp_path), "main")


def test_fetch_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).touch()
    with pytest.raises(UsageError, match="is a file"):
        fetch(str(tmp_path / WEIGHTS))


@pytest.mark.parametrize("target", ["./nothing/here", "a/b/c", "no spaces/please"])
def test_fetch_refuses_what_is_neither_folder_nor_hub_id(target: str) -> None:
    with pytest.raises(UsageError, match="neither a folder that exists nor a hub id"):
        fetch(target)


def test_fetch_reads_the_hub_cache_and_finds_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "models--owner--name"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert fetch("owner/name") == (snapshot.resolve(), COMMIT)
    with pytest.raises(ModelError, match="unset HF_HUB_OFFLINE"):
        fetch("owner/another")
    with pytest.raises(ModelError, match="revision 'v2'"):
        fetch("owner/name", "v2")


@pytest.mark.parametrize(
    ("name", "kind", "advice"),
    [
        ("GatedRepoError", ModelError, "hf auth login"),
        ("RevisionNotFoundError", UsageError, "no such revision"),
        ("RepositoryNotFoundError", UsageError, "Check the spelling"),
        ("LocalEntryNotFoundError", ModelError, "HF_ENDPOINT"),
        ("HfHubHTTPError", ModelError, "could not be downloaded"),
    ],
)
def test_fetch_says_what_to_do(
    name: str, kind: type[FgbenchError], advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        error = getattr(huggingface_hub.errors, name)
        raise error.__new__(error)  # their constructors want a response of the network library

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(kind, match=advice):
        fetch("owner/name")


def test_fetch_asks_for_no_pickle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    def download(target: str, **options: Any) -> str:
        asked.update(options, target=target)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert fetch("owner/name", "v1") == (tmp_path, None)
    assert (asked["target"], asked["revision"]) == ("owner/name", "v1")
    names = ["config.json", WEIGHTS, "model-00001-of-00002.safetensors", INDEX, "tokenizer.json", "vocab.json"]
    unwanted = ["pytorch_model.bin", "modeling_fgclip2.py", "flax_model.msgpack", "open_clip_model.safetensors"]
    kept = filter_repo_objects([*names, *unwanted], allow_patterns=asked["allow_patterns"])
    assert list(kept) == names

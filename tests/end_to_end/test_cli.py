"""The command line as its users see it: exit codes, messages, JSON, what it loads."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Data, Shell

MODEL = ("--model", "fgclip2-untrained", "--device", "cpu")
COUNTS = {"items", "images", "distinct_images", "regions", "texts", "distinct_texts", "missing"}
HEAVY = {"torch", "torchvision", "transformers", "pandas", "open_clip", "sklearn", "scipy", "huggingface_hub"}


def test_everything_evaluated_is_0_and_json_stands_alone(shell: Shell, fixed_data: Data) -> None:
    done = shell("eval", *MODEL, "-d", ",".join(fixed_data.IDS), "--data-root", fixed_data.root, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {"records", "not_evaluated", "folder"}
    assert [record["dataset"] for record in result["records"]] == list(fixed_data.IDS)
    assert result["not_evaluated"] == []
    folder = shell.folder / result["folder"]
    assert folder == shell.folder / "results/fgclip2-untrained"
    for record in result["records"]:
        assert json.loads((folder / f"{record['dataset']}.json").read_text(encoding="utf-8")) == record
    assert "images" in done.stderr


def test_a_table_for_people_and_a_limit_that_shows(shell: Shell, fixed_data: Data) -> None:
    done = shell("eval", *MODEL, "-d", "fg-ovd", "--data-root", fixed_data.root, "--limit", "2")
    assert done.returncode == 0, done.stderr
    assert "FG-OVD" in done.stdout
    assert "trivial" in done.stdout
    folder = shell.folder / "results/fgclip2-untrained"
    assert sorted(path.name for path in folder.iterdir()) == [
        "fg-ovd.limit-2.attributes.csv",
        "fg-ovd.limit-2.items.npz",
        "fg-ovd.limit-2.json",
    ]
    record = json.loads((folder / "fg-ovd.limit-2.json").read_text(encoding="utf-8"))
    assert record["arguments"]["effective"]["limit"] == 2
    assert record["counts"]["expected"] == 8
    rows = list(csv.DictReader((shell.folder / "results/results.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["subset"], row["limit"], row["n"]) for row in rows] == [
        (subset, "2", "2") for subset in ("hard", "medium", "easy", "trivial")
    ]


def test_lacking_data_is_3_and_set_says_where_it_lies(shell: Shell, data: Data) -> None:
    elsewhere = shell.folder / "captions of mine.json"
    data.captions.rename(elsewhere)
    arguments = ("eval", *MODEL, "-d", "coco,fg-ovd", "--data-root", data.root, "--json")
    lacking = shell(*arguments)
    assert lacking.returncode == 3, lacking.stderr
    result = json.loads(lacking.stdout)
    assert [record["dataset"] for record in result["records"]] == ["fg-ovd"]
    [reason] = result["not_evaluated"]
    assert (reason["dataset"], reason["task"], reason["failed"]) == ("coco", "short-retrieval", False)
    assert str(data.captions) in reason["reason"]
    assert "cocodataset.org" in reason["reason"]

    found = shell(*arguments, "--set", f"coco.annotations={elsewhere}")
    assert found.returncode == 0, found.stderr
    [_, coco] = json.loads(found.stdout)["records"]
    assert coco["dataset"] == "coco"
    assert list(coco["data"]["annotations"]) == [elsewhere.name]
    assert str(shell.folder) not in json.dumps(coco)


def test_broken_data_is_1_and_says_where(shell: Shell, data: Data) -> None:
    data.hard.write_text(data.hard.read_text(encoding="utf-8").replace('"bbox"', '"box"'), encoding="utf-8")
    done = shell("eval", *MODEL, "-d", "coco-box,fg-ovd", "--data-root", data.root)
    assert done.returncode == 1, done.stderr
    assert "COCO boxes" in done.stdout
    assert "Not evaluated" in done.stdout
    flat = "".join(done.stdout.split())
    assert f"{data.hard.name}:1:field'bbox'ismissing" in flat.replace("│", "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("eval", "-m", "fgclip3"), ("no model 'fgclip3'", "Did you mean 'fgclip2'")),
        (("eval", "-m", "fgclip2-untrained?sed=1"), ("no option 'sed'", "seed")),
        (("eval", "-m", "someone/model"), ("hf:someone/model",)),
        (("eval", "-m", "openclip"), ("needs a target",)),
        (("eval", *MODEL, "-t", "fine-graned"), ("no task 'fine-graned'", "Did you mean 'fine-grained'")),
        (("eval", *MODEL, "-d", "coco-boxx"), ("no dataset 'coco-boxx'", "Did you mean 'coco-box'")),
        (("eval", *MODEL, "-t", "fine-grained", "-d", "coco"), ("'coco' belongs to task 'short-retrieval'",)),
        (("eval", *MODEL, "-t", " , "), ("empty list",)),
        (("eval", *MODEL, "--set", "coco.bilder=x"), ("no files called 'bilder'", "annotations, images")),
        (("eval", *MODEL, "--set", "coco=x"), ("<dataset>.<role>",)),
        (("eval", *MODEL, "--set", "coco.images"), ("DATASET.ROLE=PATH",)),
        (("eval", *MODEL, "--device", "abacus"), ("Device 'abacus' cannot be used here",)),
        (("eval", *MODEL, "--limit", "0"), ("--limit",)),
        (("eval", *MODEL, "--precision", "int4"), ("--precision",)),
        (("eval",), ("--model",)),
        (("plan", "-t", "fine-graned"), ("Did you mean 'fine-grained'",)),
        (("show", "coc"), ("no dataset or model 'coc'", "Did you mean 'coco'")),
        (("show", "fgclip"), ("Did you mean", "'fgclip2'")),
        (("list", "taskss"), ("tasks",)),
        (("evil",), ("evil",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_usage_is_2_with_a_hint(
    shell: Shell, fixed_data: Data, arguments: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    root = ("--data-root", str(fixed_data.root)) if arguments[0] in {"eval", "plan"} else ()
    done = shell(*arguments, *root)
    assert done.returncode == 2
    assert done.stdout == ""
    for message in messages:
        assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (shell.folder / "results").exists()


@pytest.mark.parametrize("command", [("plan",), ("eval", *MODEL)], ids=lambda command: str(command[0]))
def test_a_data_root_that_does_not_exist_is_2(shell: Shell, command: tuple[str, ...]) -> None:
    done = shell(*command, "-d", "coco", "--data-root", "nowhere")
    assert done.returncode == 2
    for message in ("nowhere does not exist", "--data-root DIR", "fgbench show", "--data-root mini"):
        assert message in done.stderr


def test_plan_counts_without_encoding(shell: Shell, fixed_data: Data) -> None:
    done = shell("plan", "-d", ",".join(fixed_data.IDS), "--data-root", fixed_data.root, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert list(summary["datasets"]) == list(fixed_data.IDS)
    total = summary["total"]
    assert set(total) == COUNTS
    assert total["distinct_images"] == 12
    boxes = len(json.loads(fixed_data.instances.read_text(encoding="utf-8"))["annotations"])
    assert summary["datasets"]["coco-box"]["regions"] == boxes
    assert summary["datasets"]["fg-ovd"]["regions"] == 4 * boxes
    assert summary["datasets"]["coco"]["images"] == 12
    assert summary["datasets"]["coco"]["texts"] == 60
    for row in summary["datasets"].values():
        assert set(row) >= COUNTS
        assert row["status"] == "ready"
        assert row["problem"] is None
        assert row["missing"] == 0
        assert row["distinct_images"] == 12
    for name in ("items", "images", "regions", "texts"):
        assert total[name] == sum(row[name] for row in summary["datasets"].values())
    assert not (shell.folder / "results").exists()


def test_plan_says_what_is_missing(shell: Shell, data: Data) -> None:
    data.picture(3).unlink()
    shutil.rmtree(data.root / "fgovd")
    arguments = ("plan", "-d", ",".join(data.IDS), "--data-root", data.root)
    summary = json.loads(shell(*arguments, "--json").stdout)
    rows = summary["datasets"]
    assert {name: row["status"] for name, row in rows.items()} == {
        "fg-ovd": "missing",
        "coco-box": "incomplete",
        "coco": "incomplete",
    }
    assert [rows[name]["missing"] for name in data.IDS] == [1, 1, 1]
    assert summary["total"]["missing"] == 2
    assert str(data.hard) in rows["fg-ovd"]["problem"]
    table = shell(*arguments)
    assert table.returncode == 0
    assert "h_attributes_llava.jsonl" in table.stdout
    assert "coco-box: 1 pictures named by the annotations are not on disk" in table.stdout


def test_plan_with_a_limit(shell: Shell, fixed_data: Data) -> None:
    done = shell("plan", "-d", "fg-ovd,coco", "--data-root", fixed_data.root, "--limit", "3", "--json")
    assert {name: row["items"] for name, row in json.loads(done.stdout)["datasets"].items()} == {
        "fg-ovd": 12,
        "coco": 3,
    }


def test_list_and_show_agree(shell: Shell) -> None:
    tasks, datasets, models = (
        json.loads(shell("list", what, "--json").stdout) for what in ("tasks", "datasets", "models")
    )
    assert [name for task in tasks for name in task["datasets"]] == [row["id"] for row in datasets]
    assert {"fg-ovd", "coco-box", "coco"} <= {row["id"] for row in datasets}
    assert {"fgclip2", "fgclip2-untrained"} <= {row["id"] for row in models}
    coco = json.loads(shell("show", "coco", "--json").stdout)
    assert (coco["kind"], coco["id"], coco["published_items"]) == ("dataset", "coco", {"*": 5000})
    model = json.loads(shell("show", "fgclip2", "--json").stdout)
    assert (model["kind"], model["id"], model["target"]) == ("model", "fgclip2", "qihoo360/fg-clip2-base")
    for what, name in (("tasks", "fine-grained"), ("datasets", "fg-ovd"), ("models", "fgclip2-untrained")):
        table = shell("list", what)
        assert table.returncode == 0
        assert name in table.stdout
    assert "val2017, not the Karpathy" not in shell("show", "fgclip2").stdout
    assert "not the Karpathy test split" in " ".join(shell("show", "coco").stdout.split())


def loaded(shell: Shell, *arguments: Any) -> set[str]:
    """Top-level packages that a command imports."""
    done = shell(*arguments, options=("-X", "importtime"))
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert len(lines) > 50
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("eval", "--help"),
        ("list", "tasks"),
        ("list", "models"),
        ("show", "coco"),
        ("show", "fgclip2"),
        ("plan", "-d", "fg-ovd,coco-box,coco"),
    ],
    ids=" ".join,
)
def test_only_eval_loads_heavy_packages(shell: Shell, fixed_data: Data, arguments: tuple[str, ...]) -> None:
    root = ("--data-root", fixed_data.root) if arguments[0] == "plan" else ()
    packages = loaded(shell, *arguments, *root)
    assert "typer" in packages
    assert not packages & HEAVY
    if arguments == ("--help",):
        assert not packages & {"numpy", "PIL"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_says_that_the_work_is_kept(shell: Shell, much_data: Data, tmp_path: Path) -> None:
    output = tmp_path / "results"
    arguments = (
        *("eval", *MODEL, "-d", ",".join(much_data.IDS), "--data-root", much_data.root, "--output", output),
        *("--workers", "2"),
    )  # fmt: skip
    stopped = shell(*arguments, fault="SIGINT:before:3")
    assert stopped.returncode == 130, stopped.stderr
    assert "Interrupted. Finished chunks are kept" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    kept = list(output.glob("features/*/*.safetensors"))
    assert len(kept) == 2
    assert not list(output.glob("*/*.json"))

    finished = shell(*arguments, "--json")
    assert finished.returncode == 0, finished.stderr
    counters = json.loads(finished.stdout)["records"][0]["timings"]["counters"]
    assert counters["rows_reused"] > 0
    assert counters["chunks_encoded"] == len(list(output.glob("features/*/*.safetensors"))) - len(kept)

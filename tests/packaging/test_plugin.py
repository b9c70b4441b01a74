"""Another package adds a model and a task: installed by pip, found by name, evaluated like the built-in ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from .tools import command, need

PLUGIN = Path(__file__).resolve().parent / "plugin"
LINES = 40
"""A new model is promised to take fewer."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the plug-in is installed in."""
    need("pip")
    need("setuptools", 77)
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(
        PLUGIN, folder / "source", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    )
    options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    done = command("-m", "pip", "install", *options, "--target", folder / "site", source, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def swatches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root for the plug-in's task: two pictures of each colour, one of them wrongly labelled."""
    root = tmp_path_factory.mktemp("data")
    (root / "swatches").mkdir()
    lines = []
    for number, colour in enumerate(("red", "green", "blue") * 2):
        Image.new("RGB", (20 + number, 20), colour).save(root / f"swatches/{number}.png")
        lines.append(f"{number}.png\t{colour}")
    lines[-1] = "5.png\tred"
    (root / "swatches/colours.tsv").write_text("\n".join(lines), encoding="utf-8")
    return root


def test_the_model_is_as_short_as_promised() -> None:
    assert len((PLUGIN / "fgbench_colour/model.py").read_text(encoding="utf-8").splitlines()) < LINES


def test_its_names_are_listed(site: Path, tmp_path: Path) -> None:
    models, tasks, datasets = (
        json.loads(command("-m", "fgbench", "list", what, "--json", cwd=tmp_path, path=site).stdout)
        for what in ("models", "tasks", "datasets")
    )
    [model] = [row for row in models if row["id"] == "mean-colour"]
    assert "fgbench-colour 1.2.3" in model["title"]
    assert tasks[-1] == {"id": "colour-naming", "title": "Colour naming", "datasets": ["swatches"]}
    assert datasets[-1]["id"] == "swatches"
    shown = {
        name: json.loads(command("-m", "fgbench", "show", name, "--json", cwd=tmp_path, path=site).stdout)
        for name in ("mean-colour", "fgbench-colour/mean-colour", "swatches")
    }
    assert {shown[name]["from"] for name in ("mean-colour", "fgbench-colour/mean-colour")} == {"fgbench-colour 1.2.3"}
    assert shown["swatches"]["how_to_get"] == "Paint them."


def test_its_model_is_evaluated_on_its_task(site: Path, swatches: Path, tmp_path: Path) -> None:
    arguments = ("eval", "--task", "colour-naming", "--data-root", swatches, "--device", "cpu", "--json")
    done = command("-m", "fgbench", *arguments, "--model", "mean-colour?gain=2", cwd=tmp_path, path=site)
    assert done.returncode == 0, done.stderr
    [record] = json.loads(done.stdout)["records"]
    assert record["scores"] == [{"subset": "*", "metric": "top1", "value": 5 / 6, "n": 6, "interval": None}]
    assert record["model"]["name"] == "mean-colour?gain=2"
    assert record["model"]["settings"] == {"gain": 2.0}
    assert record["counts"]["evaluated"] == record["counts"]["expected"] == record["counts"]["published"] == 6

    wrong = command("-m", "fgbench", *arguments, "--model", "mean-colour?hue=2", cwd=tmp_path, path=site)
    assert wrong.returncode == 2
    assert "unexpected keyword argument 'hue'" in wrong.stderr


def test_its_model_answers_built_in_tasks_and_built_in_models_its_task(
    site: Path, swatches: Path, tmp_path: Path
) -> None:
    first = command(
        *("-m", "fgbench", "eval", "--model", "mean-colour", "--dataset", "fg-ovd,coco", "--data-root", "mini"),
        *("--device", "cpu", "--json"), cwd=tmp_path, path=site,
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    records = json.loads(first.stdout)["records"]
    assert [record["dataset"] for record in records] == ["fg-ovd", "coco"]
    assert records[0]["protocol"]["region_mode"] == "crop"

    second = command(
        *("-m", "fgbench", "eval", "--model", "fgclip2-untrained", "--dataset", "swatches", "--data-root", swatches),
        *("--device", "cpu", "--json"), cwd=tmp_path, path=site,
    )  # fmt: skip
    assert second.returncode == 0, second.stderr
    assert [record["task"] for record in json.loads(second.stdout)["records"]] == ["colour-naming"]


def test_without_it_its_names_are_unknown(swatches: Path, tmp_path: Path) -> None:
    done = command("-m", "fgbench", "eval", "--model", "mean-colour", "--data-root", swatches, cwd=tmp_path)
    assert done.returncode == 2
    assert "There is no model 'mean-colour'" in done.stderr


def fake(site: Path, package: str, group: str, points: str) -> Path:
    """An installed package that consists of entry points only."""
    info = site / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]\n{points}\n", encoding="utf-8")
    return site


def test_a_package_that_cannot_be_imported_disturbs_nobody_else(swatches: Path, tmp_path: Path) -> None:
    site = fake(tmp_path / "site", "broken", "fgbench.adapters", "wreck = no_such_module:load")
    fake(site, "broken-task", "fgbench.tasks", "ruin = no_such_module:TASK")
    tasks = command("-m", "fgbench", "list", "tasks", cwd=tmp_path, path=site)
    assert "fine-grained" in tasks.stdout
    assert tasks.returncode == 0, tasks.stderr
    datasets = command("-m", "fgbench", "list", "datasets", "--json", cwd=tmp_path, path=site)
    assert "fg-ovd" in datasets.stdout
    assert "broken-task" in datasets.stderr
    assert "wreck" in command("-m", "fgbench", "list", "models", cwd=tmp_path, path=site).stdout
    done = command("-m", "fgbench", "eval", "--model", "wreck", "--data-root", swatches, cwd=tmp_path, path=site)
    assert done.returncode == 2
    assert "'wreck' comes from the package 'broken', which cannot be loaded" in done.stderr
    assert "no_such_module" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_owners_of_a_name_have_to_be_told_apart(site: Path, swatches: Path, tmp_path: Path) -> None:
    both = shutil.copytree(site, tmp_path / "both")
    fake(
        both,
        "rival",
        "fgbench.adapters",
        "mean-colour = fgbench_colour.model:load\nfgclip2 = fgbench_colour.model:load",
    )
    arguments = ("-m", "fgbench", "eval", "--dataset", "swatches", "--data-root", swatches, "--device", "cpu", "--json")
    for name, owners in (
        ("mean-colour", ("fgbench-colour/mean-colour", "rival/mean-colour")),
        ("fgclip2", ("fgclip2 of fgbench itself", "rival/fgclip2")),
    ):
        done = command(*arguments, "--model", name, cwd=tmp_path, path=both)
        assert done.returncode == 2, done.stdout
        for owner in owners:
            assert owner in done.stderr
    done = command(*arguments, "--model", "fgbench-colour/mean-colour", cwd=tmp_path, path=both)
    assert done.returncode == 0, done.stderr

"""``fgbench new-adapter``: an installable package with a model that works."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from fgbench import models
from fgbench.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40


def write_package(name: str, folder: Path | None = None) -> Path:
    """Write the package of a new model.

    Args:
        name: what ``--model`` will take.
        folder: where to write; None for ``fgbench-<name>`` in the current folder.

    Returns:
        The folder.

    Raises:
        UsageError: a name that cannot be, or is taken; a folder that is not empty or cannot be written.
    """
    _check_name(name)
    target = Path(f"fgbench-{name}") if folder is None else folder.expanduser()
    if target.name == name:
        raise UsageError(
            f"--folder {target}: expected another name than the model's. Where a path exists, --model {name} means the "
            f"path. Leave --folder out, or take fgbench-{name}."
        )
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(
                f"{target} exists and is not an empty folder. Nothing was written; choose another --folder."
            )
        for path, content in package_files(name).items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{target} cannot be written ({error.strerror}). Choose another --folder.") from error
    return target


def package_files(name: str) -> dict[str, str]:
    """Content of every file of the package of a model, by its path."""
    package = f"fgbench_{name.replace('-', '_')}"
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{package}/__init__.py": "init.py",
        f"{package}/model.py": "model.py",
        "tests/test_model.py": "test_model.py",
    }
    words = {"@NAME@": name, "@PACKAGE@": package, "@DISTRIBUTION@": f"fgbench-{name}"}
    templates = files("fgbench.adapter_kit").joinpath("templates")
    found = {}
    for path, template in places.items():
        content = templates.joinpath(f"{template}.txt").read_text(encoding="utf-8")
        for word, value in words.items():
            content = content.replace(word, value)
        found[path] = content
    return found


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UsageError(
            f"{name!r} cannot be the name of a model. Expected small letters, digits and single hyphens, starting with "
            f"a letter, at most {_LONGEST} characters: for example my-model."
        )
    registry = models.registry()
    if name in registry:
        raise UsageError(f"There is a model {name!r} already (from {registry.origin(name)}). Choose another name.")

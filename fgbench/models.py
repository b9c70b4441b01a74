"""Model strings: what a user types after ``--model``, and how it becomes an adapter.

``SPEC = alias | scheme:target | path``, then optionally ``?key=value&key=value``. An existing path wins over
everything. Built-in families and their declared models are data in ``adapters/catalog.py``; third-party packages add
names through the entry-point group ``fgbench.adapters``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from fgbench.adapter import Adapter
from fgbench.errors import ModelError, UsageError
from fgbench.generator import Generator
from fgbench.registry import Registry, resolve
from fgbench.segmenter import Segmenter


@dataclass(frozen=True)
class ModelSpec:
    """A declared model: an alias with everything that is known before its weights are loaded.

    Attributes:
        id: the alias.
        title: as printed in tables.
        target: what the family's factory is called with (hub id, model/tag, …).
        licence: of the weights.
        languages: BCP 47 tags.
        options: preset options of the factory.
        paper: (method, backbone) of its row in the paper's tables.
        aliases: other names for it.
        note: what a user should know, e.g. which settings are inferred.
        chat: model string of the chat model that was built on it; answers the datasets that need generated text.
    """

    id: str
    title: str
    target: str
    licence: str
    languages: tuple[str, ...] = ("en",)
    options: Mapping[str, str] = field(default_factory=dict)
    paper: tuple[str, str] | None = None
    aliases: tuple[str, ...] = ()
    note: str = ""
    chat: str | None = None


@dataclass(frozen=True)
class Family:
    """Models that one factory loads.

    Attributes:
        scheme: prefix of model strings, ``scheme:target``.
        title: one line for ``fgbench list models``.
        factory: ``module:function``; called as ``function(target, **options)``; imported on use.
        example: a model string.
        options: option names with one line of help each.
        models: the declared models.
        accepts: does this folder or file hold such a model? Looks at names and headers only.
        kind: what its models can do: ``dual encoder``, ``chat model`` or ``segmenter``.
    """

    scheme: str
    title: str
    factory: str
    example: str
    options: Mapping[str, str] = field(default_factory=dict)
    models: tuple[ModelSpec, ...] = ()
    accepts: Callable[[Path], bool] = field(default=lambda _: False)
    kind: str = "dual encoder"


class ModelEntry(NamedTuple):
    """One name on the command line: a declared model or a scheme."""

    family: Family
    model: ModelSpec | None


class ModelChoice(NamedTuple):
    """A parsed model string.

    Attributes:
        name: name in results: what was typed, without private folders; of the options those that change numbers.
        entry: family and declared model; None for a third-party factory.
        factory: callable or ``module:function``.
        target: first argument of the factory.
        options: its keyword arguments.
    """

    name: str
    entry: ModelEntry | None
    factory: str | Callable[..., Adapter]
    target: str
    options: dict[str, str]


def families() -> tuple[Family, ...]:
    """The built-in families."""
    return tuple(resolve("fgbench.adapters.catalog:FAMILIES"))


def registry() -> Registry[Any]:
    """Every model name: aliases, schemes, and the entry points of other packages."""
    names: Registry[Any] = Registry("model", entry_point_group="fgbench.adapters")
    for family in families():
        names.add(family.scheme, ModelEntry(family, None), origin=family.factory)
        for model in family.models:
            for name in (model.id, *model.aliases):
                names.add(name, ModelEntry(family, model), origin=family.factory)
    return names


def parse(text: str) -> ModelChoice:
    """Understand a model string.

    Raises:
        UsageError: unknown name, unknown option, a folder that no family recognises.
    """
    body, _, query = text.partition("?") if not _exists(text) else (text, "", "")
    options = dict(_option(pair) for pair in query.split("&") if pair)
    if _exists(body):
        return _choose_path(Path(body), options)
    scheme, colon, target = body.partition(":")
    names = registry()
    if not colon and "/" in body and body not in names:
        raise UsageError(
            f"{body!r} is neither a path that exists nor a model name. For a model on the hub type 'hf:{body}'."
        )
    entry = names.get(scheme)
    if not isinstance(entry, ModelEntry):
        return ModelChoice(_named(_without_folders(body), options), None, entry, target, options)
    family, model = entry
    if model is None and not target:
        raise UsageError(f"{scheme!r} needs a target, for example {family.example!r}.")
    if model is not None and colon:
        raise UsageError(f"{scheme!r} is a model of its own and takes no target; type {scheme!r}.")
    _check_options(family, options)
    if model is None:
        return ModelChoice(_named(_without_folders(body), options), entry, family.factory, target, options)
    return ModelChoice(_named(model.id, options), entry, family.factory, model.target, {**model.options, **options})


def declared_chat(text: str) -> str | None:
    """The chat model declared for the model that a model string names, if there is one."""
    entry = parse(text).entry
    return entry.model.chat if entry and entry.model else None


def load_adapter(text: str) -> Adapter:
    """Load the dual encoder that a model string names.

    Raises:
        UsageError: the string cannot be understood, or names a model of another kind.
        ModelError: the checkpoint cannot be used.
    """
    model = load_model(text)
    if not isinstance(model, Adapter):
        raise UsageError(f"{text!r} is no dual encoder: it does not embed pictures and texts.")
    return model


def load_model(text: str) -> Adapter | Generator | Segmenter:
    """Load the model that a model string names: a dual encoder, a generative model, or a trained segmenter.

    Raises:
        UsageError: the string cannot be understood.
        ModelError: the checkpoint cannot be used.
    """
    choice = parse(text)
    factory = resolve(choice.factory) if isinstance(choice.factory, str) else choice.factory
    try:
        adapter: Adapter | Generator | Segmenter = factory(choice.target, **choice.options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise UsageError(f"Model {choice.name!r}: {error}.") from error
    if not isinstance(adapter, (Adapter, Generator, Segmenter)):
        raise ModelError(
            f"Model {choice.name!r}: its factory returned {type(adapter).__name__}, which lacks members of the adapter "
            "protocol (info, module, preprocessor, encode_images, encode_texts; or those of fgbench.generator or "
            "fgbench.segmenter). See docs/add-a-model.md."
        )
    changes: dict[str, Any] = {"name": choice.name}
    if choice.target and _exists(choice.target):  # an empty path would be the current folder
        # Only the last part: results are published, and nobody's folders belong in them.
        changes["source"] = f"local:{Path(choice.target).resolve().name}"
    if choice.entry and choice.entry.model:
        model = choice.entry.model
        changes |= {"licence": model.licence, "paper": model.paper}
        if hasattr(adapter.info, "languages"):
            changes["languages"] = model.languages
        if model.note:
            changes["notes"] = (*adapter.info.notes, model.note)
    adapter.info = dataclasses.replace(adapter.info, **changes)
    return adapter


def _choose_path(path: Path, options: dict[str, str]) -> ModelChoice:
    for family in families():
        if family.accepts(path):
            _check_options(family, options)
            name = path.resolve().stem if path.is_file() else path.resolve().name
            return ModelChoice(_named(name, options), ModelEntry(family, None), family.factory, str(path), options)
    schemes = ", ".join(family.scheme for family in families())
    raise UsageError(
        f"{path} exists, but no adapter recognises it. Is it complete (a folder needs its configuration)? "
        f"If you know what it is, name the family: <family>:{path}, one of {schemes}."
    )


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # no path at all: too long, or with a NUL
        return False


def _named(name: str, options: Mapping[str, str]) -> str:
    shown = {key: Path(value).name if _exists(value) else value for key, value in options.items() if key != "revision"}
    query = "&".join(f"{key}={value}" for key, value in sorted(shown.items()))
    return f"{name}?{query}" if query else name


def _without_folders(name: str) -> str:
    """A model string without the folders of local files in it: names are published, folders are private."""
    return re.sub(r"(?<=[:@])[^:@?]*[/\\](?=[^/\\]+$)", "", name) if _names_a_file(name) else name


def _names_a_file(name: str) -> bool:
    return any(_exists(part) for part in re.split(r"[:@]", name)[1:] if part)


def _option(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not (key and equals and value):
        raise UsageError(f"Model option {pair!r}: expected key=value.")
    return key, value


def _check_options(family: Family, options: Mapping[str, str]) -> None:
    for key in options:
        if key not in family.options:
            known = ", ".join(sorted(family.options)) or "none"
            raise UsageError(f"Models of {family.scheme!r} have no option {key!r}. Their options: {known}.")

"""Reading transformers checkpoints: no remote code, no pickled code, no parameter left to chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.errors as hub_errors
import torch
import transformers

from fgbench.errors import ModelError

from .checkpoint import INDEX, WEIGHTS, Checkpoint, read_json, weight_files
from .foreign_code import refuse_foreign_code

_PICKLE = "pytorch_model.bin"
_SIDE_FILES = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
)
_SHOWN = 5


@dataclass(frozen=True)
class Loaded:
    """A model that was read completely.

    Attributes:
        model: float32, evaluation mode.
        files: names of the files that made it, in the checkpoint's folder.
        version: of transformers.
        notes: remarks for the reader of a result.
    """

    model: Any
    files: tuple[str, ...]
    version: str
    notes: tuple[str, ...]


def load_model(name: str, checkpoint: Checkpoint) -> Loaded:
    """Load a model in float32.

    Args:
        name: class in transformers.
        checkpoint: a folder with ``config.json`` and safetensors weights, or ``pytorch_model.bin``, which is read only
            as far as it holds nothing but tensors.

    Raises:
        ModelError: weights that are missing, of another shape, damaged, or that would have to run code.
    """
    refuse_foreign_code(read_json(checkpoint.folder, "config.json"), str(checkpoint.folder / "config.json"))
    pickle = _only_pickle(checkpoint)
    weights = (_PICKLE,) if pickle else weight_files(checkpoint.folder)
    try:
        with quiet():
            model, report = getattr(transformers, name).from_pretrained(
                checkpoint.folder,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=not pickle,
                weights_only=True,
                ignore_mismatched_sizes=True,  # to have them listed; they are refused below
                output_loading_info=True,
            )
    except Exception as error:  # damaged files fail in any of the readers' ways
        raise ModelError(
            f"{checkpoint.folder}: transformers cannot load {name} from {', '.join(weights)}: {_short(error)} Expected "
            "safetensors, or a torch file with nothing but tensors (pickled code is never run). Download them again."
        ) from error
    problems = [
        f"{len(keys)} {what}: {', '.join(keys[:_SHOWN])}{', …' if len(keys) > _SHOWN else ''}"
        for what, keys in (
            ("missing", sorted(report["missing_keys"])),
            ("of another shape", sorted(_mismatch(entry) for entry in report["mismatched_keys"])),
            ("unreadable", sorted(map(str, report.get("error_msgs") or ()))),
        )
        if keys
    ]
    if problems:
        raise ModelError(
            f"{checkpoint.folder}: the weights do not fit the {name} of config.json: {'; '.join(problems)}. "
            "transformers would have made up the rest at random. Check that all files are of one revision."
        )
    wrong = sorted({str(value.dtype) for value in model.parameters() if value.dtype != torch.float32})
    if wrong:
        raise ModelError(
            f"{checkpoint.folder}: parameters are {', '.join(wrong)}. Expected float; use unquantised weights."
        )
    unused = sorted(report["unexpected_keys"])
    notes = (
        f"{len(unused)} tensors of the checkpoint are not used by {name}: {', '.join(unused[:_SHOWN])}"
        + (", …" if len(unused) > _SHOWN else ""),
    )
    index = (INDEX,) if not pickle and not (checkpoint.folder / WEIGHTS).exists() else ()
    side = tuple(file for file in _SIDE_FILES if (checkpoint.folder / file).is_file())
    return Loaded(model.eval(), (*side, *index, *weights), transformers.__version__, notes if unused else ())


def load_tokenizer(folder: Path) -> Any:
    """Load a checkpoint's tokenizer, set to read literal special tokens as text and to cut at the right end.

    Raises:
        ModelError: its files are missing or damaged, or need code or a package that is not there.
    """
    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            tokenizer("a")
    except Exception as error:  # damaged files fail in any of the readers' ways
        raise ModelError(
            f"{folder}: transformers cannot load the tokenizer: {_short(error)} Expected tokenizer.json, or vocab.json "
            "and merges.txt; download them again."
        ) from error
    tokenizer.split_special_tokens = True
    tokenizer.truncation_side = "right"
    return tokenizer


def load_image_processor(folder: Path) -> Any:
    """Load a checkpoint's image processor on Pillow, which is what the reference implementations resize with.

    Raises:
        ModelError: its file is missing or damaged.
    """
    try:
        with quiet():
            return transformers.AutoImageProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, backend="pil"
            )
    except Exception as error:  # damaged files fail in any of the readers' ways
        raise ModelError(
            f"{folder}: transformers cannot load the image processor: {_short(error)} Expected "
            "preprocessor_config.json, which says how pictures are resized; download it again."
        ) from error


def _only_pickle(checkpoint: Checkpoint) -> bool:
    """Are there no safetensors, but ``pytorch_model.bin``? For a hub model that is a second look, and a download."""
    folder = checkpoint.folder
    if (folder / WEIGHTS).exists() or (folder / INDEX).exists():
        return False
    if checkpoint.revision is None or (folder / _PICKLE).exists():
        return (folder / _PICKLE).is_file()
    # The hub's cache: models--owner--name/snapshots/commit
    owner_and_name = folder.parents[1].name.removeprefix("models--").replace("--", "/", 1)
    try:
        huggingface_hub.hf_hub_download(owner_and_name, _PICKLE, revision=checkpoint.revision)
    except (OSError, ValueError, hub_errors.HfHubHTTPError):
        return False
    return (folder / _PICKLE).is_file()


def _mismatch(entry: Sequence[Any]) -> str:
    name, found, expected = entry
    return f"{name} {list(found)} instead of {list(expected)}"


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 500 else f"{text[:500]} …"


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' loading bars and reports: what they say is checked or written down here."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()

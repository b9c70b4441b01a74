"""``python -m scripts.breakages``: breaks protocols and metrics one by one and notes which rows the self-test catches.

Writes two tables into docs/miniature-suite.md. The expected numbers have to be those of the current weights
(``fgbench selftest --write``). One full run, then what each breakage changes; what is in the folder ``--work`` is not
measured again as long as the expected results are the same: empty it when code has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fgbench.data.atomic import write_atomic
from fgbench.models import declared_chat, load_adapter, load_model
from fgbench.selftest.comparison import Compared, Comparison
from fgbench.selftest.expectation import Expectation, read_expectation
from scripts.doc_tables import put, table
from tests.selftest.breakages import BREAKAGES, CHAT, HARMLESS, HEAVY, LONG, REGIONS, SEGMENTATION, SHORT, Breakage
from tests.selftest.measuring import caught, measure, moved
from tests.selftest.remembering import Remembering

CODES = {
    "fg-ovd": "FO", "coco-box": "CB", "lvis-box": "LB", "boxclass-cn": "BC", "lvis-minival": "LM", "lvis-val": "LV",
    "sharegpt4v": "SG", "dci": "DC", "lit-cn": "LC", "dci-cn": "Dc", "docci-cn": "Do",
    "coco": "CO", "flickr30k": "FL", "coco-cn": "Cc", "flickr30k-cna": "Fc",
    "imagenet-1k": "I1", "imagenet-v2": "I2",
    "ade20k-847": "A8", "pascal-context-459": "P4", "ade20k-150": "A1", "pascal-context-59": "P5",
    "voc-20": "V0", "voc-21": "V1",
    "gqa": "GQ", "mmmu": "MU", "textvqa": "TV", "refcoco": "RC", "mmbench-en": "Me", "mmbench-cn": "Mc",
}  # fmt: skip
"""Heads of the columns."""

ENCODER = (*REGIONS, *LONG, *SHORT, "imagenet-1k", "imagenet-v2", *SEGMENTATION)


def concerned(breakage: Breakage, *, light: bool = False) -> list[str]:
    """Datasets that are run under a breakage.

    Args:
        breakage: or harmless change.
        light: leave out rows of many texts, and chat models.
    """
    encoder = [name for name in CODES if name in ENCODER and not ((light or breakage.texts) and name in HEAVY)]
    encoder = [name for name in encoder if not breakage.only or name in breakage.only]
    return (encoder if breakage.encoder else []) + (list(CHAT) if breakage.chat and not light else [])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for what was measured: the command resumes")
    parser.add_argument("--only", nargs="+", metavar="ID", help="measure these breakages only")
    parser.add_argument("--light", action="store_true", help=f"without {', '.join((*HEAVY, *CHAT))}")
    options = parser.parse_args(arguments)
    expectation = read_expectation()
    marks = json.dumps([options.light, asdict(expectation)])
    work = options.work / hashlib.sha256(marks.encode()).hexdigest()[:12]
    work.mkdir(parents=True, exist_ok=True)
    model, texts = Remembering(load_adapter(expectation.model)), work / "texts.safetensors"
    if texts.exists():
        model.recall(texts)
    chat_name = declared_chat(expectation.model)
    chat = load_model(chat_name) if chat_name else None
    found: dict[str, Comparison] = {}
    for breakage in (HARMLESS[0], *BREAKAGES, *HARMLESS[1:]):
        datasets, path = concerned(breakage, light=options.light), work / f"{breakage.id}.json"
        if path.exists():
            found[breakage.id] = read_measured(path)
        elif datasets and (not options.only or breakage.id in options.only):
            encoder = load_adapter(expectation.model) if breakage.id in _UNREMEMBERED else model
            with tempfile.TemporaryDirectory() as folder:
                found[breakage.id] = measure(breakage, expectation, datasets, Path(folder), encoder, chat)
            write_atomic(path, json.dumps(found[breakage.id].as_json()).encode())
            print(f"{breakage.id}: caught by {', '.join(sorted(caught(found[breakage.id]))) or 'nothing'}", flush=True)
            if breakage is HARMLESS[0]:
                model.keep(texts)
                model.pictures_are_new = False  # those of the unbroken suite are enough
    put("harmless changes", harmless_table(found))
    put("breakages", matrix(expectation, found, light=options.light))


def read_measured(path: Path) -> Comparison:
    """What an earlier call measured under a breakage."""
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["passed"]
    for score in content["scores"]:
        del score["inside"]
    return Comparison(**{**content, "scores": tuple(Compared(**score) for score in content["scores"])})


_UNREMEMBERED = {"batch", "bf16"}
"""Changes of how the model itself runs: nothing may be remembered."""


def harmless_table(found: dict[str, Comparison]) -> str:
    """How far harmless changes move the numbers, in shares of what is allowed."""
    rows = []
    for breakage in (each for each in HARMLESS if each.id in found):
        scores = found[breakage.id].scores
        off = [abs((score.measured or 0) - score.expected) for score in scores]
        share = max(deviation / score.allowed for deviation, score in zip(off, scores, strict=True))
        rows.append(
            (
                breakage.title,
                f"{sum(map(bool, off))} of {len(off)}",
                f"{share:.2f}",
                ", ".join(sorted(caught(found[breakage.id]))) or "–",
            )
        )
    return table(("change", "numbers that moved", "largest, of what is allowed", "rows outside"), rows, right=(1, 2))


def matrix(expectation: Expectation, found: dict[str, Comparison], *, light: bool = False) -> str:
    """Breakages by datasets, and what nothing noticed; ``light`` as for :func:`concerned`."""
    done = [each for each in BREAKAGES if each.id in found]
    columns = [name for name in CODES if any(name in concerned(each, light=light) for each in done)]
    width = max(len(each.title) for each in done)
    lines = [f"{'':{width}}  {' '.join(CODES[name] for name in columns)}"]
    unnoticed = []
    for breakage in done:
        run, off, other = concerned(breakage, light=light), caught(found[breakage.id]), moved(found[breakage.id])
        marks = (
            "  " if name not in run else "##" if name in off else "~ " if name in other else ". " for name in columns
        )
        lines.append(f"{breakage.title:{width}}  {' '.join(marks)}".rstrip())
        if not off:
            unnoticed.append(breakage.title)
    legend = ", ".join(f"{CODES[name]} {name}" for name in columns)
    verdict = f"{len(done) - len(unnoticed)} of {len(done)} breakages are caught by at least one row."
    if unnoticed:
        verdict += f" Not caught by any: {'; '.join(unnoticed)}."
    lacking = [each.title for each in BREAKAGES if each.id not in found]
    if lacking:
        verdict += f" Not measured: {'; '.join(lacking)}."
    weights = ", ".join(f"{name} {digest[:8]}" for name, digest in expectation.weights.items())
    measured = f"Weights: {weights}."
    return "```text\n" + "\n".join(lines) + f"\n```\n\n{legend}.\n\n{verdict} {measured}"


if __name__ == "__main__":
    main()

"""``python -m scripts.chance``: do random weights score at chance on every row of the miniature suite?

Writes a table into docs/miniature-suite.md. Two chance levels stand in it.

* *guess*: what choosing with equal probability gives, by formula: 1 / candidates, 1 / classes, 1 / pictures.
* *dealt*: what the model's own answers give when they are dealt to the items at random. A network with random weights
  favours some texts over others whatever the picture, and a right text that lies between its negatives is seldom the
  extreme one; both is no knowledge, and moves a single draw of weights away from *guess*. Vectors of pictures and
  regions are dealt to the items, scores of proposals to the proposals of the same class; label maps cannot be dealt to
  other pictures, so there the names of the predicted classes are.

Whether a random network agrees with the truth better than its dealt answers is settled over seeds, not over items: the
items of one network are not independent, for all of them share its accidental preferences. Weights that are random with
signs of equal probability agree as often by accident as they disagree, so the difference of the two has mean 0 over
seeds. The interval is Student's t for the mean of paired differences (:func:`judge`).
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from fgbench import evaluate, plan
from fgbench.metrics.confusion import mean_iou
from fgbench.requests import ClassPrompts, Generate, LabelMaps, RegionScores
from fgbench.results.folder import slug
from fgbench.runner.plan import PlannedDataset
from fgbench.selftest.expectation import read_expectation
from scripts.doc_tables import put, table
from tests.selftest.breakages import CHAT, HEAVY, dealt, dealt_scores

CONFIDENCE = 0.99
"""Of each interval; of some 45 numbers one in two tables has one outside by accident."""

MODEL = "fgclip2-untrained?seed={}"
CHAT_MODEL = "llava-untrained?seed={}"

_NAMINGS = 200
_BACKGROUND = {"voc-21": 20}
"""Class whose name stays: it stands for many prompts, so its share of the predictions is no accident."""


class Key(NamedTuple):
    """One number of the suite that stands for its dataset."""

    dataset: str
    subset: str
    metric: str


@dataclass(frozen=True)
class Draws:
    """A number under several draws of random weights.

    Attributes:
        guess: chance by formula, or None.
        n: queries.
        counted: is it a mean over queries?
        measured: float [S]; of each draw.
        dealt: float [S]; of the same draw with its answers dealt at random.
    """

    guess: float | None
    n: int
    counted: bool
    measured: npt.NDArray[np.float64]
    dealt: npt.NDArray[np.float64]


class Verdict(NamedTuple):
    """Result of :func:`judge`: mean difference, half of its interval, is 0 in it?"""

    difference: float
    half: float
    inside: bool


def judge(draws: Draws, value: float | None = None) -> Verdict:
    """Is a number at chance?

    The interval is t · s / √S, with the standard deviation s of the differences over S draws, at least that of the
    items, √(c (1 - c) / n): a row whose draws are all equal (0 of 39) is no proof of anything finer than that.

    Args:
        draws: of random weights, at least two.
        value: a number to judge in place of the mean of the draws; then s is not divided by √S, as for another draw.
    """
    difference = draws.measured - draws.dealt
    count = len(difference)
    spread = float(difference.std(ddof=1))
    chance = float(draws.dealt.mean()) if draws.guess is None else max(draws.guess, float(draws.dealt.mean()))
    if draws.counted:
        spread = max(spread, (chance * (1 - chance) / draws.n) ** 0.5)
    factor = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    if value is None:
        mean, half = float(difference.mean()), factor * spread / count**0.5
    else:
        mean, half = value - float(draws.dealt.mean()), factor * spread * (1 + 1 / count) ** 0.5
    return Verdict(mean, half, abs(mean) <= half + 1e-12)


def guess(planned: PlannedDataset) -> float | None:
    """Chance of a hit by formula, from what a dataset asks for; None where there is no simple one."""
    assert planned.loaded is not None
    requests = list(planned.requests.values())
    if any(isinstance(each, Generate) for each in requests):
        return 0.0  # random tokens are no answer
    if any(isinstance(each, (LabelMaps, RegionScores)) for each in requests):
        return None
    prompts = [each for each in requests if isinstance(each, ClassPrompts)]
    if prompts:
        return 1 / len(prompts[0].names)
    candidates = getattr(planned.loaded.items, "candidates", None)
    if candidates is not None:
        return float((1 / (candidates >= 0).sum(axis=1)).mean())
    return 1 / len(planned.loaded.items.items)


def renamed(counts: npt.NDArray[np.int64], fixed: int | None, seed: int, namings: int = _NAMINGS) -> float:
    """Mean IoU with the names of the predicted classes dealt at random, over many deals.

    Args:
        counts: int64 [K + 1, K]; pixels by prediction (the last row: no class) and truth.
        fixed: class that keeps its name.
        seed: of the deals.
        namings: number of deals.
    """
    rng = np.random.default_rng(seed)
    free = np.array([index for index in range(counts.shape[1]) if index != fixed])
    values = []
    for _ in range(namings):
        mixed = counts.copy()
        mixed[rng.permutation(free)] = counts[free]
        values.append(mean_iou(mixed, "gt").value)
    return float(np.mean(values))


def draw(datasets: Sequence[str], seeds: Iterable[int], deals: int, folder: Path) -> dict[Key, Draws]:
    """Random weights on some datasets.

    Args:
        datasets: ids, all of dual encoders or all of chat models.
        seeds: of the weights.
        deals: how often the answers of each draw are dealt.
        folder: for results and features.
    """
    chat = set(datasets) <= set(CHAT)
    planned = {each.spec.id: each for each in plan(None, list(datasets), data_root="mini").datasets}
    measured: dict[Key, list[float]] = {}
    chance: dict[Key, list[float]] = {}
    counts: dict[Key, int] = {}
    for seed in seeds:
        model = (CHAT_MODEL if chat else MODEL).format(seed)
        results = evaluate(model, None, list(datasets), data_root="mini", output=folder, workers=0)
        name = slug(results.records[0]["model"]["name"])
        own = _main(results.records)
        for key, (value, n) in own.items():
            measured.setdefault(key, []).append(value)
            counts[key] = n
        for key, value in (dict.fromkeys(own, 0.0) if chat else _dealt(model, own, deals, folder, name, seed)).items():
            chance.setdefault(key, []).append(value)
        print(f"seed {seed}: {len(own)} numbers of {len(datasets)} datasets", flush=True)
    return {
        key: Draws(
            guess(planned[key.dataset]),
            counts[key],
            guess(planned[key.dataset]) is not None,
            np.array(values),
            np.array(chance[key]),
        )
        for key, values in measured.items()
    }


def _main(records: Iterable[Mapping[str, Any]]) -> dict[Key, tuple[float, int]]:
    found = {}
    for record in records:
        main = {(row["subset"], row["metric"]) for row in record["main"]}
        for row in record["scores"]:
            if (row["subset"], row["metric"]) in main:
                found[Key(record["dataset"], row["subset"], row["metric"])] = row["value"], row["n"]
    return found


def _dealt(model: str, own: Mapping[Key, Any], deals: int, folder: Path, name: str, seed: int) -> dict[Key, float]:
    """Chance levels of one draw: its answers dealt at random."""
    maps = {key for key in own if key.metric == "miou"}
    found = {}
    for key in maps:
        with np.load(folder / name / f"{key.dataset}.items.npz") as items:
            classes = len(items["class/name"])
            counts = np.zeros((classes + 1, classes), dtype=np.int64)
            np.add.at(counts, (items["pixels/prediction"], items["pixels/truth"]), items["pixels/count"])
        found[key] = renamed(counts, _BACKGROUND.get(key.dataset), seed)
    others = sorted({key.dataset for key in own} - {key.dataset for key in maps})
    sums: dict[Key, float] = {}
    for deal in range(deals if others else 0):
        with contextlib.ExitStack() as stack:
            stack.enter_context(dealt(1000 * seed + deal)())
            stack.enter_context(dealt_scores(1000 * seed + deal)())
            records = evaluate(model, None, others, data_root="mini", output=folder, workers=0).records
        for key, (value, _) in _main(records).items():
            sums[key] = sums.get(key, 0.0) + value / deals
    return found | sums


def rows(found: Mapping[Key, Draws]) -> list[tuple[str, ...]]:
    """Cells of the table, in percent."""
    expected = read_expectation().datasets
    trained = {
        Key(name, score.subset, score.metric): score.value for name, each in expected.items() for score in each.scores
    }
    made: list[tuple[str, ...]] = []
    for key, draws in found.items():
        verdict, small = judge(draws), judge(draws, trained[key])
        least, mean, most = (100 * float(each(draws.measured)) for each in (np.min, np.mean, np.max))
        interval = f"{100 * verdict.difference:+.1f} ± {100 * verdict.half:.1f}"
        made.append(
            (
                key.dataset + ("" if key.subset in {"*", "all"} else f" {key.subset}"),
                key.metric,
                f"{draws.n:,}",
                "–" if draws.guess is None else f"{100 * draws.guess:.1f}",
                f"{100 * draws.dealt.mean():.1f}",
                f"{mean:.1f} ({least:.1f}–{most:.1f})",
                interval if verdict.inside else f"{interval} **outside**",
                f"{100 * trained[key]:.1f}" + (" (at chance)" if small.inside else ""),
            )
        )
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="draws of random weights")
    parser.add_argument("--heavy-seeds", type=int, default=5, help="draws for rows of many texts or long prompts")
    parser.add_argument("--deals", type=int, default=4, help="how often answers are dealt")
    parser.add_argument("--work", type=Path, required=True, help="folder for results and features: the command resumes")
    parser.add_argument("--light", action="store_true", help=f"without {', '.join((*HEAVY, *CHAT))}")
    options = parser.parse_args(arguments)
    names = [each.spec.id for each in plan(data_root="mini").datasets]
    parts = [([name for name in names if name not in (*CHAT, *HEAVY)], options.seeds)]
    if not options.light:
        parts += [([name for name in names if name in group], options.heavy_seeds) for group in (HEAVY, CHAT)]
    found: dict[Key, Draws] = {}
    for datasets, seeds in parts:
        found |= draw(datasets, range(seeds), options.deals, options.work)
    head = ("row", "metric", "n", "guess", "dealt", "random weights: mean (least–most)", "minus dealt", "trained")
    ordered = sorted(found.items(), key=lambda each: names.index(each[0].dataset))
    outside = [f"{key.dataset} {key.subset}" for key, draws in ordered if not judge(draws).inside]
    others = ", ".join((*HEAVY, *CHAT))
    rest = f"{others} were not measured" if options.light else f"{options.heavy_seeds} for {others}"
    said = (
        f"Percent; {options.seeds} draws of weights ({rest}), answers dealt {options.deals} times; {CONFIDENCE:.0%} "
        f"intervals. Outside: {', '.join(outside) or 'none'}."
    )
    put("chance", table(head, rows(dict(ordered)), right=(2, 3, 4)) + f"\n\n{said}")


if __name__ == "__main__":
    main()

"""What can be had without looking at the picture: ``python -m scripts.train_chat.chance``.

For each row of the miniature suite two figures, in percent. *Guessing* draws an option, or one of the answers that
training scenes have to questions of this kind, each alike; of MMBench's rotations every one has to be drawn right.
*Prior* always says what is most often right in training scenes: the word for this kind of question, the option text
that is right most often, or the box that overlaps most others.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from fgbench.data.mini.boxes import COCO_SCENES
from fgbench.data.mini.chat import GQA_SCENES, LETTERS, MMBENCH_SCENES, MMMU_SCENES, TEXTVQA_SCENES
from fgbench.data.mini.files import scenes
from fgbench.data.mini.world import Scene, scene
from fgbench.metrics.box_answers import Target, ious
from scripts.train_chat.turns import BOXES, Turn, held_out

SCENES = {
    "gqa": GQA_SCENES,
    "textvqa": TEXTVQA_SCENES,
    "mmmu": MMMU_SCENES,
    BOXES: COCO_SCENES,
    "mmbench-en": MMBENCH_SCENES["dev"],
    "mmbench-cn": MMBENCH_SCENES["dev"],
}
"""First number and count of the evaluation scenes that the miniature datasets show; of MMBench those of dev."""

_TRAINING = 300
_CANDIDATES = 200
_UNIT = 1000
"""Side of the padded picture in which boxes are compared."""


def chance(row: str, pictures: Iterable[Scene]) -> tuple[float, ...]:
    """Guessing and prior for a row, in percent, averaged over the questions about some scenes."""
    known = _turns(row, (scene("train", number) for number in range(_TRAINING)))
    asked = _turns(row, pictures)
    if row == BOXES:
        return _boxes(known, asked)
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for turn in known:
        answers[turn.skill][turn.said] += 1
    guessed, prior, weights = [], [], []
    rotations = "mmbench" in row
    for turn in asked:
        options = _options(turn)
        tries = len(options) if rotations else 1  # a question comes so often
        weights.append(1 / tries)
        guessed.append(1 / (len(options) or len(answers[turn.skill])) ** tries)
        among = list(options.values()) or list(answers[turn.skill])
        prior.append(max(among, key=lambda text: answers[turn.skill][text]) == turn.said)
    return tuple(100 * float(np.average(each, weights=weights)) for each in (guessed, prior))


def _turns(row: str, pictures: Iterable[Scene]) -> list[Turn]:
    return [turn for each in pictures for turn in held_out(each) if turn.row == row]


def _options(turn: Turn) -> dict[str, str]:
    """The options that a prompt lists, by letter; none for a free answer."""
    found = {}
    for line in turn.prompt.split("\n"):
        for letter in LETTERS:
            for mark in (f"{letter}. ", f"({letter}) "):
                if line.startswith(mark):
                    found[letter] = line.removeprefix(mark)
    return found


def _boxes(known: Sequence[Turn], asked: Sequence[Turn]) -> tuple[float, ...]:
    """Guessing draws a box of a training scene; prior is the one that is right for most of them."""
    drawn = list(dict.fromkeys(turn.answer for turn in known))[:_CANDIDATES]
    sets = ([_target(turn) for turn in part] for part in (known[:: len(known) // _CANDIDATES + 1], asked))
    seen, shown = (
        np.array([ious([box] * len(targets), targets) >= 0.5 for box in drawn]).mean(axis=1) for targets in sets
    )
    return 100 * float(shown.mean()), 100 * float(shown[seen.argmax()])


def _target(turn: Turn) -> Target:
    x1, y1, x2, y2 = (float(value) * _UNIT for value in turn.answer.strip("[]").split(", "))
    return Target((x1, y1, x2, y2), _UNIT, _UNIT)


def main() -> None:
    """Print a line for each row."""
    for row, numbers in SCENES.items():
        guessed, prior = chance(row, scenes(*numbers))
        sys.stdout.write(f"{row}: guessing {guessed:.1f}, prior {prior:.1f}\n")


if __name__ == "__main__":
    main()

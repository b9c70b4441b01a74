"""Checks of ``encode_texts``."""

from __future__ import annotations

from itertools import combinations

import torch

from fgbench.adapter_kit import samples
from fgbench.adapter_kit.checks_pictures import invariant, repeatable
from fgbench.adapter_kit.findings import ContractError, Finding, naming, not_applicable, passed, warned
from fgbench.adapter_kit.subject import KINDS, TOLERANCE, Subject, distance
from fgbench.requests import TextKind

_LONGEST = 2000
"""Words; models that declare more are not tried, for the check is to take seconds."""

_WORDS = ("dog", "tree")

_READ = 1e-6
"""Smallest relative difference that shows that a word was read."""


def shapes(subject: Subject) -> Finding:
    """Every kind gives one vector and one flag per text."""
    for kind in KINDS:
        with naming(f"kind {kind!r}"):
            vectors = subject.texts(samples.TEXTS, kind).vectors
    return passed(f"vectors {list(vectors.shape)} {str(vectors.dtype).removeprefix('torch.')} for {', '.join(KINDS)}")


def values(subject: Subject) -> Finding:
    """Vectors depend on the text."""
    for kind in subject.paths().values():
        vectors = subject.texts(samples.TEXTS, kind).vectors
        same = [pair for pair in combinations(range(len(vectors)), 2) if distance(*vectors[list(pair)]) <= TOLERANCE]
        if len(same) == len(list(combinations(vectors, 2))):
            raise ContractError(f"all texts of kind {kind!r} got the same vector. Expected encode_texts to read them.")
        if same:
            one, other = (samples.TEXTS[number] for number in same[0])
            return warned(f"{one!r} and {other!r} got the same vector (kind {kind!r}).")
    return passed(f"finite, different for {len(samples.TEXTS)} texts")


def nothing(subject: Subject) -> Finding:
    """An empty list is a list."""
    for kind in KINDS:
        with naming(f"encode_texts([], {kind!r})"):
            subject.texts([], kind)
    return passed(f"vectors [0, {subject.info.dim}] and no flags")


def twice(subject: Subject) -> Finding:
    """The same texts give the same vectors."""
    return repeatable(
        max(
            distance(subject.texts(samples.TEXTS, kind).vectors, subject.texts(samples.TEXTS, kind).vectors)
            for kind in subject.paths().values()
        ),
        "texts",
    )


def together(subject: Subject) -> Finding:
    """A vector depends neither on the other texts of the batch nor on their order or length."""
    worst = 0.0
    for kind in subject.paths().values():
        alone = torch.cat([subject.texts([text], kind).vectors for text in samples.TEXTS])
        worst = max(
            worst,
            distance(subject.texts(samples.TEXTS, kind).vectors, alone),
            distance(subject.texts(samples.TEXTS[::-1], kind).vectors.flip(0), alone),
        )
    return invariant(worst, "texts")


def paths(subject: Subject) -> Finding:
    """Kinds with one path have equal vectors, kinds with different paths different ones."""
    vectors = {kind: subject.texts(samples.TEXTS, kind).vectors for kind in KINDS}
    for one, other in combinations(KINDS, 2):
        found = distance(vectors[one], vectors[other])
        declared = subject.info.text_path[one], subject.info.text_path[other]
        if declared[0] == declared[1] and not found <= TOLERANCE:
            raise ContractError(
                f"{one!r} and {other!r} have the path {declared[0]!r}, but their vectors differ by {found:.1e}. Equal "
                "paths share one encoding: expected equal vectors. Give them different names in info.text_path."
            )
        if declared[0] != declared[1] and found <= TOLERANCE:
            raise ContractError(
                f"{one!r} and {other!r} have the paths {declared[0]!r} and {declared[1]!r}, but equal vectors. "
                "Expected different ones. Give them one name in info.text_path: texts are then encoded once."
            )
    listed = {path: [kind for kind in KINDS if subject.info.text_path[kind] == path] for path in subject.paths()}
    return passed("; ".join(f"{path}: {', '.join(kinds)}" for path, kinds in listed.items()))


def length(subject: Subject) -> Finding:
    """Texts beyond the length are flagged, short ones are not, and what is not flagged is read to the end."""
    told = []
    for path, kind in subject.paths().items():
        limit = subject.info.text_length[kind]
        if limit > _LONGEST:
            told.append(f"{path}: not tried, the length {limit} is beyond {_LONGEST}")
            continue
        with naming(f"path {path!r}, length {limit}"):
            told.append(f"{path}: {limit} tokens, cut from {_flagged_from(subject, kind, limit)} words")
    return passed("; ".join(told))


def _flagged_from(subject: Subject, kind: TextKind, limit: int) -> int:
    """The smallest number of words that is flagged, by bisection."""
    low, high = 1, limit + 8
    for words, expected in ((low, False), (high, True)):
        [flag] = subject.texts([samples.sentence(words)], kind).truncated
        if flag is not expected:
            found = "is flagged as truncated" if flag else "is not flagged as truncated"
            raise ContractError(
                f"a text of {words} words {found}. Expected True for texts of more than {limit} tokens (specials "
                "included) and False for others: results report how many texts a model could not read."
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if subject.texts([samples.sentence(middle)], kind).truncated[0] else (middle, high)
    full = subject.texts([samples.sentence(low, word) for word in _WORDS], kind)
    if any(full.truncated) or _blind(subject, kind):
        return high
    if distance(full.vectors[1], full.vectors[0]) <= _READ:
        raise ContractError(
            f"a text of {low} words is not flagged as truncated, but its last word changes nothing. Expected a flag "
            "for every text that is cut; count the tokens before cutting, specials included."
        )
    return high


def _blind(subject: Subject, kind: TextKind) -> bool:
    """Are the two words that differ in these checks the same to the model, so that they cannot show anything?"""
    vectors = subject.texts(_WORDS, kind).vectors
    return distance(vectors[1], vectors[0]) <= _READ


def specials(subject: Subject) -> Finding:
    """Captions may spell out the names of special tokens."""
    ignored = []
    for kind in subject.paths().values():
        texts = [f"{each} {word}" for each in samples.SPECIALS for word in _WORDS]
        vectors, truncated = subject.every_text(texts, kind)
        if _blind(subject, kind):
            continue
        for number, literal in enumerate(samples.SPECIALS):
            row = 2 * number
            same = distance(vectors[row + 1], vectors[row]) <= _READ
            if same and not any(truncated[row : row + 2]) and literal not in ignored:
                ignored.append(literal)
    if ignored:
        return warned(
            f"what follows {', '.join(ignored)} in a text changes nothing. If the model's own tokeniser reads them as "
            "special tokens this is its behaviour; otherwise escape them."
        )
    return passed(f"{len(samples.SPECIALS)} names, read to the end")


def odd(subject: Subject) -> Finding:
    """Empty texts, emoji, other scripts."""
    for kind in subject.paths().values():
        subject.every_text(samples.ODD_TEXTS, kind)
    return passed(f"{len(samples.ODD_TEXTS)} texts: empty, emoji, scripts, 500 letters")


def chinese(subject: Subject) -> Finding:
    """A model for Chinese tells Chinese texts apart."""
    if not any(tag == "zh" or tag.startswith("zh-") for tag in subject.info.languages):
        return not_applicable("info.languages has no 'zh'")
    for kind in subject.paths().values():
        for one, other in samples.CHINESE:
            vectors = subject.texts([one, other], kind).vectors
            if distance(vectors[1], vectors[0]) <= TOLERANCE:
                raise ContractError(
                    f"{one} and {other} got the same vector (kind {kind!r}): the tokeniser probably makes unknown "
                    "tokens of both. Expected different vectors, or info.languages without 'zh'."
                )
    return passed(f"{len(samples.CHINESE)} pairs of equal length got different vectors")

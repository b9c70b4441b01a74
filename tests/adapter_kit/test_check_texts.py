"""Every check of texts finds the fault that it is there for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fgbench.adapter_kit.subject import KINDS

from ..fakes import FakeAdapter
from .broken import (
    Good,
    Reader,
    centred,
    checked,
    found,
    nan,
    noisy,
    texts_only,
    with_texts,
)


@pytest.mark.parametrize(
    ("adapter", "name", "message"),
    [
        (FakeAdapter(), "no texts", "encode_texts([], 'short'): raised RuntimeError"),
        (with_texts(lambda each: each.vectors), "text shapes", "expected fgbench.adapter.TextFeatures"),
        (with_texts(lambda each: each._replace(truncated=[])), "text shapes", "truncated has 0 entries"),
        (with_texts(texts_only(nan)), "text shapes", "vectors has NaN or infinity"),
        (with_texts(texts_only(torch.ones_like)), "text values", "all texts of kind 'short' got the same vector"),
        (with_texts(texts_only(noisy(0.1))), "same text twice", "the same texts twice differ by"),
        (with_texts(texts_only(centred)), "text in a batch", "padding that is not masked"),
        (with_texts(texts_only(lambda rows: rows.flip(0))), "text in a batch", "rows in another order"),
        (Reader(lambda text, kind: text + kind), "text paths", "'short' and 'box' have the path 'plain', but their"),
        (Reader(flag=lambda text, limit: False), "text length", "a text of 38 words is not flagged as truncated"),
        (Reader(flag=lambda text, limit: True), "text length", "a text of 1 words is flagged as truncated"),
        (Reader(lambda text, kind: text[:20]), "text length", "its last word changes nothing"),
        (Reader(lambda text, kind: text[: -text.index("x")]), "text shapes", "kind 'short': raised ValueError"),
        (
            Reader(lambda text, kind: text.encode("ascii", "replace").decode()),
            "Chinese",
            "一只红狗 and 三辆蓝车 got the same vector (kind 'short')",
        ),
    ],
)
def test_texts(adapter: FakeAdapter, name: str, message: str) -> None:
    each = found(checked(adapter), name)
    assert each.status == "fail"
    assert message in each.text


def test_one_path_for_all_kinds_is_fine() -> None:
    report = checked(Good(text_path=dict.fromkeys(KINDS, "a"), text_length=dict.fromkeys(KINDS, 9)))
    assert report.passed, str(report)


class SamePaths(Good):
    """Declares two paths, has one."""

    def encode_texts(self, texts: Any, kind: Any) -> Any:
        features = super().encode_texts(texts, "short")
        return features._replace(truncated=[len(text) > self.info.text_length[kind] for text in texts])


def test_paths_that_are_the_same_should_have_one_name() -> None:
    each = found(checked(SamePaths()), "text paths")
    assert (each.status, "but equal vectors" in each.text) == ("fail", True)


def raising(*bad: str) -> Callable[[str, Any], str]:
    def read(text: str, kind: Any) -> str:
        if any(text == each or (each and each in text) for each in bad):
            raise KeyError(text)
        return text

    return read


def test_texts_that_raise_are_named() -> None:
    assert "the text '': raised KeyError" in found(checked(Reader(raising(""))), "odd texts").text
    assert "the text '</s> dog': raised KeyError" in found(checked(Reader(raising("</s>"))), "special tokens").text


def test_texts_that_end_at_a_special_token_are_worth_a_warning() -> None:
    each = found(checked(Reader(lambda text, kind: text.split("</s>")[0])), "special tokens")
    assert (each.status, each.text[:33]) == ("warn", "what follows </s> in a text chang")

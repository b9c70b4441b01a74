"""What generative models are asked: the templates of ``data/lmm_prompts.json``, filled in.

The chat frame around a prompt (system sentence, roles, markers of pictures) is the model adapter's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from fgbench.data.annotations import field, read_json_lines
from fgbench.data.files import DatasetFiles
from fgbench.errors import DataError, DataMissingError
from fgbench.requests import ImageRef, Prompt

from .lmm_items import Question
from .lmm_textvqa import alias

DEFAULT = "llava-1.5"

OWN_FILE = "file"
"""Prompts are taken as they stand in a question file of LLaVA's."""

_CJK = re.compile("[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Template:
    """How a protocol words the questions of one dataset.

    Attributes:
        source: whose wording it is.
        text: with ``{question}``, ``{options}``, ``{hint}``, ``{tokens}``.
        max_tokens: of the answer.
        open_text: for questions without options, where the dataset has both kinds.
        cjk_text: for prompts that hold a Chinese character, where that matters.
        option: one line of ``{options}``.
        hint: ``{hint}``, where the question has one.
        images: the first picture only, those that the text names, or all.
        capitalise: first letter of the question in upper case, the others in lower case.
    """

    source: str
    text: str
    max_tokens: int
    open_text: str = ""
    cjk_text: str = ""
    option: str = "{letter}. {text}"
    hint: str = "{hint}\n"
    images: Literal["first", "referenced", "all"] = "all"
    capitalise: bool = False

    def prompt(self, question: Question) -> Prompt:
        """The complete prompt.

        Raises:
            DataMissingError: the OCR tokens it needs are not there.
        """
        text = self.text
        if self.open_text and not question.options:
            text = self.open_text
        elif self.cjk_text and any(map(_CJK.search, (question.hint, question.text, *question.options.values()))):
            text = self.cjk_text
        if "{tokens}" in text and question.tokens is None:
            raise DataMissingError(
                "The prompt names the words that OCR read in the picture; their file (role ocr) is not there. Get it, "
                "or choose --protocol prompt=no-ocr (LLaVA-1.5-7B then scores about 12 points less)."
            )
        filled = text.format(
            question=question.text.capitalize() if self.capitalise else question.text,
            options="\n".join(self.option.format(letter=a, text=b) for a, b in question.options.items()),
            hint=self.hint.format(hint=question.hint) if question.hint else "",
            tokens=", ".join(question.tokens or ()),
        )
        return Prompt(filled, self._pictures(question), self.max_tokens)

    def _pictures(self, question: Question) -> tuple[ImageRef, ...]:
        if self.images == "first":
            return question.images[:1]
        if self.images == "all":
            return question.images
        text = "\n".join((question.text, *question.options.values()))
        numbered = zip(question.image_numbers, question.images, strict=True)
        return tuple(image for number, image in numbered if f"<image {number}>" in text)


@lru_cache
def templates(dataset: str) -> Mapping[str, Template]:
    """The wordings of a dataset by protocol name, default first."""
    text = files("fgbench.tasks").joinpath("data").joinpath("lmm_prompts.json").read_text(encoding="utf-8")
    return {name: Template(**fields) for name, fields in json.loads(text)[dataset].items()}


def prompts(dataset: str, wording: str, questions: Iterable[Question], data: DatasetFiles) -> list[Prompt]:
    """The prompt of each question.

    Args:
        dataset: id.
        wording: name of a template, or ``file``.
        questions: in order.
        data: where the file of prompts is, if one is wanted.

    Raises:
        DataMissingError: a file that the wording needs is not there.
        DataError: the file of prompts lacks some.
    """
    if wording == OWN_FILE:
        return _from_file(questions, data, templates(dataset)[DEFAULT].max_tokens)
    return list(map(templates(dataset)[wording].prompt, questions))


def digest(sent: Iterable[Prompt]) -> str:
    """SHA-256 over the texts of all prompts in order, UTF-8, a zero byte after each; hexadecimal."""
    found = hashlib.sha256()
    for prompt in sent:
        found.update(prompt.text.encode() + b"\0")
    return found.hexdigest()


def _from_file(questions: Iterable[Question], data: DatasetFiles, max_tokens: int) -> list[Prompt]:
    """Prompts by question id; LLaVA's TextVQA file has the picture there, so the first line tells which question."""
    path = data.annotation("prompts")
    texts: dict[str, str] = {}
    for where, row in read_json_lines(path):
        text, name = field(row, "text", str, where), str(row.get("question_id"))
        texts[name] = texts[alias(name, text.split("\n")[0])] = text
    found: list[Prompt] = []
    lacking: list[str] = []
    for question in questions:
        known = next((name for name in (*question.aliases, question.id) if name in texts), None)
        if known is None:
            lacking.append(question.id)
        else:
            found.append(Prompt(texts[known], question.images, max_tokens))
    if lacking:
        raise DataError(f"{path}: no prompt for {len(lacking)} questions, the first is {lacking[0]!r}.")
    return found

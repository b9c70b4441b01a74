from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fgbench.requests import ClassPrompts, Embeddings, ImageRef, Regions, Texts


@pytest.mark.parametrize("shape", [(3, 4), (2, 5), (8,)])
def test_regions_refuse_boxes_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="boxes"):
        Regions([ImageRef("a.jpg")], np.zeros(2, dtype=np.int64), np.zeros(shape))


def test_class_prompts_are_filled_class_by_class() -> None:
    prompts = ClassPrompts(["cat", "dog"], ["a {}.", "the {} of {}."], "box")
    assert prompts.strings() == ["a cat.", "the cat of cat.", "a dog.", "the dog of dog."]


def test_class_names_are_not_templates() -> None:
    assert ClassPrompts(["{0}", "{x!r}", "100%"], ["a {}"], "box").strings() == ["a {0}", "a {x!r}", "a 100%"]


def test_lowercase_applies_to_the_filled_template() -> None:
    assert ClassPrompts(["TV"], ["A Photo of a {}."], "short", lowercase=True).strings() == ["a photo of a tv."]


def test_lowercase_is_that_of_the_complete_string() -> None:
    """A Greek sigma has another form at the end of a word."""
    assert ClassPrompts(["ΟΔΟΣ"], ["{}", "{}A"], "short", lowercase=True).strings() == ["οδος", "οδοσa"]


def test_texts_are_taken_as_they_are() -> None:
    assert Texts(["A Cat \n", ""], "long").strings() == ["A Cat \n", ""]


def test_failed_rows_are_not_ok_and_counted_by_reason() -> None:
    found = Embeddings(
        np.zeros((4, 2), dtype=np.float32), {0: "image_missing", 3: "image_missing", 2: "degenerate_box"}
    )
    assert found.ok.tolist() == [False, True, False, False]
    assert found.reasons() == Counter(image_missing=2, degenerate_box=1)


def test_without_failures_every_row_is_ok() -> None:
    assert Embeddings(np.zeros((2, 2), dtype=np.float32)).ok.tolist() == [True, True]


def test_a_picture_in_an_archive_is_named_with_its_archive() -> None:
    assert str(ImageRef("/data/a.zip", "b/c.jpg")) == "/data/a.zip!b/c.jpg"
    assert str(ImageRef("/data/a.jpg")) == "/data/a.jpg"

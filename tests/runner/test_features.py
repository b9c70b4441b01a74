from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fgbench.errors import StoreError
from fgbench.requests import ClassPrompts, Float32, ImageRef, Images, Texts
from fgbench.runner.features import gather, normalise, prototypes
from fgbench.runner.passes import Address
from fgbench.runner.store import AnswerStore, FeatureStore, row_key

VECTORS = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 6)),
    elements=st.floats(-1000, 1000, width=32).filter(lambda value: value == 0 or abs(value) > 1e-3),
)


class TestNormalise:
    @given(VECTORS)
    def test_it_divides_by_the_length(self, vectors: Float32) -> None:
        length = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        expected = vectors / np.where(length == 0, 1, length)
        assert normalise(vectors) == pytest.approx(expected, abs=1e-6)
        assert normalise(vectors).dtype == np.float32

    def test_a_zero_vector_stays_zero(self) -> None:
        assert normalise(np.zeros((2, 3), dtype=np.float32)).tolist() == [[0, 0, 0], [0, 0, 0]]

    def test_no_rows_stay_no_rows(self) -> None:
        assert normalise(np.zeros((0, 3), dtype=np.float32)).shape == (0, 3)


class TestPrototypes:
    def test_it_is_the_normalised_mean_of_normalised_vectors(self) -> None:
        vectors = np.random.default_rng(0).standard_normal((3 * 4, 5)).astype(np.float32) * 7
        expected = []
        for start in range(0, 12, 4):
            units = [row / np.linalg.norm(row) for row in vectors[start : start + 4].astype(np.float64)]
            mean = sum(units) / 4
            expected.append(mean / np.linalg.norm(mean))
        assert prototypes(vectors, 4) == pytest.approx(np.array(expected), abs=1e-6)

    def test_a_long_vector_counts_no_more_than_a_short_one(self) -> None:
        assert prototypes(np.array([[1000, 0], [0, 1]], dtype=np.float32), 2)[0] == pytest.approx([0.5**0.5] * 2)

    def test_one_template_is_the_text_itself(self) -> None:
        vectors = np.array([[3, 4], [0, 2]], dtype=np.float32)
        assert prototypes(vectors, 1) == pytest.approx(np.array([[0.6, 0.8], [0, 1]]))

    def test_no_classes_have_no_prototypes(self) -> None:
        assert len(prototypes(np.zeros((0, 0), dtype=np.float32), 80)) == 0


def key(name: str) -> bytes:
    return row_key(name)


def stored(folder: Path, names: str, *, truncated: str = "") -> FeatureStore:
    """A store with a vector of two numbers for every letter: its place in the alphabet, and 1."""
    store = FeatureStore(folder)
    vectors = np.array([[ord(name) - ord("a"), 1] for name in names], dtype=np.float32)
    flags = np.array([name in truncated for name in names], dtype=np.uint8)
    store.write([key(name) for name in names], vectors, flags)
    return store


def unit(name: str) -> list[float]:
    vector = np.array([ord(name) - ord("a"), 1.0])
    return list(vector / np.linalg.norm(vector))


class TestGather:
    def test_rows_are_normalised_and_in_the_order_of_the_request(self, tmp_path: Path) -> None:
        store = stored(tmp_path, "abc")
        address = Address([key(name) for name in "caca"], np.arange(4), {}, 4)
        found = gather({"x": Texts(list("caca"), "short")}, {"x": address}, store, AnswerStore(tmp_path / "answers"), 2)
        assert found.answers["x"].vectors == pytest.approx(np.array([unit(name) for name in "caca"]))
        assert found.answers["x"].failed == {}

    def test_rows_without_an_embedding_are_zero_and_have_a_reason(self, tmp_path: Path) -> None:
        """The second row failed in the plan, the third could not be decoded later."""
        images = Images([ImageRef(name) for name in "abc"])
        address = Address([key("a"), key("not stored")], np.array([0, 2]), {1: "image_missing"}, 3)
        found = gather(
            {"x": images}, {"x": address}, stored(tmp_path, "a"), AnswerStore(tmp_path / "answers"), 2
        ).answers["x"]
        assert found.vectors == pytest.approx(np.array([unit("a"), [0, 0], [0, 0]]))
        assert found.failed == {1: "image_missing", 2: "image_unreadable"}

    def test_if_every_row_failed_the_table_has_its_size_all_the_same(self, tmp_path: Path) -> None:
        address = Address([], np.zeros(0, dtype=np.int64), {0: "image_missing", 1: "image_missing"}, 2)
        found = gather(
            {"x": Images([ImageRef("a")] * 2)},
            {"x": address},
            stored(tmp_path, "a"),
            AnswerStore(tmp_path / "answers"),
            7,
        ).answers["x"]
        assert found.vectors.shape == (2, 7)
        assert not found.ok.any()

    def test_prompts_become_one_row_per_class(self, tmp_path: Path) -> None:
        request = ClassPrompts(["1", "2"], ["x {}", "y {}", "z {}"], "box")
        address = Address([key(name) for name in "abcbcd"], np.repeat([0, 1], 3), {}, 2)
        store = stored(tmp_path, "abcd")
        found = gather({"x": request}, {"x": address}, store, AnswerStore(tmp_path / "answers"), 2).answers["x"].vectors
        raw, _ = store.read(address.keys)
        assert found == pytest.approx(prototypes(raw, 3))

    def test_a_text_that_is_not_stored_is_an_error(self, tmp_path: Path) -> None:
        """Unlike a picture, a text cannot fail on its own."""
        address = Address([key("b")], np.arange(1), {}, 1)
        with pytest.raises(StoreError, match="1 of 1 rows are not stored"):
            gather(
                {"x": Texts(["b"], "short")},
                {"x": address},
                stored(tmp_path, "a"),
                AnswerStore(tmp_path / "answers"),
                2,
            )

    def test_truncated_texts_are_counted_once_per_dataset(self, tmp_path: Path) -> None:
        store = stored(tmp_path, "abc", truncated="bc")
        texts = Address([key(name) for name in "abba"], np.arange(4), {}, 4)
        more = Address([key(name) for name in "bc"], np.arange(2), {}, 2)
        requests = {"x": Texts(list("abba"), "short"), "y": Texts(list("bc"), "short")}
        found = gather(requests, {"x": texts, "y": more}, store, AnswerStore(tmp_path / "answers"), 2)
        assert (found.distinct_texts, found.truncated) == (3, 2)

    def test_pictures_are_no_texts(self, tmp_path: Path) -> None:
        address = Address([key("a")], np.arange(1), {}, 1)
        found = gather(
            {"x": Images([ImageRef("a")])},
            {"x": address},
            stored(tmp_path, "a", truncated="a"),
            AnswerStore(tmp_path / "answers"),
            2,
        )
        assert (found.distinct_texts, found.truncated) == (0, 0)

"""What a plan costs: counting, multiplying, remembering."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fgbench.requests import ClassPrompts, ImageRef, Images, LabelMaps, Regions, Request, Texts
from fgbench.runner.calibration import read_rates, write_rates
from fgbench.runner.price import PassKind, Range, Rates, TextKindOf, Work, deviation, price, text_kind, work_of

from ..fakes import FakeAdapter

ONE = Range(1.0, 2.0, 4.0)
VIEW, SHORT = PassKind("v", False), TextKindOf("short", 16)
WORK = Work(Counter({VIEW: 10}), Counter({SHORT: 5}), 10, 15, 1000, 0, 15)
RATES = Rates({VIEW: ONE}, {SHORT: Range(0.1, 0.2, 0.3)}, {VIEW: Range(3.0, 3.0, 3.0)})


def test_what_datasets_share_is_counted_once() -> None:
    adapter = FakeAdapter()
    refs = [ImageRef("a"), ImageRef("b"), ImageRef("missing")]
    sizes = {refs[0]: (64, 48), refs[1]: (64, 48)}
    boxes = Regions(refs, np.array([0, 0, 1, 2]), np.tile([1.0, 2, 8, 8], (4, 1)))
    first: list[Request] = [Images(refs), Texts(["x", "y"], "short")]
    second: list[Request] = [boxes, Texts(["y"], "short")]
    work = work_of(adapter.info, adapter.preprocessor, "roi", [first, second], sizes)
    assert (sum(work.passes.values()), work.pictures, sum(work.texts.values())) == (2, 2, 2)
    assert work.rows == 5


def test_pixels_of_label_maps_are_those_on_disk() -> None:
    adapter = FakeAdapter()
    maps = LabelMaps([ImageRef("a"), ImageRef("b")], ClassPrompts(["x"], ["{}"], "short"))
    assert work_of(adapter.info, adapter.preprocessor, "roi", [[maps]], {ImageRef("a"): (10, 20)}).pixels == 200


@pytest.mark.parametrize(("text", "length"), [("", 16), ("a" * 16, 16), ("a" * 17, 32), ("说" * 11, 64)])
def test_texts_are_of_a_kind_by_their_bytes(text: str, length: int) -> None:
    assert text_kind("short", text) == TextKindOf("short", length)


def test_a_processor_does_one_thing_after_the_other_and_a_device_overlaps() -> None:
    shared = price(WORK, RATES, 4, overlapping=False, workers=2)
    assert shared.images == Range(40.0, 50.0, 70.0)
    assert shared.texts == pytest.approx(Range(0.5, 1.0, 1.5))
    assert price(WORK, RATES, 4, overlapping=True, workers=2).images == Range(15.0, 20.0, 40.0)
    assert shared.disk == pytest.approx(Range(15 * 56 + 10, 15 * 56 + 50, 15 * 56 + 500))


def test_the_deviation_compares_what_was_done() -> None:
    """Half of the pictures were found stored."""
    expected = price(WORK, RATES, 4, overlapping=False, workers=2)
    counters, seconds = {"image_passes": 5, "texts_encoded": 5}, {"encode_images": 50.0, "encode_texts": 2.0}
    assert deviation(expected, WORK, counters, seconds) == {"estimated": 26.0, "actual": 52.0, "ratio": 2.0}


def test_rates_are_remembered(tmp_path: Path) -> None:
    write_rates(tmp_path / "rates/a.json", RATES)
    assert read_rates(tmp_path / "rates/a.json") == RATES


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "fgbench.rates/1", "passes": [[1]]}', '{"schema": "other"}']
)
def test_what_is_not_understood_is_measured_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert read_rates(tmp_path / "a.json") == Rates({}, {}, {})

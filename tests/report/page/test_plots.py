from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from fgbench.report.page import plots
from fgbench.report.page.fonts import CHINESE, LATIN, Fonts, find
from fgbench.report_api import report

from .records import HOSTILE, record, write

NONE = ("No such family",)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [record(dataset, "model") for dataset in ("fg-ovd", "coco-box", "coco", "voc-21")]
    return write(
        tmp_path_factory.mktemp("results"), [*records, record("coco", "$\\frac{1}{0}$"), record("coco", HOSTILE[6])]
    )


@pytest.fixture(scope="module")
def english(results: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[str]]:
    """Drawn where no font with Chinese characters is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "find", lambda: find(NONE))
        written = report(results, plots=tmp_path_factory.mktemp("plots"))
    return written.plots, written.notes


def test_without_a_chinese_font_figures_are_english_and_it_is_said(english: tuple[list[Path], list[str]]) -> None:
    files, notes = english
    assert sorted(path.name for path in files) == [
        f"complete-{kind}.en.{suffix}" for kind in ("bars", "heatmap", "radar") for suffix in ("png", "svg")
    ]
    assert "fonts-noto-cjk" in notes[0]


def test_figures_are_pictures_and_load_nothing(english: tuple[list[Path], list[str]]) -> None:
    for path in english[0]:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert min(picture.size) > 300
        else:
            text = path.read_text(encoding="utf-8")
            assert "<dc:date>" not in text
            assert not re.search(r'href="(?!#|data:image/png)', text)


def test_equal_records_give_equal_figures(english: tuple[list[Path], list[str]], results: Path, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(plots, "find", lambda: find(NONE))
    monkeypatch.setattr(plots, "_figures", lambda part, style: [("radar", plots._radar(part, style))])
    again = {path.name: path.read_bytes() for path in report(results, plots=tmp_path / "again").plots}
    assert (
        again["complete-radar.en.svg"] == next(p for p in english[0] if p.name == "complete-radar.en.svg").read_bytes()
    )


class TestFonts:
    def test_what_no_font_has_is_written_as_its_code(self) -> None:
        fonts = find(NONE)
        assert fonts.families == [LATIN]
        assert fonts.drawable("ViT-B/16 → é") == "ViT-B/16 → é"
        assert fonts.drawable("模a🦊") == "<U+6A21>a<U+1F98A>"
        assert "\u202e" not in fonts.drawable("\u202ea")

    def test_an_installed_chinese_font_draws_chinese(self) -> None:
        fonts = find()
        if fonts.chinese is None:
            pytest.skip(f"none of {len(CHINESE)} families with Chinese characters is installed")
        assert fonts.drawable("细粒度理解") == "细粒度理解"
        assert fonts.families == [LATIN, fonts.chinese]

    def test_the_first_of_the_list_is_taken(self) -> None:
        assert find([*NONE, "DejaVu Serif", "DejaVu Sans Mono"]) == Fonts(
            [LATIN, "DejaVu Serif"], find(["DejaVu Serif"]).glyphs, "DejaVu Serif"
        )

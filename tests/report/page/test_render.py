"""The page: well-formed, self-contained, and foreign text in it is text."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fgbench.report.page.text import visible
from fgbench.report_api import report

from .records import HOSTILE, record, suite, write

VOID = {"meta", "br", "input", "img", "link", "hr"}
LOADING = {
    "src",
    "srcset",
    "href",
    "xlink:href",
    "action",
    "formaction",
    "data",
    "poster",
    "background",
    "ping",
    "style",
}
MEGABYTES = 2 * 1000 * 1000


class Page(HTMLParser):
    """Reads a page strictly: every element is closed, in order, and attributes are not there twice."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def text(self, *inside: str) -> str:
        return "".join(data for tag, data in self.texts if not inside or tag in inside)


def page(results: Path) -> tuple[Page, str]:
    text = report(results).page.read_text(encoding="utf-8")
    return Page(text), text


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, str]:
    """Three models on the 29 datasets."""
    return page(write(tmp_path_factory.mktemp("full"), suite()))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, str]:
    folder = tmp_path_factory.mktemp("hostile")
    records = [
        record(
            dataset, name, notes=[name], protocol={"id": name, "details": {name: name}}, language=name,
            model={"notes": [name], "source": name, "settings": {name: [name]}},
            data={"annotations": {name: name}},
        )
        for name in HOSTILE for dataset in ("coco", "voc-21", "gqa")
    ]  # fmt: skip
    records += [
        {**record("coco", "odd"), "dataset": name[:60], "task": name,
         "scores": [{"subset": name, "metric": name, "value": 0.5, "n": 1}], "main": [{"subset": name, "metric": name}]}
        for name in ("<script>window.hacked=1<", '"><img src=x onerror=alert(1)>', "{{7*7}}")
    ]  # fmt: skip
    for number, each in enumerate(records):
        path = folder / f"m{number}" / "record.json"
        path.parent.mkdir()
        path.write_text(json.dumps(each))
        (path.parent / "coco.table.csv").write_text('"<b>bold</b>",=1+1\n"</table><script>",2\n')
    broken = folder / "m0" / "<img src=x onerror=alert(1)>.json"
    broken.write_text('{"schema": "<script>alert(1)</script>"}')
    return page(folder)


class TestSelfContained:
    def test_nothing_is_loaded(self, full: tuple[Page, str]) -> None:
        for tag, attributes in full[0].tags:
            assert tag not in {
                "link",
                "img",
                "iframe",
                "object",
                "embed",
                "base",
                "video",
                "audio",
                "image",
            }
            for name in LOADING & set(attributes):
                assert (attributes[name] or "").startswith("#"), (tag, name, attributes[name])
        assert not re.search(r"(?i)https?://|\burl\(|@import", full[1])

    def test_links_lead_to_places_on_the_page_and_identifiers_are_unique(self, full: tuple[Page, str]) -> None:
        ids = [attributes["id"] for _, attributes in full[0].tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        pointing = ("href", "aria-labelledby", "for")
        asked = {
            (attributes[name] or "").lstrip("#")
            for _, attributes in full[0].tags
            for name in pointing
            if name in attributes
        }
        assert asked <= set(ids)

    def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else(self, full: tuple[Page, str]) -> None:
        (policy,) = [a["content"] or "" for tag, a in full[0].tags if a.get("http-equiv") == "Content-Security-Policy"]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
        for kind, pattern in (("script-src", r"<script>(.*?)</script>"), ("style-src", r"<style>(.*?)</style>")):
            (content,) = re.findall(pattern, full[1], re.DOTALL)
            assert rules[kind] == f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
        assert not [
            name for _, attributes in full[0].tags for name in attributes if name.startswith("on") or name == "style"
        ]

    def test_three_models_on_29_datasets_stay_below_two_megabytes(self, full: tuple[Page, str]) -> None:
        assert len(full[1].encode()) < MEGABYTES
        assert sum(a.get("class") == "record" for _, a in full[0].tags) == 3 * 29

    def test_both_languages_are_there_and_marked(self, full: tuple[Page, str]) -> None:
        for tag, attributes in full[0].tags:
            if attributes.get("class") in ("en", "zh"):
                assert attributes["lang"] == {"en": "en", "zh": "zh-Hans"}[str(attributes["class"])], tag
        assert "Box classification" in full[1]
        assert "框分类" in full[1]

    def test_numbers_of_the_paper_are_marked_as_reported(self, full: tuple[Page, str]) -> None:
        row = re.search(r'<tr class="reported">.*?</tr>', full[1], re.DOTALL)
        assert row
        assert "FG-CLIP 2 ViT-B/16" in row[0]
        assert "reported" in Page(row[0]).text("span")
        assert "href" not in row[0].replace('href="#m', "")

    def test_the_embedded_rows_are_those_of_the_csv(self, full: tuple[Page, str]) -> None:
        (data,) = re.findall(r'<script type="application/json" id="results">(.*?)</script>', full[1], re.DOTALL)
        content = json.loads(data)
        assert content["columns"][:2] == ["model", "dataset"]
        assert {len(row) for row in content["rows"]} == {len(content["columns"])}
        assert len(content["rows"]) == sum(len(each["scores"]) for each in suite())


class TestHostileText:
    def test_it_makes_no_elements_and_no_attributes(self, hostile: tuple[Page, str]) -> None:
        tags = [tag for tag, _ in hostile[0].tags]
        assert tags.count("script") == 2
        assert not {"img", "b"} & set(tags)
        for _, attributes in hostile[0].tags:
            assert not [name for name in attributes if name.startswith("on")]

    def test_it_is_shown_as_it_is(self, hostile: tuple[Page, str]) -> None:
        shown = hostile[0].text("bdi")
        for name in HOSTILE:
            assert visible(name)[:60] in shown
        assert "<img src=x onerror=alert(1)>.json" in hostile[0].text("code")
        assert "schema is '<script>alert(1)</script>'" in hostile[0].text("td")

    def test_templates_in_names_are_not_run(self, hostile: tuple[Page, str]) -> None:
        assert "{{7*7}}" in html.unescape(hostile[1])
        assert "49{%" not in hostile[1]

    def test_what_hides_or_turns_text_is_written_out(self, hostile: tuple[Page, str]) -> None:
        assert "\u202e" not in hostile[1]
        assert "\x00" not in hostile[1]
        assert "⟨U+202E⟩gnp.exe" in hostile[1]

    def test_the_embedded_data_cannot_end_their_element(self, hostile: tuple[Page, str]) -> None:
        (data,) = re.findall(r'<script type="application/json" id="results">(.*?)</script>', hostile[1], re.DOTALL)
        assert "<" not in data
        assert HOSTILE[0] in {row[0] for row in json.loads(data)["rows"]}

    def test_a_long_name_is_cut_in_tables_and_whole_in_details(self, hostile: tuple[Page, str]) -> None:
        assert "x" * 99 + "…" in hostile[1]
        assert "x" * 5000 in hostile[1]


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    records = suite(["a"])
    one, other = write(tmp_path / "one", records), write(tmp_path / "other", reversed(records))
    assert report(one).page.read_bytes() == report(other, tmp_path / "x.html").page.read_bytes()


def test_an_old_record_without_intervals_shows_its_numbers(tmp_path: Path) -> None:
    found, text = page(write(tmp_path, [record("coco", interval=False)]))
    assert "have no intervals" in found.text("span")
    assert "<small>" not in text


def test_files_that_are_left_out_are_named_on_the_page(tmp_path: Path) -> None:
    write(tmp_path, [record("coco")])
    (tmp_path / "model/broken.json").write_text("{")
    found, text = page(tmp_path)
    assert "model/broken.json" in found.text("code")
    assert str(tmp_path) not in text


def test_a_breakdown_stands_in_the_details_of_its_record(tmp_path: Path) -> None:
    write(tmp_path, [record("coco")])
    (tmp_path / "model/coco.length.csv").write_text("tokens,n,recall\n1 to 9,17,0.25\n")
    assert "1 to 9" in page(tmp_path)[0].text("td")

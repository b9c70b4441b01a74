"""The page in a real browser, from disk. Needs selenium, and Chromium with its driver (``.ci/browser``)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fgbench.report_api import report
from scripts.browser import lacking, resize, start

from .records import HOSTILE, record, write

pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))

ONE_OF_EACH = ("fg-ovd", "coco-box", "lvis-minival", "dci", "dci-cn", "flickr30k-cna", "imagenet-1k", "voc-21", "gqa")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a page with everything on it: all tasks, hostile names, rows that are kept apart."""
    records = [
        *(record(dataset, "alpha") for dataset in ONE_OF_EACH),
        *(record("coco", name, notes=[name]) for name in HOSTILE),
        record("voc-21", "trained", protocol={"id": "catseg", "choices": {}}),
        record("coco", "mini", arguments={"effective": {"data_root": "mini"}}),
        record("coco", "=1+1"),
    ]
    return report(write(tmp_path_factory.mktemp("results"), records)).page.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with start() as driver:
        yield driver


@pytest.fixture
def page(browser: Any, place: str) -> Any:
    browser.get("about:blank")  # from here the next line is a fresh start, whatever stands behind the #
    browser.get(place)
    if browser.execute_script("const kept = localStorage.length; localStorage.clear(); return kept"):
        browser.refresh()
    return browser


def one(page: Any, selector: str) -> Any:
    return page.find_element("css selector", selector)


def shown(page: Any, selector: str) -> list[str]:
    """Texts of the elements that can be seen."""
    found: list[str] = page.execute_script(
        "return [...document.querySelectorAll(arguments[0])].filter(e => e.getClientRects().length)"
        ".map(e => e.innerText.trim())",
        selector,
    )
    return found


def test_no_foreign_script_ran_and_nothing_was_requested(page: Any) -> None:
    assert page.execute_script("return window.hacked") is None
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert page.get_log("browser") == []
    assert page.execute_script("return document.scripts.length") == 2
    assert HOSTILE[0] in shown(page, "#scope-complete .legend .name")


def test_the_policy_stops_what_a_page_might_be_made_to_run(page: Any) -> None:
    page.execute_script(
        "const e = document.createElement('div'); e.innerHTML = '<img src=\"data:,x\" onerror=\"window.hacked=1\">';"
        "document.body.append(e);"
        "const s = document.createElement('script'); s.textContent = 'window.hacked=2'; document.body.append(s)"
    )
    assert page.execute_script("return window.hacked") is None
    assert any("Content Security Policy" in entry["message"] for entry in page.get_log("browser"))


def test_headings_sort_by_mouse_and_by_keyboard(page: Any) -> None:
    heading = one(page, "#numbers thead th:nth-child(7)")
    values = "return [...document.querySelectorAll('#numbers tbody tr')].map(r => Number(r.cells[6].dataset.v))"
    heading.find_element("css selector", "button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.execute_script(values) == sorted(page.execute_script(values), reverse=True)
    heading.find_element("css selector", "button").send_keys("\n")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert page.execute_script(values) == sorted(page.execute_script(values))
    one(page, "#numbers thead th:nth-child(1) button").click()
    assert heading.get_attribute("aria-sort") == "none"


def test_sorting_leaves_rows_that_are_not_comparable_apart(page: Any) -> None:
    table = page.find_element("xpath", "//table[contains(@class, 'sortable')][.//bdi[text()='trained']]")
    before = [len(body.find_elements("css selector", "tr")) for body in table.find_elements("css selector", "tbody")]
    table.find_element("css selector", "thead th:last-child button").click()
    bodies = table.find_elements("css selector", "tbody")
    assert [len(body.find_elements("css selector", "tr")) for body in bodies] == before
    assert "trained" in bodies[1].text
    assert "group" in bodies[1].find_element("css selector", "tr").get_attribute("class")


def test_filters_narrow_the_table_and_say_when_nothing_is_left(page: Any) -> None:
    total = int(one(page, "#count").text)
    one(page, "#search").send_keys("alpha flickr30k-cna")
    assert set(shown(page, "#numbers tbody tr td:nth-child(2)")) == {"flickr30k-cna"}
    assert 0 < int(one(page, "#count").text) < total
    one(page, "#search").send_keys(" no such thing")
    assert one(page, "#nothing").is_displayed()
    one(page, "#search").clear()
    one(page, "#search").send_keys(" ")
    one(page, "#filter select[data-column='3'] option[value=zh]").click()
    assert set(shown(page, "#numbers tbody tr td:nth-child(4)")) == {"zh"}


def test_the_language_switches_all_of_the_interface(page: Any) -> None:
    assert one(page, "h1").text == "fgbench report"
    one(page, "#language-zh").click()
    assert one(page, "h1").text == "fgbench 评测报告"
    assert one(page, "html").get_attribute("lang") == "zh-Hans"
    assert shown(page, ".en") == []
    assert "细粒度理解" in shown(page, "h3")
    assert one(page, "#filter select option").text == "全部"
    page.refresh()
    assert one(page, "h1").text == "fgbench 评测报告"  # the choice is kept


def test_the_theme_switches(page: Any) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    one(page, "#theme-light").click()
    assert page.execute_script(ground) == "rgb(255, 255, 255)"
    one(page, "#theme-dark").click()
    assert page.execute_script(ground) == "rgb(20, 23, 28)"


def test_a_number_leads_to_where_it_comes_from(page: Any) -> None:
    link = one(page, "#numbers tbody tr td a")
    target = str(link.get_attribute("href")).rpartition("#")[2]
    assert not page.find_element("id", target).is_displayed()
    link.click()
    assert page.find_element("id", target).is_displayed()


def test_a_model_can_be_hidden_in_the_charts(page: Any) -> None:
    box = one(page, "#scope-complete [data-toggle]")
    series = f"#scope-complete g[data-series='{box.get_attribute('data-toggle')}']"
    assert one(page, series).is_displayed()
    box.click()
    assert shown(page, series) == []


def test_the_csv_has_all_rows_and_no_formulas(page: Any) -> None:
    text = page.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "URL.createObjectURL = (blob) => { blob.text().then(done); return 'about:blank#'; };"
        "HTMLAnchorElement.prototype.click = () => {};"
        "document.getElementById('download').click();"
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == int(one(page, "#count").text)
    assert "'=1+1" in {row["model"] for row in rows}
    assert HOSTILE[0] in {row["model"] for row in rows}


def test_nothing_overflows_a_phone(browser: Any, place: str) -> None:
    browser.get("about:blank")
    resize(browser, 375, 800)
    browser.get(place)
    widths = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    browser.get("about:blank")
    resize(browser, 1280, 900)
    assert widths[0] <= widths[1] == 375


def test_without_scripts_the_page_is_readable_and_switches(place: str) -> None:
    with start(scripts=False) as page:
        page.get(place)
        assert page.execute_script("return document.documentElement.classList.contains('scripted')") is False
        assert shown(page, ".filter") == []
        assert "alpha" in one(page, "#numbers tbody").text
        one(page, "#language-zh").click()
        assert one(page, "h1").text == "fgbench 评测报告"
        one(page, ".of-model > summary").click()
        assert one(page, ".of-model .hash").is_displayed()


def test_the_page_on_disk_is_all_there_is(place: str) -> None:
    folder = Path(place.removeprefix("file://")).parent
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["report.html"]

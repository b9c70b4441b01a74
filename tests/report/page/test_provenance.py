from __future__ import annotations

from pathlib import Path
from typing import Any

from fgbench.report.page.gather import Found
from fgbench.report.page.provenance import flat, model_facts, record_facts
from fgbench.report.page.standing import standing
from fgbench.report.page.view import Result

from .records import record, spec


def result(number: int, content: dict[str, Any]) -> Result:
    found = Found(content, "model", f"model/{content['dataset']}.json", Path("x"), ())
    return Result(number, found, standing(content, spec(content["dataset"])), [])


def test_fields_are_flattened_and_empty_ones_left_out() -> None:
    content = {"a": {"b": 1234, "c": None, "d": {}}, "e": [1, "x"], "f": True, "g": "", "h": 0}
    assert flat(content) == [("a.b", "1,234"), ("e", "1, x"), ("f", "true"), ("h", "0")]


def test_endless_nesting_and_lists_end() -> None:
    deep: Any = "end"
    for _ in range(50):
        deep = {"x": deep}
    assert len(flat(deep)) == 1
    assert flat({"a": list(range(1000))})[0][1].endswith("… (1,000)")


def test_what_a_folders_records_share_is_said_once() -> None:
    first = result(0, record("coco"))
    other = result(1, record("dci", environment={"precision": "bf16"}))
    (shared,) = model_facts([first, other])
    assert [each.title for each in shared.facts] == ["model", "environment", "arguments"]
    assert "environment_differing" not in [each.title for each in record_facts(first, shared)]
    differing = {each.title: each.rows for each in record_facts(other, shared)}
    assert differing["environment_differing"] == [("precision", "bf16")]


def test_a_record_says_how_its_intervals_were_made() -> None:
    content = record("coco")
    for score, unit in zip(content["scores"], ("image", "category"), strict=True):
        score["interval"] |= {"method": "bootstrap", "unit": unit}
    shown = result(0, content)
    facts = {each.title: dict(each.rows) for each in record_facts(shown, model_facts([shown])[0])}
    assert facts["intervals"] == {"method": "bootstrap", "unit": "image; category"}
    without = result(0, record("coco", interval=False))
    assert "intervals" not in [each.title for each in record_facts(without, model_facts([without])[0])]


def test_a_record_shows_protocol_counts_by_reason_and_fingerprints(tmp_path: Path) -> None:
    shown = result(0, record("coco", counts={"evaluated": 4998, "skipped": {"image_missing": 2}}))
    (shared,) = model_facts([shown])
    facts = {each.title: dict(each.rows) for each in record_facts(shown, shared)}
    assert facts["counts"]["skipped.image_missing"] == "2"
    assert facts["protocol"]["id"] == "paper"
    assert facts["data"]["annotations.file.json"] == "a" * 64
    assert facts["data"]["images_sha256"] == "b" * 64
    assert dict(shared.facts[0].rows)["sha256"] == shown.found.record["model"]["sha256"]

"""What the table says besides the scores."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from fgbench import selection
from fgbench.report.table import results_table


def record(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "dataset": "coco",
        "task": "short-retrieval",
        "protocol": {"id": "paper"},
        "model": {"name": "some[bold]model", "paper": None, "notes": []},
        "scores": [{"subset": "*", "metric": "i2t_r1", "value": 0.7214, "n": 5000}],
        "counts": {
            "expected": 5000, "evaluated": 5000, "skipped": {}, "published": 5000, "ties": {}, "texts": 25000,
            "texts_truncated": 0,
        },
        "notes": [],
        "arguments": {"effective": {"limit": None}},
    }  # fmt: skip
    for key, value in changes.items():
        if isinstance(value, dict):
            found[key] = {**found[key], **value}
        else:
            found[key] = value
    return found


def printed(*records: dict[str, Any], width: int = 80) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width)
    console.print(
        results_table(
            records, lambda name: selection.datasets().get(name)[1], lambda name: selection.tasks().get(name).title
        )
    )
    return " ".join(stream.getvalue().split())


def test_scores_are_percent_with_one_decimal_beside_the_paper() -> None:
    text = printed(record(model={"paper": ["FG-CLIP 2", "ViT-B/16"]}))
    assert "│ i2t_r1 │ 72.1 │ 72.1 │ 5,000 │" in text
    assert "Paper: FG-CLIP 2 ViT-B/16" in text


def test_a_model_that_is_not_in_the_paper_gets_a_reference_that_says_so() -> None:
    text = printed(record())
    assert "Paper*" in text
    assert "*) Not in the paper; shown is its row FG-CLIP 2 ViT-B/16" in text


def test_a_complete_run_has_no_footnotes() -> None:
    assert "1)" not in printed(record())


def test_everything_that_makes_a_number_questionable_has_a_footnote() -> None:
    text = printed(
        record(
            counts={
                "expected": 60,
                "skipped": {"image_missing": 2},
                "texts_truncated": 3,
                "ties": {"i2t": 4, "t2i": 0},
            },
            notes=["Something about these files."],
        )
    )
    assert "Items not evaluated: coco 2 of 60 (image_missing 2)." in text
    assert "Not the published number of items: not comparable with the paper." in text
    assert "Texts cut to the model's length: coco 3 of 25,000." in text
    assert "exactly as good as the right one: coco i2t 4." in text
    assert "Something about these files." in text
    assert "MSCOCO val2017 1) 2) 3) 4) 5)" in text


def test_a_limited_run_says_so_instead_of_comparing_counts() -> None:
    text = printed(record(counts={"expected": 10}, arguments={"effective": {"limit": 10}}))
    assert "Limited run (--limit): not comparable with anything." in text
    assert "published" not in text


def test_the_miniature_suite_is_named_where_the_published_number_of_items_is_unknown() -> None:
    text = printed(record(counts={"published": None}, arguments={"effective": {"limit": None, "data_root": "mini"}}))
    assert "1) Miniature suite: not comparable with the paper." in text


def test_the_paper_stands_beside_real_pictures_only() -> None:
    miniature = {"effective": {"limit": None, "data_root": "mini"}}
    alone = printed(record(arguments=miniature))
    assert "│ i2t_r1 │ 72.1 │ 5,000 │" in alone
    assert "Paper" not in alone
    assert "shown is its row" not in alone
    both = printed(record(arguments=miniature), record(dataset="flickr30k", counts={"published": 1000}))
    assert "Paper*" in both


def test_a_footnote_is_shared_by_datasets_and_lists_each() -> None:
    text = printed(
        record(counts={"texts_truncated": 1}),
        record(dataset="flickr30k", counts={"texts_truncated": 2, "published": 1000}),
    )
    assert "Texts cut to the model's length: coco 1 of 25,000; flickr30k 2 of 25,000." in text


def test_names_cannot_style_the_terminal() -> None:
    assert "some[bold]model" in printed(record())


def test_the_widest_rows_fit_a_terminal_of_80_columns() -> None:
    stream = io.StringIO()
    rows = [
        record(
            dataset="fg-ovd",
            task="fine-grained",
            scores=[{"subset": "trivial", "metric": "top1", "value": 1, "n": 3545}],
        ),
        record(scores=[{"subset": "*", "metric": "t2i_r10", "value": 1.0, "n": 25000}]),
    ]
    Console(file=stream, width=80).print(
        results_table(
            rows, lambda name: selection.datasets().get(name)[1], lambda name: selection.tasks().get(name).title
        )
    )
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("t2i_r10 │ 100.0 │      – │ 25,000 │" in line for line in lines)


def test_a_number_of_another_protocol_stands_apart() -> None:
    scores = [{"subset": "all", "metric": "miou", "value": 0.2, "n": 2000}]
    changes: dict[str, Any] = {"dataset": "ade20k-150", "task": "segmentation", "scores": scores}
    text = printed(record(protocol={"id": "training-free"}, counts={"published": 2000, "expected": 2000}, **changes))
    assert "│ miou │ 20.0 │ – │ 2,000 │" in text
    assert "With another protocol (catseg), not comparable, the paper has for this row: ADE20K-150" in text
    text = printed(record(protocol={"id": "catseg"}, counts={"published": 2000, "expected": 2000}, **changes))
    assert "another protocol" not in text
    assert "│ miou │ 20.0 │ –" not in text


def test_only_the_numbers_chosen_for_tables_are_shown() -> None:
    scores = [{"subset": "all", "metric": name, "value": 0.2, "n": 1} for name in ("miou", "fw_iou")]
    text = printed(record(dataset="voc-20", task="segmentation", scores=scores))
    assert "miou" in text
    assert "fw_iou" not in text

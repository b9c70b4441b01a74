from __future__ import annotations

from collections.abc import Iterable

import pytest

from fgbench import selection
from fgbench.leaderboard.columns import Row
from fgbench.leaderboard.panels import Cell, Line, Panel, panels
from fgbench.report.paper import ICML, PROJECT_PAGE

from . import good


def table(rows: Iterable[Row], task: str, protocol: str, edition: str | None = ICML) -> Panel:
    found = panels(rows, [task], edition)
    return next(panel for panel in found if panel.title.endswith(f"protocol {protocol}") and not panel.miniature)


def column(panel: Panel, name: str, dataset: str) -> dict[tuple[str, str], Cell]:
    """Cells of a column by (model, backbone)."""
    place = [(each.dataset, each.name) for each in panel.columns].index((dataset, name))
    lines: list[Line] = [line for group in panel.groups for line in group]
    return {(line.model, line.backbone): cell for line in lines if (cell := line.cells[place])}


def test_the_papers_rows_are_ranked_as_printed() -> None:
    found = column(table([], "fine-grained", "paper"), "hard", "FG-OVD")
    assert {who: cell.rank for who, cell in found.items() if cell.rank} == {
        ("FG-CLIP 2", "ViT-L/16"): 1, ("FG-CLIP 2", "ViT-So/16"): 2
    }  # fmt: skip
    assert found["FG-CLIP 2", "ViT-L/16"].text == "55.5"


def test_equal_digits_share_a_rank() -> None:
    found = column(table([], "segmentation", "catseg"), "", "PASCAL-Context-59")
    assert {who for who, cell in found.items() if cell.rank == 2} == {
        ("SigLIP 2", "ViT-L/16"),
        ("FG-CLIP 2", "ViT-L/16"),
    }


def test_what_is_not_like_for_like_is_not_ranked_and_says_why() -> None:
    panel = table([], "classification", "paper")
    found = column(panel, "", "ImageNet-1K")
    copied = found["SigLIP 2", "ViT-B/16"]
    assert copied.rank == 0
    assert [panel.footnotes[letter] for letter in copied.marks]
    assert all(panel.footnotes[letter].endswith("Not ranked.") for letter in copied.marks)
    assert max(float(cell.text) for cell in found.values() if cell.rank) == 84.1


def test_a_remark_on_a_cell_that_may_be_compared() -> None:
    panel = table([], "lmm", "paper")
    cell = column(panel, "direct_attributes", "vstar")["LLaVA-1.5 + CLIP", "CLIP"]
    assert (cell.text, cell.rank) == ("44.4", 2)
    assert panel.footnotes[cell.marks].startswith("Rounded")


def test_protocols_never_share_a_table() -> None:
    found = panels(good.rows(), list(selection.tasks()), ICML)
    assert [panel.title for panel in found if panel.task == "segmentation"] == [
        "Segmentation, protocol catseg", "Segmentation, protocol training-free"
    ]  # fmt: skip
    assert [panel.title for panel in found if panel.task == "detection"] == [
        "Detection, protocol detector", "Detection, protocol rescore"
    ]  # fmt: skip


def test_measured_rows_stand_below_and_take_part_in_the_ranking() -> None:
    better = good.row("fg-ovd", "hard", "top1", value=repr(3000 / 3545), low="0.8", high="0.9")
    panel = table([better], "fine-grained", "paper")
    [last] = panel.groups[-1]
    assert (last.model, last.measured) == ("our-model", True)
    cell = column(panel, "hard", "FG-OVD")["our-model", ""]
    assert (cell.text, cell.interval, cell.rank) == ("84.6", "80.0–90.0", 1)
    assert column(panel, "hard", "FG-OVD")["FG-CLIP 2", "ViT-L/16"].rank == 2
    assert last.cells[1:] == (None, None, None)


def test_a_part_of_a_dataset_is_shown_but_not_ranked() -> None:
    whole = good.row("fg-ovd", "hard", "top1")
    part = {**whole, "scope": "partial", "value": "1.0"}
    panel = table([whole, part], "fine-grained", "paper", None)
    assert [line.cells[0] and (line.cells[0].text, line.cells[0].rank) for line in panel.groups[0]] == [
        ("52.3", 0), ("100.0", 0)
    ]  # fmt: skip
    assert list(panel.footnotes.values()) == ["Covers a part of the dataset only. Not ranked."]


def test_crops_are_told_from_regions_of_dense_features() -> None:
    panel = table([good.row("fg-ovd", "hard", "top1", region_mode="crop")], "fine-grained", "paper")
    cell = column(panel, "hard", "FG-OVD")["our-model", ""]
    assert panel.footnotes[cell.marks].startswith("Regions as crops")


def test_the_miniature_suite_has_tables_of_its_own() -> None:
    small = good.row("fg-ovd", "hard", "top1", scope="miniature", value="1.0")
    found = panels([small, good.row("fg-ovd", "hard", "top1")], ["fine-grained"], ICML)
    assert [panel.miniature for panel in found] == [False, True]
    assert [[line.model for line in group] for group in found[1].groups] == [["our-model"]]
    assert "Miniature" in found[1].notes[0]


@pytest.mark.parametrize(("edition", "text"), [(ICML, "34.2"), (PROJECT_PAGE, "34.3")])
def test_one_edition_at_a_time(edition: str, text: str) -> None:
    found = column(table([], "long-retrieval", "paper", edition), "t2i_r1", "DCI")
    assert found["SigLIP 2", "ViT-B/16"].text == text


def test_ablations_and_breakdowns_are_left_out() -> None:
    panel = table([], "fine-grained", "paper")
    assert {line.model for group in panel.groups for line in group} == {
        "CLIP", "EVA-CLIP", "Long-CLIP", "FineCLIP", "SigLIP 2", "FG-CLIP", "FG-CLIP 2", "Meta CLIP 2"
    }  # fmt: skip
    assert [each.name for each in table([], "box-classification", "paper").columns] == ["", "", ""]

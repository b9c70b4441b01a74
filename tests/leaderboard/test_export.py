from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fgbench.errors import UsageError
from fgbench.leaderboard.export import html_tables, latex, markdown
from fgbench.leaderboard.panels import Column, Line, Panel, panels
from fgbench.leaderboard.publish import publish
from fgbench.report.paper import ICML

from . import good

HOSTILE = r"<script>a|b</script> [x](javascript:y) \input{z} 50%_&~^#$ *b* †"


def hostile() -> Panel:
    columns = [Column("A & B", "i2t_r1", ("a", "*", "i2t_r1")), Column("A & B", "t2i_r1", ("a", "*", "t2i_r1"))]
    return Panel("t", HOSTILE, False, columns, [[Line(HOSTILE, "", True, (None, None))]], notes=[HOSTILE])


def paper() -> list[Panel]:
    return panels(good.rows(), ["fine-grained", "short-retrieval", "segmentation"], ICML)


class TestMarkdown:
    def test_a_row_of_the_paper(self) -> None:
        text = markdown(paper())
        assert "| FG-CLIP 2 | ViT-L/16 | reported | **55.5** | **77.5** | **83.1** | *92.5* |" in text
        assert "| our-model |  | measured | 52.3 (51.3–53.3) |" in text
        assert "| UMG-CLIP | ViT-B/16 | reported | 64.7 a) |" in text

    def test_every_row_has_the_cells_of_its_header(self) -> None:
        for block in markdown(paper()).split("###")[1:]:
            rows = [line for line in block.splitlines() if line.startswith("|")]
            assert len({len(re.split(r"(?<!\\)\|", row)) for row in rows}) == 1

    def test_a_hostile_name_is_text(self) -> None:
        text = markdown([hostile()])
        assert "<script>" not in text
        assert re.search(r"(?<!\\)\]\(", text) is None
        row = next(line for line in text.splitlines() if "measured" in line)
        assert len(re.split(r"(?<!\\)\|", row)) == 7


class TestLatex:
    def test_the_shape_of_the_papers_tables(self) -> None:
        [_, retrieval, *_] = re.split(r"\\begin\{table\*\}", latex(paper()))[1:]
        lines = retrieval.splitlines()
        assert r"\toprule" in lines
        assert r"\multicolumn{2}{c}{Flickr30k}" in retrieval
        assert r"\cmidrule(lr){3-4}\cmidrule(lr){5-6}" in retrieval
        assert r"FG-CLIP 2 & ViT-L/16 & \textbf{75.1} & \textbf{58.6} & \textbf{96.6} & \underline{84.8}" in retrieval
        assert r"Chinese-CLIP & ViT-L/14 & -- & -- & -- & --" in retrieval
        assert retrieval.count(r"\midrule") == 5  # B, L, So, H, measured

    def test_every_row_has_the_columns_that_are_declared(self) -> None:
        for block in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", latex(paper()), flags=re.DOTALL):
            declared = re.match(r"\\begin\{tabular\}\{(l+c+)\}", block)
            assert declared
            for row in re.findall(r"^(.*) \\\\$", block, flags=re.MULTILINE):
                spans = [int(span) for span in re.findall(r"\\multicolumn\{(\d+)\}", row)]
                assert len(re.findall(r"(?<!\\)&", row)) + 1 + sum(spans) - len(spans) == len(declared[1])

    def test_a_hostile_name_is_text(self) -> None:
        text = latex([hostile()])
        assert r"\input" not in text
        assert r"\textbackslash{}input\{z\} 50\%\_\&\textasciitilde{}\textasciicircum{}\#\$" in text
        assert r"\multicolumn{2}{c}{A \& B}" in text
        plain = re.sub(r"\\[{}]", "", text)
        assert plain.count("{") == plain.count("}")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class TestHtml:
    def test_tags_are_closed_and_plain(self) -> None:
        parser = _Tags()
        parser.feed(html_tables([*paper(), hostile()]))
        assert parser.open == []
        assert set(parser.tags) == {
            "table", "caption", "thead", "tbody", "tr", "th", "td", "b", "u", "sup", "small", "ul", "li"
        }  # fmt: skip

    def test_values(self) -> None:
        text = html_tables(paper())
        assert "<td><b>55.5</b></td>" in text
        assert "<td>52.3 <small>(51.3–53.3)</small></td>" in text
        assert "<td>64.7<sup>a</sup></td>" in text


class TestPublish:
    def test_a_file_and_a_task(self, tmp_path: Path) -> None:
        source = good.write(tmp_path / "board.csv", good.rows())
        text = publish([source], "md", task="fine-grained", edition=None, output=tmp_path / "deep/table.md")
        assert (tmp_path / "deep/table.md").read_text(encoding="utf-8") == text
        assert text.count("###") == 1
        assert "reported" not in text

    def test_an_option_of_another_form(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="hf-card"):
            publish([], "md", edition=ICML, model="our-model")
        with pytest.raises(UsageError, match="no task"):
            publish([], "md", task="fine-graned", edition=ICML)

"""Measured tables inside hand-written pages: each stands between two comments with its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/miniature-suite.md"


def put(name: str, content: str, page: Path = PAGE) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- end of name -->``.

    Args:
        name: of the table.
        content: Markdown.
        page: file that holds the comments.

    Raises:
        ValueError: the page does not have both comments, in this order.
    """
    text = page.read_text(encoding="utf-8")
    opening, closing = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = text.partition(opening)
    _, ended, after = rest.partition(closing)
    if not (found and ended):
        raise ValueError(f"{page}: expected the lines {opening.strip()} and {closing}.")
    page.write_text(f"{before}{opening}\n{content.strip()}\n\n{closing}{after}", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A Markdown table.

    Args:
        head: titles of the columns.
        rows: cells.
        right: columns that are set to the right.
    """
    rule = ["---:" if number in right else "---" for number in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))

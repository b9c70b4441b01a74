"""Printing for ``fgbench selftest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from fgbench.selftest.comparison import Compared, Comparison

_MEANING = (
    "A number outside its tolerance means that this installation measures something else than the one that made the "
    "expected numbers: do not trust its results on real data before you know why. Where the protocol differs, that "
    "field is the first suspect; where it does not, look at the code and the package versions of that step (decoding, "
    "resizing, tokens, regions, metric). docs/miniature-suite.md lists what each row notices."
)


def print_comparison(found: Comparison) -> None:
    """The numbers that stand for the datasets and all that are off; then what differs, and what that means."""
    console = Console()
    table = Table(
        title=f"Self-test with {escape(found.model)} [dim](percent)[/dim]", title_justify="left", box=box.SIMPLE_HEAVY
    )
    for name in ("Dataset", "Subset", "Metric"):
        table.add_column(name, no_wrap=name == "Dataset", overflow="fold")
    for name in ("Expected", "Measured", "Allowed"):
        table.add_column(name, justify="right")
    table.add_column("Verdict")
    for score in found.scores:
        if score.main or not score.inside:
            table.add_row(*_row(score))
    console.print(table)
    for name, reason in found.not_evaluated.items():
        console.print(Text(f"{name} was not evaluated: {reason}", style="red"))
    for name, fields in found.protocol.items():
        console.print(Text(f"{name}: the protocol differs (expected → found): {'; '.join(fields)}", style="red"))
    outside = len(found.outside)
    counted = f"{len(found.scores) - outside} of {len(found.scores)} numbers are inside their tolerance"
    verdict = "Passed" if found.passed else "Failed"
    console.print(Text(f"{verdict}: {counted}.", style="green" if found.passed else "bold red"))
    if found.passed:
        return
    if found.environment:
        console.print(Text(f"Environment (expected → found): {'; '.join(found.environment)}."))
    if found.other_pictures:
        console.print(
            Text(
                f"The pictures of {len(found.other_pictures)} datasets are not byte for byte those of the expectation: "
                "another version of Pillow or libjpeg wrote them. Single queries may change for that; not many."
            )
        )
    console.print(Text(_MEANING))


def _row(score: Compared) -> tuple[str, str, str, str, str, str, Text]:
    measured = "–" if score.measured is None else f"{100 * score.measured:.1f}"
    if score.inside:
        verdict = Text("inside", style="green")
    elif score.measured is None:
        verdict = Text("missing", style="bold red")
    elif score.n != score.measured_n:
        verdict = Text(f"n {score.measured_n:,}, not {score.n:,}", style="bold red")
    else:
        verdict = Text("OUTSIDE", style="bold red")
    return (
        score.dataset,
        "" if score.subset == "*" else score.subset,
        score.metric,
        f"{100 * score.expected:.1f}",
        measured,
        f"± {100 * score.allowed:.1f}",
        verdict,
    )

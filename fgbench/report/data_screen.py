"""Printing for ``fgbench data``: fits a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from fgbench.data.inventory import DatasetState, Role, layout, relative, summary
from fgbench.data.space import human_size

if TYPE_CHECKING:
    from fgbench.data.verification import Verified
    from fgbench.data_api import Obtained, Place, Status

_STATE = {"present": "green", "partial": "yellow", "missing": "dim", "broken": "red"}
_VERDICT = {"ok": "green", "missing": "yellow", "broken": "red", "note": "dim"}
_RESULT = {"present": "green", "downloaded": "green", "complete": "green", "listed": "cyan"} | {
    "manual": "yellow",
    "failed": "red",
}
_EXAMPLES = 5


def print_status(result: Status) -> None:
    """One line of numbers per dataset; below it where the files are and under which licence."""
    console = Console()
    console.print(Text(f"Data root: {result.root}"))
    width = max(len("Dataset"), *(len(each.id) for each in result.datasets))
    console.print(Text(_columns(width, "Dataset", "State", "Annotations", "Pictures", "Size"), style="bold"))
    for each in result.datasets:
        annotations = [role for role in each.roles if not role.pictures]
        found = sum(role.found is not None for role in annotations)
        there = f"{found} of {len(annotations)}" if annotations else "–"
        pictures = f"{each.pictures_found:,} of {each.pictures:,}" if each.pictures else "–"
        size = each.annotation_bytes + each.picture_bytes
        shown = ("≈ " if each.estimated else "") + human_size(size) if size else "–"
        line = Text(_columns(width, each.id, each.state, there, pictures, shown))
        line.stylize(_STATE[each.state], width + 2, width + 2 + len(each.state))
        console.print(line)
        details = Text(f"{_whereabouts(each, result.root)}\nLicence: {each.licence}", style="dim")
        console.print(Padding(details, (0, 0, 0, 4), expand=False))
    counted = ", ".join(f"{number} {state}" for state, number in summary(result.datasets).items() if number)
    console.print(Text(f"{len(result.datasets)} datasets: {counted}."), end="")
    if any(each.estimated for each in result.datasets):
        console.print(Text(" ≈ marks sizes estimated from a sample of the pictures."), end="")
    console.print()
    broken = [each for each in result.datasets if each.state == "broken"]
    for each in broken:
        console.print(Text(each.problem or "", style="red"))
    if any(each.state in ("partial", "missing") for each in result.datasets):
        console.print(Text("To get files: 'fgbench data get'. Where they belong: 'fgbench data where'.", style="dim"))


def _columns(width: int, name: str, state: str, annotations: str, pictures: str, size: str) -> str:
    return f"{name:<{width}}  {state:<8} {annotations:>11} {pictures:>18} {size:>10}"


def _whereabouts(each: DatasetState, root: Path) -> str:
    found = _folders(((role.found,) if role.found else () for role in each.roles), each.roles, root)
    absent = [role for role in each.roles if not role.found]
    lines = [f"Found in {found}"] if found else []
    for pictures in (False, True):
        lacking = [role for role in absent if role.pictures == pictures]
        if lacking and each.state != "present":
            names = ", ".join(role.name for role in lacking)
            lines.append(f"No {names}; looked in {_folders((role.places for role in lacking), lacking, root)}")
    if each.items < each.published_items and each.state == "present":
        lines.append(f"{each.items:,} items; {each.published_items:,} were published")
    return "\n".join(lines)


def _folders(places: Iterable[Sequence[Path]], roles: Sequence[Role], root: Path) -> str:
    """The folders of files and the places of pictures, each once."""
    named = []
    for role, paths in zip(roles, places, strict=True):
        for path in paths:
            shown = relative(path.parent if path.suffix and not role.pictures else path, root)
            named.append("the data root" if shown == "." else shown)
    return ", ".join(dict.fromkeys(named))


def print_where(root: Path, places: Sequence[Place]) -> None:
    """Per dataset the accepted places of each role; then an example tree."""
    console = Console()
    console.print(Text(f"Data root: {root}\nOf several places the first that exists is taken; ✓ marks it.\n"))
    for place in places:
        console.print(Text(f"{place.spec.id}  ({place.spec.title})", style="bold"))
        for role in place.roles:
            console.print(Padding(Text(f"--set {role.key}=…", style="cyan"), (0, 0, 0, 2), expand=False))
            for path in role.places:
                mark = "✓" if path == role.found else " "
                shown = relative(path, root)
                console.print(
                    Padding(
                        Text(f"{mark} {shown if shown != '.' else '. (the data root)'}"), (0, 0, 0, 4), expand=False
                    )
                )
        console.print(Padding(Text(place.spec.how_to_get, style="dim"), (0, 0, 0, 2), expand=False))
    console.print()
    tree = Tree(Text(f"{root}/", style="bold"))
    _grow(tree, layout(place.spec for place in places))
    console.print(Text("An example of a data root with these datasets, and who uses what:"))
    console.print(tree)


def _grow(tree: Tree, node: Mapping[str, Any]) -> None:
    for name, child in sorted(node.items()):
        if not name:
            continue
        folder = any(child) or "." not in name
        label = Text(name + "/" * folder)
        if child.get(""):
            label.append(f"  {', '.join(child[''])}", style="cyan")
        _grow(tree.add(label), child)


def where_rows(root: Path, places: Sequence[Place]) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "data_root": str(root),
        "datasets": {
            place.spec.id: {
                "how_to_get": place.spec.how_to_get,
                "roles": {
                    role.name: {
                        "key": role.key,
                        "places": [relative(path, root) for path in role.places],
                        "found": relative(role.found, root) if role.found else None,
                    }
                    for role in place.roles
                },
            }
            for place in places
        },
    }


def print_get(result: Obtained) -> None:
    """What was downloaded, what is complete, and the steps to be done by hand."""
    console = Console()
    if result.sources:
        table = Table(title="From the hub", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for title, justify in (("Repository", "left"), ("Result", "left"), ("Files", "right"), ("Size", "right")):
            table.add_column(title, justify="right" if justify == "right" else "left", overflow="fold")
        table.add_column("Commit", no_wrap=True)
        for source in result.sources:
            size = human_size(source.size) if source.files else "–"
            files = str(len(source.files)) if source.files else "–"
            state = Text(source.status, style=_RESULT[source.status])
            table.add_row(Text(source.repo), state, files, size, source.commit[:12] or "–")
        console.print(table)
        for source in result.sources:
            if source.message:
                console.print(Text(source.message, style=_RESULT[source.status]))
    for status, title in (
        ("present", "Complete"),
        ("listed", "Would be downloaded"),
        ("failed", "Failed"),
        ("manual", "To be done by hand"),
    ):
        rows = [each for each in result.datasets if each.status == status]
        if rows and not any(each.message for each in rows):
            console.print(Text(f"{title}: {', '.join(each.id for each in rows)}", style=_RESULT[status]))
        elif rows:
            console.print(Text(f"{title}:", style=_RESULT[status]))
            for each in rows:
                console.print(
                    Padding(Text.assemble((each.id, "bold"), f": {each.message}"), (0, 0, 0, 2), expand=False)
                )
    if any(each.status == "manual" for each in result.datasets):
        console.print(Text(f"<data root> is {result.root}. All accepted places: 'fgbench data where'.", style="dim"))


def print_verify(results: Sequence[Verified]) -> None:
    """One line per dataset; below it the findings with a few examples each."""
    console = Console()
    width = max(len("Dataset"), *(len(each.dataset) for each in results))
    head = f"{'Dataset':<{width}}  {'Verdict':<8} {'Items':>9} {'Pictures':>9} {'Checksums':>9}"
    console.print(Text(head, style="bold"))
    for each in results:
        items = f"{sum(each.items.values()):,}" if each.items else "–"
        line = Text(
            f"{each.dataset:<{width}}  {each.verdict:<8} {items:>9} {each.pictures:>9,} {each.checksums or '–':>9}"
        )
        line.stylize(_VERDICT[each.verdict], width + 2, width + 2 + len(each.verdict))
        console.print(line)
        for finding in each.findings:
            style = _VERDICT[finding.severity]
            text = Text.assemble((f"{finding.severity}: ", style), f"{finding.message}")
            if finding.count > 1 and finding.items:
                text.append(f" ({finding.count:,})")
            console.print(Padding(text, (0, 0, 0, 4), expand=False))
            shown = list(finding.items[:_EXAMPLES])
            if len(finding.items) > _EXAMPLES:
                shown.append(f"… and {len(finding.items) - _EXAMPLES:,} more; --json has all")
            for item in shown:
                console.print(Padding(Text(item, style="dim"), (0, 0, 0, 8), expand=False))
    counted = {verdict: sum(each.verdict == verdict for each in results) for verdict in ("ok", "missing", "broken")}
    console.print(
        Text(f"{len(results)} datasets: " + ", ".join(f"{count} {name}" for name, count in counted.items() if count))
    )

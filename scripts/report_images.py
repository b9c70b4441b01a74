"""The pictures of docs/report.md: ``python -m scripts.report_images --results FOLDER``.

Evaluates the miniature suite's models into the folder (a second time takes what is stored), writes the page beside the
records and photographs it in Chromium.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from PIL import Image

import fgbench
from fgbench.data.atomic import write_atomic
from fgbench.report_api import report
from scripts.browser import lacking, resize, start

MODELS = ("fgclip2-tiny", "fgclip2-tiny-early", "fgclip2-untrained")
IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
VIEWS = {
    "report": (1200, 900, "en", "light", "body"),
    "report-zh-dark": (1200, 900, "zh", "dark", ".heat"),
}
"""Width, height, language, theme, and what is at the top of the picture."""


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="folder for the records")
    parser.add_argument("--no-run", action="store_true", help="take the records that are there")
    arguments = parser.parse_args()
    if missing := lacking():
        parser.error(missing)
    if not arguments.no_run:
        for model in MODELS:
            fgbench.evaluate(model, data_root="mini", output=arguments.results)
    page = report(arguments.results, plots=arguments.results / "plots").page
    with start() as browser:
        for name, view in VIEWS.items():
            save(IMAGES / f"{name}.png", photograph(browser, page, *view))
    save(IMAGES / "report-radar.png", (arguments.results / "plots" / "miniature-radar.en.png").read_bytes())


def photograph(browser: Any, page: Path, width: int, height: int, language: str, theme: str, place: str) -> bytes:
    """A PNG of the page, from an element downwards."""
    browser.get("about:blank")
    resize(browser, width, height)
    browser.get(page.resolve().as_uri())
    browser.execute_script(
        "for (const id of ['language-' + arguments[0], 'theme-' + arguments[1]]) document.getElementById(id).click();"
        "document.querySelector(arguments[2]).scrollIntoView()",
        language, theme, place,
    )  # fmt: skip
    png: bytes = browser.get_screenshot_as_png()
    return png


def save(path: Path, png: bytes) -> None:
    """Write a picture as small as it goes."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(buffer, format="PNG", optimize=True)
    write_atomic(path, buffer.getvalue())
    print(f"{path.name}: {len(buffer.getvalue()) // 1000} kB")


if __name__ == "__main__":
    main()

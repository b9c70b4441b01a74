"""Chromium without a window, for tests and pictures of the report; ``.ci/browser`` installs it."""

from __future__ import annotations

import os
import shutil
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")


def lacking() -> str | None:
    """What is not there to start a browser with; None if all is."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed"
    return None if CHROMIUM and DRIVER else "Chromium or chromedriver is not installed (bash .ci/browser)"


def start(*, scripts: bool = True) -> Any:
    """Start it.

    Args:
        scripts: may pages run scripts?

    Returns:
        A ``selenium.webdriver.Chrome``, to be used in a ``with`` block.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-US"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # root has no sandbox to drop into
    for argument in (*arguments, "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    return webdriver.Chrome(options=options, service=Service(str(DRIVER)))


def resize(browser: Any, width: int, height: int) -> None:
    """Show pages as on a screen of this size, in CSS pixels; quick while an empty page is open."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

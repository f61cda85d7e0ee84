"""Real Chromium for the tests of pages, Debian's own, with JavaScript or without."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "Chromium is missing, and pages are tested in it: apt-get install chromium (Debian's package 'chromium')."
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
QUIET += ["--disable-background-networking", "--disable-component-update"]
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1100, "height": 800}
# What axe-core counts as a barrier that has to go.
SERIOUS = ("serious", "critical")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser; the test fails, and says what to install, where there is none."""
    if CHROMIUM is None:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=QUIET)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(
    browser: Browser, *, scripts: bool = False, size: dict[str, int] = PHONE, language: str = "en"
) -> Iterator[Page]:
    """A page of a fresh profile; by default without JavaScript, on a phone."""
    # axe-core is itself a script that no page of ours would let in.
    context = browser.new_context(viewport=size, java_script_enabled=scripts, bypass_csp=scripts, locale=language)  # type: ignore[arg-type]
    try:
        yield context.new_page()
    finally:
        context.close()


def barriers(page: Page) -> list[str]:
    """What axe-core finds that is serious, by rule and element (WCAG 2.2 A and AA, and best practice)."""
    found: Any = Axe().run(page).response
    return [
        f"{violation['id']}: {node['html']}"
        for violation in found["violations"]
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]

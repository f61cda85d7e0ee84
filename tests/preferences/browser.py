"""Pages of a fresh profile for the tests of the door: on a phone or a desk, with JavaScript or without."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1100, "height": 800}


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

"""In real Chromium: leaving takes two clicks, works by keyboard alone and without JavaScript, and bars nobody."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browsers import chromium, grave_findings
from tests.invariants.world import CONSENTS, OPTED_IN, OPTED_OUT
from tests.preferences.browser import DESK, PHONE, page_of
from tests.preferences.people import AINO, House, link_in, paid_course, subscribed

# Which control has the focus, and the outline that shows it.
FOCUSED = """() => {
    const at = document.activeElement, style = getComputedStyle(at);
    return [[...document.querySelectorAll('*')].indexOf(at), `${style.outlineWidth} ${style.outlineStyle}`];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def test_two_clicks_from_the_newsletter_to_the_crm(house: House, browser: Browser) -> None:
    house.reset(*subscribed(AINO), paid_course(), in_crm=True)
    values = {row["msdynmkt_value"] for row in house.world.rows(CONSENTS)}
    assert OPTED_IN in values
    with page_of(browser) as page:
        page.goto(f"{house.url}/p/{house.token()}?lang=en")
        clicked_at = time.monotonic()
        page.get_by_role("button", name="Leave all newsletters").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Done"
        assert "no more newsletters" in page.get_by_role("status").inner_text()
        assert page.context.cookies() == []
    house.follow()
    (contact,) = house.world.rows("contacts")
    assert contact["donotbulkemail"] is True
    assert {row["msdynmkt_value"] for row in house.world.rows(CONSENTS)} == {OPTED_OUT}
    assert time.monotonic() - clicked_at < 60


def test_the_keyboard_alone_is_enough(house: House, browser: Browser) -> None:
    house.reset(*subscribed(AINO))
    with page_of(browser) as page:
        page.goto(f"{house.url}/p/{house.token()}?lang=en")
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == "Skip to the content"
        for _ in range(8):
            if page.locator(":focus").inner_text() == "Leave all newsletters":
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_role("heading", level=1, name="Done").wait_for()
    assert [event.purpose for event in house.events()] == ["marketing", "related_events"]


def test_own_data_by_mail_without_scripts(house: House, browser: Browser) -> None:
    house.reset(*subscribed(AINO), paid_course())
    with page_of(browser) as page:
        page.goto(f"{house.url}/p/{house.token()}?lang=sv")
        page.get_by_role("button", name="Skicka länken").click()
        path = link_in(house.mail.wait_for(1, AINO.address)[0])
        page.goto(f"{house.url}{path}?lang=sv")
        page.get_by_role("button", name="Öppna min sida").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Dina uppgifter"
        page.get_by_label("Ja, skicka mig nyhetsbrev per e-post om det här ämnet: Utbildning").uncheck()
        page.get_by_role("button", name="Spara mina val").click()
        assert "Sparat." in page.get_by_role("status").inner_text()
    assert [(event.topic, event.value) for event in house.events()] == [("training", "withdraw")]


def test_every_control_is_reached_by_the_keyboard_and_is_seen_to_be(house: House, browser: Browser) -> None:
    house.reset(*subscribed(AINO), paid_course())
    house.enter()
    cookie = {"name": "door", "value": house.http.cookies["door"], "url": house.url}
    with page_of(browser, scripts=True, size=DESK) as page:
        page.context.add_cookies([cookie])  # type: ignore[list-item]
        page.goto(f"{house.url}/own?lang=en")
        controls = page.locator("a, button, input:not([type=hidden])").count()
        outlines = []
        for _ in range(controls):
            page.keyboard.press("Tab")
            outlines.append(page.evaluate(FOCUSED))
        assert len({number for number, _ in outlines}) == controls > 15
        assert {width for _, width in outlines} == {"3px solid"}
        page.locator("#topic-rdi").focus()
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
        assert "Saved." in page.get_by_role("status").inner_text()
    assert [(event.topic, event.value) for event in house.events()] == [("rdi", "withdraw")]


def test_axe_core_finds_nothing_serious_at_any_width_in_any_language(house: House, browser: Browser) -> None:
    house.reset(*subscribed(AINO), paid_course())
    house.enter()
    cookie = {"name": "door", "value": house.http.cookies["door"], "url": house.url}
    for language, size in (("fi", PHONE), ("sv", DESK), ("en", PHONE)):
        with page_of(browser, scripts=True, size=size) as page:
            for path in (f"/p/{house.token()}", "/p/none", "/own"):
                if path == "/own":
                    page.context.add_cookies([cookie])  # type: ignore[list-item]
                page.goto(f"{house.url}{path}?lang={language}")
                assert grave_findings(page) == []
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
                    "no sideways scrolling"
                )
                assert page.locator("html").get_attribute("lang") == language


def test_axe_core_is_able_to_find_something(browser: Browser) -> None:
    with page_of(browser, scripts=True) as page:
        page.set_content("<html><body><img src='x'><input></body></html>")
        assert grave_findings(page)

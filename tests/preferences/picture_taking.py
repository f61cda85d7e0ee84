"""Takes the pictures of docs/preferences anew: `python -m pytest tests/preferences/picture_taking.py`. No test by itself."""

from tests.browsers import chromium
from tests.preferences.browser import DESK, PHONE, page_of
from tests.preferences.people import AINO, House, paid_course, screenshots, subscribed


def test_pictures(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course())
    house.enter()
    cookie = {"name": "door", "value": house.http.cookies["door"], "url": house.url}
    folder = screenshots()
    folder.mkdir(exist_ok=True)
    with chromium() as browser:
        for language in ("fi", "sv", "en"):
            with page_of(browser, size=PHONE) as page:
                page.goto(f"{house.url}/p/{house.token()}?lang={language}")
                page.screenshot(path=folder / f"link-{language}.png", full_page=True)
        with page_of(browser, size=PHONE) as page:
            page.goto(f"{house.url}/p/none?lang=fi")
            page.screenshot(path=folder / "refused-fi.png", full_page=True)
        with page_of(browser, size=DESK) as page:
            page.context.add_cookies([cookie])  # type: ignore[list-item]
            page.goto(f"{house.url}/own?lang=en")
            page.screenshot(path=folder / "own-en.png", full_page=True)
        with page_of(browser, size=PHONE) as page:
            page.goto(f"{house.url}/p/{house.token()}?lang=fi")
            page.get_by_role("button").first.click()
            page.screenshot(path=folder / "done-fi.png", full_page=True)

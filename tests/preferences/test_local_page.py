"""The page for staff on their own machine, in a real browser: mapping, saving, manual entries, and who may talk to it."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from playwright.sync_api import Browser, Page, expect

from connectors.mappings import load_mapping, load_mappings
from connectors.store.address import ServerAddress
from preferences.local.app import LANGUAGES, build_local_app, texts
from preferences.local.guard import COOKIE, MAX_BODY, Keys
from preferences.local.samples import MOST, Samples
from sandbox.dataverse.server import RunningEmulator
from schemas.errors import ConfigurationError
from tests.browsers import chromium, grave_findings
from tests.invariants.world import CONFIG, World, opened
from tests.throwaway import fresh_database

SURVEY = (
    "Vastausaika;Etunimi;Sukunimi;Sähköposti;Mistä kuulit?;Haluan uutiskirjeen sähköpostiini.;Ruokavalio\r\n"
    "10.11.2026 10:00;Sanni;Survonen;sanni@example.org;Naapurilta;Kyllä;Vegaani\r\n"
    "10.11.2026 11:00;Seppo;Survonen;seppo@example.org;Lehdestä;Ei;\r\n"
    "11.11.2026 11:00;Outi;Ohi;outi@example.org;Lehdestä;Kyllä;\r\n"
    "12.11.2026 11:00;Onni;Ohi;onni@example.org;Lehdestä;Ei;\r\n"
)


@dataclass
class Served:
    """A served local page over a world of its own."""

    world: World
    keys: Keys
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def entrance(self) -> str:
        return f"{self.url}/?key={self.keys.door}"


@pytest.fixture(scope="module")
def served(
    store_address: ServerAddress, emulator: RunningEmulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("local")
    with (
        fresh_database(store_address, template=store_address.database) as address,
        opened(directory, emulator, address) as world,
    ):
        manual = load_mapping(CONFIG / "sources" / "manual_entries.yaml")
        world.workspace = replace(world.workspace, mappings={manual.feed: manual})
        with serving(world) as running:
            yield running


@contextmanager
def serving(world: World, **given: Any) -> Iterator[Served]:
    keys = Keys()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        app = build_local_app(world.workspace, port=port, keys=keys, **given)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield Served(world, keys, port)
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened_browser:
        yield opened_browser


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    context = browser.new_context(locale="fi-FI", viewport={"width": 1200, "height": 900})
    context.set_default_timeout(20_000)
    opened_page = context.new_page()
    opened_page.goto(served.entrance)
    yield opened_page
    context.close()


def upload(page: Page, name: str = "kysely.csv", payload: bytes = SURVEY.encode()) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "text/csv", "buffer": payload})
    page.get_by_role("button", name=texts("fi")["read_it"]).click()


def decide(page: Page, feed: str) -> None:
    """What a human decides of the survey."""
    words = texts("fi")
    page.get_by_label(words["feed"]).fill(feed)
    page.get_by_label(words["kind"]).select_option("survey")
    page.get_by_label(words["owner"]).fill("Viestintä")
    page.get_by_label(words["purpose"]).select_option("marketing")
    page.get_by_label(words["polarity"]).select_option("consent")
    page.get_by_label(words["grants"]).fill("Kyllä")
    page.get_by_label(words["refuses"]).fill("Ei")
    page.get_by_label(words["wording"], exact=True).fill("Haluan uutiskirjeen sähköpostiini.")
    page.get_by_label(words["wording_language"]).select_option("fi")
    page.get_by_label(words["wording_version"]).fill("1")
    page.get_by_label(words["notice_version"]).fill("2026-01")


def test_a_form_is_mapped_looked_at_and_saved(page: Page, served: Served) -> None:
    upload(page)
    expect(page.locator(".wrong")).to_contain_text("TODO")
    expect(page.get_by_role("table").last).to_contain_text("sanni@example.org")
    assert grave_findings(page) == []
    decide(page, "kysely_sivulta")
    page.get_by_role("button", name=texts("fi")["look_again"]).click()
    expect(page.get_by_text(texts("fi")["complete"])).to_be_visible()
    expect(page.get_by_role("table").last).to_contain_text("grant marketing")
    assert grave_findings(page) == []
    page.get_by_role("button", name=texts("fi")["save"], exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(texts("fi")["saved"])
    mapping = load_mappings(served.world.settings.config_dir)["kysely_sivulta"]
    assert mapping.consents[0].grants == ("Kyllä",)
    assert "Ruokavalio" in mapping.ignored


def test_nothing_is_saved_while_something_is_left_to_decide(page: Page, served: Served) -> None:
    upload(page)
    page.get_by_label(texts("fi")["feed"]).fill("kesken")
    page.get_by_role("button", name=texts("fi")["save"], exact=True).click()
    expect(page.locator(".wrong")).to_contain_text("consents[0].purpose")
    assert not (served.world.settings.config_dir / "sources" / "kesken.yaml").exists()


def test_a_definition_of_a_form_is_mapped_without_a_row(page: Page) -> None:
    samples = Path(__file__).parents[1] / "samples" / "drupal_webform"
    [path] = samples.glob("*palaute*")
    upload(page, path.name, path.read_bytes())
    expect(page.get_by_text(texts("fi")["no_rows"])).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="data.sahkopostiosoite")).to_be_visible()


def test_a_file_that_cannot_be_read_is_refused_in_words(page: Page) -> None:
    upload(page, "rikki.xlsx", b"PK\x03\x04 broken")
    expect(page.get_by_role("alert")).to_contain_text("Remedy")
    assert grave_findings(page) == []


def fill_entry(page: Page, served: Served, **left_out: str) -> None:
    page.goto(f"{served.url}/entry")
    told = {
        "email": "sanottu@example.org",
        "wording": "Saako lähettää uutiskirjeen?",
        "collected_by": "Maija Meri",
        "method": "puhelin",
        "said_on": "20.11.2026",
        "given_name": "Sanna",
    } | left_out
    for name, value in told.items():
        page.locator(f"#{name}").fill(value)
    page.locator("#purpose").select_option(left_out.get("purpose_", "marketing"))
    page.locator("#decision").select_option("lupa")


@pytest.mark.parametrize("missing", ["wording", "collected_by", "method", "said_on"])
def test_a_spoken_yes_without_who_when_how_or_wording_is_refused_at_the_door(
    page: Page, served: Served, missing: str
) -> None:
    before = served.world.query("select count(*) from intake.batch")
    fill_entry(page, served, **{missing: ""})
    page.get_by_role("button", name=texts("fi")["take_down"]).click()
    expect(page.get_by_role("alert")).to_contain_text(texts("fi")["not_taken"])
    expect(page.locator(f"#{missing}")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#email")).to_have_value("sanottu@example.org")
    assert grave_findings(page) == []
    assert served.world.query("select count(*) from intake.batch") == before


def test_an_entry_that_names_neither_event_nor_purpose_is_refused_at_the_door(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/entry")
    page.locator("#email").fill("turha@example.org")
    page.get_by_role("button", name=texts("fi")["take_down"]).click()
    expect(page.get_by_role("alert")).to_contain_text("neither a purpose nor a course or event")
    assert not served.world.query("select 1 from intake.contact_point where address = 'turha@example.org'")


def test_a_whole_entry_is_in_the_ledger_at_once(page: Page, served: Served) -> None:
    fill_entry(page, served)
    page.get_by_role("button", name=texts("fi")["take_down"]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(texts("fi")["taken"])
    [event] = served.world.query(
        "select e.value, v.collected_by, v.method, g.run_id from intake.consent_event e"
        " join intake.consent_evidence v using (event_key) join intake.reading g using (reading_id)"
        " join intake.contact_point c"
        " on c.contact_point_id = e.contact_point_id where c.address = 'sanottu@example.org'"
    )
    assert tuple(event[:3]) == ("grant", "Maija Meri", "puhelin")
    expect(page.locator("main")).to_contain_text(str(event.run_id))


def test_everything_can_be_done_by_keyboard(page: Page, served: Served) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=texts("fi")["skip"])).to_be_focused()
    page.keyboard.press("Enter")
    page.goto(f"{served.url}/entry")
    page.locator("#email").focus()
    order = []
    for _ in range(40):
        order.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if order[-1] == "BUTTON":
            break
        page.keyboard.press("Tab")
    assert order[0] == "email"
    assert order[-1] == "BUTTON"
    assert {"given_name", "purpose", "decision", "wording", "collected_by", "method", "said_on"} <= set(order)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_passes_axe_and_has_every_word(page: Page, served: Served, language: str) -> None:
    page.goto(f"{served.url}/language/{language}")
    assert page.locator("html").get_attribute("lang") == language
    assert grave_findings(page) == []
    page.goto(f"{served.url}/entry")
    assert grave_findings(page) == []
    assert set(texts(language)) == set(texts("en"))
    assert set(texts(language)["words"]) == set(texts("en")["words"])


def asked(served: Served, path: str = "/", *, method: str = "GET", host: str | None = None, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    given = {"Host": host or f"127.0.0.1:{served.port}", "Cookie": f"{COOKIE}={served.keys.door}"}
    connection.request(method, path, headers=given | {name.replace("_", "-"): value for name, value in headers.items()})
    status = connection.getresponse().status
    connection.close()
    return status


def test_only_this_machines_browser_with_the_key_is_answered(served: Served) -> None:
    assert asked(served) == 200
    assert asked(served, host="evil.example") == 421
    assert asked(served, host=f"evil.example:{served.port}") == 421
    assert asked(served, Cookie="") == 403
    assert asked(served, Cookie=f"{COOKIE}=guessed") == 403
    assert asked(served, "/?key=guessed", Cookie="") == 403
    assert asked(served, Origin="https://evil.example") == 403
    assert asked(served, "/entry", method="POST", Content_Length=str(MAX_BODY + 1)) == 413
    assert asked(served, "/entry", method="POST", Transfer_Encoding="chunked") == 411


@pytest.mark.parametrize("token", [None, "", "guessed"])
def test_a_form_without_this_starts_token_does_nothing(served: Served, token: str | None) -> None:
    form = {"email": "vieras@example.org", "purpose": "marketing"} | ({} if token is None else {"token": token})
    cookies = {COOKIE: served.keys.door}
    for path in ("/entry", "/map", "/look", "/save"):
        assert requests.post(f"{served.url}{path}", data=form, cookies=cookies, timeout=20).status_code == 403


def test_nothing_is_asked_of_any_other_host(browser: Browser, served: Served) -> None:
    context = browser.new_context(locale="en-GB")
    hosts: set[str] = set()
    opened_page = context.new_page()
    opened_page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    opened_page.goto(served.entrance)
    opened_page.goto(f"{served.url}/entry")
    context.close()
    assert hosts == {f"127.0.0.1:{served.port}"}
    policy = requests.get(served.url, cookies={COOKIE: served.keys.door}, timeout=20).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy


def test_samples_go_after_a_while_and_only_a_few_are_kept() -> None:
    now = [0.0]
    samples = Samples(lambda: now[0])
    words = [samples.keep(f"{n}.csv", b"x") for n in range(MOST + 1)]
    with pytest.raises(ConfigurationError):
        samples.find(words[0])
    assert samples.find(words[-1]).name == f"{MOST}.csv"
    now[0] = 1801
    with pytest.raises(ConfigurationError):
        samples.find(words[-1])

"""Manual entries: each counts as often as it is typed, the CRM is told at once, and the page says what became of each."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
import requests

from connectors.mappings import load_mapping
from pipelines.operations.merging import as_merger
from pipelines.operations.sessions import Session
from preferences.local.app import texts
from preferences.local.guard import COOKIE
from schemas.mappings import Mapping
from tests.invariants.acts import T0, register, sign_up
from tests.invariants.erasing import erase
from tests.invariants.feeds import MAPPINGS
from tests.invariants.world import CONFIG, take_in
from tests.preferences.people import AINO, House, subscribed
from tests.preferences.test_local_page import Served, serving

WORDS = texts("en")
MANUAL = load_mapping(CONFIG / "sources" / "manual_entries.yaml")
SAID = {"email": AINO.address, "purpose": "marketing", "collected_by": "Maija Meri", "method": "puhelin"}
REFUSAL = {**SAID, "decision": "peruu", "said_on": "21.11.2026"}
YES = {**SAID, "decision": "lupa", "said_on": "20.11.2026", "wording": "Saako lähettää uutiskirjeen?"}


@pytest.fixture
def desk(house: House) -> House:
    """The house with a feed of manual entries, as the organisation has it."""
    return takes(house, MANUAL)


def takes(house: House, manual: Mapping) -> House:
    house.world.workspace = replace(
        house.world.workspace, mappings={**house.world.workspace.mappings, manual.feed: manual, "manual": manual}
    )
    return house


def typed(house: House, entry: dict[str, str], **given: Any) -> str:
    """The page that answers an entry."""
    with serving(house.world, **given) as served:
        return type_in(served, entry)


def type_in(served: Served, entry: dict[str, str]) -> str:
    answer = requests.post(
        f"{served.url}/entry",
        data={**entry, "token": served.keys.form},
        cookies={COOKIE: served.keys.door},
        headers={"Accept-Language": "en"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def heading(page: str) -> str:
    return page.split("<h1>")[1].split("</h1>")[0]


def is_on(house: House) -> bool:
    """Whether Aino gets news of events."""
    (state,) = house.world.query(
        "select s.state from intake.consent_state s join intake.contact_point c using (contact_point_id)"
        " where (c.address_key, s.purpose, s.topic) = (:key, 'marketing', 'events')",
        key=AINO.key,
    )
    return bool(state[0] == "granted")


def landed(house: House) -> int:
    """How many entries are kept."""
    return len(house.world.query("select 1 from intake.batch where source = 'manual'"))


def wait_until(is_so: Callable[[], bool], *, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "It did not come about."
        time.sleep(0.05)


def events(house: House) -> list[Any]:
    return [value for (value,) in house.world.query("select value from intake.consent_event where source = 'manual'")]


@pytest.mark.parametrize("formats", [["fi_date", "iso"], ["fi_date"]])
def test_the_same_refusal_an_hour_after_a_grant_of_the_same_day_is_one_more(house: House, formats: list[str]) -> None:
    submitted_at = {**MANUAL.submitted_at.model_dump(exclude_none=True), "formats": formats}
    manual = Mapping.model_validate({**MANUAL.model_dump(exclude_none=True), "submitted_at": submitted_at})
    takes(house.reset(*subscribed(AINO)), manual)
    assert heading(typed(house, REFUSAL)) == WORDS["taken"] and not is_on(house)
    house.tick(hours=1)
    house.enter()
    house.post("/own/topics?lang=en", data={"form": house.form(), "topic": ["events"]})
    assert is_on(house)
    house.tick(hours=1)
    assert heading(typed(house, REFUSAL)) == WORDS["taken"] and not is_on(house)
    typed(house, YES)
    assert not is_on(house), "of the day before"


def test_an_entry_pressed_twice_at_once_is_one(desk: House) -> None:
    assert typed(desk, REFUSAL) == typed(desk, REFUSAL) != ""
    assert events(desk) == ["withdraw"] * 2, "of marketing, and of news of similar events"


def test_the_crm_is_told_of_a_typed_no_at_once(house: House) -> None:
    takes(house.reset(*subscribed(AINO), in_crm=True), MANUAL)
    assert any(house.world.holds().consents.values())
    typed(house, REFUSAL)
    assert house.narrow().served == 1
    assert not any(house.world.holds().consents.values())


def test_a_yes_of_an_office_is_told_to_count_for_nothing_and_its_no_counts(desk: House) -> None:
    office = {"email": "info@example.org"}
    page = typed(desk, YES | office)
    assert heading(page) == WORDS["not_counted"] and WORDS["words"]["ended.role_address"] in page
    assert events(desk) == []
    assert heading(typed(desk, REFUSAL | office)) == WORDS["taken"]
    assert set(events(desk)) == {"withdraw"}


def test_a_yes_of_a_child_is_told_to_count_for_nothing(house: House) -> None:
    house.reset().world.with_mapping("courses", for_children=True).perform([register(1, AINO, T0)])
    take_in(house.world.session())
    page = typed(takes(house, MANUAL), YES | {"given_name": "Aino"})
    assert heading(page) == WORDS["not_counted"] and "--of-age" in page
    assert events(house) == []


def test_a_yes_of_whoever_has_a_link_to_follow_is_told_to_count_for_nothing(house: House) -> None:
    consent = {**MAPPINGS["newsletter"]["consents"][0], "double_opt_in": True}
    house.reset().world.with_mapping("newsletter", consents=[consent]).perform([sign_up(1, AINO, T0)])
    take_in(house.world.session())
    page = typed(takes(house, MANUAL), YES | {"said_on": "21.11.2026"})
    assert heading(page) == WORDS["not_counted"] and WORDS["words"]["ended.awaiting_confirmation"] in page
    assert events(house) == []


def test_what_somebody_said_before_they_were_erased_is_told_to_count_for_nothing(house: House) -> None:
    house.reset(*subscribed(AINO), in_crm=True)
    erase(house.world, AINO.address)
    house.tick(hours=1)
    page = typed(takes(house, MANUAL), YES)
    assert heading(page) == WORDS["not_counted"] and "erased" in page
    assert events(house) == []


def test_a_yes_that_a_later_no_stands_against_is_told_so(desk: House) -> None:
    typed(desk, REFUSAL)
    page = typed(desk, YES)
    assert heading(page) == WORDS["not_counted"] and WORDS["words"]["ended.no_living_purpose"] in page
    assert "grant" in events(desk)


def test_an_entry_beside_a_run_that_merges_is_kept_and_the_next_run_takes_it_in(desk: House) -> None:
    with as_merger(Session(desk.world.workspace)):
        page = typed(desk, REFUSAL, wait_s=0.0)
    assert heading(page) == WORDS["kept"] and "run" in page
    assert events(desk) == []
    take_in(desk.world.session())
    assert set(events(desk)) == {"withdraw"}


def test_while_entries_wait_for_a_run_that_merges_other_pages_answer(desk: House) -> None:
    entries = [REFUSAL | {"email": f"person{n}@example.org"} for n in range(10)]
    with serving(desk.world) as served, ThreadPoolExecutor(len(entries)) as browsers:
        with as_merger(Session(desk.world.workspace)):
            typing = [browsers.submit(type_in, served, entry) for entry in entries]
            wait_until(lambda: landed(desk) > 0)
            form = requests.get(f"{served.url}/entry", cookies={COOKIE: served.keys.door}, timeout=5)
        assert form.status_code == 200
        assert {heading(page.result()) for page in typing} == {WORDS["taken"]}
    assert len(events(desk)) == 2 * len(entries)

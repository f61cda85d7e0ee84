"""Webhooks: genuine or nothing; each submission once, whatever comes twice or late; and the night's pull changes nothing."""

import base64
import hmac
import json
import logging
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
import yaml

from connectors.fetching import HttpSettings
from connectors.mappings import load_mappings
from connectors.store.webhook_deliveries import forget_deliveries, forget_signatures
from connectors.web_forms import WebFormsSettings
from pipelines.operations.sessions import Session
from pipelines.operations.undo import undo_run
from pipelines.operations.webform_handler import webform_handler
from preferences.secrets_file import DoorSecrets, load_door_secrets
from sandbox.drupal import remote_post
from sandbox.organisation import Organisation, make_organisation
from sandbox.sources_server import RunningSources, start_sources
from schemas.errors import ConfigurationError
from schemas.mappings import Mapping
from tests.invariants.world import take_in
from tests.preferences.people import House
from tests.sizes import sized

ROOT = Path(__file__).parents[2]
FEED, UNTIL = "web_forms_newsletter", date(2026, 11, 20)
NEW, OLD, WRONG = "secret-of-the-form-2", "secret-of-the-form-1", "secret-of-nobody-at-all"
SIGNED = {"title": "Signed", "kind": "mailing_list", "owner": "Communications", "version": 1, "source": "web_forms"}
WORDING = {"text": "Send me the newsletter.", "language": "en", "version": "1"}


def test_the_documents_example_of_the_file_of_secrets_is_one(tmp_path: Path) -> None:
    written = (ROOT / "docs" / "preferences.md").read_text()
    (example,) = re.findall(r"```json\n(.+?)```", written, re.DOTALL)
    path = tmp_path / "doors.json"
    path.write_text(example)
    path.chmod(0o600)
    secrets = load_door_secrets(path, load_mappings(ROOT / "config"))
    assert {hook.engine for hook in secrets.webhooks.values()} == {"drupal", "typeform", "json"}
    assert secrets.consent_provider


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return make_organisation(seed=7, people=sized(150, 12_000), days=20, until=UNTIL)


@pytest.fixture(scope="module")
def site(organisation: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSources]:
    with start_sources(tmp_path_factory.mktemp("site"), organisation, through=UNTIL) as running:
        yield running


@pytest.fixture
def hooked(house: House, site: RunningSources) -> House:
    """The house with the website's newsletter form, pushed and pulled, and a form of each other engine."""
    mappings = {
        FEED: load_mappings(ROOT / "config")[FEED],
        "typed": mapping_of("typed", "token"),
        "plain": mapping_of("plain", "id"),
    }
    http = HttpSettings(ca_path=str(site.ca_path))
    web_forms = WebFormsSettings(base_url=site.drupal_url, api_key=site.credentials.drupal_api_key, http=http)
    sources = replace(house.world.workspace.sources, web_forms=web_forms)
    house.world.workspace = replace(house.world.workspace, mappings=mappings, sources=sources)
    house.door.workspace = replace(house.door.workspace, mappings=mappings)
    house.door.secrets = DoorSecrets.model_validate(
        {
            "webhooks": {
                FEED: {"engine": "drupal", "secrets": [NEW, OLD]},
                "typed": {"engine": "typeform", "secrets": [NEW]},
                "plain": {"engine": "json", "secrets": [NEW], "window_s": 300},
            }
        }
    )
    return house


def mapping_of(feed: str, key: str) -> Mapping:
    answers = "answers." if feed == "typed" else ""
    consent = {
        "purpose": "marketing",
        "by_submitting": True,
        "wording": WORDING,
        "notice_version": "tapahtumat-2026-01",
    }
    return Mapping.model_validate(
        {
            **SIGNED,
            "feed": feed,
            "file": {"type": "json", "pattern": f"{feed}_*.json"},
            "key": [key],
            "submitted_at": {"column": "submitted_at", "formats": ["iso"]},
            "fields": {"email": {"column": f"{answers}email"}},
            "consents": [consent],
            "ignored": ["form_id", "landed_at"] if feed == "typed" else [],
        }
    )


def pushed(row: dict[str, Any]) -> dict[str, Any]:
    """What the remote post handler sends: the submission's own fields, its elements on top."""
    return {name.removeprefix("data."): value for name, value in row.items()}


def post(house: House, body: dict[str, Any], *, secret: str = NEW, as_json: bool = True) -> requests.Response:
    kind = "application/json" if as_json else "application/x-www-form-urlencoded"
    data = json.dumps(body) if as_json else urlencode(body)
    headers = {"Content-Type": kind, "Authorization": f"Bearer {secret}"}
    return requests.post(f"{house.url}/hooks/{FEED}", data=data.encode(), headers=headers, timeout=60)


def test_storm_of_posts_holds_each_submission_once_and_the_pull_changes_nothing(
    hooked: House, organisation: Organisation
) -> None:
    rows = [organisation.row(row) for row in organisation.as_of(FEED, UNTIL)]
    assert len(rows) >= 20
    older = [{**row, "changed": str(int(row["changed"]) - 60), "data.etunimi": "Earlier"} for row in rows[::3]]
    storm = [(pushed(row), NEW, number % 4 != 0) for number, row in enumerate([*rows, *older])]
    storm += [(body, OLD, as_json) for body, _, as_json in storm] + [(body, WRONG, True) for body, _, _ in storm[::5]]
    random.Random(7).shuffle(storm)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: post(hooked, one[0], secret=one[1], as_json=one[2]), storm))
    for answer, (_, secret, _) in zip(answers, storm, strict=True):
        assert answer.status_code == (401 if secret == WRONG else 202), answer.text
    assert sum(a.status_code == 202 and a.json()["status"] == "landed" for a in answers) == len(rows) + len(older)
    taken = 0
    while found := hooked.follow().deliveries:
        taken += found
    assert taken == len(rows) + len(older)
    held = hooked.world.query("select submission_id, given_name from intake.submission where source = 'web_forms'")
    assert sorted(row.submission_id for row in held) == sorted({row.submission_id for row in held})
    told = hooked.world.query("select distinct submission_id from intake.row_outcome")
    assert {row.submission_id for row in told} == {f"{FEED}:{row['sid']}" for row in rows}
    before = decided(hooked)
    assert before["events"]
    take_in(hooked.world.session())
    assert decided(hooked) == before
    outcomes = hooked.world.query(
        "select o.state, count(*) from intake.row_outcome o join intake.batch b using (batch_id)"
        " where b.origin not like 'webhook/%' group by 1"
    )
    assert {state for state, _ in outcomes} <= {"unchanged", "withheld", "quarantined"} and outcomes


def decided(house: House) -> dict[str, Any]:
    """What the store makes of everything it was told."""
    statements = {
        "events": "select event_key from intake.consent_event order by 1",
        "states": "select * from intake.consent_state order by 1, 2, 3",
        "people": "select person_id, given_name, family_name, phone from intake.person order by 1",
        "versions": "select contact_point_id, version from intake.contact_point order by 1",
    }
    return {name: house.world.query(statement) for name, statement in statements.items()}


def test_a_signup_does_not_wait_for_the_night(hooked: House, organisation: Organisation) -> None:
    row = organisation.row(organisation.as_of(FEED, UNTIL)[0])
    assert post(hooked, pushed(row)).status_code == 202
    assert hooked.world.query("select from intake.consent_event") == []
    hooked.follow()
    assert any(hooked.world.holds().consents.values())


def test_what_was_pushed_is_undone_by_the_run_that_is_told_of(
    hooked: House, organisation: Organisation, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(hooked, pushed(organisation.row(organisation.as_of(FEED, UNTIL)[0]))).status_code == 202
    with caplog.at_level(logging.INFO, logger="pipelines.operations.following"):
        followed = hooked.follow()
    assert f"Run {followed.run_id} took in pushed forms (1)." in caplog.messages
    assert any(hooked.world.holds().consents.values())
    report = undo_run(Session(hooked.world.workspace), followed.run_id, by="Maija")
    assert (report.undone.lowered, report.counts()["by_feed"][FEED]["grant"]) == (1, 1)
    states = hooked.world.query("select distinct state from intake.consent_state")
    assert "granted" not in {row.state for row in states}
    assert hooked.world.query("select state from intake.batch") == [("undone",)]


def test_defaults_of_drupal_are_named_with_what_to_switch_on(hooked: House, organisation: Organisation) -> None:
    body = pushed(organisation.row(organisation.as_of(FEED, UNTIL)[0]))
    left_out = {name: value for name, value in body.items() if name not in ("sid", "completed", "changed")}
    for as_json in (True, False):
        answer = post(hooked, left_out, as_json=as_json)
        assert answer.status_code == 422 and answer.json()["code"] == "fields_left_out"
        assert "sid, completed, changed" in answer.json()["error"] and "untick 'exclude'" in answer.json()["error"]
    assert body["sahkoposti"] not in answer.text
    large = requests.post(f"{hooked.url}/hooks/{FEED}", data=b"x" * 300_000, timeout=30)
    assert large.status_code == 413 and "file_data" in large.json()["error"]
    assert hooked.world.query("select from intake.batch") == []


def test_the_handler_made_for_the_site_sends_what_the_mapping_reads_and_nothing_else(
    hooked: House, organisation: Organisation
) -> None:
    read = hooked.world.workspace.mappings[FEED]
    erased = {"column": "data.state", "values": ["deleted"]}
    told = Mapping.model_validate({**read.model_dump(exclude_unset=True), "erased": erased, "optional": ["data.state"]})
    hooked.world.workspace.mappings[FEED] = hooked.door.workspace.mappings[FEED] = told
    settings = yaml.safe_load(webform_handler(told, hooked.url).replace("SECRET", NEW))["crm_intake"]["settings"]
    row = organisation.row(organisation.as_of(FEED, UNTIL)[0])
    later = {**row, "changed": str(int(row["changed"]) + 60)}
    for state, sent in (("completed", row), ("deleted", later)):
        url, headers, body = remote_post(settings, sent, state)
        assert set(body) == {"sid", "completed", "changed", "in_draft", "sahkoposti", "etunimi", "sukunimi"} | (
            {"state"} if state == "deleted" else set()
        )
        assert requests.post(url, json=body, headers=headers, timeout=60).status_code == 202
        hooked.follow()
        assert any(hooked.world.holds().consents.values()) == (state == "completed")
    assert hooked.world.query("select from intake.submission where erased_at_source is not null")


def test_a_handler_for_a_mapping_without_erasure_tells_of_none_and_other_feeds_have_no_handler(hooked: House) -> None:
    text = webform_handler(hooked.world.workspace.mappings[FEED], f"{hooked.url}/")
    assert "Deleted submissions are not told" in text
    settings = yaml.safe_load(text)["crm_intake"]["settings"]
    assert (settings["deleted_url"], settings["updated_url"]) == ("", f"{hooked.url}/hooks/{FEED}")
    with pytest.raises(ConfigurationError, match="not a form of a website"):
        webform_handler(load_mappings(ROOT / "config")["manual_entries"], hooked.url)
    with pytest.raises(ConfigurationError, match="INTAKE_PREFERENCES_URL"):
        webform_handler(hooked.world.workspace.mappings[FEED], None)


def test_typeform_is_known_by_its_signature(hooked: House) -> None:
    answers = [{"type": "email", "email": "aino@example.org", "field": {"id": "1", "type": "email", "ref": "email"}}]
    response = {
        "form_id": "f",
        "token": "t1",
        "submitted_at": "2026-11-20T10:00:00Z",
        "landed_at": "x",
        "answers": answers,
    }
    body = json.dumps({"event_id": "e1", "event_type": "form_response", "form_response": response}).encode()
    mac = base64.b64encode(hmac.new(NEW.encode(), body, sha256).digest()).decode()
    for signature, status in ((f"sha256={mac}", 202), (f"sha256={mac}", 202), ("sha256=AAAA", 401), ("", 401)):
        headers = {"Typeform-Signature": signature, "Content-Type": "application/json"}
        assert requests.post(f"{hooked.url}/hooks/typed", data=body, headers=headers, timeout=30).status_code == status
    hooked.follow()
    assert hooked.world.holds().consents["aino@example.org", "marketing", ""] is True


def test_a_signed_time_is_good_for_minutes_and_once(hooked: House) -> None:
    body = json.dumps({"id": "1", "submitted_at": "2026-11-20T10:00:00Z", "email": "aino@example.org"}).encode()
    now = int(hooked.world.now.timestamp())
    first = signed(hooked, body, now)
    assert (first.status_code, first.json()["status"]) == (202, "landed")
    again = signed(hooked, body, now)
    assert (again.status_code, again.json()["status"]) == (202, "known")
    assert signed(hooked, body, now + 1).json()["status"] == "known", "the same submission, signed anew"
    assert signed(hooked, body, now - 301).status_code == 401
    assert signed(hooked, body, now + 301).status_code == 401
    assert signed(hooked, body, now, bent=True).status_code == 401
    assert len(hooked.world.query("select from intake.batch")) == 1


def signed(house: House, body: bytes, at: int, *, bent: bool = False) -> requests.Response:
    mac = hmac.new(NEW.encode(), f"{at}.".encode() + body, sha256).hexdigest()
    headers = {"X-Intake-Timestamp": str(at), "X-Intake-Signature": f"sha256={mac}", "Content-Type": "application/json"}
    return requests.post(f"{house.url}/hooks/plain", data=body + b" " * bent, headers=headers, timeout=30)


def test_a_feed_without_a_secret_takes_nothing_and_answers_as_a_wrong_secret(hooked: House) -> None:
    wrong = post(hooked, {}, secret=WRONG)
    nobody = requests.post(f"{hooked.url}/hooks/none", data=b"{}", timeout=30)
    assert (nobody.status_code, nobody.content) == (wrong.status_code, wrong.content)


def forget(house: House) -> None:
    """What the door forgets in a month."""
    with house.world.workspace.transaction() as conn:
        forget_signatures(conn, older_than=timedelta())
        forget_deliveries(conn, older_than=timedelta())


def test_a_body_told_again_after_it_was_forgotten_is_taken_and_changes_nothing(
    hooked: House, organisation: Organisation
) -> None:
    body = pushed(organisation.row(organisation.as_of(FEED, UNTIL)[0]))
    assert post(hooked, body).json()["status"] == "landed"
    hooked.follow()
    before = decided(hooked)
    assert before["events"]
    forget(hooked)
    hooked.tick(hours=31 * 24)
    assert (post(hooked, body).status_code, post(hooked, body).json()["status"]) == (202, "known")
    hooked.follow()
    assert decided(hooked) == before
    assert {state for (state,) in hooked.world.query("select state from intake.batch")} == {"applied"}


PLACES = {
    **SIGNED,
    "kind": "course_registration",
    "feed": "places",
    "file": {"type": "json", "pattern": "places_*.json"},
    "key": ["sid"],
    "submitted_at": {"column": "completed", "formats": ["unix"]},
    "fields": {"email": {"column": "data.email"}},
    "occasion": {
        "id": {"constant": "LK1"},
        "name": {"constant": "Course LK1"},
        "starts_at": {"constant": "2027-01-10", "formats": ["iso"]},
        "ends_at": {"constant": "2027-01-11", "formats": ["iso"]},
    },
    "registration": {"status": {"column": "data.status", "values": {"in": "active", "out": "cancelled"}}},
}


@pytest.mark.parametrize(("is_read_between", "is_forgotten"), [(True, False), (True, True), (False, False)])
def test_a_form_that_tells_no_time_of_change_says_last_what_came_last(
    hooked: House, *, is_read_between: bool, is_forgotten: bool
) -> None:
    mapping = Mapping.model_validate(PLACES)
    hooked.world.workspace = replace(hooked.world.workspace, mappings={"places": mapping})
    hooked.door.workspace = replace(hooked.door.workspace, mappings={"places": mapping})
    hooked.door.secrets = DoorSecrets.model_validate({"webhooks": {"places": {"engine": "drupal", "secrets": [NEW]}}})
    for status in ("out", "out", "in", "out"):
        body = {"sid": "1", "completed": "1795161600", "email": "aino@example.org", "status": status}
        headers = {"Authorization": f"Bearer {NEW}"}
        assert requests.post(f"{hooked.url}/hooks/places", json=body, headers=headers, timeout=30).status_code == 202
        if is_read_between:
            hooked.follow()
        if is_forgotten:
            forget(hooked)
        hooked.tick(minutes=1)
    hooked.follow()
    standing = "select from intake.registration where status <> 'cancelled'"
    assert hooked.world.query(standing) == []
    take_in(hooked.world.session())
    assert hooked.world.query(standing) == []
    assert hooked.world.query("select from intake.batch where state <> 'applied'") == []

"""The stand-ins of the sources over real sockets, a real database and a real folder, as the connectors read them."""

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import psycopg
import pytest
import requests
import sqlalchemy as sa

from connectors.decoders import decode
from connectors.fetching import HttpSettings
from connectors.files import DroppedFiles, FileSettings
from connectors.mappings import load_mappings
from connectors.raw_frames import as_cell
from connectors.short_courses import ShortCourseRegistrations, ShortCoursesSettings
from connectors.store.address import ServerAddress
from connectors.web_forms import WebFormsSettings, WebFormSubmissions
from connectors.webropol import WebropolResponses, WebropolSettings
from sandbox.drop_folder import drop_files
from sandbox.organisation import Organisation, make_organisation
from sandbox.organisation.exports import EXPORTS
from sandbox.organisation.feeds import FEEDS
from sandbox.short_courses import load
from sandbox.sources_server import RunningSources, start_sources
from schemas.mappings import RECEIVED_AT
from schemas.records import ReceivedBatch, Window

UNTIL = date(2026, 11, 20)
NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
HELSINKI = ZoneInfo("Europe/Helsinki")
MAPPINGS = load_mappings(Path(__file__).parents[2] / "config")


@cache
def organisation() -> Organisation:
    return make_organisation(seed=3, people=200, until=UNTIL)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSources]:
    with start_sources(tmp_path_factory.mktemp("sources"), organisation(), through=UNTIL) as running:
        yield running


@pytest.fixture(scope="module")
def register(store_address: ServerAddress) -> Iterator[str]:
    """The URL of a database of the short-course system's own, beside the store's."""
    name = f"short_courses_{os.getpid()}"
    with psycopg.connect(store_address.uri_adbc, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield store_address.with_database(name).url_psycopg
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def whole_window() -> Window:
    return Window(organisation().days.first_on, UNTIL)


def as_source_tells(feed: str, *, through: date = UNTIL) -> set[tuple[tuple[str, str], ...]]:
    """The rows that the feed shows, as cells of text, blank ones left out."""
    o = organisation()
    return {_cells(o.row(submission)) for submission in o.as_of(feed, through)}


def as_read(batches: list[ReceivedBatch]) -> set[tuple[tuple[str, str], ...]]:
    """The rows of the batches in the same form."""
    frames = [
        decode(b.media_type, b.payload, MAPPINGS[b.feed]).drop(columns=RECEIVED_AT, errors="ignore") for b in batches
    ]
    rows = pd.concat(frames).to_dict("records")
    return {_cells({str(k): None if pd.isna(v) else v for k, v in row.items()}) for row in rows}


def _cells(row: dict[str, object]) -> tuple[tuple[str, str], ...]:
    texts = {column: _text(value) for column, value in row.items()}
    return tuple(sorted((column, text) for column, text in texts.items() if text))


def _text(value: object) -> str | None:
    if isinstance(value, list):
        return ";".join(value) or None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    return as_cell(value)


def web_forms(sources: RunningSources) -> WebFormSubmissions:
    http = HttpSettings(ca_path=str(sources.ca_path))
    return WebFormSubmissions(WebFormsSettings(sources.drupal_url, sources.credentials.drupal_api_key, http=http))


def webropol(sources: RunningSources) -> WebropolResponses:
    names = sources.credentials
    return WebropolResponses(
        WebropolSettings(
            names.webropol_username,
            names.webropol_password,
            base_url=sources.webropol_url,
            http=HttpSettings(ca_path=str(sources.ca_path)),
        )
    )


@pytest.mark.parametrize("feed", ["web_forms_contact", "web_forms_newsletter"])
def test_the_website_gives_its_submissions_to_the_connector(sources: RunningSources, feed: str) -> None:
    batches = list(web_forms(sources).iter_batches(MAPPINGS[feed], whole_window(), now=NOW))
    assert as_read(batches) == as_source_tells(feed)


@pytest.mark.parametrize("feed", ["webropol_survey_feedback", "webropol_registrations_api"])
def test_webropol_gives_its_responses_to_the_connector(sources: RunningSources, feed: str) -> None:
    batches = list(webropol(sources).iter_batches(MAPPINGS[feed], whole_window(), now=NOW))
    assert as_read(batches) == as_source_tells(feed)


def test_the_sources_show_the_day_that_they_are_set_to(sources: RunningSources) -> None:
    earlier = UNTIL - timedelta(days=30)
    sources.set_through(earlier)
    try:
        batches = list(web_forms(sources).iter_batches(MAPPINGS["web_forms_contact"], whole_window(), now=NOW))
    finally:
        sources.set_through(UNTIL)
    assert as_read(batches) == as_source_tells("web_forms_contact", through=earlier)
    assert as_source_tells("web_forms_contact", through=earlier) != as_source_tells("web_forms_contact")


def test_webropol_lets_nobody_in_without_a_living_token(sources: RunningSources) -> None:
    reader = webropol(sources)
    url = f"{sources.webropol_url}/api/v1/surveys"
    bundle = str(sources.ca_path)
    assert requests.get(url, headers={"Authorization": "Bearer none"}, verify=bundle, timeout=10).status_code == 401
    wrong = {"grant_type": "password", "username": "intake-reader", "password": "wrong"}
    assert requests.post(f"{sources.webropol_url}/Token", data=wrong, verify=bundle, timeout=10).status_code == 400
    mapping = MAPPINGS["webropol_survey_feedback"]
    first = [b.content_hash for b in reader.iter_batches(mapping, whole_window(), now=NOW)]
    sources.webropol.expire_tokens()
    assert [b.content_hash for b in reader.iter_batches(mapping, whole_window(), now=NOW)] == first


def test_webropol_pages_and_filters_its_responses(sources: RunningSources) -> None:
    bundle, names = str(sources.ca_path), sources.credentials
    form = {"grant_type": "password", "username": names.webropol_username, "password": names.webropol_password}
    token = requests.post(f"{sources.webropol_url}/Token", data=form, verify=bundle, timeout=10).json()["access_token"]
    url = f"{sources.webropol_url}/api/v1/surveys/{FEEDS['webropol_registrations_api'].resource}/responses"
    shown = organisation().as_of("webropol_registrations_api", UNTIL)
    middle = shown[len(shown) // 2].at
    answer = requests.post(
        url,
        params={"paging": "1"},
        json={"StartDate": middle.strftime("%Y-%m-%dT%H:%M:%S.%fZ")},
        headers={"Authorization": f"Bearer {token}"},
        verify=bundle,
        timeout=10,
    ).json()
    assert answer["Paging"]["TotalCount"] == len([s for s in shown if s.at >= middle]) < len(shown)
    assert answer["Paging"]["IsLastItemFetched"] is True
    assert "Question" in answer["SurveyAnswers"][0]["RespondentAnswers"][0]
    assert answer["SurveyAnswers"][0]["RespondentId"] is None


def test_the_website_wants_its_key(sources: RunningSources) -> None:
    url = f"{sources.drupal_url}/webform_rest/yhteydenotto/submissions"
    assert requests.get(url, verify=str(sources.ca_path), timeout=10).status_code == 403


@pytest.mark.parametrize("feed", ["short_courses_registrations", "short_courses_open_studies"])
@pytest.mark.parametrize("days_ago", [20, 0])
def test_the_register_holds_the_state_of_a_day(register: str, feed: str, days_ago: int) -> None:
    through = UNTIL - timedelta(days=days_ago)
    engine = sa.create_engine(register, poolclass=sa.NullPool)
    counts = load(organisation(), engine, through)
    reader = ShortCourseRegistrations(ShortCoursesSettings(register))
    batches = list(reader.iter_batches(MAPPINGS[feed], whole_window(), now=NOW))
    frame = pd.concat(decode(b.media_type, b.payload, MAPPINGS[feed]) for b in batches)
    assert counts[feed] == len(frame) == len(organisation().as_of(feed, through))
    assert set(frame.columns) - {RECEIVED_AT} == set(FEEDS[feed].columns)
    told = {str(row["registration_id"]): row for row in organisation().rows(organisation().as_of(feed, through))}
    for row in frame.to_dict("records"):
        expected = told[row["registration_id"]]
        assert datetime.fromisoformat(row["changed_at"]) == expected["changed_at"]
        assert {row["status"], row["email"], row["iban"] or ""} >= {expected["status"], expected["email"]}


def test_dropped_files_are_read_whole_and_hold_what_the_feeds_show(tmp_path: Path) -> None:
    drop_files(organisation(), tmp_path, first_on=organisation().days.first_on, last_on=UNTIL)
    for feed in EXPORTS:
        reader = DroppedFiles(FileSettings(tmp_path, settle_s=0))
        batches = list(reader.iter_batches(MAPPINGS[feed], whole_window(), now=NOW))
        assert len(batches) > 3
        assert as_read(batches) >= as_source_tells(feed)


def test_a_file_has_the_noon_of_its_day_and_a_manifest_that_is_true(tmp_path: Path) -> None:
    paths = drop_files(organisation(), tmp_path, first_on=UNTIL, last_on=UNTIL)
    assert {path.suffix for path in paths} == {".csv", ".xlsx"}
    noon = datetime.combine(UNTIL, time(12), HELSINKI).timestamp()
    for path in paths:
        manifest = json.loads(path.with_name(f"{path.name}.manifest.json").read_text())
        assert path.stat().st_mtime == noon
        assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(list(tmp_path.iterdir())) == 2 * len(paths)


def test_the_same_day_drops_the_same_bytes(tmp_path: Path) -> None:
    first = drop_files(organisation(), tmp_path / "one", first_on=UNTIL, last_on=UNTIL)
    second = drop_files(organisation(), tmp_path / "two", first_on=UNTIL, last_on=UNTIL)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len({path.read_bytes() for path in first}) < len(first), "on a Friday the same file comes twice"

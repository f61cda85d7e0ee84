"""The shipped mappings and the organisation's feeds: each names what the other has."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from connectors.mappings import load_mappings, load_policy
from connectors.raw_frames import as_cell
from pipelines.transforms.civil_time import Occurrence, normalise_timestamp
from sandbox.organisation import make_organisation
from sandbox.organisation.answering import TOPICS
from sandbox.organisation.courses import SEMINAR, SPRING_DAY, Occasion
from sandbox.organisation.feeds import FEEDS
from sandbox.organisation.rows_of_webropol import NEWS_OF_EVENTS
from schemas.mappings import TimeRef

CONFIG = Path(__file__).parents[2] / "config"
MAPPINGS = load_mappings(CONFIG)
COMPLETED = {"web_forms_contact", "web_forms_newsletter"}


def test_every_feed_has_a_mapping_and_every_mapping_a_feed() -> None:
    assert set(MAPPINGS) == set(FEEDS)
    assert all(MAPPINGS[feed].source == FEEDS[feed].source for feed in FEEDS)


@pytest.mark.parametrize("feed", FEEDS)
def test_a_mapping_names_exactly_the_columns_of_its_feed(feed: str) -> None:
    mapping, columns = MAPPINGS[feed], set(FEEDS[feed].columns)
    named = mapping.mapped_columns() | mapping.finance_columns() | set(mapping.ignored)
    assert named - (set(mapping.optional) - columns) == columns
    assert not (mapping.mapped_columns() | mapping.finance_columns()) & set(mapping.ignored)


@pytest.mark.parametrize("feed", FEEDS)
def test_a_mapping_asks_for_the_resource_that_the_stand_in_serves(feed: str) -> None:
    mapping, resource = MAPPINGS[feed], FEEDS[feed].resource
    if mapping.api:
        assert mapping.api.resource == resource
    elif mapping.table:
        assert mapping.table.table == resource
    else:
        assert mapping.file is not None
        assert mapping.file.pattern.startswith(f"{resource}_*")


def test_what_is_special_or_finance_s_is_dropped_by_every_mapping() -> None:
    words = ("ident", "iban", "invoice", "street", "tunnus", "tili", "laskutus", "ruoka", "esteett", "token", "remote")
    event_id = {"Tapahtuman tunnus"}
    for mapping in MAPPINGS.values():
        kept = mapping.mapped_columns() - event_id
        assert [column for column in kept if any(word in column.casefold() for word in words)] == []


def test_topics_and_purposes_are_those_of_the_policy() -> None:
    policy = load_policy(CONFIG)
    assert tuple(policy.purposes["marketing"].topics) == TOPICS
    for mapping in MAPPINGS.values():
        for consent in mapping.consents:
            assert consent.topic is None or consent.topic in policy.purposes[consent.purpose].topics


def test_the_box_of_the_spring_day_means_yes_by_its_own_sentence() -> None:
    consent = MAPPINGS["webropol_event_spring"].consents[0]
    assert (consent.column, consent.grants) == (NEWS_OF_EVENTS, (NEWS_OF_EVENTS.partition(":")[2],))


@pytest.mark.parametrize(
    ("feed", "occasion"), [("webropol_event_spring", SPRING_DAY), ("webropol_event_seminar", SEMINAR)]
)
def test_a_form_of_one_event_states_that_event(feed: str, occasion: Occasion) -> None:
    stated = MAPPINGS[feed].occasion
    assert stated is not None
    assert (stated.id.constant, stated.name.constant) == (occasion.id, occasion.name)
    times = [datetime.fromisoformat(ref.constant or "").astimezone(UTC) for ref in (stated.starts_at, stated.ends_at)]
    assert times == [occasion.starts_at, occasion.ends_at]


@pytest.mark.parametrize("feed", FEEDS)
def test_times_as_written_mean_the_instants_that_were_stated(feed: str) -> None:
    """By the formats that the mapping declares; where a decision has no time of its own, it is the submission's."""
    o, mapping = make_organisation(seed=1, people=400, until=date(2026, 11, 20)), MAPPINGS[feed]
    own = mapping.spoken.said_at if mapping.spoken else None
    flags = [consent.changed_at for consent in mapping.consents if consent.changed_at]
    for s in o.by_feed[feed]:
        submitted = _read(mapping.submitted_at, o.row(s))
        if s.is_draft or submitted.fault:
            assert s.is_draft or "submitted_at" in s.faults
            continue
        assert submitted.occurred_from is not None
        assert submitted.occurred_to is not None
        assert submitted.occurred_from <= (s.at if feed in COMPLETED else s.first_at) <= submitted.occurred_to
        ref = own or (flags[0] if flags else mapping.submitted_at)
        for said in () if feed == "short_courses_open_studies" else s.said:
            stated = _read(ref, o.row(s))
            assert (stated.occurred_from, stated.occurred_to) == (said.stated_from, said.stated_to)


def test_the_notice_of_similar_events_is_shown_where_the_mapping_says_so() -> None:
    for s in make_organisation(seed=1, people=200, until=date(2026, 11, 20)).submissions:
        occasion = MAPPINGS[s.feed].occasion
        assert s.notice_shown == (occasion is not None and occasion.notice_shown), s.feed


def _read(ref: TimeRef, row: dict[str, object]) -> Occurrence:
    return normalise_timestamp(as_cell(row[str(ref.column)]) or "", formats=ref.formats, timezone=ref.timezone)

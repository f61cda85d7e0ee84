"""The organisation's rows, shaped by their mappings, say what their plain truth says: an oracle that shares no code."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.mappings import load_mappings, load_policy
from connectors.raw_frames import raw_frame
from pipelines.transforms import shape
from pipelines.transforms.names import name_key
from pipelines.transforms.shape import StagedBatch, shape_batch
from sandbox.organisation import Organisation, Submission, make_organisation
from sandbox.organisation.feeds import FEEDS
from schemas.records import LIFTED, UNTICKED

CONFIG = Path(__file__).parents[2] / "config"
MAPPINGS, POLICY = load_mappings(CONFIG), load_policy(CONFIG)
RECEIVED_AT = datetime(2026, 11, 21, 6, tzinfo=UTC)

Decision = tuple[int, str, str | None, str, datetime | None, int]


@cache
def organisation() -> Organisation:
    return make_organisation(seed=5, people=500, until=date(2026, 11, 20))


def raw(feed: str) -> pd.DataFrame:
    rows = list(organisation().rows(organisation().by_feed[feed]))
    return raw_frame(FEEDS[feed].columns, [[_cell(row[title]) for row in rows] for title in FEEDS[feed].columns])


@cache
def shaped(feed: str) -> StagedBatch:
    """All versions of the feed in one batch; row n is the n-th submission of the feed."""
    return shape_batch(raw(feed), MAPPINGS[feed], received_at=RECEIVED_AT, policy=POLICY)


def truths(feed: str) -> list[Submission]:
    return organisation().by_feed[feed]


def _cell(value: object) -> object:
    return ";".join(value) if isinstance(value, list) else value


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    return iter(frame.itertuples())


def _none(value: Any) -> Any:
    return None if pd.isna(value) else value


@pytest.mark.parametrize("feed", FEEDS)
def test_a_large_batch_is_shaped_in_parts_as_it_would_be_whole(feed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shaped(feed)
    monkeypatch.setattr(shape, "PART_ROWS", max(5, len(whole.submissions) // 7))
    in_parts = shape_batch(raw(feed), MAPPINGS[feed], received_at=RECEIVED_AT, policy=POLICY)
    for field in fields(StagedBatch):
        one, other = getattr(whole, field.name), getattr(in_parts, field.name)
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other, obj=field.name)
        else:
            assert one == other


@pytest.mark.parametrize("feed", FEEDS)
def test_people_are_read_as_they_are(feed: str) -> None:
    for s, row in zip(truths(feed), _rows(shaped(feed).submissions), strict=True):
        key = name_key(s.given_name, s.family_name)
        assert _none(row.address_key) == s.address, s.no
        assert (row.given_key, row.family_key) == (key.given, key.family), s.no
        assert (_none(row.given_name), _none(row.family_name)) == (s.given_name, s.family_name), s.no
        phone = s.phone if MAPPINGS[feed].fields.phone else None
        assert _none(row.phone) == phone, s.no


@pytest.mark.parametrize("feed", FEEDS)
def test_rows_are_usable_exactly_where_nothing_bars_them(feed: str) -> None:
    for s, row in zip(truths(feed), _rows(shaped(feed).submissions), strict=True):
        is_role = s.address is not None and organisation().person(s.person_no or 1).mailbox == "role"
        assert row.is_usable == (s.is_usable and not is_role), (s.no, s.faults)


@pytest.mark.parametrize("feed", FEEDS)
def test_registrations_are_read_as_they_are(feed: str) -> None:
    for s, row in zip(truths(feed), _rows(shaped(feed).submissions), strict=True):
        assert _none(row.occasion_id) == s.occasion_id
        if s.occasion_id is not None and "status" not in s.faults:
            assert (row.registration_status, row.is_sale) == (s.status, s.is_sale), s.no
            assert s.is_payer is None or row.is_payer == s.is_payer, s.no
        assert row.is_enquiry == (s.is_enquiry and not s.is_draft), s.no
        assert row.is_deleted == s.is_deleted, s.no


@pytest.mark.parametrize("feed", FEEDS)
def test_decisions_are_what_was_said_with_evidence_by_the_subject(feed: str) -> None:
    assert sorted(_read(feed), key=str) == sorted(_said(feed), key=str)


def _read(feed: str) -> Iterator[Decision]:
    decisions = shaped(feed).decisions
    said = (decisions["purpose"] == "marketing") & ~decisions["value"].isin([LIFTED, UNTICKED])
    for row in _rows(decisions[said]):
        yield row.row_no, row.purpose, _none(row.topic), row.value, _none(row.occurred_at), row.precision_s


def _said(feed: str) -> Iterator[Decision]:
    for number, submission in enumerate(truths(feed), start=1):
        is_timeless = "submitted_at" in submission.faults and feed != "manual_entries"
        for said in submission.said:
            if said.value == "grant" and (is_timeless or not said.has_evidence or said.actor == "booker"):
                continue
            span = 0 if is_timeless else round((said.stated_to - said.stated_from).total_seconds())
            at = None if is_timeless else said.stated_from
            yield number, said.purpose, said.topic, said.value, at, span

"""Courses and events over many deliveries: each part as the newest row has it, whatever comes together and in what order."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text

from connectors.store.address import ServerAddress
from pipelines.transforms.occasions import newest_of_each
from pipelines.transforms.readings import conform
from schemas.records import OCCASION_COLUMNS
from tests.merging import NOON, acting, make_row, merge_rows

DAY = timedelta(days=1)
NUMBERS = itertools.count()
AS_KNOWN = (
    "select kind, name, starts_at, ends_at, starts_to, told_ends_at, field, earlier_ended_at, version_at, name_version_at,"
    " starts_version_at, ends_version_at, field_version_at from intake.occasion where occasion_id = :id"
)
pytestmark = pytest.mark.usefixtures("engines")


def telling(day: int, *, kind: str = "event_registration", **told: Any) -> dict[str, Any]:
    """What one row tells on a day: `starts` and `ends` as days from noon, `name`, `field`."""
    at, starts, ends = NOON + day * DAY, told.get("starts"), told.get("ends")
    begins = None if starts is None else NOON + starts * DAY
    is_over = None if ends is None else NOON + ends * DAY
    found = {
        "kind": kind, "version_at": at, "name": told.get("name"), "field": told.get("field"), "starts_at": begins,
        "starts_to": begins, "starts_told_at": at, "told_ends_at": is_over, "ends_at": is_over or begins,
    }  # fmt: skip
    parts = {"name": "name", "starts": "starts_at", "ends": "told_ends_at", "field": "field"}
    return {**found, **{f"{part}_version_at": at for part, column in parts.items() if found[column] is not None}}


def after(store: ServerAddress, *deliveries: Sequence[dict[str, Any]], now: datetime = NOON) -> tuple[Any, ...]:
    """What is known of an occasion of its own after these deliveries."""
    occasion = f"o{next(NUMBERS)}"
    for rows in deliveries:
        frame = conform(pd.DataFrame([{**row, "occasion_id": occasion} for row in rows]), OCCASION_COLUMNS)
        (whole,) = newest_of_each(frame).to_dict("records")
        told = {name: None if pd.isna(value) else value for name, value in whole.items()}
        merge_rows(store, [make_row(f"n{next(NUMBERS)}", occasion_id=occasion, occasion=told)], now=now)
    with acting(store) as conn:
        return tuple(conn.execute(text(AS_KNOWN), {"id": occasion}).one())


TOLD = [
    telling(0, name="Old", starts=30, ends=60, field="health"),
    telling(1, name="New"),
    telling(2, starts=90),
    telling(3, starts=40, field="law"),
    telling(4, ends=70),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::17])
def test_what_is_known_is_the_same_whatever_comes_together_and_in_what_order(
    store: ServerAddress, order: tuple[int, ...]
) -> None:
    rows = [TOLD[nth] for nth in order]
    whole = after(store, TOLD)
    assert whole[1:4] == ("New", NOON + 40 * DAY, NOON + 70 * DAY)
    assert after(store, *([row] for row in rows)) == whole
    assert after(store, rows[:2], rows[2:], TOLD) == whole


def test_what_one_feed_registers_for_as_a_course_is_a_course_whatever_another_calls_it(store: ServerAddress) -> None:
    told = [telling(0, name="A", kind=kind) for kind in ("event_registration", "course_registration")]
    for order in (told, told[::-1]):
        assert after(store, *([row] for row in order))[0] == "course_registration"


def test_an_old_version_that_says_otherwise_counts_no_more_once_a_newer_one_said_the_same_again(
    store: ServerAddress,
) -> None:
    found = after(store, [telling(0, ends=60)], [telling(5, ends=60)], [telling(3, ends=20)])
    assert found[3] == NOON + 60 * DAY


def test_that_it_was_over_when_it_was_told_again_is_known_in_either_order(store: ServerAddress) -> None:
    january, february = telling(0, starts=15, ends=15), telling(20, starts=45, ends=45)
    for deliveries in ([[january, february]], [[january], [february]], [[february], [january]]):
        assert after(store, *deliveries)[7] == NOON + 15 * DAY
    assert after(store, [january], [telling(14, starts=45, ends=45)])[7] is None, "it was moved in time"


def test_what_the_mapping_itself_tells_is_told_when_it_is_read(store: ServerAddress) -> None:
    spring, autumn = (telling(0, starts=day, ends=day) | {"starts_told_at": None} for day in (15, 200))
    assert after(store, [spring], [autumn], now=NOON + 14 * DAY)[7] is None
    assert after(store, [spring], [autumn], now=NOON + 15 * DAY)[7] == NOON + 15 * DAY


def test_an_address_that_a_migration_noted_is_folded_anew_by_the_next_merge_and_once(store: ServerAddress) -> None:
    email = f"noted{next(NUMBERS)}@example.org"
    occasion = {"occasion_id": f"of {email}", "kind": "event_registration", "ends_at": None}
    seat = {"registration_status": "active", "occasion_id": occasion["occasion_id"], "occasion": occasion}
    merge_rows(store, [make_row(email, address=email, **seat)])
    point = f"(select contact_point_id from intake.contact_point where address_key = '{email}')"
    lives = f"select purpose from intake.person_purpose where contact_point_id = {point} order by 1"
    with acting(store, role=None) as conn:
        before = conn.execute(text(lives)).scalars().all()
        conn.execute(text(f"delete from intake.person_purpose where contact_point_id = {point}"))
        conn.execute(text(f"insert into intake.unfolded values (gen_random_uuid()), ({point})"))
    merge_rows(store, [make_row(f"n{next(NUMBERS)}")])
    with acting(store) as conn:
        assert conn.execute(text(lives)).scalars().all() == before == ["event_delivery", "networking"]
        assert conn.execute(text("select count(*) from intake.unfolded")).scalar() == 0

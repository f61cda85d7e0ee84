"""Registrations and their occasions as a batch tells them."""

from collections.abc import Mapping as Cells
from itertools import permutations
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pipelines.transforms.occasions import newest_of_each
from pipelines.transforms.shape import StagedBatch, shape_batch
from schemas.errors import MappingError
from schemas.mappings import Mapping
from tests.feeds import RECEIVED, make_mapping, make_policy, make_raw

POLICY = make_policy()
STATUSES = {"Vahvistettu": "active", "Jonossa": "waitlisted", "Peruttu": "cancelled"}
MANY = {
    "id": {"column": "Course"},
    "name": {"column": "Title"},
    "starts_at": {"column": "Starts"},
    "ends_at": {"column": "Ends"},
    "is_sale": {"column": "Fee", "values": {"paid": "yes", "free": "no"}},
    "notice_shown": True,
    "organiser_unit": "Unit",
}
ROW = {
    "Course": "C1",
    "Title": "Bees",
    "Starts": "2026-12-01",
    "Ends": "2026-12-02",
    "Fee": "paid",
    "State": "Vahvistettu",
}


def courses(**changes: Any) -> Mapping:
    plain = {
        "kind": "course_registration",
        "occasion": MANY,
        "registration": {"status": {"column": "State", "values": STATUSES}},
        "consents": [],
        "ignored": ["Newsletter"],
    }
    return make_mapping(**{**plain, **changes})


def shape(mapping: Mapping, *rows: Cells[str, str | None]) -> StagedBatch:
    raw = make_raw(*[{**ROW, **row} for row in rows])
    return shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY)


def told(batch: StagedBatch) -> list[tuple[Any, ...]]:
    return list(batch.faults[["row_no", "field", "fault", "blocks"]].itertuples(index=False, name=None))


def test_the_status_words_are_those_of_the_mapping_in_any_case() -> None:
    batch = shape(courses(), *[{"State": word} for word in ("vahvistettu ", "JONOSSA", "Peruttu")])
    assert batch.submissions["registration_status"].tolist() == ["active", "waitlisted", "cancelled"]


@pytest.mark.parametrize("word", ["Ehkä", None])
def test_an_unknown_or_blank_status_is_no_registration(word: str | None) -> None:
    batch = shape(courses(), {"State": word})
    assert batch.submissions["registration_status"].isna().all()
    assert batch.submissions["is_usable"].all()
    assert told(batch) == [(1, "status", "unknown_status", "effect")]


def test_without_a_status_column_every_row_is_active_and_other_kinds_register_nothing() -> None:
    active = shape(courses(registration=None, ignored=["Newsletter", "State"]), {})
    assert active.submissions["registration_status"].tolist() == ["active"]
    survey = shape(courses(kind="survey", registration=None, ignored=["Newsletter", "State"]), {})
    assert survey.submissions["registration_status"].isna().all()


def test_a_status_that_is_none_of_ours_is_a_mapping_error() -> None:
    with pytest.raises(MappingError, match="status"):
        shape(courses(registration={"status": {"column": "State", "values": {"x": "gone"}}}), {})


def test_a_registration_without_its_occasion_is_barred() -> None:
    batch = shape(courses(), {"Course": None})
    assert told(batch) == [(1, "occasion.id", "occasion_missing", "row")]
    assert batch.submissions["registration_status"].isna().all()
    assert batch.occasions.empty


def test_each_occasion_comes_once_as_its_newest_row_tells_it() -> None:
    rows: list[dict[str, str | None]] = [
        {"Time": "2026-11-03 10:00:00", "Title": "New title"},
        {"Time": "2026-11-01 10:00:00", "Title": "Old title"},
        {"Time": None, "Title": "No time"},
        {"Course": "C2"},
    ]
    occasions = shape(courses(), *rows).occasions
    assert occasions["occasion_id"].tolist() == ["C1", "C2"]
    assert occasions["name"].tolist() == ["New title", "Bees"]
    assert set(occasions["kind"]) == {"course_registration"}
    assert occasions["starts_at"].dt.strftime("%m-%d %H").tolist() == ["11-30 22"] * 2
    assert occasions["ends_at"].dt.strftime("%m-%d %H").tolist() == ["12-02 22"] * 2


def test_an_occasion_without_an_end_ends_with_its_start_and_without_both_is_a_fault() -> None:
    batch = shape(courses(), {"Ends": None}, {"Course": "C2", "Starts": None, "Ends": "soon"})
    assert batch.occasions["ends_at"].dt.day.tolist()[0] == 1
    assert batch.occasions["ends_at"].isna().tolist() == [False, True]
    assert told(batch) == [
        (2, "occasion.ends_at", "date_unreadable", "field"),
        (2, "occasion.ends_at", "occasion_endless", "effect"),
    ]


def dated(event: str, time: str, starts: str | None, ends: str | None, **changes: str | None) -> dict[str, str | None]:
    return {"Course": event, "Time": f"{time} 10:00:00", "Starts": starts, "Ends": ends, **changes}


def days(batch: StagedBatch, column: str) -> list[str | None]:
    """The last days meant, as they are in Finland: the zone of the mapping."""
    local = (batch.occasions[column] - pd.Timedelta(seconds=1)).dt.tz_convert("Europe/Helsinki")
    return [None if pd.isna(day) else f"{day:%m-%d}" for day in local]


@pytest.mark.parametrize("told", [None, "15.12"])
def test_a_row_that_tells_no_dates_and_no_name_takes_nobodys_event_its_own(told: str | None) -> None:
    rows = [
        dated("E1", "2026-10-01", "2026-12-15", "2026-12-16"),
        dated("E1", "2026-11-20", told, told, Title=None),
        dated("E2", "2026-11-20", told, told, Title=None),
    ]
    batch = shape(courses(), *rows)
    assert days(batch, "ends_at") == ["12-16", None]
    assert batch.occasions["starts_at"].isna().tolist() == [False, True]
    assert batch.occasions["name"].fillna("").tolist() == ["Bees", ""]
    assert [(row, fault) for row, _, fault, _ in told_of(batch)] == [(2, "occasion_endless"), (3, "occasion_endless")]


def told_of(batch: StagedBatch) -> list[tuple[Any, ...]]:
    return [each for each in told(batch) if each[2] != "date_unreadable"]


@pytest.mark.parametrize(
    ("starts", "ends", "over"),
    [
        ("2026-09-01", None, "12-15"),
        ("2026-11-01", None, "12-15"),
        ("2027-01-20", None, "01-20"),
        (None, "2026-12-20", "12-20"),
        (None, "2026-12-01", "12-01"),
        ("2026-09-01", "2026-10-01", "10-01"),
    ],
)
def test_of_a_pair_told_by_half_the_other_half_stays_and_none_is_over_before_it_begins(
    starts: str | None, ends: str | None, over: str
) -> None:
    first = dated("E1", "2026-08-01", "2026-09-01", "2026-12-15")
    assert days(shape(courses(), first, dated("E1", "2026-08-20", starts, ends)), "ends_at") == [over]


def test_what_is_spam_a_draft_or_of_another_form_tells_nothing_of_an_event() -> None:
    mapping = courses(
        set_aside=[{"column": "Junk", "values": ["spam"], "rule": "spam"}],
        drafts={"column": "Draft", "values": {"1": "draft", "0": "final"}},
        form={"column": "Form", "values": ["this"]},
    )
    plain = {"Junk": None, "Draft": "0", "Form": "this"}
    ended = dated("E1", "2026-11-20", "2026-01-01", "2026-01-02")
    rows = [dated("E1", "2026-10-01", "2026-12-15", "2026-12-16"), *[ended] * 3]
    changes = ({}, {"Junk": "spam"}, {"Draft": "1"}, {"Form": "other"})
    batch = shape(mapping, *({**plain, **row, **change} for row, change in zip(rows, changes, strict=True)))
    assert days(batch, "ends_at") == ["12-16"]


TOLD = [
    dated("E1", "2026-08-01", "2026-09-01", "2026-12-15", Title="Old"),
    dated("E1", "2026-08-02", None, None, Title="New"),
    dated("E1", "2026-08-03", "2027-01-20", None, Title=None),
    dated("E1", "2026-08-04", "2026-11-01", None, Title=None),
    dated("E1", "2026-12-20", None, "2026-12-31", Title=None),
]


@pytest.mark.parametrize("order", list(permutations(range(5)))[::9])
def test_an_occasion_is_the_same_whichever_rows_come_together_and_in_whatever_order(order: tuple[int, ...]) -> None:
    rows = [TOLD[nth] for nth in order]
    whole = shape(courses(), *TOLD).occasions
    assert_frame_equal(shape(courses(), *rows).occasions, whole)
    for cut in range(1, 5):
        parts = [shape(courses(), *some).occasions for some in (rows[:cut], rows[cut:])]
        assert_frame_equal(newest_of_each(pd.concat(parts, ignore_index=True)), whole)


def test_that_an_event_was_over_when_it_was_told_again_is_known() -> None:
    january = dated("E1", "2026-01-05", "2026-01-15", "2026-01-15")
    again = dated("E1", "2026-02-01", "2026-02-15", "2026-02-15")
    moved = dated("E1", "2026-01-15", "2026-02-15", "2026-02-15")
    batch = shape(courses(), january, again, *({**row, "Course": "E2"} for row in (january, moved)))
    assert days(batch, "earlier_ended_at") == ["01-15", None]


@pytest.mark.parametrize("kind", ["course_registration", "event_registration", "enquiry", "mailing_list", "survey"])
def test_whoever_registers_does_so_for_a_course_or_an_event(kind: str) -> None:
    is_course = kind == "course_registration"
    found = set(shape(courses(kind=kind), {}).occasions["kind"])
    assert found == {"course_registration" if is_course else "event_registration"}


def test_a_form_of_one_event_gives_it_by_constants() -> None:
    constants = {
        "id": {"constant": "E1"},
        "name": {"constant": "Spring day"},
        "starts_at": {"constant": "2026-12-01 09:00"},
        "ends_at": {"constant": "2026-12-01 15:00"},
    }
    mapping = courses(occasion=constants, kind="event_registration", registration=None, ignored=["Newsletter", *ROW])
    batch = shape(mapping, {}, {})
    assert batch.submissions["occasion_id"].tolist() == ["E1", "E1"]
    assert len(batch.occasions) == 1
    assert not batch.submissions["notice_shown"].any()


def test_sale_payer_and_notice_come_from_their_columns() -> None:
    payer = {"column": "Payer", "values": {"me": "yes", "employer": "no"}}
    mapping = courses(registration={"is_payer": payer}, ignored=["Newsletter", "State"])
    batch = shape(mapping, {"Payer": "me"}, {"Payer": "employer", "Fee": "free"}, {"Payer": "aunt", "Fee": None})
    assert batch.submissions["is_sale"].tolist() == [True, False, False]
    assert batch.submissions["is_payer"].tolist() == [True, False, False]
    assert batch.submissions["notice_shown"].all()
    assert told(batch) == [(3, "is_payer", "unknown_answer", "effect")]


def test_a_cancellation_in_a_barred_row_can_still_be_read() -> None:
    batch = shape(courses(), {"State": "Peruttu", "Email": "nobody"})
    row = batch.submissions.to_dict("records")[0]
    assert row["registration_status"] == "cancelled"
    assert not row["is_usable"]
    assert row["submission_id"] == "form:1"

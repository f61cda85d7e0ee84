"""Retention of what is kept beside registrations: details, rows without ground, findings, disclosures, requests, readings."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from connectors.store import data_requests, retention
from connectors.store.retention import EVENT_KIND
from tests.archiving import JUST, LIMITS, NOW, Archive, ago

DETAILS = {"phone": "1", "organisation": "o", "country": "FI", "postal_code": "00100", "city": "c"}
USING = replace(LIMITS, with_phone=("call",), with_organisation=("call", "card"), with_place=("map",))


@pytest.mark.parametrize(
    ("living", "left"),
    [
        (["call"], {"phone", "organisation"}),
        (["card"], {"organisation"}),
        (["map"], {"country", "postal_code", "city"}),
        (["call", "map", "other"], set(DETAILS)),
        (["other"], set()),
        ([], set()),
    ],
)
def test_a_detail_stays_while_a_purpose_that_uses_it_lives(archive: Archive, living: list[str], left: set[str]) -> None:
    of = archive.somebody()
    for name in ("call", "card", "map", "other"):
        told = {"purpose": name, "person_id": of.person, "contact_point_id": of.point}
        archive.add(
            "person_purpose", ends_at={0: None, 1: NOW + JUST}[len(name) % 2] if name in living else NOW, **told
        )
    archive.submitted(of, answered=False, **DETAILS)
    assert archive.overdue(USING) == ({} if left == set(DETAILS) else {"contact_details": 1})
    assert {name for name in DETAILS if archive.column("submission", name) == {DETAILS[name]}} == left
    assert {name for name in DETAILS if archive.column("submission", name) == {None}} == set(DETAILS) - left
    assert retention.touched(archive.conn) == ([] if left == set(DETAILS) else [of.point])


@pytest.mark.parametrize("detail", DETAILS)
def test_each_detail_goes_also_where_it_is_the_only_one(archive: Archive, detail: str) -> None:
    archive.submitted(archive.somebody(), answered=False, **{detail: DETAILS[detail]})
    assert archive.overdue(USING) == {"contact_details": 1} and archive.overdue(USING) == {}


def test_details_of_others_and_of_whom_a_hold_keeps_stay(archive: Archive) -> None:
    held, uses, gone = (archive.somebody() for _ in range(3))
    for of in (held, uses, gone):
        archive.submitted(of, answered=False, phone=of.key)
    archive.held(person_id=held.person)
    archive.add("person_purpose", purpose="call", person_id=uses.person, contact_point_id=uses.point, ends_at=None)
    assert archive.overdue(USING) == {"contact_details": 1}
    assert archive.column("submission", "phone") == {held.key, uses.key, None}


def test_participants_of_whom_a_place_goes_are_not_counted_anew_and_others_are(archive: Archive) -> None:
    of = archive.somebody()
    for occasion, source, city in (("o", "s", "c"), ("other", "s", None), ("o", "else", None), ("other", "else", None)):
        archive.add("occasion", occasion_pk=(pk := uuid4()), occasion_id=occasion, source=source, kind=EVENT_KIND,
                    ends_at=NOW + JUST)  # fmt: skip
        number = archive.submitted(of, answered=False, city=city, source=source, submission_id=f"n-{occasion}")
        archive.add("registration", registration_id=uuid4(), occasion_pk=pk, source=source, submission_id=number,
                    contact_point_id=of.point, subject_id=of.subject, status="active")  # fmt: skip
        archive.add("participation", source=source, occasion_id=occasion, region="r")
    archive.overdue()
    final = archive.conn.execute(sa.text("select source, occasion_id from intake.participation where is_final")).all()
    assert [tuple(row) for row in final] == [("s", "o")]


@pytest.mark.parametrize(("status", "is_final"), [("active", True), ("cancelled", False), ("waitlisted", False)])
def test_of_whom_nothing_was_counted_nothing_freezes_what_was(archive: Archive, status: str, *, is_final: bool) -> None:
    archive.add(
        "occasion", occasion_pk=(pk := uuid4()), occasion_id="o", source="s", kind=EVENT_KIND, ends_at=NOW + JUST
    )
    archive.add("participation", source="s", occasion_id="o", region="r")
    of = archive.somebody()
    number = archive.submitted(of, answered=False, city="c")
    archive.add("registration", registration_id=uuid4(), occasion_pk=pk, source="s", submission_id=number,
                contact_point_id=of.point, subject_id=of.subject, status=status)  # fmt: skip
    assert archive.overdue() == {"contact_details": 1}
    assert archive.column("participation", "is_final") == {is_final}


def test_what_gave_no_ground_is_known_by_its_id_for_as_long_as_the_quarantine(archive: Archive) -> None:
    over, of = ago(days=90), archive.somebody()

    def came(at: datetime = over, **told: Any) -> str:
        archive.number += 1
        told = {"source": "s", "submission_id": f"n{archive.number}", **told}
        archive.add("submission", received_at=at, **told)
        return str(told["submission_id"])

    came(), came(submission_id="same")
    by_now = {"contact_point_id": of.point, "subject_id": of.subject}
    kept = {came(over + JUST), came(contact_point_id=of.point), came(**by_now)}
    for table, told in (
        ("registration", {"registration_id": uuid4(), "occasion_pk": archive.occasion(), "status": "active", **by_now}),
        ("answer", {"question": "Q"}),
        ("stated_value", {"value": "grant", "contact_point_id": of.point}),
        ("pending_grant", {"confirmation_id": uuid4(), "purpose": "p", "topic": ""}),
    ):
        kept.add(number := came(is_enquiry=table == "answer"))
        archive.add(table, source="s", submission_id=number, **told)
        archive.add(table, source="other", submission_id="same", **{**told, **_new_ids(told)})
    assert archive.overdue()["groundless_submissions"] == 2
    assert archive.column("submission", "submission_id") == kept


def _new_ids(told: dict[str, Any]) -> dict[str, UUID]:
    return {name: uuid4() for name in ("registration_id", "confirmation_id") if name in told}


def test_where_somebody_moved_to_is_known_as_long_as_anything_of_the_submission_is_and_so_is_the_address_before(
    archive: Archive,
) -> None:
    of, before, forgotten = archive.somebody(), archive.somebody(), archive.somebody()
    over = ago(days=90)

    def moved(submission_id: str, of_whom: SimpleNamespace = before, at: datetime = over) -> str:
        told = {"source": "s", "submission_id": submission_id, "from_id": of_whom.point, "to_id": of.point}
        archive.add("moved_submission", moved_at=at, **told)
        return submission_id

    archive.add("person_purpose", person_id=of.person, purpose="p", contact_point_id=of.point, ends_at=None)
    archive.add("consent_evidence", event_key=b"k", address="", submission_id="e")
    kept = {
        moved(archive.submitted(of)),
        moved(archive.registered(of, archive.occasion(ends_at=NOW))),
        moved("e"),
        moved("new", at=over + JUST),
    }
    moved("old", forgotten)
    archive.add("submission", source="other", submission_id="old", received_at=NOW)
    assert archive.overdue()["groundless_submissions"] == 1
    assert archive.column("moved_submission", "submission_id") == kept
    assert archive.gone() == {"people": 2, "addresses": 1}
    assert archive.column("contact_point", "contact_point_id") == {of.point, before.point}


def test_a_finding_about_a_row_that_is_not_known_any_more_goes(archive: Archive) -> None:
    of = archive.somebody()
    archive.add("person_purpose", person_id=of.person, purpose="p", contact_point_id=of.point, ends_at=None)
    known = {"table_name": "contact", "row_id": uuid4()}
    archive.add("crm_row", contact_point_id=of.point, is_ours=False, columns={}, **known)
    archive.add("crm_finding", kind="do_not_email", **known)
    archive.add("crm_finding", kind="do_not_email", table_name="other", row_id=known["row_id"])
    archive.add("crm_finding", kind="do_not_email", table_name="contact", row_id=uuid4())
    archive.gone()
    assert archive.column("crm_finding", "row_id") == {known["row_id"]}
    assert archive.column("crm_finding", "table_name") == {"contact"}


def test_whom_a_disclosure_told_of_is_forgotten_once_the_erasure_was_told_or_years_after(archive: Archive) -> None:
    for told_of, at in (("erased; rectified", NOW), ("rectified", NOW), (None, ago(days=1096)), (None, ago(days=1095))):
        archive.add("disclosure", disclosure_id=(disclosure := uuid4()), disclosed_at=at, columns=[])
        archive.add("disclosure_subject", disclosure_id=disclosure, reference=f"{told_of} {at}", told_of=told_of)
    assert archive.overdue() == {"disclosed_references": 2}
    assert archive.column("disclosure_subject", "told_of") == {"rectified", None}


def test_an_answered_request_is_forgotten_years_after_and_an_open_one_is_not(archive: Archive) -> None:
    of, over = archive.somebody(), ago(days=1096)
    for state, at in (("done", over), ("refused", over + JUST), ("open", over)):
        archive.add("data_request", request_id=uuid4(), kind="access", state=state, closed_at=at)
        archive.add("person_request", kind="export", state=state, closed_at=at, contact_point_id=of.point)
    assert archive.overdue()["answered_requests"] == 2
    assert archive.column("data_request", "state") == archive.column("person_request", "state") == {"refused", "open"}


def test_what_became_of_a_request_of_the_page_is_known_when_its_address_is_gone(archive: Archive) -> None:
    gone, stays = archive.somebody(), archive.somebody()
    archive.add("person_purpose", person_id=stays.person, purpose="p", contact_point_id=stays.point, ends_at=None)
    for of, kind, state in ((gone, "export", "refused"), (gone, "move", "done"), (stays, "erasure", "refused")):
        told = {"kind": kind, "state": state, "asked_at": ago(days=9), "closed_at": NOW}
        archive.add("person_request", request_id=uuid4(), contact_point_id=of.point, **told)
    asked = sorted(
        (one["kind"], one["state"]) for one in data_requests.list_requests(archive.conn, now=NOW, every=True)
    )
    assert asked == [("access", "refused"), ("erasure", "refused"), ("rectification", "done")]
    archive.gone()
    told = data_requests.list_requests(archive.conn, now=NOW, every=True)
    assert sorted((one["kind"], one["state"]) for one in told) == asked
    assert {(one["asked_at"], one["closed_at"]) for one in told} == {(ago(days=9), NOW)}
    assert archive.column("data_request", "contact_point_id") == archive.column("data_request", "person_id") == {None}


def test_a_reading_is_forgotten_two_years_after(archive: Archive) -> None:
    over = ago(days=retention.READINGS_DAYS)
    for read_at in (over, over + JUST):
        archive.add("access_log", read_at=read_at, contact_point_ids=[])
    assert archive.overdue() == {"log_of_readings": 1}
    assert archive.column("access_log", "read_at") == {over + JUST}


def test_a_hold_is_forgotten_years_after_it_held_and_a_standing_one_is_not(archive: Archive) -> None:
    over = ago(days=1096)
    for reason, told in (
        ("released", {"released_at": over, "until_on": NOW.date()}),
        ("ran out", {"until_on": over.date() - timedelta(days=1)}),
        ("released just so", {"released_at": over + JUST}),
        ("ran out just so", {"until_on": over.date()}),
        ("released long after it ran out", {"released_at": NOW, "until_on": date(2000, 1, 1)}),
        ("stands", {"made_at": date(2000, 1, 1)}),
    ):
        archive.held(person_id=uuid4(), reason=reason, **told)
    gone = archive.overdue()
    assert gone == {"ended_holds": 3}
    assert archive.column("legal_hold", "reason") == {"released just so", "ran out just so", "stands"}


def test_who_had_access_is_forgotten_years_after_it_was_taken_away_and_never_while_it_lasts(archive: Archive) -> None:
    over = ago(days=1096)
    for user, told in (
        ("revoked", {"revoked_at": over, "ends_on": NOW.date()}),
        ("ran out", {"ends_on": over.date() - timedelta(days=1)}),
        ("revoked just so", {"revoked_at": over + JUST}),
        ("ran out just so", {"ends_on": over.date()}),
        ("lasts", {"granted_at": date(2000, 1, 1)}),
    ):
        archive.add("access_grant", user_name=user, **told)
    assert archive.overdue() == {"ended_accesses": 2}
    assert archive.column("access_grant", "user_name") == {"revoked just so", "ran out just so", "lasts"}

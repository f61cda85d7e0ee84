"""The rules of retention in the store, each at its very instant: what goes, what a hold keeps, what is others' and stays."""

from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from connectors.store import data_requests, retention
from connectors.store.retention import COURSE_KIND, EVENT_KIND, Limits, Related
from schemas.tables import EVENT
from tests.archiving import JUST, LIMITS, NOW, ON_NOTICE, ON_SALES, Archive, ago

# Registrations and what was answered for them.


@pytest.mark.parametrize(("kind", "days"), [(EVENT_KIND, 30), (COURSE_KIND, 730)])
def test_registrations_and_answers_go_when_the_days_after_the_end_are_over(
    archive: Archive, kind: str, days: int
) -> None:
    of, name = archive.somebody(), kind.removesuffix("_registration")
    over, before = ago(days=days), ago(days=days) + JUST
    archive.registered(of, archive.occasion(kind, ends_at=over, starts_at=NOW), NOW)
    archive.registered(of, archive.occasion(kind, starts_at=over), NOW)
    archive.registered(of, archive.occasion(kind), over)
    kept = {
        archive.registered(of, archive.occasion(kind, ends_at=before, starts_at=over), over),
        archive.registered(of, archive.occasion(kind, starts_at=before), over),
        archive.registered(of, archive.occasion(kind), before),
    }
    assert archive.overdue() == {f"{name}_answers": 3, f"{name}_registrations": 3}
    assert archive.column("answer", "submission_id") == archive.column("registration", "submission_id") == kept
    assert retention.touched(archive.conn) == [of.point] and retention.touched(archive.conn) == []


def test_a_submission_of_another_source_with_the_same_id_is_not_touched(archive: Archive) -> None:
    of = archive.somebody()
    number = archive.registered(of, archive.occasion(ends_at=ago(days=31)))
    archive.submitted(of, source="other", submission_id=number, is_enquiry=True)
    assert archive.overdue() == {"event_answers": 1, "event_registrations": 1}
    assert archive.column("answer", "source") == {"other"}


def test_a_purpose_that_the_policy_does_not_have_deletes_nothing(archive: Archive) -> None:
    of = archive.somebody()
    archive.registered(of, archive.occasion(ends_at=ago(days=9999)))
    archive.registered(of, archive.occasion(COURSE_KIND, ends_at=ago(days=9999)))
    archive.submitted(of, is_enquiry=True, received_at=ago(days=9999))
    nothing = Limits(None, None, (), None, 1096, 90)
    assert archive.overdue(nothing) == {}
    archive.add("person_purpose", person_id=of.person, purpose="p", contact_point_id=of.point, ends_at=None)
    unused = archive.occasion(ends_at=ago(days=9999))
    assert not any(retention.delete_people(archive.conn, nothing, now=NOW).values())
    assert unused in archive.column("occasion", "occasion_pk")


@pytest.mark.parametrize(
    ("told", "stays", "stays_without_sale"),
    [
        ({"is_sale": True, "notice_shown": True}, True, True),
        ({"is_sale": False, "notice_shown": True}, False, True),
        ({"is_sale": True, "notice_shown": False}, False, False),
        ({"is_sale": True, "notice_shown": True, "at": ago(days=700)}, False, False),
        ({"is_sale": True, "notice_shown": True, "at": ago(days=700) + JUST}, True, True),
    ],
)
def test_a_registration_stays_while_news_of_similar_events_may_stand_on_it(
    archive: Archive, told: dict[str, Any], stays: bool, stays_without_sale: bool
) -> None:
    for related, is_kept in ((ON_NOTICE, stays_without_sale), (ON_SALES, stays)):
        with archive.conn.begin_nested() as savepoint:
            at = told.get("at", ago(days=40))
            flags = {name: told[name] for name in ("is_sale", "notice_shown")}
            archive.registered(archive.somebody(), archive.occasion(ends_at=ago(days=30)), at, **flags)
            assert archive.overdue(replace(LIMITS, related=(related,))).get("event_registrations", 0) == (not is_kept)
            savepoint.rollback()


@pytest.mark.parametrize("kind", [EVENT_KIND, COURSE_KIND])
@pytest.mark.parametrize(
    ("told", "stays"),
    [
        ({}, True),
        ({"status": "waitlisted"}, True),
        ({"status": "cancelled"}, False),
        ({"status": "deleted"}, False),
        ({"is_child": False}, True),
        ({"is_child": True}, False),
        ({"person_id": None}, False),
        ({"lowered": "related_events"}, False),
        ({"lowered": "marketing"}, True),
        ({"lowered": "related_events", "topic": "training"}, True),
        ({"lowered": "related_events", "state": "granted"}, True),
    ],
)
def test_a_registration_stays_for_news_of_similar_events_only_of_whom_they_may_be_sent_to(
    archive: Archive, told: dict[str, Any], stays: bool, kind: str
) -> None:
    of, other = archive.somebody(), archive.somebody()
    known = {"is_sale": True, "notice_shown": True, "status": told.get("status", "active")}
    archive.registered(of, archive.occasion(kind, ends_at=ago(days=730)), ago(days=699), **known)
    for column in told.keys() & {"is_child", "person_id"}:
        statement = f"update intake.subject set {column} = :value where subject_id = :subject"
        archive.conn.execute(sa.text(statement), {"value": told[column], "subject": of.subject})
    archive.conn.execute(
        sa.text("update intake.subject set is_child = true where subject_id = :s"), {"s": other.subject}
    )
    for point, purpose in ((of.point, told.get("lowered")), (other.point, "related_events")):
        state = {"topic": told.get("topic", ""), "state": told.get("state", "withdrawn")}
        if purpose:
            archive.add("consent_state", contact_point_id=point, purpose=purpose, **state)
    assert archive.overdue().get(f"{kind.removesuffix('_registration')}_registrations", 0) == (not stays)


def test_a_registration_goes_of_whom_another_name_of_theirs_is_known_as_a_childs(archive: Archive) -> None:
    of = archive.somebody()
    known = {"is_sale": True, "notice_shown": True, "status": "active"}
    archive.registered(of, archive.occasion(ends_at=ago(days=730)), ago(days=699), **known)
    by_another_name = {"contact_point_id": of.point, "given_key": "fuller name", "person_id": of.person}
    archive.add(
        "subject", subject_id=uuid4(), has_ground=True, is_child=False, age_told_at=ago(days=1), **by_another_name
    )
    assert "event_registrations" not in {rule for rule, rows in archive.overdue().items() if rows}
    archive.conn.execute(sa.text("update intake.subject set is_child = true where given_key = 'fuller name'"))
    assert archive.overdue()["event_registrations"] == 1


def test_a_registration_stays_while_any_purpose_of_similar_events_stands_on_it(archive: Archive) -> None:
    at, flags = ago(days=9999), {"is_sale": True, "notice_shown": True}
    archive.registered(archive.somebody(), archive.occasion(ends_at=at), at, **flags)
    until_lowered = Related("other", None, False)
    assert archive.overdue(replace(LIMITS, related=(ON_SALES, until_lowered))) == {"event_answers": 1}
    assert archive.overdue(replace(LIMITS, related=(until_lowered, ON_SALES))) == {}
    assert archive.overdue(replace(LIMITS, related=(ON_SALES, ON_NOTICE))) == {"event_registrations": 1}


def test_what_was_counted_of_participants_is_final_once_a_registration_goes(archive: Archive) -> None:
    of = archive.somebody()
    for occasion, source, ended in (("gone", "s", 30), ("stays", "s", 29), ("gone", "other", 29)):
        archive.add("occasion", occasion_pk=(pk := uuid4()), occasion_id=occasion, source=source, kind=EVENT_KIND,
                    ends_at=ago(days=ended))  # fmt: skip
        archive.registered(of, pk)
        archive.add("participation", source=source, occasion_id=occasion, month=NOW.date())
    archive.overdue()
    final = archive.conn.execute(sa.text("select source, occasion_id from intake.participation where is_final")).all()
    assert [tuple(row) for row in final] == [("s", "gone")]


# Enquiries, evidence, quarantine, landing.


def test_a_message_goes_half_a_year_after_it_was_written_and_one_that_is_also_a_registration_with_that(
    archive: Archive,
) -> None:
    of, over = archive.somebody(), ago(days=183)
    for told in ({"submitted_from": over}, {"submitted_from": None, "received_at": over}):
        archive.submitted(of, is_enquiry=True, **told)
    kept = {
        archive.submitted(of, is_enquiry=True, submitted_from=over + JUST, received_at=over),
        archive.submitted(of, is_enquiry=True, source="other", received_at=NOW, submission_id="n-same"),
        (both := archive.registered(of, archive.occasion(ends_at=NOW))),
    }
    archive.conn.execute(sa.text("update intake.submission set is_enquiry = true, received_at = :at"
                                 " where submission_id = :id"), {"id": both, "at": over})  # fmt: skip
    archive.submitted(of, is_enquiry=True, submission_id="n-same", received_at=over)
    assert archive.overdue() == {"enquiry_messages": 3}
    assert archive.column("answer", "submission_id") == kept


def test_evidence_goes_three_years_after_the_last_decision_on_a_purpose_that_is_not_granted(archive: Archive) -> None:
    over, withdrawn, granted, recent, other = ago(days=1096), *(archive.somebody() for _ in range(4))
    for of in (withdrawn, granted, recent):
        archive.decided(of, over)
    archive.decided(withdrawn, ago(days=2000))
    archive.decided(recent, over + JUST)
    archive.decided(other, over, "related_events")
    archive.decided(other, NOW, "marketing")
    for of, purpose in ((withdrawn, "related_events"), (granted, "marketing"), (other, "marketing")):
        archive.folded(of, "granted", purpose)
    archive.folded(withdrawn, "withdrawn")
    assert archive.overdue() == {"evidence": 3}
    addresses = archive.conn.execute(sa.text("select address from intake.consent_evidence order by 1")).scalars().all()
    assert sorted(addresses) == sorted([granted.key, recent.key, recent.key, other.key])


def test_evidence_lives_with_the_consent_of_its_own_person_whoever_else_lowered_the_address(archive: Archive) -> None:
    stays, over = archive.somebody(), ago(days=1096)
    withdrew, recent = archive.somebody(point=stays.point), archive.somebody(point=stays.point)
    archive.add("consent_state", contact_point_id=stays.point, purpose="marketing", topic="", state="withdrawn")
    for of, at, state in ((stays, over, "granted"), (withdrew, over, "withdrawn"), (recent, over + JUST, "withdrawn")):
        archive.decided(of, at)
        archive.folded(of, state)
    assert archive.overdue() == {"evidence": 1}
    assert archive.column("consent_evidence", "address") == {stays.key, recent.key}


def test_evidence_lives_on_after_a_nameless_withdrawal_that_counted_for_everybody(archive: Archive) -> None:
    of = archive.somebody()
    nameless = archive.somebody(point=of.point)
    archive.conn.execute(
        sa.text("update intake.subject set given_key = '', person_id = null where subject_id = :s"),
        {"s": nameless.subject},
    )
    archive.decided(of, ago(days=2000))
    archive.decided(nameless, ago(days=1096) + JUST)
    archive.folded(of, "withdrawn")
    assert archive.overdue() == {}


@pytest.mark.parametrize(("ends_at", "stays"), [(None, True), (NOW + JUST, True), (NOW, False)])
def test_evidence_of_a_yes_stays_as_long_as_some_purpose_of_the_person_lives(
    archive: Archive, ends_at: datetime | None, stays: bool
) -> None:
    of = archive.somebody()
    archive.decided(of, ago(days=1096))
    archive.add("person_consent", person_id=of.person, contact_point_id=of.point, purpose="marketing", state="granted")
    archive.add("person_purpose", person_id=of.person, purpose="event", contact_point_id=of.point, ends_at=ends_at)
    assert archive.overdue().get("evidence", 0) == (not stays)


def test_evidence_of_whom_no_name_is_left_goes_by_the_last_decision_on_that_name(archive: Archive) -> None:
    gone, decided_since = archive.somebody(), archive.somebody()
    for of in (gone, decided_since):
        archive.decided(of, ago(days=1096))
    archive.decided(decided_since, NOW)
    archive.conn.execute(sa.text("delete from intake.subject"))
    assert archive.overdue() == {"evidence": 1}
    assert archive.column("consent_evidence", "address") == {decided_since.key}


def test_quarantine_goes_after_its_days_and_what_was_received_when_its_batch_expires(archive: Archive) -> None:
    for batch, expires_at in ((UUID(int=1), NOW), (UUID(int=2), NOW + JUST)):
        archive.add("batch", batch_id=batch, content_hash=str(batch), state="applied", expires_at=expires_at)
        archive.add("landing_key", batch_id=batch)
        archive.add("landing_payload", batch_id=batch)
        archive.add("mended_cell", batch_id=batch)
    for row_no, seen_at in enumerate((ago(days=90), ago(days=90) + JUST)):
        archive.add("quarantine", batch_id=UUID(int=2), row_no=row_no, first_seen_at=seen_at)
    assert archive.overdue() == {"quarantine": 1, "landing": 1}
    assert archive.column("quarantine", "row_no") == {1}
    for table in ("landing_key", "landing_payload", "mended_cell"):
        assert archive.column(table, "batch_id") == {UUID(int=2)}, table


def test_answers_of_what_is_neither_a_registration_nor_an_enquiry_go_at_once_unless_they_are_held(
    archive: Archive,
) -> None:
    of, held = archive.somebody(), archive.somebody()
    archive.held(person_id=held.person)
    neither = archive.submitted(of)
    enquiry = archive.submitted(of, is_enquiry=True)
    registration = archive.registered(of, archive.occasion(ends_at=NOW), status="cancelled")
    kept = [(enquiry, "s"), (registration, "s"), (archive.submitted(held), "s")]
    for number in (enquiry, registration):
        archive.add("answer", source="other", submission_id=number, question="Q")
    assert archive.overdue() == {"groundless_answers": 3}
    left = archive.conn.execute(sa.text("select submission_id, source from intake.answer")).all()
    assert set(map(tuple, left)) == set(kept) and neither not in dict(kept)


# Holds.


def _everything(archive: Archive) -> SimpleNamespace:
    """Somebody of whom every rule finds something overdue."""
    of = archive.somebody()
    of.occasion = archive.occasion(ends_at=ago(days=9999))
    archive.registered(of, of.occasion)
    archive.submitted(of, is_enquiry=True, received_at=ago(days=9999))
    archive.decided(of, ago(days=9999))
    return of


def test_a_hold_on_a_person_or_an_occasion_and_a_restriction_keep_all_of_the_address(archive: Archive) -> None:
    by_name, by_event, restricted, nobody = (_everything(archive) for _ in range(4))
    archive.held(person_id=by_name.person)
    archive.held(occasion_pk=by_event.occasion)
    archive.add("restriction", person_id=restricted.person, contact_point_id=restricted.point)
    rules = {"event_answers": 1, "event_registrations": 1, "enquiry_messages": 1, "evidence": 1}
    assert archive.overdue() == rules and retention.touched(archive.conn) == [nobody.point]
    assert archive.gone() == {"people": 1, "addresses": 1, "occasions": 1}
    assert archive.column("person", "person_id") == {by_name.person, by_event.person, restricted.person}


@pytest.mark.parametrize("state", ["open", "done", "refused"])
@pytest.mark.parametrize(
    ("table", "kind", "keeps_data"),
    [
        ("data_request", "access", True), ("data_request", "portability", True), ("data_request", "restriction", True),
        ("data_request", "erasure", False), ("data_request", "rectification", False),
        ("data_request", "objection", False), ("person_request", "export", True), ("person_request", "erasure", False),
        ("person_request", "move", False),
    ],
)  # fmt: skip
def test_what_an_open_request_asks_for_stays_until_it_is_closed_and_what_was_asked_on_the_page_is_never_lost(
    archive: Archive, table: str, kind: str, keeps_data: bool, state: str
) -> None:
    of = _everything(archive)
    due = {"due_at": ago(days=9)} if table == "data_request" else {}
    told = {"contact_point_id": of.point, "kind": kind, "state": state, "asked_at": ago(days=40), **due}
    archive.add(table, request_id=(asked := uuid4()), **told)
    archive.add("data_request", request_id=uuid4(), contact_point_id=None, kind="access", state="open")
    is_kept = keeps_data and state == "open"
    rules = {"event_answers": 1, "event_registrations": 1, "enquiry_messages": 1, "evidence": 1}
    assert archive.overdue() == ({} if is_kept else rules)
    gone = archive.gone()
    assert gone.get("people", 0) == (not is_kept)
    keeps_address = is_kept or (table == "person_request" and state == "open")
    assert gone.get("addresses", 0) == (not keeps_address)
    overdue = [one["request_id"] for one in data_requests.list_requests(archive.conn, now=NOW) if one["is_overdue"]]
    assert overdue == ([asked] if state == "open" else [])


@pytest.mark.parametrize(
    ("told", "holds"),
    [
        ({"until_on": NOW.date()}, True),
        ({"until_on": ago(days=1).date()}, False),
        ({"released_at": ago(days=1)}, False),
        ({"until_on": NOW.date(), "released_at": NOW}, False),
    ],
)
@pytest.mark.parametrize("what", ["person_id", "occasion_pk"])
def test_a_hold_holds_through_its_last_day_and_until_it_is_released(
    archive: Archive, told: dict[str, Any], holds: bool, what: str
) -> None:
    of = _everything(archive)
    archive.held(**{what: of.person if what == "person_id" else of.occasion}, **told)
    today = {"today": NOW.date()}
    assert bool(archive.overdue()) is not holds
    assert retention.is_held(archive.conn, [of.person], **today) is holds
    assert not retention.is_held(archive.conn, [uuid4()], **today)
    assert [hold["holds"] for hold in retention.list_holds(archive.conn, **today)] == [holds]


def test_a_hold_is_kept_with_why_and_by_whom_until_somebody_releases_it_once(archive: Archive) -> None:
    of, pk = archive.somebody(), uuid4()
    archive.add("occasion", occasion_pk=pk, occasion_id="o", source="s", kind=EVENT_KIND, name="Seminar")
    until, (by_name, by_event) = NOW.date(), (uuid4(), uuid4())
    told = {"until_on": until, "reason": "A claim", "held_by": "Leila Laki", "made_at": NOW}
    retention.add_hold(archive.conn, by_name, person_id=of.person, occasion_pk=None, told=told)
    later = {**told, "until_on": None, "made_at": NOW + JUST}
    retention.add_hold(archive.conn, by_event, person_id=None, occasion_pk=pk, told=later)
    standing = {"holds": True, "released_at": None, "released_by": None}
    of_event = {"hold_id": by_event, "person_id": None, "occasion_pk": pk, "occasion": "Seminar", **later, **standing}
    of_person = {"hold_id": by_name, "person_id": of.person, "occasion_pk": None, "occasion": None, **told, **standing}
    assert retention.list_holds(archive.conn, today=until) == [of_event, of_person]
    assert retention.release_hold(archive.conn, by_name, by="Olli Oikea", at=NOW)
    assert not retention.release_hold(archive.conn, by_name, by="Somebody else", at=NOW + JUST)
    assert not retention.release_hold(archive.conn, uuid4(), by="Olli Oikea", at=NOW)
    ended = {**of_person, "holds": False, "released_at": NOW, "released_by": "Olli Oikea"}
    assert retention.list_holds(archive.conn, today=until) == [of_event, ended]


def test_a_hold_keeps_who_it_names_and_who_registered_and_nobody_else(archive: Archive) -> None:
    named, registered, other = (archive.somebody() for _ in range(3))
    held, free = archive.occasion(ends_at=NOW), archive.occasion(ends_at=NOW)
    archive.registered(registered, held), archive.registered(other, free)
    archive.held(person_id=named.person), archive.held(occasion_pk=held)

    def is_held(*persons: UUID) -> bool:
        return retention.is_held(archive.conn, iter(persons), today=NOW.date())

    found = [is_held(of.person) for of in (named, registered, other)]
    assert found == [True, True, False]
    assert is_held(other.person, named.person)
    assert not is_held()


def test_an_occasion_is_found_by_our_id_and_by_its_sources(archive: Archive) -> None:
    one, other = archive.occasion(ends_at=NOW), archive.occasion(ends_at=NOW)
    (named,) = archive.conn.execute(
        sa.text("select occasion_id from intake.occasion where occasion_pk = :pk"), {"pk": one}
    ).scalars()
    assert retention.find_occasion(archive.conn, named) == [one]
    assert retention.find_occasion(archive.conn, str(other)) == [other]
    assert retention.find_occasion(archive.conn, "nowhere") == []


# People, addresses, occasions, ids.


def test_the_same_connection_does_it_again_and_finds_what_came_since(archive: Archive) -> None:
    for _ in range(2):
        of = archive.somebody()
        archive.registered(of, archive.occasion(ends_at=ago(days=30)))
        assert archive.overdue() == {"event_answers": 1, "event_registrations": 1}
        assert archive.gone() == {"people": 1, "addresses": 1, "occasions": 1}


def test_an_address_of_which_much_went_is_touched_once_and_one_that_went_not_at_all(archive: Archive) -> None:
    stays, goes = archive.somebody(), archive.somebody()
    archive.add("person_purpose", person_id=stays.person, purpose="p", contact_point_id=stays.point, ends_at=None)
    over = archive.occasion(ends_at=ago(days=30))
    archive.registered(stays, over), archive.registered(stays, over), archive.registered(goes, over)
    retention.begin(archive.conn, now=NOW)
    retention.delete_overdue(archive.conn, LIMITS, now=NOW)
    assert retention.delete_people(archive.conn, LIMITS, now=NOW)["addresses"] == 1
    assert retention.touched(archive.conn) == [stays.point]


def test_a_person_stays_while_a_purpose_lives_the_crm_shows_them_they_are_registered_or_held(archive: Archive) -> None:
    def with_purpose(ends_at: datetime | None) -> SimpleNamespace:
        of = archive.somebody()
        archive.add("person_purpose", person_id=of.person, purpose="p", contact_point_id=of.point, ends_at=ends_at)
        return of

    def in_crm(*, linked: bool = False, elsewhere: bool = False, **told: Any) -> SimpleNamespace:
        of, row = archive.somebody(), uuid4()
        if linked:
            archive.add("crm_link", person_id=of.person, row_id=row, state="adopted")
        ids = {"row_id": row if linked else of.person, "contact_point_id": held.point if elsewhere else of.point}
        archive.add("crm_row", **{"table_name": "contact", "is_ours": True, "columns": {}, **ids, **told})
        return of

    registered, held = archive.somebody(), archive.somebody()
    archive.registered(registered, archive.occasion(ends_at=NOW))
    archive.held(person_id=held.person)
    merged = {"merged": NOW.isoformat()}
    kept = [with_purpose(None), with_purpose(NOW + JUST), in_crm(), in_crm(linked=True), registered, held]
    kept += [in_crm(edits=merged), in_crm(edits=merged, is_ours=False), in_crm(edits=merged, elsewhere=True)]
    gone = [with_purpose(NOW), in_crm(is_ours=False), in_crm(table_name="other"), in_crm(linked=True, is_ours=False)]
    gone += [in_crm(elsewhere=True), in_crm(linked=True, elsewhere=True)]
    gone += [in_crm(linked=True, elsewhere=True, edits=merged), in_crm(table_name="other", edits=merged)]
    gone += [in_crm(is_ours=False, edits={"lastname": NOW.isoformat()})]
    assert archive.gone()["people"] == len(gone)
    assert archive.column("person", "person_id") == {of.person for of in kept}


def test_of_a_person_who_goes_all_goes_and_of_whoever_shares_the_address_nothing(archive: Archive) -> None:
    gone = archive.somebody()
    stays = archive.somebody(point=gone.point)
    archive.add("person_purpose", person_id=stays.person, purpose="p", contact_point_id=gone.point, ends_at=None)
    archive.add("person_purpose", person_id=gone.person, purpose="p", contact_point_id=gone.point, ends_at=NOW)
    for of in (gone, stays):
        number = archive.submitted(of)
        of_submission = {"source": "s", "submission_id": number, "contact_point_id": gone.point}
        archive.add("stated_value", value="grant", **of_submission)
        archive.add("row_image", table_name="submission", rows=[], **of_submission)
        archive.add("person_consent", person_id=of.person, contact_point_id=gone.point, state="granted")
        of.number = number
    archive.conn.execute(sa.text("update intake.subject set is_child = true, age_told_at = now()"))
    assert archive.gone() == {"people": 1}
    told = archive.conn.execute(sa.text("select subject_id, is_child, age_told_at is null from intake.subject")).all()
    assert set(map(tuple, told)) == {(gone.subject, None, True), (stays.subject, True, False)}
    for table in ("submission", "answer", "stated_value", "row_image"):
        assert archive.column(table, "submission_id") == {stays.number}, table
    for table in ("person", "person_purpose", "person_consent"):
        assert archive.column(table, "person_id") == {stays.person}, table
    subjects = archive.conn.execute(sa.text("select subject_id, person_id, has_ground from intake.subject")).all()
    assert set(map(tuple, subjects)) == {(gone.subject, None, False), (stays.subject, stays.person, True)}
    assert retention.touched(archive.conn) == [gone.point]


def test_what_was_written_of_them_to_the_crm_is_forgotten_and_of_others_kept(archive: Archive) -> None:
    gone, linked, row = archive.somebody(), archive.somebody(), uuid4()
    stays = archive.somebody(point=gone.point)
    archive.add("person_purpose", person_id=stays.person, purpose="p", contact_point_id=gone.point, ends_at=None)
    archive.add("crm_link", person_id=linked.person, row_id=row, state="adopted")
    alone, elsewhere = archive.somebody(), archive.somebody()
    archive.add(
        "person_purpose", person_id=elsewhere.person, purpose="p", contact_point_id=elsewhere.point, ends_at=None
    )
    written = {"columns": {"firstname": "Aino"}, "before": {"firstname": "A"}, "finished_at": NOW}
    wrote = [
        (gone, gone.person, "acknowledged"), (linked, row, "superseded"), (alone, uuid4(), "refused"),
        (alone, uuid4(), "conflict"), (elsewhere, gone.person, "acknowledged"), (gone, stays.person, "acknowledged"),
        (gone, uuid4(), "acknowledged"), (elsewhere, row, "acknowledged"), (elsewhere, uuid4(), "acknowledged"),
    ]  # fmt: skip
    for of, row_id, state in wrote:
        archive.add("outbox_intent", row_id=row_id, contact_point_id=of.point, state=state, **written)
    archive.add(
        "outbox_intent", row_id=uuid4(), contact_point_id=alone.point, state="claimed", columns={"firstname": "A"}
    )
    archive.add("outbox_intent", row_id=alone.person, contact_point_id=alone.point, state="refused", purged_at=ago(days=1),
                columns={"firstname": None}, finished_at=NOW)  # fmt: skip
    assert archive.gone()["people"] == 3
    query = "select columns, before, purged_at from intake.outbox_intent order by intent_id"
    found = [tuple(one) for one in archive.conn.execute(sa.text(query))]
    forgotten, kept = ({"firstname": None}, None, NOW), ({"firstname": "Aino"}, {"firstname": "A"}, None)
    assert found[:9] == [forgotten] * 5 + [kept] * 4
    assert found[9:] == [({"firstname": "A"}, None, None), ({"firstname": None}, None, ago(days=1))]


def test_an_address_stays_while_anybody_or_anything_that_counts_is_known_of_it(archive: Archive) -> None:
    def address() -> SimpleNamespace:
        of = archive.somebody()
        archive.conn.execute(
            sa.text("update intake.subject set person_id = null where subject_id = :s"), {"s": of.subject}
        )
        archive.conn.execute(sa.text("delete from intake.person where person_id = :p"), {"p": of.person})
        return of

    gone, lowered, granted, submitted, registered, moved, shown, others = (address() for _ in range(8))
    archive.add("consent_state", contact_point_id=lowered.point, purpose="m", topic="", state="withdrawn")
    for table in ("stated_value", "row_image", "person_consent", "consent_state"):
        told: dict[str, Any] = {"state": "granted"} if table.endswith(("consent", "state")) else {}
        told |= {"stated_value": {"value": "grant"}, "row_image": {"table_name": "submission", "rows": []}}.get(
            table, {}
        )
        archive.add(table, contact_point_id=granted.point, **told)
    archive.decided(granted, NOW)
    archive.submitted(submitted)
    archive.decided(submitted, NOW)
    archive.registered(registered, archive.occasion(ends_at=NOW))
    number = archive.registered(moved, archive.occasion(ends_at=NOW))
    archive.conn.execute(
        sa.text("update intake.submission set contact_point_id = :to where submission_id = :number"),
        {"to": submitted.point, "number": number},
    )
    archive.add("crm_row", table_name="contact", row_id=uuid4(), contact_point_id=shown.point, is_ours=True, columns={})
    archive.add(
        "crm_row", table_name="contact", row_id=uuid4(), contact_point_id=others.point, is_ours=False, columns={}
    )
    person = archive.somebody()
    archive.add("person_purpose", person_id=person.person, purpose="p", contact_point_id=person.point, ends_at=None)
    assert archive.gone() == {"addresses": 3}
    kept = {of.point for of in (lowered, submitted, registered, moved, shown, person)}
    assert archive.column("contact_point", "contact_point_id") == kept
    assert archive.column("subject", "contact_point_id") == kept
    assert archive.column("crm_row", "contact_point_id") == {shown.point}
    for table in ("stated_value", "row_image", "person_consent"):
        assert archive.column(table, "1") == set(), table
    assert archive.column("consent_evidence", "address") == {submitted.key}
    assert gone.point not in kept and archive.column("consent_state", "contact_point_id") == {lowered.point}


@pytest.mark.parametrize(("kind", "days"), [(EVENT_KIND, 30), (COURSE_KIND, 730)])
def test_an_occasion_goes_when_nobody_is_registered_and_the_crm_has_no_row_of_it(
    archive: Archive, kind: str, days: int
) -> None:
    over, of = ago(days=days), archive.somebody()
    archive.add("person_purpose", person_id=of.person, purpose="p", contact_point_id=of.point, ends_at=None)
    archive.occasion(kind, ends_at=over, starts_at=NOW), archive.occasion(kind, starts_at=over), archive.occasion(kind)
    recent, shown, held = (
        archive.occasion(kind, ends_at=over + JUST),
        *(archive.occasion(kind, ends_at=over) for _ in "ab"),
    )
    archive.registered(of, (used := archive.occasion(kind, ends_at=over)))
    other = archive.occasion(kind, ends_at=over)
    archive.add("crm_row", table_name=EVENT.logical_name, row_id=shown, is_ours=False, columns={})
    archive.add("crm_row", table_name="contact", row_id=other, is_ours=False, columns={})
    archive.held(occasion_pk=held)
    archive.registered(of, (undated := archive.occasion(kind)))
    assert archive.gone() == {"occasions": 4}
    assert archive.column("occasion", "occasion_pk") == {recent, shown, held, used, undated}


def test_ids_of_submissions_are_forgotten_once_both_they_and_their_batch_are_gone(archive: Archive) -> None:
    of = archive.somebody()
    archive.add("person_purpose", person_id=of.person, purpose="p", contact_point_id=of.point, ends_at=None)
    for number in (1, 2):
        archive.add("batch", batch_id=UUID(int=number), source="s", content_hash=str(number), state="applied")
    archive.add("landing_key", batch_id=UUID(int=2))
    there = archive.submitted(of)
    archive.submitted(of, source="other", submission_id="elsewhere")
    for row_no, submission_id in enumerate((there, "gone", "elsewhere")):
        for batch in (1, 2):
            told = {"batch_id": UUID(int=batch), "row_no": row_no, "submission_id": submission_id}
            archive.add("row_outcome", state="applied", effects=[], **told)
    assert archive.gone() == {"submission_ids": 2}
    query = "select submission_id from intake.row_outcome order by batch_id, row_no"
    assert list(archive.conn.execute(sa.text(query)).scalars()) == [there, None, None, there, "gone", "elsewhere"]


def test_events_of_ours_that_are_over_and_nobodys_are_of_no_use_in_the_crm(archive: Archive) -> None:
    def in_crm(*, is_ours: bool = True, table: str = EVENT.logical_name, **at: Any) -> UUID:
        pk = archive.occasion(**at)
        archive.add("crm_row", table_name=table, row_id=pk, is_ours=is_ours, columns={})
        return pk

    wanted = [in_crm(ends_at=NOW, starts_at=NOW + JUST), in_crm(starts_at=NOW), in_crm()]
    in_crm(ends_at=NOW + JUST, starts_at=NOW), in_crm(is_ours=False, ends_at=NOW), in_crm(table="contact", ends_at=NOW)
    archive.registered(archive.somebody(), in_crm(ends_at=NOW)), archive.registered(archive.somebody(), in_crm())
    assert retention.events_of_no_use(archive.conn, now=NOW) == [(pk, 1) for pk in sorted(wanted)]

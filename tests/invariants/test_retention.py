"""Retention: each rule deletes what is overdue and nothing a day before; late backfills bring nothing back; holds keep."""

import gc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from connectors.store import data_requests
from connectors.store import retention as store
from connectors.store.person_requests import add_request
from pipelines.operations.acts import record_acts
from pipelines.operations.certificates import certify, verify_certificate
from pipelines.operations.erasure import alone, find_person
from pipelines.operations.landing import land_feed
from pipelines.operations.reconciliation import reconcile
from pipelines.operations.restores import replay
from pipelines.operations.retention import Retained, foretell, retain
from pipelines.operations.rights import take_request
from pipelines.operations.sessions import Session
from pipelines.operations.statistics import gather_participations
from pipelines.operations.status import check_status
from schemas.errors import ConfigurationError, DatabaseRestored
from schemas.records import Window
from tests.invariants.acts import NOW, RECEIVED, T0, Act, Who, answer, ask, iso, prohibit, register, sign_up, speak
from tests.invariants.erasing import erase, traces
from tests.invariants.feeds import MAPPINGS
from tests.invariants.test_acts import make_act
from tests.invariants.world import FIRST_ON, Ran, World, opened
from tests.throwaway import fresh_database

AINO, KALLE, MAIJA = (Who(f"{name}@example.org", name) for name in ("aino", "kalle", "maija"))
ENDS = T0 + timedelta(days=60)


def retained(world: World, at: datetime) -> Retained:
    return retain(Session(world.at(at).workspace), world.crm)


def with_answers(world: World, kind: str) -> World:
    """Course registrations that bring an answer, as registrations for courses or for events."""
    return world.with_mapping("courses", kind=kind, answers={"Course name": "Which"})


def count(world: World, table: str) -> int:
    return int(world.query(f"select count(*) from intake.{table}")[0][0])


@pytest.fixture
def known(world: World) -> World:
    """Aino was at an event; Kalle too, and wants the newsletter; Maija asked something."""
    with_answers(world, "event_registration")
    world.perform(
        [register(1, AINO, T0), register(2, KALLE, T0, course="LK2"), sign_up(2, KALLE, T0), ask(3, MAIJA, T0)]
    )
    world.run()
    assert len(world.holds().contacts) == 3 and count(world, "answer") == 2
    return world


def test_what_is_of_an_event_goes_after_its_aftercare_and_not_a_moment_before(known: World) -> None:
    early = retained(known, ENDS + timedelta(days=30) - timedelta(seconds=1))
    assert early.deleted["event_answers"] == early.deleted["event_registrations"] == 0
    assert count(known, "answer") == 2 and early.deleted["landing"] == 3
    foretold = foretell(Session(known.at(ENDS + timedelta(days=30)).workspace))
    done = retained(known, ENDS + timedelta(days=30))
    assert done.deleted["event_answers"] == 2 and done.deleted["event_registrations"] == 2
    assert foretold.deleted.pop("images_of_writes") == done.deleted["images_of_writes"]
    assert {rule: n for rule, n in foretold.deleted.items() if n} == {
        "event_answers": 2,
        "event_registrations": 2,
        "contact_details": 2,
    }
    assert foretold.crm_removed["msevtmgt_eventregistration"] == 2
    removed = {"msevtmgt_eventregistration": 2, "msdynmkt_contactpointconsent4": 1, "contact": 1, "msevtmgt_event": 2}
    assert done.crm_removed == removed
    assert (done.crm_absent, done.crm_still_there) == (6, 0), "read back as absent"
    assert done.deleted["people"] == 1 and not any(done.left.values())
    assert traces(known, "virtanen") == set(), "Aino had no other purpose"
    assert set(known.holds().contacts) == {(KALLE.key, "kalle"), (MAIJA.key, "maija")}


@pytest.mark.parametrize("dates", ["", "15.1."])
def test_one_registration_without_dates_ends_the_event_for_nobody(world: World, dates: str) -> None:
    with_answers(world, "event_registration").perform([register(1, AINO, T0)])
    world.run()
    later = T0 + timedelta(days=40)
    kalle = register(2, KALLE, later).written(Starts=dates, Ends=dates, **{"Course name": ""})
    world.perform([kalle], at=later)
    world.at(later + timedelta(hours=1)).run()
    done = retained(world, later + timedelta(days=1))
    assert done.deleted["event_registrations"] == 0 and done.crm_removed == {}
    whose = sorted((*who, name) for who, name, _ in world.holds().registrations.values())
    assert whose == [(AINO.key, "aino", "Course LK1"), (KALLE.key, "kalle", "Course LK1")]
    assert retained(world, ENDS + timedelta(days=30)).deleted["people"] == 2 and not world.rows("contacts")


def test_a_registration_by_phone_begins_what_the_event_needs_and_goes_with_it(world: World) -> None:
    event = {
        "id": {"column": "Event"},
        "name": {"column": "Event name"},
        "starts_at": {"column": "Starts", "formats": ["iso"]},
        "ends_at": {"column": "Ends", "formats": ["iso"]},
    }
    world.with_mapping("manual", occasion=event)
    told = {"Event": "E1", "Event name": "Seminar", "Starts": iso(T0 + timedelta(days=30)), "Ends": iso(ENDS)}
    registers = speak(AINO, T0, decision="yes").written(Purpose="", Decision="", Said="", **told)
    refuses = speak(KALLE, T0, decision="no").written(**told)
    world.perform([registers, refuses])
    world.run()
    lives = dict(tuple(row) for row in world.query("select purpose, ends_at from intake.person_purpose"))
    assert lives == {"event_delivery": ENDS + timedelta(days=30), "networking": ENDS}
    assert [name for _, name, _ in world.holds().registrations.values()] == ["Seminar"]
    assert set(world.holds().contacts) == {(AINO.key, "aino")}, "Kalle only refused something"
    assert retained(world, ENDS + timedelta(days=30, seconds=-1)).deleted["event_registrations"] == 0
    done = retained(world, ENDS + timedelta(days=30))
    assert (done.deleted["event_registrations"], done.deleted["people"]) == (1, 1)
    assert traces(world, "virtanen", AINO.key) == set() and not world.rows("contacts")
    assert count(world, "occasion") == 0 and not world.rows("msevtmgt_events")


def test_a_course_that_another_feed_named_first_is_a_course_once_somebody_registers_for_it(world: World) -> None:
    named = {**MAPPINGS["courses"]["occasion"], "is_sale": None, "notice_shown": False}
    world.with_mapping("prohibitions", occasion=named)
    cells = {name: register(1, AINO, T0).row[name] for name in ("Course", "Course name", "Starts", "Ends")}
    world.perform([prohibit(1, MAIJA, T0).written(**cells)])
    world.run()
    world.perform([register(1, AINO, T0)])
    world.run()
    assert [row.kind for row in world.query("select kind from intake.occasion")] == ["course_registration"]
    assert [row.purpose for row in world.query("select purpose from intake.person_purpose")] == ["course_delivery"]


def test_an_event_that_is_told_again_after_it_was_over_is_an_alarm_while_somebody_is_there_from_before(
    world: World,
) -> None:
    def alarms() -> list[str]:
        return [one for one in check_status(Session(world.workspace)).alarms if "told again for a later day" in one]

    def monthly(no: int, who: Who, at: datetime, day: timedelta) -> None:
        world.perform([register(no, who, at).written(Starts=iso(T0 + day), Ends=iso(T0 + day))], at=at)
        world.at(at + timedelta(hours=1)).run()

    with_answers(world, "event_registration")
    first, second = timedelta(days=11), timedelta(days=42)
    monthly(1, AINO, T0, first)
    monthly(2, KALLE, T0 + timedelta(days=20), second)
    assert len(alarms()) == 1 and alarms()[0].startswith("1 courses or events") and "(LK1)" in alarms()[0]
    assert world.query("select earlier_ended_at from intake.occasion") == [(T0 + first,)]
    monthly(3, MAIJA, T0 + timedelta(days=21), second)
    assert retained(world, T0 + first + timedelta(days=30)).deleted["event_registrations"] == 0, "it may be postponed"
    assert len(alarms()) == 1
    assert retained(world, T0 + second + timedelta(days=30)).deleted["people"] == 3 and not alarms()


def test_a_detail_goes_when_no_purpose_uses_it_any_more_and_the_person_stays(known: World) -> None:
    known.perform([sign_up(1, AINO, T0)])
    known.run()
    details = "select phone from intake.{} where phone is not null"
    at = ENDS + timedelta(days=30)
    retained(known, at - timedelta(seconds=1))
    assert known.query(details.format("submission")) and known.query(details.format("person"))
    assert retained(known, at).deleted["contact_details"] >= 1
    assert not known.query(details.format("submission")) and not known.query(details.format("person"))
    assert (AINO.key, "aino") in known.holds().contacts, "she wants the newsletter"
    assert participants(known) == [1, 1]
    assert not any(retained(known, at).deleted.values())


def test_the_log_of_readings_goes_after_two_years_and_no_sooner(world: World) -> None:
    read = "insert into intake.access_log (read_at, os_user, command, purpose, contact_point_ids, about)"
    with world.owner.begin() as conn:
        for years in (1, 3):
            conn.execute(
                sa.text(f"{read} values (clock_timestamp() - :age * interval '1 year', 'x', 'x', 'x', '{{}}', '')"),
                {"age": years},
            )
    done = retained(world, datetime.now(UTC))
    assert done.deleted["log_of_readings"] == 1 and count(world, "access_log") == 1


def test_a_late_backfill_of_an_old_event_does_not_bring_its_answers_back(known: World) -> None:
    at = ENDS + timedelta(days=31)
    retained(known, at)
    known.perform([register(1, AINO, T0), register(2, KALLE, T0, course="LK2"), register(9, AINO, T0)], at=RECEIVED)
    ran = known.run()
    assert count(known, "answer") == 0
    assert not [one for one in known.writes(ran.since) if "eventregistration" in str(one)], "nor its rows in the CRM"
    assert retained(known, at).deleted["people"] == 1 and traces(known, "virtanen") <= {"landing courses"}


@pytest.mark.parametrize(("days", "answers", "registrations"), [(729, 0, 0), (730, 1, 1)])
def test_course_data_goes_two_years_after_the_course(world: World, days: int, answers: int, registrations: int) -> None:
    with_answers(world, "course_registration").perform([register(1, AINO, T0)])
    world.run()
    done = retained(world, ENDS + timedelta(days=days))
    assert (done.deleted["course_answers"], done.deleted["course_registrations"]) == (answers, registrations)
    assert count(world, "person") == 1 - registrations and len(world.holds().contacts) == 1 - registrations
    assert count(world, "occasion") == 1 - registrations and len(world.rows("msevtmgt_events")) == 1 - registrations


def test_a_registration_stays_while_news_of_similar_events_stand_on_it(world: World) -> None:
    with_answers(world, "event_registration").perform([register(1, AINO, T0, charge="paid")])
    world.run()
    done = retained(world, T0 + timedelta(days=729))
    assert (done.deleted["event_answers"], done.deleted["event_registrations"]) == (1, 0)
    done = retained(world, T0 + timedelta(days=730))
    assert done.deleted["event_registrations"] == 1 and traces(world, "virtanen") == set()


@pytest.mark.parametrize("how", ["objected", "cancelled", "left marketing"])
def test_a_registration_goes_with_its_event_of_whom_no_news_may_be_sent_to(world: World, how: str) -> None:
    with_answers(world, "event_registration")
    world.perform([register(1, AINO, T0, charge="paid"), register(2, KALLE, T0, charge="paid")])
    world.run()
    later = T0 + timedelta(days=1)
    if how == "objected":
        act = make_act("withdraw", address=AINO.address, purposes=("related_events",), occurred_at=later)
        record_acts(world.session(), None, [act])
    elif how == "cancelled":
        world.perform([register(1, AINO, T0, charge="paid", status="out", changed_at=later)])
    else:
        world.perform([answer(3, AINO, later, stop="Yes")])
    world.run()
    assert retained(world, ENDS + timedelta(days=30, seconds=-1)).deleted["event_registrations"] == 0
    done = retained(world, ENDS + timedelta(days=30))
    assert (done.deleted["event_registrations"], done.deleted["people"]) == (1, 1)
    assert "virtanen" not in str(world.query("select family_name from intake.submission")).lower()
    lives = "select ends_at from intake.person_purpose where purpose = 'related_events'"
    assert [row.ends_at for row in world.query(lives)] == [T0 + timedelta(days=730)], "Kalle did not object"
    assert count(world, "registration") == 1 and not any(done.left.values())
    assert retained(world, T0 + timedelta(days=730)).deleted["event_registrations"] == 1


def test_an_enquiry_goes_after_half_a_year(world: World) -> None:
    world.with_mapping("contact", answers={"Answer me": "Answer"}).perform([ask(1, AINO, T0)])
    world.run()
    assert retained(world, T0 + timedelta(days=182)).deleted["enquiry_messages"] == 0
    done = retained(world, T0 + timedelta(days=183))
    assert (done.deleted["enquiry_messages"], done.deleted["people"], done.deleted["addresses"]) == (1, 1, 1)
    assert traces(world, "virtanen", "aino@") == set()


def test_evidence_lives_with_the_consent_and_three_years_after_and_suppression_longer(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), sign_up(2, KALLE, T0)])
    world.run()
    gone_at = NOW + timedelta(hours=1)
    world.perform([answer(3, AINO, gone_at, newsletter="No")], at=gone_at + timedelta(minutes=1))
    world.at(NOW + timedelta(hours=2)).run()
    assert retained(world, gone_at + timedelta(days=1096, seconds=-1)).deleted["evidence"] == 0
    assert retained(world, gone_at + timedelta(days=1096)).deleted["evidence"] == 2, "the grant and the withdrawal"
    assert count(world, "consent_evidence") == 1, "Kalle's consent lives"
    assert world.holds().consents[AINO.key, "marketing", ""] is False, "and the address stays suppressed"
    assert not any(retained(world, gone_at + timedelta(days=1097)).left.values())


def test_evidence_of_a_yes_stays_while_somebody_else_holds_its_address_down(world: World) -> None:
    aino, maija = (Who(AINO.address, given) for given in ("aino", "maija"))
    ends = iso(T0 + timedelta(days=2000))
    for no, who in enumerate((aino, maija)):
        world.perform([sign_up(no, who, T0), register(no, who, T0).written(Ends=ends)])
    world.run()
    left_at = NOW + timedelta(hours=1)
    world.perform([answer(3, aino, left_at, newsletter="No")], at=left_at + timedelta(minutes=1))
    world.at(NOW + timedelta(hours=2)).run()
    assert world.holds().consents[AINO.key, "marketing", ""] is False
    assert retained(world, left_at + timedelta(days=1096)).deleted["evidence"] == 2, "Aino's yes and her no"
    erase(world, person=str(world.query("select person_id from intake.person where given_name = 'Aino'")[0][0]))
    world.run()
    assert world.holds().consents[AINO.key, "marketing", ""] is True, "Maija's yes counts again"
    assert [row.given_name for row in world.query("select given_name from intake.consent_evidence")] == ["Maija"]


def test_landing_and_quarantine_go_on_their_days(world: World) -> None:
    world.receive("newsletter", [{"Id": "n1", "Time": "never", "Email": "not an address", "First": "Aino"}])
    world.run()
    assert count(world, "quarantine") >= 1
    landed = world.query("select expires_at from intake.batch")[0][0]
    assert retained(world, landed - timedelta(seconds=1)).deleted["landing"] == 0
    done = retained(world, landed)
    assert done.deleted["landing"] == 1 and traces(world, "not an address") == set()
    seen = NOW + timedelta(days=90)
    assert (
        retained(world, seen - timedelta(seconds=1)).deleted["quarantine"] + done.deleted["quarantine"] == 0
        or landed >= seen
    )
    retained(world, seen + timedelta(seconds=1))
    assert count(world, "quarantine") == 0


def surprising(world: World) -> None:
    """A file that has a column of which the mapping says nothing, and so is stopped."""
    world.receive("newsletter", [{**sign_up(1, AINO, T0).row, "Surprise": "x"}])


def test_a_stopped_batch_goes_90_days_after_it_landed_however_often_it_was_tried_again(world: World) -> None:
    surprising(world)
    assert world.run().stops()
    surprising(world)
    assert world.at(NOW + timedelta(days=80)).run().stops()
    assert retained(world, NOW + timedelta(days=90, seconds=-1)).deleted["landing"] == 0
    assert retained(world, NOW + timedelta(days=90)).deleted["landing"] == 1
    assert count(world, "landing_key") == count(world, "landing_payload") == 0


def test_a_batch_goes_14_days_after_it_landed_whenever_it_was_read(world: World) -> None:
    surprising(world)
    world.run()
    world.with_mapping("newsletter", ignored=["Surprise"])
    surprising(world)
    assert not world.at(NOW + timedelta(days=5)).run().stops()
    assert retained(world, NOW + timedelta(days=14, seconds=-1)).deleted["landing"] == 0
    assert retained(world, NOW + timedelta(days=14)).deleted["landing"] == 1


def came_again(world: World, *acts: Act) -> Ran:
    """The sign-ups of Aino and Kalle in the file that they came in at first, beside what else came."""
    world.perform([sign_up(1, AINO, T0), sign_up(2, KALLE, T0), *acts])
    return world.run()


def test_a_file_that_comes_again_after_its_landing_is_read_by_another_mapping(world: World) -> None:
    came_again(world)
    assert retained(world, NOW + timedelta(days=15)).deleted["landing"] == 1
    came_again(world)
    assert count(world, "landing_key") == 0, "it is not read again by the same mapping"
    world.with_mapping("newsletter", title="Another title")
    ran = came_again(world, answer(3, KALLE, NOW + timedelta(days=15), stop="Yes"))
    assert not ran.stops() and world.holds().consents[KALLE.key, "marketing", ""] is False
    assert {row.state for row in world.query("select state from intake.batch")} == {"applied"}
    assert retained(world, NOW + timedelta(days=29, seconds=-1)).deleted["landing"] == 0
    assert retained(world, NOW + timedelta(days=29)).deleted["landing"] == 2


def test_who_was_erased_is_taken_out_of_a_file_that_comes_again_after_its_landing(world: World) -> None:
    came_again(world)
    retained(world, NOW + timedelta(days=15))
    erase(world, AINO.address)
    came_again(world)
    assert traces(world, AINO.key) == set()
    world.with_mapping("newsletter", title="Another title")
    came_again(world)
    assert traces(world, AINO.key) == set() and "landing newsletter" in traces(world, KALLE.key)


def test_a_batch_whose_payload_went_before_it_was_read_stops_alone_until_it_comes_again(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), sign_up(2, KALLE, T0)])
    session = world.session()
    land_feed(session, world.workspace.mappings["newsletter"], Window(FIRST_ON, session.now.date()))
    assert retained(world, NOW + timedelta(days=15)).deleted["landing"] == 1
    world.perform([answer(3, KALLE, NOW + timedelta(days=15), stop="Yes")])
    assert world.run().stops() == {"payload_erased": 1}
    assert world.holds().consents[KALLE.key, "marketing", ""] is False
    assert not came_again(world).stops() and world.holds().consents[AINO.key, "marketing", ""] is True


def test_a_legal_hold_keeps_a_person_or_an_event_until_it_is_released(known: World) -> None:
    held = {"until_on": None, "reason": "A claim", "held_by": "Leila Laki", "made_at": NOW}
    (occasion,) = known.query("select occasion_pk from intake.occasion where occasion_id = 'LK1'")
    (maija,) = known.query("select person_id from intake.person where given_name = 'Maija'")
    event, person = uuid4(), uuid4()
    with Session(known.workspace).under_retention() as session, session.transaction() as conn:
        store.add_hold(conn, event, person_id=None, occasion_pk=occasion.occasion_pk, told=held)
        store.add_hold(
            conn, person, person_id=maija.person_id, occasion_pk=None, told={**held, "until_on": ENDS.date()}
        )
    with pytest.raises(ConfigurationError, match="legal hold"):
        erase(known, AINO.address)
    done = retained(known, ENDS + timedelta(days=200))
    assert done.holds == 1, "Maija's has run out"
    assert done.deleted["event_answers"] == 1 and traces(known, "virtanen") and traces(known, "lahti") == set()
    with Session(known.workspace).under_retention() as session, session.transaction() as conn:
        assert store.release_hold(conn, event, by="Leila Laki", at=known.now)
        assert not store.release_hold(conn, event, by="Leila Laki", at=known.now)
    assert retained(known, ENDS + timedelta(days=200)).deleted["event_answers"] == 1
    assert traces(known, "virtanen") == set()


def keep(world: World, how: str) -> Callable[[], object]:
    """Has what is of Aino kept; returns what ends that."""
    session = Session(world.workspace)
    with session.transaction() as conn:
        scope = find_person(conn, address=AINO.address)
        if how == "page":
            add_request(conn, scope.contact_point_id, "export")
            request_id: UUID = conn.execute(sa.text("select request_id from intake.person_request")).scalar_one()
            return lambda: close(world, request_id)
    if how == "access":
        taken = take_request(session, scope, kind="access", asked_at=NOW, by="Leila Laki")
        return lambda: close(world, taken["request_id"])
    told = {"until_on": ENDS.date() + timedelta(days=100), "reason": "A claim", "held_by": "Leila Laki", "made_at": NOW}
    (event,) = world.query("select occasion_pk from intake.occasion where occasion_id = 'LK1'")
    person_id, occasion_pk = (scope.person_ids[0], None) if how == "person" else (None, event.occasion_pk)
    hold_id = uuid4()
    with session.under_retention() as retention, retention.transaction() as conn:
        store.add_hold(conn, hold_id, person_id=person_id, occasion_pk=occasion_pk, told=told)
    return lambda: None if how == "runs out" else release(world, hold_id)


def release(world: World, hold_id: UUID) -> None:
    with Session(world.workspace).under_retention() as session, session.transaction() as conn:
        assert store.release_hold(conn, hold_id, by="Leila Laki", at=world.now)


def close(world: World, request_id: UUID) -> None:
    with Session(world.workspace).transaction() as conn:
        told = {"state": "done", "by": "Leila Laki", "at": world.now, "outcome": "sent"}
        assert data_requests.close_request(conn, request_id, told=told)


@pytest.mark.parametrize("how", ["event", "runs out", "person", "access", "page"])
def test_what_is_held_or_owed_stays_in_the_crm_too_until_that_ends(known: World, how: str) -> None:
    ended = keep(known, how)
    known.at(ENDS + timedelta(days=31)).run()
    done = retained(known, ENDS + timedelta(days=32))
    held = known.holds()
    assert (AINO.key, "aino") in held.contacts
    assert [who for who, _, _ in held.registrations.values()] == [(AINO.key, "aino")]
    assert not reconcile(Session(known.workspace), known.crm).unexplained and not any(done.left.values())
    ended()
    known.at(ENDS + timedelta(days=101)).run()
    assert (AINO.key, "aino") not in known.holds().contacts and not known.holds().registrations
    assert retained(known, known.now).deleted["people"] == 1 and traces(known, "virtanen") == set()


def test_of_whom_all_is_kept_what_they_withdraw_is_lowered_at_once(known: World) -> None:
    known.perform([sign_up(1, AINO, T0)])
    known.run()
    keep(known, "person")
    later = NOW + timedelta(hours=1)
    known.perform([answer(9, AINO, later, newsletter="No")], at=later)
    known.at(later + timedelta(hours=1)).run()
    assert known.holds().consents[AINO.key, "marketing", ""] is False
    (contact,) = (row for row in known.rows("contacts") if row["emailaddress1"] == AINO.address)
    assert contact["donotbulkemail"] is True


def test_a_flipped_byte_of_a_certificate_is_detected_wherever_it_is(known: World) -> None:
    session = Session(known.at(ENDS + timedelta(days=31)).workspace)
    path = certify(session, retain(session, known.crm))
    told: dict[str, Any] = verify_certificate(session, path)
    by_rule = {rule["rule"]: rule for rule in told["rules"]}
    assert by_rule["event_answers"] == {"rule": "event_answers", "class_id": "07.03.01", "days": 30, "deleted": 2}
    assert told["crm"]["absent"] == 6 and not told["left_overdue"] and "example.org" not in path.read_text()
    content = path.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ConfigurationError, match=r"not as it was signed|not in the ring"):
            verify_certificate(session, path)
    with pytest.raises(ConfigurationError, match="no certificate at"):
        verify_certificate(session, Path("nowhere.json"))


def test_a_restored_database_is_brought_up_to_date_before_it_is_used(known: World) -> None:
    known.owner.dispose()
    known.workspace.engine.dispose()
    gc.collect()
    with fresh_database(known.address, template=known.address.database) as copy:
        at = ENDS + timedelta(days=31)
        known.workspace.journal.note_run(None)
        with opened(known.directory, known.emulator, copy) as restored:
            with_answers(restored, "event_registration").at(at)
            session = restored.session()
            known.at(at).run()
            with pytest.raises(DatabaseRestored):
                retain(session, restored.crm)
            with alone(session):
                assert replay(session).was_restored
            done = retain(session, restored.crm)
            assert done.deleted["event_answers"] == 2 and not any(done.left.values())
            assert traces(restored, "virtanen") == set()


def participants(world: World) -> list[int]:
    return [row[0] for row in world.query("select participants from intake.participation order by occasion_id")]


def test_participants_are_counted_before_their_registrations_go(known: World) -> None:
    done = retained(known, ENDS + timedelta(days=30))
    assert done.deleted["event_registrations"] == 2 and count(known, "registration") == 0
    assert participants(known) == [1, 1]


def test_those_whom_a_hold_keeps_are_not_counted_alone(known: World) -> None:
    known.perform([register(4, KALLE, T0)])
    known.run()
    (kalle,) = known.query("select person_id from intake.person where given_name = 'Kalle'")
    held = {"until_on": None, "reason": "A claim", "held_by": "Leila Laki", "made_at": NOW}
    with Session(known.workspace).under_retention() as session, session.transaction() as conn:
        store.add_hold(conn, uuid4(), person_id=kalle.person_id, occasion_pk=None, told=held)
    done = retained(known, ENDS + timedelta(days=30))
    assert done.deleted["event_registrations"] == 1 and count(known, "registration") == 2
    assert participants(known) == [2, 1]
    for later in (31, 40):
        gather_participations(Session(known.at(ENDS + timedelta(days=later)).workspace))
        assert participants(known) == [2, 1]

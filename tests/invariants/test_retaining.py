"""What retention does in order, one branch a test, over the smallest store and CRM that show it; its days and its rules."""

import re
from contextlib import nullcontext
from datetime import timedelta
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
from pydantic import ValidationError

from connectors.store import retention as store
from connectors.store.retention import Limits, Related
from pipelines.assets.retention import store_retention_asset
from pipelines.assets.steps import TRANSIENT
from pipelines.operations.certificates import as_told, certify, verify_certificate
from pipelines.operations.retention import foretell, limits_of, retain, rules_of
from pipelines.operations.sessions import Session
from schemas.errors import CrmUnavailable, DatabaseRestored
from schemas.policy import BlastRadius, Policy
from schemas.purposes import Begin
from tests.feeds import make_policy
from tests.invariants.acts import NOW, T0, Who, register, sign_up
from tests.invariants.crm_hands import new_contact
from tests.invariants.world import REGISTRATIONS, World, take_in

AINO, MAIJA = Who("aino@example.org", "aino"), Who("aino@example.org", "maija")
KALLE = Who("kalle@example.org", "kalle")
NON_RESTRICTIVE = 534120001
OVER = T0 + timedelta(days=60 + 30)
EVENTS, REGISTRATION, CONTACT = "msevtmgt_event", "msevtmgt_eventregistration", "contact"


def beginning(policy: Policy, **begins: Begin) -> Policy:
    """The policy with purposes that begin otherwise."""
    changed = {name: policy.purposes[name].model_copy(update={"begins": begin}) for name, begin in begins.items()}
    return policy.model_copy(update={"purposes": {**policy.purposes, **changed}})


# The policy's days.


def test_the_limits_are_the_policys_days_by_what_begins_a_purpose() -> None:
    assert limits_of(make_policy()) == Limits(
        event=30, course=730, related=(Related("related_events", 730, False),), enquiry=183, evidence=1096, quarantine=90,
        with_phone=("course_delivery", "event_delivery", "disclosure:accommodation", "disclosure:transport"),
        with_organisation=("course_delivery", "event_delivery", "networking"),
        with_place=("course_delivery", "event_delivery"),
    )  # fmt: skip


def test_a_purpose_that_the_policy_does_not_have_has_no_limit() -> None:
    none = limits_of(make_policy().model_copy(update={"purposes": {}}))
    assert none == Limits(None, None, (), None, 1096, 90)


def test_news_of_similar_events_stand_on_a_sale_or_on_the_notice_alone() -> None:
    policy = make_policy()
    by_notice = beginning(policy, related_events=Begin.REGISTRATION_WITH_NOTICE)
    assert limits_of(by_notice).related == (Related("related_events", 730, True),)
    both = limits_of(beginning(policy, tracking=Begin.REGISTRATION_WITH_NOTICE))
    assert both.related == (Related("related_events", 730, False), Related("tracking", None, True))


def test_a_purpose_that_shows_a_phone_in_the_crm_uses_it() -> None:
    policy = make_policy()
    shown = policy.purposes["marketing"].model_copy(update={"contact_columns": ("firstname", "mobilephone")})
    found = limits_of(policy.model_copy(update={"purposes": {"marketing": shown}}))
    assert (found.with_phone, found.with_organisation, found.with_place) == (("marketing",), (), ())


def test_each_rule_has_its_days_and_its_class() -> None:
    told = [(one["rule"], one["days"], one["class_id"]) for one in rules_of(make_policy())]
    assert [*map(set, rules_of(make_policy()))] == [{"rule", "days", "class_id"}] * len(told)
    assert told == [
        ("event_answers", 30, "07.03.01"), ("event_registrations", 30, "07.03.01"),
        ("course_answers", 730, "05.04.01"), ("course_registrations", 730, "05.04.01"),
        ("enquiry_messages", 183, "07.01.01"), ("evidence", 1096, "07.02.02"),
        ("groundless_answers", 0, "00.02.04"), ("contact_details", 0, "00.02.04"),
        ("groundless_submissions", 90, "00.02.01"), ("disclosed_references", 1096, "07.02.02"),
        ("answered_requests", 1096, "07.02.02"), ("ended_holds", 1096, "07.02.02"),
        ("ended_accesses", 1096, "07.02.02"), ("log_of_readings", 731, "00.02.03"), ("quarantine", 90, "00.02.01"),
        ("landing", 14, "00.02.01"),
        ("images_of_writes", 30, "00.02.02"), ("images_of_readings", 30, "00.02.02"), ("people", 0, "00.02.04"),
        ("addresses", 0, "00.02.04"), ("occasions", 0, "00.02.04"), ("submission_ids", 0, "00.02.04"),
    ]  # fmt: skip


def test_a_rule_has_the_class_that_the_policy_names_for_it() -> None:
    told = {one["rule"]: one["class_id"] for one in rules_of(with_classes(readings="00.09", people="00.08"))}
    assert (told["log_of_readings"], told["people"]) == ("00.09", "00.08")
    assert told["evidence"] is told["landing"] is told["addresses"] is None


def test_a_class_is_named_for_a_rule_that_there_is() -> None:
    with pytest.raises(ValidationError, match="reading is not a rule of retention"):
        with_classes(reading="00.09")


def with_classes(**class_ids: str) -> Policy:
    told = make_policy().model_dump()
    return Policy.model_validate(told | {"retention": told["retention"] | {"class_ids": class_ids}})


def test_a_rule_whose_purpose_the_policy_does_not_have_is_none() -> None:
    rules = {one["rule"] for one in rules_of(make_policy().model_copy(update={"purposes": {}}))}
    assert not rules & {"event_answers", "event_registrations", "course_answers", "enquiry_messages"}
    assert {"evidence", "landing", "people"} <= rules


# One run.


@pytest.fixture
def known(world: World) -> World:
    """Aino was at an event, and at none other; Kalle too, and reads the newsletter."""
    world.with_mapping("courses", kind="event_registration", answers={"Course name": "Which"})
    world.perform([register(1, AINO, T0), register(2, KALLE, T0), sign_up(2, KALLE, T0)])
    world.run()
    return world


def at(world: World, now: Any = OVER) -> Session:
    return Session(world.at(now).workspace)


def runs(world: World) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in world.query("select state, counts from intake.run where kind = 'retention'")]


def count(world: World, table: str) -> int:
    return int(world.query(f"select count(*) from intake.{table}")[0][0])


def nonzero(counts: dict[str, int]) -> dict[str, int]:
    return {rule: rows for rule, rows in counts.items() if rows}


def test_it_says_what_would_go_and_keeps_it(known: World) -> None:
    before, since = known.counts(), known.emulator.control.last_sequence()
    told = foretell(at(known))
    assert told.deleted.pop("images_of_writes") > 0, "as they go"
    assert nonzero(told.deleted) == {
        "event_answers": 2, "event_registrations": 2, "contact_details": 2, "landing": 2
    }  # fmt: skip
    assert told.crm_removed == {REGISTRATION: 2, "msdynmkt_contactpointconsent4": 1, CONTACT: 2}, "Kalle's phone"
    assert known.counts() == before and not known.writes(since)


def test_all_goes_and_each_removed_row_is_looked_for_again(known: World) -> None:
    done = retain(at(known), known.crm)
    rules = {"event_answers": 2, "event_registrations": 2, "contact_details": 2, "landing": 2, "people": 1,
             "addresses": 1, "occasions": 1, "submission_ids": 1}  # fmt: skip
    images = done.deleted.pop("images_of_writes"), done.deleted.pop("images_of_readings")
    assert nonzero(done.deleted) == rules and images[0] > 0 == images[1]
    removed = {REGISTRATION: 2, "msdynmkt_contactpointconsent4": 1, CONTACT: 1, EVENTS: 1}
    assert done.crm_removed == removed and (done.crm_absent, done.crm_still_there) == (5, 0)
    assert done.waits is None and done.holds == 0 and not nonzero(done.left)
    assert "people" in done.left and not [rule for rule in done.left if rule.startswith("images")]
    assert set(known.holds().contacts) == {(KALLE.key, "kalle")} and not known.rows("msevtmgt_events")
    assert known.query("select participants from intake.participation") == [(2,)], "counted before they went"
    assert count(known, "crm_row") == len(known.rows("contacts")) + len(known.rows("msdynmkt_contactpointconsent4s"))
    ((state, counts),) = runs(known)
    assert state == "done" and counts["deleted"].items() > nonzero(done.deleted).items()
    assert counts["crm"] == removed and counts["left"] == done.left


def test_without_the_crm_the_store_alone_and_nobody_whom_the_crm_still_shows(known: World) -> None:
    since = known.emulator.control.last_sequence()
    done = retain(at(known), None)
    assert done.deleted["event_registrations"] == 2 and done.deleted["people"] == 0
    assert (done.crm_removed, done.crm_absent, done.crm_still_there) == ({}, 0, 0) and not known.requests(since)
    assert [state for state, _ in runs(known)] == ["done"]
    purposes = known.query("select purpose from intake.person_purpose order by 1")
    assert [row[0] for row in purposes] == ["marketing"], "whose registration went is folded anew"


def test_people_whom_the_crm_never_showed_are_foretold_with_the_rest(world: World) -> None:
    world.with_mapping("courses", kind="event_registration").perform([register(1, AINO, T0), register(2, MAIJA, T0)])
    take_in(world.session())
    told = foretell(at(world))
    done = retain(at(world), None)
    assert (told.deleted["people"], told.deleted["addresses"]) == (2, 1)
    assert nonzero(told.deleted) == {rule: n for rule, n in nonzero(done.deleted).items() if n}


def test_an_address_of_which_somebody_goes_is_planned_anew(known: World) -> None:
    known.perform([register(3, Who(KALLE.address, "maija"), T0)])
    known.run()
    version = "select version from intake.contact_point where address_key = 'kalle@example.org'"
    first = known.query(version)[0][0]
    assert retain(at(known), known.crm).deleted["people"] == 2
    assert known.query(version)[0][0] == first + 2, "for what went of the address, and for who went"
    again = retain(at(known), known.crm)
    assert again.crm_removed == {} and again.crm_absent == 0, "only what this run removed"
    assert known.query(version)[0][0] == first + 2


def test_holds_that_hold_are_counted(known: World) -> None:
    (kalle,) = known.query("select person_id from intake.person where given_name = 'Kalle'")
    with Session(known.workspace).under_retention() as session, session.transaction() as conn:
        for until in (None, NOW.date()):
            told = {"until_on": until, "reason": "A claim", "held_by": "Leila Laki", "made_at": NOW}
            store.add_hold(conn, uuid4(), person_id=kalle.person_id, occasion_pk=None, told=told)
    assert retain(at(known), None).holds == 1
    assert retain(at(known, NOW), None).holds == 2


def test_a_plan_that_removes_too_much_waits_and_the_store_is_done(known: World) -> None:
    policy = known.workspace.policy
    narrow = policy.crm.model_copy(update={"blast_radius": BlastRadius(rows=1, share=0)})
    known.with_policy(policy.model_copy(update={"crm": narrow}))
    done = retain(at(known), known.crm)
    assert re.fullmatch(r"Plan ([0-9a-f]{12}) waits: crm-intake run --approve \1 --by NAME", done.waits or "")
    assert done.deleted["event_registrations"] == 2 and done.crm_removed == {} and known.rows(REGISTRATIONS)


def test_a_crm_that_is_not_set_up_safely_is_told_of(known: World) -> None:
    purpose = str(known.workspace.policy.crm.purposes["marketing"].purpose_id)
    known.emulator.control.edit("msdynmkt_purposes", purpose, {"msdynmkt_enforcementmodel": NON_RESTRICTIVE})
    done = retain(at(known), known.crm)
    assert done.waits is not None and done.waits.startswith("Nothing was raised, lowerings were sent")
    assert [state for state, _ in runs(known)] == ["done"]


def test_the_store_does_not_wait_for_a_crm_that_is_down_and_what_it_let_go_of_is_certified(known: World) -> None:
    class Down:
        """The CRM, which answers nothing."""

        def guarded(self, may_send: object) -> nullcontext[None]:
            return nullcontext()

        def __getattr__(self, name: str) -> Any:
            def answer(*asked: Any, **told: Any) -> Any:
                raise CrmUnavailable(f"{name} was not answered", status=503)

            return answer

    session = at(known)
    done = retain(session, Down())  # type: ignore[arg-type]
    assert isinstance(done.failed, CrmUnavailable) and done.deleted["event_registrations"] == 2
    certificate = verify_certificate(session, certify(session, done))
    assert "503" in certificate["crm_failed"] and as_told(done)["failed"] == certificate["crm_failed"]
    assert {rule["rule"]: rule["deleted"] for rule in certificate["rules"]}["event_registrations"] == 2
    ((state, counts),) = runs(known)
    assert state == "failed" and counts["deleted"]["event_registrations"] == 2
    again = retain(at(known), known.crm)
    assert again.failed is None and again.crm_removed[REGISTRATION] == 2 and again.deleted["people"] == 1


def test_the_job_that_follows_a_failed_synchronisation_deletes_in_the_store_and_certifies_it(known: World) -> None:
    class Opened:
        """The workspace, which is open."""

        def open(self) -> Any:
            return known.at(OVER).workspace

        def tell(self, text: str) -> None:
            pass

    since = known.emulator.control.last_sequence()
    done = dg.materialize([store_retention_asset(TRANSIENT)], resources={"workspace": Opened()})
    (told,) = done.asset_materializations_for_node("retention__store")
    assert count(known, "registration") == 0 and not known.requests(since)
    path = known.settings.certificates_dir() / str(told.metadata["certificate"].value)
    certificate = verify_certificate(at(known), path)
    assert {rule["rule"]: rule["deleted"] for rule in certificate["rules"]}["event_registrations"] == 2
    assert [state for state, _ in runs(known)] == ["done"]


def test_what_the_crm_still_shows_of_what_it_removed_is_said(known: World) -> None:
    class Forgetful:
        """The CRM, which shows a registration that it has said to be gone."""

        def __getattr__(self, name: str) -> Any:
            return getattr(known.crm, name)

        def fetch_rows(self, table: Any, ids: Any, select: Any) -> dict[str, dict[str, object]]:
            if table.logical_name == REGISTRATION and not known.rows(REGISTRATIONS):
                return {str(ids[0]): {}}
            return known.crm.fetch_rows(table, ids, select)

    done = retain(at(known), Forgetful())  # type: ignore[arg-type]
    assert (done.crm_removed[REGISTRATION], done.crm_still_there, done.crm_absent) == (2, 1, 4)


def test_an_event_stays_while_the_crm_has_a_registration_of_somebody_else(known: World) -> None:
    (event,) = known.rows("msevtmgt_events")
    theirs = {"msevtmgt_EventId@odata.bind": f"/msevtmgt_events({event['msevtmgt_eventid']})",
              "msevtmgt_ContactId@odata.bind": f"/contacts({new_contact(known, lastname='Somebody')})"}  # fmt: skip
    known.emulator.control.seed({REGISTRATIONS: [theirs]}, as_user="human")
    done = retain(at(known), known.crm)
    assert EVENTS not in done.crm_removed and len(known.rows("msevtmgt_events")) == 1
    assert known.query("select from intake.crm_row where table_name = 'msevtmgt_event'")


def test_an_event_that_the_crm_will_not_let_go_of_is_not_said_to_be_gone(known: World) -> None:
    class Refusing:
        """The CRM, which refuses to delete events."""

        def __getattr__(self, name: str) -> Any:
            return getattr(known.crm, name)

        def delete_many(self, table: Any, ids: Any) -> Any:
            told = known.crm.delete_many(table, ids) if table.logical_name != EVENTS else ()
            return told or [SayingNo(row_id) for row_id in ids]

    class SayingNo:
        outcome = "refused"

        def __init__(self, row_id: str) -> None:
            self.row_id = row_id

    done = retain(at(known), Refusing())  # type: ignore[arg-type]
    assert done.crm_removed[EVENTS] == 0 and len(known.rows("msevtmgt_events")) == 1
    assert known.query("select from intake.crm_row where table_name = 'msevtmgt_event'")


def test_a_restored_store_is_refused_before_anything_goes(known: World) -> None:
    before = known.counts()
    known.workspace.journal.note_run(uuid4())
    with pytest.raises(DatabaseRestored):
        retain(at(known), known.crm)
    assert known.counts() == before

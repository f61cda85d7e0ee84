"""The rights of the data subject: a whole export, corrections, restriction, objection, and requests with deadlines."""

import html
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
import sqlalchemy as sa

from connectors.store import data_requests
from connectors.store.person_requests import add_request
from connectors.store.retention import add_hold, release_hold
from pipelines.operations.erasure import find_person
from pipelines.operations.person_export import export_person, gather
from pipelines.operations.reconciliation import reconcile
from pipelines.operations.retention import retain
from pipelines.operations.rights import lift, object_to, rectify, restrict, take_request
from pipelines.operations.sessions import Session
from pipelines.operations.status import check_status
from schemas.errors import ConfigurationError
from schemas.intents import Phase
from schemas.tables import CONSENT, ConsentValue
from tests.invariants.acts import NOW, RECEIVED, T0, Who, answer, ask, register, sign_up
from tests.invariants.crm_hands import edit_contact
from tests.invariants.erasing import erase
from tests.invariants.feeds import MAPPINGS
from tests.invariants.world import World

AINO, MAIJA = Who("aino@example.org", "aino"), Who("aino@example.org", "maija")
KALLE = Who("kalle@example.org", "kalle")
BY = "Tiina Tietosuoja"


@pytest.fixture
def known(world: World) -> World:
    """Aino at three doors, Kalle at one; one batch stopped that cannot be read."""
    world.with_mapping("courses", answers={"Course name": "Which <b>course</b>"})
    world.perform([sign_up(1, AINO, T0), ask(1, AINO, T0), register(1, AINO, T0, charge="paid"), sign_up(2, KALLE, T0)])
    world.run()
    return world


def meant(world: World, **who: str) -> tuple[Session, object]:
    session = Session(world.workspace)
    with session.transaction() as conn:
        return session, find_person(conn, **who)  # type: ignore[arg-type]


def test_an_export_has_everything_of_the_person_and_nothing_of_anybody_else(known: World, tmp_path: Path) -> None:
    known.receive("newsletter", [{"Id": "9", "Email": AINO.address, "Unheard of": "kept as it came"}])
    known.receive_bytes("contact", b"\x00\x01 not a table", at=RECEIVED)
    known.run()
    session, scope = meant(known, address=AINO.address)
    made = export_person(session, scope, tmp_path / "out", crm=known.crm)  # type: ignore[arg-type]
    told = orjson.loads(made.json_path.read_bytes())
    assert {"event_delivery", "course_delivery", "marketing", "enquiry", "related_events"} - set(told["purposes"]) == {
        "event_delivery"
    }
    assert told["purposes"]["course_delivery"]["kept_until"].startswith("2029-01-08")
    assert {row["feed"] for row in told["sources"]} == {"newsletter", "contact", "courses"}
    assert told["recipients"][0]["role"] == "processor" and told["controller"]["contact"]
    data = told["data"]
    assert [row["value"] for row in data["consent_history"]] == ["grant"]
    assert data["consent_history"][0]["wording"] == "I want the newsletter by e-mail."
    assert data["answers"][0]["question"] == "Which <b>course</b>"
    assert {row["table"] for row in data["crm"]} == {
        *("contact", "msdynmkt_contactpointconsent4", "msevtmgt_eventregistration")
    }
    cells = [row["cells"] for row in data["landing"]]
    assert len(cells) == 4 and {"Unheard of"} == {n for row in cells for n in row if row[n] == "kept as it came"}
    assert "kalle" not in made.json_path.read_text().lower()
    page = made.page_path.read_text()
    assert "<b>course</b>" not in page and html.escape("Which <b>course</b>") in page and "Suostumushistoria" in page
    assert (made.json_path.stat().st_mode & 0o077, made.page_path.stat().st_mode & 0o077) == (0, 0)


def test_the_export_of_one_of_two_at_an_address_has_nothing_of_the_other(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), sign_up(2, MAIJA, T0)])
    world.run()
    (aino,) = world.query("select person_id from intake.person where given_name = 'Aino'")
    session, scope = meant(world, person=str(aino.person_id))
    told = orjson.dumps(gather(session, scope, crm=world.crm), default=str).decode().lower()  # type: ignore[arg-type]
    assert "virtanen" in told and "maija" not in told and "lahti" not in told


def test_a_correction_is_the_newest_human_act_and_goes_to_the_crm(known: World) -> None:
    known.emulator.control.clock(set=NOW.isoformat())
    edit_contact(known, AINO.address, firstname="Aini")
    known.at(NOW + timedelta(hours=1)).run()
    session, scope = meant(known.at(NOW + timedelta(hours=2)), address=AINO.address)
    assert rectify(session, scope, {"given_name": "aino maria", "phone": "+44 7700 900199"}, by=BY) == [  # type: ignore[arg-type]
        "given_name",
        "phone",
    ]
    known.at(NOW + timedelta(hours=3)).run()
    (contact,) = (row for row in known.rows("contacts") if row["emailaddress1"] == AINO.address)
    assert contact["firstname"].lower() == "aino maria" and contact["lastname"] == "Virtanen"
    assert contact["mobilephone"] == "+447700900199"
    for wrong in ({"email": "x@example.org"}, {"phone": "no number"}, {}):
        with pytest.raises(ConfigurationError):
            rectify(session, scope, wrong, by=BY)  # type: ignore[arg-type]


def test_of_a_restricted_person_nothing_is_written_but_lowering_until_it_is_lifted(known: World) -> None:
    session, scope = meant(known, address=AINO.address)
    assert restrict(session, scope, reason="accuracy contested", by=BY) == 1  # type: ignore[arg-type]
    known.perform(
        [register(1, AINO, T0, charge="paid", status="out", changed_at=T0 + timedelta(days=2)), ask(7, AINO, T0)]
    )
    rectify(Session(known.workspace), scope, {"family_name": "Toinen"}, by=BY)  # type: ignore[arg-type]
    ran = known.at(NOW + timedelta(hours=1)).run()
    (contact,) = (row for row in known.rows("contacts") if row["emailaddress1"] == AINO.address)
    assert contact["donotbulkemail"] is True and contact["lastname"] == "Virtanen"
    assert not any(on for (at, _, _), on in known.holds().consents.items() if at == AINO.key), (
        "the rows decide about mail"
    )
    assert [status for _, _, status in known.holds().registrations.values()] == ["cancelled"]
    assert {phase for phase, _ in ran.sync.plan.tally} == {Phase.LOWERING}
    assert not reconcile(Session(known.workspace), known.crm).unexplained
    assert lift(Session(known.workspace), scope) == 1  # type: ignore[arg-type]
    known.at(NOW + timedelta(hours=2)).run()
    (contact,) = (row for row in known.rows("contacts") if row["emailaddress1"] == AINO.address)
    assert contact["donotbulkemail"] is False and contact["lastname"] == "Toinen"
    assert known.holds().consents[AINO.key, "marketing", ""], "a restriction is no withdrawal"


def test_nobody_restricted_is_erased_before_the_restriction_is_lifted(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), sign_up(2, MAIJA, T0)])
    world.run()
    ids = dict(map(tuple, world.query("select given_name, person_id::text from intake.person")))
    session, aino = meant(world, person=ids["Aino"])
    restrict(session, aino, reason="needs it for a claim", by=BY)  # type: ignore[arg-type]
    for asked in ({"person": ids["Aino"]}, {"address": AINO.address, "everyone": True}):
        with pytest.raises(ConfigurationError, match="privacy restrict PERSON --lift"):
            erase(world, **asked)
    assert len(world.query("select from intake.restriction")) == 1
    erase(world, person=ids["Maija"])
    assert len(world.query("select from intake.person")) == len(world.query("select from intake.restriction")) == 1
    assert lift(Session(world.workspace), aino) == 1  # type: ignore[arg-type]
    erase(world, address=AINO.address)
    assert not world.query("select from intake.person")


def test_a_copy_that_was_asked_for_on_the_page_is_still_owed_when_the_person_is_erased(known: World) -> None:
    session, scope = meant(known, address=AINO.address)
    with session.transaction() as conn:
        for kind in ("export", "erasure"):
            add_request(conn, scope.contact_point_id, kind)  # type: ignore[attr-defined]
    erase(known, address=AINO.address)
    with session.transaction() as conn:
        told = data_requests.list_requests(conn, now=NOW, every=True)
    assert sorted((one["kind"], one["state"]) for one in told) == [("access", "open"), ("erasure", "done")]
    assert known.query("select contact_point_id, person_id from intake.data_request") == [(None, None)] * 2


def test_a_hold_that_was_released_does_not_tell_who_was_erased(known: World) -> None:
    session, scope = meant(known, address=AINO.address)
    other = {"person_id": uuid4(), "occasion_pk": None}
    with session.under_retention() as retention, retention.transaction() as conn:
        for hold_id, what in (
            (one := uuid4(), {"person_id": scope.person_ids[0], "occasion_pk": None}),
            (uuid4(), other),
        ):  # type: ignore[attr-defined]
            told = {"until_on": None, "reason": "Aino Virtanen's claim", "held_by": BY, "made_at": NOW}
            add_hold(conn, hold_id, told=told, **what)
        release_hold(conn, one, by=BY, at=NOW)
    erase(known, address=AINO.address)
    assert [row.person_id for row in known.query("select person_id from intake.legal_hold")] == [other["person_id"]]


def test_an_objection_ends_what_it_names_and_nothing_else(known: World) -> None:
    assert known.holds().consents[AINO.key, "related_events", ""]
    session, scope = meant(known.at(NOW + timedelta(hours=1)), address=AINO.address)
    assert len(object_to(session, scope, ["related_events"], by=BY, reference="D-1")) == 1  # type: ignore[arg-type]
    assert len(object_to(session, scope, ["related_events"], by=BY, reference="D-1")) == 1  # type: ignore[arg-type]
    known.at(NOW + timedelta(hours=2)).run()
    held = known.holds().consents
    assert not held[AINO.key, "related_events", ""] and held[AINO.key, "marketing", ""]


def test_requests_have_a_deadline_are_closed_by_what_they_ask_for_and_outlive_the_person(known: World) -> None:
    asked_at = datetime(2026, 10, 31, 9, tzinfo=UTC)
    session, scope = meant(known, address=AINO.address)
    taken = take_request(session, scope, kind="access", asked_at=asked_at, by=BY)  # type: ignore[arg-type]
    assert taken["due_at"] == datetime(2026, 11, 30, 9, tzinfo=UTC), "a month, and no day of the next"
    take_request(session, scope, kind="erasure", asked_at=None, by=BY)  # type: ignore[arg-type]
    late = datetime(2026, 12, 1, tzinfo=UTC)
    with session.transaction() as conn:
        assert data_requests.count_overdue(conn, now=late) == {"open": 2, "overdue": 1, "next_due_at": taken["due_at"]}
        assert [r["is_overdue"] for r in data_requests.list_requests(conn, now=late)] == [True, False]
    alarms = check_status(Session(known.at(late).workspace)).alarms
    assert any("1 requests of data subjects are past their month" in alarm for alarm in alarms)
    erase(known, AINO.address)
    with session.transaction() as conn:
        left = data_requests.list_requests(conn, now=late, every=True)
    assert [(r["kind"], r["state"]) for r in left] == [("access", "open"), ("erasure", "done")]
    assert known.query("select from intake.data_request where contact_point_id is not null") == []


def exported(world: World, **who: object) -> dict[str, list[dict[str, object]]]:
    session, scope = meant(world, **who)  # type: ignore[arg-type]
    return gather(session, scope, crm=world.crm)["data"]  # type: ignore[arg-type,no-any-return]


def test_an_export_has_what_was_refused_and_what_waits_for_a_link(world: World) -> None:
    double = [{**consent, "double_opt_in": True} for consent in MAPPINGS["newsletter"]["consents"]]
    world.with_mapping("newsletter", consents=double).perform([ask(1, AINO, T0), sign_up(1, AINO, T0)])
    world.receive("courses", [{**register(1, AINO, T0).row, "Status": "unheard of"}, register(2, KALLE, T0).row])
    world.run()
    data = exported(world, address=AINO.address)
    assert {row["feed"] for row in data["landing"]} == {"contact", "newsletter", "courses"} and len(
        data["landing"]
    ) == 3
    assert [row["fault"] for row in data["quarantine"]] == ["unknown_status"]
    assert [row["address"] for row in data["sign_ups_that_wait"]] == [AINO.address]


def test_an_export_of_whom_only_the_landing_knows_is_no_refusal(world: World) -> None:
    world.receive("courses", [{**register(1, AINO, T0).row, "Status": "unheard of"}])
    world.run()
    data = exported(world, address=AINO.address, may_be_unknown=True)
    assert [row["feed"] for row in data["landing"]] == ["courses"] and data["quarantine"]
    with pytest.raises(ConfigurationError, match="Nobody is known"):
        exported(world, address="nobody@example.org", may_be_unknown=True)


def test_the_export_of_one_of_two_at_an_address_has_all_of_theirs_in_the_crm(world: World) -> None:
    world.perform([register(1, AINO, T0), register(2, MAIJA, T0)])
    world.run()
    (aino,) = world.query("select person_id from intake.person where given_name = 'Aino'")
    data = exported(world, person=str(aino.person_id))
    for kind in ("known_of_crm", "writes_to_crm"):
        assert {row["table_name"] for row in data[kind]} >= {"contact", "msevtmgt_eventregistration"}


def test_a_change_of_address_is_not_answered_by_another_correction(known: World) -> None:
    session, scope = meant(known, address=AINO.address)
    with session.transaction() as conn:
        add_request(conn, scope.contact_point_id, "move", new_address="aino.new@example.org")  # type: ignore[attr-defined]
    rectify(session, scope, {"family_name": "Toinen"}, by=BY)  # type: ignore[arg-type]
    (asked,) = known.query("select request_id, state from intake.person_request")
    assert asked.state == "open"
    told = {"state": "refused", "by": BY, "at": session.now, "outcome": "by letter"}
    with session.transaction() as conn:
        assert data_requests.close_request(conn, asked.request_id, told=told)
    assert known.query("select state, new_address from intake.person_request") == [("refused", None)]


def test_an_erasure_that_the_crm_does_not_let_go_is_an_alarm(known: World) -> None:
    with known.owner.begin() as conn:
        erased = "insert into intake.erasure (erasure_id, erased_at, erased_by, entry_hash) values (:id, :at, :by, 'h')"
        conn.execute(sa.text(erased), {"id": (erasure_id := uuid4()), "at": NOW, "by": BY})
        row = "insert into intake.erasure_row (erasure_id, table_name, row_id, is_ours) values (:id, 'contact', :id, true)"
        conn.execute(sa.text(row), {"id": erasure_id})

    def alarms(at: datetime) -> list[str]:
        return [alarm for alarm in check_status(Session(known.at(at).workspace)).alarms if "erased people" in alarm]

    assert alarms(NOW + timedelta(days=2)) == []
    (alarm,) = alarms(NOW + timedelta(days=2, seconds=1))
    assert "privacy erase --finish" in alarm and alarm.startswith("1 rows")


def test_retention_that_does_not_run_is_an_alarm(known: World) -> None:
    def alarms(at: datetime) -> list[str]:
        return [alarm for alarm in check_status(Session(known.at(at).workspace)).alarms if "Retention has not" in alarm]

    retain(Session(known.workspace), known.crm)
    assert alarms(NOW + timedelta(days=1)) == []
    (alarm,) = alarms(NOW + timedelta(days=3))
    assert f"since {NOW:%Y-%m-%d}" in alarm


def test_a_withdrawal_that_the_crm_refuses_waits_though_other_rows_of_the_address_are_taken(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    out = {"kind": "poison", "table": CONSENT.logical_name, "column": "msdynmkt_value", "value": ConsentValue.OPTED_OUT}
    world.emulator.control.faults({**out, "times": None, "status": 400, "code": "0x80040265"})
    world.perform([answer(2, AINO, T0 + timedelta(days=1), stop="Yes")])
    world.run()
    ((waiting,),) = world.query("select count(*) from intake.contact_point where version > acked_version")
    assert waiting == 1

    def alarms() -> list[str]:
        # By the store's own clock, which is not the world's.
        session = Session(world.at(datetime.now(UTC) + timedelta(hours=3)).workspace)
        return [alarm for alarm in check_status(session).alarms if "ithdrawal" in alarm]

    waits, refused = alarms()
    assert "has waited" in waits and refused.startswith("The CRM refused to take the withdrawals of 1 addresses")
    world.at(NOW + timedelta(hours=1))
    world.emulator.control.clear_faults()
    world.run()
    assert alarms() == []

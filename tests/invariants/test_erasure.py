"""Erasure and tombstones (I11, rule 11, F15): who was erased is gone everywhere, and no old export brings them back."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from pipelines.operations.acts import record_acts
from pipelines.operations.erasure import Asked, alone, erase_person
from pipelines.operations.erasure_crm import finish_in_crm
from pipelines.operations.sessions import Session
from pipelines.operations.sync import plan_now
from schemas.errors import ConfigurationError
from tests.invariants.acts import NOW, RECEIVED, T0, Act, Who, answer, ask, register, sign_up, speak
from tests.invariants.crm_hands import new_contact
from tests.invariants.erasing import BY, erase, traces
from tests.invariants.feeds import MAPPINGS
from tests.invariants.test_acts import make_act
from tests.invariants.test_undo import run_on, undo
from tests.invariants.world import World, take_in
from tests.sizes import sized

AINO = Who("aino@example.org", "aino")
KALLE = Who("kalle@example.org", "kalle")
WORDS = ("aino@example.org", "aino", "virtanen", "700900111")
BACK = NOW + timedelta(days=10)


def history(who: Who, no: int = 1) -> list[Act]:
    """What somebody did at every door."""
    return [
        sign_up(no, who, T0),
        answer(no, who, T0 + timedelta(hours=1), newsletter="Yes", training="Yes"),
        ask(no, who, T0 + timedelta(hours=2), newsletter="Yes"),
        register(no, who, T0 + timedelta(hours=3), charge="paid", marketing="Yes"),
        speak(who, T0 + timedelta(hours=4), decision="no", topic="rdi"),
    ]


@pytest.fixture
def known(world: World) -> World:
    """Aino and Kalle, known from every door and shown in the CRM."""
    world.perform([*history(AINO, 1), sign_up(2, KALLE, T0), register(2, KALLE, T0)])
    world.run()
    assert len(world.holds().contacts) == 2
    return world


def test_i11_an_erased_person_is_nowhere(known: World) -> None:
    assert {"intake.person", "landing newsletter", "crm contacts"} <= traces(known, *WORDS)
    report, in_crm = erase(known, AINO.address)
    assert traces(known, *WORDS) == set()
    assert in_crm.open == 0 and in_crm.gone["contact"] == 1 and not in_crm.cleared
    assert in_crm.gone["msdynmkt_contactpointconsent4"] == 7
    assert in_crm.history_entries >= 10, "the audit is forgotten with the rows"
    assert report.counts["person"] == 1 and report.counts["submission"] == 5 and report.landed == 5
    assert {"ledger", "tombstones", "disclosures", "accounting", "backups"} == set(report.kept)
    assert len(known.holds().contacts) == 1, "Kalle stays"


def test_erasing_one_at_an_address_holds_back_no_lowering_of_the_other(world: World) -> None:
    kalle = Who(AINO.address, "kalle")
    world.perform([sign_up(1, AINO, T0), sign_up(2, kalle, T0)])
    world.run()
    (kept,) = world.query("select person_id from intake.person where given_name = 'Kalle'")
    (gone,) = world.query("select person_id from intake.person where given_name = 'Aino'")
    record_acts(world.session(), None, [make_act("withdraw", person_id=kept.person_id, evidence={"wording": None})])
    plan_now(world.session())
    planned = "select row_id, state, code from intake.outbox_intent where phase = 0 and state <> 'acknowledged'"
    before = {row.row_id for row in world.query(planned)}
    assert len(before) > 1, "the consent rows of the address and both contacts"
    report = Session(world.workspace)
    with alone(report):
        erase_person(report, Asked(BY, person=str(gone.person_id)), crm=world.crm)
    after = {row.row_id: (row.state, row.code) for row in world.query(planned)}
    assert after.pop(gone.person_id, ("superseded", "erased")) == ("superseded", "erased")
    assert set(after.values()) == {("pending", None)}


@pytest.mark.parametrize("seed", range(sized(2, 40)))
def test_i11_old_exports_in_any_order_bring_nothing_back(known: World, seed: int) -> None:
    acts = history(AINO, 1)
    erase(known, AINO.address)
    known.at(NOW + timedelta(days=1))
    before = known.holds()
    random.Random(seed).shuffle(acts)
    for number, act in enumerate(acts):
        known.receive(
            act.feed, [act.row, {**act.row, "Email": act.row["Email"].upper()}], at=RECEIVED + timedelta(hours=number)
        )
    ran = known.run()
    assert traces(known, *WORDS) == set(), "not in the landing of the batches that were refused either"
    assert not known.writes(ran.since) and known.holds() == before
    reasons = dict(known.query("select reason, count(*) from intake.row_outcome where state = 'withheld' group by 1"))
    assert reasons["erased"] >= 10


def test_i11_a_later_act_is_admitted_and_makes_a_new_person(known: World) -> None:
    (old,) = known.query("select person_id from intake.person join intake.contact_point using (contact_point_id)"
                         " where address_key = :key", key=AINO.key)  # fmt: skip
    erase(known, AINO.address)
    known.at(BACK + timedelta(hours=1))
    known.perform([*history(AINO, 1), answer(77, AINO, BACK, newsletter="Yes")], at=BACK + timedelta(minutes=5))
    known.run()
    assert known.holds().consents["aino@example.org", "marketing", ""]
    (new,) = known.query("select person_id from intake.person join intake.contact_point using (contact_point_id)"
                         " where address_key = :key", key=AINO.key)  # fmt: skip
    assert new.person_id != old.person_id
    assert len(known.query("select from intake.submission join intake.contact_point using (contact_point_id)"
                           " where address_key = :key", key=AINO.key)) == 1, "the old ones stay out"  # fmt: skip
    known.perform([answer(77, AINO, BACK, stop="Yes")], at=BACK + timedelta(hours=1))
    known.at(BACK + timedelta(hours=2)).run()
    assert not known.holds().consents["aino@example.org", "marketing", ""]


def test_i11_the_same_submission_acted_upon_later_makes_another_row_in_the_crm(known: World) -> None:
    old = {row["contactid"] for row in known.rows("contacts")}
    erase(known, AINO.address)
    again = register(1, AINO, T0 + timedelta(hours=3), changed_at=BACK, marketing="Yes", marketing_at=BACK)
    known.perform([again], at=BACK + timedelta(minutes=1))
    known.at(BACK + timedelta(hours=1)).run()
    held = known.holds()
    assert held.consents["aino@example.org", "marketing", "training"]
    assert not any(person[0] == AINO.key for person, _, _ in held.registrations.values()), "registering was before"
    assert len({row["contactid"] for row in known.rows("contacts")} - old) == 1


def test_erasing_one_of_two_at_an_address_leaves_the_other(world: World) -> None:
    maija = Who(AINO.address, "maija")
    world.perform([sign_up(1, AINO, T0), register(1, AINO, T0), sign_up(2, maija, T0), register(2, maija, T0)])
    world.run()
    with pytest.raises(ConfigurationError, match="2 people share"):
        erase(world, AINO.address)
    (aino,) = world.query("select person_id from intake.person where given_name = 'Aino'")
    _, in_crm = erase(world, person=str(aino.person_id))
    assert in_crm.gone == {"contact": 1, "msevtmgt_eventregistration": 1}
    assert traces(world, 'aino"', "virtanen") == set()
    world.perform(
        [
            sign_up(1, AINO, T0),
            sign_up(2, maija, T0),
            register(2, maija, T0, status="out", changed_at=T0 + timedelta(days=1)),
        ]
    )
    world.at(NOW + timedelta(hours=1)).run()
    held = world.holds()
    assert set(held.contacts) == {(AINO.key, "maija")} and held.consents[AINO.key, "marketing", ""]
    assert world.query("select status from intake.registration") == [("cancelled",)], (
        "a lowering of hers is not refused"
    )


def person_id(world: World, given: str) -> str:
    return str(world.query("select person_id from intake.person where given_name = :given", given=given)[0][0])


def test_the_last_name_at_an_address_takes_the_address_along_when_another_name_had_come_to_stand_with_it(
    world: World,
) -> None:
    """A sign-up without a name stood for itself while two people were there, and stands with the one who is left."""
    for no, given in enumerate(("aino", "maija", "")):
        world.perform([sign_up(no, Who(AINO.address, given), T0)])
        world.run()
    erase(world, person=person_id(world, "Maija"))
    world.run()
    report, _ = erase(world, person=person_id(world, "Aino"))
    assert report.counts["contact_point"] == 1 and traces(world, AINO.key) == set()
    for table in ("person", "subject", "consent_state", "person_consent"):
        assert not world.query(f"select from intake.{table}"), table


def test_somebody_whose_reading_was_undone_may_come_back_though_the_other_at_the_address_was_erased(
    world: World,
) -> None:
    maija = Who(AINO.address, "maija")
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    world.perform([sign_up(2, maija, T0)])
    undo(world, run_on(world, 1))
    erase(world, person=person_id(world, "Aino"))
    world.with_mapping("newsletter", title="Another title")
    world.run()
    assert (AINO.key, "maija") in world.holds().contacts


def test_a_contact_that_others_use_is_cleared_lowered_and_given_to_its_owner(known: World) -> None:
    row_id = next(row["contactid"] for row in known.rows("contacts") if row["firstname"] == "Aino")
    case = {"title": "Invoice", "_primarycontactid_value": row_id}
    known.emulator.control.seed({"incidents": [case]}, as_user="human")
    _, in_crm = erase(known, AINO.address)
    assert in_crm.tasks == 1 and in_crm.cleared["contact"] == 1 and in_crm.open == 0
    (contact,) = (row for row in known.rows("contacts") if row["contactid"] == row_id)
    assert contact["donotbulkemail"] is True
    assert not {"firstname", "lastname", "emailaddress1", "mobilephone"} & {
        n for n, v in contact.items() if v is not None
    }
    (task,) = known.rows("tasks")
    assert "aino" not in str(task).lower() and task["_regardingobjectid_value"] == row_id
    assert task["scheduledend"].startswith("2026-12-05")
    again = erase_again(known)
    assert again.tasks == 0, "done is done"


def erase_again(world: World):

    return finish_in_crm(Session(world.workspace), world.crm)


def test_a_contact_that_staff_made_with_the_address_is_sought_and_kept(known: World) -> None:
    theirs = new_contact(known, firstname="Aino", emailaddress1="aino@example.org", jobtitle="Dean")
    _, in_crm = erase(known, AINO.address)
    assert in_crm.cleared["contact"] == 1 and in_crm.tasks == 1
    (contact,) = (row for row in known.rows("contacts") if row["contactid"] == theirs)
    assert contact["donotbulkemail"] is True and contact["firstname"] == "Aino", "what staff wrote is theirs to decide"
    assert not known.holds().consents["aino@example.org", "marketing", ""], (
        "opted out as long as the address can be mailed"
    )


def test_old_keys_verify_until_matched_and_are_then_hashed_anew(known: World) -> None:
    erase(known, AINO.address)
    newest = known.workspace.keys.rotate("tombstone")
    again = [*history(AINO, 1), *history(KALLE, 5)]
    known.at(NOW + timedelta(days=1)).perform(again, at=RECEIVED + timedelta(minutes=7))
    known.run()
    assert traces(known, *WORDS) == set()
    kept = dict(
        known.query("select kind, count(*) from intake.tombstone where key_id = :key group by 1", key=newest.key_id)
    )
    assert kept == {"address": 1, "submission": 5}


def test_f15_erasures_race_imports_of_what_they_erase(world: World) -> None:
    people = [Who(f"p{n}@example.org", "aino") for n in range(sized(12, 1000))]
    acts = [sign_up(n, who, T0) for n, who in enumerate(people)]
    world.perform(acts)
    world.run()
    gone = people[::2]
    world.at(NOW + timedelta(minutes=1))
    for start in range(0, len(acts), 5):
        world.perform(acts[start : start + 5], at=RECEIVED + timedelta(hours=1 + start))
    with ThreadPoolExecutor(2) as pool:
        importing = pool.submit(take_in, world.session())
        for who in gone:
            erase(world, who.address)
        importing.result()
    world.at(NOW + timedelta(hours=1)).run()
    assert {address for address, _ in world.holds().contacts} == {who.address for who in people[1::2]}
    assert traces(world, *(f'"{who.address}' for who in gone[:5])) == set()


def test_no_role_takes_a_tombstone_away(known: World) -> None:
    erase(known, AINO.address)
    for role in ("intake_pipeline", "intake_retention"):
        with known.owner.connect() as conn:
            conn.execute(sa.text(f"set role {role}"))
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                conn.execute(sa.text("delete from intake.tombstone"))


def test_an_erasure_is_by_a_named_person_of_somebody_known(known: World) -> None:
    with pytest.raises(ConfigurationError, match="Nobody is known"):
        erase(known, "nobody@example.org")
    erase(known, AINO.address)
    assert known.query("select erased_by from intake.erasure") == [(BY,)]
    with pytest.raises(ConfigurationError, match="Nobody is known"):
        erase(known, AINO.address)
    assert known.workspace.journal.entries()[0].erased_at == known.now


def test_whom_only_the_landing_or_a_waiting_sign_up_knows_is_erased_too(world: World) -> None:
    double = [{**consent, "double_opt_in": True} for consent in MAPPINGS["newsletter"]["consents"]]
    world.with_mapping("newsletter", consents=double).perform([sign_up(1, AINO, T0), sign_up(2, KALLE, T0)])
    world.receive("courses", [{**register(1, AINO, T0).row, "Status": "unheard of"}])
    world.run()
    assert {"intake.pending_grant", "landing newsletter", "landing courses"} <= traces(world, *WORDS)
    assert world.query("select 1 from intake.quarantine") and not world.query("select 1 from intake.contact_point")
    report, _ = erase(world, AINO.address)
    assert report.landed == 2 and report.counts["pending_grant"] == 1 and report.tombstones == 2
    assert traces(world, *WORDS) == set() and "intake.pending_grant" in traces(world, KALLE.address)
    assert not world.query("select 1 from intake.quarantine"), "what is gone waits for nobody to mend it"
    world.perform([sign_up(1, AINO, T0)], at=RECEIVED + timedelta(hours=1))
    world.run()
    assert traces(world, *WORDS) == set(), "an old export brings nothing back"


def test_erasing_who_gave_a_place_away_leaves_the_place_to_whom_it_was_given(world: World) -> None:
    world.perform([register(1, AINO, T0)])
    world.run()
    world.perform([register(1, KALLE, T0, changed_at=T0 + timedelta(days=1))], at=RECEIVED + timedelta(hours=1))
    world.at(NOW + timedelta(hours=2)).run()
    with world.owner.begin() as conn:
        written = (
            "insert into intake.crm_row (table_name, row_id, contact_point_id, is_ours, columns)"
            " select 'msevtmgt_eventregistration', g.registration_id, c.contact_point_id, true, '{}'"
            " from intake.registration g, intake.contact_point c where c.address_key = :key on conflict do nothing"
        )
        conn.execute(sa.text(written), {"key": AINO.key})
    erase(world, AINO.address)
    assert traces(world, *WORDS) == set()
    place = "select address from intake.{} join intake.contact_point using (contact_point_id)"
    assert world.query(place.format("registration")) == [(KALLE.address,)]
    assert (KALLE.address,) in world.query(place.format("crm_row") + " where table_name = 'msevtmgt_eventregistration'")
    world.perform([register(1, KALLE, T0, changed_at=T0 + timedelta(days=2))], at=RECEIVED + timedelta(hours=2))
    world.at(NOW + timedelta(hours=3)).run()
    assert world.query("select given_name from intake.submission") == [("Kalle",)], "nor is it refused from now on"


def test_what_the_crm_has_let_go_leaves_no_hash_of_it(known: World) -> None:
    erase(known, AINO.address)
    rows = known.query("select state, written::text from intake.erasure_row")
    assert {tuple(row) for row in rows} == {("gone", "{}")}

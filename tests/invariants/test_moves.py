"""Changes of address on the page: what goes along, what stays, and what a source that knows nothing of it says afterwards."""

from datetime import timedelta
from uuid import uuid4

import pytest

from connectors.store.person_requests import add_request
from connectors.store.retention import add_hold
from pipelines.operations.acts import record_acts
from pipelines.operations.corrections import apply_moves
from pipelines.operations.erasure import find_person
from pipelines.operations.person_export import gather
from pipelines.operations.sessions import Session
from schemas.consent import Actor
from tests.invariants.acts import NOW, T0, Who, answer, register, sign_up
from tests.invariants.erasing import erase, traces
from tests.invariants.model import MARKETING, RELATED, TOPICS
from tests.invariants.test_acts import make_act, states
from tests.invariants.test_undo import run_on, undo
from tests.invariants.world import World, take_in

AINO, NEW, THIRD = (Who(f"{name}@example.org", "aino") for name in ("aino", "aino.new", "aino.third"))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def move(world: World, to: Who = NEW, of: Who = AINO) -> World:
    """Carry out a proven change of address; an hour has gone by since."""
    (here,) = world.query("select contact_point_id from intake.contact_point where address_key = :key", key=of.key)
    with world.session().transaction() as conn:
        add_request(conn, here.contact_point_id, "move", new_address=to.address)
    assert apply_moves(world.session()) == 1
    return world.at(world.now + HOUR)


def act(world: World, deed: str = "grant", who: Who = AINO, **changes: object) -> None:
    """An act on the page, now."""
    record_acts(world.session(), None, [make_act(deed, address=who.address, occurred_at=world.now, **changes)])
    world.at(world.now + HOUR)


def carried(world: World) -> set[tuple[str, str, str]]:
    """Purpose, topic and actor of what was withdrawn at the new address."""
    found = world.query(
        "select e.purpose, e.topic, e.actor from intake.consent_event e join intake.contact_point using (contact_point_id)"
        " where address_key = :key and value = 'withdraw'",
        key=NEW.key,
    )
    return {tuple(row) for row in found}


def registered_at(world: World) -> list[str]:
    """Addresses of the registrations in the store."""
    found = world.query(
        "select address_key from intake.registration join intake.contact_point using (contact_point_id)"
    )
    return [row.address_key for row in found]


# What goes along.


def test_a_topic_that_was_never_chosen_is_not_withdrawn_by_moving(world: World) -> None:
    act(world, topics=("events",), given_name="Aino")
    move(world)
    assert carried(world) == set()
    act(world, who=NEW)
    assert {topic for (purpose, topic), state in states(world, NEW.key).items() if state == "granted"} == {"", *TOPICS}


def test_leaving_the_only_topic_is_no_objection_at_the_new_address(world: World) -> None:
    world.perform([register(1, AINO, T0, charge="paid")])
    world.run()
    act(world, topics=("events",), given_name="Aino")
    act(world, "withdraw", topics=("events",))
    move(world)
    assert carried(world) == {(MARKETING, "events", "subject")}
    world.run()
    assert world.query("select from intake.person_purpose where purpose = :purpose", purpose=RELATED)
    assert world.holds().contacts.keys() == {(NEW.key, "aino")}


def test_what_was_agreed_to_again_is_not_withdrawn_by_moving(world: World) -> None:
    world.perform([register(1, AINO, T0, charge="paid")])
    world.run()
    act(world, "withdraw", given_name="Aino")
    act(world, purposes=(RELATED,))
    act(world, "withdraw", topics=("rdi",))
    act(world, "withdraw", topics=("training",), actor=Actor.STAFF)
    act(world, topics=("training",))
    act(world, "withdraw", topics=("services",), actor=Actor.STAFF)
    move(world)
    assert carried(world) == {
        (MARKETING, "", "subject"),
        (MARKETING, "rdi", "subject"),
        (MARKETING, "services", "staff"),
    }
    assert states(world, NEW.key).get((RELATED, "")) != "withdrawn"


# What the source says next.


def test_a_source_that_still_has_the_old_address_takes_nobody_back_there(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), register(1, AINO, T0, status="queue", charge="paid", marketing="Yes")])
    world.run()
    move(world)
    world.perform(
        [sign_up(1, AINO, T0), register(1, AINO, T0, changed_at=world.now, charge="paid", marketing="Yes")],
        at=world.now,
    )
    world.at(world.now + HOUR).run()
    held = world.holds()
    assert registered_at(world) == [NEW.key]
    assert list(held.registrations.values()) == [((NEW.key, "aino"), "Course LK1", "active")]
    assert held.contacts.keys() == {(NEW.key, "aino")}
    assert not any(on for (_, purpose, _), on in held.consents.items() if purpose == MARKETING), "no grant moves"
    assert not world.writes(world.run().since)


@pytest.mark.parametrize("shown", ["No", ""])
def test_a_flag_that_did_not_change_withdraws_nothing_at_the_new_address(world: World, shown: str) -> None:
    world.perform([register(1, AINO, T0, status="queue", marketing=shown)])
    world.run()
    move(world)
    act(world, who=NEW, topics=("training",))
    world.perform([register(1, AINO, T0, changed_at=world.now, marketing=shown)], at=world.now)
    world.at(world.now + HOUR).run()
    assert states(world, NEW.key)[MARKETING, "training"] == "granted"


def test_a_flag_that_changes_counts_at_the_new_address(world: World) -> None:
    world.perform([register(1, AINO, T0, marketing="No")])
    world.run()
    move(world)
    for shown, state in (("Yes", "granted"), ("No", "withdrawn")):
        world.perform(
            [register(1, AINO, T0, changed_at=world.now, marketing=shown, marketing_at=world.now)], at=world.now
        )
        world.at(world.now + HOUR).run()
        assert states(world, NEW.key)[MARKETING, "training"] == state
        assert states(world)[MARKETING, ""] == "withdrawn"


def test_an_answer_that_is_edited_into_a_no_after_moving_lowers_at_the_new_address(world: World) -> None:
    world.perform([answer(1, AINO, T0, newsletter="Yes", training="No")])
    world.run()
    act(world, topics=("training",))
    move(world)
    act(world, who=NEW)
    world.perform([answer(1, AINO, T0, newsletter="Yes", training="No").written(Last="Lahti")], at=world.now)
    world.at(world.now + HOUR).run()
    assert states(world, NEW.key)[MARKETING, "training"] == "granted", "what was lifted before does not come again"
    world.perform([answer(1, AINO, T0, newsletter="No").written(Last="Lahti")], at=world.now)
    world.at(world.now + HOUR).run()
    assert states(world, NEW.key)[MARKETING, ""] == "withdrawn"


def test_a_third_address_that_the_source_names_is_believed_and_so_is_the_old_one_after_it(world: World) -> None:
    world.perform([register(1, AINO, T0)])
    world.run()
    move(world)
    for who in (THIRD, AINO):
        world.perform([register(1, who, T0, changed_at=world.now)], at=world.now)
        world.at(world.now + HOUR).run()
        assert registered_at(world) == [who.key]


def test_who_moves_twice_is_read_where_they_moved_to_last_and_who_moves_back_where_they_were(world: World) -> None:
    world.perform([register(1, AINO, T0, status="queue")])
    world.run()
    move(move(world), THIRD, NEW)
    for told in (AINO, NEW):
        world.perform([register(1, told, T0, changed_at=world.now)], at=world.now)
        world.at(world.now + HOUR).run()
        assert registered_at(world) == [THIRD.key]
    move(world, AINO, THIRD)
    for told in (THIRD, AINO):
        world.perform([register(1, told, T0, changed_at=world.now)], at=world.now)
        world.at(world.now + HOUR).run()
        assert registered_at(world) == [AINO.key]


def test_who_is_known_at_the_new_address_already_has_the_registration_there(world: World) -> None:
    world.perform([register(1, AINO, T0, charge="paid"), sign_up(2, NEW, T0)])
    world.run()
    ((old, known),) = world.query(
        "select max(person_id::text) filter (where address_key = :old), max(person_id::text) filter (where address_key = :new)"
        " from intake.person join intake.contact_point using (contact_point_id)",
        old=AINO.key,
        new=NEW.key,
    )
    told = {"until_on": world.now.date(), "reason": "A claim", "held_by": "Leila Laki", "made_at": world.now}
    with world.session().transaction() as conn:
        add_hold(conn, uuid4(), person_id=old, occasion_pk=None, told=told)
    move(world)
    assert [str(row.person_id) for row in world.query("select person_id from intake.legal_hold")] == [known]
    world.run()
    held = world.holds()
    assert list(held.registrations.values()) == [((NEW.key, "aino"), "Course LK1", "active")]
    assert held.contacts.keys() == {(NEW.key, "aino")}
    assert held.consents[NEW.key, MARKETING, ""] and not held.consents[AINO.key, MARKETING, ""]
    world.perform([register(1, AINO, T0, changed_at=world.now, status="queue", charge="paid")], at=world.now)
    world.at(world.now + HOUR).run()
    assert registered_at(world) == [NEW.key]
    assert not world.writes(world.run().since)


def test_an_undo_puts_nobody_back_at_the_old_address(world: World) -> None:
    world.perform([register(1, AINO, T0, status="queue", marketing="No")])
    first = run_on(world, 0)
    world.perform([register(1, AINO, T0, changed_at=T0 + DAY, marketing="Yes", marketing_at=T0 + DAY)])
    second = run_on(world, 1)
    move(world)
    undo(world, second)
    ((status, address_key),) = world.query(
        "select status, address_key from intake.registration join intake.contact_point using (contact_point_id)"
    )
    assert (status, address_key) == ("waitlisted", NEW.key)
    assert {row.address_key for row in world.query(
        "select address_key from intake.stated_value join intake.contact_point using (contact_point_id)"
    )} == {NEW.key}  # fmt: skip
    undo(world, first)
    world.with_mapping("courses", title="mended")
    world.at(world.now + HOUR).run()
    held = world.holds()
    assert list(held.registrations.values()) == [((NEW.key, "aino"), "Course LK1", "active")]
    assert not any(on for (_, purpose, _), on in held.consents.items() if purpose == MARKETING)


# What is held of them, and what goes.


@pytest.fixture
def moved(world: World) -> World:
    """Aino, who signed up, answered, registered and chose on the page, and has another address since."""
    world.perform([
        sign_up(1, AINO, T0), answer(2, AINO, T0, rdi="No"), register(3, AINO, T0, charge="paid", marketing="Yes"),
    ])  # fmt: skip
    world.run()
    act(world, "withdraw", topics=("services",))
    move(world)
    world.run()
    return world


def test_an_export_has_what_was_said_at_the_address_before(moved: World) -> None:
    with moved.session().transaction() as conn:
        scope = find_person(conn, address=NEW.address)
    data = gather(moved.session(), scope, crm=moved.crm)["data"]
    assert [row["address"] for row in data["addresses_before"]] == [AINO.address]
    said = {(row["address"], row["source"], row["topic"], row["value"]) for row in data["consent_history"]}
    assert said >= {
        (AINO.address, "web_forms", "", "grant"),
        (AINO.address, "web_forms", "rdi", "withdraw"),
        (AINO.address, "short_courses", "training", "grant"),
        (AINO.address, "preference_page", "services", "withdraw"),
        (NEW.address, "preference_page", "services", "withdraw"),
    }
    assert {row["feed"] for row in data["landing"]} == {"newsletter", "answers", "courses"}


def test_who_is_erased_after_moving_is_gone_from_the_address_before_as_well(moved: World) -> None:
    report, _ = erase(moved, NEW.address)
    assert traces(moved, AINO.key, NEW.key, "aino", "virtanen") == set()
    assert "addresses before" not in report.kept and report.counts["contact_point"] == 2
    again = [sign_up(1, AINO, T0), answer(2, NEW, T0, rdi="Yes"), register(3, AINO, T0, charge="paid")]
    moved.perform(again, at=moved.now)
    moved.at(moved.now + HOUR).run()
    assert traces(moved, AINO.key, NEW.key, "aino", "virtanen") == set()


def test_the_address_before_stays_with_whom_it_is_of_by_now(moved: World) -> None:
    maija = Who(AINO.address, "maija")
    moved.perform([sign_up(7, maija, moved.now)], at=moved.now)
    moved.at(moved.now + HOUR).run()
    report, _ = erase(moved, NEW.address)
    assert "addresses before" in report.kept and traces(moved, NEW.key, "virtanen") == set()
    assert moved.query("select given_name from intake.consent_evidence where given_name is not null") == [("Maija",)]
    moved.at(moved.now + HOUR).run()
    held = moved.holds()
    assert held.contacts.keys() == {(AINO.key, "maija")}


def test_what_a_person_said_of_a_place_that_is_anothers_since_stays_with_them(world: World) -> None:
    maija = Who("maija@example.org", "maija")
    world.perform([register(1, maija, T0, marketing="Yes", marketing_at=T0)])
    world.run()
    world.perform([register(1, AINO, T0, changed_at=T0 + DAY, marketing="Yes", marketing_at=T0)])
    world.run()
    erase(world, AINO.address)
    (kept,) = world.query("select address from intake.consent_evidence")
    assert kept.address == maija.address
    take_in(Session(world.at(NOW + DAY).workspace))
    assert states(world, maija.key)[MARKETING, "training"] == "granted"

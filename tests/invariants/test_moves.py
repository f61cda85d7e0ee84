"""Changes of address on the page: what goes along, what stays, and what a source that knows nothing of it says afterwards."""

from datetime import timedelta

from connectors.store.person_requests import add_request
from pipelines.operations.acts import record_acts
from pipelines.operations.corrections import apply_moves
from schemas.consent import Actor
from tests.invariants.acts import T0, Who, register
from tests.invariants.model import MARKETING, RELATED, TOPICS
from tests.invariants.test_acts import make_act, states
from tests.invariants.world import World

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

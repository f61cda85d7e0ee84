"""Month by month over years, with retention each month: what is older than its rule is looked for by plain SELECTs."""

from datetime import timedelta
from uuid import uuid4

import sqlalchemy as sa

from connectors.store.retention import add_hold, release_hold
from pipelines.operations.acts import record_acts
from pipelines.operations.sessions import Session
from tests.invariants.acts import NOW, T0, Who, answer, ask, prohibit, register, sign_up
from tests.invariants.feeds import MAPPINGS
from tests.invariants.overstaying import overstaying
from tests.invariants.test_acts import make_act
from tests.invariants.test_double_opt_in import DOUBLE
from tests.invariants.test_retention import count, retained
from tests.invariants.world import World
from tests.sizes import sized

HOUR, MONTH, LATER = timedelta(hours=1), timedelta(days=30), T0 + timedelta(days=1)
GIVEN = ("aino", "maija", "kalle")


def who(number: int) -> Who:
    return Who(f"p{number}@example.org", GIVEN[number % 3])


def lived(world: World, kind: str) -> World:
    """People of every kind: registered in each way, lowered in each, who asked, who answered, who was never understood."""
    fields = {**MAPPINGS["courses"]["fields"], "birth_date": {"column": "Born", "formats": ["iso"]}}
    world.with_mapping("courses", kind=kind, answers={"Course name": "Which"}, fields=fields)
    world.with_mapping("contact", answers={"Answer me": "Message"})
    world.with_mapping("survey", answers={"Rdi": "Research"}).with_mapping("newsletter", consents=DOUBLE)
    paid = {"charge": "paid"}
    ticked = {"marketing": "Yes", "marketing_at": T0}
    world.perform([
        register(1, who(1), T0), register(2, who(2), T0, **paid), register(3, who(3), T0, **paid),
        register(4, who(4), T0, **paid), register(5, who(5), T0, **paid).written(Born="2015-05-01"),
        register(6, who(6), T0, status="out", **ticked), register(7, who(7), T0, **paid, **ticked),
        register(8, who(8), T0, status="queue", course="LK2"), register(9, who(2), T0, course="LK2", **paid),
        ask(10, who(10), T0), ask(11, who(11), T0, newsletter="Yes"), ask(12, who(2), T0),
        answer(13, who(13), T0, feed="survey", newsletter="Yes", rdi="Yes"), answer(14, who(14), T0, newsletter="No"),
        sign_up(15, who(15), T0), answer(16, who(3), LATER, stop="Yes"), prohibit(17, who(17), LATER),
        answer(18, who(18), T0, newsletter="perhaps"),
    ])  # fmt: skip
    world.run()
    act = make_act("withdraw", address=who(7).address, purposes=("related_events",), occurred_at=LATER)
    record_acts(world.session(), None, [act])
    world.perform([register(4, who(4), T0, status="out", changed_at=LATER, **paid)])
    world.perform([ask(11, who(11), T0, newsletter="Yes", answer_me="No")])
    world.run()
    return world


def with_ends(world: World) -> None:
    """Holds, requests and accesses that have ended, and a hold on somebody that stands for a year."""
    ((person, point),) = world.query(
        "select person_id, contact_point_id from intake.person join intake.contact_point using (contact_point_id)"
        " where address_key = :key",
        key=who(1).key,
    )
    told = {"until_on": None, "reason": "A claim", "held_by": "Leila Laki", "made_at": NOW}
    with Session(world.workspace).under_retention() as session, session.transaction() as conn:
        for until in (None, NOW.date() + timedelta(days=365)):
            add_hold(conn, (hold := uuid4()), person_id=person, occasion_pk=None, told={**told, "until_on": until})
            if until is None:
                release_hold(conn, hold, by="Leila Laki", at=NOW)
    with world.owner.begin() as conn:
        for statement in (
            "insert into intake.access_grant (user_name, role, granted_by, ends_on) values ('u', 'r', 'b', :now)",
            "insert into intake.person_request (contact_point_id, kind, state, closed_at)"
            " values (:point, 'export', 'done', :now)",
            "insert into intake.data_request (request_id, kind, asked_at, due_at, taken_by, state, closed_at)"
            " values (gen_random_uuid(), 'access', :now, :now, 'b', 'done', :now)",
        ):
            conn.execute(sa.text(statement), {"now": NOW, "point": point})


def test_month_by_month_nothing_is_older_than_its_rule_and_nothing_goes_before(world: World) -> None:
    with_ends(lived(world, "event_registration"))
    left: list[tuple[int, int, int]] = []
    for month in (*range(1, 9), *range(9, 42, sized(4, 1))):
        retained(world, NOW + HOUR + month * MONTH)
        assert overstaying(world) == [], f"month {month}"
        left.append((count(world, "registration"), count(world, "answer"), count(world, "person")))
    assert left[0] == left[1] and left[2][0] < left[1][0], "events end in January, and their aftercare in February"
    assert left[-1][:2] == (0, 0) and 0 < left[-1][2] < left[0][2]
    assert count(world, "occasion") == 0


def test_what_looks_finds_what_overstays_of_every_kind_where_nothing_was_deleted(world: World) -> None:
    with_ends(lived(world, "event_registration"))
    found = set(overstaying(world.at(NOW + HOUR + 41 * MONTH)))
    assert found == {
        "access_grant", "answer of nothing", "answer of what is over", "data_request", "detail", "evidence", "landing",
        "legal_hold", "message", "payload", "pending_grant", "person", "person_request", "phone of a person", "quarantine",
        "registration, active", "registration, cancelled", "registration, waitlisted", "row_image",
        "submission of nobody's", "submission without ground",
    }  # fmt: skip

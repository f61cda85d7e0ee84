"""What meets in time: a deletion whose answer is lost, a change token that expires under a waiting plan, an undo after a
merge in the CRM.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from pipelines.operations.planning import approve_plan
from pipelines.operations.sessions import Session
from pipelines.operations.undo import undo_run
from tests.invariants.acts import NOW, T0, Who, answer, register, sign_up
from tests.invariants.crm_hands import (
    OPTED_OUT,
    PREFERENCE_PAGE,
    assert_settled,
    contact_of,
    contacts_of,
    delete_contact,
    edit_consent,
    is_opted_in,
    merge_contacts,
    new_consent,
    set_crm_clock,
)
from tests.invariants.test_guard import with_radius
from tests.invariants.wire import check_wire, sent_rows
from tests.invariants.world import REGISTRATIONS, World

DAY = timedelta(days=1)
IS_OVER = T0 + timedelta(days=1000)
NAMES = ("aino", "kalle", "maija")


def leaving(world: World) -> None:
    """Three people whose course is over and who took back their newsletter: all of theirs is to go."""
    people = [Who(f"{name}@example.org", name) for name in NAMES]
    world.perform([act for n, one in enumerate(people) for act in (register(n, one, T0), sign_up(n, one, T0))])
    world.run()
    world.perform([answer(20 + n, one, T0 + DAY, stop="Yes") for n, one in enumerate(people)])
    world.run()
    world.at(IS_OVER)
    set_crm_clock(world, IS_OVER)


@pytest.mark.parametrize("after_commit", [True, False])
def test_a_deletion_without_an_answer_is_read_back_and_neither_forgotten_nor_done_twice(
    world: World, after_commit: bool
) -> None:
    leaving(world)
    for set_name in ("contacts", REGISTRATIONS):
        strikes = {
            "kind": "cut",
            "path": r"^\$batch$",
            "body": rf"DELETE \S*{set_name}\(",
            "after_commit": after_commit,
        }
        world.emulator.control.faults(strikes)
    log = world.requests(world.run().since)
    struck = [entry for entry in log if entry["fault"] == "cut"]
    assert len(struck) == 2
    done = Counter(row for entry in log for row in deleted_in(entry))
    assert {name.partition("(")[0] for name in done} >= {"contacts", REGISTRATIONS}
    assert set(done.values()) == {1}
    for entry, set_name in zip(struck, (REGISTRATIONS, "contacts"), strict=True):
        assert is_read_next(log, entry, [name[len(set_name) + 1 : -1] for name in done if name.startswith(set_name)])
    assert world.rows("contacts") == [] and world.rows(REGISTRATIONS) == []
    assert world.query("select count(*) from intake.outbox_intent where state in ('pending', 'claimed')") == [(0,)]
    assert_settled(world)


def deleted_in(entry: dict[str, Any]) -> list[str]:
    """The rows that a request was to delete, as paths such as `contacts(...)`."""
    operations = entry.get("operations", ())
    return [part["path"] for part in operations if part["method"] == "DELETE"]


def is_read_next(log: list[dict[str, Any]], struck: dict[str, Any], ids: list[str]) -> bool:
    """Whether the next that is asked about some rows after a request is a read of all of them."""
    naming = (one for one in log if one["sequence"] > struck["sequence"] and any(i in told(one) for i in ids))
    first = next(naming, None)
    return first is not None and first["method"] == "GET" and all(i in first["query"] for i in ids)


def told(entry: dict[str, Any]) -> str:
    return f"{entry['path']} {entry['query']} {entry.get('operations', '')} {entry['body']}"


def test_what_is_withdrawn_under_a_waiting_plan_is_read_although_the_change_token_has_expired(world: World) -> None:
    acts = [sign_up(n, Who(f"waits{n}@example.org", "aino"), T0) for n in range(8)]
    world.perform(acts[:2])
    world.run()
    with_radius(world, 5)
    world.perform(acts[2:])
    waiting = world.run()
    assert waiting.sync.plan.waits
    later = world.now + 8 * DAY
    set_crm_clock(world, later)
    edit_consent(world, "waits0@example.org", msdynmkt_value=OPTED_OUT, msdynmkt_source=PREFERENCE_PAGE)
    new_consent(world, "waits5@example.org", value=OPTED_OUT, source=PREFERENCE_PAGE)
    delete_contact(world, "waits1@example.org")
    set_crm_clock(world, later + 8 * DAY)
    world.at(later + 8 * DAY)
    session = world.session()
    with session.transaction() as conn:
        assert approve_plan(conn, waiting.sync.plan.plan_id, by="Maija Johtaja", session=session)
    since = world.run().since
    assert any(entry["code"] == "0x80044352" for entry in world.requests(since)), "the token had expired"
    assert not is_opted_in(world, "waits0@example.org")
    assert contacts_of(world, "waits1@example.org") == [], "it was deleted, and nobody came back"
    assert not any(one.is_raising for one in sent_rows(world.requests(since))), "the plan is another one now, and waits"
    with_radius(world, 50)
    world.run()
    assert [is_opted_in(world, f"waits{n}@example.org") for n in (0, 2, 5)] == [False, True, False]
    check_wire(world)
    assert_settled(world)


def test_an_undo_after_a_merge_in_the_crm_raises_nothing_and_writes_to_no_loser(world: World) -> None:
    kept, gone = Who("kept@example.org", "aino"), Who("gone@example.org", "aino")
    world.perform([sign_up(1, kept, T0)])
    world.run()
    world.perform([sign_up(2, gone, T0 + DAY), answer(3, kept, T0 + DAY, training="Yes")], at=NOW)
    (run_id,) = ids_after(world, hours=1)
    loser = str(contact_of(world, gone.key)["contactid"])
    set_crm_clock(world, world.now)
    merge_contacts(world, master=str(contact_of(world, kept.key)["contactid"]), loser=loser)
    for read_before in (False, True):
        if read_before:
            world.at(world.now + DAY).run()
        undo_run(Session(world.workspace), run_id, by="Maija Johtaja")
        since = world.at(world.now + DAY).run().since
        sent = list(sent_rows(world.requests(since)))
        assert not any(one.is_raising for one in sent)
        assert not any(one.row_id == loser and one.method != "DELETE" and one.is_raising for one in sent)
    assert is_opted_in(world, kept.key) and not is_opted_in(world, gone.key)
    check_wire(world)
    assert_settled(world)


def ids_after(world: World, *, hours: int) -> list[Any]:
    world.at(NOW + timedelta(hours=hours)).run()
    return [row[0] for row in world.query("select run_id from intake.run where started_at = :at", at=world.now)]

"""A moderator marks as spam or trash what was taken in as good: the CRM is lowered, and only by what was that entry's own."""

import json
from datetime import timedelta
from typing import Any

import pytest

from connectors.store import narrow_calls
from pipelines.operations.double_opt_in import confirm, confirmations_to_mail
from pipelines.operations.narrow_sync import serve_calls
from schemas.errors import ActRefused
from tests.corpus.form_engines import entry, gravity
from tests.invariants.acts import NOW, T0, Who, facts_of, register, sign_up
from tests.invariants.crm_hands import is_opted_in
from tests.invariants.model import expected
from tests.invariants.world import REGISTRATIONS, Ran, World, assert_holds, take_in

AINO = Who("aino@example.org", "aino")
HOUR = timedelta(hours=1)
FILE = {"type": "json", "pattern": "answers_*.csv"}
NEW = {"date_created": "2026-11-21 05:30:00", "date_updated": "2026-11-21 05:30:00"}


@pytest.fixture
def asking(world: World) -> World:
    """The same engine, where the form asks by mail whether the newsletter is wanted."""
    corpus, _ = gravity(file=FILE)
    (newsletter,) = corpus["consents"]
    corpus["consents"] = [{**newsletter, "double_opt_in": True}]
    return world.with_mapping("answers", **{name: told for name, told in corpus.items() if name != "feed"})


@pytest.fixture
def engine(world: World) -> World:
    """A form engine in the place of the form with questions: its export tells what its moderator thinks of each entry."""
    corpus, _ = gravity(file=FILE)
    return world.with_mapping("answers", **{name: told for name, told in corpus.items() if name != "feed"})


def export(world: World, hour: int, *entries: dict[str, Any]) -> Ran:
    """The engine's whole export of that hour, and a run that takes it in."""
    world.at(NOW + hour * HOUR)
    world.receive_bytes("answers", json.dumps(entries).encode(), at=world.now)
    return world.run()


def counts(world: World) -> dict[str, int]:
    """Rows of the last run by how they ended."""
    names = ("rows_read", "quarantined", "withheld", "applied", "unchanged")
    (row,) = world.query("select * from intake.run_count where run_id = :id", id=world.runs[-1])
    return {name: getattr(row, name) for name in names}


@pytest.mark.parametrize("mark", ["spam", "trash"])
def test_an_entry_that_is_marked_later_is_lowered_in_the_crm(engine: World, mark: str) -> None:
    export(engine, 0, entry(1), entry(2, **{"3": "maija@example.org"}))
    assert is_opted_in(engine, AINO.key)
    export(engine, 1, entry(1, status=mark), entry(2, **{"3": "maija@example.org"}))
    assert counts(engine) == {"rows_read": 2, "quarantined": 0, "withheld": 1, "applied": 0, "unchanged": 1}
    assert not is_opted_in(engine, AINO.key)
    assert is_opted_in(engine, "maija@example.org")
    engine.at(NOW + 2 * HOUR).run()
    for hour in (3, 4):
        again = export(engine, hour, entry(1, status=mark, is_read=hour), entry(2, **{"3": "maija@example.org"}))
        assert not engine.writes(again.since)
    export(engine, 5, entry(1, date_updated="2026-11-21 10:30:00"), entry(2, **{"3": "maija@example.org"}))
    assert is_opted_in(engine, AINO.key)


def test_what_the_owner_of_the_address_agreed_to_by_themselves_stands(engine: World) -> None:
    own = sign_up(1, AINO, T0)
    engine.perform([own])
    export(engine, 0, entry(1))
    export(engine, 1, entry(1, status="spam"))
    assert_holds(engine, expected(facts_of([own]), now=engine.now))


def test_an_entry_of_another_form_marks_nothing(engine: World) -> None:
    """Its id is another form's, whose keys mean other things."""
    export(engine, 0, entry(1))
    export(engine, 1, entry(1, status="spam", form_id="9"))
    assert is_opted_in(engine, AINO.key)


def test_the_link_of_a_sign_up_that_is_marked_is_good_for_nothing(asking: World) -> None:
    export(asking, 0, entry(1, **NEW))
    (waiting,) = confirmations_to_mail(asking.session())
    export(asking, 1, entry(1, **NEW, status="spam"))
    assert not confirmations_to_mail(asking.session())
    with pytest.raises(ActRefused):
        confirm(asking.session(), waiting.token)


def test_what_a_link_was_followed_for_stands(asking: World) -> None:
    """It was followed in the mailbox itself, whoever had typed the address."""
    export(asking, 0, entry(1, **NEW))
    (waiting,) = confirmations_to_mail(asking.session())
    confirm(asking.session(), waiting.token)
    export(asking, 1, entry(1, **NEW, status="spam"))
    assert is_opted_in(asking, AINO.key)


def test_who_is_marked_in_rows_that_are_tried_again_is_told_of_to_the_crm_at_once(engine: World) -> None:
    export(engine, 0, entry(1))
    engine.at(NOW + HOUR)
    engine.receive_bytes("answers", json.dumps([entry(1, status="spam")]).encode(), at=engine.now)
    session = engine.session()
    take_in(session)
    with session.transaction() as conn:
        narrow_calls.call_lowered(conn, session.run_id)
    serve_calls(engine.workspace, engine.crm)
    assert not is_opted_in(engine, AINO.key)


def test_a_registration_that_is_marked_later_is_lowered_in_the_crm(world: World) -> None:
    rule = {"column": "Mark", "values": ["spam"], "rule": "spam"}
    world.with_mapping("courses", set_aside=[rule])
    real = Who("maija@example.org", "maija")
    both = [register(1, AINO, T0, marketing="Yes"), register(2, real, T0)]
    world.perform([act.written(Mark="") for act in both])
    world.run()
    assert len(world.holds().registrations) == 2
    assert is_opted_in(world, AINO.key)
    marked = [both[0].written(Mark="spam", Changed="2026-11-11T10:00:00Z"), both[1].written(Mark="")]
    world.at(NOW + HOUR).perform(marked, at=NOW + HOUR)
    world.run()
    alive = [row for row in world.rows(REGISTRATIONS) if row["msevtmgt_iscanceled"] is not True]
    assert len(alive) == 1
    assert not is_opted_in(world, AINO.key)

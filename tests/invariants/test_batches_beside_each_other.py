"""Batches of one feed: what comes later counts, whichever is stopped, read again, or judged beside others."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.store.batches import run_counts
from pipelines.operations.gating import record_gate
from pipelines.operations.intake import apply_batches, merge_staged, stage_source
from pipelines.operations.landing import land_feed
from pipelines.operations.quarantine import retry
from pipelines.operations.sessions import Session
from pipelines.operations.undo import undo_run
from schemas.records import Window
from tests.invariants.acts import T0, Who, register, sign_up
from tests.invariants.broken_rows import FEEDS, clean_row
from tests.invariants.world import FIRST_ON, RECEIVED, World, csv_bytes, take_in

DAY = timedelta(days=1)
UNTOLD = {"Changed", "Marketing", "Marketing changed"}


@pytest.fixture
def courses(world: World) -> World:
    """Exports of registrations that tell no time of change."""
    mapping = FEEDS["courses"].model_copy(update={"changed_at": None, "consents": ()})
    world.workspace = replace(world.workspace, mappings={"courses": mapping})
    return world


def row(number: int, **changes: str) -> dict[str, str]:
    told = {title: cell for title, cell in clean_row("courses", number).items() if title not in UNTOLD}
    return {**told, "Status": "in", **changes}


def receive(world: World, rows: list[dict[str, str]], *, day: int) -> None:
    titles = list(dict.fromkeys(title for one in rows for title in one))
    world.receive_bytes("courses", csv_bytes(titles, rows), at=RECEIVED + day * DAY)


def statuses(world: World) -> dict[str, str]:
    return dict(map(tuple, world.query("select submission_id, status from intake.registration")))


def status_of(world: World, number: int) -> str:
    (found,) = (status for submission, status in statuses(world).items() if submission.endswith(str(number)))
    return found


def landed(world: World) -> Session:
    """A run that has landed all that was received, and staged nothing."""
    session = world.session()
    land_feed(session, world.workspace.mappings["courses"], Window(FIRST_ON, session.now.date()))
    return session


def assert_nothing_is_staged(world: World) -> None:
    left = "select count(*) from pg_tables where schemaname = 'staging'"
    assert world.query(left) == [(0,)] and world.query("select count(*) from intake.staged_group") == [(0,)]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_a_stopped_file_takes_back_of_an_earlier_one_of_the_same_run_stays_taken_back(
    courses: World, at_once: bool
) -> None:
    receive(courses, [row(17), row(18)], day=0)
    receive(courses, [{**row(17, Status="out"), "Shoe size": "43"}], day=1)
    courses.at(courses.now + 2 * DAY)
    if at_once:
        session = courses.session()
        mapping = courses.workspace.mappings["courses"]
        gated = apply_batches(session, land_feed(session, mapping, Window(FIRST_ON, session.now.date())).landed)
    else:
        _, gated = take_in(courses.session())
    assert [one.stop is not None for one in gated] == [False, True]
    assert (status_of(courses, 17), status_of(courses, 18)) == ("cancelled", "active")
    assert Counter(state for (state,) in courses.query("select state from intake.batch")) == {
        "applied": 1,
        "stopped": 1,
    }
    assert_nothing_is_staged(courses)


def test_an_older_export_that_is_read_again_does_not_bring_back_what_a_newer_one_took_back(courses: World) -> None:
    receive(courses, [row(17), row(18, Last="Before"), row(5, Email="no address")], day=0)
    take_in(courses.session())
    receive(courses, [row(17, Status="out"), row(18, Last="After"), row(5)], day=1)
    courses.at(courses.now + 2 * DAY)
    take_in(courses.session())
    assert status_of(courses, 17) == "cancelled"
    mended = courses.workspace.mappings["courses"].model_copy(update={"title": "The same, read anew"})
    courses.workspace = replace(courses.workspace, mappings={"courses": mended})
    retry(courses.session())
    assert (status_of(courses, 17), status_of(courses, 5)) == ("cancelled", "active")
    names = "select family_name from intake.submission where submission_id like '%18'"
    assert courses.query(names) == [("After",)]


def test_a_file_that_is_stopped_alone_is_stopped_beside_others_too(courses: World) -> None:
    for number in range(5):
        receive(courses, [row(100 * number + n) for n in range(60)], day=0)
    receive(courses, [row(900 + n, **({} if n % 5 < 2 else {"Email": "no address"})) for n in range(60)], day=0)
    _, gated = take_in(courses.session())
    assert Counter(one.stop[0] if one.stop else "" for one in gated) == {"": 5, "gate_failed": 1}
    assert len(statuses(courses)) == 300


def test_what_is_staged_anew_by_the_same_run_is_merged_and_counted_once(courses: World) -> None:
    receive(courses, [row(17), row(18)], day=0)
    receive(courses, [{**row(18, Status="out"), "Shoe size": "43"}], day=1)
    courses.at(courses.now + 2 * DAY)
    session = landed(courses)

    def interrupted(gated: object) -> None:
        record_gate(session, gated)  # type: ignore[arg-type]
        if len(told) == 2:
            raise ConnectionError

    told: list[object] = []
    with pytest.raises(ConnectionError):
        stage_source(session, "short_courses", judged=lambda gated: (told.append(gated), interrupted(gated)))
    stage_source(session, "short_courses")
    assert merge_staged(session, "short_courses") == 1
    with session.transaction() as conn:
        counts = run_counts(conn, [session.run_id])
    assert sum(count["applied"] for count in counts) == 2 and sum(count["rows_read"] for count in counts) == 3
    assert (status_of(courses, 17), status_of(courses, 18)) == ("active", "cancelled")
    assert courses.query("select count(*) from intake.batch where state = 'stopped' and gate is not null") == [(1,)]
    assert_nothing_is_staged(courses)


def test_what_a_run_that_died_had_stopped_lowers_after_what_it_had_staged(courses: World) -> None:
    receive(courses, [row(17), row(18)], day=0)
    receive(courses, [{**row(17, Status="out"), "Shoe size": "43"}], day=1)
    courses.at(courses.now + 2 * DAY)
    session = landed(courses)
    stage_source(session, "short_courses")
    take_in(courses.session())
    assert (status_of(courses, 17), status_of(courses, 18)) == ("cancelled", "active")
    assert courses.query("select count(*) from intake.staged_group where request ->> 'stop' is not null") == [(0,)]


def test_a_stopped_file_that_was_read_again_meanwhile_is_let_be(courses: World) -> None:
    receive(courses, [{**row(17), "Shoe size": "43"}], day=0)
    session = landed(courses)
    stage_source(session, "short_courses")
    mapping = courses.workspace.mappings["courses"].model_copy(update={"ignored": ("Shoe size",)})
    courses.workspace = replace(courses.workspace, mappings={"courses": mapping})
    retry(courses.session())
    assert status_of(courses, 17) == "active"
    merge_staged(session, "short_courses")
    assert courses.query("select state from intake.batch") == [("applied",)]
    assert_nothing_is_staged(courses)


def test_what_was_undone_stays_undone_when_the_same_export_comes_the_next_night(courses: World) -> None:
    receive(courses, [row(17), row(18)], day=0)
    session = courses.session()
    take_in(session)
    undo_run(courses.session(), session.run_id, by="Maija")
    assert statuses(courses) == {}
    receive(courses, [row(17), row(18)], day=1)
    courses.at(courses.now + 2 * DAY)
    take_in(courses.session())
    assert statuses(courses) == {} and courses.query("select state from intake.batch") == [("undone",)]


def test_an_export_that_comes_each_night_is_read_once(courses: World) -> None:
    receive(courses, [row(17), row(18)], day=0)
    take_in(courses.session())
    for day in (1, 2, 3):
        rows = [row(17), row(18, Last=f"Of day {day}")] if day == 2 else [row(17), row(18)]
        receive(courses, rows, day=day)
        courses.at(courses.now + DAY)
        reports, _ = take_in(courses.session())
        assert len(reports["courses"].landed) == (0 if day == 1 else 1), (
            "news only where something else was read between"
        )


def test_a_flag_of_a_stopped_file_is_compared_with_what_came_before_it(world: World) -> None:
    aino = Who("aino@example.org", "aino")
    world.perform([sign_up(1, aino, T0)])
    take_in(world.session())
    first = register(7, aino, T0 + DAY, marketing="Yes", marketing_at=T0 + DAY)
    later = register(7, aino, T0 + DAY, changed_at=T0 + 3 * DAY, marketing="No", marketing_at=T0 + 3 * DAY)
    world.receive("courses", [first.row], at=RECEIVED)
    world.receive("courses", [{**later.row, "Shoe size": "43"}], at=RECEIVED + timedelta(hours=1))
    _, gated = take_in(world.session())
    assert [one.stop is not None for one in gated] == [False, True]
    states = dict(map(tuple, world.query("select topic, state from intake.consent_state where purpose = 'marketing'")))
    assert states["training"] == "withdrawn"

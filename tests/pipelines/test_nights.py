"""Nights: what failed nights left unread is taken in by the first good one, however many they were."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from pipelines.assets.intake import NOUNS, asset_name, chain_of
from pipelines.assets.metadata import window
from pipelines.commands.running import window_of
from pipelines.definitions import build_definitions
from pipelines.operations.sessions import Session
from pipelines.operations.status import check_status
from pipelines.operations.unread import REACH
from pipelines.operations.workspace import Workspace
from pipelines.resources import LentWorkspace
from pipelines.schedules import INTAKE, RANGE_END, RANGE_START, window_tags
from schemas.records import Window
from tests.pipelines.conftest import World

DAYS, FAILED = 8, 5
HELSINKI = ZoneInfo("Europe/Helsinki")


@pytest.fixture(scope="module")
def after_outage(make_world: Callable[..., AbstractContextManager[World]]) -> Iterator[tuple[World, date]]:
    """A world after one good night and `FAILED` ones in which a survey's account was refused; and the good night's day."""
    with make_world(people=60, days=DAYS) as world:
        good_on = world.first_on + timedelta(days=1)
        night(world, good_on)
        for days in range(1, FAILED + 1):
            assert night(world, good_on + timedelta(days=days), is_away=True).state == "failed"
        yield world, good_on


class Night:
    """One tick of the schedule and the run that it asked for."""

    def __init__(self, world: World, on: date, *, is_away: bool, gone: str | None) -> None:
        workspace = at_night(world, on)
        if is_away:
            webropol = workspace.sources.webropol
            assert webropol is not None
            refused = replace(webropol, password="wrong")
            workspace = replace(workspace, sources=replace(workspace.sources, webropol=refused))
        if gone is not None:
            workspace = without_survey(workspace, gone)
        tags = tags_of(workspace, on)
        self.window = Window(date.fromisoformat(tags[RANGE_START]), date.fromisoformat(tags[RANGE_END]))
        result = (
            definitions_of(workspace)
            .resolve_job_def(INTAKE)
            .execute_in_process(
                instance=world.instance,
                raise_on_error=False,
                tags=tags,
            )
        )
        ((self.state,),) = world.rows("select state from intake.run where run_id = :id", id=result.run_id)
        self.pulled = {source: pulled_days(result, source) for source in NOUNS}


def night(world: World, on: date, *, is_away: bool = False, gone: str | None = None) -> Night:
    return Night(world, on, is_away=is_away, gone=gone)


def pulled_days(result: dg.ExecuteInProcessResult, source: str) -> object:
    """The days that a run has asked a source for, as its step tells; None where it failed."""
    name = asset_name("raw", source)
    told = [made for made in result.get_asset_materialization_events() if made.asset_key == dg.AssetKey(name)]
    return told[-1].materialization.metadata["days_received"].value if told else None


def without_survey(workspace: Workspace, feed: str) -> Workspace:
    """The workspace of a configuration that names a survey which its service has no more."""
    mapping = workspace.mappings[feed]
    assert mapping.api is not None
    gone = mapping.model_copy(
        update={"api": mapping.api.model_copy(update={"resource": "5eed9999-0000-4000-8000-000000000000"})}
    )
    return replace(workspace, mappings={**workspace.mappings, feed: gone})


def at_night(world: World, on: date) -> Workspace:
    """The workspace at two o'clock of a day, before which its sources hold what they had by then."""
    now = datetime.combine(on, time(2), HELSINKI)
    world.sandbox.show_through(on - timedelta(days=1))
    return replace(world.workspace, settings=world.settings.model_copy(update={"fixed_now": now}))


def definitions_of(workspace: Workspace) -> dg.Definitions:
    return build_definitions(workspace.settings, workspace=LentWorkspace(workspace))


def asked_for(workspace: Workspace, on: date) -> Window:
    tags = tags_of(workspace, on)
    return Window(date.fromisoformat(tags[RANGE_START]), date.fromisoformat(tags[RANGE_END]))


def tags_of(workspace: Workspace, on: date) -> dict[str, str]:
    repository = definitions_of(workspace).get_repository_def()
    [nightly] = repository.schedule_defs
    at = datetime.combine(on, time(2), HELSINKI)
    context = dg.build_schedule_context(
        scheduled_execution_time=at, repository_def=repository, resources={"workspace": LentWorkspace(workspace)}
    )
    [request] = nightly.evaluate_tick(context).run_requests or []
    return dict(request.tags)


def read_through(world: World) -> dict[str, date]:
    return dict(world.rows("select source, upper(days) - 1 from intake.read_days"))


def responses(world: World) -> set[str]:
    return {row[0] for row in world.rows("select submission_id from intake.submission where source = 'webropol'")}


def test_the_first_good_night_begins_where_the_last_good_one_ended(after_outage: tuple[World, date]) -> None:
    world, good_on = after_outage
    before = responses(world)
    today = good_on + timedelta(days=FAILED + 1)
    mended = night(world, today)
    assert (mended.state, mended.window) == ("done", Window(good_on, today))
    found = responses(world)
    whole = window_tags(str(world.first_on), str(today))
    workspace = at_night(world, today)
    assert (
        definitions_of(workspace)
        .resolve_job_def(INTAKE)
        .execute_in_process(instance=world.instance, tags=whole)
        .success
    )
    assert found - before and responses(world) == found, "days of the outage were not read"
    assert asked_for(workspace, today) == Window(today - timedelta(days=1), today)


def test_one_day_taken_in_by_hand_does_not_hide_those_before_it(after_outage: tuple[World, date]) -> None:
    world, _ = after_outage
    with world.workspace.transaction() as conn:
        kept = world.rows("select days from intake.read_days where source = 'webropol'")
        conn.exec_driver_sql(
            "update intake.read_days set days = datemultirange(daterange(lower(days), %s, '[]')) where source = 'webropol'",
            (world.first_on,),
        )
    today = world.last_on + timedelta(days=1)
    workspace = at_night(world, today)
    result = (
        definitions_of(workspace)
        .resolve_job_def(INTAKE)
        .execute_in_process(instance=world.instance, tags=window_tags(str(world.last_on), str(world.last_on)))
    )
    assert result.success
    first_unread = Window(world.first_on + timedelta(days=1), today)
    assert asked_for(workspace, today) == first_unread
    assert window_of(Session(workspace), list(NOUNS)) == first_unread
    with world.workspace.transaction() as conn:
        conn.exec_driver_sql("update intake.read_days set days = %s where source = 'webropol'", kept[0])


def test_a_feed_that_fails_holds_back_its_own_source_only(
    make_world: Callable[..., AbstractContextManager[World]],
) -> None:
    with make_world(people=60, days=5) as world:
        good_on = world.first_on + timedelta(days=1)
        night(world, good_on)
        for days in (1, 2):
            assert night(world, good_on + timedelta(days=days), gone="webropol_survey_feedback").state == "failed"
        known = read_through(world)
        assert known.pop("webropol") == good_on - timedelta(days=1)
        assert set(known.values()) == {good_on + timedelta(days=1)} and len(known) == len(NOUNS) - 1
        today = good_on + timedelta(days=3)
        mended = night(world, today)
        assert (mended.state, mended.window) == ("done", Window(good_on, today))
        assert mended.pulled.pop("webropol") == window(mended.window)
        assert set(mended.pulled.values()) == {window(Window(today - timedelta(days=1), today))}
        assert set(read_through(world).values()) == {today - timedelta(days=1)}


def test_days_that_somebody_names_are_read_of_every_source(after_outage: tuple[World, date]) -> None:
    world, good_on = after_outage
    named = Window(world.first_on, good_on)
    result = (
        definitions_of(world.workspace)
        .resolve_job_def(INTAKE)
        .execute_in_process(instance=world.instance, tags=window_tags(str(named.first_on), str(named.last_on)))
    )
    assert {pulled_days(result, source) for source in NOUNS} == {window(named)}


def test_a_late_day_taken_in_first_does_not_hide_the_days_before_it(after_outage: tuple[World, date]) -> None:
    """As after an upgrade of a store that noted nothing yet, or where an earlier part of a backfill failed."""
    world, _ = after_outage
    today = world.last_on + timedelta(days=1)
    workspace = at_night(world, today)
    intake = definitions_of(workspace).resolve_job_def(INTAKE)
    with world.workspace.transaction() as conn:
        conn.exec_driver_sql("delete from intake.read_days where source = 'manual'")
    for first_on, unread_on in ((world.last_on, world.first_on), (world.first_on, world.last_on)):
        result = intake.execute_in_process(
            instance=world.instance,
            tags=window_tags(str(first_on), str(world.last_on)),
            asset_selection=chain_of(["manual"]),
        )
        assert result.success
        assert asked_for(workspace, today).first_on == unread_on


def test_a_source_that_was_away_for_longer_than_the_night_goes_back_is_an_alarm(
    after_outage: tuple[World, date],
) -> None:
    world, _ = after_outage
    later = replace(
        world.workspace,
        settings=world.settings.model_copy(
            update={"fixed_now": datetime.combine(world.last_on, time(12), HELSINKI) + REACH + timedelta(days=2)}
        ),
    )
    told = [alarm for alarm in check_status(Session(later)).alarms if "than the nightly run reaches" in alarm]
    assert len(told) == len(NOUNS) and all("--from 2026-11-" in alarm for alarm in told)
    today = later.now().astimezone(HELSINKI).date()
    assert window_of(Session(later), list(NOUNS)) == Window(today - REACH, today)

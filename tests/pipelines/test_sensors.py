"""Dropped files ask for their day's intake once; the CRM follows every intake that ended, well or badly."""

import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import fsspec
import pytest

from pipelines import sensors
from pipelines.assets.intake import chain_of
from pipelines.definitions import build_definitions
from pipelines.sensors import CRM_FOLLOWS
from pipelines.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
DAY = datetime(2026, 11, 20, 10, tzinfo=UTC)


@dataclass(frozen=True)
class SettingsOnly:
    """A workspace of which nothing but the settings is asked."""

    given: Settings

    def settings(self) -> Settings:
        return self.given


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path, config_dir=ROOT / "config", settle_s=1.0, partitions_first_on="2026-11-01")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def drop(settings: Settings, name: str, content: str, *, at: datetime = DAY) -> Path:
    folder = settings.dropped_files_dir()
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(content)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def look(settings: Settings, cursor: str | None = None) -> Any:
    definitions = build_definitions(settings)
    context = dg.build_sensor_context(
        cursor=cursor,
        resources={"workspace": SettingsOnly(settings)},
        repository_def=definitions.get_repository_def(),
    )
    return definitions.resolve_sensor_def("dropped_files").evaluate_tick(context)


def test_a_settled_file_asks_for_the_intake_of_its_source_on_its_day(settings: Settings) -> None:
    drop(settings, "kirjaukset_20261120.xlsx", "x")
    [request] = look(settings).run_requests
    assert request.partition_key == "2026-11-20"
    assert set(request.asset_selection) == set(chain_of(["manual"]))
    assert request.run_key.startswith("manual:2026-11-20:")
    assert "kirjaukset" not in str(request)


def test_a_file_at_a_url_asks_for_its_intake_in_the_same_way(settings: Settings) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/sensed/kirjaukset_20261120.xlsx", b"x")
    store.store["/sensed/kirjaukset_20261120.xlsx"].modified = DAY
    remote = settings.model_copy(update={"drop_dir": "memory://sensed"})
    first = look(remote)
    store.rm("/sensed", recursive=True)
    drop(settings, "kirjaukset_20261120.xlsx", "x")
    assert [each.run_key for each in first.run_requests] == [each.run_key for each in look(settings).run_requests]


def test_a_file_is_asked_for_once_and_again_when_it_changes(settings: Settings) -> None:
    drop(settings, "kirjaukset_20261120.xlsx", "x")
    first = look(settings)
    again = look(settings, first.cursor)
    drop(settings, "kirjaukset_20261120.xlsx", "other", at=DAY + timedelta(hours=1))
    changed = look(settings, again.cursor)
    assert again.run_requests in (None, [])
    assert changed.run_requests[0].run_key != first.run_requests[0].run_key


def test_a_file_that_may_still_grow_and_one_of_no_feed_are_left_alone(settings: Settings) -> None:
    drop(settings, "kirjaukset_20261120.xlsx", "x", at=datetime.now(UTC) + timedelta(seconds=60))
    drop(settings, "lomat.xlsx", "x")
    assert not look(settings).run_requests


def test_a_file_older_than_the_first_partition_goes_with_the_first_day(settings: Settings) -> None:
    drop(settings, "kirjaukset_20250101.xlsx", "x", at=datetime(2025, 1, 1, tzinfo=UTC))
    assert look(settings).run_requests[0].partition_key == "2026-11-01"


def add_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, **changes: Any) -> None:
    instance.add_run(dg.DagsterRun(changes.pop("job", "intake"), status=status, **changes))


def follow(
    settings: Settings,
    instance: dg.DagsterInstance,
    cursor: str | None = None,
    *,
    by: str = "crm_sync_after_intake",
) -> Any:
    definitions = build_definitions(settings)
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor or (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        repository_def=definitions.get_repository_def(),
    )
    return definitions.resolve_sensor_def(by).evaluate_tick(context)


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
)
def test_the_crm_follows_an_intake_however_it_ended(
    settings: Settings, instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    add_run(instance, status)
    assert len(follow(settings, instance).run_requests) == 1


def test_several_intakes_are_followed_once(settings: Settings, instance: dg.DagsterInstance) -> None:
    for _ in range(3):
        add_run(instance, dg.DagsterRunStatus.SUCCESS)
    first = follow(settings, instance)
    assert len(first.run_requests) == 1
    assert not follow(settings, instance, first.cursor).run_requests


def test_a_backfill_of_a_source_is_an_intake_too(settings: Settings, instance: dg.DagsterInstance) -> None:
    chain = set(chain_of(["webropol"]))
    add_run(instance, dg.DagsterRunStatus.SUCCESS, job="__ASSET_JOB", asset_selection=chain)
    assert len(follow(settings, instance).run_requests) == 1


@pytest.mark.parametrize("changes", [{"tags": {CRM_FOLLOWS: "yes"}}, {"job": "crm_sync"}])
def test_runs_that_need_no_follower_have_none(
    settings: Settings, instance: dg.DagsterInstance, changes: dict[str, Any]
) -> None:
    add_run(instance, dg.DagsterRunStatus.SUCCESS, **changes)
    assert not follow(settings, instance).run_requests


def test_a_synchronisation_that_waits_to_start_is_enough(settings: Settings, instance: dg.DagsterInstance) -> None:
    add_run(instance, dg.DagsterRunStatus.SUCCESS)
    add_run(instance, dg.DagsterRunStatus.NOT_STARTED, job="crm_sync")
    assert not follow(settings, instance).run_requests


@pytest.mark.parametrize(
    ("job", "status", "asked"),
    [
        ("crm_sync", dg.DagsterRunStatus.FAILURE, 1),
        ("crm_sync", dg.DagsterRunStatus.SUCCESS, 0),
        ("intake", dg.DagsterRunStatus.FAILURE, 0),
    ],
)
def test_the_store_lets_go_by_itself_where_a_synchronisation_failed(
    settings: Settings, instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus, asked: int
) -> None:
    add_run(instance, status, job=job)
    first = follow(settings, instance, by="retention_after_failed_sync")
    assert len(first.run_requests or []) == asked
    assert not follow(settings, instance, first.cursor, by="retention_after_failed_sync").run_requests


def synced_again(settings: Settings, instance: dg.DagsterInstance, *, is_anything_left: bool = True) -> Any:
    """What the sensor asks for, beside a store in which something is left to be sent, or nothing."""
    definitions = build_definitions(settings)
    left = SimpleNamespace(execute=lambda *_: SimpleNamespace(scalar=lambda: is_anything_left))
    store = SimpleNamespace(open=lambda: SimpleNamespace(transaction=lambda: nullcontext(left)))
    context = dg.build_sensor_context(
        instance=instance, resources={"workspace": store}, repository_def=definitions.get_repository_def()
    )
    return definitions.resolve_sensor_def("crm_sync_again").evaluate_tick(context)


def later(monkeypatch: pytest.MonkeyPatch, **pause: float) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(**pause)

    monkeypatch.setattr(sensors, "datetime", Later)


def test_a_synchronisation_that_failed_is_tried_again_after_a_pause_that_grows(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_run(instance, dg.DagsterRunStatus.FAILURE, job="crm_sync")
    assert not synced_again(settings, instance).run_requests, "not at once"
    later(monkeypatch, minutes=2.1)
    [first] = synced_again(settings, instance).run_requests
    add_run(instance, dg.DagsterRunStatus.FAILURE, job="crm_sync")
    assert not synced_again(settings, instance).run_requests, "two failures in a row wait for longer"
    later(monkeypatch, minutes=4.1)
    [second] = synced_again(settings, instance).run_requests
    assert first.run_key != second.run_key
    for _ in range(10):
        add_run(instance, dg.DagsterRunStatus.FAILURE, job="crm_sync")
    later(monkeypatch, minutes=60.1)
    assert len(synced_again(settings, instance).run_requests) == 1, "once an hour at last"


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
)
def test_nothing_is_tried_again_that_went_well_or_is_under_way(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, status: dg.DagsterRunStatus
) -> None:
    add_run(instance, dg.DagsterRunStatus.FAILURE, job="crm_sync")
    add_run(instance, status, job="crm_sync")
    later(monkeypatch, days=1)
    assert not synced_again(settings, instance).run_requests


def test_a_failed_synchronisation_that_left_nothing_is_not_tried_again(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_run(instance, dg.DagsterRunStatus.FAILURE, job="crm_sync")
    later(monkeypatch, days=1)
    assert not synced_again(settings, instance, is_anything_left=False).run_requests

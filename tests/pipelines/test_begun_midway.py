"""A run that begins in the middle, as one that is retried from its failure does: it makes what it stands on itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from pipelines.assets.intake import asset_name, chain_of
from pipelines.assets.steps import makes
from pipelines.schedules import window_tags
from tests.pipelines.conftest import World


@pytest.fixture(scope="module")
def small(make_world: Callable[..., AbstractContextManager[World]]) -> Iterator[World]:
    with make_world(people=25, days=2) as made:
        yield made


def taken_in(world: World, assets: list[dg.AssetKey]) -> None:
    tags = window_tags(str(world.first_on), str(world.last_on))
    assert world.run("intake", tags=tags, asset_selection=assets).success


def test_what_another_run_landed_is_staged_and_merged_by_one_that_only_merges(small: World) -> None:
    taken_in(small, chain_of(["short_courses"])[:1])
    assert set(small.rows("select distinct state from intake.batch")) == {("landed",)}
    taken_in(small, [dg.AssetKey(asset_name("core", "short_courses"))])
    assert set(small.rows("select distinct state from intake.batch")) == {("applied",)}
    assert small.rows("select count(*) from intake.person")[0][0] > 0


def test_a_step_of_the_crm_without_its_plan_plans_and_sends_what_comes_before(small: World) -> None:
    taken_in(small, chain_of(["short_courses"]))
    assert small.run("crm_sync", asset_selection=[dg.AssetKey("crm__consents")]).success
    contacts = small.sandbox.emulator.control.rows("contacts")
    consents = small.sandbox.emulator.control.rows("msdynmkt_contactpointconsent4s")
    assert contacts and consents
    unsent = "select distinct phase from intake.outbox_intent where finished_at is null and phase <= 2"
    assert not small.rows(unsent)


@pytest.mark.parametrize(
    ("selected", "steps", "is_made"),
    [(["a", "b"], None, True), (["a", "b"], ["b"], False), (["a", "b"], ["a", "b"], True), (["b"], None, False)],
)
def test_what_a_run_makes_is_what_was_selected_and_is_yet_to_be_done(
    selected: list[str], steps: list[str] | None, is_made: bool
) -> None:
    context: Any = SimpleNamespace(
        run=SimpleNamespace(step_keys_to_execute=steps),
        job_def=SimpleNamespace(
            asset_layer=SimpleNamespace(selected_asset_keys={dg.AssetKey(name) for name in selected})
        ),
    )
    assert makes(context, "a") is is_made


@pytest.mark.parametrize("job", ["intake", "crm_sync"])
def test_a_run_whose_process_died_is_begun_anew_as_a_whole(small: World, job: str) -> None:
    assert small.definitions.resolve_job_def(job).run_tags["dagster/retry_strategy"] == "ALL_STEPS"

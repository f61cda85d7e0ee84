"""A store that is started with another environment's address reads nothing there, and takes nobody for withdrawn."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from connectors.dataverse import DataverseClient, WhoAmI
from connectors.store import narrow_calls
from pipelines.operations.narrow_sync import serve_calls
from pipelines.operations.own_organisation import require_own_organisation
from schemas.errors import CrmMisconfigured, CrmUnavailable
from tests.invariants.acts import T0, Who, answer, sign_up
from tests.invariants.crm_hands import events_at, is_opted_in
from tests.invariants.erasing import erase
from tests.invariants.world import World

NAMES = ("aino", "kalle", "maija")


def address(name: str) -> str:
    return f"{name}@example.org"


class Elsewhere:
    """The CRM's client, where the environment says that it is another organisation."""

    def __init__(self, crm: DataverseClient, organisation: str) -> None:
        self._crm, self._organisation = crm, organisation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crm, name)

    def who_am_i(self) -> WhoAmI:
        return replace(self._crm.who_am_i(), organization_id=self._organisation)


@pytest.fixture
def moved(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world with subscribers whose store is pointed at an empty environment of another organisation."""
    world.perform([sign_up(n, Who(address(name), "aino"), T0) for n, name in enumerate(NAMES)])
    world.run()
    assert all(is_opted_in(world, address(name)) for name in NAMES)
    world.emulator.control.reset()
    move_links(world)
    monkeypatch.setattr(world, "crm", Elsewhere(world.crm, str(uuid4())))
    return world


def move_links(world: World) -> None:
    """The delta links that were kept lead to another host than the environment's."""
    with world.owner.begin() as conn:
        change = "update intake.crm_cursor set delta_link = regexp_replace(delta_link, 'https://[^/]+/', :host)"
        conn.execute(sa.text(change), {"host": "https://own.example.org/"})


def contact_points(world: World) -> list[Any]:
    with world.workspace.transaction() as conn:
        return list(conn.execute(sa.text("select contact_point_id from intake.contact_point")).scalars())


def run(world: World) -> None:
    world.run()


def click(world: World) -> None:
    """A narrow synchronisation serves somebody who acted."""
    with world.workspace.transaction() as conn:
        narrow_calls.call(conn, contact_points(world))
    serve_calls(world.workspace, world.crm)


@pytest.mark.parametrize("begin", [run, click])
def test_in_another_organisation_nothing_is_read_or_written_and_nobody_withdrew(
    moved: World, begin: Callable[[World], None]
) -> None:
    before = moved.query("select * from intake.crm_cursor order by table_name")
    rows = moved.query("select count(*) from intake.crm_row")
    since = moved.emulator.control.last_sequence()
    with pytest.raises(CrmMisconfigured, match="INTAKE_DATAVERSE_URL is another environment"):
        begin(moved)
    asked = [entry["path"] for entry in moved.requests(since)]
    assert {path.rpartition("/")[2] for path in asked} == {"WhoAmI"}
    assert moved.query("select * from intake.crm_cursor order by table_name") == before
    assert moved.query("select count(*) from intake.crm_row") == rows
    assert [events_at(moved, address(name)) for name in NAMES] == [[], [], []]


def test_in_another_organisation_what_is_not_there_is_not_erased(moved: World) -> None:
    with pytest.raises(CrmMisconfigured):
        erase(moved, address("aino"))
    assert moved.query("select count(*) from intake.erasure where finished_at is null")[0][0] == 1


def test_the_same_organisation_under_a_new_address_is_read_in_full(world: World) -> None:
    world.perform([sign_up(n, Who(address(name), "aino"), T0) for n, name in enumerate(NAMES)])
    world.run()
    move_links(world)
    world.perform([answer(9, Who(address("aino"), "aino"), T0 + timedelta(days=1), stop="Yes")])
    world.run()
    assert [is_opted_in(world, address(name)) for name in NAMES] == [False, True, True]
    links = world.query("select delta_link from intake.crm_cursor")
    assert links and not any("own.example.org" in link for (link,) in links)


def test_an_answer_that_names_no_organisation_is_no_organisation_of_its_own(world: World) -> None:
    with pytest.raises(CrmUnavailable, match="names no organisation"):
        require_own_organisation(world.session(), Elsewhere(world.crm, "None"))
    require_own_organisation(world.session(), world.crm)

"""Requests by the page and by the source: routed like all others, and at a shared address closed for the whole of it alone."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.store import data_requests
from connectors.store.person_requests import add_request
from pipelines.operations.erasure import find_person
from pipelines.operations.rights import take_request
from tests.invariants.acts import NOW, T0, Who, register
from tests.invariants.erasing import erase
from tests.invariants.feeds import MAPPINGS
from tests.invariants.test_rights_commands import BY, SaysPrivacy
from tests.invariants.world import World

AINO, MAIJA = Who("aino@example.org", "aino"), Who("aino@example.org", "maija")
ORGANISER = ("Continuing education", "courses@example.org")

OCCASION = {**MAPPINGS["courses"]["occasion"], "organiser_unit": ORGANISER[0], "organiser_contact": ORGANISER[1]}


@pytest.fixture
def shared(world: World) -> World:
    """Two who share an address, at a course of an organiser's."""
    world.with_mapping("courses", occasion=OCCASION)
    world.perform([register(1, AINO, T0), register(2, MAIJA, T0)])
    world.run()
    return world


def ids(world: World) -> dict[str, str]:
    return {
        row.given_name: str(row.person_id) for row in world.query("select given_name, person_id from intake.person")
    }


def test_a_changed_organiser_reaches_an_event_that_is_known(shared: World) -> None:
    moved = {**OCCASION, "organiser_unit": "Short courses", "organiser_contact": "new@example.org"}
    shared.with_mapping("courses", occasion=moved)
    shared.perform([register(3, Who("kalle@example.org", "kalle"), T0)])
    shared.run()
    found = shared.query("select organiser_unit, organiser_contact, version from intake.occasion")
    assert [tuple(row) for row in found] == [("Short courses", "new@example.org", 2)]
    shared.with_mapping("courses", occasion=MAPPINGS["courses"]["occasion"])
    shared.perform([register(4, Who("ville@example.org", "ville"), T0)])
    shared.run()
    found = shared.query("select organiser_unit, version from intake.occasion")
    assert [tuple(row) for row in found] == [("Short courses", 2)], "a form that names nobody changes nobody"


def on_the_page(world: World, kind: str) -> None:
    ((point,),) = world.query("select contact_point_id from intake.contact_point")
    with world.session().transaction() as conn:
        add_request(conn, point, kind)


def open_kinds(world: World) -> list[str]:
    with world.session().transaction() as conn:
        return [row["kind"] for row in data_requests.list_requests(conn, now=world.now)]


def test_an_erasure_asked_for_at_a_shared_mailbox_is_done_when_everybody_there_is_erased(shared: World) -> None:
    on_the_page(shared, "erasure")
    people = ids(shared)
    report, _ = erase(shared, person=people["Aino"])
    assert open_kinds(shared) == ["erasure"] and "1 request" in report.kept["requests of the address"]
    erase(shared, person=people["Maija"])
    assert open_kinds(shared) == []


def test_a_copy_asked_for_at_a_shared_mailbox_is_made_when_it_is_of_everybody_there(
    shared: World, tmp_path: Path
) -> None:
    on_the_page(shared, "export")
    says = SaysPrivacy(shared)
    assert "1 request of the address stays open" in says(
        "export", ids(shared)["Aino"], "--to", str(tmp_path / "a"), *BY
    )
    assert open_kinds(shared) == ["access"]
    assert "stays open" not in says("export", "-", "--everyone", "--to", str(tmp_path / "b"), *BY, lines=AINO.address)
    assert open_kinds(shared) == []


def test_a_request_that_names_nobody_of_a_shared_address_is_not_answered_to_one_of_them(shared: World) -> None:
    with shared.session().transaction() as conn:
        everyone = find_person(conn, address=AINO.address, everyone=True)
        one = find_person(conn, person=ids(shared)["Aino"])
    take_request(shared.session(), everyone, kind="rectification", asked_at=None, by="Tiina")
    take_request(shared.session(), one, kind="rectification", asked_at=None, by="Tiina")
    with shared.session().transaction() as conn:
        answered = {"by": "Tiina", "at": shared.now, "outcome": "done"}
        assert data_requests.answer_requests(conn, one, ["rectification"], **answered) == 1
        assert data_requests.answer_requests(conn, everyone, ["rectification"], **answered) == 1


def listed(world: World) -> dict[str, tuple[Any, Any]]:
    with world.session().transaction() as conn:
        found = data_requests.list_requests(conn, now=world.now, every=True)
    return {row["kind"]: (row["organiser_unit"], row["organiser_contact"]) for row in found}


def test_what_is_asked_for_on_the_page_is_routed_to_the_organiser_open_and_done(shared: World) -> None:
    for kind in ("erasure", "export"):
        on_the_page(shared, kind)
    assert listed(shared) == {"erasure": ORGANISER, "access": ORGANISER}
    erase(shared, AINO.address, everyone=True)
    assert listed(shared) == {"erasure": ORGANISER, "access": ORGANISER}


def test_an_erasure_that_the_source_passes_on_is_routed_to_the_organiser(shared: World) -> None:
    gone = {"column": "Gone", "values": ["yes"]}
    shared.with_mapping("courses", occasion=OCCASION, erased=gone, erasure_means="erasure")
    shared.perform([register(1, AINO, T0, changed_at=T0 + timedelta(days=1)).written(Gone="yes")])
    shared.at(NOW + timedelta(hours=1)).run()
    assert listed(shared) == {"erasure": ORGANISER}

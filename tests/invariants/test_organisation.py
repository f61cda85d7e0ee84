"""A synthetic organisation through all sources, day by day: the CRM equals a model of its truth, and nothing that the
sources hold beyond the purposes is found downstream of the landing.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from connectors.store.address import ServerAddress
from pipelines.operations.certificates import certify, verify_certificate
from pipelines.operations.retention import retain
from pipelines.operations.sessions import Session
from sandbox.dataverse.server import RunningEmulator
from tests.invariants.model import Crm, expected
from tests.invariants.organised import Organised, facts_of_history, organised
from tests.invariants.overstaying import overstaying
from tests.invariants.wire import check_wire
from tests.invariants.world import SETS, tables
from tests.sizes import sized
from tests.throwaway import fresh_database

PEOPLE, DAYS = sized(200, 400), sized(15, 30)


@pytest.fixture(scope="module")
def lived(
    store_address: ServerAddress, emulator: RunningEmulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Organised]:
    directory = tmp_path_factory.mktemp("organised")
    with (
        fresh_database(store_address, template=store_address.database) as store,
        fresh_database(store_address) as register,
        organised(directory, emulator, (store, register), people=PEOPLE, days=DAYS) as result,
    ):
        yield result


def test_the_crm_equals_a_model_of_what_the_organisation_truly_submitted(lived: Organised) -> None:
    roles = {person.address for person in lived.organisation.people if person.mailbox == "role"}
    facts = facts_of_history(lived.organisation, roles)
    wanted, held = expected(facts, now=lived.world.now), lived.world.holds()
    assert wanted.contacts
    assert differences(held.consents, wanted.consents) == {}
    assert differences(held.contacts, wanted.contacts) == {}
    assert registered(held) == registered(wanted, {o.id: o.name for o in lived.organisation.occasions.values()})


def test_every_request_of_the_organisation_is_justified(lived: Organised) -> None:
    check_wire(lived.world)


def test_a_second_run_of_the_last_day_writes_nothing(lived: Organised) -> None:
    since = lived.world.emulator.control.last_sequence()
    lived.world.run()
    assert not lived.world.writes(since)


def test_no_planted_value_is_found_anywhere_downstream(lived: Organised) -> None:
    planted = lived.organisation.planted
    assert len(planted) > PEOPLE
    places = {**stored(lived), **shown(lived)}
    assert {place: "planted" for place, text in places.items() if any(value in text for value in planted)} == {}


def stored(lived: Organised) -> dict[str, str]:
    """Every column of every table of every schema, but the encrypted landing."""
    with lived.world.owner.connect() as conn:
        names = [name for name in tables(conn) if name != "intake.landing_payload"]
        assert "intake.submission" in names
        texts = {name: "\n".join(conn.execute(sa.text(f"select t::text from {name} t")).scalars()) for name in names}
    assert texts["intake.consent_event"], "there is something to look through"
    return texts


def shown(lived: Organised) -> dict[str, str]:
    """What the CRM has in its rows, its journal and its log; what was logged and reported; what is left on the disk."""
    world = lived.world
    assert lived.logged, "something was logged"
    files = [*world.emulator.directory.rglob("*"), *world.drop.iterdir(), *(world.directory / "keys").iterdir()]
    return {
        **{f"crm rows {name}": str(world.rows(name)) for name in SETS},
        "crm requests": str(world.requests()),
        "log": "\n".join(lived.logged),
        "reports": "\n".join(lived.told),
        **{f"file {path.name}": path.read_bytes().decode("latin-1") for path in files if path.is_file()},
    }


def differences(held: dict, wanted: dict) -> dict:  # type: ignore[type-arg]
    """By key what is held and what is wanted, where they differ."""
    return {key: (held.get(key), wanted.get(key)) for key in {*held, *wanted} if held.get(key) != wanted.get(key)}


def registered(crm: Crm, names: dict[str, str] | None = None) -> list[tuple[tuple[str, str], str, str]]:
    """Person, course or event, and status of each registration."""
    rows = crm.registrations.values()
    return sorted((person, names[event] if names else event, status) for person, event, status in rows)


def test_three_years_on_nothing_overdue_remains_anywhere(lived: Organised) -> None:
    world = lived.world
    world.at(world.now + timedelta(days=3 * 365 + 90))
    before = world.counts()
    done = retain(Session(world.workspace), world.crm)
    assert done.waits is None and done.crm_still_there == 0 and not any(done.left.values())
    assert done.deleted["event_registrations"] and done.deleted["course_registrations"] and done.deleted["people"]
    assert done.crm_absent == sum(done.crm_removed.values()) > 0
    assert overstaying(world) == []
    counts = world.counts()
    for table in (
        "answer",
        "registration",
        "landing_payload",
        "landing_key",
        "quarantine",
        "mended_cell",
        "row_image",
        "occasion",
    ):
        assert counts[f"intake.{table}"] == 0, f"{table} had {before[f'intake.{table}']}"
    granted = world.query(
        "select p.person_id from intake.person p where exists (select from intake.consent_state s"
        " where s.contact_point_id = p.contact_point_id and s.purpose = 'marketing' and s.state = 'granted')"
    )
    assert 0 < counts["intake.person"] == len(granted), "only who still wants the newsletter is known by name"
    assert len(world.rows("contacts")) == len(granted), "in the CRM too"
    assert not world.rows("msevtmgt_eventregistrations") and not world.rows("msevtmgt_events")
    session = Session(world.workspace)
    assert verify_certificate(session, certify(session, done))["left_overdue"] == {}

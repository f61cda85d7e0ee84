"""What the delivery benchmarks deliver: people who consented to marketing, put into a store as if they had been merged.

Each makes two rows in the CRM: a contact and the consent row of the purpose (the policy of the benchmark has no topics).
Intake, gate and fold are not measured here, so the folded state is seeded by COPY; planning is ours as it is.
"""

import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg
import yaml

from benchmarks.bare_crm import REFUSED_CONSENT, REFUSED_CONTACT
from connectors.store.address import ServerAddress
from connectors.store.migrate import upgrade
from schemas.tables import (
    CONSENT,
    EMAIL_CONTACT_POINT,
    MARKER,
    NO_REASON,
    SOURCE_LOADED,
    ConsentRowType,
    ConsentValue,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROWS_A_PERSON = 2
_GIVEN = ("Aino", "Väinö", "Helmi", "Eino", "Lempi", "Toivo", "Sisko", "Urho", "Saga", "Björn")
_FAMILY = ("Korpela", "Lehtinen", "Mäkelä", "Salonen", "Virtala", "Öhman", "Niemelä", "Åberg", "Koskela", "Rantala")
_PURPOSE = "marketing"

Person = tuple[UUID, UUID, str, str, str]
"""contact point's id, person's id, given name, family name, address."""


def make_people(count: int, *, seed: int, poison_share: float = 0.0) -> list[Person]:
    """Made-up people; the CRM is to refuse the contact of `poison_share` of them and the consent row of as many others."""
    chance = random.Random(seed)
    return [_person(number, chance, poison_share) for number in range(count)]


def _person(number: int, chance: random.Random, poison_share: float) -> Person:
    drawn = chance.random()
    marker = REFUSED_CONTACT if drawn < poison_share else REFUSED_CONSENT if drawn < 2 * poison_share else ""
    address = f"{marker}person.{number:07d}@example.org"
    ids = UUID(int=chance.getrandbits(128), version=4), UUID(int=chance.getrandbits(128), version=4)
    return (*ids, chance.choice(_GIVEN), chance.choice(_FAMILY), address)


def seed_store(address: ServerAddress, people: Sequence[Person]) -> None:
    """Migrate an empty database and put people into it whose marketing consent is folded as granted."""
    upgrade(address)
    with psycopg.connect(address.uri_adbc) as conn:
        for table, columns, rows in _tables(people):
            with conn.cursor().copy(f"copy intake.{table} ({columns}) from stdin") as copy:
                for row in rows:
                    copy.write_row(row)
        conn.execute("analyze")


def _tables(people: Sequence[Person]) -> Iterator[tuple[str, str, Iterable[Sequence[Any]]]]:
    yield (
        "contact_point",
        "contact_point_id, address, address_key, is_role_address",
        ((point, address, address, False) for point, _, _, _, address in people),
    )
    yield (
        "person",
        "person_id, contact_point_id, given_name, family_name",
        ((person, point, given, family) for point, person, given, family, _ in people),
    )
    yield (
        "person_purpose",
        "person_id, purpose, contact_point_id, begins_at",
        ((person, _PURPOSE, point, NOW) for point, person, _, _, _ in people),
    )
    yield (
        "consent_state",
        "contact_point_id, purpose, topic, state",
        ((point, _PURPOSE, "", "granted") for point, *_ in people),
    )


def copy_database(source: ServerAddress, name: str) -> ServerAddress:
    """A fresh copy of a database that nobody is connected to."""
    with psycopg.connect(source.with_database("postgres").uri_adbc, autocommit=True) as conn:
        conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        conn.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source.database}"')
        conn.execute("checkpoint")
    return source.with_database(name)


def write_config(shipped: Path, folder: Path, *, writers: int | None) -> dict[str, Any]:
    """The shipped configuration with marketing alone to be written, without topics, and another number of writers if one is
    given; returns its part about the CRM.
    """
    shutil.copytree(shipped, folder, dirs_exist_ok=True)
    policy = yaml.safe_load((folder / "intake.yaml").read_text("utf-8"))
    policy["purposes"][_PURPOSE]["topics"] = []
    policy["crm"]["purposes"] = {_PURPOSE: {"purpose_id": policy["crm"]["purposes"][_PURPOSE]["purpose_id"]}}
    policy["crm"]["writers"] = writers or policy["crm"]["writers"]
    (folder / "intake.yaml").write_text(yaml.safe_dump(policy, allow_unicode=True), "utf-8")
    crm: dict[str, Any] = policy["crm"]
    return crm


def write_rows(people: Sequence[Person], folder: Path, *, purpose_id: str) -> None:
    """The rows that the CRM is to hold in the end, one JSON Lines file a table, for whoever does not read our store."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in (
        ("contact", map(_contact, people)),
        (CONSENT.logical_name, (_consent(p, purpose_id) for p in people)),
    ):
        with (folder / f"{table}.jsonl").open("wb") as out:
            out.writelines(orjson.dumps(row) + b"\n" for row in rows)


def _contact(person: Person) -> dict[str, Any]:
    _, person_id, given, family, address = person
    names = {"firstname": given, "lastname": family, "emailaddress1": address}
    return {"key": str(person_id), **names, "donotbulkemail": False, "followemail": False}


def _consent(person: Person, purpose_id: str) -> dict[str, Any]:
    return {
        "key": str(person[0]),
        "msdynmkt_contactpointvalue": person[4],
        "msdynmkt_contactpointtype": EMAIL_CONTACT_POINT,
        "msdynmkt_contactpointconsenttype": int(ConsentRowType.PURPOSE),
        "msdynmkt_value": int(ConsentValue.OPTED_IN),
        "purpose_id": purpose_id,
        "msdynmkt_source": SOURCE_LOADED,
        "msdynmkt_logicalreason": NO_REASON,
        "msdynmkt_reason": MARKER,
    }

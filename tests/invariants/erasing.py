"""Erasing as the command does it, and looking for traces of a person wherever data may lie."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from connectors.store import batches
from connectors.store.landing import get_payload
from pipelines.operations.erasure import Asked, ErasureReport, alone, erase_person
from pipelines.operations.erasure_crm import CrmErasure, finish_in_crm
from pipelines.operations.sessions import Session
from tests.invariants.world import SETS, World, tables

BY = "Tiina Tietosuoja"


def erase(world: World, address: str | None = None, **asked: Any) -> tuple[ErasureReport, CrmErasure]:
    """Erase from store, landing and CRM."""
    session = Session(world.workspace)
    with alone(session):
        report = erase_person(session, Asked(BY, address=address, **asked), crm=world.crm)
        return report, finish_in_crm(session, world.crm)


def traces(world: World, *words: str) -> set[str]:
    """Where any of the words (in small letters) is to be found: tables of the store, landed batches, tables of the CRM."""
    return {*_in_store(world, words), *_in_landing(world, words), *_in_crm(world, words)}


def _in_store(world: World, words: tuple[str, ...]) -> Iterator[str]:
    with world.owner.connect() as conn:
        for name in tables(conn):
            rows = conn.execute(sa.text(f"select lower(to_jsonb(t)::text) from {name} t")).scalars().all()
            if any(word in row for row in rows for word in words):
                yield name


def _in_landing(world: World, words: tuple[str, ...]) -> Iterator[str]:
    with world.owner.connect() as conn:
        for batch in batches.landed_with_payload(conn):
            payload = get_payload(conn, batch.batch_id, keys=world.workspace.keys).lower()
            if any(word.encode() in payload for word in words):
                yield f"landing {batch.feed}"


def _in_crm(world: World, words: tuple[str, ...]) -> Iterator[str]:
    for name in SETS:
        if any(word in str(row).lower() for row in world.rows(name) for word in words):
            yield f"crm {name}"

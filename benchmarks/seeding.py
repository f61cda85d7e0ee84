"""A store with many known people, put there by SQL alone: what a long life of intakes would have left, without living it.

Each person has a contact point, a subject, one submission, one grant of marketing with its evidence and folded states,
a living purpose, and a contact that the CRM acknowledged; so nobody is dirty. Ids follow from the number, and an address's
begins alike for the thousand that came on one day. Events are of before the ledger was chained.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from benchmarks.inputs import fresh_database
from connectors.store.address import ServerAddress
from connectors.store.keys import UNROTATABLE, KeyRing
from connectors.store.migrate import upgrade

GRANTED_AT = datetime(2026, 1, 15, 10, tzinfo=UTC)
# People put in at a time, so that a transaction's memory does not grow with the whole.
_AT_A_TIME = 250_000
_READ_BYTES = 1 << 20
POINT = "(left(md5('day ' || n / 1000), 8) || right(md5('contact_point ' || n), 24))::uuid"
_SUBJECT = "(left(md5('group ' || n / 1000), 24) || lpad(to_hex(n), 8, '0'))::uuid"
_PERSON = "md5('person ' || n)::uuid"
_ADDRESS = "'person.' || lpad(n::text, 9, '0') || '@example.org'"
_NAMES = "'Aino', 'Esimerkki'"
_AT = "timestamptz '2026-01-15 10:00+00'"
_KEY = "int4send(20468) || sha256(convert_to('event ' || n, 'UTF8'))"
_SEEDS = (
    f"insert into intake.contact_point (contact_point_id, address, address_key, is_role_address, version, acked_version)"
    f" select {POINT}, {_ADDRESS}, {_ADDRESS}, false, 1, 1 from generate_series(%(a)s::int, %(b)s::int) n",
    f"insert into intake.person (person_id, contact_point_id, given_name, family_name)"
    f" select {_PERSON}, {POINT}, {_NAMES} from generate_series(%(a)s::int, %(b)s::int) n",
    f"insert into intake.subject (subject_id, contact_point_id, given_key, has_ground, person_id)"
    f" select {_SUBJECT}, {POINT}, 'aino', true, {_PERSON} from generate_series(%(a)s::int, %(b)s::int) n",
    f"insert into intake.submission (source, submission_id, feed, kind, content_hash, version_at, received_at, batch_id,"
    f" row_no, contact_point_id, subject_id, given_name, family_name, is_enquiry)"
    f" select 'web_forms', 'seed-' || n, 'web_forms_campaign', 'mailing_list', md5(n::text), {_AT}, {_AT},"
    f" md5('batch')::uuid, n, {POINT}, {_SUBJECT}, {_NAMES}, false from generate_series(%(a)s::int, %(b)s::int) n",
    f"insert into intake.consent_event (event_key, subject_id, contact_point_id, purpose, topic, value, actor, clock,"
    f" occurred_at, precision_s, effective_at, received_at, source, batch_id, commitment)"
    f" select {_KEY}, {_SUBJECT}, {POINT}, 'marketing', '', 'grant', 'subject', 'web_forms', {_AT}, 1, {_AT}, {_AT},"
    f" 'web_forms', md5('batch')::uuid, {_KEY} from generate_series(%(a)s::int, %(b)s::int) n",
    f"insert into intake.consent_evidence (event_key, salt, submission_id, address, given_name, family_name)"
    f" select {_KEY}, {_KEY}, 'seed-' || n, {_ADDRESS}, {_NAMES} from generate_series(%(a)s::int, %(b)s::int) n",
    f"insert into intake.person_consent (contact_point_id, person_id, purpose, topic, state, granted_at)"
    f" select {POINT}, {_PERSON}, 'marketing', '', 'granted', {_AT} from generate_series(%(a)s::int, %(b)s::int) n",
    f"insert into intake.consent_state (contact_point_id, purpose, topic, state)"
    f" select {POINT}, 'marketing', '', 'granted' from generate_series(%(a)s::int, %(b)s::int) n",
    f"insert into intake.person_purpose (person_id, purpose, contact_point_id, begins_at)"
    f" select {_PERSON}, 'marketing', {POINT}, {_AT} from generate_series(%(a)s::int, %(b)s::int) n",
    f"insert into intake.crm_row (table_name, row_id, contact_point_id, is_ours, columns, written)"
    f" select 'contact', {_PERSON}, {POINT}, true, c, c from generate_series(%(a)s::int, %(b)s::int) n,"
    f" lateral (select jsonb_build_object('firstname', 'Aino', 'lastname', 'Esimerkki', 'emailaddress1', {_ADDRESS}) c) j",
)


# Random keys entered one by one into the indexes of millions of rows take most of the time; built at the end they are sorted.
_SET_INDEXES_ASIDE = """
update pg_index i set indisready = false from pg_class c, pg_namespace n
where c.oid = i.indrelid and n.oid = c.relnamespace and n.nspname = 'intake' and c.relname = any(%(tables)s)
"""
_SEEDED = [statement.split()[2].removeprefix("intake.") for statement in _SEEDS]


def make_keys(directory: Path) -> KeyRing:
    """The ring of a store that was seeded, in which no row was made under a key: with those that never rotate."""
    ring = KeyRing(directory)
    for name in UNROTATABLE:
        ring.current(name)
    return ring


def seed_known(address: ServerAddress, people: int) -> None:
    """Migrate an empty database and put that many known people into it, with the statistics of a settled store."""
    upgrade(address)
    with psycopg.connect(address.uri_adbc, autocommit=True) as conn:
        # Checks of foreign keys row by row would double the time; the rows agree by how they are made.
        conn.execute("set session_replication_role = replica")
        conn.execute("set synchronous_commit = off")
        conn.execute("set maintenance_work_mem = '1GB'")
        conn.execute(_SET_INDEXES_ASIDE, {"tables": _SEEDED})
        for first in range(1, people + 1, _AT_A_TIME):
            bounds = {"a": first, "b": min(first + _AT_A_TIME - 1, people)}
            for statement in _SEEDS:
                conn.execute(statement, bounds)
        for table in _SEEDED:
            conn.execute(f"reindex table intake.{table}")
        conn.execute("vacuum analyze")
        conn.execute("checkpoint")


@contextmanager
def known_database(address: ServerAddress, people: int) -> Iterator[ServerAddress]:
    """A database of its own with that many known people, copied from one that was seeded and stays on the server.

    As on a server that has run for long, as much of it as the machine's memory holds is there.
    """
    kept, copy = f"seeded_{people}", f"known_{people}"
    drop = f"drop database if exists {copy} with (force)"
    with psycopg.connect(address.with_database("postgres").uri_adbc, autocommit=True) as conn:
        if conn.execute("select from pg_database where datname = %s", [kept]).fetchone() is None:
            seed_known(fresh_database(address, copy), people)
            conn.execute(f"alter database {copy} rename to {kept}")
        conn.execute(drop)
        conn.execute(f"create database {copy} template {kept} strategy file_copy")
        try:
            _forget_files(conn, kept)
            _read_files(conn, copy)
            store = address.with_database(copy)
            upgrade(store)
            yield store
        finally:
            conn.execute(drop)


def _forget_files(conn: psycopg.Connection, database: str) -> None:
    """Take a database's files out of the system's memory, which is free for others' then."""
    for path in _files(conn, database):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _read_files(conn: psycopg.Connection, database: str) -> None:
    """Read a database's files once from end to end."""
    for path in _files(conn, database):
        with path.open("rb", buffering=0) as file:
            while file.read(_READ_BYTES):
                pass


def _files(conn: psycopg.Connection, database: str) -> list[Path]:
    found = conn.execute(
        "select current_setting('data_directory'), oid from pg_database where datname = %s", [database]
    ).fetchone()
    if found is None:
        raise RuntimeError(f"There is no database {database}.")
    return [path for path in (Path(found[0]) / "base" / str(found[1])).iterdir() if path.is_file()]


def address_of(number: int) -> str:
    """The address of a known person, counted from 1."""
    return f"person.{number:09d}@example.org"

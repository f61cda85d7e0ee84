"""A restored database: what it knows of the journal, whom the journal's tombstones name in it, what it must forget."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store.erasure import Scope
from connectors.store.keys import Key
from connectors.store.tombstone_sql import hash_of
from connectors.store.tombstones import Kind, Tombstone, key_arrays
from schemas.errors import ConfigurationError

_WHOLE = f"""
select c.contact_point_id, c.address_key, array_agg(p.person_id) filter (where p.person_id is not null) as persons
from intake.contact_point c left join intake.person p using (contact_point_id)
where {hash_of("'address'", "c.address_key")} = any(cast(:hashes as bytea[]))
group by c.contact_point_id
"""

# Those of an address that others share go by their names; a submission or a row of the CRM tells the person as well.
_NAMED = f"""
select c.contact_point_id, c.address_key, s.person_id,
       (select array_agg(o.person_id) from intake.person o where o.contact_point_id = c.contact_point_id) as persons
from intake.subject s join intake.contact_point c using (contact_point_id)
where s.person_id is not null
  and {hash_of("'subject'", "c.address_key || '|' || s.given_key")} = any(cast(:hashes as bytea[]))
"""

_BY_SUBMISSION = f"""
select c.contact_point_id, c.address_key, s.person_id,
       (select array_agg(o.person_id) from intake.person o where o.contact_point_id = c.contact_point_id) as persons
from intake.submission u join intake.subject s using (subject_id)
join intake.contact_point c on c.contact_point_id = s.contact_point_id
where s.person_id is not null
  and {hash_of("'submission'", "u.source || '|' || u.submission_id")} = any(cast(:hashes as bytea[]))
"""


def knows_entry(conn: Connection, entry_hash: str) -> bool:
    """Whether an erasure of the journal is in the database."""
    statement = "select exists (select from intake.erasure where entry_hash = :hash)"
    return bool(conn.execute(text(statement), {"hash": entry_hash}).scalar())


def knows_run(conn: Connection, run_id: UUID) -> bool:
    """Whether a run is in the database."""
    return bool(
        conn.execute(text("select exists (select from intake.run where run_id = :id)"), {"id": run_id}).scalar()
    )


def match(conn: Connection, tombstones: Sequence[Tombstone], keys: Sequence[Key]) -> list[Scope]:
    """Whom the tombstones name in this database, each address once.

    ConfigurationError where the key that they were made by is not in the ring: nobody could be recognised.
    """
    known = {key.key_id: key for key in keys}
    persons: dict[tuple[UUID, str], set[UUID]] = {}
    others: dict[UUID, set[UUID]] = {}
    whole: set[UUID] = set()
    for key_id in sorted({stone.key_id for stone in tombstones}):
        if key_id not in known:
            raise ConfigurationError(f"Tombstone key {key_id} is not in the key ring; put back the backup of the keys.")
        arrays = key_arrays([known[key_id]])
        for statement, kind in ((_WHOLE, Kind.ADDRESS), (_NAMED, Kind.SUBJECT), (_BY_SUBMISSION, Kind.SUBMISSION)):
            hashes = [stone.key_hash for stone in tombstones if stone.kind is kind and stone.key_id == key_id]
            if not hashes:
                continue
            values = {"hashes": hashes, "inner": arrays["inner"], "outer": arrays["outer"]}
            for row in conn.execute(text(statement), values):
                place = row.contact_point_id, row.address_key
                others.setdefault(row.contact_point_id, set()).update(row.persons or ())
                persons.setdefault(place, set()).update(row.persons or () if kind is Kind.ADDRESS else [row.person_id])
                whole |= {row.contact_point_id} if kind is Kind.ADDRESS else set()
    return [
        Scope(point, address_key, tuple(sorted(ids)), point in whole or ids >= others[point])
        for (point, address_key), ids in sorted(persons.items())
    ]


def set_intents_aside(conn: Connection, *, at: datetime) -> int:
    """Set aside what was meant to be sent on another day; what was claimed is read back by the next run."""
    statement = (
        "update intake.outbox_intent set state = 'superseded', code = 'restored', finished_at = :at"
        " where state in ('pending', 'waiting')"
    )
    return conn.execute(text(statement), {"at": at}).rowcount


def forget_cursors(conn: Connection) -> list[str]:
    """Forget the change tokens: every table of the CRM is read in full again; returns which."""
    return sorted(conn.execute(text("delete from intake.crm_cursor returning table_name")).scalars())


def dirty_everything(conn: Connection) -> None:
    """Have every address and occasion planned anew."""
    conn.execute(
        text("update intake.contact_point set version = greatest(version, acked_version) + 1, sought_at = null")
    )
    conn.execute(text("update intake.occasion set version = greatest(version, acked_version) + 1"))

"""Staged frames of finance into its tables, set-based: the newest delivery of a record stands, corrections stay."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import pandas as pd
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from connectors.finance.tables import TAKEN
from connectors.store.address import ServerAddress
from connectors.store.bulk import drop_staged, stage_tables
from schemas.finance import PARTY_FIELDS

FINANCE_ROLE = "intake_finance"
FRAMES = ("entries", "parties", "refusals")

# A record that came again unchanged and is read by the same mapping, or of which a newer delivery is known, is not touched.
_ENTRIES = """
insert into finance.entry as held (source, feed, record_id, kind, record_class, reference, amount, currency,
    payment_method, payment_status, dated_on, fiscal_year_end, kept_until, content_hash, received_at)
select :source, :feed, record_id, kind, record_class, reference, cast(amount as numeric), currency, payment_method,
    payment_status, dated_on, fiscal_year_end, kept_until, content_hash, :received_at
from {entries}
on conflict (source, record_id) do update set kind = excluded.kind, record_class = excluded.record_class,
    reference = excluded.reference, amount = excluded.amount, currency = excluded.currency,
    payment_method = excluded.payment_method, payment_status = excluded.payment_status,
    dated_on = excluded.dated_on, fiscal_year_end = excluded.fiscal_year_end,
    kept_until = greatest(held.kept_until, excluded.kept_until), content_hash = excluded.content_hash,
    received_at = excluded.received_at
where held.received_at <= excluded.received_at and held.content_hash <> excluded.content_hash
returning entry_id, record_id
"""
_SET = ", ".join(
    f"{f} = case when '{f}' = any(held.corrected) then held.{f} else excluded.{f} end" for f in PARTY_FIELDS
)
_PARTIES = f"""
insert into finance.party as held (entry_id, role, {", ".join(PARTY_FIELDS)})
select e.entry_id, p.role, {", ".join(f"p.{field}" for field in PARTY_FIELDS)}
from {{parties}} p join finance.entry e on e.source = :source and e.record_id = p.record_id
where e.entry_id = any(:changed)
on conflict (entry_id, role) do update set {_SET}
"""
_GONE = """
delete from finance.party p where p.entry_id = any(:changed) and p.corrected = '{{}}' and not exists (
    select from {parties} s join finance.entry e on e.source = :source and e.record_id = s.record_id
    where e.entry_id = p.entry_id and s.role = p.role)
"""
_STALE = "delete from finance.refusal where entry_id = any(:changed)"
_REFUSALS = """
insert into finance.refusal (entry_id, role, field, column_title, fault, written)
select e.entry_id, r.role, r.field, r.column_title, r.fault, r.written
from {refusals} r join finance.entry e on e.source = :source and e.record_id = r.record_id
left join finance.party p on p.entry_id = e.entry_id and p.role = r.role
where e.entry_id = any(:changed) and not r.field = any(coalesce(p.corrected, '{{}}'))
on conflict do nothing
"""


@dataclass(frozen=True)
class Delivery:
    """Where a batch of finance's comes from; `batch_id` is the landed batch's, None for a file of finance's own."""

    source: str
    feed: str
    received_at: datetime
    batch_id: UUID | None = None
    mapping_hash: str = ""


def taken_batches(conn: Connection, mapping_hash: str) -> set[UUID]:
    """The landed batches that were read by this mapping already."""
    return set(conn.execute(select(TAKEN.c.batch_id).where(TAKEN.c.mapping_hash == mapping_hash)).scalars())


def merge_delivery(
    engine: Engine, address: ServerAddress, frames: dict[str, pd.DataFrame], delivery: Delivery
) -> tuple[int, int]:
    """Merge the frames (`entries`, `parties`, `refusals`) in one transaction; how many entries are new or changed, and
    how many values of them were refused."""
    if frames["entries"].empty:
        with engine.begin() as conn:
            _mark_taken(conn, delivery, entries=0, refusals=0)
        return 0, 0
    with _staged(engine, address, frames) as names, engine.begin() as conn:
        told = {"source": delivery.source, "feed": delivery.feed, "received_at": delivery.received_at}
        changed = [row.entry_id for row in conn.execute(text(_ENTRIES.format(**names)), told)]
        among = {"source": delivery.source, "changed": changed}
        for statement in (_PARTIES, _GONE, _STALE):
            conn.execute(text(statement.format(**names)), among)
        refused = conn.execute(text(_REFUSALS.format(**names)), among).rowcount
        _mark_taken(conn, delivery, entries=len(frames["entries"]), refusals=refused)
    return len(changed), refused


def _mark_taken(conn: Connection, delivery: Delivery, *, entries: int, refusals: int) -> None:
    if delivery.batch_id is None:
        return
    row = {"batch_id": delivery.batch_id, "mapping_hash": delivery.mapping_hash}
    conn.execute(upsert(TAKEN).values(**row, entries=entries, refusals=refusals).on_conflict_do_nothing())


@contextmanager
def _staged(engine: Engine, address: ServerAddress, frames: dict[str, pd.DataFrame]) -> Iterator[dict[str, str]]:
    """Staged under finance's own role, so that no other can read them, and dropped whatever happens."""
    staged = stage_tables(address, {f"f_{uuid4().hex}_{name}": frames[name] for name in FRAMES}, role=FINANCE_ROLE)
    try:
        yield dict(zip(FRAMES, staged, strict=True))
    finally:
        with engine.begin() as conn:
            drop_staged(conn, staged)

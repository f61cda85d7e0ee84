"""The cut-over in the store: what a dry run proposed, and who approved exactly it."""

from collections.abc import Mapping
from datetime import datetime

import orjson
from sqlalchemy import Connection, text

_PROPOSE = """
insert into intake.crm_cutover (cutover_id, counts, made_at) values (:cutover_id, cast(:counts as jsonb), :at)
on conflict (cutover_id) do nothing
"""

_APPROVE = "update intake.crm_cutover set approved_by = :by, approved_at = :at where cutover_id = :cutover_id"


def propose(conn: Connection, cutover_id: str, counts: Mapping[str, int], *, at: datetime) -> None:
    """Keep what a dry run would opt out."""
    conn.execute(text(_PROPOSE), {"cutover_id": cutover_id, "counts": orjson.dumps(counts).decode(), "at": at})


def is_proposed(conn: Connection, cutover_id: str) -> bool:
    """Whether a dry run had this id."""
    statement = "select exists (select from intake.crm_cutover where cutover_id = :cutover_id)"
    return bool(conn.execute(text(statement), {"cutover_id": cutover_id}).scalar())


def approve(conn: Connection, cutover_id: str, *, by: str, at: datetime) -> None:
    """Write down who approved a dry run; from now on rows without evidence are ours to lower."""
    conn.execute(text(_APPROVE), {"cutover_id": cutover_id, "by": by, "at": at})

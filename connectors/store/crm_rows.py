"""What the CRM is known to hold, and how far it has been read back."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

_COLUMNS_OF = """
select table_name, row_id, columns from intake.crm_row
where (table_name = 'contact' and row_id = any(:contacts))
   or (table_name = 'msdynmkt_contactpointconsent4' and row_id = any(:consents))
"""

_MOVE = """
insert into intake.crm_cursor as old (table_name, position) values (:table, :position)
on conflict (table_name) do update set position = excluded.position, moved_at = now()
where excluded.position > old.position
"""


def columns_of(
    conn: Connection, contacts: Sequence[UUID], consents: Sequence[UUID]
) -> dict[tuple[str, UUID], dict[str, Any]]:
    """What the CRM acknowledged from us of the given contacts and consent rows; rows that are not ours are absent."""
    rows = conn.execute(text(_COLUMNS_OF), {"contacts": list(contacts), "consents": list(consents)})
    return {(row.table_name, row.row_id): row.columns for row in rows}


def note_values(conn: Connection, values: Sequence[tuple[str, UUID, dict[str, Any]]]) -> None:
    """Remember values read back, on rows of ours; others are left alone."""
    statement = text(
        "update intake.crm_row set columns = columns || cast(:columns as jsonb)"
        " where table_name = :table and row_id = :row_id"
    )
    if values:
        conn.execute(
            statement,
            [{"table": t, "row_id": i, "columns": orjson.dumps(columns).decode()} for t, i, columns in values],
        )


def position(conn: Connection, table: str) -> str | None:
    """How far a table has been read back; None before the first time."""
    return conn.execute(
        text("select position from intake.crm_cursor where table_name = :table"), {"table": table}
    ).scalar()


def move(conn: Connection, table: str, to: str) -> None:
    """Move the cursor of a table forward; never back."""
    conn.execute(text(_MOVE), {"table": table, "position": to})

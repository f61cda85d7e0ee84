"""What the CRM is known to hold, row by row, and how far each table has been read back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import orjson
from sqlalchemy import Connection, RowMapping, text

# A contact that is not ours is kept as ours are where a person's contact is it: adopted, or merged into.
_KNOWN = """
select r.row_id, r.columns, r.edits, r.contact_point_id,
       r.is_ours or (r.table_name = 'contact' and exists (
           select from intake.crm_link l where l.row_id = r.row_id and l.state <> 'gone')) as is_managed
from intake.crm_row r where r.table_name = :table and r.row_id = any(:ids)
"""

_IDS = "select row_id from intake.crm_row where table_name = :table"

_MEMBERS = """
select m.row_id, m.list_id, m.contact_id, m.acked_at, c.address
from (select row_id, contact_point_id, acked_at, substring(columns ->> 'listid@odata.bind' from '[0-9a-f-]{36}')::uuid as list_id,
             substring(columns ->> 'entityid_contact@odata.bind' from '[0-9a-f-]{36}')::uuid as contact_id
      from intake.crm_row where table_name = 'listmember' and is_ours
        and (cast(:among as uuid[]) is null or contact_point_id = any(:among))) m
join intake.contact_point c using (contact_point_id)
where exists (select from intake.crm_row r
              where r.table_name = 'contact' and r.row_id = m.contact_id and not r.edits ?| array['gone', 'merged'])
order by m.row_id
"""

_NOTED = """
unnest(cast(:tables as text[]), cast(:ids as uuid[]), cast(:columns as jsonb[]), cast(:edits as jsonb[]),
       cast(:keys as jsonb[])) as n (table_name, row_id, columns, edits, keys)
"""

# A stranger's row that comes to bear an address that is not to be mailed is filed under that one, to be lowered with it.
_NOTE_KNOWN = f"""
update intake.crm_row r set
    columns = jsonb_strip_nulls(r.columns || n.columns), edits = jsonb_strip_nulls(r.edits || n.edits),
    contact_point_id = coalesce((
        select c.contact_point_id from intake.contact_point c
        join intake.consent_state s on s.contact_point_id = c.contact_point_id and s.topic = ''
             and s.purpose = 'marketing' and s.state = 'withdrawn'
        where not r.is_ours and c.address_key in (select jsonb_array_elements_text(n.keys))
          and not exists (select from intake.crm_link l where l.row_id = r.row_id and l.state <> 'gone')
        order by c.contact_point_id = r.contact_point_id desc, c.contact_point_id limit 1), r.contact_point_id)
from {_NOTED} where r.table_name = n.table_name and r.row_id = n.row_id
"""

# A row that nobody noted before is not ours. Its address is one of its keys: one that is not to be mailed, if any.
_NOTE_NEW = f"""
insert into intake.crm_row (table_name, row_id, contact_point_id, is_ours, columns, edits)
select n.table_name, n.row_id, (
           select c.contact_point_id from intake.contact_point c
           left join intake.consent_state s on s.contact_point_id = c.contact_point_id and s.topic = ''
                and s.purpose = 'marketing' and s.state = 'withdrawn'
           where c.address_key in (select jsonb_array_elements_text(n.keys))
           order by s.state nulls last, c.contact_point_id limit 1),
       false, jsonb_strip_nulls(n.columns), jsonb_strip_nulls(n.edits)
from {_NOTED} on conflict (table_name, row_id) do nothing
"""

_DIRTY_BY_ROWS = """
update intake.contact_point c set version = version + 1
where c.contact_point_id in (
    select r.contact_point_id from intake.crm_row r
    join unnest(cast(:tables as text[]), cast(:ids as uuid[])) as t (table_name, row_id) using (table_name, row_id))
"""

_FORGET = """
delete from intake.crm_row r
using unnest(cast(:tables as text[]), cast(:ids as uuid[])) as t (table_name, row_id)
where r.table_name = t.table_name and r.row_id = t.row_id
"""

# Those answered meanwhile are told by when the row was last acknowledged: the outbox has no index of that.
_UNDER_WAY = """
select row_id from intake.crm_row where table_name = :table and row_id = any(:ids) and acked_at >= :since
union
select row_id from intake.outbox_intent
where table_name = :table and row_id = any(:ids) and finished_at is null and state = 'claimed'
"""

# What is made in the CRM while a table is read, and until what was read is kept, is told by the next reading.
_MOVE = """
insert into intake.crm_cursor as old (table_name, delta_link, selected, moved_at) values (:table, :link, :selected, :at)
on conflict (table_name) do update set
    delta_link = excluded.delta_link, selected = excluded.selected, moved_at = excluded.moved_at
"""

_BELONG = """
insert into intake.crm_organisation (organisation_id)
select :id where not exists (select from intake.crm_organisation)
on conflict (is_only) do nothing
"""

_FIND = """
insert into intake.crm_finding as old (kind, table_name, row_id, detail, found_at)
values (:kind, :table, :row_id, :detail, :at)
on conflict (kind, table_name, row_id) do update set detail = excluded.detail, found_at = excluded.found_at
"""


class NotedRow(Protocol):
    """What is to be remembered of a row; `keys` are the canonical addresses that it bears."""

    @property
    def table(self) -> str: ...
    @property
    def row_id(self) -> UUID: ...
    @property
    def columns(self) -> Mapping[str, Any]: ...
    @property
    def edits(self) -> Mapping[str, str | None]: ...
    @property
    def keys(self) -> Sequence[str]: ...


def known_rows(conn: Connection, table: str, row_ids: Sequence[UUID]) -> Sequence[RowMapping]:
    """What is known of the given rows: row_id, columns, edits, contact_point_id, is_managed; the unknown are absent."""
    return conn.execute(text(_KNOWN), {"table": table, "ids": list(row_ids)}).mappings().all()


def under_way(conn: Connection, table: str, row_ids: Sequence[UUID], *, since: datetime) -> set[UUID]:
    """Those of the rows that we are writing, or that the CRM acknowledged from us since an instant of the store's clock.

    What was read of them since then may be from before or after, and what is known of them may not fit it.
    """
    values = {"table": table, "ids": list(row_ids), "since": since}
    return set(conn.execute(text(_UNDER_WAY), values).scalars())


def contacts_of_ours(conn: Connection) -> dict[str, dict[str, Any]]:
    """What the CRM acknowledged from us of every contact of ours, by id."""
    statement = "select row_id, columns from intake.crm_row where table_name = 'contact' and is_ours"
    return {str(row.row_id): row.columns for row in conn.execute(text(statement))}


def members_of_ours(conn: Connection, *, among: Sequence[UUID] | None = None) -> Sequence[RowMapping]:
    """Whom we put on marketing lists (of some addresses) and whose contact is there.

    row_id, list_id, contact_id, address; `acked_at` is when they were on the list, by the store's clock.
    """
    return conn.execute(text(_MEMBERS), {"among": among if among is None else list(among)}).mappings().all()


def known_ids(conn: Connection, table: str) -> set[UUID]:
    """The ids of every row of a table that is known."""
    return set(conn.execute(text(_IDS), {"table": table}).scalars())


def note_rows(conn: Connection, noted: Sequence[NotedRow]) -> None:
    """Remember values and marks of rows, each row once, None taking one away; an unknown row is kept as not ours."""
    if not noted:
        return
    values = {
        "tables": [row.table for row in noted],
        "ids": [row.row_id for row in noted],
        "columns": [orjson.dumps(dict(row.columns)).decode() for row in noted],
        "edits": [orjson.dumps(dict(row.edits)).decode() for row in noted],
        "keys": [orjson.dumps(list(row.keys)).decode() for row in noted],
    }
    conn.execute(text(_NOTE_KNOWN), values)
    conn.execute(text(_NOTE_NEW), values)


def ids_of(conn: Connection, table: str, contact_point_ids: Sequence[UUID]) -> list[UUID]:
    """The rows of a table that are known of some addresses, ours or not, and were not deleted there."""
    statement = f"{_IDS} and contact_point_id = any(:ids) and not edits ? 'gone' order by row_id"
    return list(conn.execute(text(statement), {"table": table, "ids": list(contact_point_ids)}).scalars())


def dirty_by_rows(conn: Connection, rows: Iterable[tuple[str, UUID]]) -> None:
    """Have the addresses of the given rows planned anew."""
    _over(conn, _DIRTY_BY_ROWS, rows)


def forget_rows(conn: Connection, rows: Iterable[tuple[str, UUID]]) -> None:
    """Take rows as not being in the CRM."""
    _over(conn, _FORGET, rows)


def _over(conn: Connection, statement: str, rows: Iterable[tuple[str, UUID]]) -> None:
    if pairs := list(rows):
        tables, ids = zip(*pairs, strict=True)
        conn.execute(text(statement), {"tables": list(tables), "ids": list(ids)})


def cursor_of(conn: Connection, table: str) -> tuple[str, str, datetime] | None:
    """The delta link of a table, the columns it is good for, when the reading that gave it began; None before the first."""
    statement = "select delta_link, selected, moved_at from intake.crm_cursor where table_name = :table"
    row = conn.execute(text(statement), {"table": table}).first()
    return None if row is None else (row.delta_link, row.selected, row.moved_at)


def move_cursor(conn: Connection, table: str, link: str, *, selected: str, at: datetime) -> None:
    """Keep a delta link, byte for byte; `at` is when the reading began, by the store's clock."""
    conn.execute(text(_MOVE), {"table": table, "link": link, "selected": selected, "at": at})


def own_organisation(conn: Connection, organisation_id: UUID) -> UUID:
    """The CRM's organisation that the store belongs to; the one given, from now on, where it belongs to none yet."""
    conn.execute(text(_BELONG), {"id": organisation_id})
    own: UUID = conn.execute(text("select organisation_id from intake.crm_organisation")).scalar_one()
    return own


def add_finding(conn: Connection, kind: str, table: str, row_id: UUID, *, detail: str, at: datetime) -> None:
    """Write down what an operator is to know of a row; found again, it is dated anew."""
    conn.execute(text(_FIND), {"kind": kind, "table": table, "row_id": row_id, "detail": detail, "at": at})

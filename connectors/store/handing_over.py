"""Contacts that we made and that are about to go, and those of them that others use: they are not ours any more."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store.bearers import BEARERS_OF
from connectors.store.due_sql import DUE

_LEAVING = f"""
select r.row_id from intake.contact_point c
join intake.crm_row r on r.contact_point_id = c.contact_point_id and r.table_name = 'contact' and r.is_ours
where c.contact_point_id in ({DUE})
  and (cast(:allowed as text[]) is null or c.address_key = any(:allowed))
  and not exists ({BEARERS_OF.format("r.row_id")})
union
select r.row_id from intake.contact_point c
join intake.crm_row r on r.contact_point_id = c.contact_point_id and r.table_name = 'contact'
    and r.edits ? 'merged' and not r.edits ? 'handed_over'
join intake.person p on p.person_id = r.row_id
where c.contact_point_id in ({DUE})
  and (cast(:allowed as text[]) is null or c.address_key = any(:allowed))
  and not exists (
      select from intake.person_purpose u where u.person_id = r.row_id and u.purpose = any(:showing)
        and (u.ends_at is null or u.ends_at > :now))
order by row_id
"""

# Its person keeps it, as people do whose contact the CRM had by itself.
_HAND_OVER = (
    """
    insert into intake.crm_link (person_id, row_id, state, since_at)
    select p.person_id, p.person_id, 'adopted', :at from intake.person p
    join intake.crm_row r on r.table_name = 'contact' and r.row_id = p.person_id and r.is_ours
    where p.person_id = any(:ids)
    on conflict (person_id) do nothing
    """,
    # One that was merged away has its person elsewhere.
    """
    update intake.crm_row set edits = edits || jsonb_build_object('handed_over', cast(:at as text))
    where table_name = 'contact' and row_id = any(:ids) and edits ? 'merged'
    """,
    "update intake.crm_row set is_ours = false where table_name = 'contact' and row_id = any(:ids) and is_ours",
)


def leaving_contacts(
    conn: Connection, *, now: datetime, showing: Sequence[str], allowed: Sequence[str] | None
) -> list[UUID]:
    """The contacts that the next plan would delete, those that staff merged away among them; `showing` are the purposes
    that show one."""
    values = {"now": now, "showing": list(showing), "allowed": None if allowed is None else list(allowed)}
    return list(conn.execute(text(_LEAVING), values).scalars())


def hand_over(conn: Connection, row_ids: Sequence[UUID], *, at: datetime) -> None:
    """Take these contacts as the CRM's own: of such a one only what we wrote is ever taken back."""
    for statement in _HAND_OVER:
        conn.execute(text(statement), {"ids": list(row_ids), "at": at})

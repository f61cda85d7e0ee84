"""Contacts of the CRM as a mailing sees them: whose address each is, whether it may be mailed, which link it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

# Agreed: the fold has a grant, or (for what needs none) the purpose lives and nobody objected.
_MAILABLE = """
select r.row_id, r.contact_point_id, r.columns ->> 'crmi_preferencelink' as link,
       coalesce(s.state = 'granted', false) or s.state is null and :topic = '' and exists (
           select from intake.person_purpose u where u.contact_point_id = r.contact_point_id
             and u.purpose = :purpose and (u.ends_at is null or u.ends_at > :now)) as is_allowed
from intake.crm_row r left join intake.consent_state s
  on s.contact_point_id = r.contact_point_id and s.purpose = :purpose and s.topic = :topic
where r.table_name = 'contact' and r.row_id = any(:ids) and r.contact_point_id is not null
  and (r.is_ours or exists (select from intake.crm_link l where l.row_id = r.row_id and l.state <> 'gone'))
"""

_WITHOUT_LINK = """
update intake.contact_point c set version = version + 1
where exists (
    select from intake.crm_row r where r.contact_point_id = c.contact_point_id and r.table_name = 'contact'
      and (r.is_ours or exists (select from intake.crm_link l where l.row_id = r.row_id and l.state <> 'gone'))
      and not r.columns ? :column and r.columns ->> 'donotbulkemail' = 'false')
"""


@dataclass(frozen=True, slots=True)
class Mailable:
    """A contact that we keep: its contact point, whether what is asked about may be sent, the link that it has."""

    contact_point_id: UUID
    is_allowed: bool
    link: str | None


def mailable(
    conn: Connection, row_ids: Sequence[UUID], *, purpose: str, topic: str, now: datetime
) -> dict[UUID, Mailable]:
    """Those of the contacts that are ours or that we use, by row id; topic '' is the purpose as a whole."""
    values = {"ids": list(row_ids), "purpose": purpose, "topic": topic, "now": now}
    rows = conn.execute(text(_MAILABLE), values)
    return {row.row_id: Mailable(row.contact_point_id, row.is_allowed, row.link) for row in rows}


def addresses_without_link(conn: Connection, column: str) -> int:
    """Have the addresses planned anew whose open contact has no link; returns how many."""
    return conn.execute(text(_WITHOUT_LINK), {"column": column}).rowcount

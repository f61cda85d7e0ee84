"""Who shows a contact of the CRM into which staff merged the contacts of several people.

Such a row is one person's at a time, or two addresses would write it by turns and neither would be right: the person
for whom it was made while a purpose of theirs shows contacts, else the first of the others for whom one does. Whoever
shows it has it under their address; when that person's purposes end, it is handed on instead of deleted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store.due_sql import DUE
from schemas.tables import REGISTRATION

# A contact that somebody deleted in the CRM is not made again, unless its person acts anew.
IS_SHOWN = """({link}.state is distinct from 'gone' or exists (
    select from intake.submission n join intake.subject m using (subject_id)
    where m.person_id = {link}.person_id and coalesce(n.submitted_from, n.received_at) > {link}.since_at))"""

RANK = "case when {person}.person_id = {link}.row_id then 0 when {link}.state = 'adopted' then 1 else 2 end"

_LIVES = """exists (select from intake.person_purpose u where u.person_id = o.person_id
    and u.purpose = any(:showing) and (u.ends_at is null or u.ends_at > :now))"""

# person_id, contact_point_id and rank of everybody who could show a contact (an expression in place of {0}) now.
BEARERS_OF = f"""
select o.person_id, o.contact_point_id, {RANK.format(person="o", link="k")} as rank
from intake.crm_link k join intake.person o using (person_id)
where k.row_id = {{0}} and {_LIVES} and {IS_SHOWN.format(link="k")}
union all
select o.person_id, o.contact_point_id, 0 from intake.person o
where o.person_id = {{0}} and {_LIVES} and not exists (select from intake.crm_link k where k.person_id = o.person_id)
"""

_DUE = f"c.contact_point_id in ({DUE})"
_AMONG = "c.contact_point_id = any(:among)"

# Contacts that are under an address other than that of who is to show them, where anything may have changed of somebody
# whose contact it is. Merges are few: the search begins at them.
_MISPLACED = """
with shared as (
    select distinct m.row_id from intake.crm_link m where m.state = 'merged'
), due as (
    select s.row_id from shared s join intake.crm_link l on l.row_id = s.row_id
    join intake.person p on p.person_id = l.person_id
    join intake.contact_point c on c.contact_point_id = p.contact_point_id where {due}
    union
    select s.row_id from shared s join intake.person p on p.person_id = s.row_id
    join intake.contact_point c on c.contact_point_id = p.contact_point_id where {due}
)
select r.row_id, r.contact_point_id as old_id, h.contact_point_id as new_id
from due d join intake.crm_row r on r.table_name = 'contact' and r.row_id = d.row_id
cross join lateral (select b.contact_point_id from ({bearers}) b order by b.rank, b.person_id limit 1) h
where r.contact_point_id is distinct from h.contact_point_id {only}
order by r.row_id
"""

_MOVE = """
update intake.crm_row set contact_point_id = :new_id
where (table_name = 'contact' and row_id = :row_id)
   or (table_name = 'listmember' and contact_point_id = :old_id
       and columns ->> 'entityid_contact@odata.bind' = '/contacts(' || cast(:row_id as text) || ')')
"""

# A registration that another person has by now keeps its row in the CRM: it is theirs to correct, not the former one's
# to remove.
_REGISTERED = f"""
update intake.crm_row r set contact_point_id = g.contact_point_id
from intake.contact_point c join intake.registration g on g.contact_point_id = c.contact_point_id
where r.table_name = '{REGISTRATION.logical_name}' and r.row_id = g.registration_id
  and r.contact_point_id <> g.contact_point_id and {_DUE}
"""

_TOUCH = "update intake.contact_point set version = version + 1 where contact_point_id = any(:ids)"


def hand_on(conn: Connection, *, now: datetime, showing: Sequence[str], among: Sequence[UUID] | None = None) -> int:
    """Put each shared contact, and each registration, under the address of whose it is now; returns how many contacts moved.

    `showing` are the purposes that show a contact. Looked at are those of people whose address is to be planned, or of
    whoever has one of the addresses `among`: then a contact comes only to these, and registrations, which a narrow
    synchronisation does not write, stay. Both addresses of a contact are to be planned anew.
    """
    if among is None:
        conn.execute(text(_REGISTERED), {"now": now})
    due = _DUE if among is None else _AMONG
    statement = _MISPLACED.format(
        due=due,
        bearers=BEARERS_OF.format("d.row_id"),
        only="" if among is None else "and h.contact_point_id = any(:among)",
    )
    values: dict[str, Any] = {"now": now, "showing": list(showing)}
    values |= {} if among is None else {"among": list(among)}
    moves = [dict(row) for row in conn.execute(text(statement), values).mappings()]
    for move in moves:
        conn.execute(text(_MOVE), move)
    if moves:
        touched = {move[name] for move in moves for name in ("old_id", "new_id")} - {None}
        conn.execute(text(_TOUCH), {"ids": sorted(touched)})
    return len(moves)


_OTHERS = """
select p.contact_point_id from intake.crm_link l join intake.person p using (person_id) where l.row_id = :row_id
union
select p.contact_point_id from intake.person p where p.person_id = :row_id
"""

_FORGET = (
    "delete from intake.crm_row where table_name = 'contact' and row_id = :row_id",
    # Whose registrations were the contact's, they are to be again.
    f"""
    update intake.crm_row set columns = columns - 'msevtmgt_ContactId@odata.bind'
    where table_name = '{REGISTRATION.logical_name}' and contact_point_id in ({_OTHERS})
      and columns ->> 'msevtmgt_ContactId@odata.bind' = '/contacts(' || cast(:row_id as text) || ')'
    """,
    f"update intake.contact_point set version = version + 1 where contact_point_id in ({_OTHERS})",
)


def forget_contact(conn: Connection, row_id: UUID) -> None:
    """Nothing is known of a contact any more that was erased in the CRM; whoever else had it is planned anew."""
    for statement in _FORGET:
        conn.execute(text(statement), {"row_id": row_id})

"""The review list: contacts of the CRM that may be a person's of ours, until somebody has decided."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

_LIST = """
select review_id, row_id, contact_point_id, persons, reason, state, first_seen_at, decided_by, decided_at
from intake.crm_review where :every or state = 'open' order by first_seen_at, review_id
"""

_ONE = "select review_id, row_id, contact_point_id, persons, state from intake.crm_review where review_id = :review_id"

_RULE = """
update intake.crm_review set state = :state, decided_by = :by, decided_at = :at where review_id = :review_id
"""

_SETTLE = """
update intake.crm_review set persons = array_remove(persons, :person),
    state = case when cardinality(array_remove(persons, :person)) = 0 then 'settled' else state end
where state in ('open', 'ignored') and :person = any(persons)
"""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided, by whom, when."""

    state: str
    by: str
    at: datetime


def reviews(conn: Connection, *, every: bool) -> list[dict[str, Any]]:
    """What is up for decision (or all there ever was), oldest first."""
    return [dict(row) for row in conn.execute(text(_LIST), {"every": every}).mappings()]


def review(conn: Connection, review_id: int) -> dict[str, Any] | None:
    """One entry; None where there is none of that number."""
    row = conn.execute(text(_ONE), {"review_id": review_id}).mappings().one_or_none()
    return None if row is None else dict(row)


def rule(conn: Connection, review_id: int, ruling: Ruling) -> None:
    """Write a decision down."""
    values = {"review_id": review_id, "state": ruling.state, "by": ruling.by, "at": ruling.at}
    conn.execute(text(_RULE), values)


def settle_person(conn: Connection, person_id: UUID) -> None:
    """A person whose contact is known is in doubt nowhere."""
    conn.execute(text(_SETTLE), {"person": person_id})

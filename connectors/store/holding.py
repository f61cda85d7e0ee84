"""What is kept although its end has passed: held by law, or owed to whoever asked for it. One rule for store and CRM.

The addresses of persons whom a legal hold keeps, and of whoever registered for an occasion that one keeps; of people who
are restricted or ask to be (GDPR Art. 18(1)(b, c)); and those of whom a copy was asked for that is still owed (Art. 15, 20).
"""

from datetime import datetime

from sqlalchemy import Connection, text

_STANDS = "h.released_at is null and (h.until_on is null or h.until_on >= cast(:now as date))"

HELD_OCCASIONS = f"select h.occasion_pk from intake.legal_hold h where h.occasion_pk is not null and {_STANDS}"

HELD_POINTS = f"""
select p.contact_point_id from intake.legal_hold h join intake.person p using (person_id) where {_STANDS}
union
select g.contact_point_id from intake.registration g join ({HELD_OCCASIONS}) h using (occasion_pk)
union
select contact_point_id from intake.restriction
union
select contact_point_id from intake.data_request
where state = 'open' and kind in ('access', 'portability', 'restriction') and contact_point_id is not null
union
select contact_point_id from intake.person_request where state = 'open' and kind = 'export'
"""

# Few are held, and nearly always the same as at the last plan: neither is looked for among all addresses.
_CHANGED = f"""
with held as materialized ({HELD_POINTS}), marked as materialized (
    select contact_point_id from intake.contact_point where is_held
)
(select contact_point_id from held except select contact_point_id from marked)
union all
(select contact_point_id from marked except select contact_point_id from held)
"""

_MARK = """
update intake.contact_point set is_held = not is_held, version = version + cast(is_held as int)
where contact_point_id = any(:ids)
"""


def mark_held(conn: Connection, *, now: datetime) -> None:
    """Note on each address whether it is kept now. One that is not any more is to be planned anew, however that ended."""
    changed = list(conn.execute(text(_CHANGED), {"now": now}).scalars())
    if changed:
        conn.execute(text(_MARK), {"ids": changed})

"""Gathering counts of participants before personal data goes, and keeping what was published of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text

from connectors.store.statistic_tables import PARTICIPATION, STATISTIC_CELL, STATISTIC_PERIOD

# Of a course or event that is over, that was in no month that is published, nor is now, and of which no registration has
# outlived its time. In a second month, to which its end was moved, it would tell what was withheld in the first.
# An end is the first moment after: at midnight, it is of the month before. One that tells no end is over when it has begun;
# one without any date is in no month (connectors.store.watching tells).
_OVER = """
create temporary table t_over on commit drop as
select o.occasion_pk, o.source, o.occasion_id, coalesce(o.name, o.occasion_id) as name, o.kind,
    coalesce(o.field, 'unknown') as topic, date_trunc('month', d.over_at at time zone :timezone)::date as month
from intake.occasion o cross join lateral (
    select coalesce(o.ends_at - interval '1 microsecond', o.starts_at) as over_at) d
where d.over_at <= :now and exists (select from intake.registration g where g.occasion_pk = o.occasion_pk)
  and not exists (select from intake.statistic_period p
                  where p.period = to_char(d.over_at at time zone :timezone, 'YYYY-MM'))
  and not exists (select from intake.statistic_occasion p where p.source = o.source and p.occasion_id = o.occasion_id)
  and not exists (select from intake.participation c
                  where c.source = o.source and c.occasion_id = o.occasion_id and c.is_final)
"""
_AGAIN = """
delete from intake.participation p using t_over o where p.source = o.source and p.occasion_id = o.occasion_id
"""
# Nobody is left of it, and not by retention, which would have made its numbers final: those people were erased, or undone.
_EMPTIED = """
delete from intake.participation p where not p.is_final and not exists (
    select from intake.occasion o join intake.registration g using (occasion_pk)
    where o.source = p.source and o.occasion_id = p.occasion_id)
"""
_COUNTED = """
insert into intake.participation (source, occasion_id, region, name, kind, topic, month, participants)
select o.source, o.occasion_id,
    case when coalesce(s.country, 'FI') <> 'FI' then 'abroad' else coalesce(r.region, 'unknown') end,
    o.name, o.kind, o.topic, o.month, count(distinct g.subject_id)
from t_over o join intake.registration g using (occasion_pk)
left join intake.submission s on s.source = g.source and s.submission_id = g.submission_id
left join unnest(cast(:prefixes as text[]), cast(:regions as text[])) as r(prefix, region)
    on r.prefix = left(s.postal_code, 2)
where g.status = 'active' group by 1, 2, 3, 4, 5, 6, 7
"""

_PUBLISHED = """
insert into intake.statistic_occasion (source, occasion_id, period)
select distinct source, occasion_id, :period from intake.participation where month = :month
"""


def gather(conn: Connection, regions: dict[str, str], *, now: datetime, timezone: str) -> int:
    """Count the participants of what is over, anew as long as the month is not published; how many counts there are.

    Once retention has deleted registrations of an occasion its count is final: what others stay for (a legal hold, news
    of similar events) is no reason to count them alone. `regions` is the region by the first two digits of a postal code.
    To be done before any of it is deleted.
    """
    conn.execute(text(_OVER), {"now": now, "timezone": timezone})
    conn.execute(text(_AGAIN))
    conn.execute(text(_EMPTIED))
    told = {"prefixes": list(regions), "regions": list(regions.values())}
    gathered = conn.execute(text(_COUNTED), told).rowcount
    conn.execute(text("drop table t_over"))
    return gathered


def counts_of(conn: Connection, month: date) -> list[dict[str, Any]]:
    """The gathered counts of a month."""
    query = select(PARTICIPATION).where(PARTICIPATION.c.month == month)
    return [dict(row) for row in conn.execute(query.order_by(*PARTICIPATION.primary_key.columns)).mappings()]


def gathered_months(conn: Connection) -> list[date]:
    """The months that are gathered and not published."""
    return list(conn.execute(select(PARTICIPATION.c.month).distinct().order_by(PARTICIPATION.c.month)).scalars())


def is_published(conn: Connection, period: str) -> bool:
    """Whether a period was published already."""
    query = select(STATISTIC_PERIOD.c.period).where(STATISTIC_PERIOD.c.period == period)
    return conn.execute(query).first() is not None


def publish(
    conn: Connection,
    cells: Sequence[dict[str, Any]],
    *,
    period: str,
    month: date,
    smallest_cell: int,
    by: str,
    at: datetime,
) -> None:
    """Keep what is published and of which occasions; let go of the counts it was made of, in the caller's transaction."""
    told = {"period": period, "smallest_cell": smallest_cell, "published_by": by, "published_at": at}
    conn.execute(insert(STATISTIC_PERIOD).values(told))
    if cells:
        conn.execute(insert(STATISTIC_CELL), [{**cell, "period": period} for cell in cells])
    conn.execute(text(_PUBLISHED), {"period": period, "month": month})
    conn.execute(delete(PARTICIPATION).where(PARTICIPATION.c.month == month))


def published(conn: Connection, period: str | None = None) -> list[dict[str, Any]]:
    """Published cells, of one period or of all; participants None where withheld."""
    query = select(STATISTIC_CELL).order_by(*STATISTIC_CELL.primary_key.columns)
    if period is not None:
        query = query.where(STATISTIC_CELL.c.period == period)
    return [dict(row) for row in conn.execute(query).mappings()]

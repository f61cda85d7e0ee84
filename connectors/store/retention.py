"""Retention in the store: each rule of the policy as a deletion, in the caller's transaction and by its own role."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store import retention_sql
from schemas.tables import EVENT

# By the database's own policy nothing younger can be deleted from the log.
READINGS_DAYS = 731
DETAILS = ("with_phone", "with_organisation", "with_place")
EVENT_KIND, COURSE_KIND = "event_registration", "course_registration"


@dataclass(frozen=True, slots=True)
class Related:
    """A purpose that stands on registrations under a notice: its days from each (None: until it is lowered), and whether
    on those that were no sale, too."""

    purpose: str
    days: int | None
    without_sale: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """Days that things are kept, as the policy has them; None: no such purpose, nothing is deleted for it.

    `related`: news of similar events. `with_…`: the purposes that use a detail.
    """

    event: int | None
    course: int | None
    related: tuple[Related, ...]
    enquiry: int | None
    evidence: int
    quarantine: int
    with_phone: tuple[str, ...] = ()
    with_organisation: tuple[str, ...] = ()
    with_place: tuple[str, ...] = ()


def begin(conn: Connection, *, now: datetime) -> None:
    """Make the temporary tables that the rules share."""
    for name in (*retention_sql.TEMPORARY, "t_gone_person", "t_gone_point"):
        conn.execute(text(f"drop table if exists pg_temp.{name}"))
    for statement in retention_sql.HELD:
        _run(conn, statement, {"now": now})


def delete_overdue(conn: Connection, limits: Limits, *, now: datetime) -> dict[str, int]:
    """Delete what is overdue of registrations, answers, messages, evidence, quarantine and landing; rows by rule."""
    related = {
        "related": [one.purpose for one in limits.related],
        "related_days": [one.days for one in limits.related],
        "without_sale": [one.without_sale for one in limits.related],
    }
    by_rule: dict[str, tuple[int | None, dict[str, Any]]] = {
        "event_answers": (limits.event, {"kind": EVENT_KIND}),
        "event_registrations": (limits.event, {"kind": EVENT_KIND, **related}),
        "course_answers": (limits.course, {"kind": COURSE_KIND}),
        "course_registrations": (limits.course, {"kind": COURSE_KIND, **related}),
        "enquiry_messages": (limits.enquiry, {}),
        "groundless_answers": (0, {}),
        "contact_details": (0, {name: list(getattr(limits, name)) for name in DETAILS}),
        "groundless_submissions": (limits.quarantine, {}),
        "disclosed_references": (limits.evidence, {}),
        "answered_requests": (limits.evidence, {}),
        "ended_holds": (limits.evidence, {}),
        "ended_accesses": (limits.evidence, {}),
        "log_of_readings": (READINGS_DAYS, {}),
        "evidence": (limits.evidence, {}),
        "quarantine": (limits.quarantine, {}),
        "landing": (0, {}),
    }
    return {
        rule: 0 if days is None else sum(_each(conn, retention_sql.RULES[rule], {"now": now, "days": days, **more}))
        for rule, (days, more) in by_rule.items()
    }


def delete_people(conn: Connection, limits: Limits, *, now: datetime) -> dict[str, int]:
    """Delete whose last purpose has ended and whom the CRM holds no more, then addresses and occasions of no use."""
    conn.execute(text(retention_sql.FIND_PEOPLE), {"now": now})
    gone = {"people": list(_each(conn, retention_sql.DELETE_PEOPLE, {"now": now}))[-1]}
    conn.execute(text(retention_sql.FIND_POINTS))
    gone["addresses"] = list(_each(conn, retention_sql.DELETE_POINTS, {}))[-1]
    gone["occasions"] = 0
    for kind, days in ((EVENT_KIND, limits.event), (COURSE_KIND, limits.course)):
        values = {"kind": kind, "days": days, "now": now, "events": EVENT.logical_name}
        gone["occasions"] += 0 if days is None else _run(conn, retention_sql.DELETE_OCCASIONS, values)
    gone["submission_ids"] = _run(conn, retention_sql.FORGET_SUBMISSION_IDS, {})
    return gone


def touched(conn: Connection) -> list[UUID]:
    """The addresses of which something went and that are there still."""
    statement = "select distinct contact_point_id from t_touched join intake.contact_point using (contact_point_id)"
    found = list(conn.execute(text(statement)).scalars())
    conn.execute(text("delete from t_touched"))
    return found


def events_of_no_use(conn: Connection, *, now: datetime) -> list[tuple[UUID, int]]:
    """Courses and events of ours in the CRM that are over and that nobody is registered for any more: id and version."""
    values = {"now": now, "events": EVENT.logical_name}
    return [(row.row_id, row.version) for row in conn.execute(text(retention_sql.EVENTS_OF_NO_USE), values)]


def add_hold(
    conn: Connection,
    hold_id: UUID,
    *,
    person_id: UUID | None,
    occasion_pk: UUID | None,
    told: Mapping[str, Any],
) -> None:
    """Keep what is of a person or an occasion until a day; `told` has until_on, reason, held_by, made_at."""
    statement = (
        "insert into intake.legal_hold (hold_id, person_id, occasion_pk, until_on, reason, held_by, made_at)"
        " values (:hold_id, :person_id, :occasion_pk, :until_on, :reason, :held_by, :made_at)"
    )
    conn.execute(text(statement), {"hold_id": hold_id, "person_id": person_id, "occasion_pk": occasion_pk, **told})


def release_hold(conn: Connection, hold_id: UUID, *, by: str, at: datetime) -> bool:
    """End a hold; False where it does not hold (any more)."""
    statement = (
        "update intake.legal_hold set released_at = :at, released_by = :by where hold_id = :id and released_at is null"
    )
    return conn.execute(text(statement), {"id": hold_id, "by": by, "at": at}).rowcount > 0


def list_holds(conn: Connection, *, today: date) -> list[dict[str, Any]]:
    """Every hold, the newest first; `holds` tells whether it keeps anything today."""
    statement = (
        "select h.*, o.name as occasion, h.released_at is null and (h.until_on is null or h.until_on >= :today) as holds"
        " from intake.legal_hold h left join intake.occasion o using (occasion_pk) order by h.made_at desc"
    )
    return [dict(row) for row in conn.execute(text(statement), {"today": today}).mappings()]


def is_held(conn: Connection, person_ids: Iterable[UUID], *, today: date) -> bool:
    """Whether a hold keeps one of these persons, by name or by an occasion they registered for."""
    statement = (
        "select exists (select from intake.legal_hold h where h.released_at is null"
        " and (h.until_on is null or h.until_on >= :today) and (h.person_id = any(:ids) or exists ("
        " select from intake.registration g join intake.subject s using (subject_id)"
        " where g.occasion_pk = h.occasion_pk and s.person_id = any(:ids))))"
    )
    return bool(conn.execute(text(statement), {"ids": list(person_ids), "today": today}).scalar())


def find_occasion(conn: Connection, named: str) -> list[UUID]:
    """The occasions with an id of ours or of the source."""
    statement = "select occasion_pk from intake.occasion where occasion_id = :named or occasion_pk::text = :named"
    return list(conn.execute(text(statement), {"named": named}).scalars())


def _each(conn: Connection, statements: Iterable[str], known: dict[str, Any]) -> Iterable[int]:
    return [_run(conn, statement, known) for statement in statements]


def _run(conn: Connection, statement: str, known: dict[str, Any]) -> int:
    clause = text(statement)
    return conn.execute(clause, {name: known[name] for name in clause._bindparams}).rowcount

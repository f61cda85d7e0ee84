"""Planning: the dirty addresses against what the CRM acknowledged, written down as intents before anything is sent.

A plan that would raise, clear or delete more than the blast radius waits for approval by a named person; its lowerings
do not wait. A plan's id names exactly its writes, so that an approval is for these and no others.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from connectors.store import bearers, outbox
from connectors.store.planning import load_occasions
from pipelines.operations.collecting import collected_seldom
from pipelines.operations.link_maker import link_maker
from pipelines.operations.sessions import Session
from pipelines.operations.views import iter_views, showing_purposes
from pipelines.transforms.minimise import minimise_occasion
from pipelines.transforms.plan import is_guarded, plan_address, plan_id, plan_occasion
from schemas.intents import Intent
from schemas.tables import CONTACT, EVENT


@dataclass
class Plan:
    """What would be written. `waits` tells that all but its lowerings need `run --approve plan_id`.

    `refused` are the reasons for which the CRM's set-up lets nothing but lowerings through, approved or not.
    """

    plan_id: str
    intents: list[Intent]
    waits: bool
    guarded: int
    limit: int
    unchanged: list[tuple[UUID, int]] = field(default_factory=list)
    refused: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Intents per phase and table."""
        return dict(sorted(Counter(f"{i.phase.name.lower()}:{i.table_name}" for i in self.intents).items()))


def make_plan(session: Session, conn: Connection) -> Plan:
    """Plan every dirty address and occasion, in the caller's transaction; no intent is written yet."""
    intents: list[Intent] = list(_plan_occasions(conn))
    unchanged: list[tuple[UUID, int]] = []
    policy = session.workspace.policy
    links = link_maker(session.workspace)
    bearers.hand_on(conn, now=session.now, showing=showing_purposes(policy))
    for view, acknowledged in iter_views(conn, policy, now=session.now, links=links):
        planned = plan_address(view, acknowledged, policy, now=session.now)
        if planned:
            intents.extend(planned)
        else:
            unchanged.append((view.contact_point_id, view.version))
    guarded = sum(map(is_guarded, intents))
    limit = blast_radius(session, conn, guarded=guarded)
    name = plan_id(intents)
    waits = guarded > limit and not is_approved(conn, name, since=approvals_since(session))
    return Plan(name, intents, waits, guarded, limit, unchanged)


def _plan_occasions(conn: Connection) -> Iterator[Intent]:
    for row in load_occasions(conn, table=EVENT.logical_name):
        columns = minimise_occasion(row["name"], row["kind"], row["starts_at"], row["ends_at"])
        yield from plan_occasion(row["occasion_pk"], columns, row["columns"], version=row["version"])


def blast_radius(session: Session, conn: Connection, *, guarded: int) -> int:
    """How many rows may be raised, cleared or deleted without approval; at least `guarded` says that so many may.

    Of our contacts only as many are counted as decide that: to count all is a scan of the whole table at each run and
    each click.
    """
    radius = session.workspace.policy.crm.blast_radius
    if guarded <= radius.rows or radius.share == 0:
        return radius.rows
    statement = (
        "select count(*) from ("
        " select from intake.crm_row where table_name = :table and is_ours limit :enough) as contact"
    )
    enough = ceil(guarded / radius.share) + 1
    contacts = conn.execute(text(statement), {"table": CONTACT.logical_name, "enough": enough}).scalar_one()
    return max(radius.rows, int(radius.share * contacts))


def approvals_since(session: Session) -> datetime:
    """The instant after which an approval must have been given to be good now."""
    return session.now - timedelta(days=session.workspace.policy.crm.approval_days)


def is_approved(conn: Connection, plan: str, *, since: datetime) -> bool:
    """Whether a named person approved exactly this plan after an instant; an older approval has expired."""
    statement = "select approved_by is not null and approved_at > :since from intake.plan where plan_id = :plan"
    return bool(conn.execute(text(statement), {"plan": plan, "since": since}).scalar())


def approve_plan(conn: Connection, plan: str, *, by: str, session: Session) -> bool:
    """Approve a waiting plan by name; False where no plan of that id waits."""
    statement = (
        "update intake.plan set approved_by = :by, approved_at = :at, state = 'approved'"
        " where plan_id = :plan and state = 'waiting'"
    )
    return conn.execute(text(statement), {"plan": plan, "by": by, "at": session.now}).rowcount > 0


def write_plan(session: Session, conn: Connection, *, refused: tuple[str, ...] = ()) -> Plan:
    """Replace what is open in the outbox by the plan as of now, in the caller's transaction.

    Held back by `refused` is more than what raises: an Opted Out row that goes is all that suppresses its address while
    a purpose is open to people without one.
    """
    outbox.supersede_open(conn)
    with collected_seldom():
        plan = replace(make_plan(session, conn), refused=refused)
        held = plan.waits or bool(refused)
        outbox.add_intents(conn, plan.intents, plan_id=plan.plan_id, run_id=session.run_id, guarded_wait=held)
    outbox.close_unchanged(conn, plan.unchanged, now=session.now)
    _record(conn, plan, session)
    return plan


def _record(conn: Connection, plan: Plan, session: Session) -> None:
    statement = (
        "insert into intake.plan as old (plan_id, run_id, counts, state, made_at)"
        " values (:plan_id, :run_id, cast(:counts as jsonb), :state, :at)"
        " on conflict (plan_id) do update set run_id = excluded.run_id, made_at = excluded.made_at,"
        " state = case when excluded.state = 'waiting' then 'waiting' else old.state end,"
        " approved_by = case when excluded.state <> 'waiting' then old.approved_by end,"
        " approved_at = case when excluded.state <> 'waiting' then old.approved_at end"
    )
    values: dict[str, Any] = {
        "plan_id": plan.plan_id,
        "run_id": session.run_id,
        "counts": _json(plan.counts()),
        "state": "waiting" if plan.waits else "open",
        "at": session.now,
    }
    conn.execute(text(statement), values)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()

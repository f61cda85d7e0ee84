"""Planning: the dirty addresses against what the CRM acknowledged, written down as intents before anything is sent.

A plan that would raise, clear or delete more than the blast radius waits for approval by a named person; its lowerings
do not wait. A plan's id names exactly its writes, so that an approval is for these and no others.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from math import ceil
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Connection, RowMapping, text

from connectors.store import bearers, outbox
from connectors.store.holding import mark_held
from connectors.store.planning import await_listing, load_occasions
from pipelines.operations.collecting import collected_seldom
from pipelines.operations.link_maker import link_maker
from pipelines.operations.sessions import Session
from pipelines.operations.views import iter_view_chunks, showing_purposes
from pipelines.transforms.minimise import minimise_occasion
from pipelines.transforms.plan import is_guarded, plan_address, plan_occasion
from pipelines.transforms.plan_name import PlanName
from schemas.intents import Intent, Phase
from schemas.tables import CONTACT, EVENT

# Intents of one COPY: after as many it is looked whether the plan has grown past what may be sent without approval.
COPIED_AT_ONCE, LEAST_COPIED = 5_000, 100


@dataclass(frozen=True)
class Plan:
    """What would be written, by phase and table. `waits`: all but its lowerings needs `run --approve plan_id --by NAME`.

    `refused` are the reasons for which the CRM's set-up lets nothing but lowerings through, approved or not.
    """

    plan_id: str
    tally: Mapping[tuple[Phase, str], int]
    waits: bool
    guarded: int
    limit: int
    refused: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many intents there are."""
        return sum(self.tally.values())

    def counts(self) -> dict[str, int]:
        """Intents per phase and table."""
        return dict(sorted((f"{phase.name.lower()}:{table}", n) for (phase, table), n in self.tally.items()))


def make_plan(session: Session, conn: Connection, *, each: Callable[[Intent], object] | None = None) -> Plan:
    """Plan every dirty address and occasion, in the caller's transaction; no intent is written down or kept.

    `each` is shown every intent, in the order planned.
    """
    tally = _Tally()
    for chunk in _iter_planned(session, conn):
        for planned in chunk:
            tally.add(planned.intents)
            if each is not None:
                for intent in planned.intents:
                    each(intent)
    return _judged(session, conn, tally)


@dataclass(frozen=True, slots=True)
class _Planned:
    """The intents of one address (or occasion), and for an address its id and version, and whether it is on the allow list."""

    intents: list[Intent]
    address: tuple[UUID, int] | None = None
    is_listed: bool = True


class _Tally:
    """What is kept of intents once they are written down: counts, and their share in the plan's name."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[Phase, str]] = Counter()
        self.guarded = 0
        self.name = PlanName()

    def add(self, intents: Sequence[Intent]) -> None:
        self.counted.update((intent.phase, intent.table_name) for intent in intents)
        self.guarded += sum(map(is_guarded, intents))
        self.name.add(intents)


def _iter_planned(session: Session, conn: Connection) -> Iterator[Iterator[_Planned]]:
    """The plan in chunks; while one is gone through, nothing is asked of the connection."""
    policy = session.workspace.policy
    links = link_maker(session.workspace)
    occasions = load_occasions(conn, table=EVENT.logical_name)
    yield (_Planned(_plan_occasion(row)) for row in occasions)
    bearers.hand_on(conn, now=session.now, showing=showing_purposes(policy))
    mark_held(conn, now=session.now)
    for chunk in iter_view_chunks(conn, policy, now=session.now, links=links):
        yield (
            _Planned(
                plan_address(view, acknowledged, policy, now=session.now),
                (view.contact_point_id, view.version),
                view.is_listed,
            )
            for view, acknowledged in chunk
        )


def _plan_occasion(row: RowMapping) -> list[Intent]:
    columns = minimise_occasion(row["name"], row["kind"], row["starts_at"], row["ends_at"])
    return plan_occasion(row["occasion_pk"], columns, row["columns"], version=row["version"])


def _judged(session: Session, conn: Connection, tally: _Tally, *, limit: int | None = None) -> Plan:
    name = str(tally.name)
    if limit is None:
        limit = blast_radius(session, conn, guarded=tally.guarded)
    waits = tally.guarded > limit and not is_approved(conn, name, since=approvals_since(session))
    return Plan(name, tally.counted, waits, tally.guarded, limit)


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


def is_any_approved(conn: Connection, *, since: datetime) -> bool:
    """Whether a named person approved some plan after an instant."""
    statement = "select exists (select from intake.plan where approved_by is not null and approved_at > :since)"
    return bool(conn.execute(text(statement), {"since": since}).scalar_one())


def approve_plan(conn: Connection, plan: str, *, by: str, session: Session) -> bool:
    """Approve a waiting plan by name; False where no plan of that id waits."""
    statement = (
        "update intake.plan set approved_by = :by, approved_at = :at, state = 'approved'"
        " where plan_id = :plan and state = 'waiting'"
    )
    return conn.execute(text(statement), {"plan": plan, "by": by, "at": session.now}).rowcount > 0


def write_plan(session: Session, conn: Connection, *, refused: tuple[str, ...] = ()) -> Plan:
    """Replace what is open in the outbox by the plan as of now, in the caller's transaction.

    Intents are written as they are planned, and none is kept in memory; whether they wait is known for certain when the
    last is counted, and settled then. Held back by `refused` is more than what raises: an Opted Out row that goes is
    all that suppresses its address while a purpose is open to people without one.
    """
    outbox.supersede_open(conn)
    tally, outlook = _Tally(), _Outlook(session, conn, is_refused=bool(refused))
    writing = f"run:{uuid4()}"
    aside = _Aside([], [])
    with collected_seldom():
        for chunk in _iter_planned(session, conn):
            outbox.set_unchanged_aside(conn, aside.unchanged)
            intents = _counted(chunk, tally, aside)
            written = size = 0
            while written == size:
                held, size = outlook.next_piece(tally.guarded)
                some = islice(intents, size)
                written = outbox.copy_intents(conn, some, writing=writing, run_id=session.run_id, guarded_wait=held)
    outbox.close_unchanged(conn, aside.unchanged, now=session.now)
    await_listing(conn, aside.unlisted)
    plan = replace(_judged(session, conn, tally, limit=outlook.limit_for(tally.guarded)), refused=refused)
    if outlook.has_erred(held=plan.waits or bool(refused)):
        outbox.settle_waiting(conn, writing, run_id=session.run_id, guarded_wait=plan.waits or bool(refused))
    outbox.analyse(conn)
    _record(conn, plan, session, writing)
    return plan


@dataclass(frozen=True, slots=True)
class _Aside:
    """Addresses (with their versions) that nothing is to be written of, and those off the allow list."""

    unchanged: list[tuple[UUID, int]]
    unlisted: list[UUID]

    def add(self, planned: _Planned) -> None:
        if planned.address is None:
            return
        if not planned.intents:
            self.unchanged.append(planned.address)
        if not planned.is_listed:
            self.unlisted.append(planned.address[0])


def _counted(chunk: Iterator[_Planned], tally: _Tally, aside: _Aside) -> Iterator[Intent]:
    for planned in chunk:
        tally.add(planned.intents)
        yield from planned.intents
        aside.add(planned)


class _Outlook:
    """Whether what is written next will wait, as far as can be told before all is counted.

    A plan is taken for approved while any approval is good, and for small until it is too large: a piece of it is told
    otherwise at the end for less than to count our contacts at each run that has some dozens of raises.
    """

    def __init__(self, session: Session, conn: Connection, *, is_refused: bool) -> None:
        self._session, self._conn, self._is_refused = session, conn, is_refused
        self._may_be_approved = is_any_approved(conn, since=approvals_since(session))
        self._limit, self._is_large = max(session.workspace.policy.crm.blast_radius.rows, COPIED_AT_ONCE), False
        self._decides_to = 0
        self._told: set[bool] = set()

    def next_piece(self, guarded: int) -> tuple[bool, int]:
        """Whether to let the next intents wait after so many that count, and how many to write so.

        As many as cannot make the plan too large, so that few are to be told otherwise then.
        """
        if guarded > self._limit and not self._is_large:
            self._decides_to = 2 * guarded
            self._limit = blast_radius(self._session, self._conn, guarded=self._decides_to)
            self._is_large = guarded > self._limit
        holds = self._is_refused or (self._is_large and not self._may_be_approved)
        self._told.add(holds)
        left = COPIED_AT_ONCE if self._is_large else self._limit - guarded + 1
        return holds, min(max(left, LEAST_COPIED), COPIED_AT_ONCE)

    def limit_for(self, guarded: int) -> int | None:
        """The blast radius, where it was counted for at least so many already."""
        return self._limit if guarded <= self._decides_to else None

    def has_erred(self, *, held: bool) -> bool:
        """Whether anything may have been written that should be otherwise."""
        return (not held) in self._told


def _record(conn: Connection, plan: Plan, session: Session, writing: str) -> None:
    statement = (
        "insert into intake.plan as old (plan_id, run_id, counts, state, made_at, writings)"
        " values (:plan_id, :run_id, cast(:counts as jsonb), :state, :at, array[:writing])"
        " on conflict (plan_id) do update set run_id = excluded.run_id, made_at = excluded.made_at,"
        " writings = old.writings || excluded.writings,"
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
        "writing": writing,
    }
    conn.execute(text(statement), values)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()

"""The narrow synchronisation: a few addresses that somebody acted on, brought to the CRM at once, beside any run.

It never waits for the writer's lock, which a first load may hold for hours. One narrow synchronisation at a time takes
calls under a lease; runs neither plan for a leased address nor claim a write of it, and an address of which a run has a
write under way is taken up a moment later. Its rows in the CRM are read first, then it alone is planned and delivered:
lowerings always, what people chose as a run would. Registrations, clearing and removing are left to the next run.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from connectors.store import bearers, narrow_calls, narrow_planning, outbox
from connectors.store.narrow_calls import WAIT_AFTER_REFUSAL, WAIT_FOR_CRM, Call
from connectors.store.planning import await_listing
from pipelines.operations.adoption import look_up
from pipelines.operations.delivery import deliver_phase, look_again, recover
from pipelines.operations.doctor.guard import reasons_to_refuse
from pipelines.operations.link_maker import link_maker
from pipelines.operations.own_organisation import require_own_organisation
from pipelines.operations.planning import blast_radius
from pipelines.operations.policy_versions import unapplied_widenings
from pipelines.operations.readback import read_back_addresses
from pipelines.operations.sessions import Session
from pipelines.operations.sync import NARROW_LOCK, WRITER_LOCK, Crm, GuardedCrm, held_if_free
from pipelines.operations.validating import refuse_invalid
from pipelines.operations.views import iter_views, showing_purposes
from pipelines.operations.workspace import Workspace
from pipelines.transforms.plan import is_guarded, plan_address
from pipelines.transforms.plan_name import plan_id
from schemas.intents import Intent, Phase

CALLS_AT_A_TIME = 50
# Nobody's click waits for the definitions of tables that were read a moment ago.
DESCRIBED_FOR_S = 600.0
# Enough to find a row that the CRM fails at among some hundreds, in half a minute of pauses: others wait to be served.
ROUNDS = 6
SENT = (Phase.LOWERING, Phase.CONTACTS, Phase.CONSENTS, Phase.CORRECTIONS, Phase.FLAGS)


@dataclass(frozen=True)
class NarrowReport:
    """How many calls were taken, and how many of the addresses the CRM now has as the ledger says."""

    taken: int = 0
    served: int = 0

    def __add__(self, other: "NarrowReport") -> "NarrowReport":
        return NarrowReport(self.taken + other.taken, self.served + other.served)


@dataclass(frozen=True)
class Synced:
    """Addresses that the CRM now has as the ledger says, or as a run will; and those of which it took something not."""

    served: frozenset[UUID] = frozenset()
    refused: frozenset[UUID] = frozenset()


@dataclass(frozen=True)
class _Plan:
    """Intents of the addresses `planned`. `whole`: those, with their versions, of which nothing is left to a run.

    Of one that is not on the allow list only what lowers is planned; where the CRM has no row of it, that is nothing.
    """

    intents: list[Intent]
    whole: list[tuple[UUID, int]]
    planned: list[UUID]
    unlisted: list[UUID]

    def written(self) -> set[tuple[Phase, str]]:
        """The phases and tables that anything is written of."""
        return {(intent.phase, intent.table_name) for intent in self.intents}


def serve_calls(workspace: Workspace, crm: Crm, *, limit: int = CALLS_AT_A_TIME) -> NarrowReport:
    """Serve the calls that are due; what fails is put off and, where nothing of it could be served, raised.

    Nothing is taken where another process is serving.
    """
    session = Session(workspace)
    with _alone(session, crm) as is_alone:
        if not is_alone:
            return NarrowReport()
        with session.transaction() as conn:
            calls = narrow_calls.lease_due(conn, limit=limit)
        if not calls:
            return NarrowReport()
        done = Synced()
        try:
            done = sync_addresses(session, crm, [one.contact_point_id for one in calls])
        finally:
            _settle(session, calls, done)
    return NarrowReport(len(calls), len(done.served))


def sync_addresses(session: Session, crm: Crm, contact_point_ids: Sequence[UUID]) -> Synced:
    """Bring some leased addresses to the CRM; those are left out of which another has a write under way.

    Raises what reading and delivering raise; what has no answer then is looked up by whoever comes next. CrmMisconfigured
    where the store belongs to another CRM.
    """
    require_own_organisation(session, crm)
    with session.transaction() as conn:
        busy = narrow_planning.set_aside(conn, contact_point_ids)
    _recover_dead(session, crm, contact_point_ids)
    with session.transaction() as conn:
        since = narrow_planning.store_time(conn)
    free = _free(session, [one for one in contact_point_ids if one not in busy], since)
    if not free:
        return Synced()
    read_back_addresses(session, crm, free)
    look_up(session, crm, among=free)
    plan = _write_plan(session, crm, free, since)
    refuse_invalid(session, crm, plan.written(), no_older_than_s=DESCRIBED_FOR_S)
    for phase in SENT:
        if any(intent.phase is phase for intent in plan.intents):
            deliver_phase(session, crm, phase, rounds=ROUNDS)
    return _close(session, plan)


@contextmanager
def _alone(session: Session, crm: GuardedCrm) -> Iterator[bool]:
    """Whether no other narrow synchronisation is under way, and none is while the block lasts.

    Whoever sleeps until the server let go of its session gets LockLost before the next request, and before a commit.
    """
    with held_if_free(session, NARROW_LOCK) as is_held:
        if not is_held:
            yield False
            return
        with crm.guarded(session.fences[NARROW_LOCK].require):
            yield True


def _recover_dead(session: Session, crm: Crm, contact_point_ids: Sequence[UUID]) -> None:
    """Settle what died: no other narrow synchronisation is under way, and no run is where the writer's lock is free."""
    recover(session, crm, is_narrow=True, among=contact_point_ids)
    with session.transaction() as conn:
        if not outbox.claimed_intents(conn, is_narrow=False, among=contact_point_ids):
            return
    with held_if_free(session, WRITER_LOCK) as is_held:
        if is_held:
            recover(session, crm, is_narrow=False, among=contact_point_ids)


def _free(session: Session, contact_point_ids: Sequence[UUID], since: datetime) -> list[UUID]:
    with session.transaction() as conn:
        busy = narrow_planning.under_way(conn, contact_point_ids, session.run_id, since=since)
    return [one for one in contact_point_ids if one not in busy]


def _write_plan(session: Session, crm: Crm, contact_point_ids: Sequence[UUID], since: datetime) -> _Plan:
    """Plan these addresses and write the intents down. Held back is what a run would hold back: all but lowering."""
    with session.transaction() as conn:
        raises = any(intent.is_raising for intent in _plan(session, conn, contact_point_ids).intents)
    refused = (*unapplied_widenings(session), *reasons_to_refuse(crm, session.workspace.policy)) if raises else ()
    with session.transaction() as conn:
        busy = narrow_planning.set_aside(conn, contact_point_ids)
        busy |= narrow_planning.under_way(conn, contact_point_ids, session.run_id, since=since)
        free = [one for one in contact_point_ids if one not in busy]
        narrow_planning.overtake(conn, free)
        plan = _plan(session, conn, free)
        guarded = sum(map(is_guarded, plan.intents))
        is_large = guarded > blast_radius(session, conn, guarded=guarded)
        if refused or is_large:
            plan = _lowering_only(plan)
        await_listing(conn, plan.unlisted)
        name = narrow_planning.PREFIX + plan_id(plan.intents)
        outbox.add_intents(conn, plan.intents, writing=name, run_id=session.run_id, guarded_wait=False)
    return plan


def _plan(session: Session, conn: Connection, contact_point_ids: Sequence[UUID]) -> _Plan:
    policy, links = session.workspace.policy, link_maker(session.workspace)
    plan = _Plan([], [], list(contact_point_ids), [])
    bearers.hand_on(conn, now=session.now, showing=showing_purposes(policy), among=contact_point_ids)
    views = iter_views(conn, policy, now=session.now, every=True, among=contact_point_ids, links=links)
    for view, acknowledged in views:
        planned: list[Intent] = plan_address(view, acknowledged, policy, now=session.now)
        sent = [intent for intent in planned if intent.phase in SENT]
        plan.intents.extend(sent)
        plan.unlisted.extend(() if view.is_listed else [view.contact_point_id])
        if len(sent) == len(planned):
            plan.whole.append((view.contact_point_id, view.version))
    return plan


def _lowering_only(plan: _Plan) -> _Plan:
    held: set[Any] = {intent.contact_point_id for intent in plan.intents if intent.phase is not Phase.LOWERING}
    lowering = [intent for intent in plan.intents if intent.phase is Phase.LOWERING]
    return replace(plan, intents=lowering, whole=[(one, version) for one, version in plan.whole if one not in held])


def _close(session: Session, plan: _Plan) -> Synced:
    """Mark as up to date what is; an address of which something is left to a run was served as well."""
    with session.transaction() as conn:
        undone = narrow_planning.unacknowledged(conn, plan.planned, session.run_id)
        closed = [(one, version) for one, version in plan.whole if one not in undone]
        outbox.close_unchanged(conn, closed, now=session.now)
    refused = frozenset(one for one, is_refused in undone.items() if is_refused)
    return Synced(frozenset(plan.planned) - undone.keys(), refused)


def _settle(session: Session, calls: Sequence[Call], done: Synced) -> None:
    left = [one for one in calls if one.contact_point_id not in done.served]
    refused = [one for one in left if one.contact_point_id in done.refused]
    with session.transaction() as conn:
        narrow_calls.release(conn, calls)
        narrow_calls.mark_served(conn, [one for one in calls if one.contact_point_id in done.served])
        look_again(conn)
        narrow_calls.put_off(conn, refused, most=WAIT_AFTER_REFUSAL)
        narrow_calls.put_off(conn, [one for one in left if one not in refused], most=WAIT_FOR_CRM)

"""Synchronising the CRM: recover what was left open, plan, deliver stage by stage, close what is up to date.

One writer at a time, by an advisory lock. Lowering goes first over all tables and waits for nothing, not even approval.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import UUID, uuid5

from connectors.store import outbox
from pipelines.operations import delivery
from pipelines.operations.adoption import Adoption, SearchableCrm, look_up
from pipelines.operations.crm_reading import ReadableCrm
from pipelines.operations.delivery import DeliveryReport, deliver_phases, look_again, recover
from pipelines.operations.doctor.guard import reasons_to_refuse, require_safe
from pipelines.operations.double_opt_in import forget_expired
from pipelines.operations.handing_over import HandingCrm, hand_over_used
from pipelines.operations.ledger import sign_head
from pipelines.operations.own_organisation import NamedCrm, require_own_organisation
from pipelines.operations.planning import Plan, write_plan
from pipelines.operations.policy_versions import settle_policy
from pipelines.operations.readback import read_back
from pipelines.operations.restored import note_run, require_replayed
from pipelines.operations.sessions import Session
from pipelines.operations.validating import DescribedCrm, refuse_invalid
from schemas.errors import CrmUnavailable, StoreUnavailable
from schemas.intents import Phase

WRITER_LOCK = "crm-writer"
NARROW_LOCK = "crm-narrow"
LOCK_WAIT_S = 600.0
REPLANS = 2


class GuardedCrm(Protocol):
    """A client of the CRM that asks before each request whether it may still send."""

    def guarded(self, may_send: Callable[[], None]) -> AbstractContextManager[None]: ...


class Crm(delivery.Crm, ReadableCrm, SearchableCrm, DescribedCrm, GuardedCrm, HandingCrm, NamedCrm, Protocol):
    """What synchronising needs of the CRM's client: to write, to read back, and to look up what it has by itself."""


@dataclass
class SyncReport:
    """One synchronisation: intents recovered, decisions read back, rows adopted, the plan, what became of it by phase."""

    recovered: int
    read_back: int
    adopted: Adoption
    plan: Plan
    phases: dict[str, DeliveryReport] = field(default_factory=dict)


@contextmanager
def as_writer(session: Session, crm: GuardedCrm | None = None) -> Iterator[None]:
    """Hold the right to write to the CRM; StoreUnavailable after ten minutes of waiting for another run.

    Whoever loses it, by sleeping until the server let go of its session, gets LockLost before the next request of `crm`
    and before the next commit.
    """
    with session.holding(WRITER_LOCK, wait_s=LOCK_WAIT_S):
        fence = session.fences.get(WRITER_LOCK)
        with nullcontext() if crm is None or fence is None else crm.guarded(fence.require):
            yield


@contextmanager
def held_if_free(session: Session, lock: str) -> Iterator[bool]:
    """Whether the named lock was free; then this session holds it, with its fence, while the block lasts."""
    with ExitStack() as stack:
        try:
            stack.enter_context(session.holding(lock, wait_s=0.0))
        except StoreUnavailable as held:
            if held.sqlstate != "55P03":
                raise
            yield False
            return
        yield True


def sync_crm(session: Session, crm: Crm) -> SyncReport:
    """Bring the CRM up to date with the ledger as of now. A waiting plan delivers its lowerings only.

    So does one that the CRM's set-up holds back, and then RaisingRefused says why.
    """
    with as_writer(session, crm):
        report = prepare(session, crm)
        delivered = deliver_phases(session, crm, tuple(Phase))
        for again in replan_conflicts(session, crm):
            for phase, one in again.items():
                delivered[phase].counts += one.counts
        report.phases = {phase.name.lower(): one for phase, one in delivered.items()}
        close(session)
    require_safe(report.plan.refused)
    return report


def prepare(session: Session, crm: Crm) -> SyncReport:
    """What comes before sending: lost answers, withdrawals made in the CRM, what it has, how it is set up; the plan.

    Raises DatabaseRestored where the database is older than what was erased since, and CrmMisconfigured where it belongs to
    another CRM.
    """
    require_replayed(session)
    require_own_organisation(session, crm)
    recovered = _recover_ended(session, crm)
    decisions, adoption = read_back(session, crm), look_up(session, crm)
    refused = (
        *settle_policy(session),
        *reasons_to_refuse(crm, session.workspace.policy),
        *hand_over_used(session, crm),
    )
    plan = plan_now(session, refused=refused)
    refuse_invalid(session, crm, plan.tally)
    return SyncReport(recovered, decisions, adoption, plan)


def _recover_ended(session: Session, crm: Crm) -> int:
    """Settle what ended without an answer; a narrow synchronisation that is under way settles its own."""
    recovered = recover(session, crm, is_narrow=False)
    with held_if_free(session, NARROW_LOCK) as is_held:
        return recovered + (recover(session, crm, is_narrow=True) if is_held else 0)


def plan_now(session: Session, *, refused: tuple[str, ...] = ()) -> Plan:
    """Plan and write the intents down, in one transaction; where there are reasons to refuse, all but lowering is held."""
    with session.transaction() as conn:
        return write_plan(session, conn, refused=refused)


def replan_ids(run_id: UUID) -> list[UUID]:
    """The ids under which a run plans anew after conflicts."""
    return [uuid5(run_id, f"again {number}") for number in range(REPLANS)]


def replan_conflicts(session: Session, crm: Crm) -> Iterator[dict[Phase, DeliveryReport]]:
    """Where somebody changed a row between plan and write: read what they did, plan anew and deliver that, at most twice.

    Each time under a run id of its own, for within a run a conflict holds back what stands on it; the same ones where the
    run's step is tried again. Not where the plan waits for approval, or is held back.
    """
    for again in replan_ids(session.run_id):
        with session.transaction() as conn:
            if not outbox.has_conflicts(conn, session.run_id):
                return
        session = replace(session, run_id=again)
        report = prepare(session, crm)
        yield deliver_phases(session, crm, tuple(Phase))
        with session.transaction() as conn:
            outbox.close_addresses(conn, session.run_id, now=session.now)
        if report.plan.waits or report.plan.refused:
            return


def close(session: Session) -> None:
    """Mark as up to date what the CRM acknowledged in full, sign the ledger's head for the day, forget what was never
    confirmed.

    Raises CrmUnavailable where an intent still has no answer: a run that ends well leaves none behind.
    """
    with session.transaction() as conn:
        outbox.close_addresses(conn, session.run_id, now=session.now)
        look_again(conn)
        unanswered = len(outbox.claimed_intents(conn, is_narrow=False))
    forget_expired(session)
    note_run(session)
    sign_head(session)
    if unanswered:
        raise CrmUnavailable(
            f"{unanswered} writes have no answer yet. Run again: they are looked up before anything else."
        )

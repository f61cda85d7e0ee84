"""Delivery: the outbox's intents to the CRM, stage by stage; each claimed, sent, acknowledged.

An intent whose answer was lost stays claimed until the row has been read back: what is there is acknowledged, what is
not is claimed anew, and so looked up in the ledger once more, before it is sent again, after a pause that grows. A row that
the CRM itself keeps failing at holds back no other (trials.py).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from connectors.store import narrow_calls, outbox
from connectors.store.outbox import Claimed, Settled
from pipelines.operations.dispatching import Dispatch, Group
from pipelines.operations.sending import Crm, chunks_by_table, read_back_chunk, table_name
from pipelines.operations.sessions import Session
from pipelines.operations.trials import Trials
from schemas.errors import CrmUnavailable
from schemas.intents import IntentState, Method, Phase
from schemas.tables import CONSENT

__all__ = [
    "STAGES",
    "Crm",
    "DeliveryReport",
    "deliver_phase",
    "deliver_phases",
    "look_again",
    "look_up_lost",
    "recover",
    "table_name",
]

MAX_ROUNDS = 20
# A request of which nothing is heard any more may be carried out as long as the server works at one: two minutes, and what it
# waited before. https://learn.microsoft.com/power-apps/developer/data-platform/analyze-performance
MAY_STILL_HAPPEN = timedelta(minutes=10)

# What may be on its way together. Within an address the claim keeps the phases in their order; a stage ends where the
# rows of one address stand on those of another: all is lowered before anything is raised, a registration names a contact
# and an event, and what goes is what nothing names any more.
STAGES: tuple[tuple[Phase, ...], ...] = (
    (Phase.LOWERING,),
    (Phase.CONTACTS, Phase.CONSENTS, Phase.OCCASIONS),
    (Phase.REGISTRATIONS, Phase.CORRECTIONS, Phase.FLAGS),
    (Phase.CLEARS,),
    (Phase.REMOVE_REGISTRATIONS,),
    (Phase.REMOVE_CONSENTS,),
    (Phase.REMOVE_CONTACTS,),
)


@dataclass
class DeliveryReport:
    """Intents by what became of them, over the phases delivered."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, settled: Sequence[Settled], superseded: int) -> None:
        """Count answers."""
        self.counts.update(str(s.state) for s in settled if s.state is not IntentState.PENDING)
        self.counts[str(IntentState.SUPERSEDED)] += superseded


def recover(session: Session, crm: Crm, *, is_narrow: bool | None = None, among: Sequence[UUID] | None = None) -> int:
    """Settle what an earlier run left without an answer: acknowledged if the CRM has it, else superseded.

    Of runs (`is_narrow` false) or narrow synchronisations only, or of some addresses; whoever calls knows that they ended.
    """
    with session.transaction() as conn:
        claimed = outbox.claimed_intents(conn, is_narrow=is_narrow, among=among)
    for chunk in chunks_by_table(claimed, session.workspace.policy.crm.chunk_rows):
        settled = read_back_chunk(crm, chunk, otherwise=IntentState.SUPERSEDED, made=_made(session, chunk))
        with session.transaction() as conn:
            outbox.settle(conn, settled)
    return len(claimed)


def _made(session: Session, chunk: Sequence[Claimed]) -> frozenset[UUID]:
    """The rows of claimed intents of one table that nothing but them can have made."""
    with session.transaction() as conn:
        known = outbox.acknowledged_columns(conn, chunk[0].table_name, [intent.row_id for intent in chunk])
    return frozenset(i.row_id for i in chunk if i.method is Method.UPSERT and i.row_id not in known)


def deliver_phase(session: Session, crm: Crm, phase: Phase, *, rounds: int = MAX_ROUNDS) -> DeliveryReport:
    """Send everything that is pending in one phase of this run, until all of it has an answer, in so many rounds at most."""
    return deliver_phases(session, crm, (phase,), rounds=rounds)[phase]


def deliver_phases(
    session: Session, crm: Crm, phases: Sequence[Phase], *, rounds: int = MAX_ROUNDS
) -> dict[Phase, DeliveryReport]:
    """Send everything that is pending in some phases of this run, those of one stage together; what became of it.

    Raises CrmUnavailable where answers keep being lost, or the CRM fails and takes nothing; what was not settled stays for
    the next run. A row that it fails at even alone while it takes others, or that it failed at long before, is refused in
    this run, with the CRM's own code.
    """
    reports = {phase: DeliveryReport() for phase in phases}
    with session.transaction() as conn:
        filled = {phase for phase, _, _ in outbox.open_groups(conn, session.run_id, phases)}
    for stage in STAGES:
        together = [phase for phase in phases if phase in stage and phase in filled]
        if together:
            _deliver_stage(session, crm, together, reports, rounds=rounds)
    return reports


def _deliver_stage(
    session: Session, crm: Crm, phases: Sequence[Phase], reports: dict[Phase, DeliveryReport], *, rounds: int
) -> None:
    trials = Trials()
    for attempt in range(rounds):
        with session.transaction() as conn:
            groups = [
                Group(*key, most_rows=trials.most_rows(key)) for key in outbox.open_groups(conn, session.run_id, phases)
            ]
        progress = Dispatch(session, crm, groups).drain()
        for phase, superseded in progress.superseded.items():
            reports[phase].add(progress.settled.get(phase, ()), superseded)
        if progress.claimed == sum(map(len, progress.settled.values())):
            return
        trials.note(groups, progress)
        looked_up = _read_back_lost(session, crm, reports, trials)
        if not looked_up:
            return
        if any(one.state is IntentState.PENDING for one in looked_up):
            crm.pause(attempt)
    raise CrmUnavailable(
        "The CRM keeps failing or losing answers; run again when it is well. Nothing is lost or sent twice."
    )


def look_again(conn: Connection) -> None:
    """Call for a later look at addresses that were lowered after a request to opt them in was lost.

    Was it carried out after all, they are lowered again.
    """
    late = outbox.may_be_raised_late(conn, CONSENT.logical_name, within=MAY_STILL_HAPPEN)
    narrow_calls.call_later(conn, late, after=MAY_STILL_HAPPEN)


def look_up_lost(session: Session, crm: Crm) -> None:
    """Look up what this run sent and has no answer to: what the CRM has not is pending again.

    Whoever calls has the writer's lock, so that nobody else is sending for this run.
    """
    _read_back_lost(session, crm, {}, Trials())


def _read_back_lost(session: Session, crm: Crm, reports: dict[Phase, DeliveryReport], trials: Trials) -> list[Settled]:
    """Look up what has no answer; returns what became of it."""
    looked_up: list[Settled] = []
    with session.transaction() as conn:
        lost = outbox.claimed_intents(conn, run_id=session.run_id)
    for chunk in chunks_by_table(lost, session.workspace.policy.crm.chunk_rows):
        found = read_back_chunk(crm, chunk, otherwise=IntentState.PENDING, made=_made(session, chunk))
        doubtful = trials.doubtful(found)
        with session.transaction() as conn:
            settled = trials.judged(found, outbox.at_fault(conn, doubtful) if doubtful else ())
            outbox.settle(conn, settled)
        phase_of = {intent.intent_id: intent.phase for intent in chunk}
        for one in settled:
            reports.setdefault(phase_of[one.intent_id], DeliveryReport()).add([one], 0)
        looked_up += settled
    return looked_up

"""Synchronising the CRM in steps that may be apart: each takes the writer's lock, and looks whether its plan still counts."""

from collections import Counter
from collections.abc import Sequence

from connectors.store.reports import is_run_superseded
from pipelines.operations.delivery import deliver_phases, look_up_lost
from pipelines.operations.doctor.guard import UNANSWERED, reasons_to_refuse, require_safe
from pipelines.operations.policy_versions import unapplied_widenings
from pipelines.operations.sessions import Session
from pipelines.operations.sync import Crm, SyncReport, as_writer, close, prepare, replan_conflicts, replan_ids
from schemas.intents import Phase


def plan_step(session: Session, crm: Crm) -> SyncReport:
    """Settle what an earlier run left open, read back what people withdrew in the CRM, then write the plan down.

    Where the CRM's set-up fails a check that protects people, all of the plan but its lowerings is held back.
    """
    with as_writer(session, crm):
        return prepare(session, crm)


def deliver_step(session: Session, crm: Crm, phases: Sequence[Phase], *, closes: bool = False) -> Counter[str] | None:
    """Deliver the given phases of this run's plan; intents by what became of them.

    None where another run has planned since: what this one meant is then in that plan. What an earlier try of the step
    left without an answer is looked up first, and sent again where the CRM has it not. `closes` ends the
    synchronisation: what met another's edit is planned anew and delivered, what was acknowledged in full is marked as up
    to date, and RaisingRefused says why what is held back by the CRM's set-up was not sent.
    """
    counts: Counter[str] = Counter()
    with as_writer(session, crm):
        if _is_superseded(session):
            return None
        look_up_lost(session, crm)
        for report in deliver_phases(session, crm, phases).values():
            counts += report.counts
        if closes:
            counts += sum((one.counts for again in replan_conflicts(session, crm) for one in again.values()), Counter())
            close(session)
            found = reasons_to_refuse(crm, session.workspace.policy)
            require_safe((*unapplied_widenings(session), *(one for one in found if one != UNANSWERED)))
    return counts


def _is_superseded(session: Session) -> bool:
    with session.transaction() as conn:
        return is_run_superseded(conn, session.run_id, again=replan_ids(session.run_id))

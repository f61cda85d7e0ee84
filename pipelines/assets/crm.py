"""The CRM, phase by phase: plan, lower, raise, remove. Lowering is the first step after the plan and waits for nothing.

A plan beyond the blast radius waits: its lowerings go, the later steps find nothing to send, and a check says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from connectors.dataverse import DataverseClient
from connectors.store.reports import writes_of_run
from pipelines.assets import metadata as md
from pipelines.assets.intake import NOUNS, asset_name
from pipelines.assets.steps import makes, mark_done, step
from pipelines.operations.phases import deliver_step, plan_step
from pipelines.operations.sessions import Session
from pipelines.operations.sync import SyncReport
from pipelines.resources import WorkspaceResource, open_crm
from schemas.intents import Phase

POOL = "crm"
PLAN = "crm__plan"
WITHIN_BLAST_RADIUS = "within_blast_radius"
SET_UP_PROTECTS = "set_up_protects_people"
KINDS = {"python", "dynamics"}
_WRITE = ("table", "method", "state", "code", "rows")


@dataclass(frozen=True)
class Step:
    """One asset of the CRM: its name, the phases it sends, and what it does in words."""

    name: str
    phases: tuple[Phase, ...]
    does: str


STEPS = (
    Step(
        "crm__lowering",
        (Phase.LOWERING,),
        "Withdrawals, objections and opt-outs, over all tables, before anything else.",
    ),
    Step(
        "crm__contacts", (Phase.CONTACTS,), "New contacts, made shut: not to be mailed until their consent rows stand."
    ),
    Step("crm__consents", (Phase.CONSENTS,), "Consent rows by purpose and topic."),
    Step("crm__events", (Phase.OCCASIONS,), "Courses and events."),
    Step("crm__registrations", (Phase.REGISTRATIONS,), "Registrations of contacts for courses and events."),
    Step("crm__corrections", (Phase.CORRECTIONS,), "Corrections of rows that nobody has edited since we wrote them."),
    Step("crm__flags", (Phase.FLAGS,), "Contacts opened to newsletters, now that their consent rows stand."),
    Step(
        "crm__removals",
        (Phase.CLEARS, Phase.REMOVE_REGISTRATIONS, Phase.REMOVE_CONSENTS, Phase.REMOVE_CONTACTS),
        "Columns and rows whose last purpose has ended; then what was acknowledged in full is marked up to date.",
    ),
)


def crm_assets(retry: dg.RetryPolicy) -> list[dg.AssetsDefinition]:
    """The plan and the steps that send it, each after the one before."""
    before = [PLAN, *(one.name for one in STEPS)]
    return [plan_asset(retry), *(delivery_asset(one, after, retry) for one, after in zip(STEPS, before, strict=False))]


def plan_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Planning: what is open is settled, and what is to be sent is written down."""

    @dg.asset(
        name=PLAN,
        group_name="crm",
        deps=[asset_name("core", source) for source in NOUNS],
        check_specs=[
            dg.AssetCheckSpec(WITHIN_BLAST_RADIUS, asset="crm__plan", description="The plan needs nobody's approval."),
            dg.AssetCheckSpec(
                SET_UP_PROTECTS, asset="crm__plan", description="The CRM reaches nobody who did not agree to it."
            ),
        ],
        retry_policy=retry,
        pool=POOL,
        kinds={"python", "postgres"},
        description="What the CRM is to be told, written down as intents before anything is sent.",
    )
    def plan(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "crm") as session, open_crm(session.workspace) as crm:
            return _planned(plan_step(session, crm))

    return plan


def _planned(report: SyncReport) -> dg.MaterializeResult:
    plan = report.plan
    rows = [
        {"phase": key.split(":")[0], "table": key.split(":")[1], "intents": count}
        for key, count in plan.counts().items()
    ]
    told: dict[str, Any] = {
        "plan_id": plan.plan_id,
        "intents": plan.size,
        "raising_clearing_or_deleting": plan.guarded,
        "blast_radius": plan.limit,
        "waits_for_approval": plan.waits,
        "recovered_from_earlier_runs": report.recovered,
        "withdrawals_read_back": report.read_back,
        "intents_by_phase": md.table(rows, ("phase", "table", "intents")),
    }
    if plan.waits:
        told["to_approve"] = dg.MetadataValue.md(f"`crm-intake run --approve {plan.plan_id} --by NAME`")
    within = dg.AssetCheckResult(
        check_name=WITHIN_BLAST_RADIUS,
        passed=not plan.waits,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{plan.guarded} rows to raise, clear or delete; the limit without approval is {plan.limit}.",
        metadata={"plan_id": plan.plan_id, "rows": plan.guarded, "limit": plan.limit},
    )
    protects = dg.AssetCheckResult(
        check_name=SET_UP_PROTECTS,
        passed=not plan.refused,
        severity=dg.AssetCheckSeverity.ERROR,
        description=" ".join(plan.refused) or "No check that protects people fails (`crm-intake crm doctor`).",
        metadata={"failing": len(plan.refused)},
    )
    return dg.MaterializeResult(metadata=told, check_results=[within, protects])


def delivery_asset(one: Step, after: str, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Sending the intents of some phases until each has an answer."""
    is_last = one is STEPS[-1]

    @dg.asset(
        name=one.name,
        group_name="crm",
        deps=[after],
        retry_policy=retry,
        pool=POOL,
        kinds=KINDS,
        description=one.does,
    )
    def deliver(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "crm") as session, open_crm(session.workspace) as crm:
            phases = _begin_here(context, session, crm, one)
            counts = deliver_step(session, crm, phases, closes=is_last)
            if is_last:
                mark_done(session, "crm", of=["crm"])
            return dg.MaterializeResult(metadata=_delivered(session, one.phases, is_superseded=counts is None))

    return deliver


def _begin_here(
    context: dg.AssetExecutionContext, session: Session, crm: DataverseClient, one: Step
) -> tuple[Phase, ...]:
    """The phases that the step is to send. Where neither the plan nor a step before is part of the run, which goes on where
    another failed, it plans first and sends what those would have.
    """
    before = STEPS[: STEPS.index(one)]
    if any(makes(context, name) for name in (PLAN, *(step.name for step in before))):
        return one.phases
    plan_step(session, crm)
    return tuple(phase for step in (*before, one) for phase in step.phases)


def _delivered(session: Session, phases: Sequence[Phase], *, is_superseded: bool) -> dict[str, Any]:
    with session.transaction() as conn:
        rows = writes_of_run(conn, session.run_id, [int(phase) for phase in phases])
    states = sorted({row["state"] for row in rows})
    return {
        "phases": ", ".join(phase.name.lower() for phase in phases),
        "a_newer_plan_took_over": is_superseded,
        "intents": sum(row["rows"] for row in rows),
        **{state: sum(row["rows"] for row in rows if row["state"] == state) for state in states},
        "intents_by_state": md.table(rows, _WRITE),
    }

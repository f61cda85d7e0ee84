"""Proof after a run: the CRM compared with the ledger row by row, images forgotten in time, and pictures for people."""

from collections import Counter
from datetime import timedelta
from typing import Any

import dagster as dg

from connectors.store.reports import consent_funnel, rows_received
from pipelines.assets import metadata as md
from pipelines.assets.crm import KINDS, POOL, STEPS
from pipelines.assets.intake import NOUNS, asset_name
from pipelines.assets.quarantine import quarantine_asset
from pipelines.assets.steps import step
from pipelines.operations.certificates import certify
from pipelines.operations.erasure_crm import finish_in_crm
from pipelines.operations.images import purge_images
from pipelines.operations.reconciliation import Reconciliation, reconcile
from pipelines.operations.retention import Retained, retain
from pipelines.operations.sessions import Session
from pipelines.operations.sync import as_writer
from pipelines.plots import draw_funnel, draw_received
from pipelines.resources import WorkspaceResource, open_crm

ZERO_UNEXPLAINED = "zero_unexplained"
NOTHING_OVERDUE = "nothing_overdue"
SHOWN_DAYS = 60


def ops_assets(retry: dg.RetryPolicy) -> list[dg.AssetsDefinition]:
    """Reconciliation, quarantine, the end of images and of all else, and the funnel."""
    makers = (reconciliation_asset, quarantine_asset, images_asset, retention_asset, funnel_asset)
    return [make(retry) for make in makers]


def reconciliation_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """What the ledger says against what the CRM holds."""

    @dg.asset(
        name="ops__reconciliation",
        group_name="ops",
        deps=[STEPS[-1].name],
        check_specs=[
            dg.AssetCheckSpec(
                ZERO_UNEXPLAINED,
                asset="ops__reconciliation",
                description="Every difference between the ledger and the CRM has a reason that is written down.",
            )
        ],
        retry_policy=retry,
        pool=POOL,
        kinds=KINDS,
        description="Every row of ours in the CRM against what the ledger says it should be, column by column.",
    )
    def compare(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "crm") as session, open_crm(session.workspace) as crm, as_writer(session, crm):
            return _reconciled(reconcile(session, crm))

    return compare


def _reconciled(outcome: Reconciliation) -> dg.MaterializeResult:
    unexplained = Counter((table, kind.split(":")[0]) for table, _, kind in outcome.unexplained)
    rows = [
        *({"difference": name, "reason": "written down", "rows": n} for name, n in sorted(outcome.explained.items())),
        *({"difference": ":".join(key), "reason": "none", "rows": n} for key, n in sorted(unexplained.items())),
    ]
    differences = md.table(rows, ("difference", "reason", "rows"))
    counts = {
        "rows_compared": outcome.compared,
        "differences_explained": sum(outcome.explained.values()),
        "differences_unexplained": len(outcome.unexplained),
        "rows_not_ours": sum(outcome.unmanaged.values()),
    }
    check = dg.AssetCheckResult(
        check_name=ZERO_UNEXPLAINED,
        passed=not outcome.unexplained,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(outcome.unexplained)} of {outcome.compared} rows differ without a reason.",
        metadata={"differences": differences},
    )
    return dg.MaterializeResult(metadata={**counts, "differences": differences}, check_results=[check])


def images_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The end of what is kept to explain and to undo."""

    @dg.asset(
        name="ops__images",
        group_name="ops",
        deps=[STEPS[-1].name],
        retry_policy=retry,
        kinds={"postgres"},
        description="Values that writes found and wrote, forgotten once the policy's `image_days` have passed.",
    )
    def forget(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "crm") as session, session.transaction() as conn:
            return dg.MaterializeResult(
                metadata={f"{of}_forgotten": n for of, n in purge_images(session, conn).items()}
            )

    return forget


def retention_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The end of what has outlived its purpose, here and in the CRM; and what the CRM had not let go of the erased."""

    @dg.asset(
        name="ops__retention",
        group_name="ops",
        deps=["ops__reconciliation"],
        check_specs=[
            dg.AssetCheckSpec(
                NOTHING_OVERDUE, asset="ops__retention", description="Nothing is kept longer than the policy says."
            )
        ],
        retry_policy=retry,
        pool=POOL,
        kinds=KINDS,
        description="What has outlived its purpose goes by the policy's rules, with a signed certificate.",
    )
    def keep_no_longer(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "crm") as session, open_crm(session.workspace) as crm:
            own = Session(session.workspace)
            with as_writer(own, crm):
                erased = finish_in_crm(own, crm)
            done = retain(own, crm)
            certificate = certify(own, done)
            if done.failed is not None:
                raise done.failed
            return _retained(done, certificate.name, open_erasures=erased.open)

    return keep_no_longer


def _retained(done: Retained, certificate: str, *, open_erasures: int) -> dg.MaterializeResult:
    rows = [{"rule": rule, "rows": n} for rule, n in sorted(done.deleted.items())]
    overdue = sum(done.left.values()) + done.crm_still_there + open_erasures
    check = dg.AssetCheckResult(
        check_name=NOTHING_OVERDUE,
        passed=not overdue and done.waits is None,
        severity=dg.AssetCheckSeverity.ERROR,
        description=done.waits or f"{overdue} things are overdue.",
        metadata={"overdue": overdue},
    )
    told: dict[str, Any] = {
        "deleted": sum(done.deleted.values()),
        "removed_in_the_crm": sum(done.crm_removed.values()),
        "read_back_as_absent": done.crm_absent,
        "erasures_open_in_the_crm": open_erasures,
        "legal_holds": done.holds,
        "certificate": certificate,
        "by_rule": md.table(rows, ("rule", "rows")),
    }
    return dg.MaterializeResult(metadata=told, check_results=[check])


def funnel_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Pictures for people, of aggregates."""

    @dg.asset(
        name="ops__funnel",
        group_name="ops",
        deps=[STEPS[-1].name, *(asset_name("core", source) for source in NOUNS)],
        retry_policy=retry,
        kinds={"matplotlib", "postgres"},
        description="From addresses known to addresses that may be mailed; and what each source brought in, day by day.",
    )
    def draw(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "crm") as session:
            after = session.now.date() - timedelta(days=SHOWN_DAYS)
            with session.transaction() as conn:
                stages = consent_funnel(conn, now=session.now)
                received = rows_received(conn, after=after)
            return dg.MaterializeResult(metadata=_drawn(stages, received))

    return draw


def _drawn(stages: list[dict[str, Any]], received: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "funnel": md.picture(draw_funnel(stages), "Addresses from known to visible for marketing"),
        "received": md.picture(draw_received(received), f"Rows received by source, last {SHOWN_DAYS} days"),
        "stages": md.table(stages, ("stage", "rows")),
    }

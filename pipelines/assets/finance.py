"""Finance's assets: its columns taken out of what was landed, and entries let go when accounting law keeps them no longer.

A job of its own, under finance's role, beside the CRM's and never before it. Counts only leave it.
"""

import dagster as dg

from pipelines.assets import metadata as md
from pipelines.assets.intake import NOUNS, asset_name
from pipelines.assets.steps import mark_done, mark_failed, step
from pipelines.operations.finance.office import open_office
from pipelines.operations.finance.taking import Taken, take_landed, take_own_files
from pipelines.operations.finance.work import let_go
from pipelines.resources import WorkspaceResource

GROUP = "finance"
DELIVERIES_READ = "deliveries_read"
KINDS = {"python", "postgres"}


def finance_assets(retry: dg.RetryPolicy) -> list[dg.AssetsDefinition]:
    """The entries, and the end of entries."""
    return [entries_asset(retry), retention_asset(retry)]


def entries_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Payments, payers and invoice recipients, from the landing straight to finance."""

    @dg.asset(
        name="finance__entries",
        group_name=GROUP,
        deps=[asset_name("raw", source) for source in NOUNS],
        check_specs=[
            dg.AssetCheckSpec(
                DELIVERIES_READ, asset="finance__entries", description="Finance could read all that was landed for it."
            )
        ],
        retry_policy=retry,
        kinds=KINDS,
        description="Payments, payers, invoice recipients and payees, in finance's own schema and under its own role.",
    )
    def take(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, GROUP) as session:
            opened = session.workspace
            with open_office(opened.settings, address=opened.address) as office:
                taken = [*take_landed(session, office), *take_own_files(office, now=session.now)]
            if any(one.problems for one in taken):
                mark_failed(session)
            else:
                mark_done(session, GROUP, of=[GROUP])
            return _taken(taken)

    return take


def _taken(taken: list[Taken]) -> dg.MaterializeResult:
    rows = [{**vars(one), "problems": len(one.problems)} for one in taken]
    problems = [f"{one.feed}: {problem}" for one in taken for problem in one.problems]
    check = dg.AssetCheckResult(
        check_name=DELIVERIES_READ,
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(problems) or "All was read.",
    )
    counts = {name: sum(getattr(one, name) for one in taken) for name in ("deliveries", "entries", "refusals")}
    feeds = md.table(rows, ("feed", "deliveries", "entries", "refusals", "problems"))
    return dg.MaterializeResult(metadata={**counts, "feeds": feeds}, check_results=[check])


def retention_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The end of entries by fiscal year."""

    @dg.asset(
        name="finance__retention",
        group_name=GROUP,
        deps=["finance__entries"],
        retry_policy=retry,
        kinds=KINDS,
        description="Vouchers and books past the last day that accounting law keeps them, deleted.",
    )
    def retain(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, GROUP) as session:
            opened = session.workspace
            with open_office(opened.settings, address=opened.address) as office:
                past = let_go(office)
        rows = md.table(past, ("fiscal_year_end", "record_class", "kept_until", "entries"))
        return dg.MaterializeResult(metadata={"deleted": sum(row["entries"] for row in past), "by_fiscal_year": rows})

    return retain

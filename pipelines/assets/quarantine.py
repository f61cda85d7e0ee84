"""What could not be taken in, where people look: how much, since when, why and whose, after each intake."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import dagster as dg

from pipelines.assets import metadata as md
from pipelines.assets.intake import NOUNS, asset_name
from pipelines.assets.steps import step
from pipelines.operations.quarantine import count_entries, list_stopped
from pipelines.operations.status import QUARANTINE_DUE_DAYS
from pipelines.resources import WorkspaceResource
from schemas.faults import FAULTS

NOTHING_OVERDUE = "nothing_overdue"
OLDEST = 20


def quarantine_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The quarantine in counts: the oldest, by reason, by owner; no value is in them."""

    @dg.asset(
        name="ops__quarantine",
        group_name="ops",
        deps=[asset_name("core", source) for source in NOUNS],
        check_specs=[
            dg.AssetCheckSpec(
                NOTHING_OVERDUE,
                asset="ops__quarantine",
                description=f"No quarantined row has waited more than {QUARANTINE_DUE_DAYS} days to be mended.",
            )
        ],
        retry_policy=retry,
        kinds={"postgres"},
        description="Rows and batches that wait to be mended: the oldest, by reason and remedy, by the form's owner.",
    )
    def count(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "crm") as session:
            return _counted(count_entries(session), list_stopped(session))

    return count


def _counted(counted: Sequence[dict[str, Any]], stopped: Sequence[dict[str, Any]]) -> dg.MaterializeResult:
    overdue = [row for row in counted if row["age_days"] > QUARANTINE_DUE_DAYS]
    check = dg.AssetCheckResult(
        check_name=NOTHING_OVERDUE,
        passed=not overdue,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{row['feed']}: {row['open']} {row['fault']}, ask {row['owner']}" for row in overdue)
        or "Nothing has waited too long.",
        metadata={"overdue": sum(row["open"] for row in overdue)},
    )
    return dg.MaterializeResult(
        metadata={
            "faults_open": sum(row["open"] for row in counted),
            "oldest_days": max((row["age_days"] for row in counted), default=0),
            "batches_stopped": len(stopped),
            "oldest": md.table(counted[:OLDEST], ("oldest_entry", "feed", "owner", "fault", "open", "age_days")),
            "by_reason": md.table(_by_reason(counted), ("fault", "open", "age_days", "what", "remedy")),
            "by_owner": md.table(_summed(counted, lambda row: row["owner"], "owner"), ("owner", "open", "age_days")),
            "stopped": md.table(stopped, ("feed", "owner", "received_at", "code", "remedy")),
        },
        check_results=[check],
    )


def _by_reason(counted: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    summed = _summed(counted, lambda row: row["fault"], "fault")
    return [{**row, "what": FAULTS[row["fault"]].what, "remedy": FAULTS[row["fault"]].remedy} for row in summed]


def _summed(counted: Sequence[dict[str, Any]], key: Callable[[dict[str, Any]], str], name: str) -> list[dict[str, Any]]:
    """Open entries and the age of the oldest by a key, most first."""
    groups = [(value, list(rows)) for value, rows in groupby(sorted(counted, key=key), key)]
    summed = [
        {name: value, "open": sum(r["open"] for r in rows), "age_days": max(r["age_days"] for r in rows)}
        for value, rows in groups
    ]
    return sorted(summed, key=lambda row: -row["open"])

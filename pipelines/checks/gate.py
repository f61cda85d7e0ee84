"""The gate as Dagster shows it: each rule of each feed with its counts, and which batches were stopped and why.

`gate` stops the source's core where nothing of it may raise; `batches` tells of single batches, and stops nothing.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import dagster as dg

from connectors.store.batches import gated_batches
from pipelines.assets import metadata as md
from pipelines.assets.intake import NOUNS, asset_name
from pipelines.assets.steps import declared_errors
from pipelines.resources import WorkspaceResource

GATE, BATCHES = "gate", "batches"
_RULE = ("feed", "rule", "passed", "could_not_run", "batches", "batches_failed", "rows", "rows_unexpected")
_STOPPED = ("feed", "received_on", "stop_code", "stop_reason", "stop_remedy")


def gate_checks() -> list[dg.AssetChecksDefinition]:
    """The checks on the staged layer of every source."""
    return [gate_check(source) for source in NOUNS]


def gate_check(source: str) -> dg.AssetChecksDefinition:
    """Both checks of one source, in one step."""
    staged = dg.AssetKey(asset_name("staged", source))

    @dg.multi_asset_check(
        name=f"gate_{source}",
        specs=[
            dg.AssetCheckSpec(
                GATE,
                asset=staged,
                blocking=True,
                description="Every rule could run, and not every batch was stopped. Else nothing is merged, only lowered.",
            ),
            dg.AssetCheckSpec(BATCHES, asset=staged, description="No batch was stopped by the gate."),
        ],
    )
    def check(context: dg.AssetCheckExecutionContext, workspace: WorkspaceResource) -> Any:
        with declared_errors():
            with workspace.open().transaction() as conn:
                gated = gated_batches(conn, _judged_run(context, staged), source)
            yield _gate(staged, gated)
            yield _batches(staged, gated)

    return check


def _judged_run(context: dg.AssetCheckExecutionContext, staged: dg.AssetKey) -> UUID:
    """The run that staged: this one, or the latest that did where the checks are run by themselves."""
    is_alone = bool(context.run.asset_check_selection) and not context.run.asset_selection
    latest = context.instance.get_latest_materialization_event(staged) if is_alone else None
    return UUID(latest.run_id if latest else context.run.run_id)


def _gate(staged: dg.AssetKey, gated: Sequence[dict[str, Any]]) -> dg.AssetCheckResult:
    rules = rule_table(gated)
    could_not_run = sum(rule["could_not_run"] for rule in rules)
    stopped = sum(_is_stopped(batch) for batch in gated)
    return dg.AssetCheckResult(
        asset_key=staged,
        check_name=GATE,
        passed=not could_not_run and not (gated and stopped == len(gated)),
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(gated)} batches, {stopped} stopped; {could_not_run} rules could not run.",
        metadata={"rules": md.table(rules, _RULE), "batches": len(gated), "batches_stopped": stopped},
    )


def _batches(staged: dg.AssetKey, gated: Sequence[dict[str, Any]]) -> dg.AssetCheckResult:
    stopped = [batch for batch in gated if _is_stopped(batch)]
    return dg.AssetCheckResult(
        asset_key=staged,
        check_name=BATCHES,
        passed=not stopped,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(stopped)} of {len(gated)} batches stopped. Mend, then `crm-intake quarantine retry`.",
        metadata={"stopped": md.table(stopped, _STOPPED)},
    )


def _is_stopped(batch: dict[str, Any]) -> bool:
    return batch["state"] == "stopped"


def rule_table(gated: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per feed and rule over its batches; batches judged together share their counts, so the largest is told."""
    told: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for batch in gated:
        for rule in batch["gate"]["rules"]:
            told.setdefault((batch["feed"], rule["rule"]), []).append(rule)
    return [_rule(feed, name, results) for (feed, name), results in told.items()]


def _rule(feed: str, name: str, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "feed": feed,
        "rule": name,
        "passed": all(result["passed"] for result in results),
        "could_not_run": any(result["could_not_run"] for result in results),
        "batches": len(results),
        "batches_failed": sum(not result["passed"] for result in results),
        "rows": _most(results, "element_count"),
        "rows_unexpected": _most(results, "unexpected_count"),
    }


def _most(results: Sequence[dict[str, Any]], count: str) -> int:
    return int(max((result["counts"].get(count, 0) for result in results), default=0))

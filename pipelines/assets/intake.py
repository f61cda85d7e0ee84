"""The intake of each source in three layers: raw (landed as received), staged (shaped and gated), core (merged).

One factory per layer; partitioned by the day received. Between staged and core stands the gate (pipelines.checks.gate).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dagster as dg

from connectors.store.reports import outcomes_of_run
from pipelines.assets import metadata as md
from pipelines.assets.steps import is_from_unread, makes, mark_done, mark_failed, may_retry, step, window_of
from pipelines.operations.gating import is_shut, lower_staged, record_gate
from pipelines.operations.intake import Gated, merge_staged, stage_source
from pipelines.operations.landing import FeedLanding, first_error, land_source, sweep_abandoned
from pipelines.operations.sessions import Session
from pipelines.operations.unread import note_read, unread_of
from pipelines.resources import WorkspaceResource

NOUNS = {
    "short_courses": "registrations",
    "webropol": "responses",
    "web_forms": "submissions",
    "manual": "entries",
}
LAYERS = ("raw", "staged", "core")
FEEDS_DELIVERED = "feeds_delivered"
_OUTCOME = ("feed", "rows_read", "quarantined", "withheld", "applied", "unchanged", "reasons")


@dataclass(frozen=True)
class Days:
    """How the intake is partitioned, and how many days one run of a backfill takes."""

    partitions: dg.DailyPartitionsDefinition
    backfill: dg.BackfillPolicy

    def of(self, layer: str, source: str) -> dict[str, Any]:
        """What the assets of every layer have in common."""
        return {
            "name": asset_name(layer, source),
            "group_name": layer,
            "partitions_def": self.partitions,
            "backfill_policy": self.backfill,
        }


def asset_name(layer: str, source: str) -> str:
    """`{layer}_{source}__{plural noun}`."""
    return f"{layer}_{source}__{NOUNS[source]}"


def chain_of(sources: Sequence[str]) -> list[dg.AssetKey]:
    """The assets of the given sources, all layers."""
    return [dg.AssetKey(asset_name(layer, source)) for source in sources for layer in LAYERS]


def intake_assets(days: Days, retry: dg.RetryPolicy) -> list[dg.AssetsDefinition]:
    """The three layers of every source."""
    factories = (raw_asset, staged_asset, core_asset)
    return [factory(source, days, retry) for source in NOUNS for factory in factories]


def raw_asset(source: str, days: Days, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Landing: every feed of the source, as received."""
    name = asset_name("raw", source)
    whole = dg.AssetCheckSpec(
        FEEDS_DELIVERED, asset=name, description="Every feed was reached, and every file in the drop folder was whole."
    )

    @dg.asset(
        **days.of("raw", source),
        check_specs=[whole],
        retry_policy=retry,
        kinds={"python", "postgres"},
        description=f"What {source} gave on these days, as received: encrypted, and kept for two weeks.",
    )
    def land(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "intake") as session:
            days_received = window_of(context)
            if is_from_unread(context):
                days_received = unread_of(session, source, days_received)
            sweep_abandoned(session)
            landings = land_source(session, source, days_received)
            error = first_error(landings)
            if error is not None and (may_retry(context, error) or all(one.error for one in landings)):
                raise error
            if error is not None:
                mark_failed(session, unread=source)
            return _landed(landings, md.window(days_received))

    return land


def _landed(landings: Sequence[FeedLanding], days_received: str) -> dg.MaterializeResult:
    rows = [
        {
            "feed": one.feed,
            "batches_new": len(one.report.landed),
            "batches_known": len(one.report.seen_again),
            "files_refused": len(one.report.refused),
            "problem": one.problem,
        }
        for one in landings
    ]
    feeds = md.table(rows, ("feed", "batches_new", "batches_known", "files_refused", "problem"))
    new = sum(len(one.report.landed) for one in landings)
    delivered = dg.AssetCheckResult(
        check_name=FEEDS_DELIVERED,
        passed=not any(one.problem for one in landings),
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(f"{one.feed}: {one.problem}" for one in landings if one.problem) or "All came in.",
        metadata={"feeds": feeds},
    )
    return dg.MaterializeResult(
        metadata={"days_received": days_received, "batches_new": new, "feeds": feeds}, check_results=[delivered]
    )


def staged_asset(source: str, days: Days, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Shaping and the gate; what it stops has lowered what it can."""

    @dg.asset(
        **days.of("staged", source),
        deps=[asset_name("raw", source)],
        retry_policy=retry,
        kinds={"python", "pandas"},
        description=f"{source} in the project's own columns, gated batch by batch; bad rows are quarantined.",
    )
    def stage(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "intake") as session:
            gated, lowered = _stage(session, source)
            return dg.MaterializeResult(metadata=_staged(gated, lowered, md.window(window_of(context))))

    return stage


def _stage(session: Session, source: str) -> tuple[list[Gated], int]:
    gated = stage_source(session, source, judged=partial(record_gate, session))
    return gated, lower_staged(session, source) if is_shut(gated) else 0


def _staged(gated: Sequence[Gated], lowered: int, days_received: str) -> dict[str, Any]:
    feeds = sorted({one.batch.feed for one in gated})
    rows = [
        {
            "feed": feed,
            "batches": sum(one.batch.feed == feed for one in gated),
            "stopped": sum(one.batch.feed == feed and one.stop is not None for one in gated),
            "rules": max(len(one.results) for one in gated if one.batch.feed == feed),
        }
        for feed in feeds
    ]
    return {
        "days_received": days_received,
        "batches_gated": len(gated),
        "batches_stopped": sum(one.stop is not None for one in gated),
        "batches_lowered_only": lowered,
        "feeds": md.table(rows, ("feed", "batches", "stopped", "rules")),
    }


def core_asset(source: str, days: Days, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Merging into people, registrations and the ledger of consent."""

    @dg.asset(
        **days.of("core", source),
        deps=[asset_name("staged", source)],
        retry_policy=retry,
        kinds={"postgres"},
        description=f"People, registrations and consent events of {source}, each row in exactly one state.",
    )
    def merge(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "intake") as session:
            if not makes(context, asset_name("staged", source)):
                _stage(session, source)
            merged = merge_staged(session, source)
            if makes(context, asset_name("raw", source)):
                note_read(session, source, window_of(context))
            mark_done(session, source, of=_sources_of(context))
            with session.transaction() as conn:
                outcomes = outcomes_of_run(conn, session.run_id, source)
            return dg.MaterializeResult(metadata=_merged(merged, outcomes, md.window(window_of(context))))

    return merge


def _merged(batches: int, outcomes: list[dict[str, Any]], days_received: str) -> dict[str, Any]:
    return {
        "days_received": days_received,
        "batches_merged": batches,
        **{f"rows_{state}": int(sum(row[state] for row in outcomes)) for state in _OUTCOME[2:-1]},
        "rows_read": int(sum(row["rows_read"] for row in outcomes)),
        "rows_by_feed": md.table(outcomes, _OUTCOME),
    }


def _sources_of(context: dg.AssetExecutionContext) -> list[str]:
    """The sources whose last layer is part of this run."""
    selected = context.job_def.asset_layer.selected_asset_keys
    return [source for source in NOUNS if dg.AssetKey(asset_name("core", source)) in selected]

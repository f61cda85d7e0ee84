"""`run` and `plan`: the job with its writes, and the same engine without them."""

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from connectors.store import batches
from connectors.store.server import require_dagster
from pipelines.commands.clients import client_for
from pipelines.commands.console import (
    CONSOLE,
    DONE,
    ERRORS,
    INCOMPLETE,
    OUTSIDE_FAILED,
    ConfigOption,
    JsonOption,
    named,
    parse_day,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations.adoption import look_up
from pipelines.operations.doctor.guard import reasons_to_refuse
from pipelines.operations.handing_over import hand_over_used
from pipelines.operations.intake import Gated, merge_staged, stage_source
from pipelines.operations.landing import LandReport, land_feed
from pipelines.operations.own_organisation import require_own_organisation
from pipelines.operations.planning import Plan, approve_plan, make_plan
from pipelines.operations.policy_versions import settle_policy
from pipelines.operations.readback import read_back
from pipelines.operations.sessions import Session, rehearse
from pipelines.operations.unread import unread_window
from schemas.errors import ConfigurationError
from schemas.intents import Intent
from schemas.mappings import Source
from schemas.records import Window

SOURCES = [str(source) for source in Source if source not in (Source.DATAVERSE, Source.FINANCE)]
COUNT_COLUMNS = ("source", "feed", "rows_read", "quarantined", "withheld", "applied", "unchanged")

SourceOption = Annotated[list[str] | None, typer.Option("--source", help=f"One of {', '.join(SOURCES)}; repeatable.")]
DayOption = Annotated[str | None, typer.Option("--partition", help="One day received, YYYY-MM-DD.")]
FromOption = Annotated[str | None, typer.Option("--from", help="First day received, YYYY-MM-DD.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last day received, YYYY-MM-DD.")]


def run(
    source: SourceOption = None,
    partition: DayOption = None,
    first: FromOption = None,
    last: ToOption = None,
    approve: Annotated[str | None, typer.Option(help="Approve the waiting plan of this id, then run.")] = None,
    by: Annotated[str | None, typer.Option(help="Who approves; needed with --approve.")] = None,
    strict: Annotated[bool, typer.Option(help="Exit 1 if rows were quarantined or withheld.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take in what was received and bring the CRM up to date."""
    with session_for(config) as session:
        days = {"day": parse_day(partition), "first": parse_day(first), "last": parse_day(last)}
        window = window_of(session, source or SOURCES, **days)
        require_dagster(session.workspace.address)
        if approve is not None:
            _approve(session, approve, by)
        report = run_window(session, source or SOURCES, window)
        _show_run(report, as_json=as_json)
        if report["failed"]:
            raise typer.Exit(OUTSIDE_FAILED)
        incomplete = any(row["quarantined"] or row["withheld"] for row in report["counts"])
        raise typer.Exit(INCOMPLETE if strict and incomplete else DONE)


def plan(
    source: SourceOption = None,
    partition: DayOption = None,
    first: FromOption = None,
    last: ToOption = None,
    rows: Annotated[bool, typer.Option("--rows", help="List every write by row id.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say what a run would write, row by row, and write nothing."""
    with session_for(config) as session:
        days = {"day": parse_day(partition), "first": parse_day(first), "last": parse_day(last)}
        window = window_of(session, source or SOURCES, **days)
        listed: list[Intent] | None = [] if rows or as_json else None
        counts, planned = predict(session, source or SOURCES, window, listed)
        _show_plan(counts, planned, listed, as_json=as_json)


def window_of(
    session: Session,
    sources: list[str],
    *,
    day: date | None = None,
    first: date | None = None,
    last: date | None = None,
) -> Window:
    """The window asked for; without one, from the first day that is not wholly read of the sources to today."""
    if day is not None and (first or last):
        raise ConfigurationError("Give either --partition or --from and --to, not both.")
    if day is None and first is None and last is None:
        return unread_window(session, sources)
    today = session.now.astimezone(ZoneInfo(session.workspace.policy.organisation.timezone)).date()
    first_on = day or first or last or today
    last_on = day or last or today
    if first_on > last_on:
        raise ConfigurationError(f"--from {first_on} is after --to {last_on}; turn them round.")
    return Window(first_on, last_on)


def _approve(session: Session, plan_id: str, by: str | None) -> None:
    name = named(by, "An approval")
    with session.transaction() as conn:
        if not approve_plan(conn, plan_id, by=name, session=session):
            raise ConfigurationError(f"No plan {plan_id} waits for approval. See `crm-intake status`.")


def run_window(session: Session, sources: list[str], window: Window) -> dict[str, Any]:
    """Run through Dagster, so that the run shows in its UI, here or on the workers; returns what `run` prints."""
    from pipelines.cluster import run_as_set

    settings = session.workspace.settings
    with progress() as bar:
        task = bar.add_task("starting" if settings.executor == "in_process" else "on the workers", total=None)
        summary = run_as_set(
            settings,
            sources=sources,
            window=window,
            on_event=lambda text: bar.update(task, description=text),
        )
    return report_of(session, summary)


def report_of(session: Session, summary: Any) -> dict[str, Any]:
    """Counts by source and feed, the plan and what became of its writes, of the Dagster runs of a summary."""
    with session.transaction() as conn:
        counts = batches.run_counts(conn, summary.run_ids)
        writes = batches.write_counts(conn, summary.run_ids)
        waiting = batches.waiting_plan(conn)
        stopped = batches.stopped_batches(conn)
    return {
        "window": [summary.window.first_on, summary.window.last_on],
        "runs": dict(summary.states),
        "run_ids": dict(zip(summary.states, map(str, summary.run_ids), strict=True)),
        "problems": {name: told for name, told in summary.problems.items() if told},
        "failed": [name for name, state in summary.states.items() if state != "success"],
        "counts": [_flat(row) for row in counts],
        "writes": writes,
        "waiting_plan": waiting,
        "stopped": [
            {"feed": b.feed, "code": b.stop_code, "reason": b.stop_reason, "remedy": b.stop_remedy} for b in stopped
        ],
    }


def _flat(row: Any) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    for part in row["reasons"]:
        reasons.update(part)
    return {**{name: row[name] for name in COUNT_COLUMNS}, "reasons": dict(sorted(reasons.items()))}


def predict(
    session: Session, sources: list[str], window: Window, listed: list[Intent] | None = None
) -> tuple[list[dict[str, Any]], Plan]:
    """The counts and the plan that a run over the window would have now; nothing is kept, and the CRM only read.

    Its intents go to `listed`, where they are wanted one by one: a list of every write is as long as they are many.
    """
    workspace = session.workspace
    with rehearse(workspace) as rehearsal, rehearsal.transaction() as conn:
        batches.start_run(conn, rehearsal.run_id, "plan", at=rehearsal.now)
        refused: tuple[str, ...] = ()
        for source in sources:
            for mapping in workspace.feeds_of(source):
                _warn_refused(mapping.feed, land_feed(rehearsal, mapping, window))
            _warn_stopped(stage_source(rehearsal, source))
            merge_staged(rehearsal, source)
        if workspace.settings.dataverse_url:
            with client_for(workspace) as crm:
                require_own_organisation(rehearsal, crm)
                read_back(rehearsal, crm)
                look_up(rehearsal, crm)
                used = hand_over_used(rehearsal, crm)
                refused = (*settle_policy(rehearsal), *reasons_to_refuse(crm, workspace.policy), *used)
        counts = [_flat(row) for row in batches.run_counts(conn, [rehearsal.run_id])]
        each = None if listed is None else listed.append
        return counts, replace(make_plan(rehearsal, conn, each=each), refused=refused)


def _warn_refused(feed: str, report: LandReport) -> None:
    for refused in report.refused:
        ERRORS.print(f"{feed}: {refused}", markup=False)


def _warn_stopped(gated: list[Gated]) -> None:
    for one in gated:
        if one.stop:
            ERRORS.print(f"{one.batch.feed}: {one.stop[1]}", markup=False)


def progress() -> Progress:
    """A progress bar on standard error, so that `--json` stays clean."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=ERRORS,
        transient=True,
    )


def _show_run(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    first_on, last_on = report["window"]
    print_counts(report["counts"], f"Rows received {first_on} to {last_on}")
    print_table("Writes to the CRM", report["writes"], ("phase", "table", "state", "rows"))
    for batch in report["stopped"]:
        CONSOLE.print(f"stopped: {batch['feed']}: {batch['reason']}", markup=False)
    if report["waiting_plan"]:
        plan_id = report["waiting_plan"]["plan_id"]
        CONSOLE.print(
            f"Plan {plan_id} is larger than the blast radius; its lowerings were sent, the rest waits:\n"
            f"  crm-intake run --approve {plan_id} --by NAME"
        )
    for name, told in report["problems"].items():
        for problem in told:
            CONSOLE.print(f"{name}: {problem}", markup=False)
    for name in report["failed"]:
        CONSOLE.print(f"failed: {name} (see the Dagster UI: make ui)")


def print_counts(counts: list[dict[str, Any]], title: str) -> None:
    """Rows read per feed with the states they ended in, and beneath each the reasons."""
    print_table(title, counts, COUNT_COLUMNS[1:])
    for row in counts:
        total = row["quarantined"] + row["withheld"] + row["applied"] + row["unchanged"]
        sign = "=" if total == row["rows_read"] else "≠"
        reasons = ", ".join(f"{reason} {n}" for reason, n in row["reasons"].items())
        CONSOLE.print(f"  {row['feed']}: {row['rows_read']} {sign} {total}: {reasons}", markup=False, style="dim")


def _show_plan(counts: list[dict[str, Any]], planned: Plan, intents: list[Intent] | None, *, as_json: bool) -> None:
    for reason in planned.refused:
        ERRORS.print(f"A run would send lowerings only (`crm-intake crm doctor`): {reason}", markup=False)
    listed = [
        {
            "phase": i.phase.name.lower(),
            "method": str(i.method),
            "table": i.table_name,
            "row_id": str(i.row_id),
            "columns": sorted(i.columns),
        }
        for i in intents or ()
    ]
    if as_json:
        summary = {
            "plan_id": planned.plan_id,
            "waits": planned.waits,
            "guarded": planned.guarded,
            "limit": planned.limit,
            "refused": planned.refused,
        }
        print_json({**summary, "counts": counts, "writes": planned.counts(), "rows": listed})
        return
    print_counts(counts, "Rows that would be read")
    writes = [{"phase_and_table": name, "rows": n} for name, n in planned.counts().items()]
    print_table(f"Plan {planned.plan_id}: {planned.size} writes", writes, ("phase_and_table", "rows"))
    if intents is not None:
        print_table("Writes", listed, ("phase", "method", "table", "row_id", "columns"))
    if planned.waits:
        CONSOLE.print(
            f"This plan is larger than the blast radius ({planned.guarded} rows; the limit is {planned.limit}): a run sends its"
            " lowerings; the rest waits for `crm-intake run --approve ID --by NAME`.",
            markup=False,
        )

"""`undo`: a run that read what it should not have read, or read it wrongly, is taken back."""

from typing import Annotated
from uuid import UUID

import typer

from pipelines.commands.console import CONSOLE, ConfigOption, JsonOption, named, print_json, print_table, session_for
from pipelines.operations.undo import UndoReport, rehearse_undo, undo_run
from schemas.errors import ConfigurationError


def undo(
    run: Annotated[str, typer.Argument(help="The id of the run, as whatever read something and `explain` show it.")],
    by: Annotated[str, typer.Option("--by", help="Who undoes it, by name.")],
    feed: Annotated[
        list[str] | None, typer.Option("--feed", help="Only what it read of this feed; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and keep nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Void what a run read: its consent events, names and registrations. The next `run` repairs the CRM.

    People's own acts and edits in the CRM are kept, and nothing rises beyond what the ledger still holds. Mend the
    mapping first: its batches are then read again at once.
    """
    with session_for(config) as session:
        name = named(by, "An undo")
        act = rehearse_undo if dry_run else undo_run
        report = act(session, _run_id(run), by=name, feeds=feed)
    if as_json:
        print_json({**report.counts(), "undo_run": str(report.undo_run_id), "writes": report.writes})
    else:
        _show(report, is_rehearsal=dry_run)


def _run_id(run: str) -> UUID:
    try:
        return UUID(run)
    except ValueError:
        raise ConfigurationError("RUN is the id of a run (a GUID), as `crm-intake run --json` shows it.") from None


def _show(report: UndoReport, *, is_rehearsal: bool) -> None:
    if report.is_nothing:
        CONSOLE.print("Nothing to undo: the run read nothing that still stands.")
        return
    counts = report.counts()
    rows = [{"feed": f, "what": what, "rows": n} for f, kinds in counts["by_feed"].items() for what, n in kinds.items()]
    print_table("Would be void" if is_rehearsal else "Void", rows, ("feed", "what", "rows"))
    CONSOLE.print(
        "{addresses} addresses folded again: {raised} rise to what the ledger still holds, {lowered} fall. "
        "{batches_read_again} batches read again; {batches_waiting_for_a_mended_mapping} wait for a mended mapping.".format(
            **counts
        )
    )
    if counts["rows_as_received"]:
        CONSOLE.print(
            "{rows_as_received} rows that were mended are as received, and in quarantine again.".format(**counts)
        )
    if counts["batches_read_when_they_come_again"]:
        CONSOLE.print(
            "{batches_read_when_they_come_again} later batches told some of it too and have left the landing: they are read "
            "again when their source gives them again.".format(**counts)
        )
    if report.writes is not None:
        writes = [{"phase_and_table": name, "rows": n} for name, n in report.writes.items()]
        print_table("The next plan would write", writes, ("phase_and_table", "rows"))

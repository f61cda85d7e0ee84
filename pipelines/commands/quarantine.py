"""`quarantine`: what could not be taken in, and the loop that mends it, row by row or in a workbook."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.console import CONSOLE, ConfigOption, JsonOption, print_json, print_table, session_for
from pipelines.operations import mending
from pipelines.operations import quarantine as repair
from pipelines.operations.mending import Mended

QUARANTINE = typer.Typer(help="What could not be taken in, and the loop that mends it.", no_args_is_help=True)

_COLUMNS = ("quarantine_id", "feed", "row_no", "field", "value_class", "what", "remedy", "owner", "age_days")

FeedOption = Annotated[str | None, typer.Option("--feed", help="Only this feed.")]
ByOption = Annotated[str, typer.Option("--by", help="Who does it; kept with the entry.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the entry. Write no person's data here.")]


@QUARANTINE.command("list")
def list_entries(
    source: Annotated[str | None, typer.Option("--source", help="Only this source.")] = None,
    feed: FeedOption = None,
    reason: Annotated[str | None, typer.Option("--fault", help="Only this fault, such as email_invalid.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Only forms of this owner.")] = None,
    older_than: Annotated[int | None, typer.Option("--older-than", help="Waiting at least so many days.")] = None,
    stopped: Annotated[bool, typer.Option("--stopped", help="Stopped batches, whole, instead of single rows.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Also what is mended or discarded.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Open faults, oldest first: which field, what is wrong, how to mend it. No value is shown."""
    asked = repair.Filter(None if every else "open", source, feed, reason, owner, older_than)
    with session_for(config) as session:
        entries = repair.list_stopped(session, feed=feed) if stopped else repair.list_entries(session, asked)
    if as_json:
        print_json(entries)
    elif stopped:
        print_table("Stopped batches", entries, ("batch_id", "feed", "owner", "received_at", "reason", "remedy"))
    else:
        print_table("Quarantine", entries, _COLUMNS)
        if len(entries) == asked.limit:
            CONSOLE.print(f"These are the oldest {asked.limit}. Narrow it by --feed, --fault, --owner or --older-than.")


@QUARANTINE.command("show")
def show(entry: int, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """One entry with its row, the bad fields marked. This shows a person's data."""
    with session_for(config) as session:
        shown = repair.show_entry(session, entry)
    if as_json:
        print_json(shown)
        return
    for fault in shown["faults"] or [shown]:
        CONSOLE.print(f"{shown['feed']}, row {shown['row_no']}: {fault['what']} {fault['remedy']}", markup=False)
    marked = [
        {"": "»" if title in (*shown["bad_columns"], shown["column_title"]) else "", "column": title, "value": value}
        for title, value in shown["row"].items()
    ]
    print_table("The row", marked, ("", "column", "value"))
    print_table("Mended before", shown["mended"], ("column_title", "mended_by", "mended_at", "reason"))


@QUARANTINE.command("mend")
def mend(
    entry: int,
    by: ByOption,
    reason: ReasonOption,
    column: Annotated[str | None, typer.Option("--field", help="Title of the column; else the entry's own.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a new value into a cell and read its row again. The value comes on standard input; an empty line blanks it."""
    value = sys.stdin.readline().strip("\r\n")
    with session_for(config) as session:
        _tell(mending.mend(session, entry, column=column, value=value, signature=(by, reason)), as_json=as_json)


@QUARANTINE.command("retry")
def retry(
    entry: Annotated[int | None, typer.Argument(help="One entry; without it, all that is open or stopped.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read the row of an entry again, or every batch with something open, with the mapping as it is now."""
    with session_for(config) as session:
        gated = repair.retry(session, entry)
        left = sum(row["open"] for row in repair.count_entries(session))
        undone = repair.left_out(session, entry)
    result = {
        "run_id": str(session.run_id),
        "batches": len(gated),
        "stopped": sum(one.stop is not None for one in gated),
        "still_open": left,
        "still_undone": len(undone),
    }
    if as_json:
        print_json(result)
        return
    CONSOLE.print(
        "{batches} batches read again in run {run_id}, {stopped} stopped, {still_open} faults still open.".format(
            **result
        )
    )
    if undone:
        CONSOLE.print(
            "{still_undone} batches of {feeds} were undone and are not read again by the same mapping. Mend it in "
            "config/sources, then try again.".format(**result, feeds=", ".join(sorted(set(undone))))
        )


@QUARANTINE.command("discard")
def discard(
    entry: int, by: ByOption, reason: ReasonOption, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Let an entry go without mending it."""
    with session_for(config) as session:
        repair.discard(session, entry, by=by, reason=reason)
    if as_json:
        print_json({"discarded": entry})
    else:
        CONSOLE.print(f"Entry {entry} is discarded.")


@QUARANTINE.command("export")
def export(
    feed: str,
    to: Annotated[Path, typer.Option("--to", help="The new workbook to write (.xlsx). It holds people's data.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write a feed's open rows into a workbook for the owner of the form, the bad cells coloured.

    It shows a person's data.
    """
    with session_for(config) as session:
        rows = mending.export_workbook(session, feed, to)
    if as_json:
        print_json({"rows": rows})
    else:
        CONSOLE.print(
            f"{rows} rows written. Send the workbook by a channel fit for personal data, and delete it after."
        )


@QUARANTINE.command("import")
def take_in(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The workbook, filled in.")],
    by: ByOption,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take in what was changed in an exported workbook, and read those rows again."""
    with session_for(config) as session:
        _tell(mending.import_workbook(session, file, by=by), as_json=as_json)


def _tell(mended: Mended, *, as_json: bool) -> None:
    if as_json:
        print_json(mended)
    else:
        CONSOLE.print(
            f"{mended.cells} cells of {mended.rows} rows mended and read again in run {mended.run_id}; {mended.still_open}"
            " faults of those rows are still open."
        )
        if mended.still_undone:
            CONSOLE.print(
                f"{mended.still_undone} of the rows are of batches that were undone: they are read once the mapping is mended."
            )

"""`quarantine`, `sources`, `explain`, `status`: looking, checking a file, mending and trying again."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.decoders import decode
from connectors.files import media_type_of
from pipelines.commands.console import (
    CONSOLE,
    INCOMPLETE,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations import quarantine as repair
from pipelines.operations.explain import explain as explained
from pipelines.operations.gate import gate_batch
from pipelines.operations.status import as_prometheus, check_status
from pipelines.transforms.shape import shape_batch
from schemas.errors import ConfigurationError
from schemas.mappings import json_schema

QUARANTINE = typer.Typer(help="What could not be taken in, and the loop that mends it.", no_args_is_help=True)
SOURCES = typer.Typer(help="What is mapped, and whether a file would be understood.", no_args_is_help=True)

FeedOption = Annotated[str | None, typer.Option("--feed", help="Only this feed.")]


@QUARANTINE.command("list")
def list_entries(
    feed: FeedOption = None,
    stopped: Annotated[bool, typer.Option("--stopped", help="Stopped batches, whole, instead of single rows.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Also what is mended or discarded.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Open faults, oldest first: which field, what is wrong, how to mend it. No value is shown."""
    with session_for(config) as session:
        if stopped:
            entries = repair.list_stopped(session, feed=feed)
        else:
            entries = repair.list_entries(session, state=None if every else "open", feed=feed)
    if as_json:
        print_json(entries)
    elif stopped:
        print_table("Stopped batches", entries, ("batch_id", "feed", "received_at", "reason", "remedy"))
    else:
        print_table(
            "Quarantine", entries, ("quarantine_id", "feed", "row_no", "field", "value_class", "what", "remedy")
        )


@QUARANTINE.command("show")
def show(entry: int, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """One entry with its row as received. This shows a person's data."""
    with session_for(config) as session:
        shown = repair.show_entry(session, entry)
    if as_json:
        print_json(shown)
        return
    CONSOLE.print(f"{shown['feed']}, row {shown['row_no']}: {shown['what']} {shown['remedy']}", markup=False)
    marked = [
        {"": "»" if title == shown["column_title"] else "", "column": title, "value": value}
        for title, value in shown["row"].items()
    ]
    print_table("As received", marked, ("", "column", "value"))


@QUARANTINE.command("retry")
def retry(
    entry: Annotated[int | None, typer.Argument(help="One entry; without it, all that is open or stopped.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read the batch again with the mapping as it is now."""
    with session_for(config) as session:
        gated = repair.retry(session, entry)
        left = repair.list_entries(session)
    result = {"batches": len(gated), "stopped": sum(one.stop is not None for one in gated), "still_open": len(left)}
    if as_json:
        print_json(result)
    else:
        CONSOLE.print(
            "{batches} batches read again, {stopped} stopped, {still_open} faults still open.".format(**result)
        )


@QUARANTINE.command("discard")
def discard(entry: int, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Let an entry go without mending it."""
    with session_for(config) as session:
        repair.discard(session, entry)
    if as_json:
        print_json({"discarded": entry})
    else:
        CONSOLE.print(f"Entry {entry} is discarded.")


@SOURCES.command("list")
def list_sources(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The feeds that are mapped, how each is delivered and what is asked."""
    with session_for(config) as session:
        feeds = [_described(mapping) for mapping in session.workspace.mappings.values()]
    if as_json:
        print_json(feeds)
    else:
        print_table("Feeds", feeds, ("source", "feed", "title", "kind", "delivery", "purposes", "owner"))


def _described(mapping: Any) -> dict[str, Any]:
    delivery = "file" if mapping.file else "table" if mapping.table else "api"
    purposes = sorted({consent.purpose for consent in mapping.consents})
    return {
        "source": str(mapping.source),
        "feed": mapping.feed,
        "title": mapping.title,
        "kind": str(mapping.kind),
        "delivery": delivery,
        "purposes": ", ".join(purposes),
        "owner": mapping.owner,
    }


@SOURCES.command("check")
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="An export.")],
    feed: Annotated[str, typer.Option("--feed", help="The feed it belongs to.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Would this file be understood? A dry run with a verdict per fault; nothing is kept and no value is shown."""
    with session_for(config) as session:
        mapping = session.workspace.mappings.get(feed)
        if mapping is None:
            raise ConfigurationError(f"There is no feed {feed!r}. See `crm-intake sources list`.")
        raw = decode(media_type_of(mapping), file.read_bytes(), mapping)
        shaped = shape_batch(raw, mapping, received_at=session.now, policy=session.workspace.policy)
        verdict = gate_batch(shaped, mapping)
    counted = shaped.faults.groupby(["field", "fault", "blocks"]).size().reset_index(name="rows")
    faults: list[dict[str, Any]] = [
        dict(zip(counted.columns, row, strict=True)) for row in counted.itertuples(index=False)
    ]
    failed = [result.name for result in verdict.results if not result.passed]
    if as_json:
        print_json(
            {"rows": len(shaped.submissions), "faults": faults, "rules_failed": failed, "dropped": shaped.dropped}
        )
    else:
        CONSOLE.print(f"{len(shaped.submissions)} rows; rules failed: {', '.join(failed) or 'none'}.")
        print_table("Faults", faults, ("field", "fault", "blocks", "rows"))
    raise typer.Exit(INCOMPLETE if failed else 0)


@SOURCES.command("schema")
def schema() -> None:
    """The JSON Schema of a mapping, for editors to complete and check."""
    print_json(json_schema())


def explain(
    person: Annotated[
        str, typer.Argument(help="An id; or `-`: an address on standard input (never in the arguments).")
    ],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Why is this person where they are: every row, rule, consent event and write. This shows a person's data."""
    with session_for(config) as session:
        who = {"address": sys.stdin.readline().strip()} if person == "-" else {"person": person}
        history = explained(session, **who)
    if as_json:
        print_json(history)
        return
    for name, rows in history.items():
        print_table(name.replace("_", " "), rows, tuple(rows[0]) if rows else ())


def status(
    as_json: JsonOption = False,
    prometheus: Annotated[bool, typer.Option(help="Print Prometheus text.")] = False,
    config: ConfigOption = None,
) -> None:
    """Last good run, silent sources, oldest withdrawal not yet in the CRM, age of quarantine. Exit 1 on an alarm."""
    with session_for(config) as session:
        found = check_status(session)
    if prometheus:
        sys.stdout.write(as_prometheus(found))
    elif as_json:
        print_json({"alarms": found.alarms, **found.facts})
    else:
        CONSOLE.print(f"Last good run: {found.facts['last_good_at'] or 'none yet'}")
        print_table("Quarantine", found.facts["quarantine"], ("source", "open", "oldest_at"))
        print_table("Feeds", found.facts["feeds"], ("source", "feed", "last_at", "read_to"))
        for alarm in found.alarms or ["All is well."]:
            CONSOLE.print(alarm, markup=False)
    raise typer.Exit(INCOMPLETE if found.alarms else 0)

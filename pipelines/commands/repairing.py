"""`explain`, `status`: why a person is where they are, and whether anything is overdue."""

import sys
from typing import Annotated

import typer

from pipelines.commands.console import (
    CONSOLE,
    INCOMPLETE,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations.explain import explain as explained
from pipelines.operations.status import as_prometheus, check_status
from pipelines.operations.watching import tell_breaches


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
    tell: Annotated[bool, typer.Option("--tell", help="Tell of new breaches by mail or webhook, once each.")] = False,
    config: ConfigOption = None,
) -> None:
    """Last good run, silent sources, oldest withdrawal not yet in the CRM, age of quarantine. Exit 1 on an alarm."""
    with session_for(config) as session:
        found = check_status(session)
        if tell:
            tell_breaches(session, found.alarms)
    if prometheus:
        sys.stdout.write(as_prometheus(found))
    elif as_json:
        print_json({"alarms": found.alarms, **found.facts})
    else:
        CONSOLE.print(f"Last good run: {found.facts['last_good_at'] or 'none yet'}")
        print_table("Quarantine", found.facts["quarantine"], ("source", "feed", "owner", "open", "oldest_at"))
        print_table("Feeds", found.facts["feeds"], ("source", "feed", "last_at", "read_to"))
        for alarm in found.alarms or ["All is well."]:
            CONSOLE.print(alarm, markup=False)
    raise typer.Exit(INCOMPLETE if found.alarms else 0)

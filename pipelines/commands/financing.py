"""`finance`: payments, payers, invoice recipients and payees, apart from all else. Works under finance's own role."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from connectors.finance.desk import Correction
from pipelines.commands.console import (
    CONSOLE,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    reading_noted,
    session_for,
    settings_for,
    speaking,
)
from pipelines.operations.finance import work
from pipelines.operations.finance.office import FinanceOffice, open_office
from pipelines.operations.finance.taking import Taken, take_all, take_file

FINANCE = typer.Typer(help="Payments, payers, invoices and payees: apart from the CRM.", no_args_is_help=True)

_TAKEN = ("feed", "deliveries", "entries", "refusals", "problems")


@contextmanager
def office_for(config: Path | None) -> Iterator[FinanceOffice]:
    """An opened office; errors of ours end the command."""
    with speaking(), open_office(settings_for(config)) as office, reading_noted(office):
        yield office


@FINANCE.command("take")
def take(
    file: Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help="A file of finance's own.")] = None,
    feed: Annotated[str, typer.Option("--feed", help="The feed of the file.")] = "finance_template",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take in a file; without one, what the sources have landed and what lies in the drop folder for finance."""
    with office_for(config) as office:
        if file is not None:
            taken = [take_file(office, file, feed, now=office.now())]
        else:
            with session_for(config) as session:
                taken = take_all(session, office)
    _tell(taken, as_json=as_json)


def _tell(taken: list[Taken], *, as_json: bool) -> None:
    if as_json:
        print_json(taken)
        return
    print_table("Taken", [{**vars(one), "problems": "; ".join(one.problems)} for one in taken], _TAKEN)


@FINANCE.command("list")
def list_entries(
    refused: Annotated[bool, typer.Option("--refused", help="Only entries with a value that was refused.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Entries, newest first, with the fields that were refused. No value of a party is shown."""
    with office_for(config) as office:
        entries = work.list_entries(office, refused_only=refused)
    if as_json:
        print_json(entries)
    else:
        print_table("Entries", entries, ("entry_id", "feed", "kind", "dated_on", "amount", "kept_until", "refused"))


@FINANCE.command("show")
def show(
    entry: Annotated[
        str, typer.Argument(help="An id; or `-`: a name, account, VAT id or e-invoice address on standard input.")
    ],
    config: ConfigOption = None,
) -> None:
    """One entry, or all of a party, with what was refused and corrected, as JSON. This shows a person's data."""
    with office_for(config) as office:
        which = {"written": sys.stdin.readline()} if entry == "-" else {"entry": entry}
        found = work.show_entries(office, **which)
    print_json(found)


@FINANCE.command("correct")
def correct(
    entry: Annotated[str, typer.Argument(help="The id of the entry.")],
    role: Annotated[str, typer.Argument(help="payer, invoice_recipient or payee.")],
    field: Annotated[str, typer.Argument(help="The field of the party, such as iban.")],
    by: Annotated[str, typer.Option("--by", help="Who corrects it, by name.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    config: ConfigOption = None,
) -> None:
    """Set a field right: the value on standard input, never in the arguments. What it was is kept, as accounting wants."""
    with office_for(config) as office:
        after = sys.stdin.readline().strip()
        work.correct(office, Correction(work.entry_id(entry), role, field, after, reason=reason, by=by))
    CONSOLE.print("Corrected.")


@FINANCE.command("retain")
def retain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Delete the entries that accounting law keeps no longer, by the end of their fiscal year."""
    with office_for(config) as office:
        past = work.let_go(office, dry_run=dry_run)
    if as_json:
        print_json(past)
    else:
        columns = ("fiscal_year_end", "record_class", "kept_until", "entries")
        print_table("Would be deleted" if dry_run else "Deleted", past, columns)

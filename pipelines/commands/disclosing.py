"""`privacy disclose` and `privacy disclosures`: a file for a named third party, and whom it must be told of afterwards."""

import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from connectors.store.disclosures import list_disclosures
from pipelines.commands.console import CONSOLE, ConfigOption, JsonOption, named, print_json, print_table, session_for
from pipelines.operations.disclosing import Asked, disclose, mark_told, to_tell
from schemas.errors import ConfigurationError


def disclose_event(
    event: Annotated[str, typer.Argument(help="The event's id, as its source has it.")],
    recipient: Annotated[str, typer.Argument(help="A recipient of the policy; `participants` for networking.")],
    by: Annotated[str, typer.Option("--by", help="Who decides it, by name.")],
    reason: Annotated[str, typer.Option("--reason", help="What the event needs it for. Write nobody's data here.")],
    out: Annotated[Path, typer.Option("--out", help="The archive to write (.zip).", dir_okay=False)],
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", exists=True, dir_okay=False, help="Else on standard input.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Where several sources have the id.")] = None,
    is_postponed: Annotated[
        bool, typer.Option("--postponed", help="Over before and told again later, it is the same event all the same.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of a workbook.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make the file that the policy allows, sealed under a passphrase, and write it down. This shows a person's data."""
    with session_for(config) as session:
        secret = (passphrase_file.read_text("utf-8") if passphrase_file else sys.stdin.readline()).strip("\r\n")
        asked = Asked(event, recipient, by, reason, source, "csv" if as_csv else "xlsx", is_postponed)
        made = disclose(session, asked, out, passphrase=secret)
    if as_json:
        print_json(made)
    else:
        CONSOLE.print(
            f"{made.people} people, {', '.join(made.columns)}: disclosure {made.disclosure_id}.", markup=False
        )
        if made.registered_after is not None:
            CONSOLE.print(
                f"The event had been over by {made.registered_after:%Y-%m-%d}: who registered before is not in the file."
                " Say --postponed if it is still the same event.",
                markup=False,
            )


def disclosures(
    tell: Annotated[bool, typer.Option("--to-tell", help="Whom recipients must be told of, and why.")] = False,
    told: Annotated[str | None, typer.Option("--told", help="The recipient of this disclosure was told.")] = None,
    listing: Annotated[str, typer.Option("--listing", help="Of what, as --to-tell showed it.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who told them, by name.")] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What was disclosed, to whom, why and by whom; no value. Recipients are told by the references in their own files."""
    with session_for(config) as session:
        if told is not None:
            name = named(by, "Telling a recipient")
            rows = [{"disclosure_id": told, "told_of": mark_told(session, _id(told), listing=listing, by=name)}]
        elif tell:
            rows = to_tell(session)
        else:
            with session.transaction() as conn:
                rows = list_disclosures(conn)
    if as_json:
        print_json(rows)
    else:
        print_table("Disclosures", rows, tuple(rows[0]) if rows else ())


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ConfigurationError("--told takes the id of a disclosure, as `privacy disclosures` shows it.") from None

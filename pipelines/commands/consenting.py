"""`consent`: what stands for one contact point and why, and the entry of what a person told staff."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.console import (
    CONSOLE,
    INCOMPLETE,
    TOLD_AT_ONCE,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations.acts import Deed
from pipelines.operations.consents import Told, consent_record, receipt, record_told, show_consent
from pipelines.operations.ledger import as_facts, sign_head, verify
from pipelines.operations.ledger_copies import export_ledger, import_ledger

CONSENT = typer.Typer(help="The ledger of consents: one contact point's, and entries by staff.", no_args_is_help=True)

Person = Annotated[str, typer.Argument(help="An id; or `-`: an address on standard input (never in the arguments).")]


@CONSENT.command("show")
def show(
    person: Person,
    as_record: Annotated[
        bool, typer.Option("--record", help="As consent records (ISO/IEC TS 27560), in JSON.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """States, events with their evidence, and living purposes. This shows a person's data."""
    with session_for(config) as session:
        read = consent_record if as_record else show_consent
        found = read(session, **_who(person))
    if as_json or as_record:
        print_json(found)
        return
    for name, rows in found.items():
        print_table(name.replace("_", " "), rows, tuple(rows[0]) if rows else ())


@CONSENT.command("record")
def record(
    person: Person,
    deed: Annotated[Deed, typer.Option("--deed", help="What the person did.")],
    purpose: Annotated[str, typer.Option("--purpose", help="The purpose it is about.")],
    said_at: Annotated[str, typer.Option("--said-at", help="When: YYYY-MM-DD [HH:MM[:SS]], or D.M.YYYY.")],
    by: Annotated[str, typer.Option("--by", help="Who took it down, by name.")],
    method: Annotated[str, typer.Option("--method", help="How it was said: phone, e-mail, letter, in person.")],
    topic: Annotated[list[str] | None, typer.Option("--topic", help="Only this topic; repeatable.")] = None,
    notice: Annotated[str | None, typer.Option("--notice", help="Version of the privacy notice given.")] = None,
    language: Annotated[str, typer.Option("--language", help="Language of the words.")] = "fi",
    reference: Annotated[str | None, typer.Option("--reference", help="The entry's own, as a diary number.")] = None,
    guardian: Annotated[bool, typer.Option("--guardian", help="A child's guardian said it.")] = False,
    of_age: Annotated[
        bool, typer.Option("--of-age", help="The person is old enough for marketing, as was said: a child is not.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take down what a person said. A yes needs the person's own words: the rest of standard input.

    With `-` the first line of standard input is the address. A no needs neither words nor notice, and the CRM is told of it
    at once where `crm-intake preferences sync` or Dagster runs; of a yes, by the next run.
    """
    with session_for(config) as session:
        who = _who(person)
        told = Told(
            deed=deed,
            purpose=purpose,
            topics=topic or (),
            said_at=said_at,
            by=by,
            method=method,
            words="" if deed is not Deed.GRANT else sys.stdin.read(),
            language=language,
            notice_version=notice,
            reference=reference,
            is_guardian=guardian,
            is_of_age=of_age,
            **who,
        )
        events = record_told(session, told)
    if as_json:
        print_json({"events": events})
    else:
        when = "The next run tells the CRM." if deed is Deed.GRANT else TOLD_AT_ONCE
        CONSOLE.print(f"Recorded: {len(events)} event{'s' if len(events) > 1 else ''}. {when}")


@CONSENT.command("receipt")
def receipt_of(person: Person, config: ConfigOption = None) -> None:
    """The consent receipt for a person, as JSON-LD with the Data Privacy Vocabulary. This shows a person's data."""
    with session_for(config) as session:
        made = receipt(session, **_who(person))
    print_json(made)


@CONSENT.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="A new file; it will hold people's data.")], config: ConfigOption = None
) -> None:
    """Write the ledger with its evidence as signed JSON lines, readable by its owner alone.

    It shows a person's data, and everybody's.
    """
    with session_for(config) as session:
        count = export_ledger(session, file)
    CONSOLE.print(f"{count} events written.")


@CONSENT.command("import")
def import_copy(
    file: Annotated[Path, typer.Argument(help="A copy made by `consent export`.", exists=True, dir_okay=False)],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Append the events of a copy that the ledger does not have; what it has stays as it is."""
    with session_for(config) as session:
        counts = import_ledger(session, file)
    if as_json:
        print_json(dict(counts))
    else:
        CONSOLE.print("{added} added, {known} known before, {erased} of people erased since.".format_map(counts))


@CONSENT.command("verify")
def verify_ledger(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check the ledger's hash chain and its signed heads; exit 1 and the first broken link where it was tampered with."""
    with session_for(config) as session:
        verified = verify(session)
        if not verified.broken:
            sign_head(session)
    if as_json:
        print_json(as_facts(verified))
    else:
        said = verified.said()
        CONSOLE.print("The ledger is intact." if not said else f"First broken link: {said[0]}", markup=False)
        for one in said[1:]:
            CONSOLE.print(one, markup=False)
        CONSOLE.print(
            "{events} events and {voids} voidings in {groups} groups; {evidence} with their evidence.".format(
                **verified.counts
            )
        )
        CONSOLE.print(f"{verified.signed_heads} signed heads; {verified.unsigned_groups} groups since the last.")
    raise typer.Exit(INCOMPLETE if verified.broken else 0)


def _who(person: str) -> dict[str, str]:
    return {"address": sys.stdin.readline().strip()} if person == "-" else {"person": person}

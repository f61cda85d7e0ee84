"""`privacy export · rectify · restrict · object · requests`: what a person may ask for, each in one command."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from connectors.store import data_requests as store
from connectors.store.erasure import Scope
from pipelines.commands.clients import client_or_none
from pipelines.commands.console import (
    CONSOLE,
    TOLD_AT_ONCE,
    ConfigOption,
    JsonOption,
    named,
    parse_day,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations.erasure import find_person
from pipelines.operations.person_export import export_person
from pipelines.operations.rights import lift, object_to, rectify, restrict, take_request
from pipelines.operations.sessions import Session
from schemas.errors import ConfigurationError

KINDS = ("access", "erasure", "rectification", "restriction", "objection", "portability")
PersonArgument = Annotated[str, typer.Argument(help="An id; `-`: an address on the first line of standard input.")]
ByOption = Annotated[str, typer.Option("--by", help="Who does it, by name.")]
EveryoneOption = Annotated[bool, typer.Option("--everyone", help="All people who share the address.")]

REQUESTS = typer.Typer(help="What people have asked for, and by when it is to be answered.", no_args_is_help=True)


def export(
    person: PersonArgument,
    to: Annotated[
        Path, typer.Option("--to", help="The directory for person.json and person.html; not one that has them.")
    ],
    by: ByOption,
    everyone: EveryoneOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Everything of a person in store, landing, quarantine and CRM: JSON, and a page to read (GDPR Art. 15, 20).

    This shows a person's data.
    """
    with session_for(config) as session:
        who = named(by, "An export")
        scope = _meant(session, person, everyone=everyone, may_be_unknown=True)
        with client_or_none(session) as crm:
            exported = export_person(session, scope, to, crm=crm)
        with session.transaction() as conn:
            kinds = ["access", "portability"]
            store.answer_requests(conn, scope, kinds, by=who, at=session.now, outcome="exported")
            open_still = store.nobodys_requests(conn, scope, kinds)
    if as_json:
        files = {"json": exported.json_path, "page": exported.page_path}
        print_json({**files, "counts": exported.counts, "open_requests": open_still})
        return
    print_table("Exported", [{"what": k, "rows": n} for k, n in exported.counts.items() if n], ("what", "rows"))
    CONSOLE.print(f"{exported.json_path}\n{exported.page_path}", markup=False)
    if open_still:
        CONSOLE.print(open_still)


def rectify_person(person: PersonArgument, by: ByOption, config: ConfigOption = None) -> None:
    """Put right a person's given_name, family_name, phone or organisation: lines of field=value on standard input.

    The next run tells the CRM. A changed address is the person's own to give: on their page, or by a new form.
    """
    with session_for(config) as session:
        scope = _meant(session, person, everyone=False)
        lines = [line.rstrip("\n").partition("=") for line in sys.stdin if line.strip()]
        stated = {field.strip(): value.strip() for field, _, value in lines}
        fields = rectify(session, scope, stated, by=named(by, "A rectification"))
    CONSOLE.print(f"Rectified: {', '.join(fields)}.")


def restrict_person(
    person: PersonArgument,
    by: ByOption,
    reason: Annotated[
        str, typer.Option("--reason", help="Why: accuracy contested, unlawful, a claim, an objection.")
    ] = "",
    is_lifted: Annotated[bool, typer.Option("--lift", help="Lift the restriction.")] = False,
    config: ConfigOption = None,
) -> None:
    """Restrict a person's data: no write but lowering, no mail, no deletion, until it is lifted (GDPR Art. 18)."""
    with session_for(config) as session:
        scope, who = _meant(session, person, everyone=True), named(by, "A restriction")
        if is_lifted:
            CONSOLE.print(f"{lift(session, scope)} restrictions lifted.")
            return
        if not reason.strip():
            raise ConfigurationError("Give --reason, or --lift.")
        CONSOLE.print(f"{restrict(session, scope, reason=reason, by=who)} restricted. {TOLD_AT_ONCE}")


def object_person(
    person: PersonArgument,
    purpose: Annotated[list[str], typer.Option("--purpose", help="A purpose of the policy; repeatable.")],
    by: ByOption,
    reference: Annotated[str | None, typer.Option("--reference", help="The diary number of the objection.")] = None,
    everyone: EveryoneOption = False,
    config: ConfigOption = None,
) -> None:
    """Record a person's objection to related_events, networking, enquiry or marketing (GDPR Art. 21)."""
    with session_for(config) as session:
        scope = _meant(session, person, everyone=everyone)
        events = object_to(session, scope, purpose, by=named(by, "An objection"), reference=reference)
    CONSOLE.print(f"{len(events)} events recorded. {TOLD_AT_ONCE}")


@REQUESTS.command("list")
def list_requests(
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Open requests by deadline, with who organised what the person last registered for."""
    with session_for(config) as session, session.transaction() as conn:
        found = store.list_requests(conn, now=session.now, every=every)
    if as_json:
        print_json(found)
        return
    columns = ("request_id", "kind", "organiser_unit", "organiser_contact", "asked_at", "due_at", "is_overdue", "state")
    print_table("Requests", found, columns)


@REQUESTS.command("add")
def add_request(
    person: PersonArgument,
    kind: Annotated[str, typer.Option("--kind", help=f"One of {', '.join(KINDS)}.")],
    by: ByOption,
    asked: Annotated[str | None, typer.Option("--asked", help="The day it was made, YYYY-MM-DD; today.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take a request down; it is to be answered within a month (GDPR Art. 12(3))."""
    with session_for(config) as session:
        if kind not in KINDS:
            raise ConfigurationError(f"--kind is one of {', '.join(KINDS)}.")
        day = parse_day(asked)
        asked_at = None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
        scope = _meant(session, person, everyone=True)
        taken = take_request(session, scope, kind=kind, asked_at=asked_at, by=named(by, "Taking a request"))
    if as_json:
        print_json(taken)
    else:
        CONSOLE.print(f"{taken['request_id']}: to be answered by {taken['due_at']:%Y-%m-%d}.")


@REQUESTS.command("close")
def close_request(
    request: Annotated[str, typer.Argument(help="The request's id.")],
    by: ByOption,
    outcome: Annotated[str, typer.Option("--outcome", help="What was answered; no person in it.")],
    is_refused: Annotated[bool, typer.Option("--refused", help="Refused, with the ground as the outcome.")] = False,
    config: ConfigOption = None,
) -> None:
    """Close a request that was answered by other means, or refused (Art. 12(4): tell the person why)."""
    with session_for(config) as session, session.transaction() as conn:
        state = "refused" if is_refused else "done"
        told = {"state": state, "by": named(by, "Closing a request"), "at": session.now, "outcome": outcome}
        try:
            request_id = UUID(request)
        except ValueError:
            raise ConfigurationError("REQUEST is the id of a request, as `privacy requests list` shows it.") from None
        if not store.close_request(conn, request_id, told=told):
            raise ConfigurationError("No open request has that id. See `crm-intake privacy requests list`.")
    CONSOLE.print(f"{state.capitalize()}.")


def _meant(session: Session, person: str, *, everyone: bool, may_be_unknown: bool = False) -> Scope:
    address = sys.stdin.readline().strip() if person == "-" else None
    person_id = None if address is not None else person
    with session.transaction() as conn:
        return find_person(conn, address=address, person=person_id, everyone=everyone, may_be_unknown=may_be_unknown)

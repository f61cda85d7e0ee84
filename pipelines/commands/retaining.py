"""`privacy retention`, `hold`, `holds`, `release`: what goes by itself when its time has come, and what is kept from going."""

import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import typer

from connectors.store import retention as store
from pipelines.commands.clients import client_or_none
from pipelines.commands.console import (
    CONSOLE,
    INCOMPLETE,
    ConfigOption,
    JsonOption,
    named,
    parse_day,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations.certificates import as_told, certify, verify_certificate
from pipelines.operations.erasure import find_person
from pipelines.operations.restored import require_replayed
from pipelines.operations.retention import Retained, foretell, retain, rules_of
from pipelines.operations.sessions import Session
from schemas.errors import ConfigurationError


def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go and by which rule; keep it all.")
    ] = False,
    verify: Annotated[Path | None, typer.Option("--verify", help="Check a signed certificate instead.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Delete what has outlived its purpose, in the store and in the CRM, and sign a certificate of it.

    Exit 1 where something overdue is left, because a plan waits for approval or the CRM still holds a row; 3 where the
    CRM failed: what the store let go of is certified all the same.
    """
    with session_for(config) as session:
        if verify is not None:
            _show_certificate(verify_certificate(session, verify), as_json=as_json)
            return
        if dry_run:
            _show(session, foretell(session), None, as_json=as_json, is_rehearsal=True)
            return
        require_replayed(session)
        with client_or_none(session) as crm:
            done = retain(session, crm)
        _show(session, done, certify(session, done), as_json=as_json, is_rehearsal=False)
        if done.failed is not None:
            raise done.failed
    raise typer.Exit(INCOMPLETE if done.waits or done.crm_still_there or any(done.left.values()) else 0)


def hold(
    what: Annotated[str, typer.Argument(help="A person's id, `-` for an address on standard input, or an event's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is kept: a claim, a case, an authority's request.")],
    by: Annotated[str, typer.Option("--by", help="Who holds it, by name.")],
    until: Annotated[
        str | None, typer.Option("--until", help="The last day, YYYY-MM-DD; until released if not given.")
    ] = None,
    is_event: Annotated[bool, typer.Option("--event", help="WHAT is a course or an event.")] = False,
    config: ConfigOption = None,
) -> None:
    """Keep a person's data, or an event's, from retention and erasure (GDPR 17(3)(e), 18(2))."""
    with session_for(config) as session, session.under_retention() as retention, retention.transaction() as conn:
        told = {
            "until_on": parse_day(until),
            "reason": reason,
            "held_by": named(by, "A legal hold"),
            "made_at": session.now,
        }
        hold_id = uuid4()
        if is_event:
            found = store.find_occasion(conn, what)
            if len(found) != 1:
                raise ConfigurationError(f"{len(found)} courses or events have that id; give the id of one.")
            store.add_hold(conn, hold_id, person_id=None, occasion_pk=found[0], told=told)
        else:
            address = sys.stdin.readline().strip() if what == "-" else None
            scope = find_person(conn, address=address, person=None if address else what)
            if not scope.person_ids:
                raise ConfigurationError("There is no person at that address: nothing of theirs would be deleted.")
            store.add_hold(conn, hold_id, person_id=scope.person_ids[0], occasion_pk=None, told=told)
    CONSOLE.print(f"Held: {hold_id}. `crm-intake privacy release {hold_id} --by NAME` ends it.")


def holds(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Every legal hold, standing and past."""
    with session_for(config) as session, session.transaction() as conn:
        found = store.list_holds(conn, today=session.now.date())
    if as_json:
        print_json(found)
        return
    columns = ("hold_id", "holds", "person_id", "occasion", "until_on", "reason", "held_by", "released_by")
    print_table("Legal holds", found, columns)


def release(
    hold_id: Annotated[str, typer.Argument(help="The hold's id.")],
    by: Annotated[str, typer.Option("--by", help="Who releases it, by name.")],
    config: ConfigOption = None,
) -> None:
    """End a legal hold: what is overdue goes with the next retention."""
    with session_for(config) as session, session.under_retention() as retention, retention.transaction() as conn:
        if not store.release_hold(conn, _uuid(hold_id), by=named(by, "The release of a hold"), at=session.now):
            raise ConfigurationError("There is no standing hold of that id. See `crm-intake privacy holds`.")
    CONSOLE.print("Released.")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ConfigurationError("HOLD is the id of a hold (a GUID), as `crm-intake privacy holds` shows it.") from None


def _show(session: Session, done: Retained, path: Path | None, *, as_json: bool, is_rehearsal: bool) -> None:
    if as_json:
        print_json({**as_told(done), "certificate": path and str(path)})
        return
    rows: list[dict[str, Any]] = [
        {**rule, "rows": done.deleted.get(rule["rule"], 0)} for rule in rules_of(session.workspace.policy)
    ]
    print_table("Would go" if is_rehearsal else "Deleted", rows, ("rule", "class_id", "days", "rows"))
    crm = [{"table": table, "rows": rows} for table, rows in sorted(done.crm_removed.items())]
    print_table("In the CRM" + (", by the next plan" if is_rehearsal else ""), crm, ("table", "rows"))
    if done.waits:
        CONSOLE.print(done.waits, markup=False)
    if path is not None:
        CONSOLE.print(f"{done.crm_absent} rows read back as absent. Certificate: {path}", markup=False)


def _show_certificate(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    CONSOLE.print(
        f"As signed at {told['certified_at']} under {told['key_id']}, for {told['controller']}.", markup=False
    )
    print_table("Deleted", told["rules"], ("rule", "class_id", "days", "deleted"))

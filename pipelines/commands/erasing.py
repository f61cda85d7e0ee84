"""`privacy erase` and `privacy replay`: a person goes for good; after a restore those who went go again."""

import sys
from typing import Annotated, Any

import typer

from connectors.dataverse import DataverseClient
from pipelines.commands.clients import client_or_none
from pipelines.commands.console import (
    CONSOLE,
    INCOMPLETE,
    ConfigOption,
    JsonOption,
    named,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations.erasure import Asked, ErasureReport, alone, erase_person
from pipelines.operations.erasure_crm import CrmErasure, finish_in_crm
from pipelines.operations.restored import require_replayed
from pipelines.operations.restores import replay
from pipelines.operations.sessions import Session
from pipelines.operations.sync import as_writer
from schemas.errors import ConfigurationError, CrmError


def erase(
    person: Annotated[str, typer.Argument(help="An id; `-`: an address on standard input.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who erases, by name.")] = "",
    everyone: Annotated[bool, typer.Option("--everyone", help="All people who share the address.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Only finish what the CRM did not let go yet.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Erase a person from store, landing, quarantine and CRM, and keep them from coming back by an old export.

    Says what stays, and why. Exit 1 where the CRM still holds something; `--finish` goes on with it.
    """
    with session_for(config) as session:
        if bool(person) == finish:
            raise ConfigurationError("Give PERSON, or --finish; one of the two.")
        require_replayed(session)
        with client_or_none(session) as crm:
            report = None if finish else _erase(session, asked_of(person, by, everyone=everyone), crm)
            in_crm, failed = _finish(session, crm)
    _show(report, in_crm, failed, as_json=as_json)
    raise typer.Exit(INCOMPLETE if failed or in_crm.open else 0)


def replay_journal(
    is_restored: Annotated[
        bool, typer.Option("--restored", help="The database is from a backup, whatever lies beside it.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """After a restore: erase again whom the journal names, set the outbox aside, have the CRM read in full."""
    with session_for(config) as session:
        with alone(session):
            done = replay(session, is_restored=is_restored)
        with client_or_none(session) as crm:
            in_crm, failed = _finish(session, crm)
    told = {
        "was_restored": done.was_restored,
        "entries_replayed": done.entries,
        "people_erased_again": done.people,
        "intents_set_aside": done.intents,
        "tables_to_read_in_full": done.tables,
        "crm_rows_open": in_crm.open,
    }
    if as_json:
        print_json({**told, "crm_failed": failed})
    else:
        CONSOLE.print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in told.items()), markup=False)
    raise typer.Exit(INCOMPLETE if failed or in_crm.open else 0)


def asked_of(person: str, by: str, *, everyone: bool = False) -> Asked:
    """Who is meant, and by whose word; ConfigurationError where nobody takes it upon them."""
    name = named(by, "An erasure")
    if person == "-":
        return Asked(name, address=sys.stdin.readline().strip(), everyone=everyone)
    return Asked(name, person=person, everyone=everyone)


def _erase(session: Session, asked: Asked, crm: DataverseClient | None) -> ErasureReport:
    """With the CRM searched, if it answers; the rest does not wait for it."""
    with alone(session, crm):
        try:
            return erase_person(session, asked, crm=crm)
        except CrmError:
            return erase_person(session, asked, crm=None)


def _finish(session: Session, crm: DataverseClient | None) -> tuple[CrmErasure, str | None]:
    if crm is None:
        return CrmErasure(), None
    try:
        with as_writer(session, crm):
            return finish_in_crm(session, crm), None
    except CrmError as error:
        return CrmErasure(), str(error)


def _show(report: ErasureReport | None, in_crm: CrmErasure, failed: str | None, *, as_json: bool) -> None:
    told: dict[str, Any] = {
        "erasure": report,
        "crm": {
            "gone": dict(in_crm.gone),
            "cleared": dict(in_crm.cleared),
            "history_entries": in_crm.history_entries,
            "tasks": in_crm.tasks,
            "open": in_crm.open,
            "failed": failed,
        },
    }
    if as_json:
        print_json(told)
        return
    if report is not None:
        rows = [{"table": table, "rows": n} for table, n in report.counts.items() if n]
        rows += [{"table": "landing", "rows": report.landed}] if report.landed else []
        print_table(f"Erased ({report.erasure_id})", rows, ("table", "rows"))
        CONSOLE.print(f"{report.tombstones} tombstones keep it from coming back.")
        print_table("What stays", [{"what": k, "why": v} for k, v in report.kept.items()], ("what", "why"))
    rows = [{"table": table, "rows": n, "what": "gone, read back as absent"} for table, n in in_crm.gone.items()]
    rows += [{"table": table, "rows": n, "what": "used by others: cleared"} for table, n in in_crm.cleared.items()]
    print_table("The CRM", rows, ("table", "what", "rows"))
    CONSOLE.print(
        f"{in_crm.history_entries} entries of change history deleted, {in_crm.tasks} tasks for owners opened."
    )
    if failed:
        CONSOLE.print(f"The CRM did not let all go: {failed} Then `crm-intake privacy erase --finish`.", markup=False)

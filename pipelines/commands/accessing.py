"""`access`: personal logins and their roles, and the log of who read whose data."""

import sys
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from connectors.store.access_log import read_log
from connectors.store.engine import create_store_engine
from connectors.store.migrate import OFFICER_ROLE, PIPELINE_ROLE, upgrade
from connectors.store.roles import SHORTEST_PASSWORD, Access, grant_access, list_access, revoke_access
from pipelines.commands.console import (
    CONSOLE,
    ConfigOption,
    JsonOption,
    parse_day,
    print_json,
    print_table,
    settings_for,
    speaking,
)
from pipelines.operations.workspace import server_address
from schemas.errors import ConfigurationError

ACCESS = typer.Typer(help="Personal logins, their roles, and who read whose data.", no_args_is_help=True)

ByOption = Annotated[str, typer.Option("--by", help="Who decides it, by name.")]
UserArgument = Annotated[str, typer.Argument(help="The login of one person.")]


@ACCESS.command("grant")
def grant(
    user: UserArgument,
    role: Annotated[str, typer.Argument(help="pipeline, operator, privacy_officer, finance or preferences.")],
    by: ByOption,
    until: Annotated[
        str | None, typer.Option("--until", help="Last day, YYYY-MM-DD: the end of a task or job.")
    ] = None,
    password: Annotated[bool, typer.Option("--password", help="Set the password given on standard input.")] = False,
    config: ConfigOption = None,
) -> None:
    """Give a role to a person's own login, made where there is none. A password never stands in the arguments."""
    with speaking():
        address = server_address(settings_for(config))
        upgrade(address)
        secret = sys.stdin.readline().rstrip("\n") if password else None
        if secret is not None and len(secret) < SHORTEST_PASSWORD:
            raise ConfigurationError(
                f"The password has fewer than {SHORTEST_PASSWORD} characters. Give a longer one on standard input."
            )
        grant_access(address, Access(user, role, by, parse_day(until)), password=secret)
    CONSOLE.print(f"{user} has the role {role}.", markup=False)


@ACCESS.command("revoke")
def revoke(user: UserArgument, by: ByOption, config: ConfigOption = None) -> None:
    """Take all access from a login, and end its open sessions at once."""
    with speaking():
        ended = revoke_access(server_address(settings_for(config)), user, by=by)
    CONSOLE.print(f"{user} has no access any more; {ended} open sessions were ended.", markup=False)


@ACCESS.command("list")
def list_logins(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Who has which role, by whom and until when, with open sessions. Granted by nobody: not by `access grant`."""
    with speaking():
        address = server_address(settings_for(config))
        upgrade(address)
        logins = list_access(address)
    if as_json:
        print_json(logins)
        return
    columns = ("user_name", "role", "granted_by", "granted_at", "ends_on", "can_log_in", "sessions", "last_read_at")
    print_table("Access", logins, columns)


@ACCESS.command("log")
def log(
    user: Annotated[str | None, typer.Option("--user", help="Only what this login or OS user read.")] = None,
    contact_point: Annotated[str | None, typer.Option("--contact-point", help="Only readings of this id.")] = None,
    days: Annotated[int, typer.Option(help="How far back.", min=1)] = 30,
    every: Annotated[bool, typer.Option("--all", help="Of everybody; for the privacy officer.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Who read whose data, by which command and for what: your own readings, or everybody's for the privacy officer."""
    with speaking():
        settings = settings_for(config)
        address = server_address(settings)
        upgrade(address)
        engine = create_store_engine(address, role=OFFICER_ROLE if every else PIPELINE_ROLE, pool_size=1)
        which = {"user": user, "contact_point_id": _id(contact_point), "since": settings.now() - timedelta(days=days)}
        try:
            with engine.connect() as conn:
                entries = read_log(conn, **which)  # type: ignore[arg-type]
        finally:
            engine.dispose()
    if as_json:
        print_json(entries)
    else:
        print_table(
            "Read", entries, ("read_at", "login", "os_user", "command", "purpose", "contact_point_ids", "about")
        )


def _id(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        raise ConfigurationError("--contact-point is an id (a GUID).") from None

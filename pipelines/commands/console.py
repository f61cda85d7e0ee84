"""What all commands share: how they speak (tables or JSON), how they end (exit codes), how they open the workspace."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from pipelines.operations.access import NOT_STATED, Reading, Transactional, is_id
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace, open_workspace
from pipelines.settings import Settings, load_settings
from schemas.errors import (
    ConfigurationError,
    CrmError,
    IntakeError,
    SourceError,
    StoreError,
)

DONE, INCOMPLETE, WRONG_USE, OUTSIDE_FAILED = 0, 1, 2, 3

# Said of what lowers: it calls for a narrow synchronisation (`connectors.store.narrow_calls`).
TOLD_AT_ONCE = (
    "The CRM is told at once where `crm-intake preferences sync` or Dagster runs; else the next run tells it."
)

# A command that shows personal data says so in its help, and every use of it is written down.
SHOWS_A_PERSON = "shows a person's data"


@dataclass(frozen=True)
class Showing:
    """A command that shows a person's data while it runs, and the ids that it was given."""

    command: str
    about: str


SHOWING: ContextVar[Showing | None] = ContextVar("SHOWING", default=None)
# What the data is needed for, as `crm-intake --for` says.
PURPOSE: ContextVar[str] = ContextVar("PURPOSE", default=NOT_STATED)

# What is printed may be what people wrote: square brackets and colons in it are themselves, and no markup.
CONSOLE = Console(highlight=False, markup=False, emoji=False)
ERRORS = Console(stderr=True, highlight=False, markup=False, emoji=False)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Directory of intake.yaml and sources/.", show_default="config")
]


def settings_for(config: Path | None) -> Settings:
    """The settings, with the configuration directory given on the command line."""
    return load_settings(**({} if config is None else {"config_dir": config}))


@contextmanager
def speaking() -> Iterator[None]:
    """Turn errors of ours into one line on standard error and the exit code that belongs to them."""
    try:
        yield
    except IntakeError as error:
        ERRORS.print(f"{type(error).__name__}: ", style="bold red", end="")
        ERRORS.print(str(error))
        raise typer.Exit(exit_code(error)) from None


def exit_code(error: IntakeError) -> int:
    """2 where the caller must mend something, 3 where an outside system failed."""
    return OUTSIDE_FAILED if isinstance(error, (CrmError, SourceError, StoreError)) else WRONG_USE


@contextmanager
def session_for(config: Path | None) -> Iterator[Session]:
    """An opened session; the engine's connections are closed at the end."""
    with speaking():
        workspace: Workspace = open_workspace(settings_for(config))
        try:
            with reading_noted(workspace) as reading:
                yield Session(workspace, reading=reading)
        finally:
            workspace.engine.dispose()


@contextmanager
def reading_noted(opened: Transactional) -> Iterator[Reading | None]:
    """What is written down of the running command, if it is one that shows a person's data; None if it is not.

    It is in the log when the block ends, and so before anything is printed: no entry, no showing.
    """
    asked = SHOWING.get()
    if asked is None:
        yield None
        return
    reading = Reading(asked.command, PURPOSE.get(), asked.about)
    yield reading
    if not reading.is_noted:
        with opened.transaction() as conn:
            reading.note(conn)


def noting_readings(app: typer.Typer, path: str = "") -> None:
    """Have every command of `app` that by its own words shows a person's data written down with its ids when it is used."""
    for info in app.registered_commands:
        if info.callback is not None and SHOWS_A_PERSON in " ".join((info.callback.__doc__ or "").split()):
            name = info.name or info.callback.__name__.replace("_", "-")
            info.callback = _noting(f"{path} {name}".strip(), info.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            noting_readings(group.typer_instance, f"{path} {group.name}".strip())


def _noting(command: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def noted(**given: Any) -> Any:
        # Only ids: whatever else was typed may be a person's.
        about = ", ".join(f"{name} {value}" for name, value in given.items() if is_id(value))
        token = SHOWING.set(Showing(command, about))
        try:
            return callback(**given)
        finally:
            SHOWING.reset(token)

    return noted


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    sys.stdout.write(orjson.dumps(value, default=_plain, option=options).decode() + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return str(value)


def print_table(title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Rows under their columns; numbers to the right. Nothing but a line where there are none."""
    if not rows:
        CONSOLE.print(f"{title}: none")
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        is_number = all(isinstance(row.get(column), (int, float)) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    CONSOLE.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "; ".join(map(_cell, value))
    return str(value)


def write_anew(to: Path, content: bytes, *, option: str = "--to", suffix: str = "") -> None:
    """Write a file that is not there yet, of that `suffix`. ConfigurationError, which names the option, where it cannot be."""
    if suffix and to.suffix.lower() != suffix:
        raise ConfigurationError(f"{option}: give a name that ends with {suffix}.")
    try:
        with to.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise ConfigurationError(f"{option}: the file exists, and is not written over. Give another name.") from None
    except OSError as error:
        raise ConfigurationError(f"{option} cannot be written ({type(error).__name__}). Give another folder.") from None


def named(by: str | None, what: str) -> str:
    """The name that `--by` gives, of who does `what`; ConfigurationError where it gives none."""
    name = (by or "").strip()
    if not name:
        raise ConfigurationError(f"{what} is done by a named person: add --by NAME.")
    return name


def parse_day(text: str | None) -> date | None:
    """A day given as YYYY-MM-DD."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD") from None

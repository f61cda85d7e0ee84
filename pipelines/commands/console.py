"""What all commands share: how they speak (tables or JSON), how they end (exit codes), how they open the workspace."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace, open_workspace
from pipelines.settings import Settings, load_settings
from schemas.errors import (
    ApprovalRequired,
    BatchRefused,
    ConfigurationError,
    CrmError,
    IntakeError,
    SourceError,
    StoreError,
)

DONE, INCOMPLETE, WRONG_USE, OUTSIDE_FAILED = 0, 1, 2, 3

CONSOLE = Console(highlight=False)
ERRORS = Console(stderr=True, highlight=False)

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
        ERRORS.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        ERRORS.print(str(error), markup=False)
        raise typer.Exit(exit_code(error)) from None


def exit_code(error: IntakeError) -> int:
    """2 where the caller must mend something, 3 where an outside system failed."""
    if isinstance(error, (ApprovalRequired, ConfigurationError, BatchRefused)):
        return WRONG_USE
    return OUTSIDE_FAILED if isinstance(error, (CrmError, SourceError, StoreError)) else WRONG_USE


@contextmanager
def session_for(config: Path | None) -> Iterator[Session]:
    """An opened session; the engine's connections are closed at the end."""
    with speaking():
        workspace: Workspace = open_workspace(settings_for(config))
        try:
            yield Session(workspace)
        finally:
            workspace.engine.dispose()


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
    return str(value)


def parse_day(text: str | None) -> date | None:
    """A day given as YYYY-MM-DD."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write it as YYYY-MM-DD") from None

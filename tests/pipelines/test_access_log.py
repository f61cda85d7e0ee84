"""Every command that shows a person's data is written down, with who used it and for what, and without a value."""

import inspect
import os
import pwd
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pipelines.cli import APP
from pipelines.commands.console import SHOWS_A_PERSON
from tests.finance.conftest import Bursar, bursar, make_row  # noqa: F401 - a fixture

ADDRESS = "person1@example.org"
_RUNNER = CliRunner()


def commands(app: typer.Typer = APP, path: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every command of the command line, by its path."""
    for info in app.registered_commands:
        assert info.callback is not None
        yield f"{path} {info.name or info.callback.__name__}".strip(), info.callback
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{path} {group.name}".strip())


SHOWING = {path: each for path, each in commands() if SHOWS_A_PERSON in " ".join((each.__doc__ or "").split())}


@pytest.fixture(scope="module")
def environment(bursar: Bursar) -> dict[str, str]:  # noqa: F811
    bursar.take(make_row(1), make_row(2, Email="nobody"))
    return {
        "DATABASE_URL": bursar.workspace.address.uri_adbc,
        "INTAKE_DATA_DIR": str(bursar.workspace.settings.data_dir),
        "INTAKE_CONFIG_DIR": str(bursar.workspace.settings.config_dir),
        "INTAKE_ENV_FILE": os.devnull,
        "LOGNAME": "somebody_else",
        "USER": "somebody_else",
    }


def say(environment: dict[str, str], *words: str, given: str = "") -> Any:
    return _RUNNER.invoke(APP, ["--for", "case 2026-114", *words], input=given, env=environment)


def log(bursar: Bursar) -> list[dict[str, Any]]:  # noqa: F811
    columns = "login, os_user, command, purpose, contact_point_ids, about"
    return [
        dict(zip(columns.split(", "), row, strict=True))
        for row in bursar.rows(f"select {columns} from intake.access_log order by entry_id")
    ]


def test_the_commands_that_show_people_are_known(environment: dict[str, str]) -> None:
    shown = {"explain", "consent show", "consent receipt", "quarantine show", "finance show"}
    assert shown | {"consent export", "quarantine export", "privacy export", "privacy disclose"} <= set(SHOWING)


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (("explain", "-"), ADDRESS),
        (("consent", "show", "-"), ADDRESS),
        (("quarantine", "show", "ENTRY"), ""),
        (("finance", "show", "-"), "esimerkki"),
    ],
)
def test_a_reading_is_written_down_with_who_and_what_for(
    bursar: Bursar,  # noqa: F811
    environment: dict[str, str],
    words: tuple[str, ...],
    given: str,
) -> None:
    [(entry,)] = bursar.rows("select min(quarantine_id) from intake.quarantine")
    before = len(log(bursar))
    done = say(environment, *(str(entry) if word == "ENTRY" else word for word in words), given=given)
    assert done.exit_code == 0, done.output
    assert done.stdout
    [told] = log(bursar)[before:]
    assert told["login"] == "postgres"
    assert told["os_user"] == pwd.getpwuid(os.getuid()).pw_name  # and not what LOGNAME says
    assert (told["command"], told["purpose"]) == (" ".join(words[: 1 if words[0] == "explain" else 2]), "case 2026-114")
    if words[0] in ("explain", "consent"):
        [(contact_point,)] = bursar.rows(
            "select contact_point_id from intake.contact_point where address = :a", a=ADDRESS
        )
        assert told["contact_point_ids"] == [contact_point]
    if words[0] == "quarantine":
        assert told["about"] == f"entry {entry}"


def test_the_log_holds_ids_and_no_value(bursar: Bursar, environment: dict[str, str]) -> None:  # noqa: F811
    say(environment, "explain", "-", given=ADDRESS)
    [(everything,)] = bursar.rows("select string_agg(l::text, ' ') from intake.access_log l")
    for value in (ADDRESS, "person1", "esimerkki", "Aino"):
        assert value.casefold() not in everything.casefold()


def test_what_cannot_be_written_down_is_not_shown(bursar: Bursar, environment: dict[str, str]) -> None:  # noqa: F811
    with bursar.owner.begin() as conn:
        conn.exec_driver_sql("alter table intake.access_log rename to access_log_away")
    try:
        done = say(environment, "explain", "-", given=ADDRESS)
    finally:
        with bursar.owner.begin() as conn:
            conn.exec_driver_sql("alter table intake.access_log_away rename to access_log")
    assert done.exit_code == 3
    assert ADDRESS not in done.output


@pytest.mark.parametrize("path", SHOWING)
def test_a_command_that_shows_people_opens_the_store_by_what_writes_it_down_and_prints_afterwards(path: str) -> None:
    """Whatever it is: it uses `session_for` or the office's, and prints no data within the block."""
    callback = inspect.unwrap(SHOWING[path])
    lines = inspect.getsource(callback).splitlines()
    opened = [n for n, line in enumerate(lines) if "with session_for(" in line or "with office_for(" in line]
    assert hasattr(SHOWING[path], "__wrapped__")
    assert opened, f"{path}: open the store by session_for, which writes the reading down"
    indent = len(lines[opened[0]]) - len(lines[opened[0]].lstrip())
    block = []
    for line in lines[opened[0] + 1 :]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        block.append(line)
    assert not [line for line in block if "print_json(" in line or "print_table(" in line or "CONSOLE.print" in line]

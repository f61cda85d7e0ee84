"""The command line over the whole system: what it prints, with which code it ends, and that it is safe to say twice."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.main import get_command
from typer.testing import CliRunner

from pipelines.cli import APP
from sandbox.crm_seed import DEFAULT_PURPOSE
from sandbox.organisation.rows_of_webropol import SPRING_COLUMNS
from tests.pipelines.conftest import World

Say = Callable[..., Result]
# Commands that serve until they are stopped, make a file, print a document of their own, or do one act and say so in a word.
WITHOUT_JSON = {
    *("ui", "worker", "cluster", "preferences serve", "sandbox serve", "sources page", "sources schema"),
    *(
        "sources template",
        "consent receipt",
        "consent export",
        "finance show",
        "finance correct",
        "upgrade",
        "store stop",
    ),
    *("keys make", "access grant", "access revoke", "privacy hold", "privacy release", "privacy rectify"),
    *("privacy restrict", "privacy object", "privacy requests close"),
}
UNREADABLE = {"#": "9001", "Vastausaika": "20.11.2026 09.15", "Yhteystiedot:Sähköposti": "aino at example"}


def options_of(command: Any, *words: str) -> Iterator[tuple[str, set[str]]]:
    """Each command by its words, with its options."""
    beneath = getattr(command, "commands", {})
    if not beneath:
        yield " ".join(words), {option for one in command.params for option in one.opts}
    for name, one in beneath.items():
        yield from options_of(one, *words, name)


def test_what_the_readme_says_of_options_of_all_commands_is_so() -> None:
    options = dict(options_of(get_command(APP)))
    assert {name for name, given in options.items() if "--config" not in given} == {"sources schema"}
    assert {name for name, given in options.items() if "--json" not in given} == WITHOUT_JSON
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert (
        "those that tell something take `--json`" in readme and "all but `sources schema` take `--config DIR`" in readme
    )


@pytest.fixture(scope="module")
def say(world: World, tmp_path_factory: pytest.TempPathFactory) -> Say:
    """Says one command to the world, over its environment alone."""
    environment = {
        **world.sandbox.environment,
        "DATABASE_URL": world.address.uri_adbc,
        "INTAKE_CONFIG_DIR": str(Path("config").resolve()),
        "INTAKE_FIXED_NOW": str(world.settings.fixed_now),
        "INTAKE_ENV_FILE": str(tmp_path_factory.mktemp("nothing") / "intake.env"),
        "INTAKE_BLAST_RADIUS_ROWS": "1000000",
    }

    def invoke(*words: str, typed: str = "", **changes: str) -> Result:
        return CliRunner().invoke(APP, words, input=typed, env=environment | changes)

    return invoke


def told(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def drop(world: World, name: str, row: dict[str, str]) -> None:
    """A file of one row and its manifest, left in the drop folder on the last day."""
    file = world.sandbox.drop_dir / name
    file.write_text("\n".join(";".join(cells) for cells in (row, row.values())) + "\n", encoding="utf-8")
    file.with_name(f"{name}.manifest.json").write_text('{"rows": 1}')
    instant = datetime.combine(world.last_on, time(12), UTC).timestamp()
    os.utime(file, (instant, instant))


@pytest.fixture(scope="module")
def first(world: World, say: Say) -> tuple[Any, Any]:
    """What a plan over all days said, and the run after it; one row of the files has no readable address."""
    drop(world, "kevatpaiva_unreadable.csv", dict.fromkeys(SPRING_COLUMNS, "") | UNREADABLE)
    days = ("--from", str(world.first_on), "--to", str(world.last_on), "--json")
    return told(say("plan", *days)), told(say("run", *days))


def test_plan_counts_what_run_then_reads_and_writes(first: tuple[Any, Any]) -> None:
    planned, ran = first
    assert planned["counts"] == ran["counts"]
    assert sum(planned["writes"].values()) == len(planned["rows"]) == sum(row["rows"] for row in ran["writes"]) > 0


def test_every_feed_is_accounted_for_row_by_row(first: tuple[Any, Any]) -> None:
    _, ran = first
    assert ran["counts"]
    for row in ran["counts"]:
        ended = row["quarantined"] + row["withheld"] + row["applied"] + row["unchanged"]
        assert row["rows_read"] == ended == sum(row["reasons"].values())


def test_the_same_run_again_writes_nothing(world: World, say: Say, first: tuple[Any, Any]) -> None:
    again = told(say("run", "--from", str(world.first_on), "--to", str(world.last_on), "--json"))
    assert again["writes"] == []
    assert again["failed"] == []


def test_reconcile_compares_every_row_of_ours_and_finds_no_difference(
    world: World, say: Say, first: tuple[Any, Any]
) -> None:
    outcome = told(say("crm", "reconcile", "--json"))
    assert outcome["compared"] == len(world.rows("select 1 from intake.crm_row")) > 0
    assert outcome["unexplained"] == []


def test_strict_says_by_its_exit_code_that_rows_were_kept_back(world: World, say: Say, first: tuple[Any, Any]) -> None:
    assert say("run", "--partition", str(world.last_on), "--strict").exit_code == 1


def test_wrong_use_ends_with_2_and_the_remedy(say: Say) -> None:
    turned = say("run", "--from", "2026-11-20", "--to", "2026-11-01")
    assert turned.exit_code == 2
    assert "turn them round" in turned.stderr
    nameless = say("run", "--approve", "0" * 8)
    assert nameless.exit_code == 2
    assert "--by NAME" in nameless.stderr


def test_a_crm_that_turns_us_away_ends_a_run_with_3(world: World, say: Say, first: tuple[Any, Any]) -> None:
    day = ("run", "--partition", str(world.last_on), "--json")
    failed = told(say(*day, INTAKE_DATAVERSE_CLIENT_SECRET="not-the-secret"), code=3)
    assert failed["failed"] == ["crm"]


def test_a_run_over_a_set_up_that_endangers_people_ends_with_3_and_names_the_check(
    world: World, say: Say, first: tuple[Any, Any]
) -> None:
    control, default = world.sandbox.emulator.control, {"msdynmkt_enforcementmodel": 534120001}
    control.edit("msdynmkt_purposes", DEFAULT_PURPOSE, default)
    try:
        refused = told(say("run", "--source", "manual", "--partition", str(world.last_on), "--json"), code=3)
    finally:
        control.edit("msdynmkt_purposes", DEFAULT_PURPOSE, {"msdynmkt_enforcementmodel": 534120000})
    assert refused["failed"] == ["crm"]
    [removals, check] = refused["problems"]["crm"]
    assert removals.startswith("crm__removals: RaisingRefused: Nothing was raised")
    assert "crm__plan, set_up_protects_people: D3: " in check
    told(say("crm", "doctor", "--json"))


def test_status_tells_how_far_each_feed_was_read(say: Say, first: tuple[Any, Any]) -> None:
    result = say("status", "--json")
    facts = json.loads(result.stdout)
    assert result.exit_code == (1 if facts["alarms"] else 0)
    assert {feed["feed"] for feed in facts["feeds"] if feed["read_to"]} >= {
        "short_courses_registrations",
        "web_forms_newsletter",
    }
    assert "crm_intake_alarms" in say("status", "--prometheus").stdout


def test_quarantine_shows_the_row_of_an_entry_and_lets_it_go(say: Say, first: tuple[Any, Any]) -> None:
    entries = told(say("quarantine", "list", "--json"))
    assert all(entry["what"] and entry["remedy"] for entry in entries)
    number = entries[0]["quarantine_id"]
    assert told(say("quarantine", "show", str(number), "--json"))["row"]
    signed = ("--by", "Maija", "--reason", "a test answer")
    told(say("quarantine", "discard", str(number), *signed, "--json"))
    assert number not in {entry["quarantine_id"] for entry in told(say("quarantine", "list", "--json"))}
    assert say("quarantine", "discard", str(number), *signed).exit_code == 2
    assert say("quarantine", "discard", str(entries[-1]["quarantine_id"]), "--by", " ", "--reason", " ").exit_code == 2


def test_a_stopped_batch_is_listed_with_its_remedy_until_the_mapping_is_mended(
    world: World, say: Say, first: tuple[Any, Any]
) -> None:
    drop(world, "kevatpaiva_renamed.csv", {"#": "1", "Uusi kysymys": "x"})
    ran = told(say("run", "--source", "webropol", "--partition", str(world.last_on), "--json"), code=3)
    (stopped,) = told(say("quarantine", "list", "--stopped", "--json"))
    assert ran["failed"] == ["webropol"], "all that was new of it is stopped"
    assert stopped["feed"] == ran["stopped"][0]["feed"] == "webropol_event_spring"
    assert "Uusi kysymys" in stopped["reason"]
    assert stopped["remedy"]
    assert told(say("quarantine", "retry", "--json"))["stopped"] == 1


def test_explain_takes_an_address_on_standard_input_only(world: World, say: Say, first: tuple[Any, Any]) -> None:
    [(address,)] = world.rows("select address from intake.contact_point order by contact_point_id limit 1")
    history = told(say("explain", "-", "--json", typed=f"{address}\n"))
    assert history["submissions"]
    assert say("explain", address).exit_code == 2


def test_sources_are_listed_and_a_file_is_checked_without_keeping_it(
    say: Say, world: World, tmp_path: Path, first: tuple[Any, Any]
) -> None:
    assert {feed["source"] for feed in told(say("sources", "list", "--json"))} == {
        "short_courses",
        "webropol",
        "web_forms",
        "manual",
    }
    before = world.rows("select count(*) from intake.batch")
    file = tmp_path / "export.csv"
    file.write_text("Vastaaja\n1\n", encoding="utf-8")
    checked = say("sources", "check", str(file), "--feed", "webropol_event_spring")
    assert checked.exit_code == 1
    assert "not those last taken in" in checked.stdout
    assert "- '#'" in checked.stdout
    assert say("sources", "check", str(file), "--feed", "no_such_feed").exit_code == 2
    assert world.rows("select count(*) from intake.batch") == before


def test_undo_is_foretold_by_a_dry_run_and_then_the_next_run_repairs_the_crm(
    world: World, say: Say, first: tuple[Any, Any]
) -> None:
    run_id = first[1]["run_ids"]["webropol"]
    foretold = told(say("undo", run_id, "--by", "Maija", "--feed", "webropol_event_spring", "--dry-run", "--json"))
    assert foretold["writes"]
    done = told(say("undo", run_id, "--by", "Maija", "--feed", "webropol_event_spring", "--json"))
    assert foretold["by_feed"] == done["by_feed"] != {}
    assert "Nothing to undo" in say("undo", run_id, "--by", "Maija", "--feed", "webropol_event_spring").stdout
    told(say("run", "--json"))
    outcome = told(say("crm", "reconcile", "--sample", "50", "--json"))
    assert (outcome["unexplained"], outcome["explained"]) == ([], {})
    for wrong in (("no-id", "--by", "Maija"), (run_id, "--by", " "), (run_id, "--by", "Maija", "--feed", "nothing")):
        assert say("undo", *wrong).exit_code == 2

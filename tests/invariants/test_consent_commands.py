"""`crm-intake consent …` over a store: addresses come by standard input, entries by staff need their evidence."""

import json
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from pipelines.cli import APP
from tests.invariants.world import World

ENTRY = ("record", "-", "--purpose", "marketing", "--said-at", "10.11.2026", "--by", "Desk 1", "--method", "phone")
YES = (*ENTRY, "--deed", "grant", "--notice", "2026-01", "--reference", "D-1")
ADDRESS = "aino@example.org"


def say(world: World, *words: str, typed: str = "", code: int = 0) -> Result:
    """One command about consents in a world, which is given as its environment."""
    settings = world.workspace.settings
    environment = {
        "DATABASE_URL": world.address.uri_adbc,
        "INTAKE_CONFIG_DIR": str(settings.config_dir),
        "INTAKE_DATA_DIR": str(settings.data_dir),
        "INTAKE_FIXED_NOW": world.now.isoformat(),
    }
    result = CliRunner().invoke(APP, ["consent", *words], input=typed, env=environment)
    assert result.exit_code == code, result.output
    return result


def shown(world: World) -> Any:
    return json.loads(say(world, "show", "-", "--json", typed=ADDRESS).stdout)


def test_a_spoken_yes_with_its_words_is_a_grant_and_is_shown_with_its_evidence(world: World) -> None:
    for _ in range(2):
        say(world, *YES, typed=f"{ADDRESS}\nYes, do send it.\n")
    found = shown(world)
    (event,) = found["consent_events"]
    assert (event["actor"], event["value"], event["precision_s"]) == ("staff_on_behalf", "grant", 86400)
    assert (event["wording"], event["collected_by"], event["method"]) == ("Yes, do send it.", "Desk 1", "phone")
    assert {row["state"] for row in found["consent_states"]} == {"granted"}


@pytest.mark.parametrize("lacking", [("--notice", "2026-01"), ("--said-at", "10.11.2026")])
def test_a_spoken_yes_that_lacks_something_is_refused(world: World, lacking: tuple[str, str]) -> None:
    at = YES.index(lacking[0])
    words = [*YES[:at], *YES[at + 2 :]] if lacking[0] == "--notice" else [*YES[: at + 1], "some day", *YES[at + 2 :]]
    result = say(world, *words, typed=f"{ADDRESS}\nYes.\n", code=2)
    assert ADDRESS not in result.output
    say(world, *YES, typed=f"{ADDRESS}\n", code=2)
    assert not world.query("select 1 from intake.consent_event")


def test_it_is_said_when_the_crm_is_told(world: World) -> None:
    granted = " ".join(say(world, *YES, typed=f"{ADDRESS}\nYes.\n").stdout.split())
    assert "The next run tells the CRM." in granted and not world.query("select from intake.narrow_call")
    withdrawn = " ".join(say(world, *ENTRY, "--deed", "withdraw", typed=ADDRESS).stdout.split())
    assert "The CRM is told at once" in withdrawn and len(world.query("select from intake.narrow_call")) == 1


def test_a_spoken_no_needs_the_address_alone_and_is_an_objection_too(world: World) -> None:
    say(world, *ENTRY, "--deed", "withdraw", typed=ADDRESS)
    assert {(e["purpose"], e["value"], e["reason"]) for e in shown(world)["consent_events"]} == {
        ("marketing", "withdraw", "spoken"),
        ("related_events", "withdraw", "objection"),
    }

"""`privacy` as it is said: an address by standard input alone, a name for every act, exit codes, and a page to read."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.cli import APP
from tests.invariants.acts import T0, Who, register, sign_up
from tests.invariants.erasing import traces
from tests.invariants.test_adopting_commands import Says
from tests.invariants.world import World

AINO = Who("aino@example.org", "aino")
BY = ("--by", "Tiina Tietosuoja")


class SaysPrivacy(Says):
    """Says a command of `privacy`, with lines on standard input."""

    def __call__(self, *words: str, code: int = 0, lines: str = "") -> Any:
        result = CliRunner().invoke(APP, ["privacy", *words], env=self.environment, input=lines)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if "--json" in words and code < 2 else result.output


@pytest.fixture
def says(world: World) -> SaysPrivacy:
    world.perform([sign_up(1, AINO, T0), register(1, AINO, T0)])
    world.run()
    return SaysPrivacy(world)


def test_a_person_asks_is_answered_and_goes(world: World, says: SaysPrivacy, tmp_path: Path) -> None:
    address = f"{AINO.address}\n"
    assert "to be answered by" in says("requests", "add", "-", "--kind", "access", *BY, lines=address)
    assert [request["kind"] for request in says("requests", "list", "--json")] == ["access"]
    counts = says("export", "-", "--to", str(tmp_path / "out"), *BY, "--json", lines=address)["counts"]
    assert counts["persons"] == counts["consent_history"] == 1 and counts["crm"] > 3
    (noted,) = world.query("select command, contact_point_ids from intake.access_log where command like '%export%'")
    assert len(noted.contact_point_ids) == 1, "who looked, and at whom"
    assert says("requests", "list", "--json") == [], "answered by the export"
    assert "Rectified: family_name" in says("rectify", "-", *BY, lines=f"{address}family_name=Toinen\n")
    assert "1 restricted. The CRM is told at once" in says("restrict", "-", "--reason", "contested", *BY, lines=address)
    assert "1 restrictions lifted" in says("restrict", "-", "--lift", *BY, lines=address)
    objected = says("object", "-", "--purpose", "marketing", *BY, lines=address)
    assert "events recorded. The CRM is told at once" in objected
    assert "by a named person" in says("erase", "-", code=2, lines=address)
    assert "Nobody is known" in says("erase", "-", *BY, code=2, lines="nobody@example.org\n")
    told = says("erase", "-", *BY, "--json", lines=address)
    assert told["crm"]["gone"]["contact"] == 1 and told["crm"]["open"] == 0 and "ledger" in told["erasure"]["kept"]
    assert traces(world, "virtanen", "toinen", AINO.address) == set()
    assert "What stays" not in says("erase", "--finish")
    assert says("replay", "--json")["was_restored"] is False


def test_nothing_is_handed_out_for_somebody_without_a_name(says: SaysPrivacy, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = says("export", "-", "--to", str(out), "--by", " ", code=2, lines=f"{AINO.address}\n")
    assert "by a named person" in told and not out.exists()


@pytest.mark.parametrize("name", ["person.json", "person.html"])
def test_an_export_is_not_written_over_another_ones(says: SaysPrivacy, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("of somebody else")
    says("requests", "add", "-", "--kind", "access", *BY, lines=f"{AINO.address}\n")
    told = says("export", "-", "--to", str(tmp_path), *BY, code=2, lines=f"{AINO.address}\n")
    assert f"{name} is there already" in told
    assert [(path.name, path.read_text()) for path in tmp_path.glob("person.*")] == [(name, "of somebody else")]
    assert len(says("requests", "list", "--json")) == 1, "nothing was handed out"


def test_retention_is_foretold_held_done_and_certified(world: World, says: SaysPrivacy) -> None:
    says.environment["INTAKE_FIXED_NOW"] = (T0 + timedelta(days=60 + 731)).isoformat()
    foretold = says("retention", "--dry-run", "--json")
    assert foretold["deleted"]["course_registrations"] == 1 and foretold["certificate"] is None
    held = says("hold", "LK1", "--event", "--reason", "A claim", *BY)
    assert says("retention", "--dry-run", "--json")["deleted"]["course_registrations"] == 0
    (hold,) = says("holds", "--json")
    assert hold["hold_id"] in held and hold["holds"]
    says("release", hold["hold_id"], *BY)
    says("release", hold["hold_id"], *BY, code=2)
    done = says("retention", "--json")
    assert done["deleted"]["course_registrations"] == 1 and not any(done["left"].values())
    path = Path(done["certificate"])
    assert "As signed at" in says("retention", "--verify", str(path))
    path.write_bytes(path.read_bytes().replace(b'"deleted": 1', b'"deleted": 0', 1))
    assert "not as it was signed" in says("retention", "--verify", str(path), code=2)

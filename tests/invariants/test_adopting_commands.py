"""`crm adopt` and `crm review` as they are said: a dry run keeps nothing, a decision bears a name."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.dataverse import DataverseClient
from pipelines.cli import APP
from tests.invariants.acts import T0, sign_up
from tests.invariants.test_adoption import AINO, contact, contacts, seed
from tests.invariants.test_cutover import FULL, listed
from tests.invariants.world import World, take_in


class Says:
    """Says a command to the world, over its environment alone."""

    def __init__(self, world: World) -> None:
        settings = world.settings
        assert settings.dataverse_client_secret is not None
        self.environment = {
            "DATABASE_URL": world.address.uri_adbc,
            "INTAKE_DATA_DIR": str(settings.data_dir),
            "INTAKE_CONFIG_DIR": str(settings.config_dir),
            "INTAKE_FIXED_NOW": str(settings.fixed_now),
            "INTAKE_ENV_FILE": str(world.directory / "none.env"),
            "INTAKE_DATAVERSE_URL": str(settings.dataverse_url),
            "INTAKE_DATAVERSE_AUTHORITY": settings.dataverse_authority,
            "INTAKE_DATAVERSE_TENANT": str(settings.dataverse_tenant),
            "INTAKE_DATAVERSE_CLIENT_ID": str(settings.dataverse_client_id),
            "INTAKE_DATAVERSE_CLIENT_SECRET": settings.dataverse_client_secret.get_secret_value(),
            "INTAKE_DATAVERSE_CA_PATH": str(settings.dataverse_ca_path),
        }

    def __call__(self, *words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(APP, ["crm", *words], env=self.environment)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if "--json" in words and code < 2 else result.output


@pytest.fixture
def says(world: World) -> Says:
    return Says(world)


def test_adopting_is_a_dry_run_until_it_is_told_to_apply(world: World, says: Says) -> None:
    seed(world, contact(), contact("Maija", None, emailaddress1="maija@example.org", donotbulkemail=True))
    world.perform([sign_up(1, AINO, T0)])
    take_in(world.session())
    before = world.counts()
    dry = says("adopt", "--json")
    assert world.counts() == before
    done = says("adopt", "--apply", "--json")
    assert (dry.pop("applied"), done.pop("applied")) == (False, True)
    assert dry == done
    assert (done["contacts"], done["linked"], done["opt_outs"]) == (2, 1, 1)
    assert world.query("select state from intake.run where kind = 'adopt'") == [("done",)]
    assert "Nothing was kept" in says("adopt")
    assert not world.writes()


def test_commands_let_go_of_their_connections_to_the_crm(
    world: World, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(world, contact("Maija", "Lahti"))
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    [entry] = says("review", "list", "--json")
    opened: list[DataverseClient] = []
    closed: list[DataverseClient] = []
    made, close = DataverseClient.__init__, DataverseClient.close
    monkeypatch.setattr(DataverseClient, "__init__", lambda self, *args: (opened.append(self), made(self, *args))[1])
    monkeypatch.setattr(DataverseClient, "close", lambda self: (closed.append(self), close(self))[1])
    for words in (
        ("crm", "adopt"),
        ("crm", "adopt", "--cutover"),
        ("crm", "adopt", "--cutover", "--approve", "none", "--by", "Reviewer"),
        ("crm", "review", "decide", str(entry["review_id"]), "--link", entry["persons"][0], "--by", "Reviewer"),
        ("crm", "reconcile"),
        ("plan",),
    ):
        CliRunner().invoke(APP, list(words), env=says.environment)
        assert len(opened) == 1 and closed == opened, words
        opened.clear()
        closed.clear()


def test_a_review_is_listed_and_decided_by_name(world: World, says: Says) -> None:
    [known] = seed(world, contact("Maija", "Lahti"))
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    [entry] = says("review", "list", "--json")
    assert (entry["row_id"], entry["reason"], entry["state"]) == (known, "other_name", "open")
    assert "aino" not in says("review", "list").lower()
    number = str(entry["review_id"])
    assert "--by NAME" in says("review", "decide", number, "--new", code=2)
    says("review", "decide", number, "--new", "--ignore", "--by", "Reviewer", code=2)
    says("review", "decide", number, "--link", entry["persons"][0], "--by", "Reviewer")
    assert says("review", "list", "--json") == []
    world.run()
    assert (list(contacts(world)), contacts(world)[known]["firstname"]) == ([known], "Aino")
    assert "is not waiting for" in says("review", "decide", number, "--new", "--by", "Reviewer", code=2)


def test_evidence_is_refused_row_by_row_and_kept_when_told_to(world: World, says: Says) -> None:
    path = str(listed(world, FULL, FULL.replace("Desk 1", "")))
    assert says("adopt", "--evidence", path, "--json", code=1)["grants"] == 1
    assert world.query("select count(*) from intake.consent_event") == [(0,)]
    told = says("adopt", "--evidence", path, "--apply", "--json", code=1)
    assert told["refused"] == [{"row_no": 2, "column": "spoken.collected_by", "reason": "spoken_incomplete"}]
    assert world.query("select value, actor from intake.consent_event") == [("grant", "staff_on_behalf")]


def test_the_cut_over_needs_its_dry_run_and_a_name(world: World, says: Says) -> None:
    [known] = seed(world, contact())
    proposal = says("adopt", "--cutover", "--json")
    assert proposal["counts"] == {"contact": 1}
    approve = ("adopt", "--cutover", "--approve", proposal["cutover_id"])
    assert "--by NAME" in says(*approve, code=2)
    says("adopt", "--cutover", "--approve", "000000000000", "--by", "Officer", code=2)
    says(*approve, "--by", "Officer")
    world.run()
    assert contacts(world)[known]["donotbulkemail"] is True

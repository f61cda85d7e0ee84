"""A changed policy shows what it would change before it counts: widening waits for a name, narrowing for nobody."""

import json
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pipelines.cli import APP
from pipelines.operations.policy_versions import apply_policy, policy_diff
from schemas.errors import ConfigurationError, RaisingRefused
from schemas.policy import Policy
from tests.feeds import with_notice
from tests.invariants.acts import T0, Who, prohibit, register, sign_up
from tests.invariants.model import MARKETING
from tests.invariants.test_acts import AINO
from tests.invariants.world import CONFIG, World

PHONE = ["firstname", "lastname", "emailaddress1", "mobilephone"]
KALLE = Who("kalle@example.org", "kalle")


def changed(purpose: str, **settings: Any) -> Policy:
    written = with_notice(yaml.safe_load((CONFIG / "intake.yaml").read_text("utf-8")))
    written["purposes"][purpose] |= settings
    return Policy.model_validate(written)


@pytest.fixture
def running(world: World) -> World:
    world.perform([sign_up(1, AINO, T0), register(2, KALLE, T0, charge="paid")])
    world.run()
    return world


def versions(world: World) -> list[tuple[Any, ...]]:
    return [tuple(r) for r in world.query("select applied_by, version from intake.policy_version order by applied_no")]


def test_the_first_policy_is_applied_by_the_first_run(running: World) -> None:
    running.run()
    assert versions(running) == [("the first run", 1)]
    assert policy_diff(running.session()).changes == []


def test_a_wider_policy_raises_nothing_until_it_is_applied_by_name(running: World) -> None:
    running.with_policy(changed("related_events", lives_after_days=1000))
    late = Who("late@example.org", "maija")
    running.perform([sign_up(3, late, T0), prohibit(4, AINO, T0.replace(day=15))])
    with pytest.raises(RaisingRefused, match="policy apply"):
        running.run()
    held = running.holds()
    assert not held.consents[AINO.key, MARKETING, ""], "lowering never waits"
    assert (late.key, MARKETING, "") not in held.consents
    found = policy_diff(running.session())
    assert [(c.where, c.widens) for c in found.changes] == [("purposes.related_events.lives_after_days", True)]
    with pytest.raises(ConfigurationError):
        apply_policy(running.session(), by=" ")
    apply_policy(running.session(), by="Officer")
    running.run()
    assert running.holds().consents[late.key, MARKETING, ""]
    assert versions(running)[-1] == ("Officer", 1)
    assert apply_policy(running.session(), by="Officer").changes == []


def test_what_would_change_is_counted_by_purpose_and_nothing_is_kept(running: World) -> None:
    running.with_policy(changed("related_events", lives_after_days=5))
    session = running.session()
    before = running.counts()
    found = policy_diff(session)
    assert running.counts() == before
    assert not found.widens
    (related,) = [row for row in found.people if row["purpose"] == "related_events"]
    assert (related["ends"], related["people"]) == (1, 0)
    assert all(row["ends"] == 0 for row in found.people if row["purpose"] != "related_events")


def test_a_narrower_policy_counts_with_the_next_run(running: World) -> None:
    assert running.holds().contacts[KALLE.key, "kalle"]["mobilephone"]
    running.with_policy(changed("course_delivery", contact_columns=PHONE[:3]))
    running.run()
    assert "mobilephone" not in running.holds().contacts[KALLE.key, "kalle"]
    assert versions(running)[-1] == ("a run: it only narrows", 1)


def test_the_commands_say_what_would_change_and_by_whom_it_was_applied(running: World) -> None:
    directory = running.directory / "other"
    (directory / "sources").mkdir(parents=True, exist_ok=True)
    written = with_notice(yaml.safe_load((CONFIG / "intake.yaml").read_text("utf-8")))
    written["purposes"]["enquiry"]["contact_columns"] = PHONE
    (directory / "intake.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    environment = {
        "DATABASE_URL": running.address.uri_adbc,
        "INTAKE_DATA_DIR": str(running.settings.data_dir),
        "INTAKE_CONFIG_DIR": str(directory),
        "INTAKE_FIXED_NOW": running.now.isoformat(),
    }
    told = CliRunner().invoke(APP, ["policy", "diff", "--json"], env=environment)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["widens"] is True
    done = CliRunner().invoke(APP, ["policy", "apply", "--by", "Officer"], env=environment)
    assert done.exit_code == 0, done.output
    assert versions(running)[-1] == ("Officer", 1)

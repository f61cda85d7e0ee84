"""The files of the deployment: valid by their schemas, and of one mind with the code that they start.

They are read and not started here: no cluster and no container engine is needed.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from typer.main import get_command

from pipelines.cli import APP
from pipelines.operations.merging import MERGE_WAIT_S
from pipelines.operations.sync import LOCK_WAIT_S
from pipelines.settings import Settings
from tests.deploy.chart_values import ChartValues

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("dagster", "dagster-readonly", "worker", "preferences")
WORKLOADS = list(yaml.safe_load_all((DEPLOY / "workers.yaml").read_text()))


def test_the_compose_file_keeps_to_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    found = subprocess.run([*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_values_keep_to_the_chart() -> None:
    values = ChartValues.model_validate(yaml.safe_load((DEPLOY / "values.yaml").read_text()))
    assert values.dagsterWebserver.enableReadOnly
    assert not values.postgresql.enabled


def arguments() -> list[list[str]]:
    in_pods = [pod["spec"]["template"]["spec"]["containers"][0]["args"] for pod in WORKLOADS]
    return [*(SERVICES[name]["command"] for name in OURS), *in_pods]


@pytest.mark.parametrize("given", arguments(), ids=" ".join)
def test_what_a_container_runs_is_a_command_of_ours_with_these_options(given: list[str]) -> None:
    command = get_command(APP)
    options = [word for word in given if word.startswith("--")]
    words = [word for word in given[: given.index(options[0])] if word]
    shown = CliRunner().invoke(command, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0, shown.output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.output)
    assert [option for option in options if option not in plain] == []


def test_each_variable_that_is_set_is_one_that_is_read() -> None:
    known = {f"INTAKE_{name.upper()}" for name in Settings.model_fields} | {"DATABASE_URL"}
    assert set(COMPOSE["x-intake"]["environment"]) <= known


def test_each_variable_of_the_compose_file_stands_in_the_example() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)\}", (DEPLOY / "compose.yaml").read_text()))
    told = set(re.findall(r"^([A-Z_]+)=", (DEPLOY / ".env.example").read_text(), re.MULTILINE))
    assert asked == told


def test_only_the_proxy_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["proxy"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert {
        name for name in ("postgres", "rabbitmq", "dagster-readonly") if SERVICES[name]["networks"] != ["inside"]
    } == set()


def test_the_proxy_lets_nobody_to_dagster_without_a_log_in() -> None:
    written = (DEPLOY / "Caddyfile").read_text()
    staff = written[written.index("{$STAFF_HOST}") : written.index("{$PEOPLE_HOST}")]
    assert staff.index("forward_auth") < staff.index("dagster:3000")
    assert staff.index("@operator header_regexp") < staff.index("dagster:3000") < staff.index("dagster-readonly:3000")
    assert "dagster" not in written[written.index("{$PEOPLE_HOST}") :]
    targets = set(re.findall(r"(?:reverse_proxy|forward_auth) ([a-z0-9-]+):", written))
    assert targets <= set(SERVICES)
    assert "--read-only" in SERVICES["dagster-readonly"]["command"]


def test_the_broker_waits_longer_than_any_step_waits_for_its_locks() -> None:
    told = dict(re.findall(r"^(\w+) = (\d+)$", (DEPLOY / "rabbitmq.conf").read_text(), re.MULTILINE))
    assert int(told["consumer_timeout"]) / 1000 > 2 * (MERGE_WAIT_S + LOCK_WAIT_S)


def test_no_secret_stands_in_any_file() -> None:
    empty = re.findall(r"^([A-Z_]*(?:PASSWORD|SECRET))=(.*)$", (DEPLOY / ".env.example").read_text(), re.MULTILINE)
    assert empty
    assert {value for _, value in empty} == {""}


def test_pods_of_ours_are_closed() -> None:
    for pod in WORKLOADS:
        spec = pod["spec"]["template"]["spec"]
        context = spec["containers"][0]["securityContext"]
        assert context["runAsNonRoot"] and context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
        named = {volume["name"] for volume in spec["volumes"]}
        assert {mount["name"] for mount in spec["containers"][0]["volumeMounts"]} <= named

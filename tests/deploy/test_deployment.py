"""The files of the deployment: valid by their schemas, and of one mind with the code that they start.

They are read and not started here: no cluster and no container engine is needed.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from click.testing import CliRunner
from typer.main import get_command

from connectors.dataverse.settings import ManagedIdentity
from connectors.mappings import load_policy
from connectors.store.keys import KeyRing
from connectors.store.server import QUIET_LOG
from connectors.store.service_logins import SERVICE_LOGINS
from pipelines.cli import APP
from pipelines.definitions import build_definitions
from pipelines.launch import QUIET
from pipelines.operations.merging import MERGE_WAIT_S
from pipelines.operations.sync import LOCK_WAIT_S
from pipelines.operations.workspace import dataverse_settings
from pipelines.settings import REST_PREFIX, Settings
from tests.deploy.chart_values import ChartValues

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("dagster", "dagster-readonly", "worker", "calls", "preferences")
# And what is started by hand.
STARTED = (*OURS, "owner")
VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "values.yaml").read_text())
INSTANCE: dict[str, Any] = yaml.safe_load((DEPLOY.parent / "dagster.yaml").read_text())
# By which mail goes out: `starttls`, and `tls` from the first byte on (RFC 8314).
MAIL_PORTS = {Settings.model_fields["smtp_port"].default, 465}
ACCESS_LOG = "nginx.ingress.kubernetes.io/enable-access-log"
FILES = ("state.yaml", "workers.yaml", "task.yaml", "ingress.yaml")
OBJECTS_OF = {name: list(yaml.safe_load_all((DEPLOY / name).read_text())) for name in FILES}
OBJECTS = [one for objects in OBJECTS_OF.values() for one in objects]
WORKLOADS = [one for one in OBJECTS if one["kind"] in ("Deployment", "Job")]
OWN_PODS = [one for one in WORKLOADS if "crm-intake" in str(one["metadata"])]
CODE = VALUES["dagster-user-deployments"]["deployments"][0]


def test_the_compose_file_keeps_to_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    found = subprocess.run([*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_values_keep_to_the_chart() -> None:
    values = ChartValues.model_validate(VALUES)
    assert values.dagsterWebserver.enableReadOnly
    assert not values.postgresql.enabled


def test_dagster_in_a_cluster_is_the_projects_but_for_what_the_chart_itself_says() -> None:
    own = VALUES["additionalInstanceConfig"]
    assert set(INSTANCE) - set(own) == {"storage", "telemetry", "compute_logs"}
    assert own == {name: INSTANCE[name] for name in own}
    # Said twice, one of the two would be refused.
    assert not any(
        VALUES["dagsterDaemon"][name]["enabled"] for name in ("runCoordinator", "runMonitoring", "runRetries")
    )


def test_no_process_of_dagsters_keeps_a_traceback_or_reports_home() -> None:
    launched = dict(one.split("=") for one in VALUES["runLauncher"]["config"]["k8sRunLauncher"]["envVars"])
    for told in (VALUES["dagsterWebserver"]["env"], VALUES["dagsterDaemon"]["env"], CODE["env"], launched):
        assert QUIET.items() <= told.items()


def arguments() -> list[list[str]]:
    containers = [pod["spec"]["template"]["spec"]["containers"][0] for pod in OWN_PODS]
    in_pods = [[*one["command"], *one["args"]] for one in containers]
    return [*(SERVICES[name]["command"] for name in STARTED), *in_pods]


@pytest.mark.parametrize("given", arguments(), ids=" ".join)
def test_what_a_container_runs_is_a_command_of_ours_with_these_options(given: list[str]) -> None:
    command = get_command(APP)
    assert given[0] == "crm-intake", "the image has no entry point, for Dagster's chart starts programs of its own"
    options = [word for word in given if word.startswith("--")]
    words = given[1 : given.index(options[0]) if options else None]
    shown = CliRunner().invoke(command, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0, shown.output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.output)
    assert [option for option in options if option not in plain] == []


@pytest.mark.parametrize("command", ["worker", "ui", "preferences serve", "preferences sync"])
def test_both_deployments_have_each_part(command: str) -> None:
    parts = [" ".join(given[1:]) for given in arguments()]
    started = [part for part in parts if part.startswith(command)]
    # In a cluster the chart starts Dagster's own.
    assert len(started) >= (1 if command == "ui" else 2), parts


def named_in(example: str) -> dict[str, str]:
    """The variables that an example of a file of them sets, with their values."""
    return dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", (DEPLOY / example).read_text(), re.MULTILINE))


def told_in(example: str) -> set[str]:
    told = set(re.findall(r"^# (\w+)=", (DEPLOY / example).read_text(), re.MULTILINE))
    assert told
    return told


def test_each_variable_that_is_set_is_one_that_is_read() -> None:
    known = {f"INTAKE_{name.upper()}" for name in Settings.model_fields} | {"DATABASE_URL"}
    set_here = {name for service in STARTED for name in SERVICES[service]["environment"]}
    in_pods = {
        one["name"]
        for pod in OWN_PODS
        for container in pod["spec"]["template"]["spec"]["containers"]
        for one in container["env"]
    }
    assert set_here <= known
    assert in_pods - {"DAGSTER_PG_PASSWORD"} <= known
    told = told_in("intake.env.example") | told_in("preferences.env.example")
    assert {name for name in told if not name.startswith(REST_PREFIX)} <= known


def test_the_page_that_everybody_reaches_is_told_nothing_of_the_crm_the_sources_or_the_broker() -> None:
    page = SERVICES["preferences"]
    assert [one["path"] for one in page["env_file"]] == ["preferences.env"]
    told = set(page["environment"]) | told_in("preferences.env.example")
    allowed = ("DATABASE_URL", "INTAKE_PREFERENCES_", "INTAKE_SMTP_", "INTAKE_DOORS_")
    assert {name for name in told if not name.startswith(allowed)} == set()
    assert page["environment"]["DATABASE_URL"] != SERVICES["worker"]["environment"]["DATABASE_URL"]
    mounted = {volume.split(":")[1]: volume for volume in page["volumes"]}
    assert set(mounted) == {"/etc/intake", "/var/lib/intake/keys", "/run/intake"}
    assert all(volume.endswith(":ro") for volume in mounted.values())
    assert mounted["/run/intake"] not in COMPOSE["x-intake"]["volumes"], "secrets of its own"
    reached = {name for name, one in SERVICES.items() if set(one["networks"]) & set(page["networks"])}
    assert reached == {"preferences", "postgres", "proxy"}
    (pod,) = (one for one in OWN_PODS if one["metadata"].get("name") == "crm-intake-preferences")
    spec = pod["spec"]["template"]["spec"]
    assert spec["containers"][0]["envFrom"] == [{"secretRef": {"name": "crm-intake-preferences"}}]
    assert "state" not in {volume["name"] for volume in spec["volumes"]}


def test_no_part_logs_in_as_the_stores_owner_but_what_is_done_by_hand() -> None:
    urls = {name: one["environment"]["DATABASE_URL"] for name, one in SERVICES.items() if "DATABASE_URL" in str(one)}
    logins = {name: url.removeprefix("postgresql://").partition(":")[0] for name, url in urls.items()}
    assert set(logins) == {*OURS, "owner"}
    assert logins.pop("owner") == SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    assert SERVICES["owner"]["profiles"] and SERVICES["owner"]["restart"] == "no"
    assert {logins[name] for name in ("dagster", "worker", "calls")} == {"intake_service"}
    assert (logins["dagster-readonly"], logins["preferences"]) == ("intake_viewer", "intake_page")
    variables = {login.user: f"INTAKE_DB_{name.upper()}_PASSWORD" for name, login in SERVICE_LOGINS.items()}
    for name, login in logins.items():
        assert f"{{{variables[login]}:?}}@" in urls[name]
    assert set(SERVICES["owner"]["environment"]) == {"DATABASE_URL"} | {variables[one] for one in logins.values()}
    assert not any("INTAKE_DB_" in name for one in OURS for name in SERVICES[one]["environment"])


def test_in_a_cluster_each_secret_has_an_example_and_no_part_is_told_of_another() -> None:
    work, owner = named_in("pipeline.env.example"), named_in("owner.env.example")
    assert set(work) == set(COMPOSE["x-intake"]["environment"])
    assert urlsplit(work["DATABASE_URL"]).username == "intake_service"
    login = VALUES["postgresql"]["postgresqlUsername"]
    needed = {name for name, one in SERVICE_LOGINS.items() if one.user in ("intake_service", "intake_page", login)}
    assert set(owner) == {"DATABASE_URL", *(f"INTAKE_DB_{name.upper()}_PASSWORD" for name in needed)}
    claims = {one["metadata"]["name"]: name for name in FILES for one in OBJECTS_OF[name] if "Claim" in one["kind"]}
    assert claims == {"crm-intake-state": "state.yaml"}, "the first job waits for it"


def test_each_variable_of_the_compose_file_stands_in_the_example() -> None:
    found = re.findall(r"\$\{([A-Z_]+)([^}]*)\}", (DEPLOY / "compose.yaml").read_text())
    asked = {name for name, _ in found}
    # What is not filled in is refused, but for secret and id: a certificate may stand in the place of the one, and the machine's
    # own identity in that of both.
    assert {name for name, otherwise in found if otherwise != ":?"} == {
        "INTAKE_DATAVERSE_CLIENT_ID",
        "INTAKE_DATAVERSE_CLIENT_SECRET",
    }
    told = set(re.findall(r"^([A-Z_]+)=", (DEPLOY / ".env.example").read_text(), re.MULTILINE))
    assert asked == told


def test_links_in_newsletters_lead_to_the_page_of_this_deployment() -> None:
    """Whoever plans writes each contact's link: a worker, or `calls`. The policy's address alone is the example's."""
    name = "INTAKE_PREFERENCES_URL"
    address = SERVICES["preferences"]["environment"][name]
    assert {SERVICES[one]["environment"][name] for one in ("dagster", "worker", "calls")} == {address}
    assert name not in told_in("intake.env.example"), "what compose.yaml sets counts before that file"
    (people,) = (one for one in OBJECTS if one["metadata"].get("name") == "crm-intake-people")
    hosts = {rule["host"] for rule in people["spec"]["rules"]}
    in_cluster = {named_in(example)[name] for example in ("pipeline.env.example", "page.env.example")}
    assert {urlsplit(one).hostname for one in in_cluster} == hosts
    written = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    assert "`crm.preference_page`" in written[: written.index("up -d postgres")]


def test_an_identity_of_the_machine_needs_no_id_where_the_file_of_compose_leaves_it_empty() -> None:
    settings = Settings(
        dataverse_url="https://crm.example.org",
        dataverse_tenant="tenant",
        dataverse_client_id="",
        dataverse_managed_identity=True,
    )
    crm = dataverse_settings(settings, load_policy(DEPLOY.parent / "config"))
    assert isinstance(crm.credential, ManagedIdentity) and not crm.credential.client_id
    assert "INTAKE_DATAVERSE_MANAGED_IDENTITY" in told_in("intake.env.example")


def test_only_the_proxy_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["proxy"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert {
        name for name in ("postgres", "rabbitmq", "dagster-readonly") if "outward" in SERVICES[name]["networks"]
    } == set()
    assert COMPOSE["networks"]["people"]["internal"] is True
    outside = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert all(len(outside & set(one["networks"])) <= 1 for one in SERVICES.values())


def test_the_store_in_a_container_logs_no_person() -> None:
    told = dict(re.findall(r"^-c(\w+)=(.*)$", "\n".join(SERVICES["postgres"]["command"]), re.MULTILINE))
    assert {name for name, quiet in QUIET_LOG.items() if told.get(name) not in quiet} == set()


def test_what_the_log_of_a_server_of_ones_own_is_to_be_is_told() -> None:
    written = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    table = dict(re.findall(r"^\| `(log_\w+)` \| (.+) \|$", written, re.MULTILINE))
    assert {name: set(re.findall(r"`([^`]+)`", told)) for name, told in table.items()} == {
        name: set(quiet) for name, quiet in QUIET_LOG.items()
    }


def test_the_proxy_lets_nobody_to_dagster_without_a_log_in() -> None:
    written = (DEPLOY / "Caddyfile").read_text()
    staff = written[written.index("{$STAFF_HOST}") : written.index("{$PEOPLE_HOST}")]
    assert staff.index("forward_auth") < staff.index("dagster:3000")
    assert staff.index("@operator header_regexp") < staff.index("dagster:3000") < staff.index("dagster-readonly:3000")
    assert "dagster" not in written[written.index("{$PEOPLE_HOST}") :]
    targets = set(re.findall(r"(?:reverse_proxy|forward_auth) ([a-z0-9-]+):", written))
    assert targets <= set(SERVICES)
    assert "--read-only" in SERVICES["dagster-readonly"]["command"]


def test_nobody_says_themselves_which_groups_they_are_in() -> None:
    written = (DEPLOY / "Caddyfile").read_text()
    staff = written[written.index("{$STAFF_HOST}") : written.index("{$PEOPLE_HOST}")]
    assert staff.index("request_header -X-Auth-Request-*") < staff.index("handle")


def test_in_a_cluster_too_dagster_is_reached_after_a_log_in_and_every_page_over_tls() -> None:
    entries = [one for one in OBJECTS if one["kind"] == "Ingress"]
    services = {one["metadata"]["name"] for one in OBJECTS if one["kind"] == "Service"}
    reached = {}
    for entry in entries:
        spec = entry["spec"]
        assert {rule["host"] for rule in spec["rules"]} <= {host for tls in spec["tls"] for host in tls["hosts"]}
        for rule in spec["rules"]:
            for path in rule["http"]["paths"]:
                reached[path["backend"]["service"]["name"]] = entry["metadata"].get("annotations", {})
    assert {one["metadata"]["annotations"][ACCESS_LOG] for one in entries} == {"false"}, "a link's token is in its path"
    login = "nginx.ingress.kubernetes.io/auth-url"
    guarded = {name: notes[login] for name, notes in reached.items() if login in notes}
    assert set(guarded) == {"crm-intake-dagster-webserver", "crm-intake-dagster-webserver-read-only"}
    assert "allowed_groups=" in guarded["crm-intake-dagster-webserver"]
    assert set(reached) - set(guarded) == services == {"crm-intake-preferences", "oauth2-proxy"}


def test_what_a_container_writes_to_is_its_own_and_outlives_it() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    (made,) = re.findall(r"^RUN cd /var/lib && install -d -o intake -g intake -m 700 (.+)$", dockerfile, re.MULTILINE)
    mounted = [volume.split(":")[1] for volume in COMPOSE["x-intake"]["volumes"] if not volume.endswith(":ro")]
    assert mounted == [f"/var/lib/{name}" for name in ("intake", "intake/keys", "intake/drop", "intake/dagster")]
    assert {path.removeprefix("/var/lib/") for path in mounted} == set(made.split())
    assert set(COMPOSE["volumes"]) >= {
        volume.split(":")[0] for volume in COMPOSE["x-intake"]["volumes"] if "./" not in volume
    }
    settings = Settings(data_dir=Path("/var/lib/intake"))
    for path in (settings.erasure_journal(), settings.certificates_dir(), settings.keys_dir()):
        assert path.is_relative_to("/var/lib/intake")


def is_in_image(path: str) -> bool:
    """As .dockerignore has it: the last pattern that the path, or a folder above it, fits decides."""
    taken = True
    for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        anywhere = pattern.startswith("**/")
        if not line.startswith("#") and fits(path, pattern.removeprefix("**/"), anywhere=anywhere):
            taken = line.startswith("!")
    return taken


def is_committed_by_add(path: str) -> bool:
    """As .gitignore has it: none of its patterns fits the path or a folder above it."""
    lines = (DEPLOY.parent / ".gitignore").read_text().splitlines()
    patterns = [line.rstrip("/") for line in lines if not line.startswith("#")]
    return not any(fits(path, pattern, anywhere="/" not in pattern) for pattern in patterns)


def fits(path: str, pattern: str, *, anywhere: bool) -> bool:
    above = [Path("/", path), *Path("/", path).parents][:-1]
    return any(one.match(pattern if anywhere else f"/{pattern.lstrip('/')}") for one in above)


def files_of_secrets() -> set[str]:
    """Whatever the documents have people write that holds a secret, a key or people's data."""
    written = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    told = set(re.findall(r"--from-(?:env-)?file=(\S+)", written)) | set(re.findall(r"[<>] (\S+\.\w+)", written))
    named = {"owner.env", "pipeline.env", "page.env", "oauth2.env", "secrets/crm.pem", "keys/link-0001.key"}
    named |= {"page-keys/link-0001.key", "postgresql-password", "out/copy.json", "secret.txt", "roles.sql"}
    named |= {
        "intake.dump",
        "dagster.dump",
        "links.csv",
        "pairs.xlsx",
        ".env",
        "doors.json",
        ".intake/keys/link-0001.key",
    }
    named |= {f"deploy/{name}" for name in (".env", "intake.env", "preferences.env", "secrets/pipeline/crm.pem")}
    return named | {one for one in told if one.startswith("deploy/secrets/") or "/" not in one}


@pytest.mark.parametrize("path", sorted(files_of_secrets()))
def test_no_key_and_no_secret_gets_into_the_image_or_into_git(path: str) -> None:
    assert not is_in_image(path)
    assert not is_committed_by_add(path)


def test_the_image_has_what_it_runs_and_nothing_else() -> None:
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    (copied,) = re.findall(r"^COPY (.+) \./$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    wanted = {*packages, *copied.split(), "dagster.yaml", "workspace.yaml"}
    assert {path.name for path in DEPLOY.parent.iterdir() if is_in_image(path.name)} == wanted
    assert is_in_image("preferences/texts/en.yaml") and not is_in_image("pipelines/__pycache__/cli.cpython-311.pyc")
    beside = [volume for service in SERVICES.values() for volume in service["volumes"] if ":/run/intake" in volume]
    assert beside and all(volume.startswith("./secrets/") for volume in beside)


def test_the_broker_waits_longer_than_any_run_may_take() -> None:
    """A step of a first load takes hours: taken back before its end, it would be begun a second time beside itself."""
    told = dict(re.findall(r"^(\w+) = (\d+)$", (DEPLOY / "rabbitmq.conf").read_text(), re.MULTILINE))
    longest_s = INSTANCE["run_monitoring"]["max_runtime_seconds"]
    assert int(told["consumer_timeout"]) / 1000 > longest_s > 2 * (MERGE_WAIT_S + LOCK_WAIT_S)


def test_a_broker_of_ones_own_is_told_what_the_one_of_compose_is() -> None:
    written = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    broker = urlsplit(named_in("pipeline.env.example")["INTAKE_CELERY_BROKER"])
    host, user = broker.path.lstrip("/"), broker.username
    assert f"rabbitmqctl add_vhost {host}\n" in written
    assert f"set_permissions -p {host} {user} " in written
    assert "`deploy/rabbitmq.conf`" in written and "`consumer_timeout`" in written


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
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            assert {mount["name"] for mount in container["volumeMounts"]} <= named


def test_keys_and_files_of_a_secret_are_laid_where_their_owner_alone_reads_them(tmp_path: Path) -> None:
    """The mounted directory is somebody else's: what it allows stays as it is, for a pod's user may not change it."""
    given, mounted, files, laid_files = (tmp_path / name for name in ("given", "mounted", "files", "run"))
    given.mkdir(), mounted.mkdir(), files.mkdir(), laid_files.mkdir()
    mounted.chmod(0o2777)
    made = KeyRing(tmp_path / "made")
    made.current("link")
    for path in (tmp_path / "made").iterdir():
        (given / path.name).write_bytes(path.read_bytes())
        (given / path.name).chmod(0o640)
    specs = [pod["spec"]["template"]["spec"] for pod in OWN_PODS]
    pods = [*specs, {**VALUES["dagster-user-deployments"]["deployments"][0]}]
    (command,) = {tuple(pod["initContainers"][0]["command"]) for pod in pods}
    (path,) = {
        one["value"] for pod in specs for one in pod["containers"][0]["env"] if one["name"] == "INTAKE_KEYS_PATH"
    }
    assert pods[-1]["env"]["INTAKE_KEYS_PATH"] == path
    for spec in specs:
        mounts = {one["name"]: one["mountPath"] for one in spec["containers"][0]["volumeMounts"]}
        assert Path(path).parent == Path(mounts["keys"])
        assert mounts["files"] == "/run/intake", "as in compose.yaml"
    at = {"/run/keys": given, "/run/files": files, "/run/intake": laid_files, "/keys": mounted}
    laid = command[-1]
    for name, directory in at.items():
        laid = laid.replace(name, str(directory))
    # None was given, and then two; a mounted secret keeps them in a directory of its own, and links to it.
    subprocess.run([*command[:-1], laid], check=True)
    assert list(laid_files.iterdir()) == []
    (files / "..data").mkdir()
    for name in ("doors.json", "crm.pem"):
        (files / "..data" / name).write_text("{}")
        (files / name).symlink_to(Path("..data") / name)
    subprocess.run([*command[:-1], laid], check=True)
    assert {found.name: found.stat().st_mode & 0o777 for found in laid_files.iterdir() if not found.is_symlink()} == {
        "doors.json": 0o600,
        "crm.pem": 0o600,
    }
    assert mounted.stat().st_mode & 0o7777 == 0o2777
    ring = Settings(keys_path=mounted / Path(path).name).keys_dir()
    assert ring.stat().st_mode & 0o077 == 0
    assert KeyRing(ring).current("link") == made.current("link")


@pytest.mark.parametrize("what", ["files", "keys"])
def test_the_page_has_secrets_of_its_own(what: str) -> None:
    def secret(spec: dict[str, Any]) -> str:
        (name,) = (one["secret"]["secretName"] for one in spec["volumes"] if one["name"] == f"given-{what}")
        return str(name)

    names = {pod["metadata"].get("name", "task"): secret(pod["spec"]["template"]["spec"]) for pod in OWN_PODS}
    assert names.pop("crm-intake-preferences") == f"crm-intake-page-{what}"
    assert {*names.values(), secret(CODE)} == {f"crm-intake-{what}"}


def test_only_what_works_on_data_has_the_keys_and_none_makes_any_in_a_pod() -> None:
    """A key made in a pod would end with it, and what was made under it could not be read again."""
    for spec in (*(pod["spec"]["template"]["spec"]["containers"][0] for pod in OWN_PODS), CODE):
        (mount,) = (one for one in spec["volumeMounts"] if one["name"] == "keys")
        assert mount["readOnly"] is True
    assert {name for name, one in SERVICES.items() if "keys:" in str(one["volumes"])} == set(OURS) - {
        "dagster-readonly"
    }


def test_pages_of_staff_are_told_no_secret_of_the_crm_or_the_sources() -> None:
    looked_at = SERVICES["dagster-readonly"]
    assert set(looked_at["environment"]) == {"DATABASE_URL"} and looked_at["env_file"] == []
    assert looked_at["volumes"] == ["../config:/etc/intake:ro"]
    for part in ("dagsterWebserver", "dagsterDaemon"):
        assert "envSecrets" not in VALUES[part], "the chart gives them their password, and code runs elsewhere"


def test_each_part_is_given_the_whole_configuration() -> None:
    config = DEPLOY.parent / "config"
    wanted = {"/etc/intake/intake.yaml", "/etc/intake/crm_role.yaml"}
    wanted |= {f"/etc/intake/{path.name}" for path in config.iterdir() if path.is_dir()}
    for spec in (*(pod["spec"]["template"]["spec"]["containers"][0] for pod in OWN_PODS), CODE):
        mounts = [one for one in spec["volumeMounts"] if one["mountPath"].startswith("/etc/intake")]
        assert {one["mountPath"] for one in mounts} == wanted
        assert all(Path(one["mountPath"]).name == one.get("subPath", Path(one["mountPath"]).name) for one in mounts)


def test_dagsters_pages_are_reached_by_the_proxy_alone_and_the_peoples_door_reaches_little() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in OBJECTS if one["kind"] == "NetworkPolicy"}
    pages, door = policies["crm-intake-pages"], policies["crm-intake-preferences"]
    assert VALUES["dagsterWebserver"]["labels"].items() >= pages["podSelector"]["matchLabels"].items()
    assert pages["ingress"][0]["ports"] == [{"port": VALUES["dagsterWebserver"]["service"]["port"]}]
    assert door["policyTypes"] == ["Ingress", "Egress"] and all("ports" in one for one in door["egress"])
    let = {port["port"] for one in door["egress"] for port in one["ports"]}
    assert let == {53, 5432, *MAIL_PORTS}, "each way of docs/preferences.md to the mail server"
    assert all(
        port["number"] == VALUES["dagsterWebserver"]["service"]["port"]
        for entry in OBJECTS
        if entry["kind"] == "Ingress"
        for rule in entry["spec"]["rules"]
        for path in rule["http"]["paths"]
        if "dagster" in path["backend"]["service"]["name"]
        for port in [path["backend"]["service"]["port"]]
    )


def test_nobody_but_two_groups_gets_in() -> None:
    told = SERVICES["oauth2-proxy"]["environment"]["OAUTH2_PROXY_ALLOWED_GROUPS"]
    assert re.findall(r"\w+_GROUP", told) == ["OIDC_READERS_GROUP", "OIDC_OPERATORS_GROUP"]
    login = "nginx.ingress.kubernetes.io/auth-url"
    asked = [notes[login] for one in OBJECTS if login in (notes := one["metadata"].get("annotations", {}))]
    assert len(asked) == 2 and all("allowed_groups=" in url for url in asked)


def test_what_the_proxy_and_the_containers_log_names_nobody_and_ends() -> None:
    (excluded,) = re.findall(r"^\t\texclude (.+)$", (DEPLOY / "Caddyfile").read_text(), re.MULTILINE)
    assert excluded.split() == ["http.log.access", "http.log.error", "http.handlers.reverse_proxy"]
    assert {name for name, one in SERVICES.items() if "max-size" not in one["logging"]["options"]} == set()


def test_the_crms_role_is_made_by_an_administrator_before_the_doctor_asks_for_it() -> None:
    written = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    steps = re.split(r"^\d\. ", written[: written.index("After the first night")], flags=re.MULTILINE)
    (step,) = (one for one in steps if "crm doctor" in one)
    assert step.index("crm provision") < step.index("give the role") < step.index("crm doctor")
    assert {"-e INTAKE_DATAVERSE_CLIENT_ID", "-e INTAKE_DATAVERSE_CLIENT_SECRET"} <= set(re.findall(r"-e \w+", step))
    told = (DEPLOY.parent / "README.md").read_text()
    assert told.index("crm provision") < told.index("crm doctor")


def test_what_is_off_at_first_is_told_to_be_turned_on() -> None:
    repository = build_definitions(Settings(config_dir=DEPLOY.parent / "config")).get_repository_def()
    parts = (*repository.schedule_defs, *repository.sensor_defs)
    off = {one.name for one in parts if one.default_status.value == "STOPPED"}
    written = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    assert off == {"nightly", "dropped_files"} and all(f"`{name}`" in written for name in off)


def test_what_is_told_to_install_an_extra_works_from_a_clone() -> None:
    """The project is in no registry: `pip install crm-intake[...]` would find nothing, or somebody else's."""
    root = DEPLOY.parent
    paths = [root / "README.md", *(root / "docs").glob("*.md"), *(root / "pipelines").rglob("*.py")]
    written = "".join(path.read_text() for path in (*paths, *(root / "connectors").rglob("*.py")))
    assert "pip install crm-intake" not in written
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    told = set(re.findall(r"\.uv/bin/uv sync --locked --extra (\w+)", written))
    assert told == {"s3", "linking"} and told <= set(extras)


def test_every_database_that_is_dumped_is_restored() -> None:
    written = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    kept = set(re.findall(r"pg_dump -U intake -Fc (\w+) > (\S+)", written))
    assert {name for name, _ in kept} == {"intake", VALUES["postgresql"]["postgresqlDatabase"]}
    assert set(re.findall(r"pg_restore .+ -d (\w+) < (\S+)", written)) == kept
    assert re.findall(r"createdb .+ (\w+)$", written, re.MULTILINE) == [VALUES["postgresql"]["postgresqlDatabase"]]


def test_how_a_file_gets_into_the_drop_folder_is_told_by_the_folder_that_is_read() -> None:
    written = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    folder = Settings(data_dir=Path("/var/lib/intake")).drop_location()
    (volume,) = (one for one in COMPOSE["x-intake"]["volumes"] if one.endswith(f":{folder}"))
    assert f"the volume `{volume.partition(':')[0]}`" in written
    brought = re.findall(r"^ +(docker compose .+|kubectl exec .+) sh -c 'cd (\S+) && cat", written, re.MULTILINE)
    assert [place for _, place in brought] == [str(folder)] * 2
    assert "deployment/crm-intake-worker" in brought[1][0]
    assert "drop/` on `crm-intake-state`" in written and "`INTAKE_DROP_DIR=s3://" in written


def in_a_cluster() -> str:
    """The steps of a first start in a cluster."""
    written = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    return written[written.index("### In a cluster") : written.index("## The parts")]


def test_the_steps_in_a_cluster_make_each_secret_and_config_map_that_a_pod_names() -> None:
    made = set(re.findall(r"kubectl create (?:secret generic|secret tls|configmap) ([\w-]+)", in_a_cluster()))
    made |= set(re.findall(r"# and ([\w-]+-tls)$", in_a_cluster(), re.MULTILINE))
    named = set(
        re.findall(r"secretName: ([\w-]+)|(?:secretRef|configMap|secretKeyRef): {name: ([\w-]+)", "".join(files()))
    )
    wanted = {one for pair in named for one in pair if one} | {"crm-intake-owner"}
    assert wanted == made
    given = set(re.findall(r"--from-env-file=deploy/secrets/([\w.]+)", in_a_cluster()))
    assert {name for name in given if not (DEPLOY / f"{name}.example").exists()} == set()
    assert set(named_in("oauth2.env.example")) == {
        f"OAUTH2_PROXY_{name}" for name in ("CLIENT_ID", "CLIENT_SECRET", "OIDC_ISSUER_URL", "COOKIE_SECRET")
    }


def files() -> list[str]:
    return [(DEPLOY / name).read_text() for name in (*FILES, "values.yaml")]


def test_the_steps_in_a_cluster_put_the_organisations_image_everywhere() -> None:
    patterns = re.findall(r"'s#([^#]+)#([^#]+)#'", in_a_cluster())
    assert "deploy/workers.yaml deploy/task.yaml deploy/values.yaml" in in_a_cluster()
    for written in files():
        for before, after in patterns:
            written = written.replace(before, after)
        assert not re.search(r"(image: |repository: )crm-intake\b", written)


def test_the_owners_job_is_made_as_the_steps_in_a_cluster_say() -> None:
    written = (DEPLOY / "task.yaml").read_text()
    (steps,) = re.findall(r"^ +sed (-e .+) deploy/task.yaml \| kubectl create -f -$", in_a_cluster(), re.MULTILINE)
    for before, after in re.findall(r"'s/([^/]+)/([^/]+)/'", steps):
        written = re.sub(before.replace("{", "[{]"), after, written)
    container = yaml.safe_load(written)["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["upgrade"]
    assert container["envFrom"] == [{"secretRef": {"name": "crm-intake-owner"}}]


def test_dagsters_pages_are_closed_before_they_are_there() -> None:
    steps = in_a_cluster()
    places = [steps.index(one) for one in ("apply -f deploy/ingress.yaml", "helm repo add", "helm upgrade --install")]
    assert places == sorted(places) and places[-1] < steps.index("apply -f deploy/workers.yaml")


def test_each_file_that_the_deployment_document_names_is_there() -> None:
    written = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    named = set(re.findall(r"\bdeploy/([\w.-]+)", written)) - {"secrets"}
    assert named >= {"compose.yaml", "task.yaml", "workers.yaml", "ingress.yaml", "values.yaml"}
    assert {name for name in named if not (DEPLOY / name).exists()} == set()

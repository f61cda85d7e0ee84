"""Provisioning an environment that has nothing of ours yet; and what the administration does when answers are odd."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from connectors.dataverse import ClientSecret, DataverseClient, DataverseSettings, TableName
from connectors.dataverse.administration import Administration
from connectors.mappings import load_policy
from pipelines.operations.provision import Provided, provide
from pipelines.operations.workspace import Workspace
from sandbox.dataverse.options import EmulatorOptions
from sandbox.dataverse.server import RunningEmulator, start_emulator
from schemas.errors import CrmUnavailable
from tests.connectors.http_stub import Answer, stub_server
from tests.invariants.world import CONFIG
from tests.pipelines.clinic import LINK, asked_methods

CONTACTS = TableName("contacts", "contact", "contactid")
POLICY = load_policy(CONFIG)
# Sorts before any other: what is read first where nothing else is asked for.
COPY = "00000000-0000-4000-8000-000000000001"


class OneToken:
    """A token that is never asked for anew."""

    def token(self) -> str:
        return "token"

    def refresh(self, rejected: str | None = None) -> str:
        return "token"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    options = EmulatorOptions(missing_columns=(f"contact.{LINK}",), metadata_delay_s=60.0)
    with start_emulator(tmp_path_factory.mktemp("bare"), options=options) as running:
        yield running


def settings_of(emulator: RunningEmulator) -> DataverseSettings:
    return DataverseSettings(
        emulator.base_url,
        emulator.tenant_id,
        emulator.client_id,
        ClientSecret(emulator.client_secret),
        authority=emulator.base_url,
        ca_path=emulator.ca_path,
    )


def provided(emulator: RunningEmulator, *, bypass: str = "", **options: Any) -> dict[str, Provided]:
    crm = POLICY.crm.model_copy(update={"provision_purposes": True})
    workspace = SimpleNamespace(
        policy=POLICY.model_copy(update={"crm": crm}),
        settings=SimpleNamespace(config_dir=CONFIG, dataverse_bypass_logic=bypass),
    )
    settings = settings_of(emulator)
    client, administration = DataverseClient(settings), Administration(settings)
    try:
        return {one.what: one.state for one in provide(cast(Workspace, workspace), client, administration, **options)}
    finally:
        client.close()
        administration.close()


def test_column_role_purposes_and_topics_are_made_once(bare: RunningEmulator) -> None:
    names = {f"column {LINK} of contact", "role crm-intake"}
    names |= {f"purpose {name}" for name in POLICY.crm.purposes}
    names |= {f"topic {topic} of {name}" for name, t in POLICY.crm.purposes.items() for topic in t.topics}
    assert provided(bare, dry_run=True) == dict.fromkeys(names, Provided.WOULD_BE_MADE)
    assert asked_methods(bare.control.requests()) == {"GET"}
    assert provided(bare) == dict.fromkeys(names, Provided.MADE)
    assert provided(bare) == dict.fromkeys(names, Provided.PRESENT)
    purposes = bare.control.rows("msdynmkt_purposes")
    assert {row["msdynmkt_purposeid"] for row in purposes} == {str(t.purpose_id) for t in POLICY.crm.purposes.values()}
    assert {row["msdynmkt_enforcementmodel"] for row in purposes} == {534120000}


def test_a_purpose_that_staff_made_otherwise_stays_as_it_is(bare: RunningEmulator) -> None:
    target = POLICY.crm.purposes["related_events"]
    bare.control.seed(
        {"msdynmkt_purposes": [{"msdynmkt_purposeid": str(target.purpose_id), "msdynmkt_name": "Theirs"}]}
    )
    assert provided(bare)["purpose related_events"] is Provided.PRESENT
    [row] = [r for r in bare.control.rows("msdynmkt_purposes") if r["msdynmkt_purposeid"] == str(target.purpose_id)]
    assert row["msdynmkt_name"] == "Theirs"


def test_the_copy_of_the_role_in_a_unit_beneath_is_left_alone(bare: RunningEmulator) -> None:
    provided(bare)
    [role] = [row for row in bare.control.rows("roles") if row["name"] == "crm-intake"]
    (unit,) = bare.control.seed({"businessunits": [{"name": "Beneath"}]})["businessunits"]
    copy = {"roleid": COPY, "name": "crm-intake", "businessunitid@odata.bind": f"/businessunits({unit})"}
    bare.control.seed({"roles": [copy]})
    bare.control.remove("roles", role["roleid"], as_user="system")
    assert provided(bare)["role crm-intake"] is Provided.MADE
    assert granted(bare, COPY) == set()
    assert provided(bare)["role crm-intake"] is Provided.PRESENT
    bare.control.remove("roles", COPY, as_user="system")


def test_the_role_may_pass_custom_logic_by_only_where_the_settings_say_so(bare: RunningEmulator) -> None:
    provided(bare)
    [role] = [row for row in bare.control.rows("roles") if row["name"] == "crm-intake"]
    assert "prvBypassCustomBusinessLogic" not in granted(bare, role["roleid"])
    assert provided(bare, bypass="CustomSync")["role crm-intake"] is Provided.MADE
    assert "prvBypassCustomBusinessLogic" in granted(bare, role["roleid"])


def granted(emulator: RunningEmulator, role_id: str) -> set[str]:
    """The names of a role's privileges."""
    names = {row["privilegeid"]: row["name"] for row in emulator.control.rows("privileges")}
    links = emulator.control.rows("roleprivilegescollection")
    return {names[row["_privilegeid_value"]] for row in links if row["_roleid_value"] == role_id}


def test_a_lost_answer_is_told_and_asking_again_makes_nothing_twice(bare: RunningEmulator) -> None:
    provided(bare)
    [role] = [row for row in bare.control.rows("roles") if row["name"] == "crm-intake"]
    bare.control.remove("roles", role["roleid"], as_user="system")
    bare.control.faults(
        {"kind": "cut", "method": "POST", "path": "AddPrivilegesRole", "after_commit": True, "times": 1}
    )
    with pytest.raises(CrmUnavailable, match="nothing is made twice"):
        provided(bare)
    assert provided(bare)["role crm-intake"] is Provided.PRESENT
    assert len([row for row in bare.control.rows("roles") if row["name"] == "crm-intake"]) == 1


def test_what_another_than_the_crm_says_was_made_is_not_taken_for_made() -> None:
    with stub_server(lambda _asked: Answer({"notice": "sign in"})) as stub:
        settings = DataverseSettings(stub.url, "tenant", "client", ClientSecret("secret"))
        with pytest.raises(CrmUnavailable, match="nothing is made twice"):
            Administration(settings, tokens=OneToken()).add_privileges(str(UUID(int=1)), [])


def test_a_new_column_is_looked_for_past_the_cache_until_it_is_shown(tmp_path: Path) -> None:
    shown: list[dict[str, Any]] = [{"value": []}, {"value": []}, {"value": [{"LogicalName": LINK}]}]
    with stub_server(lambda asked: Answer(status=204) if asked.method == "POST" else Answer(shown.pop(0))) as stub:
        settings = DataverseSettings(stub.url, "tenant", "client", ClientSecret("secret"))
        slept: list[float] = []
        Administration(settings, tokens=OneToken(), sleep=slept.append).create_text_column(
            CONTACTS, LINK, label="Preference link", max_length=500
        )
    assert slept == [3.0, 10.0]
    assert [asked.headers.get("Consistency") for asked in stub.asked] == [None, "Strong", "Strong", "Strong"]


def test_a_column_that_never_shows_is_an_error_that_may_pass(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"value": []}
    with stub_server(lambda asked: Answer(nothing, 204 if asked.method == "POST" else 200)) as stub:
        settings = DataverseSettings(stub.url, "tenant", "client", ClientSecret("secret"))
        slept: list[float] = []
        with pytest.raises(CrmUnavailable, match="run again in a minute"):
            Administration(settings, tokens=OneToken(), sleep=slept.append).create_text_column(
                CONTACTS, LINK, label="Preference link", max_length=500
            )
    assert slept == [3.0, 10.0, 20.0]

"""The doctor over an emulated CRM: each ailment is named and no other, a run refuses where people are endangered."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import Result
from typer.testing import CliRunner

from connectors.dataverse import DataverseClient, TableName
from connectors.dataverse.administration import Administration
from connectors.mappings import load_role
from connectors.store.address import ServerAddress
from pipelines.cli import APP
from pipelines.launch import settings_environment
from pipelines.operations.doctor.examination import examine
from pipelines.operations.provision import Provided
from pipelines.operations.sync import sync_crm
from pipelines.operations.workspace import dataverse_settings
from pipelines.transforms.diagnosis.findings import Verdict
from sandbox.crm_seed import JOURNEY, journey_rows, purpose_rows
from sandbox.dataverse.options import EmulatorOptions
from sandbox.dataverse.server import start_emulator
from schemas.errors import CrmUnavailable, RaisingRefused
from schemas.tables import CONSENT, CONTACT
from tests.invariants.acts import T0, Who, answer
from tests.invariants.wire import sent_rows
from tests.invariants.world import CONFIG, CONSENTS, OPTED_IN, OPTED_OUT, make_settings, take_in
from tests.pipelines.clinic import AILMENTS, LINK, PURPOSES, Clinic, asked_methods, open_clinic, people
from tests.throwaway import fresh_database

DANGERS = [
    "default purpose open",
    "a flow that opts in",
    "tracking open",
    "another consent provider",
    "a preference centre of the CRM's own",
    "a link that leads to another host",
    "a commercial purpose open",
    "a topic under another purpose",
    "a live mail without a topic",
]


def leaver(number: int) -> str:
    return f"leaving{number}@example.org"


@pytest.fixture(scope="module")
def clinic(store_address: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with (
        fresh_database(store_address, template=store_address.database) as address,
        open_clinic(tmp_path_factory.mktemp("clinic"), address) as made,
    ):
        made.provide()
        subscribers = [answer(100 + n, Who(leaver(n), "aino"), T0, newsletter="Yes") for n in range(len(DANGERS))]
        made.run_with(*people(), *subscribers)
        yield made


def test_nothing_is_said_against_an_environment_in_good_health(clinic: Clinic) -> None:
    assert [(one.check.check_id, one.evidence) for one in clinic.examine() if one.verdict is not Verdict.OK] == []


def test_the_shipped_role_is_enough_for_a_run_and_for_the_doctor(clinic: Clinic) -> None:
    assert {row["emailaddress1"] for row in clinic.control.rows("contacts")} >= {"steady@example.org"}
    assert {one.verdict for one in clinic.examine() if one.check.check_id == "privileges"} == {Verdict.OK}


def test_the_doctor_only_reads(clinic: Clinic) -> None:
    since = clinic.control.last_sequence()
    clinic.examine()
    asked = clinic.control.requests(since)
    assert asked
    assert asked_methods(asked) == {"GET"}
    assert not any(entry["committed"] for entry in asked)


@pytest.mark.parametrize("ailment", AILMENTS)
def test_each_ailment_is_named_and_no_other(clinic: Clinic, ailment: str) -> None:
    check_id, goes_wrong = AILMENTS[ailment]
    mend = goes_wrong(clinic)
    try:
        [found] = [one for one in clinic.examine() if one.verdict is not Verdict.OK]
        assert found.check.check_id == check_id
        assert found.holds_back == (ailment in DANGERS)
    finally:
        mend()


def test_the_journey_that_sends_the_mail_without_a_topic_is_named_with_it(clinic: Clinic) -> None:
    _, goes_wrong = AILMENTS["a live mail without a topic"]
    mend = goes_wrong(clinic)
    try:
        [found] = [one for one in clinic.examine() if one.check.check_id == "D14"]
        assert f"Live journeys that send mails without a topic: {JOURNEY}." in found.evidence
    finally:
        mend()


def test_every_one_of_the_fourteen_has_an_ailment_and_all_can_be_mended(clinic: Clinic) -> None:
    assert {check_id for check_id, _ in AILMENTS.values()} == {f"D{number}" for number in range(1, 15)}
    assert clinic.named() == set()


@pytest.mark.parametrize("danger", DANGERS)
def test_a_run_that_would_endanger_people_lowers_and_raises_nothing(clinic: Clinic, danger: str) -> None:
    number = DANGERS.index(danger)
    leaving, coming = leaver(number), f"coming{number}@example.org"
    check_id, goes_wrong = AILMENTS[danger]
    mend = goes_wrong(clinic)
    since = clinic.control.last_sequence()
    try:
        with pytest.raises(RaisingRefused, match=f"(?s)crm doctor.*{check_id}: ") as refused:
            clinic.run_with(
                answer(200 + number, Who(leaving, "aino"), T0.replace(day=12), stop="Yes"),
                answer(300 + number, Who(coming, "maija"), T0, newsletter="Yes"),
            )
    finally:
        mend()
    sent = list(sent_rows(clinic.control.requests(since)))
    assert refused.value.check_ids == (check_id,)
    assert sent
    assert all(one.is_lowering for one in sent)
    assert values_of(clinic, leaving) == {OPTED_OUT}
    assert values_of(clinic, coming) == set()


def test_what_was_held_back_goes_with_the_next_run_once_it_is_mended(clinic: Clinic) -> None:
    _, goes_wrong = AILMENTS["default purpose open"]
    mend = goes_wrong(clinic)
    try:
        with pytest.raises(RaisingRefused):
            clinic.run_with(answer(400, Who("later@example.org", "maija"), T0, newsletter="Yes"))
    finally:
        mend()
    clinic.world.run()
    assert values_of(clinic, "later@example.org") == {OPTED_IN}


class MuteAboutPurposes:
    """The CRM's client, but that the CRM does not answer when it is asked for its purposes."""

    def __init__(self, crm: DataverseClient) -> None:
        self._crm = crm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crm, name)

    def iter_rows(self, table: TableName, select: Sequence[str], **options: Any) -> Iterator[dict[str, Any]]:
        if table.entity_set == PURPOSES:
            raise CrmUnavailable("No answer.")
        return self._crm.iter_rows(table, select, **options)


def test_a_crm_that_does_not_say_how_it_is_set_up_gets_lowerings_and_the_rest_a_run_later(clinic: Clinic) -> None:
    leaving, coming = "leaving-unsaid@example.org", "coming-unsaid@example.org"
    clinic.run_with(answer(500, Who(leaving, "aino"), T0, newsletter="Yes"))
    clinic.world.perform(
        [
            answer(501, Who(leaving, "aino"), T0.replace(day=12), stop="Yes"),
            answer(502, Who(coming, "maija"), T0, newsletter="Yes"),
        ]
    )
    session = clinic.world.session()
    take_in(session)
    with pytest.raises(RaisingRefused, match="did not answer"):
        sync_crm(session, cast(DataverseClient, MuteAboutPurposes(clinic.world.crm)))
    assert values_of(clinic, leaving) == {OPTED_OUT}
    assert values_of(clinic, coming) == set()
    clinic.world.run()
    assert values_of(clinic, coming) == {OPTED_IN}


def values_of(clinic: Clinic, address: str) -> set[int]:
    rows = clinic.control.rows(CONSENTS)
    marketing = clinic.purpose_id("marketing")
    return {
        row["msdynmkt_value"]
        for row in rows
        if (row["msdynmkt_contactpointvalue"], row["_msdynmkt_purposeid_value"]) == (address, marketing)
    }


def test_a_table_that_may_not_be_read_is_unknown_and_not_wrong(clinic: Clinic) -> None:
    link = grant_of(clinic, "prvReadWorkflow")
    clinic.control.remove("roleprivilegescollection", link["roleprivilegeid"])
    try:
        by_id = {one.check.check_id: one for one in clinic.examine() if one.verdict is not Verdict.OK}
        assert {name: one.verdict for name, one in by_id.items()} == {
            "D4": Verdict.UNKNOWN,
            "privileges": Verdict.FAILS,
        }
        assert "may not be read" in by_id["D4"].evidence
        assert "prvReadWorkflow" in by_id["privileges"].evidence
        clinic.world.run()
    finally:
        kept = ("roleprivilegeid", "_roleid_value", "_privilegeid_value", "privilegedepthmask")
        clinic.control.seed({"roleprivilegescollection": [{name: link[name] for name in kept}]})
    assert clinic.named() == set()


def grant_of(clinic: Clinic, privilege: str) -> dict[str, Any]:
    """The link by which our application user's own role has a privilege."""
    [granted] = [row["privilegeid"] for row in clinic.control.rows("privileges") if row["name"] == privilege]
    roles = {row["roleid"] for row in clinic.control.rows("roles") if row["name"].startswith("Role of")}
    links = clinic.control.rows("roleprivilegescollection")
    return next(row for row in links if (row["_privilegeid_value"], row["_roleid_value"] in roles) == (granted, True))


def test_provisioning_a_second_time_makes_nothing(clinic: Clinic) -> None:
    since = clinic.control.last_sequence()
    assert {one.state for one in clinic.provide()} == {Provided.PRESENT}
    assert asked_methods(clinic.control.requests(since)) == {"GET"}
    [role] = [row for row in clinic.control.rows("roles") if row["name"] == "crm-intake"]
    held = [row for row in clinic.control.rows("roleprivilegescollection") if row["_roleid_value"] == role["roleid"]]
    assert len(held) == len(load_role(CONFIG).privilege_names())


def test_a_dry_run_says_what_it_would_make_and_makes_nothing(clinic: Clinic) -> None:
    _, take_away = AILMENTS["no column for the link"]
    mend = take_away(clinic)
    since = clinic.control.last_sequence()
    try:
        states = {one.what: one.state for one in clinic.provide(dry_run=True)}
        assert states[f"column {LINK} of contact"] is Provided.WOULD_BE_MADE
        assert asked_methods(clinic.control.requests(since)) == {"GET"}
    finally:
        mend()


def test_tables_that_are_not_as_we_need_them_are_named(clinic: Clinic, tmp_path: Path) -> None:
    options = EmulatorOptions(
        missing_columns=("contact.mobilephone",),
        untracked_tables=(CONSENT.logical_name,),
        unversioned_tables=(CONTACT.logical_name,),
        single_row_tables=("msevtmgt_event",),
        language_code=1035,
        collation="CI_AS",
    )
    policy = clinic.world.plain.policy
    with start_emulator(tmp_path, options=options) as poor:
        poor.control.seed(purpose_rows(policy))
        poor.control.seed(journey_rows(policy))
        settings = dataverse_settings(make_settings(clinic.world.directory, poor), policy)
        with closing(DataverseClient(settings)) as crm, closing(Administration(settings)) as administration:
            found = {one.check.check_id: one for one in examine(clinic.world.session(), crm, administration)}
    assert {name: str(one.verdict) for name, one in found.items() if one.verdict is not Verdict.OK} == {
        "columns": "fails",
        "change_tracking": "fails",
        "concurrency": "fails",
        "bulk": "fails",
        "privileges": "warning",
    }
    assert "mobilephone" in found["columns"].evidence
    assert "1035" in found["language"].evidence
    assert "more than needed" in found["privileges"].evidence


class TestCommands:
    """The same by the command line."""

    @pytest.fixture
    def say(self, clinic: Clinic, tmp_path: Path) -> Callable[..., Result]:
        environment = {
            **settings_environment(clinic.world.settings),
            "DATABASE_URL": clinic.world.address.uri_adbc,
            "INTAKE_ENV_FILE": str(tmp_path / "none"),
        }
        return lambda *words: CliRunner().invoke(APP, words, env=environment)

    def test_doctor_ends_with_0_in_good_health_and_with_1_where_a_check_fails(
        self, clinic: Clinic, say: Callable[..., Result]
    ) -> None:
        well = say("crm", "doctor", "--json")
        assert well.exit_code == 0, well.output
        assert {one["verdict"] for one in json.loads(well.stdout)} == {"ok"}
        mend = AILMENTS["default purpose open"][1](clinic)
        try:
            ill = say("crm", "doctor")
        finally:
            mend()
        assert ill.exit_code == 1
        assert "D3" in ill.stdout
        assert "lowerings only, because of D3" in ill.stdout

    def test_plan_warns_of_what_a_run_would_refuse(self, clinic: Clinic, say: Callable[..., Result]) -> None:
        mend = AILMENTS["default purpose open"][1](clinic)
        try:
            planned = say("plan", "--json")
        finally:
            mend()
        assert planned.exit_code == 0, planned.output
        assert [reason[:3] for reason in json.loads(planned.stdout)["refused"]] == ["D3:"]
        assert "crm doctor" in planned.stderr

    def test_provision_says_what_our_own_user_may_not_make(self, clinic: Clinic, say: Callable[..., Result]) -> None:
        mend = AILMENTS["no column for the link"][1](clinic)
        try:
            refused = say("crm", "provision", "--json")
        finally:
            mend()
        assert refused.exit_code == 1
        told = {one["what"]: one for one in json.loads(refused.stdout)}
        assert {one["state"] for one in told.values()} == {"refused"}
        assert f"column {LINK} of contact" in told
        assert "prvReadmsdynmkt_purpose" in told["role crm-intake"]["note"], (
            "it prints what an administrator is to make"
        )

"""A CRM in good health with people of ours in it, and the ways in which each check's subject can go wrong and be mended.

One environment serves all cases: a case changes it by the control API, as staff would, and puts it back.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.dataverse import DataverseClient
from connectors.dataverse.administration import Administration
from connectors.mappings import load_role
from connectors.store.address import ServerAddress
from pipelines.operations.doctor.examination import examine
from pipelines.operations.provision import Provision, provide
from pipelines.operations.workspace import dataverse_settings
from pipelines.transforms.diagnosis.findings import Diagnosis, Verdict
from sandbox import crm_seed
from sandbox.dataverse.options import CLIENT_ID, ClientOptions, EmulatorOptions
from sandbox.dataverse.server import RunningEmulator, start_emulator
from tests.invariants.acts import T0, Act, Who, answer, register
from tests.invariants.world import CONFIG, CONSENTS, OPTED_IN, OPTED_OUT, World, opened

ADMINISTRATOR = ClientOptions("5a4d0000-0000-4000-8000-0000000000c9", "administrators-secret")
LINK = "crmi_preferencelink"
PURPOSES, TOPICS, PROFILES, MAILS = (
    "msdynmkt_purposes",
    "msdynmkt_topics",
    "msdynmkt_compliancesettings4s",
    "msdynmkt_emails",
)
NON_RESTRICTIVE, DISABLED = 534120001, 534120002
STEADY, MOVING, SHARED = "steady@example.org", "moving@example.org", "shared@example.org"
Undo = Callable[[], Any]


@dataclass
class Clinic:
    """The environment, a world of ours over it, and its administrator."""

    world: World
    administrator: Administration
    administrators_client: DataverseClient
    examiner: Administration

    @property
    def control(self) -> Any:
        return self.world.emulator.control

    def examine(self) -> list[Diagnosis]:
        return examine(self.world.session(), self.world.crm, self.examiner)

    def named(self) -> set[str]:
        """The checks that are not ok."""
        return {one.check.check_id for one in self.examine() if one.verdict is not Verdict.OK}

    def provide(self, **options: Any) -> list[Provision]:
        return provide(self.world.workspace, self.administrators_client, self.administrator, **options)

    def purpose_id(self, name: str) -> str:
        return str(self.world.workspace.policy.crm.purposes[name].purpose_id)

    def run_with(self, *acts: Act) -> Any:
        self.world.perform(acts)
        return self.world.run()

    def edit(self, set_name: str, row_id: str, **values: Any) -> Undo:
        """A row edited by staff; the undo gives it back what it had."""
        before = next(row for row in self.control.rows(set_name) if row_id in row.values())
        self.control.edit(set_name, row_id, values)
        return lambda: self.control.edit(set_name, row_id, {name: before.get(name) for name in values})

    def add(self, set_name: str, *rows: dict[str, Any]) -> Undo:
        """Rows added by staff."""
        ids = self.control.seed({set_name: list(rows)}, as_user="human")[set_name]
        return lambda: [self.control.remove(set_name, row_id) for row_id in ids]

    def contact_of(self, address: str) -> str:
        rows = self.control.rows("contacts")
        return str(next(row["contactid"] for row in rows if row.get("emailaddress1") == address))

    def purpose_row_of(self, address: str) -> str:
        """The consent row of an address for marketing as a whole."""
        wanted = (address, self.purpose_id("marketing"))
        return next(
            str(row["msdynmkt_contactpointconsent4id"])
            for row in self.control.rows(CONSENTS)
            if (row["msdynmkt_contactpointvalue"], row["_msdynmkt_purposeid_value"]) == wanted
            and "_msdynmkt_topicid_value" not in row
        )

    def consent(self, address: str, value: int, **more: Any) -> dict[str, Any]:
        """A consent row for marketing that is not ours."""
        return {
            "msdynmkt_contactpointvalue": address,
            "msdynmkt_contactpointtype": 534120000,
            "msdynmkt_contactpointconsenttype": 534120000,
            "msdynmkt_value": value,
            "msdynmkt_logicalreason": 534119999,
            "msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({self.purpose_id('marketing')})",
            **more,
        }


@contextmanager
def open_clinic(directory: Path, address: ServerAddress) -> Iterator[Clinic]:
    """A clinic whose application user has the shipped role and nothing else, in good health."""
    role = load_role(CONFIG)
    user = ClientOptions(CLIENT_ID, "intakes-secret", privileges=tuple(role.privilege_names()))
    options = EmulatorOptions(clients=(user, ADMINISTRATOR), missing_columns=(f"contact.{LINK}",))
    with (
        start_emulator(_made(directory / "crm"), options=options) as emulator,
        opened(_made(directory / "world"), emulator, address) as world,
    ):
        shutil.copy(CONFIG / "crm_role.yaml", world.settings.config_dir)
        clinic = _clinic(world, emulator)
        try:
            world.reset()
            clinic.control.seed(crm_seed.journey_rows(world.plain.policy))
            yield clinic
        finally:
            clinic.administrator.close()
            clinic.administrators_client.close()
            clinic.examiner.close()


def _clinic(world: World, emulator: RunningEmulator) -> Clinic:
    settings = dataverse_settings(world.settings, world.plain.policy)
    administrators = world.settings.model_copy(
        update={
            "dataverse_client_id": ADMINISTRATOR.client_id,
            "dataverse_client_secret": type(world.settings.dataverse_client_secret)(ADMINISTRATOR.secret),
        }
    )
    theirs = dataverse_settings(administrators, world.plain.policy)
    return Clinic(world, Administration(theirs), DataverseClient(theirs), Administration(settings))


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def people() -> list[Act]:
    """Subscribers, and two people on one address of whom only one subscribed."""
    return [
        answer(1, Who(STEADY, "aino"), T0, newsletter="Yes"),
        answer(2, Who(MOVING, "maija"), T0, newsletter="Yes"),
        answer(3, Who(SHARED, "aino"), T0, newsletter="Yes", training="Yes"),
        register(4, Who(SHARED, "kalle"), T0),
    ]


def flow(*, trigger: str = "contact", writes: str = CONSENTS, operation: str = "UpdateRecord", value: object) -> str:
    """The definition of a cloud flow as Dataverse keeps it, after Microsoft's guide to such a flow."""
    parameters = {"entityName": writes, "recordId": "@items('Apply_to_each')", "item/msdynmkt_value": value}
    definition = {
        "triggers": {
            "When_a_row_is_changed": {
                "type": "OpenApiConnectionWebhook",
                "inputs": {
                    "host": {"operationId": "SubscribeWebhookTrigger"},
                    "parameters": {"subscriptionRequest/entityname": trigger, "subscriptionRequest/message": 4},
                },
            }
        },
        "actions": {
            "Apply_to_each": {
                "type": "Foreach",
                "actions": {
                    "Update_a_row": {
                        "type": "OpenApiConnection",
                        "inputs": {"host": {"operationId": operation}, "parameters": parameters},
                    }
                },
            }
        },
    }
    return json.dumps({"properties": {"definition": definition}, "schemaVersion": "1.0.0.0"})


def _flow_from_flags(clinic: Clinic) -> Undo:
    opt_in = "@if(equals(triggerBody()?['donotbulkemail'], false), 534120001, 534120002)"
    row = {"name": "Consent of contacts", "category": 5, "statecode": 1, "statuscode": 2}
    return clinic.add("workflows", {**row, "clientdata": flow(value=opt_in)})


def _foreign_provider(clinic: Clinic) -> Undo:
    [provider] = clinic.control.seed({"msdynmkt_consentproviders": [{"msdynmkt_name": "Other"}]})[
        "msdynmkt_consentproviders"
    ]
    unlink = clinic.edit(PROFILES, crm_seed.PROFILE, _msdynmkt_consentproviderid_value=provider)
    return lambda: (unlink(), clinic.control.remove("msdynmkt_consentproviders", provider))


def _without_link_column(clinic: Clinic) -> Undo:
    from tests.sandbox.conftest import connect

    path = f"EntityDefinitions(LogicalName='contact')/Attributes(LogicalName='{LINK}')"
    assert connect(clinic.world.emulator, ADMINISTRATOR).send("DELETE", path).status_code == 204
    return clinic.provide


def _topic_elsewhere(clinic: Clinic) -> Undo:
    topic = str(clinic.world.workspace.policy.crm.purposes["marketing"].topics["rdi"])
    return clinic.edit(TOPICS, topic, _msdynmkt_purposeid_value=clinic.purpose_id("related_events"))


# What goes wrong, by the check that is to name it, and no other.
AILMENTS: dict[str, tuple[str, Callable[[Clinic], Undo]]] = {
    "flags ignored": (
        "D1",
        lambda c: c.edit("msdynmkt_featureconfigurations", crm_seed.SWITCH, msdynmkt_featurestate=False),
    ),
    "a withdrawal not mirrored": (
        "D2",
        lambda c: c.edit(CONSENTS, c.purpose_row_of(STEADY), msdynmkt_value=OPTED_OUT, msdynmkt_source=534120004),
    ),
    "default purpose open": (
        "D3",
        lambda c: c.edit(PURPOSES, crm_seed.DEFAULT_PURPOSE, msdynmkt_enforcementmodel=NON_RESTRICTIVE),
    ),
    "a flow that opts in": ("D4", _flow_from_flags),
    "rows that contradict each other": (
        "D5",
        lambda c: c.add(CONSENTS, c.consent("twice@example.org", OPTED_IN), c.consent("Twice@example.org", OPTED_OUT)),
    ),
    "a deactivated opt-in": (
        "D6",
        lambda c: c.add(CONSENTS, c.consent("off@example.org", OPTED_IN, statecode=1, statuscode=2)),
    ),
    "no column for the link": ("D7", _without_link_column),
    "a shared address against one of its people": (
        "D8",
        lambda c: c.add("contacts", {"lastname": "Salo", "emailaddress1": SHARED.upper(), "donotemail": True}),
    ),
    "a matching rule by nothing": (
        "D9",
        lambda c: c.add("msdynmkt_matchingstrategies", {"msdynmkt_name": "x", "msdynmkt_targetentity": "contact"}),
    ),
    "an address edited by staff": (
        "D10",
        lambda c: c.edit("contacts", c.contact_of(MOVING), emailaddress1="moved@example.org"),
    ),
    "tracking open": (
        "D11",
        lambda c: c.edit(PURPOSES, c.purpose_id("tracking"), msdynmkt_enforcementmodel=DISABLED),
    ),
    "another consent provider": ("D12", _foreign_provider),
    "a preference centre of the CRM's own": (
        "D13",
        lambda c: c.edit(PROFILES, crm_seed.PROFILE, msdynmkt_consentlinktype=534120003),
    ),
    "a link that leads to another host": (
        "D13",
        lambda c: c.edit(
            PROFILES, crm_seed.PROFILE, msdynmkt_consentlink="https://preferences.example.org.example.net/"
        ),
    ),
    "a commercial purpose open": (
        "D14",
        lambda c: c.edit(PURPOSES, c.purpose_id("related_events"), msdynmkt_enforcementmodel=NON_RESTRICTIVE),
    ),
    "notices that are Restrictive": (
        "D14",
        lambda c: c.edit(PURPOSES, crm_seed.NOTICES, msdynmkt_enforcementmodel=534120000),
    ),
    "a topic under another purpose": ("D14", _topic_elsewhere),
    "a live mail without a topic": ("D14", lambda c: c.edit(MAILS, crm_seed.MAIL, _msdynmkt_topic_value=None)),
}


def asked_methods(requests: list[dict[str, Any]]) -> set[str]:
    """The methods of logged requests; of a `$batch` those of its operations."""
    return {part["method"] for entry in requests for part in entry.get("operations") or [entry]}

"""A CRM in good health as the doctor's rules take it, to be made ill one fact at a time."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from pipelines.transforms.diagnosis.catalogue import Facts, diagnose
from pipelines.transforms.diagnosis.environment_rules import BULK_MESSAGES
from pipelines.transforms.diagnosis.facts import DEFAULT_COMMERCIAL, Environment, People, Setup, TableFacts
from pipelines.transforms.diagnosis.findings import Diagnosis, Gap, Verdict
from pipelines.transforms.diagnosis.purpose_rules import KINDS
from schemas.crm_role import CrmRole
from schemas.policy import Policy
from schemas.tables import TABLES, Kind, Table
from tests.views import make_policy

ROLE = CrmRole(name="crm-intake", tables={"Contact": ("Read", "Write")}, tolerated=("prvReadSdkMessage",))
PAGE = "https://preferences.example.org/"
DENIED = Gap("It may not be read.")
LINK = "crmi_preferencelink"


def policy_with(**changes: Any) -> Policy:
    policy = make_policy()
    crm = policy.crm.model_copy(update={"preference_page": PAGE, "preference_link_column": LINK, **changes})
    return policy.model_copy(update={"crm": crm})


NEWS = UUID("5b6f1f0e-8a0a-4a57-9d2e-3f6f5a6f3001")


def with_list(policy: Policy) -> Policy:
    marketing = policy.crm.purposes["marketing"]
    listed = marketing.model_copy(update={"lists": {next(iter(marketing.topics)): NEWS}})
    crm = policy.crm.model_copy(update={"purposes": {**policy.crm.purposes, "marketing": listed}})
    return policy.model_copy(update={"crm": crm})


POLICY = policy_with()


def purpose(purpose_id: Any, kind: int = 534120000, model: int | None = 534120000) -> dict[str, Any]:
    return {
        "msdynmkt_purposeid": str(purpose_id),
        "msdynmkt_name": f"Purpose {purpose_id}",
        "msdynmkt_type": kind,
        "msdynmkt_enforcementmodel": model,
    }


def healthy_setup(**changes: Any) -> Setup:
    targets = POLICY.crm.purposes.values()
    rows: dict[str, Any] = {
        "purposes": [purpose(t.purpose_id, KINDS[t.kind]) for t in targets] + [purpose(DEFAULT_COMMERCIAL)],
        "topics": [
            {"msdynmkt_topicid": str(i), "_msdynmkt_purposeid_value": str(t.purpose_id)}
            for t in targets
            for i in t.topics.values()
        ],
        "profiles": [{"msdynmkt_name": "News", "msdynmkt_consentlinktype": 534120002, "msdynmkt_consentlink": PAGE}],
        "mails": [],
        "journeys": [],
        "flows": [],
        "providers": [],
        "features": [{"msdynmkt_name": "Check contact consent", "msdynmkt_featurestate": True}],
        "matching": [],
        "matched_attributes": [],
        "organisations": [{"languagecode": 1033}],
    }
    return Setup(rows | changes)


def table_facts(table: Table, **changes: Any) -> TableFacts:
    types = {
        Kind.STRING: "String",
        Kind.BOOLEAN: "Boolean",
        Kind.INTEGER: "Integer",
        Kind.CHOICE: "Picklist",
        Kind.DATETIME: "DateTime",
        Kind.BIND: "Navigation",
    }
    columns = {
        name.removesuffix("@odata.bind"): {
            "type": types[column.kind],
            "max_length": column.max_length,
            "options": list(column.options),
        }
        for name, column in table.columns.items()
    }
    return replace(TableFacts(columns, True, True, BULK_MESSAGES), **changes)


def healthy_environment(**tables: Any) -> Environment:
    held = {name.lower(): "Global" for name in [*ROLE.privilege_names(), "prvReadSdkMessage"]}
    return Environment({name: table_facts(table) for name, table in TABLES.items()} | tables, held)


def told(
    setup: Setup | None = None,
    *,
    people: People | None = None,
    environment: Environment | None = None,
    policy: Policy = POLICY,
) -> dict[str, Diagnosis]:
    """What is not ok, by check."""
    facts = Facts(setup or healthy_setup(), people or People([], []), environment or healthy_environment())
    return {d.check.check_id: d for d in diagnose(facts, policy, ROLE) if d.verdict is not Verdict.OK}


def verdicts(found: dict[str, Diagnosis]) -> dict[str, str]:
    return {name: str(one.verdict) for name, one in found.items()}

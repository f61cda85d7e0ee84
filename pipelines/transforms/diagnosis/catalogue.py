"""Every check of the doctor by its id, in the order in which they are told, and the rule of each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pipelines.transforms.diagnosis import (
    environment_rules,
    flow_rules,
    people_rules,
    purpose_rules,
    switch_rules,
)
from pipelines.transforms.diagnosis.facts import SOURCES, Environment, Gap, People, Setup
from pipelines.transforms.diagnosis.findings import Check, Diagnosis, Finding, Known
from schemas.crm_role import CrmRole
from schemas.policy import Policy
from schemas.tables import CONSENT, CONTACT

_LEARN = "https://learn.microsoft.com/"
_JOURNEYS = f"{_LEARN}dynamics365/customer-insights/journeys/"
_DATAVERSE = f"{_LEARN}power-apps/developer/data-platform/"
_CONSENT = f"{_JOURNEYS}real-time-marketing-email-text-consent"
_PROFILES = f"{_JOURNEYS}real-time-marketing-compliance-settings"
_ROLE = "Give the application user the role of config/crm_role.yaml and no other (`crm-intake crm provision`)."

CHECKS: tuple[Check, ...] = (
    Check(
        "D1",
        "Journeys looks at a contact's flags",
        "Switch on `Check contact consent for real-time journeys`, or see to it that nobody keeps a no in the flags only.",
        f"{_CONSENT}#disable-contact-level-consent-checks",
    ),
    Check(
        "D2",
        "Withdrawals of the preference centre reach the contact's flags",
        "Run `crm-intake run`: it reads the withdrawals back and lowers the flags.",
        f"{_CONSENT}#preference-page-and-preference-center",
    ),
    Check(
        "D3",
        "The default commercial purpose is Restrictive",
        "Set the enforcement model of the default commercial purpose to Restrictive.",
        f"{_PROFILES}#consent-enforcement",
        protects=True,
    ),
    Check(
        "D4",
        "No flow makes opt-ins of a contact's flags",
        "Switch the flow off, or let it write Opted Out only.",
        f"{_JOURNEYS}consent-record-creation",
        protects=True,
    ),
    Check(
        "D5",
        "One consent row for an address, purpose and topic",
        "Set all rows of the address to Opted Out, or keep the one that its last act made and delete the others.",
        f"{_JOURNEYS}consent-record-creation#building-the-cloud-flow",
    ),
    Check(
        "D6",
        "No deactivated consent row is Opted In",
        "Set the value of these rows to Opted Out; deactivating them changes nothing.",
        f"{_PROFILES}#preference-centers",
    ),
    Check(
        "D7",
        "A link of ours that does not expire has its column",
        "Run `crm-intake crm provision`, and put the column into every mail as its unsubscribe link.",
        f"{_JOURNEYS}real-time-marketing-preference-centers",
    ),
    Check(
        "D8",
        "A shared address is Opted In only if all its contacts allow it",
        "Set the rows of these addresses to Opted Out until each of their people has agreed.",
        f"{_JOURNEYS}real-time-marketing-migrate-consent",
    ),
    Check(
        "D9",
        "Matching rules tell people of one address apart",
        "Add first and last name to the rule, so that a form is not written to whoever was edited last.",
        f"{_JOURNEYS}real-time-marketing-matching-rules",
    ),
    Check(
        "D10",
        "Contacts of ours keep the address that their consent is for",
        "Run `crm-intake run`; a withdrawal moves with the person, a grant has to be given anew.",
        f"{_PROFILES}#contact-point-consent",
    ),
    Check(
        "D11",
        "Tracking is off unless a row says otherwise",
        "Set the tracking purpose to Restrictive, and let every profile use the policy's.",
        f"{_CONSENT}#disable-contact-level-consent-checks",
        protects=True,
    ),
    Check(
        "D12",
        "The consent rows decide, not another consent provider",
        "Take the provider out of the profile, or name it as crm.consent_provider_id in the policy.",
        f"{_JOURNEYS}extend-consent",
        protects=True,
    ),
    Check(
        "D13",
        "Every compliance profile leads to our preference page",
        "Set the profile's consent link to External link with the address of the policy's crm.preference_page.",
        f"{_PROFILES}#compliance-profiles",
        protects=True,
    ),
    Check(
        "D14",
        "Every purpose, mail and journey has its topic, and every purpose its enforcement model",
        "Make commercial purposes Restrictive and those of notices Non-restrictive; give purposes and mails their topics.",
        f"{_PROFILES}#consent-enforcement",
        protects=True,
    ),
    Check(
        "purposes",
        "The purposes of the policy are there",
        "Make them in the CRM under these ids (`crm-intake crm provision` with crm.provision_purposes), or mend the ids.",
        f"{_PROFILES}#purposes",
        protects=True,
    ),
    Check(
        "lists",
        "The marketing lists of the policy are static lists of contacts",
        "Make them under these ids (`crm-intake crm provision` with crm.provision_purposes), or mend crm.purposes.NAME.lists.",
        f"{_LEARN}dynamics365/customer-engagement/web-api/addlistmemberslist",
    ),
    Check(
        "tables",
        "The tables that we write are there",
        f"Install Customer Insights - Journeys with its event management. {_ROLE}",
        f"{_DATAVERSE}webapi/query-metadata-web-api",
    ),
    Check(
        "columns",
        "Columns have the types, lengths and options that we write",
        "Widen the columns that are named, or give them back the type and options that the CRM ships them with.",
        f"{_DATAVERSE}webapi/query-metadata-web-api",
    ),
    Check(
        "privileges",
        "The application user has the privileges of its role and no more",
        _ROLE,
        f"{_LEARN}power-platform/admin/security-roles-privileges",
    ),
    Check(
        "change_tracking",
        "Change tracking is on",
        "Switch on `Track changes` of the table.",
        f"{_DATAVERSE}use-change-tracking-synchronize-data-external-systems",
    ),
    Check(
        "concurrency",
        "Optimistic concurrency is on",
        "Enable optimistic concurrency of the table.",
        f"{_DATAVERSE}webapi/perform-conditional-operations-using-web-api",
    ),
    Check(
        "bulk",
        "Bulk messages are available",
        "Let the environment be updated; a table without them cannot take our rows in bulk.",
        f"{_DATAVERSE}bulk-operations",
    ),
    Check(
        "language",
        "The base language is the one expected",
        "It is fixed at the making of an environment: mend crm.base_language in the policy.",
        f"{_LEARN}power-platform/admin/language-collations",
    ),
)
BY_ID = {check.check_id: check for check in CHECKS}


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a whole examination reads."""

    setup: Setup
    people: People
    environment: Environment


SetupRule = Callable[[Setup, Policy], list[Finding]]
PeopleRule = Callable[[People, Policy], list[Finding]]

# The checks that a run asks before it raises anything, from a handful of reads.
PROTECTING: dict[str, SetupRule] = {
    "D3": purpose_rules.default_purpose,
    "D4": flow_rules.flows_from_flags,
    "D11": purpose_rules.tracking,
    "D12": purpose_rules.consent_provider,
    "D13": purpose_rules.consent_link,
    "D14": purpose_rules.topics_and_models,
    "purposes": purpose_rules.purposes_of_the_policy,
}
_SETUP: dict[str, SetupRule] = {
    "D1": switch_rules.contact_flags,
    "D9": switch_rules.matching_rules,
    "lists": purpose_rules.marketing_lists,
    "language": environment_rules.language_known,
    **PROTECTING,
}
_PEOPLE: dict[str, PeopleRule] = {
    "D2": people_rules.mirrored_withdrawals,
    "D5": people_rules.duplicate_rows,
    "D6": people_rules.deactivated_rows,
    "D8": people_rules.shared_addresses,
    "D10": people_rules.moved_addresses,
}


def diagnose(facts: Facts, policy: Policy, role: CrmRole) -> list[Diagnosis]:
    """Every check of an environment, in the catalogue's order. What we see a part of only counts as not read."""
    environment = facts.environment
    contact = environment.tables.get(CONTACT.logical_name, Gap("The contact table was not read."))
    setup, people = _whole_setup(facts.setup, environment), _whole_people(facts.people, environment)
    found = {name: rule(setup, policy) for name, rule in _SETUP.items()}
    found |= {name: rule(people, policy) for name, rule in _PEOPLE.items()}
    found |= {
        "D7": switch_rules.lasting_link(contact, policy),
        "tables": environment_rules.tables_there(environment),
        "columns": environment_rules.columns_fit(environment, policy),
        "privileges": environment_rules.privileges_least(environment, role),
        "change_tracking": environment_rules.changes_tracked(environment),
        "concurrency": environment_rules.concurrency_checked(environment),
        "bulk": environment_rules.bulk_available(environment),
    }
    return [Diagnosis(check, tuple(found[check.check_id])) for check in CHECKS]


def _whole_setup(setup: Setup, environment: Environment) -> Setup:
    return Setup({name: _whole(setup.of(name), source.logical_name, environment) for name, source in SOURCES.items()})


def _whole_people(people: People, environment: Environment) -> People:
    contacts = _whole(people.contacts, CONTACT.logical_name, environment)
    return replace(people, contacts=contacts, consents=_whole(people.consents, CONSENT.logical_name, environment))


def _whole(known: Known, logical_name: str, environment: Environment) -> Known:
    if environment.sees_all(logical_name):
        return known
    return Gap(f"Of {logical_name} we may read a part of the organisation's rows only.")


def endangering(setup: Setup, policy: Policy) -> list[Diagnosis]:
    """The checks by which a run may not raise anything now."""
    diagnoses = (Diagnosis(BY_ID[name], tuple(rule(setup, policy))) for name, rule in PROTECTING.items())
    return [diagnosis for diagnosis in diagnoses if diagnosis.holds_back]


def refusals(diagnoses: Iterable[Diagnosis]) -> tuple[str, ...]:
    """A sentence for each check that holds a run back: its id, what was found, how to mend it."""
    return tuple(
        f"{one.check.check_id}: "
        + " ".join(finding.evidence for finding in one.findings if finding.holds_back)
        + f" Remedy: {one.check.remedy}"
        for one in diagnoses
    )

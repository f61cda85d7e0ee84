"""What the doctor reads of an environment: which tables and columns, and the facts that the rules are given.

Columns as in Microsoft's table reference. [U] marks those that no public page names: where an environment has them
otherwise, what rests on them is unknown, not wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from pipelines.transforms.diagnosis.findings import Gap, Known

NOT_READ = Gap("It was not read.")

# msdynmkt_type and msdynmkt_enforcementmodel of a purpose.
COMMERCIAL, TRANSACTIONAL, TRACKING = 534120000, 534120001, 534120002
RESTRICTIVE = 534120000
# msdynmkt_consentlinktype of a compliance profile.
EXTERNAL_LINK = 534120002
# The commercial purpose that every environment is given.
DEFAULT_COMMERCIAL = UUID("10000000-0000-0000-0000-000000000003")
# statuscode of a mail: ready to send, and being edited since.
LIVE_MAIL = frozenset({2, 3})
# createdfromcode of a list of contacts.
CONTACTS = 2
# category of a workflow: a cloud flow.
CLOUD_FLOW = 5


@dataclass(frozen=True, slots=True)
class Source:
    """A set of rows to read: entity set, logical name, primary key, columns, and an OData filter or none."""

    entity_set: str
    logical_name: str
    primary_key: str
    columns: tuple[str, ...]
    condition: str | None = None


SOURCES: dict[str, Source] = {
    "purposes": Source(
        "msdynmkt_purposes",
        "msdynmkt_purpose",
        "msdynmkt_purposeid",
        ("msdynmkt_name", "msdynmkt_type", "msdynmkt_enforcementmodel"),
    ),
    "topics": Source(
        "msdynmkt_topics", "msdynmkt_topic", "msdynmkt_topicid", ("msdynmkt_name", "_msdynmkt_purposeid_value")
    ),
    "profiles": Source(
        "msdynmkt_compliancesettings4s",
        "msdynmkt_compliancesettings4",
        "msdynmkt_compliancesettings4id",
        (
            "msdynmkt_name",
            "msdynmkt_consentlinktype",
            "msdynmkt_consentlink",
            "_msdynmkt_consentproviderid_value",
            "_msdynmkt_trackingconsentpurpose_value",
        ),
    ),
    "mails": Source(
        "msdynmkt_emails",
        "msdynmkt_email",
        "msdynmkt_emailid",
        ("statuscode", "_msdynmkt_purpose_value", "_msdynmkt_topic_value"),
        "statuscode eq 2 or statuscode eq 3",
    ),
    # Live or being published. What a journey does is JSON of no published schema: an action of type Email names its
    # mail as contentId.
    "journeys": Source(
        "msdynmkt_journeys",
        "msdynmkt_journey",
        "msdynmkt_journeyid",
        ("msdynmkt_journeyjson",),
        "statecode eq 1 or statecode eq 3",
    ),
    "flows": Source(
        "workflows",
        "workflow",
        "workflowid",
        ("clientdata", "category", "statecode"),
        f"category eq {CLOUD_FLOW} and statecode eq 1",
    ),
    "providers": Source(
        "msdynmkt_consentproviders", "msdynmkt_consentprovider", "msdynmkt_consentproviderid", ("msdynmkt_name",)
    ),
    # [U] which row is the switch "Check contact consent for real-time journeys", and how it says on.
    "features": Source(
        "msdynmkt_featureconfigurations",
        "msdynmkt_featureconfiguration",
        "msdynmkt_featureconfigurationid",
        ("msdynmkt_name", "msdynmkt_uniquename", "msdynmkt_featurestate"),
    ),
    "matching": Source(
        "msdynmkt_matchingstrategies",
        "msdynmkt_matchingstrategy",
        "msdynmkt_matchingstrategyid",
        ("msdynmkt_targetentity", "statecode"),
        "statecode eq 0",
    ),
    # [U] the name of the lookup to the strategy.
    "matched_attributes": Source(
        "msdynmkt_matchingstrategyattributes",
        "msdynmkt_matchingstrategyattribute",
        "msdynmkt_matchingstrategyattributeid",
        ("_msdynmkt_matchingstrategyid_value",),
    ),
    "lists": Source("lists", "list", "listid", ("listname", "createdfromcode", "type")),
    "organisations": Source("organizations", "organization", "organizationid", ("languagecode",)),
}

# What a run reads before it raises anything.
PROTECTING_SOURCES = ("purposes", "topics", "profiles", "mails", "flows")


@dataclass(frozen=True, slots=True)
class Setup:
    """How the environment is set up: rows by the name of their source, a gap for what was not or could not be read."""

    read: Mapping[str, Known]

    def of(self, name: str) -> Known:
        """The rows of a source."""
        return self.read.get(name, NOT_READ)


@dataclass(frozen=True, slots=True)
class People:
    """Contacts and consent rows as the CRM has them, and by id of the contact what it acknowledged from us of it."""

    contacts: Known = NOT_READ
    consents: Known = NOT_READ
    acknowledged: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table as the environment defines it; `columns` as in connectors.dataverse.TableDefinition."""

    columns: Mapping[str, Mapping[str, object]]
    is_change_tracked: bool
    has_optimistic_concurrency: bool
    messages: frozenset[str] | Gap


@dataclass(frozen=True, slots=True)
class Environment:
    """Tables of ours by logical name, and the privileges of each application user: name in lower case to depth.

    `privileges` are those of the first, with whom the doctor reads.
    """

    tables: Mapping[str, TableFacts | Gap]
    privileges: Mapping[str, str] | Gap
    privileges_of_others: Sequence[Mapping[str, str] | Gap] = ()

    def sees_all(self, logical_name: str) -> bool:
        """Whether we read all rows of a table: who may read a part only gets that part, and no error."""
        if isinstance(self.privileges, Gap):
            return True
        return self.privileges.get(f"prvread{logical_name}", "Global") == "Global"

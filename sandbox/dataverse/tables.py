"""The tables of people and what surrounds them, and the one list of all tables."""

from __future__ import annotations

from .columns import Column, States, Table, choice, day, flag, lookup, memo, moment, numbered, read_only, table, text
from .columns import whole as whole_number
from .consent_tables import CONSENT_TABLES
from .event_tables import EVENT_TABLES
from .job_tables import JOB_TABLES
from .journey_tables import JOURNEY_TABLES
from .security_tables import SECURITY_TABLES
from .system_tables import SYSTEM_TABLES

CONTACT_METHODS = {1: "Any", 2: "Email", 3: "Phone", 4: "Fax", 5: "Mail"}
FAMILY_STATUS = {1: "Single", 2: "Married", 3: "Divorced", 4: "Widowed"}
GDPR_CONSENT = numbered(587030001, "Consent", "Transactional", "Subscriptions", "Marketing", "Profiling")
TASK_STATES: States = {
    0: ("Open", {2: "Not Started", 3: "In Progress", 4: "Waiting on someone else", 7: "Deferred"}),
    1: ("Completed", {5: "Completed"}),
    2: ("Canceled", {6: "Canceled"}),
}
CASE_STATES: States = {
    0: ("Active", {1: "In Progress", 2: "On Hold", 3: "Waiting for Details", 4: "Researching"}),
    1: ("Resolved", {5: "Problem Solved", 1000: "Information Provided"}),
    2: ("Cancelled", {6: "Cancelled", 2000: "Merged"}),
}
LEAD_STATES: States = {
    0: ("Open", {1: "New", 2: "Contacted"}),
    1: ("Qualified", {3: "Qualified"}),
    2: ("Disqualified", {4: "Lost", 5: "Cannot Contact", 6: "No Longer Interested", 7: "Canceled"}),
}


def _channels() -> list[Column]:
    """The do-not-contact flags (true = not allowed) and ways to reach a person, shared by contact, account and lead."""
    refusals = ("donotemail", "donotbulkemail", "donotphone", "donotfax", "donotpostalmail", "donotbulkpostalmail")
    return [
        *(flag(name) for name in (*refusals, "donotsendmm")),
        flag("followemail", default=True),
        *(text(name, 100) for name in ("emailaddress1", "emailaddress2", "emailaddress3")),
        *(text(name, 50) for name in ("telephone1", "telephone2", "telephone3", "fax")),
        choice("preferredcontactmethodcode", CONTACT_METHODS, default=1),
        memo("description"),
    ]


def _address() -> list[Column]:
    return [
        *(text(f"address1_line{number}", 250) for number in (1, 2, 3)),
        text("address1_city", 80),
        text("address1_stateorprovince", 50),
        text("address1_country", 80),
        text("address1_county", 50),
        text("address1_postalcode", 20),
    ]


CONTACT = table(
    "contact",
    "contacts",
    "fullname",
    *(text(name, 50) for name in ("firstname", "middlename", "lastname")),
    read_only(text("fullname", 160)),
    text("jobtitle", 100),
    text("mobilephone", 50),
    text("externaluseridentifier", 50),
    text("crmi_preferencelink", 500, schema_name="crmi_PreferenceLink"),
    day("birthdate"),
    choice("gendercode", {1: "Male", 2: "Female"}),
    choice("familystatuscode", FAMILY_STATUS),
    lookup("parentcustomerid", ("parentcustomerid_account", "account"), ("parentcustomerid_contact", "contact")),
    flag("msdyn_gdproptout"),
    flag("msdyn_disablewebtracking"),
    flag("msdyn_isminor"),
    flag("msdyn_isminorwithparentalconsent"),
    moment("msdyn_portaltermsagreementdate"),
    choice("msgdpr_gdprconsent", GDPR_CONSENT),
    flag("msgdpr_donottrack"),
    flag("msgdpr_gdprischild"),
    *_channels(),
    *_address(),
    read_only(flag("merged")),
    read_only(lookup("masterid", ("masterid", "contact"))),
    mergeable=True,
    schema_name="Contact",
    type_code=2,
)

ACCOUNT = table(
    "account",
    "accounts",
    "name",
    text("name", 160),
    *_channels(),
    *_address(),
    mergeable=True,
    schema_name="Account",
    type_code=1,
)

LEAD = table(
    "lead",
    "leads",
    "fullname",
    *(text(name, 50) for name in ("firstname", "lastname")),
    read_only(text("fullname", 160)),
    text("subject", 300),
    text("companyname", 100),
    *_channels(),
    lookup("parentcontactid", ("parentcontactid", "contact")),
    states=LEAD_STATES,
    mergeable=True,
    schema_name="Lead",
    type_code=4,
)

INCIDENT = table(
    "incident",
    "incidents",
    "title",
    text("title", 200),
    memo("description"),
    text("ticketnumber", 100),
    lookup("customerid", ("customerid_account", "account"), ("customerid_contact", "contact"), on_delete="cascade"),
    lookup("primarycontactid", ("primarycontactid", "contact")),
    states=CASE_STATES,
    mergeable=True,
    schema_name="Incident",
    type_code=112,
)

TASK = table(
    "task",
    "tasks",
    "subject",
    text("subject", 200),
    memo("description"),
    moment("scheduledend"),
    choice("prioritycode", {0: "Low", 1: "Normal", 2: "High"}, default=1),
    lookup(
        "regardingobjectid",
        ("regardingobjectid_contact_task", "contact"),
        ("regardingobjectid_account_task", "account"),
        ("regardingobjectid_incident_task", "incident"),
        ("regardingobjectid_lead_task", "lead"),
        ("regardingobjectid_msevtmgt_event_task", "msevtmgt_event"),
        on_delete="cascade",
    ),
    primary_id="activityid",
    states=TASK_STATES,
    starts_in_default_state=True,
    privilege_noun="Activity",
    schema_name="Task",
    type_code=4212,
)

LIST = table(
    "list",
    "lists",
    "listname",
    text("listname", 128),
    choice("createdfromcode", {1: "Account", 2: "Contact", 4: "Lead"}),
    flag("type"),
    read_only(whole_number("membercount")),
    schema_name="List",
    type_code=4300,
)

LIST_MEMBER = table(
    "listmember",
    "listmembers",
    "listmemberid",
    lookup("listid", ("listid", "list"), on_delete="cascade"),
    lookup(
        "entityid",
        ("entityid_contact", "contact"),
        ("entityid_account", "account"),
        ("entityid_lead", "lead"),
        on_delete="cascade",
    ),
    bulk=False,
    part_of="list",
    schema_name="ListMember",
    type_code=4301,
)

KEY_DEFINITION = table("entitykey", "entitykeys", "logicalname", internal=True)
COLUMN_DEFINITION = table("attribute", "attributes", "logicalname", internal=True)
TABLE_DEFINITION = table("entity", "entities", "logicalname", internal=True)
OPTION_SET_DEFINITION = table("optionset", "optionsets", "name", internal=True)
TRACKING_DEFINITION = table("entitytracking", "entitytrackings", "logicalname", internal=True)

TABLES: tuple[Table, ...] = (
    TABLE_DEFINITION,
    CONTACT,
    *CONSENT_TABLES,
    *EVENT_TABLES,
    *JOURNEY_TABLES,
    ACCOUNT,
    LEAD,
    INCIDENT,
    TASK,
    LIST,
    LIST_MEMBER,
    *SYSTEM_TABLES,
    *SECURITY_TABLES,
    *JOB_TABLES,
    KEY_DEFINITION,
    COLUMN_DEFINITION,
    OPTION_SET_DEFINITION,
    TRACKING_DEFINITION,
)

"""Destination tables of the CRM: entity sets, primary keys, and the columns we may write, with types and lengths.

Source: Microsoft's table reference for contact, Customer Insights - Journeys consent and event tables. Nothing that is
not listed here is ever sent; `connectors.dataverse.validation` checks each row against it before the first call.
"""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """How a column is written on the wire."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    CHOICE = "choice"
    DATETIME = "datetime"
    BIND = "bind"


@dataclass(frozen=True, slots=True)
class Column:
    """One writable column; `options` are the allowed numbers of a choice.

    `read_as` is its name when read back, `binds_to` the entity set of the rows that a bind may name.
    """

    kind: Kind
    max_length: int | None = None
    options: tuple[int, ...] = ()
    read_as: str | None = None
    binds_to: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A destination table: logical name, entity set (URL segment) and primary key column."""

    logical_name: str
    entity_set: str
    primary_key: str
    columns: dict[str, Column] = field(default_factory=dict)


class ConsentValue(IntEnum):
    """msdynmkt_value of a consent row."""

    NOT_SET = 534120000
    OPTED_IN = 534120001
    OPTED_OUT = 534120002


class ConsentRowType(IntEnum):
    """msdynmkt_contactpointconsenttype: whether the row speaks of a purpose or of a topic under it."""

    PURPOSE = 534120000
    TOPIC = 534120001


EMAIL_CONTACT_POINT = 534120000
SOURCE_LOADED = 534120003
NO_REASON = 534119999
MARKER = "crm-intake"

CONTACT = Table(
    "contact",
    "contacts",
    "contactid",
    {
        "firstname": Column(Kind.STRING, 50),
        "lastname": Column(Kind.STRING, 50),
        "emailaddress1": Column(Kind.STRING, 100),
        "mobilephone": Column(Kind.STRING, 50),
        "donotbulkemail": Column(Kind.BOOLEAN),
        "followemail": Column(Kind.BOOLEAN),
        "crmi_preferencelink": Column(Kind.STRING, 500),
    },
)

CONSENT = Table(
    "msdynmkt_contactpointconsent4",
    "msdynmkt_contactpointconsent4s",
    "msdynmkt_contactpointconsent4id",
    {
        "msdynmkt_contactpointvalue": Column(Kind.STRING, 400),
        "msdynmkt_contactpointtype": Column(Kind.CHOICE, options=tuple(534120000 + n for n in range(4))),
        "msdynmkt_contactpointconsenttype": Column(Kind.CHOICE, options=tuple(ConsentRowType)),
        "msdynmkt_value": Column(Kind.CHOICE, options=tuple(ConsentValue)),
        "msdynmkt_purposeId@odata.bind": Column(
            Kind.BIND, read_as="_msdynmkt_purposeid_value", binds_to="msdynmkt_purposes"
        ),
        "msdynmkt_topicId@odata.bind": Column(Kind.BIND, read_as="_msdynmkt_topicid_value", binds_to="msdynmkt_topics"),
        "msdynmkt_source": Column(Kind.CHOICE, options=tuple(534120000 + n for n in (0, 1, 2, 3, 4, 5, 6, 7))),
        "msdynmkt_logicalreason": Column(Kind.CHOICE, options=(534119999, *range(534120000, 534120008))),
        "msdynmkt_reason": Column(Kind.STRING, 500),
    },
)

EVENT = Table(
    "msevtmgt_event",
    "msevtmgt_events",
    "msevtmgt_eventid",
    {
        "msevtmgt_name": Column(Kind.STRING, 100),
        "msevtmgt_eventstartdate": Column(Kind.DATETIME),
        "msevtmgt_eventenddate": Column(Kind.DATETIME),
        "msevtmgt_eventtype": Column(Kind.CHOICE, options=tuple(range(100000001, 100000006))),
    },
)

REGISTRATION = Table(
    "msevtmgt_eventregistration",
    "msevtmgt_eventregistrations",
    "msevtmgt_eventregistrationid",
    {
        "msevtmgt_ContactId@odata.bind": Column(Kind.BIND, read_as="_msevtmgt_contactid_value", binds_to="contacts"),
        "msevtmgt_EventId@odata.bind": Column(Kind.BIND, read_as="_msevtmgt_eventid_value", binds_to="msevtmgt_events"),
        "msevtmgt_iscanceled": Column(Kind.BOOLEAN),
        "msevtmgt_registrationstatus": Column(Kind.STRING, 100),
        "msevtmgt_originaltimestamp": Column(Kind.DATETIME),
    },
)

# A membership of a static marketing list. Its own key is the CRM's affair: it is addressed by list and contact.
LIST_MEMBER = Table(
    "listmember",
    "listmembers",
    "listmemberid",
    {
        "listid@odata.bind": Column(Kind.BIND, read_as="_listid_value", binds_to="lists"),
        "entityid_contact@odata.bind": Column(Kind.BIND, read_as="_entityid_value", binds_to="contacts"),
    },
)

# Where a consent row's value came from: written with a value, never compared or corrected for its own sake.
PROVENANCE = frozenset({"msdynmkt_source", "msdynmkt_logicalreason", "msdynmkt_reason"})

TABLES: dict[str, Table] = {table.logical_name: table for table in (CONTACT, CONSENT, EVENT, REGISTRATION)}
# Written by the CRM's own actions, and only where the policy names lists.
ALL_TABLES: dict[str, Table] = {**TABLES, LIST_MEMBER.logical_name: LIST_MEMBER}

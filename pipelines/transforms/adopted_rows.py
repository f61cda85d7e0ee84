"""Rows that the CRM had by itself: what we keep of them, what they say, and what they are to show. Pure.

Of a contact that is nobody's of ours only its address and its flags are kept, so that it can be lowered.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pandas as pd

from pipelines.transforms.adoption import CrmContact
from pipelines.transforms.crm_changes import LINK
from pipelines.transforms.emails import normalise_emails
from schemas.policy import Policy
from schemas.tables import CONSENT, CONTACT, EMAIL_CONTACT_POINT, ConsentValue

FLAG = "donotbulkemail"
CONSENT_ID = "msdynmkt_contactpointconsent4id"
CONSENT_COLUMNS = (
    CONSENT_ID,
    "msdynmkt_contactpointvalue",
    "msdynmkt_contactpointtype",
    "msdynmkt_contactpointconsenttype",
    "msdynmkt_value",
    "msdynmkt_source",
    "msdynmkt_logicalreason",
    "msdynmkt_reason",
    "_msdynmkt_purposeid_value",
    "_msdynmkt_topicid_value",
    "modifiedon",
)
_KEPT_OF_STRANGER = ("emailaddress1", FLAG)
_KEPT_OF_CONTACT = ("firstname", "lastname", "mobilephone", "followemail", LINK, *_KEPT_OF_STRANGER)
_BINDS = {
    "_msdynmkt_purposeid_value": ("msdynmkt_purposeId@odata.bind", "msdynmkt_purposes"),
    "_msdynmkt_topicid_value": ("msdynmkt_topicId@odata.bind", "msdynmkt_topics"),
}


@dataclass(frozen=True, slots=True)
class CrmConsent:
    """A consent row for an e-mail address, of a purpose of ours (`topic` '' = the purpose itself), as the CRM has it."""

    row_id: UUID
    key: str
    purpose: str
    topic: str
    value: int
    row: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class OptIn:
    """Something in the CRM that lets mail go, and for which the ledger has no evidence."""

    table: str
    row_id: UUID
    address: str
    purpose: str


def read_consents(rows: Iterable[Mapping[str, Any]], policy: Policy) -> list[CrmConsent]:
    """The consent rows that speak of a readable e-mail address and of a purpose and topic of the policy."""
    emails = [row for row in rows if row.get("msdynmkt_contactpointtype") == EMAIL_CONTACT_POINT]
    values = pd.Series([row.get("msdynmkt_contactpointvalue") for row in emails], dtype="str")
    keys = normalise_emails(values)["key"] if emails else values
    names = _names(policy)
    found = []
    for row, key in zip(emails, keys, strict=True):
        named = names.get((_id(row, "_msdynmkt_purposeid_value"), _id(row, "_msdynmkt_topicid_value")))
        if named is not None and not pd.isna(key):
            found.append(CrmConsent(UUID(str(row[CONSENT_ID])), str(key), *named, int(row["msdynmkt_value"]), row))
    return found


def purposes_by_bind(policy: Policy) -> dict[tuple[Any, Any], tuple[str, str]]:
    """(purpose, topic) by the two binds that name them in a consent row as written."""
    bound: dict[tuple[Any, Any], tuple[str, str]] = {}
    for (purpose_id, topic_id), named in _names(policy).items():
        topic = None if topic_id is None else f"/msdynmkt_topics({topic_id})"
        bound[f"/msdynmkt_purposes({purpose_id})", topic] = named
    return bound


def _names(policy: Policy) -> dict[tuple[str | None, str | None], tuple[str, str]]:
    named: dict[tuple[str | None, str | None], tuple[str, str]] = {}
    for name, target in policy.crm.purposes.items():
        named[str(target.purpose_id), None] = name, ""
        named.update({(str(target.purpose_id), str(i)): (name, topic) for topic, i in target.topics.items()})
    return named


def _id(row: Mapping[str, Any], column: str) -> str | None:
    value = row.get(column)
    return str(value).lower() if value else None


def contact_columns(contact: CrmContact, *, is_linked: bool) -> dict[str, Any]:
    """What is kept of a contact, as the CRM has it; nulls are left out."""
    names = _KEPT_OF_CONTACT if is_linked else _KEPT_OF_STRANGER
    return {name: contact.row[name] for name in names if contact.row.get(name) is not None}


def consent_columns(consent: CrmConsent) -> dict[str, Any]:
    """A consent row as we would have written it, with the values that the CRM has; nulls are left out."""
    kept = {name: consent.row[name] for name in CONSENT.columns if consent.row.get(name) is not None}
    for read, (written, entity_set) in _BINDS.items():
        if (bound := _id(consent.row, read)) is not None:
            kept[written] = f"/{entity_set}({bound})"
    return kept


def opt_ins_without_evidence(
    contacts: Sequence[CrmContact], consents: Sequence[CrmConsent], evidenced: Collection[tuple[str, str]]
) -> list[OptIn]:
    """The open flags and Opted In rows of addresses whose (canonical key, purpose) the ledger knows nothing of."""
    flags = [
        OptIn(CONTACT.logical_name, c.row_id, c.row["emailaddress1"], "marketing")
        for c in contacts
        if c.key is not None and not c.row.get(FLAG) and (c.key, "marketing") not in evidenced
    ]
    rows = [
        OptIn(CONSENT.logical_name, c.row_id, c.row["msdynmkt_contactpointvalue"], c.purpose)
        for c in consents
        if c.value == ConsentValue.OPTED_IN and (c.key, c.purpose) not in evidenced
    ]
    return flags + rows

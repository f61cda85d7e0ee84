"""Withdrawals made in the CRM: which of its rows say no where we last said yes or nothing. Pure.

A value equal to what the CRM acknowledged from us is no event; a changed one is dated `modifiedon`. Consent rows whose
source is a page, form, centre, text message or list-unsubscribe are by the subject; all else is by staff, and only
restricts. `donotemail` withdraws marketing and related_events, since it would otherwise say more than we may write.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.consent import Actor
from schemas.policy import Policy
from schemas.tables import CONSENT, CONTACT, ConsentValue

CONTACT_COLUMNS = ("contactid", "emailaddress1", "donotbulkemail", "donotemail", "modifiedon")
CONSENT_COLUMNS = (
    "msdynmkt_contactpointconsent4id",
    "msdynmkt_contactpointvalue",
    "msdynmkt_value",
    "msdynmkt_source",
    "_msdynmkt_purposeid_value",
    "_msdynmkt_topicid_value",
    "modifiedon",
)
# msdynmkt_source: preference page, text message, preference centre, real-time form, subscription centre, one-click.
BY_SUBJECT = frozenset(534120000 + n for n in (1, 2, 4, 5, 6, 7))

Known = Mapping[tuple[str, UUID], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CrmWithdrawal:
    """One purpose (topic None: all of it) that a CRM row withdraws for an address."""

    table: str
    row_id: UUID
    address: str
    purpose: str
    topic: str | None
    actor: Actor
    modified_at: datetime
    column: str
    value: Any
    reason: str = "crm"


def contact_withdrawals(rows: Iterable[Mapping[str, Any]], known: Known) -> list[CrmWithdrawal]:
    """Contacts whose flags forbid what we had not forbidden there ourselves."""
    found = []
    for row in rows:
        row_id = UUID(str(row["contactid"]))
        before = known.get((CONTACT.logical_name, row_id), {})
        if not row.get("emailaddress1"):
            continue
        for column, purposes in (("donotbulkemail", ["marketing"]), ("donotemail", ["marketing", "related_events"])):
            if row.get(column) is True and before.get(column) is not True:
                found += [_of_contact(row, row_id, purpose, column) for purpose in purposes]
    return found


def _of_contact(row: Mapping[str, Any], row_id: UUID, purpose: str, column: str) -> CrmWithdrawal:
    return CrmWithdrawal(
        CONTACT.logical_name,
        row_id,
        row["emailaddress1"],
        purpose,
        None,
        Actor.STAFF,
        _instant(row["modifiedon"]),
        column,
        True,
    )


def consent_withdrawals(rows: Iterable[Mapping[str, Any]], known: Known, policy: Policy) -> list[CrmWithdrawal]:
    """Consent rows that are Opted Out and were not so when the CRM last acknowledged them to us."""
    purposes = {str(target.purpose_id): name for name, target in policy.crm.purposes.items()}
    topics = {str(i): topic for target in policy.crm.purposes.values() for topic, i in target.topics.items()}
    found = []
    for row in rows:
        row_id = UUID(str(row["msdynmkt_contactpointconsent4id"]))
        before = known.get((CONSENT.logical_name, row_id), {}).get("msdynmkt_value")
        purpose = purposes.get(str(row.get("_msdynmkt_purposeid_value")))
        topic_id = row.get("_msdynmkt_topicid_value")
        lowered = row["msdynmkt_value"] == ConsentValue.OPTED_OUT and before != ConsentValue.OPTED_OUT
        if not lowered or purpose in (None, "tracking") or (topic_id and str(topic_id) not in topics):
            continue
        found.append(
            CrmWithdrawal(
                CONSENT.logical_name,
                row_id,
                row["msdynmkt_contactpointvalue"],
                str(purpose),
                topics[str(topic_id)] if topic_id else None,
                Actor.SUBJECT if row.get("msdynmkt_source") in BY_SUBJECT else Actor.STAFF,
                _instant(row["modifiedon"]),
                "msdynmkt_value",
                int(ConsentValue.OPTED_OUT),
            )
        )
    return found


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))

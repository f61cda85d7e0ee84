"""Consent records (ISO/IEC TS 27560:2023) put together from the ledger, the wording as kept, and the policy. Pure.

A record speaks of one purpose that rests on consent; what rests on another ground (news of similar events, with its right
to object) is never among them. Field names are the standard's; `missing_fields` says which mandatory ones are empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from schemas.policy import Policy
from schemas.purposes import Basis, End, PersonalData

SCHEMA_VERSION = "https://w3id.org/dpv/schema/dpv-27560#record"
_MANDATORY = {
    "": ("schema_version", "record_id", "pii_principal_id"),
    "pii_processing": (
        *("privacy_notice", "language", "purpose", "lawful_basis", "pii_information", "pii_controllers"),
        *("storage_locations", "retention_period", "jurisdiction", "recipient_third_parties", "withdrawal_method"),
    ),
    "party": ("party_id", "party_address", "party_name", "party_contact", "party_type"),
    "event": ("event_time", "validity_duration", "entity_id", "event_type", "event_state"),
}
# Who acted, as the record names them; a booker's or staff's own act is never one of a consent.
_ENTITY = {"subject": "data subject", "guardian": "guardian of the data subject", "staff_on_behalf": "data subject"}
_USED = {PersonalData.CONSENT_RECORD}


def consent_records(history: Mapping[str, Sequence[Mapping[str, Any]]], policy: Policy) -> list[dict[str, Any]]:
    """The records of one contact point, by purpose; `history` has its contact_points, consent_events and consent_states.

    An event whose evidence was erased stays, without it; one that is void is left out.
    """
    point = history["contact_points"][0]
    named = [name for name, purpose in policy.purposes.items() if purpose.basis is Basis.CONSENT]
    found = []
    for name in named:
        events = [e for e in history["consent_events"] if e["purpose"] == name and e["voided_at"] is None]
        if events:
            found.append(_record(point["contact_point_id"], name, events, policy, states=history["consent_states"]))
    return found


def objections(history: Mapping[str, Sequence[Mapping[str, Any]]], policy: Policy) -> list[dict[str, Any]]:
    """What was objected to, or allowed again: events of purposes that rest on another ground than consent."""
    named = {name for name, purpose in policy.purposes.items() if End.OBJECTION in purpose.ends}
    shown = ("event_id", "purpose", "value", "reason", "actor", "effective_at", "source", "channel")
    rows = [e for e in history["consent_events"] if e["purpose"] in named and e["voided_at"] is None]
    return [{"basis": str(policy.purposes[e["purpose"]].basis), **{key: e[key] for key in shown}} for e in rows]


def missing_fields(record: Mapping[str, Any]) -> list[str]:
    """The mandatory fields that a record leaves empty, by section; events that lower need no wording or notice."""
    found = [name for name in _MANDATORY[""] if not record.get(name)]
    found += [
        f"pii_processing.{name}" for name in _MANDATORY["pii_processing"] if not record["pii_processing"].get(name)
    ]
    for section in ("party", "event"):
        rows: Iterable[Mapping[str, Any]] = record["parties" if section == "party" else "events"]
        found += [f"{section}.{name}" for row in rows for name in _MANDATORY[section] if not row.get(name)]
    return sorted(set(found))


def _record(
    point: UUID,
    purpose: str,
    events: Sequence[Mapping[str, Any]],
    policy: Policy,
    *,
    states: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    grants = [event for event in events if event["value"] == "grant"]
    shown = grants[-1] if grants else events[-1]
    return {
        "schema_version": SCHEMA_VERSION,
        "record_id": str(uuid5(point, f"consent record|{purpose}")),
        "pii_principal_id": str(point),
        "pii_processing": _processing(purpose, shown, policy),
        "parties": [_controller(policy), *_processors(purpose, policy)],
        "events": [_event(event, policy) for event in events],
        "states": {row["topic"] or "": row["state"] for row in states if row["purpose"] == purpose},
    }


def _processing(purpose: str, shown: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    known, organisation = policy.purposes[purpose], policy.organisation
    notice = policy.notices.get(shown["notice_version"] or "")
    return {
        "privacy_notice": shown["notice_version"]
        and {
            "version": shown["notice_version"],
            "url": notice.url if notice else organisation.url,
        },
        "language": shown["language"],
        "purpose": known.description,
        "purpose_type": purpose,
        "lawful_basis": str(known.basis),
        "pii_information": [{"pii_type": str(one)} for one in known.personal_data if one not in _USED],
        "pii_controllers": [_party_id(policy)],
        "collection_method": shown["channel"],
        "storage_locations": list(organisation.storage_locations),
        "retention_period": _retention(purpose, policy),
        "jurisdiction": organisation.jurisdiction,
        "recipient_third_parties": [policy.recipients[name].name for name in known.recipients] or ["none"],
        "withdrawal_method": policy.crm.preference_page or organisation.contact,
        "privacy_rights": ["access", "rectification", "erasure", "restriction", "portability", "withdrawal"],
        "authority_party": organisation.authority,
    }


def _retention(purpose: str, policy: Policy) -> str:
    days = policy.purposes[purpose].lives_after_days
    while_given = "until withdrawn" if days is None else f"P{days}D from the grant"
    return f"{while_given}; the evidence P{policy.retention.evidence_days}D longer"


def _party_id(policy: Policy) -> str:
    return policy.organisation.business_id or policy.organisation.name


def _controller(policy: Policy) -> dict[str, Any]:
    organisation = policy.organisation
    return {
        "party_id": _party_id(policy),
        "party_name": organisation.name,
        "party_role": "controller",
        "party_type": "organisation",
        "party_address": organisation.address,
        "party_contact": organisation.contact,
        "party_phone": organisation.phone,
        "party_url": organisation.url,
    }


def _processors(purpose: str, policy: Policy) -> list[dict[str, Any]]:
    known = [(name, policy.recipients[name]) for name in policy.purposes[purpose].recipients]
    return [
        {
            "party_id": name,
            "party_name": one.name,
            "party_role": one.role,
            "party_type": "organisation",
            "party_address": one.country,
            "party_contact": one.contact or policy.organisation.contact,
        }
        for name, one in known
    ]


def _event(event: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    grants = event["value"] == "grant"
    days = policy.purposes[event["purpose"]].lives_after_days
    return {
        "event_id": str(event["event_id"]),
        "event_time": event["occurred_at"] or event["received_at"],
        "event_time_until": _until(event["occurred_at"], event["precision_s"]),
        "received_at": event["received_at"],
        "validity_duration": ("until withdrawn" if days is None else f"P{days}D") if grants else "until a later grant",
        "entity_id": _ENTITY.get(event["actor"], event["actor"]),
        "entity_role": event["actor"],
        "event_type": "expressed consent",
        "event_state": "given" if grants else ("refused" if event["reason"] == "refused" else "withdrawn"),
        "topic": event["topic"] or None,
        "reason": event["reason"],
        "channel": event["channel"],
        "source": event["source"],
        "notice_version": event["notice_version"],
        "wording": event["wording"],
        "wording_version": event["wording_version"],
        "language": event["language"],
        "collected_by": event["collected_by"],
        "method": event["method"],
    }


def _until(at: datetime | None, precision_s: int) -> datetime | None:
    return at + timedelta(seconds=precision_s) if at is not None and precision_s else None

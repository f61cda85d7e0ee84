"""Consent receipts as JSON-LD with the Data Privacy Vocabulary: a copy of the records for the person. Pure.

https://w3id.org/dpv/guides/consent-27560 maps the fields of ISO/IEC TS 27560; the context is in the document, so that
reading it needs no network.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

CONTEXT: dict[str, Any] = {
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "loc": "https://w3id.org/dpv/loc#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dct:created": {"@type": "xsd:dateTime"},
    "dpv:isIndicatedAtTime": {"@type": "xsd:dateTime"},
    "dct:conformsTo": {"@type": "@id"},
}
_PROFILE = "https://w3id.org/dpv/schema/dpv-27560#"
_DATA = {"name": "pd:Name", "email": "pd:EmailAddress", "phone": "pd:TelephoneNumber", "behaviour": "pd:Behavioral"}
_STATUS = {"given": "dpv:ConsentGiven", "withdrawn": "dpv:ConsentWithdrawn", "refused": "dpv:ConsentRefused"}


def consent_receipt(records: Sequence[Mapping[str, Any]], *, made_at: datetime) -> dict[str, Any]:
    """One receipt over all the records of a person."""
    principal = UUID(records[0]["pii_principal_id"]) if records else UUID(int=0)
    receipt_id = uuid5(principal, f"consent receipt|{made_at.isoformat()}")
    return {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{receipt_id}",
        "@type": "dpv:ConsentReceipt",
        "dpv:hasIdentifier": str(receipt_id),
        "dct:conformsTo": f"{_PROFILE}receipt",
        "dct:created": made_at.isoformat(),
        "dpv:hasRecordOfActivity": [_record(record) for record in records],
    }


def _record(record: Mapping[str, Any]) -> dict[str, Any]:
    told = record["pii_processing"]
    (controller, *processors) = record["parties"]
    notice = told["privacy_notice"]
    return {
        "@id": f"urn:uuid:{record['record_id']}",
        "@type": "dpv:ConsentRecord",
        "dpv:hasIdentifier": record["record_id"],
        "dct:conformsTo": f"{_PROFILE}record",
        "dpv:hasDataSubject": {"@id": f"urn:uuid:{record['pii_principal_id']}", "@type": "dpv:DataSubject"},
        "dpv:hasDataController": _party(controller, "dpv:DataController"),
        "dpv:hasDataProcessor": [_party(one, "dpv:DataProcessor") for one in processors],
        "dpv:hasJurisdiction": {"@id": f"loc:{told['jurisdiction']}"},
        "dpv:hasApplicableLaw": {"@id": "eu-gdpr:GDPR"},
        "dpv:hasLegalBasis": {"@id": "eu-gdpr:A6-1-a"},
        "dpv:hasProcess": _process(told),
        "dpv:hasNotice": notice
        and {
            "@type": "dpv:ConsentNotice",
            "dct:identifier": notice["version"],
            "dct:source": notice["url"],
            "dct:language": told["language"],
        },
        "dpv:hasConsentControl": {
            "@type": ["dpv:ProvideConsent", "dpv:WithdrawConsent"],
            "dpv:isExercisedAt": told["withdrawal_method"],
        },
        "dpv:hasRight": {
            "@type": ["dpv:DataSubjectRight", "eu-gdpr:A7-3"],
            "dct:title": "Right to withdraw consent",
            "dpv:isExercisedAt": told["withdrawal_method"],
        },
        "dpv:hasConsentStatus": [_status(event) for event in record["events"]],
    }


def _process(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": {
            "@type": "dpv:Marketing",
            "dct:title": told["purpose_type"],
            "dct:description": told["purpose"],
        },
        "dpv:hasPersonalData": [
            {"@id": _DATA.get(one["pii_type"], "dpv:PersonalData")} for one in told["pii_information"]
        ],
        "dpv:hasRecipient": [
            {"@type": "dpv:Recipient", "dpv:hasName": name} for name in told["recipient_third_parties"]
        ],
        "dpv:hasStorageCondition": [
            {
                "@type": "dpv:StorageLocation",
                "dpv:hasLocation": [{"@id": f"loc:{place}"} for place in told["storage_locations"]],
            },
            {"@type": "dpv:StorageDuration", "dpv:hasDuration": told["retention_period"]},
        ],
    }


def _party(party: Mapping[str, Any], role: str) -> dict[str, Any]:
    return {
        "@type": ["dpv:LegalEntity", role],
        "dpv:hasIdentifier": party["party_id"],
        "dpv:hasName": party["party_name"],
        "dpv:hasAddress": party["party_address"],
        "dpv:hasContact": party["party_contact"],
    }


def _status(event: Mapping[str, Any]) -> dict[str, Any]:
    by = "dpv:DataSubject" if event["entity_id"] == "data subject" else None
    told = {
        "@type": [_STATUS[event["event_state"]], "dpv:ExpressedConsent"],
        "dct:identifier": event["event_id"],
        "dpv:isIndicatedAtTime": event["event_time"].isoformat(),
        "dpv:isIndicatedBy": {"@id": by} if by else event["entity_id"],
        "dpv:hasIndicationMethod": event["channel"],
        "dct:description": event["wording"],
        "dct:subject": event["topic"],
        "dct:valid": event["validity_duration"],
    }
    return {name: value for name, value in told.items() if value is not None}

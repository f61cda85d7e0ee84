"""Consent records and receipts: what proves a consent is all there, in the standard's fields and DPV's terms (I18)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyld import jsonld

from pipelines.operations.acts import ActEvidence, ShownWording, record_acts
from pipelines.operations.consents import consent_record, receipt
from pipelines.transforms.consent_records import missing_fields
from schemas.consent import Actor
from schemas.errors import ActRefused, ConfigurationError
from tests.invariants.acts import T0, Who, answer, iso, prohibit, register, sign_up, speak
from tests.invariants.histories import address_of, examples
from tests.invariants.model import MARKETING, RELATED
from tests.invariants.test_acts import AINO, LATER, make_act
from tests.invariants.test_consent_commands import say
from tests.invariants.world import World

# The terms of the Data Privacy Vocabulary 2 that its guide for ISO/IEC TS 27560 uses.
DPV = {
    *("ConsentReceipt", "ConsentRecord", "DataSubject", "DataController", "DataProcessor", "LegalEntity", "Process"),
    *("ConsentNotice", "ProvideConsent", "WithdrawConsent", "DataSubjectRight", "Marketing", "Recipient"),
    *("StorageLocation", "StorageDuration", "ConsentGiven", "ConsentWithdrawn", "ConsentRefused", "ExpressedConsent"),
    *(
        "PersonalData",
        "hasIdentifier",
        "hasRecordOfActivity",
        "hasDataSubject",
        "hasDataController",
        "hasDataProcessor",
    ),
    *("hasJurisdiction", "hasApplicableLaw", "hasLegalBasis", "hasProcess", "hasNotice", "hasConsentControl"),
    *("isExercisedAt", "hasRight", "hasConsentStatus", "hasPurpose", "hasPersonalData", "hasRecipient", "hasName"),
    *("hasStorageCondition", "hasLocation", "hasDuration", "hasAddress", "hasContact", "isIndicatedAtTime"),
    *("isIndicatedBy", "hasIndicationMethod"),
}


@pytest.fixture
def known(world: World) -> World:
    """Aino signed up, bought a course, left a topic, and objected to news of similar events."""
    world.perform([sign_up(1, AINO, T0), register(2, AINO, T0, charge="paid")])
    world.run()
    left = make_act("withdraw", topics=("rdi",), evidence={"wording": None})
    record_acts(world.session(), None, [left, make_act("object", purposes=(RELATED,))])
    return world


def test_a_record_has_every_mandatory_field_and_speaks_of_consent_alone(known: World) -> None:
    found = consent_record(known.session(), address=AINO.address)
    (record,) = found["records"]
    assert missing_fields(record) == []
    assert record["pii_processing"]["purpose_type"] == MARKETING
    assert record["states"] == {"": "granted", "training": "granted", "rdi": "withdrawn", "services": "granted"} | {
        "events": "granted"
    }
    given_, left = record["events"]
    assert (given_["event_state"], given_["wording"], given_["language"]) == (
        *("given", "I want the newsletter by e-mail.", "en"),
    )
    assert (left["event_state"], left["topic"], left["entity_id"]) == ("withdrawn", "rdi", "data subject")
    assert [(o["purpose"], o["basis"], o["reason"]) for o in found["objections"]] == [
        (RELATED, "soft_opt_in", "objection")
    ]


@pytest.mark.parametrize("language", ["en", "sv"])
def test_the_same_words_under_another_version_or_language_are_told_as_they_were_shown(
    world: World, language: str
) -> None:
    shown = [ShownWording("News, please", "1", "en"), ShownWording("News, please", "2", language)]
    for number, wording in enumerate(shown):
        at = LATER + timedelta(minutes=number)
        record_acts(world.session(), None, [make_act(evidence={"wording": wording}, occurred_at=at)])
    (record,) = consent_record(world.session(), address=AINO.address)["records"]
    told = [(event["wording"], event["language"], event["wording_version"]) for event in record["events"]]
    assert told == [("News, please", "en", "1"), ("News, please", language, "2")]


@pytest.mark.parametrize(
    ("section", "field"), [("pii_processing", "privacy_notice"), ("pii_processing", "language"), ("", "record_id")]
)
def test_a_missing_field_is_named(known: World, section: str, field: str) -> None:
    (record,) = consent_record(known.session(), address=AINO.address)["records"]
    part = record[section] if section else record
    part[field] = None
    assert missing_fields(record) == [f"{section}.{field}".lstrip(".")]


def test_a_receipt_tells_nothing_of_another_person_at_the_address(world: World) -> None:
    maija = Who(AINO.address, "maija")
    world.perform([sign_up(1, AINO, T0), sign_up(2, maija, T0 + timedelta(hours=1))])
    world.run()
    persons = world.query("select person_id, given_name from intake.person")
    for person in persons:
        told = receipt(world.session(), person=str(person.person_id))
        (record,) = told["dpv:hasRecordOfActivity"]
        (status,) = record["dpv:hasConsentStatus"]
        assert status["dpv:isIndicatedAtTime"].startswith(iso(T0 + timedelta(hours=person.given_name == "Maija"))[:-1])
    with pytest.raises(ConfigurationError, match="2 people share that address"):
        receipt(world.session(), address=AINO.address)
    record_acts(world.session(), None, [make_act("withdraw", evidence={"wording": None})])
    (record,) = consent_record(world.session(), person=str(persons[0].person_id))["records"]
    assert [event["event_state"] for event in record["events"]] == ["given", "withdrawn"], "whoever reads the address"


def test_a_guardians_act_is_marked(world: World) -> None:
    evidence = {"collected_by": "Desk", "method": "letter"}
    record_acts(world.session(), None, [make_act(actor=Actor.GUARDIAN, evidence=evidence, is_of_age=True)])
    (record,) = consent_record(world.session(), address=AINO.address)["records"]
    assert record["events"][0]["entity_id"] == "guardian of the data subject"


def iris(expanded: Any) -> Iterator[str]:
    if isinstance(expanded, list):
        for one in expanded:
            yield from iris(one)
    elif isinstance(expanded, dict):
        for key, value in expanded.items():
            yield from [key] if not key.startswith("@") else []
            if key == "@type":
                yield from value if isinstance(value, list) else [value]
            elif key == "@id":
                yield str(value)
            yield from iris(value)


def keys(document: Any) -> int:
    if isinstance(document, list):
        return sum(keys(one) for one in document)
    if not isinstance(document, dict):
        return 0
    return len([k for k in document if not k.startswith("@")]) + sum(keys(v) for v in document.values())


def test_a_receipt_is_json_ld_in_terms_that_the_vocabulary_has(known: World) -> None:
    document = json.loads(say(known, "receipt", "-", typed=AINO.address).stdout)
    expanded = jsonld.expand(document)
    body = {name: value for name, value in document.items() if name != "@context"}
    assert keys(expanded) == keys(body), "nothing is dropped when the document is read"
    found = set(iris(expanded))
    assert all("://" in iri or iri.startswith("urn:uuid:") for iri in found), "every name is an IRI"
    assert {iri.removeprefix("https://w3id.org/dpv#") for iri in found if "/dpv#" in iri} <= DPV
    (record,) = expanded[0]["https://w3id.org/dpv#hasRecordOfActivity"]
    statuses = record["https://w3id.org/dpv#hasConsentStatus"]
    assert [s["@type"][0].rpartition("#")[2] for s in statuses] == ["ConsentGiven", "ConsentWithdrawn"]
    assert "Virtanen" not in json.dumps(document)


def test_a_receipt_of_somebody_who_consented_to_nothing_is_empty(world: World) -> None:
    world.perform([register(1, AINO, T0)])
    world.run()
    assert receipt(world.session(), address=AINO.address)["dpv:hasRecordOfActivity"] == []


PARTS = ("wording", "notice_version", "channel", "collected_by", "method")


@examples(3)
@given(houses=st.integers(4, 8), data=st.data())
def test_i18_a_grant_has_its_full_record_or_there_is_no_grant(
    one_world: World, houses: int, data: st.DataObject
) -> None:
    """Whatever of the evidence is missing, by whatever door: no grant. Whoever is granted has the whole record."""
    world = one_world.reset()
    rows = []
    for n in range(houses):
        who = Who(address_of(n), "aino")
        acts = [
            sign_up(n, who, T0),
            answer(100 + n, who, T0, training="Yes"),
            speak(who, T0, decision="yes", has_evidence=data.draw(st.booleans())),
            prohibit(200 + n, who, T0),
        ]
        rows.append(data.draw(st.sampled_from(acts)))
        gone = data.draw(st.sets(st.sampled_from(PARTS)))
        evidence = ActEvidence(
            request_reference=f"r{n}",
            **{
                "channel": "page",
                "wording": ShownWording("Yes.", "1", "en"),
                "notice_version": "2026-01",
                "collected_by": "Desk",
                "method": "phone",
                **{name: ("" if name == "channel" else None) for name in gone},
            },
        )
        actor = data.draw(st.sampled_from([Actor.SUBJECT, Actor.STAFF_ON_BEHALF]))
        act = replace(make_act(address=f"page{n}@example.org", actor=actor), evidence=evidence)
        needed = set(PARTS) if actor is Actor.STAFF_ON_BEHALF else {"wording", "notice_version", "channel"}
        if gone & needed:
            with pytest.raises(ActRefused):
                record_acts(world.session(), None, [act])
        else:
            record_acts(world.session(), None, [act])
    world.perform(rows)
    world.run()
    points = world.query(
        "select distinct c.address from intake.consent_event e join intake.contact_point c using (contact_point_id)"
        " where e.value = 'grant'"
    )
    for point in points:
        for record in consent_record(world.session(), address=point.address)["records"]:
            granting = [event for event in record["events"] if event["event_state"] == "given"]
            assert not granting or missing_fields(record) == [], granting
            assert all(e["wording"] and e["notice_version"] and e["channel"] for e in granting)
    granted = world.query("select distinct contact_point_id from intake.consent_state where state = 'granted'")
    assert len(granted) == len(points)

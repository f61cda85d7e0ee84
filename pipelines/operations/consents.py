"""Consent of one contact point, as staff ask for it and take it down: what stands, why, and one more act."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from pipelines.operations.acts import Act, ActEvidence, Deed, ShownWording, record_acts
from pipelines.operations.explain import explain, person_id_of
from pipelines.operations.sessions import Session
from pipelines.transforms.civil_time import normalise_timestamp
from pipelines.transforms.consent_receipts import consent_receipt
from pipelines.transforms.consent_records import consent_records, objections
from pipelines.transforms.identity_codes import redact_text
from schemas.consent import Actor
from schemas.errors import ActRefused, ConfigurationError

SPOKEN, SPOKEN_CHANNEL = "spoken", "manual_entry"
_SHOWN = ("contact_points", "purposes", "consent_states", "consent_events")
_FORMATS = ("iso", "fi_datetime", "fi_date")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What somebody told staff, as it is typed. `said_at` is ISO or Finnish; `words` are the person's own.

    `reference` is the entry's own (a diary number), so that telling it twice is one entry; without one it gets one.
    """

    deed: Deed
    purpose: str
    said_at: str
    by: str
    method: str
    topics: Sequence[str] = ()
    words: str = field(default="", repr=False)
    language: str = "fi"
    notice_version: str | None = None
    reference: str | None = None
    is_guardian: bool = False
    is_of_age: bool = False
    address: str | None = field(default=None, repr=False)
    person: str | None = None


def show_consent(session: Session, *, address: str | None = None, person: str | None = None) -> dict[str, Any]:
    """States, events and living purposes of an address or a person; it shows the person's data."""
    history = explain(session, address=address, person=person)
    return {name: history[name] for name in _SHOWN}


def consent_record(session: Session, *, address: str | None = None, person: str | None = None) -> dict[str, Any]:
    """The consent records of an address or a person (ISO/IEC TS 27560), and apart from them what was objected to.

    A person's are theirs, and of whoever reads the address without a name; not those of others at it.
    """
    return _recorded(session, _of_person(explain(session, address=address, person=person), person))


def _recorded(session: Session, history: dict[str, Any]) -> dict[str, Any]:
    policy = session.workspace.policy
    return {"records": consent_records(history, policy), "objections": objections(history, policy)}


def _of_person(history: dict[str, Any], person: str | None) -> dict[str, Any]:
    person_id = person_id_of(person)
    if person_id not in {row["person_id"] for row in history["persons"]}:
        return history
    events = [e for e in history["consent_events"] if e["is_nameless"] or e["person_id"] == person_id]
    return {**history, "consent_events": events}


def receipt(session: Session, *, address: str | None = None, person: str | None = None) -> dict[str, Any]:
    """The consent receipt of a person, or of an address where no more than one is known, as JSON-LD.

    ConfigurationError where several are: a receipt is one person's copy, and tells nothing of another.
    """
    history = explain(session, address=address, person=person)
    persons = [row["person_id"] for row in history["persons"]]
    if len(persons) > 1 and person_id_of(person) not in persons:
        raise ConfigurationError(
            f"{len(persons)} people share that address ({', '.join(map(str, persons))}). Give the id of the one who is"
            " meant: a receipt is one person's."
        )
    return consent_receipt(_recorded(session, _of_person(history, person))["records"], made_at=session.now)


def record_told(session: Session, told: Told) -> list[UUID]:
    """Take down what a person (or a child's guardian) said; ActRefused where a yes lacks its evidence, or no time is read."""
    read = normalise_timestamp(told.said_at, formats=_FORMATS, timezone=session.workspace.policy.organisation.timezone)
    if read.occurred_from is None or read.occurred_to is None:
        raise ActRefused("no_time", "When it was said cannot be read. Write YYYY-MM-DD HH:MM, or D.M.YYYY.")
    evidence = ActEvidence(
        request_reference=told.reference or uuid4().hex,
        channel=SPOKEN_CHANNEL,
        wording=_wording(told),
        notice_version=told.notice_version,
        collected_by=told.by,
        method=told.method,
    )
    act = Act(
        deed=told.deed,
        purposes=(told.purpose,),
        topics=tuple(told.topics),
        actor=Actor.GUARDIAN if told.is_guardian else Actor.STAFF_ON_BEHALF,
        clock=SPOKEN,
        occurred_at=read.occurred_from,
        precision_s=round((read.occurred_to - read.occurred_from).total_seconds()),
        reason=SPOKEN,
        evidence=evidence,
        address=told.address,
        person_id=person_id_of(told.person),
        is_of_age=told.is_of_age,
    )
    return record_acts(session, None, [act])


def _wording(told: Told) -> ShownWording | None:
    words = redact_text(told.words.strip()).text
    return ShownWording(words, SPOKEN, told.language) if words else None

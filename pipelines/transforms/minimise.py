"""Minimisation: what the CRM should show of one address now, from the purposes alive and the folded consents. Pure.

Nothing here knows what the CRM shows today; that is the plan's concern (pipelines.transforms.plan).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from pipelines.transforms.crm_changes import BESIDE
from pipelines.transforms.emails import canonical_address
from pipelines.transforms.row_ids import row_id
from schemas.policy import RESTRICTED_KINDS, CrmPurpose, Policy
from schemas.tables import (
    CONSENT,
    CONTACT,
    EMAIL_CONTACT_POINT,
    EVENT,
    LIST_MEMBER,
    MARKER,
    NO_REASON,
    REGISTRATION,
    SOURCE_LOADED,
    ConsentRowType,
    ConsentValue,
)

RowKey = tuple[str, UUID]
EVENT_TYPE_TRAINING = 100000004
EVENT_TYPE_CONFERENCE = 100000002


@dataclass(frozen=True, slots=True)
class PersonView:
    """A person as the store knows them, under the id of their contact in the CRM.

    `purposes` maps each purpose to the instant it ends (None: until lowered). `edited` names the columns that somebody
    changed in the CRM, `held` has the values of those that stand. `is_elsewhere`: another person's address shows the
    contact, which theirs was merged into. `preference_link` is the link that newsletters to them carry.
    """

    contact_id: UUID
    given_name: str | None
    family_name: str | None
    phone: str | None
    purposes: dict[str, datetime | None]
    held: Mapping[str, Any] = field(default_factory=dict)
    edited: frozenset[str] = frozenset()
    is_elsewhere: bool = False
    preference_link: str | None = None


@dataclass(frozen=True, slots=True)
class RegistrationView:
    """A registration and the instant at which its own purpose ends; `held` has what the CRM's own people set right."""

    registration_id: UUID
    contact_id: UUID
    occasion_pk: UUID
    status: str
    registered_at: datetime
    ends_at: datetime
    held: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdoptedRow:
    """A row that the CRM had by itself: its columns as it holds them, and those of them that we wrote."""

    columns: Mapping[str, Any]
    written: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AddressView:
    """Everything known of one address: its people, folded states by (purpose, topic; '' = the whole), registrations.

    `others` are the rows of the CRM that bear the address and are not ours: what is known of their columns. `adopted`
    are those of them that we may use instead of making our own, and the contacts of our persons that we did not make;
    `owned` are the keys of the rows that we made. `merged_away` are contacts that we made, that staff merged into another
    one, and whose person has no purpose left: put away, but with all that they had. `left_behind` are those of them that
    we did not make, with what stands of what we wrote, once nobody at the address has such a contact. `is_in_review`: somebody
    has to decide first which contact is whose; `is_cut_over`: rows without evidence are ours to lower; `is_restricted`:
    somebody at the address had their data restricted (GDPR Art. 18), so that nothing but lowering is planned until it is
    lifted; `is_held`: what the CRM has of the address is kept by a legal hold, or owed to somebody who asked for it;
    `is_listed`: the policy's allow list lets more than lowering be written of it.
    """

    contact_point_id: UUID
    address: str
    version: int
    persons: tuple[PersonView, ...]
    consents: dict[tuple[str, str], str]
    registrations: tuple[RegistrationView, ...]
    others: Mapping[RowKey, Mapping[str, Any]] = field(default_factory=dict)
    adopted: Mapping[RowKey, AdoptedRow] = field(default_factory=dict)
    owned: frozenset[RowKey] = frozenset()
    merged_away: frozenset[RowKey] = frozenset()
    left_behind: Mapping[RowKey, AdoptedRow] = field(default_factory=dict)
    is_in_review: bool = False
    is_cut_over: bool = False
    is_restricted: bool = False
    is_held: bool = False
    is_listed: bool = True


def minimise_address(view: AddressView, policy: Policy, *, now: datetime) -> dict[RowKey, dict[str, Any]]:
    """The rows the CRM should hold for an address: {(table, row id): columns}; a column absent is not to be shown."""
    rows: dict[RowKey, dict[str, Any]] = {}
    contacts: set[UUID] = set()
    for person in view.persons:
        columns = minimise_contact(person, view, policy, now=now)
        if columns is None:
            continue
        contacts.add(person.contact_id)
        if not person.is_elsewhere:
            rows[CONTACT.logical_name, person.contact_id] = columns
    rows.update(_consent_rows(view, policy, has_contact=bool(contacts), now=now))
    for person in view.persons:
        rows.update(_memberships(person, rows, view, policy, living_purposes(person, now=now)))
    for registration in view.registrations:
        if registration.contact_id in contacts and registration.ends_at > now and registration.status != "deleted":
            rows[REGISTRATION.logical_name, registration.registration_id] = minimise_registration(registration)
    return rows


def living_purposes(person: PersonView, *, now: datetime) -> set[str]:
    """The purposes alive for a person now."""
    return {name for name, ends_at in person.purposes.items() if ends_at is None or ends_at > now}


def shown_columns(person: PersonView, policy: Policy, *, now: datetime) -> set[str]:
    """The contact columns that the living purposes may show."""
    return {column for name in living_purposes(person, now=now) for column in policy.purposes[name].contact_columns}


def minimise_contact(person: PersonView, view: AddressView, policy: Policy, *, now: datetime) -> dict[str, Any] | None:
    """The known values of the columns that may be shown, and the flags; None where no purpose shows a contact."""
    shown = shown_columns(person, policy, now=now)
    if not shown:
        return None
    values = {
        "firstname": person.given_name,
        "lastname": person.family_name,
        "emailaddress1": view.address,
        "mobilephone": person.phone,
        **person.held,
    }
    columns: dict[str, Any] = {name: value for name, value in values.items() if name in shown and value is not None}
    is_granted = "marketing" in living_purposes(person, now=now)
    is_shut = view.is_restricted or _is_moved(person, view) or BESIDE in person.edited
    columns["donotbulkemail"] = not is_granted or is_shut
    columns["followemail"] = False
    link_column = policy.crm.preference_link_column
    if link_column is not None and person.preference_link and _has_newsletters(person, policy, now=now):
        columns[link_column] = person.preference_link
    return columns


def _has_newsletters(person: PersonView, policy: Policy, *, now: datetime) -> bool:
    """Whether a purpose lives under which commercial mail is sent, each of which carries the link."""
    living = living_purposes(person, now=now)
    return any(target.kind == "commercial" and name in living for name, target in policy.crm.purposes.items())


def _is_moved(person: PersonView, view: AddressView) -> bool:
    """Whether somebody gave the contact another address in the CRM: what was granted here was not granted there."""
    if "emailaddress1" not in person.held:
        return False
    key = canonical_address(person.held["emailaddress1"] or "").key
    return key != canonical_address(view.address).key


def _consent_rows(
    view: AddressView, policy: Policy, *, has_contact: bool, now: datetime
) -> dict[RowKey, dict[str, Any]]:
    rows: dict[RowKey, dict[str, Any]] = {}
    living = {purpose for person in view.persons for purpose in living_purposes(person, now=now)}
    for name, target in policy.crm.purposes.items():
        value = consent_value(name, view, has_contact=has_contact, living=living)
        if value is None:
            continue
        if view.is_restricted and target.kind in RESTRICTED_KINDS:
            value = ConsentValue.OPTED_OUT
        rows.update([_consent_row(view, name, "", target, value)])
        for topic in target.topics:
            on = value is ConsentValue.OPTED_IN and view.consents.get((name, topic)) == "granted"
            topic_value = ConsentValue.OPTED_IN if on else ConsentValue.OPTED_OUT
            rows.update([_consent_row(view, name, topic, target, topic_value)])
    return rows


def consent_value(purpose: str, view: AddressView, *, has_contact: bool, living: set[str]) -> ConsentValue | None:
    """The value of an address's purpose row, `living` being what lives for anybody there; None for no row.

    A lowered purpose is written out as Opted Out whether or not anybody is left at the address (suppression).
    Opted In needs a person for whom the purpose lives, so that no row speaks for nobody.
    """
    if view.consents.get((purpose, "")) == "withdrawn":
        return ConsentValue.OPTED_OUT
    if purpose in living:
        return ConsentValue.OPTED_IN
    if purpose == "tracking" and has_contact:
        return ConsentValue.OPTED_OUT
    return None


def consent_row_id(contact_point_id: UUID, purpose: str, topic: str) -> UUID:
    """The id of our own row for a purpose (topic '') or one of its topics at an address."""
    return row_id(contact_point_id, f"{purpose}|{topic}")


def _consent_row(
    view: AddressView, purpose: str, topic: str, target: CrmPurpose, value: ConsentValue
) -> tuple[RowKey, dict[str, Any]]:
    key = consent_row_id(view.contact_point_id, purpose, topic)
    columns: dict[str, Any] = {
        "msdynmkt_contactpointvalue": view.address,
        "msdynmkt_contactpointtype": EMAIL_CONTACT_POINT,
        "msdynmkt_contactpointconsenttype": int(ConsentRowType.TOPIC if topic else ConsentRowType.PURPOSE),
        "msdynmkt_value": int(value),
        "msdynmkt_purposeId@odata.bind": _bind("msdynmkt_purposes", target.purpose_id),
        "msdynmkt_source": SOURCE_LOADED,
        "msdynmkt_logicalreason": NO_REASON,
        "msdynmkt_reason": MARKER,
    }
    if topic:
        columns["msdynmkt_topicId@odata.bind"] = _bind("msdynmkt_topics", target.topics[topic])
    return (CONSENT.logical_name, key), columns


@cache
def _bind(entity_set: str, row_id: UUID) -> str:
    """The reference to a purpose or topic, of which there are a handful for all rows."""
    return f"/{entity_set}({row_id})"


def _memberships(
    person: PersonView,
    rows: Mapping[RowKey, Mapping[str, Any]],
    view: AddressView,
    policy: Policy,
    living: set[str],
) -> dict[RowKey, dict[str, Any]]:
    """The lists a person's contact is on: those of topics opted in at the address, while the contact may be mailed."""
    if rows.get((CONTACT.logical_name, person.contact_id), {}).get("donotbulkemail") is not False:
        return {}
    members: dict[RowKey, dict[str, Any]] = {}
    for list_id, (purpose, topic) in policy.lists().items():
        consent = rows.get((CONSENT.logical_name, consent_row_id(view.contact_point_id, purpose, topic)), {})
        if purpose in living and consent.get("msdynmkt_value") == ConsentValue.OPTED_IN:
            members[LIST_MEMBER.logical_name, membership_id(list_id, person.contact_id)] = {
                "listid@odata.bind": f"/lists({list_id})",
                "entityid_contact@odata.bind": f"/contacts({person.contact_id})",
            }
    return members


def membership_id(list_id: UUID, contact_id: UUID) -> UUID:
    """How we call a membership; the CRM gives it a key of its own."""
    return row_id(list_id, str(contact_id))


def minimise_registration(registration: RegistrationView) -> dict[str, Any]:
    """A registration's row: whose, for what, its state; none of the answers."""
    return {
        "msevtmgt_ContactId@odata.bind": f"/contacts({registration.contact_id})",
        "msevtmgt_EventId@odata.bind": f"/msevtmgt_events({registration.occasion_pk})",
        "msevtmgt_iscanceled": registration.status == "cancelled",
        "msevtmgt_registrationstatus": registration.status,
        "msevtmgt_originaltimestamp": wire_time(registration.registered_at),
        **registration.held,
    }


def minimise_occasion(
    name: str | None, kind: str, starts_at: datetime | None, ends_at: datetime | None
) -> dict[str, Any]:
    """A course or event as the CRM shows it; no person is in it."""
    is_course = kind == "course_registration"
    columns: dict[str, Any] = {
        "msevtmgt_name": name[: EVENT.columns["msevtmgt_name"].max_length] if name else None,
        "msevtmgt_eventstartdate": wire_time(starts_at),
        "msevtmgt_eventenddate": wire_time(ends_at),
        "msevtmgt_eventtype": EVENT_TYPE_TRAINING if is_course else EVENT_TYPE_CONFERENCE,
    }
    return {column: value for column, value in columns.items() if value is not None}


def wire_time(at: datetime | None) -> str | None:
    """A UTC time as the CRM stores it: whole seconds, `Z`."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")

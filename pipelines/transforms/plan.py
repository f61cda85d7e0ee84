"""The plan: the difference between what the CRM should show and what it acknowledged, as intents in their order.

Pure. Only columns that differ are written. Null never erases: a value is cleared only when no living purpose shows it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pipelines.transforms.crm_changes import UNREGISTERED
from pipelines.transforms.crm_consents import PURPOSE, TOPIC, purposes_of
from pipelines.transforms.desired import desired_rows
from pipelines.transforms.emails import canonical_address
from pipelines.transforms.minimise import AddressView, AdoptedRow, RowKey, living_purposes, shown_columns
from pipelines.transforms.ownership import CANCELLED, STATUS
from pipelines.transforms.readback import as_read
from schemas.intents import Intent, Method, Phase
from schemas.policy import Policy
from schemas.tables import CONSENT, CONTACT, EVENT, LIST_MEMBER, PROVENANCE, REGISTRATION, ConsentValue

SHUT = {"donotbulkemail": True, "followemail": False}
CALLED_OFF = ("cancelled", "deleted")
CLEARABLE = ("firstname", "lastname", "mobilephone", "crmi_preferencelink")
# What stands open in a row that is to go: column, its open value, its shut one. A registration that is over was not
# cancelled, and is not marked so.
RAISED: dict[str, tuple[str, Any, Any]] = {
    CONSENT.logical_name: ("msdynmkt_value", int(ConsentValue.OPTED_IN), int(ConsentValue.OPTED_OUT)),
    CONTACT.logical_name: ("donotbulkemail", False, True),
}
REMOVALS = {
    LIST_MEMBER.logical_name: Phase.LOWERING,
    REGISTRATION.logical_name: Phase.REMOVE_REGISTRATIONS,
    CONSENT.logical_name: Phase.REMOVE_CONSENTS,
    CONTACT.logical_name: Phase.REMOVE_CONTACTS,
}


def plan_address(
    view: AddressView, acknowledged: Mapping[RowKey, Mapping[str, Any]], policy: Policy, *, now: datetime
) -> list[Intent]:
    """The intents of one address. `acknowledged` holds the columns the CRM last acknowledged from us, by row.

    Rows that the CRM has and that no longer belong are removed last; an Opted Out row stays as long as the address is
    suppressed, because `minimise_address` still wants it. A row that the CRM had by itself is never deleted. While
    somebody has to decide which contact is whose, nothing is raised at the address; while it is held, nothing is cleared
    or deleted; while it is restricted it is only lowered, and while it is not on the policy's allow list only rows that the
    CRM has are.
    """
    desired = desired_rows(view, policy, now=now)
    for person in view.persons:
        key = CONTACT.logical_name, person.contact_id
        if key in desired and key in acknowledged:
            kept = shown_columns(person, policy, now=now) | person.edited
            desired[key] = _with_kept(desired[key], acknowledged[key], kept)
    stamp: dict[str, Any] = {
        "contact_point_id": view.contact_point_id,
        "planned_version": view.version,
        "valid_until": _earliest_end(view, now),
    }
    held = {**{key: row.columns for key, row in view.adopted.items()}, **acknowledged}
    intents: list[Intent] = []
    for (table, row_id), columns in desired.items():
        before = held.get((table, row_id))
        for phase, method, is_raising, written in _PLANNERS[table](columns, before, view.adopted.get((table, row_id))):
            intents.append(Intent(phase, method, table, row_id, written, is_raising, **stamp))
    for table, row_id in held:
        if (table, row_id) in desired or table not in REMOVALS:
            continue
        if (adopted := view.adopted.get((table, row_id))) is not None:
            intents.extend(_let_go(table, adopted, row_id, stamp))
        else:
            before = acknowledged[table, row_id]
            if table == REGISTRATION.logical_name and _was_called_off(view, row_id):
                intents.extend(_call_off(before, row_id, stamp))
            intents.extend(_remove(table, before, row_id, stamp))
    for table, row_id in view.merged_away:
        intents.append(Intent(REMOVALS[table], Method.DELETE, table, row_id, {}, False, **stamp))
    for (table, row_id), adopted in view.left_behind.items():
        intents.extend(_let_go(table, adopted, row_id, stamp))
    for (table, row_id), known in view.others.items():
        if (table, row_id) not in desired and (lowered := _lowered(table, known, view, policy)):
            intents.append(Intent(Phase.LOWERING, Method.LOWER, table, row_id, lowered, False, **stamp))
    if view.is_held:
        intents = [intent for intent in intents if intent.phase < Phase.CLEARS]
    if view.is_restricted or not view.is_listed:
        intents = [intent for intent in intents if intent.phase is Phase.LOWERING]
    if not view.is_listed:
        intents = [intent for intent in intents if intent.method is not Method.UPSERT or _is_open(intent, held)]
    if view.is_in_review:
        intents = [intent for intent in intents if not intent.is_raising]
    return sorted(intents, key=lambda intent: (intent.phase, intent.table_name, intent.row_id.int))


def _is_open(intent: Intent, held: Mapping[RowKey, Mapping[str, Any]]) -> bool:
    """Whether a row that an upsert would write shut is in the CRM and not shut there yet."""
    before = held.get((intent.table_name, intent.row_id))
    column, _, shut = RAISED[intent.table_name]
    return before is not None and before.get(column) != shut


def _lowered(table: str, columns: Mapping[str, Any], view: AddressView, policy: Policy) -> dict[str, Any]:
    """What is lowered of a row that is not ours, which is nothing but its flag or its opt-in; empty where nothing is."""
    column, raised, shut = RAISED.get(table, ("", None, None))
    if table == CONTACT.logical_name:
        is_due = view.consents.get(("marketing", "")) == "withdrawn" and columns.get(column) is not shut
        return {column: shut} if is_due else {}
    if table != CONSENT.logical_name or columns.get(column) != raised:
        return {}
    named = purposes_of(policy).named(as_read(table, {name: columns.get(name) for name in (PURPOSE, TOPIC)}))
    is_withdrawn = named is not None and view.consents.get((named[0], named[1] or "")) == "withdrawn"
    is_due = is_withdrawn or UNREGISTERED in columns
    return {column: shut} if is_due else {}


def _with_kept(columns: Mapping[str, Any], before: Mapping[str, Any], shown: set[str]) -> dict[str, Any]:
    """The columns with what the CRM has of a value that may be shown and is not known any more: null never erases.

    Nor is a value cleared that is not the one we wrote.
    """
    kept = {name: before[name] for name in CLEARABLE if name in shown and name in before}
    return {**kept, **columns}


def emptied_columns(
    view: AddressView, desired: Mapping[RowKey, Mapping[str, Any]], policy: Policy, *, now: datetime
) -> dict[RowKey, list[str]]:
    """The columns of contacts that should hold nothing: no living purpose shows them, and what was there was ours."""
    emptied: dict[RowKey, list[str]] = {}
    for person in view.persons:
        key = CONTACT.logical_name, person.contact_id
        if key not in desired:
            continue
        kept = shown_columns(person, policy, now=now) | person.edited | desired[key].keys()
        adopted = view.adopted.get(key)
        names = CLEARABLE if adopted is None else _clearable(adopted.columns, adopted)
        emptied[key] = [name for name in names if name not in kept]
    return emptied


Step = tuple[Phase, Method, bool, dict[str, Any]]


def _plan_contact(
    columns: Mapping[str, Any], before: Mapping[str, Any] | None, adopted: AdoptedRow | None
) -> Iterable[Step]:
    if before is None:
        yield Phase.CONTACTS, Method.UPSERT, True, {**columns, **SHUT}
        before = {**columns, **SHUT}
    moves = _moves(columns, before)
    lowered = {
        name: shut
        for name, shut in SHUT.items()
        if name in columns and before.get(name) != shut and (moves or columns[name] == shut)
    }
    if lowered:
        yield Phase.LOWERING, Method.LOWER, False, lowered
    corrected = {n: v for n, v in columns.items() if n not in SHUT and before.get(n) != v}
    if corrected:
        yield Phase.CORRECTIONS, Method.PATCH, True, corrected
    if columns.get("donotbulkemail") is False and (moves or before.get("donotbulkemail") is not False):
        yield Phase.FLAGS, Method.PATCH, True, {"donotbulkemail": False}
    cleared = {name: None for name in _clearable(before, adopted) if name not in columns}
    if cleared:
        yield Phase.CLEARS, Method.PATCH, False, cleared


def _moves(columns: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether the contact gets another address, as one does that is handed on: it is shut, changed, and then opened.

    What was allowed at the one was not at the other.
    """
    old, new = before.get("emailaddress1"), columns.get("emailaddress1")
    # Nearly always the very same text, and reading an address takes as long as the rest of a contact's plan.
    return bool(old and new and old != new and canonical_address(old).key != canonical_address(new).key)


def _clearable(before: Mapping[str, Any], adopted: AdoptedRow | None) -> list[str]:
    """The columns that may be cleared: of a row that the CRM had by itself, those whose value is the one we wrote."""
    if adopted is None:
        return [name for name in CLEARABLE if name in before]
    names = (*CLEARABLE, "emailaddress1")
    return [name for name in names if name in before and adopted.written.get(name) == before[name]]


def _plan_consent(
    columns: Mapping[str, Any], before: Mapping[str, Any] | None, _adopted: AdoptedRow | None
) -> Iterable[Step]:
    opts_in = columns["msdynmkt_value"] == ConsentValue.OPTED_IN
    if before is None:
        yield Phase.CONSENTS if opts_in else Phase.LOWERING, Method.UPSERT, opts_in, dict(columns)
        return
    changed = {n: v for n, v in columns.items() if before.get(n) != v and n not in PROVENANCE}
    if changed and opts_in:
        yield Phase.CONSENTS, Method.PATCH, True, changed | {name: columns[name] for name in sorted(PROVENANCE)}
    elif changed:
        yield Phase.LOWERING, Method.UPSERT, False, dict(columns)


def _plan_registration(
    columns: Mapping[str, Any], before: Mapping[str, Any] | None, _adopted: AdoptedRow | None
) -> Iterable[Step]:
    if before is None:
        yield Phase.REGISTRATIONS, Method.UPSERT, True, dict(columns)
        return
    changed = {name: value for name, value in columns.items() if before.get(name) != value}
    if changed.get(CANCELLED) is True:
        # Alone: a contact or an event that the rest refers to may not be there yet.
        lowered = {name: changed.pop(name) for name in (CANCELLED, STATUS) if name in changed}
        yield Phase.LOWERING, Method.LOWER, False, lowered
    if changed:
        yield Phase.REGISTRATIONS, Method.PATCH, True, changed


def _plan_membership(
    columns: Mapping[str, Any], before: Mapping[str, Any] | None, _adopted: AdoptedRow | None
) -> Iterable[Step]:
    if before is None:
        yield Phase.FLAGS, Method.UPSERT, True, dict(columns)


_PLANNERS = {
    LIST_MEMBER.logical_name: _plan_membership,
    CONTACT.logical_name: _plan_contact,
    CONSENT.logical_name: _plan_consent,
    REGISTRATION.logical_name: _plan_registration,
}


def _remove(table: str, before: Mapping[str, Any], row_id: Any, stamp: dict[str, Any]) -> Iterable[Intent]:
    """Lower a row first, which waits for nothing; then remove it, which may wait for approval.

    Leaving a list is a lowering itself.
    """
    column, raised, shut = RAISED.get(table, (None, None, None))
    if column is not None and before.get(column) == raised:
        yield Intent(Phase.LOWERING, Method.LOWER, table, row_id, {column: shut}, False, **stamp)
    # A membership has no address but its list and contact.
    columns = dict(before) if table == LIST_MEMBER.logical_name else {}
    yield Intent(REMOVALS[table], Method.DELETE, table, row_id, columns, False, **stamp)


def _was_called_off(view: AddressView, registration_id: UUID) -> bool:
    """Whether a registration is cancelled, or deleted in the system it was made in, and not only over."""
    return any(one.registration_id == registration_id and one.status in CALLED_OFF for one in view.registrations)


def _call_off(before: Mapping[str, Any], row_id: UUID, stamp: dict[str, Any]) -> Iterable[Intent]:
    """Cancel a registration that is to be removed, which may wait for approval."""
    lowered = {
        name: value for name, value in {CANCELLED: True, STATUS: "cancelled"}.items() if before.get(name) != value
    }
    if before.get(CANCELLED) is not True:
        yield Intent(Phase.LOWERING, Method.LOWER, REGISTRATION.logical_name, row_id, lowered, False, **stamp)


def _let_go(table: str, adopted: AdoptedRow, row_id: Any, stamp: dict[str, Any]) -> Iterable[Intent]:
    """Take back what we wrote of a row that the CRM had by itself, and leave the rest of it."""
    column, raised, shut = RAISED.get(table, (None, None, None))
    if column is not None and adopted.written.get(column) == raised == adopted.columns.get(column):
        yield Intent(Phase.LOWERING, Method.LOWER, table, row_id, {column: shut}, False, **stamp)
    cleared = _clearable(adopted.columns, adopted) if table == CONTACT.logical_name else []
    if cleared:
        columns = dict.fromkeys(cleared)
        yield Intent(Phase.CLEARS, Method.PATCH, table, row_id, columns, False, **stamp)


def plan_occasion(
    occasion_pk: UUID, columns: Mapping[str, Any], before: Mapping[str, Any] | None, *, version: int
) -> list[Intent]:
    """The intents of one course or event: a new row in bulk, a changed one with its precondition."""
    changed = {name: value for name, value in columns.items() if before is None or before.get(name) != value}
    if not changed:
        return []
    method = Method.UPSERT if before is None else Method.PATCH
    return [
        Intent(
            Phase.OCCASIONS,
            method,
            EVENT.logical_name,
            occasion_pk,
            changed,
            occasion_pk=occasion_pk,
            planned_version=version,
        )
    ]


def _earliest_end(view: AddressView, now: datetime) -> datetime | None:
    ends = [
        ends_at
        for person in view.persons
        for name in living_purposes(person, now=now)
        if (ends_at := person.purposes[name]) is not None
    ]
    return min(ends, default=None)


def is_guarded(intent: Intent) -> bool:
    """Whether an intent counts against the blast radius: it raises, clears or deletes."""
    return intent.is_raising or intent.phase >= Phase.CLEARS

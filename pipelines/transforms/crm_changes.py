"""Changes read in the CRM: what is asked for, what is known of a row, how it differs, what that comes to. Pure.

What a change of a contact, a consent row or a registration means stands in crm_contacts, crm_consents and
crm_registrations; whose value of a column then stands, in ownership.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pipelines.transforms.readback import as_written, read_columns
from schemas.consent import Actor, Value
from schemas.policy import Policy, RegisteredProfile
from schemas.tables import CONSENT, CONTACT, REGISTRATION, TABLES

# The columns that we write and compare, by table.
TRACKED: dict[str, tuple[str, ...]] = {
    CONTACT.logical_name: ("firstname", "lastname", "emailaddress1", "mobilephone", "donotbulkemail", "followemail"),
    CONSENT.logical_name: tuple(CONSENT.columns),
    REGISTRATION.logical_name: tuple(REGISTRATION.columns),
}
# Ours alone: what somebody else puts there is put right, whoever owns the other columns. Asked for only where the policy
# names the column, for the CRM may not have it.
LINK = "crmi_preferencelink"
_BESIDE: dict[str, tuple[str, ...]] = {
    CONTACT.logical_name: ("emailaddress2", "emailaddress3", "donotemail", "merged", "_masterid_value"),
    CONSENT.logical_name: ("createdon",),
    REGISTRATION.logical_name: (),
}
INACTIVE = 1
# Marks in `edits` beside the columns: the row's state, and what stands on no column.
STATE, DO_NOT_EMAIL, MERGED, GONE, UNREGISTERED = "statecode", "donotemail", "merged", "gone", "unregistered"
# Of a contact of ours: beside its main address it bears one that is not to be mailed.
BESIDE = "beside"
# Of one that was merged away: others use it, and its owner has a task.
HANDED_OVER = "handed_over"


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A row as last known: its columns as written, who changed which of them when (ISO, UTC), whether we keep it."""

    columns: Mapping[str, Any]
    edits: Mapping[str, str]
    is_managed: bool
    contact_point_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class CrmDecision:
    """One decision about an address that a row of the CRM tells; topic None: the purpose as a whole."""

    table: str
    row_id: UUID
    address: str
    purpose: str
    topic: str | None
    value: Value
    actor: Actor
    at: datetime
    clock: str | None = None
    profile: RegisteredProfile | None = None
    reason: str = "crm"


@dataclass(frozen=True, slots=True)
class Noted:
    """What is to be remembered of a row; None clears a column or a mark. `keys`: canonical addresses it stands for."""

    table: str
    row_id: UUID
    columns: Mapping[str, Any]
    edits: Mapping[str, str | None] = field(default_factory=dict)
    keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that an operator is to know: what kind, of which row, about what."""

    kind: str
    table: str
    row_id: UUID
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """A contact of ours that was merged into another one; `columns` as it was put away, as written."""

    loser_id: UUID
    master_id: UUID
    at: datetime
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Split:
    """A contact that was merged into another one and that somebody made active again, with its columns as written."""

    row_id: UUID
    columns: Mapping[str, Any]
    at: datetime


@dataclass
class Told:
    """What some rows of the CRM come to."""

    decisions: list[CrmDecision] = field(default_factory=list)
    noted: list[Noted] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    merges: list[Merged] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    moves: list[tuple[UUID, str]] = field(default_factory=list)
    gone: list[tuple[str, UUID]] = field(default_factory=list)
    forgotten: list[tuple[str, UUID]] = field(default_factory=list)


def each_once(noted: Iterable[Noted]) -> list[Noted]:
    """What was noted of each row, together; the later note counts."""
    rows: dict[tuple[str, UUID], Noted] = {}
    for one in noted:
        before = rows.get((one.table, one.row_id))
        if before is not None:
            one = replace(
                one,
                columns={**before.columns, **one.columns},
                edits={**before.edits, **one.edits},
                keys=[*before.keys, *one.keys],
            )
        rows[one.table, one.row_id] = one
    return list(rows.values())


def selected_columns(table: str, policy: Policy) -> list[str]:
    """The columns to ask change tracking for, in a fixed order; a delta link is good for exactly these."""
    link = [LINK] if table == CONTACT.logical_name and policy.crm.preference_link_column is not None else []
    return [*read_columns(table, TRACKED[table]), *link, *_BESIDE[table], "statecode", "modifiedon"]


def as_tracked(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row that we write and compare, as written; the link only where it was asked for."""
    link = [LINK] if table == CONTACT.logical_name and LINK in row else []
    return as_written(table, row, [*TRACKED[table], *link])


def differences(table: str, row: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The tracked columns whose value is not the known one, as written; our own value coming back is no difference."""
    now = as_tracked(table, row)
    return {name: value for name, value in now.items() if before.get(name) != value}


def row_id_of(table: str, row: Mapping[str, Any]) -> UUID:
    """The primary key of a row as read."""
    return UUID(str(row[TABLES[table].primary_key]))


def modified_at(row: Mapping[str, Any]) -> datetime:
    """When the row was last changed in the CRM."""
    return instant(row["modifiedon"])


def instant(text: str) -> datetime:
    """An ISO time of the CRM, aware."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def state_edit(row: Mapping[str, Any], known: KnownRow | None) -> dict[str, str | None]:
    """The mark of a row that was deactivated, or its end."""
    was, is_inactive = known is not None and STATE in known.edits, row.get("statecode") == INACTIVE
    if is_inactive and not was:
        return {STATE: row["modifiedon"]}
    return {STATE: None} if was and not is_inactive else {}

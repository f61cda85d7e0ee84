"""Contacts of the CRM: what a change of one means. Pure.

A flag that forbids where it was not known to forbid is a withdrawal by staff; one that allows is no event.
`donotemail` would say more than we may write, so read as true it withdraws news of similar events too. Both are about
the person, and so about every address that the contact bears. A name set right is an edit. A contact that was merged
away is watched for two things: whether what we wrote of it still stands, and whether somebody makes it active again,
which takes the merge back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pipelines.transforms.adoption import ADDRESSES
from pipelines.transforms.crm_changes import (
    BESIDE,
    DO_NOT_EMAIL,
    INACTIVE,
    MERGED,
    CrmDecision,
    Finding,
    KnownRow,
    Merged,
    Noted,
    Split,
    Told,
    as_tracked,
    differences,
    instant,
    modified_at,
    row_id_of,
    state_edit,
)
from schemas.consent import Actor, Value
from schemas.policy import OWNED_COLUMNS
from schemas.tables import CONTACT

ADDRESS, FLAG = "emailaddress1", "donotbulkemail"
MARKETING, RELATED = "marketing", "related_events"
TABLE = CONTACT.logical_name


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of some contacts as written with their canonical keys, and which keys are not to be mailed."""

    keys: Mapping[str, str]
    suppressed: frozenset[str] = frozenset()

    def of(self, row: Mapping[str, Any]) -> list[str]:
        """The canonical addresses of a contact, each once; what is no address has none."""
        keys = [self.keys[str(row[name])] for name in ADDRESSES if str(row.get(name)) in self.keys]
        return list(dict.fromkeys(keys))

    def is_beside(self, row: Mapping[str, Any]) -> bool:
        """Whether a contact bears an address that is not to be mailed beside its main one."""
        main = self.keys.get(str(row.get(ADDRESS)))
        return any(key in self.suppressed and key != main for key in self.of(row))


def read_contact(row: Mapping[str, Any], known: KnownRow | None, told: Told, addresses: Addresses) -> None:
    """Add to `told` what a contact comes to."""
    if known is not None and MERGED in known.edits:
        _read_merged(row, known, told)
    elif known is not None and known.is_managed and _is_merged(row):
        columns = as_tracked(TABLE, row)
        master_id = UUID(str(row["_masterid_value"]))
        told.merges.append(Merged(row_id_of(TABLE, row), master_id, modified_at(row), columns))
    elif known is not None and known.is_managed:
        _read_ours(row, known, told, addresses)
    else:
        _read_other(row, known, told, addresses)


def _is_merged(row: Mapping[str, Any]) -> bool:
    """Whether it is put away as another one's; made active again it keeps the mark, and is its own."""
    return row.get("merged") is True and bool(row.get("_masterid_value")) and row.get("statecode") == INACTIVE


def _read_merged(row: Mapping[str, Any], known: KnownRow, told: Told) -> None:
    now = as_tracked(TABLE, row)
    if row.get("statecode") != INACTIVE:
        told.splits.append(Split(row_id_of(TABLE, row), now, modified_at(row)))
        return
    changed = {name: now[name] for name, value in known.columns.items() if name in now and now[name] != value}
    if changed:
        told.noted.append(Noted(TABLE, row_id_of(TABLE, row), changed))


def _read_ours(row: Mapping[str, Any], known: KnownRow, told: Told, addresses: Addresses) -> None:
    row_id, changed = row_id_of(TABLE, row), differences(TABLE, row, known.columns)
    edits: dict[str, str | None] = {name: row["modifiedon"] for name in changed if name in OWNED_COLUMNS}
    edits |= state_edit(row, known) | _do_not_email(row, known, told)
    edits |= beside_edit(addresses.is_beside(row), known.edits, row["modifiedon"])
    purposes = _forbidden(changed.get(FLAG) is True, edits.get(DO_NOT_EMAIL) is not None)
    borne = dict.fromkeys([known.columns.get(ADDRESS), *_written(row)])
    told.decisions += [_withdrawal(row, address, purpose) for address in borne if address for purpose in purposes]
    if changed.get(ADDRESS) and known.contact_point_id is not None:
        told.moves.append((known.contact_point_id, str(changed[ADDRESS])))
    if changed or edits:
        told.noted.append(Noted(TABLE, row_id, changed, edits))


def _read_other(row: Mapping[str, Any], known: KnownRow | None, told: Told, addresses: Addresses) -> None:
    """A contact that is not ours: its flag is remembered where it forbids, or ought to."""
    forbids, forbade = row.get(FLAG) is True, known is not None and known.columns.get(FLAG) is True
    edits = _do_not_email(row, known, told)
    keys = addresses.of(row)
    purposes = _forbidden(forbids and not forbade, edits.get(DO_NOT_EMAIL) is not None)
    told.decisions += [_withdrawal(row, address, purpose) for address in _written(row) for purpose in purposes]
    is_unheeded = not forbids and not addresses.suppressed.isdisjoint(keys)
    if edits or (known is None and (forbids or is_unheeded)) or (known is not None and forbids is not forbade):
        told.noted.append(Noted(TABLE, row_id_of(TABLE, row), {FLAG: forbids}, edits, keys))
    elif is_unheeded:
        told.noted.append(Noted(TABLE, row_id_of(TABLE, row), {FLAG: False}, {}, keys))


def _written(row: Mapping[str, Any]) -> list[str]:
    """The addresses of a contact as written, each once."""
    return list(dict.fromkeys(str(row[name]) for name in ADDRESSES if row.get(name)))


def _do_not_email(row: Mapping[str, Any], known: KnownRow | None, told: Told) -> dict[str, str | None]:
    """The mark of a contact to which no mail at all may go, or its end."""
    was = known is not None and DO_NOT_EMAIL in known.edits
    if row.get(DO_NOT_EMAIL) is True and not was:
        told.findings.append(Finding("do_not_email", TABLE, row_id_of(TABLE, row)))
        return {DO_NOT_EMAIL: row["modifiedon"]}
    return {DO_NOT_EMAIL: None} if was and row.get(DO_NOT_EMAIL) is not True else {}


def beside_edit(is_beside: bool, edits: Mapping[str, str], at: str) -> dict[str, str | None]:
    """The mark of a contact of ours that bears a suppressed address beside its main one, or its end."""
    if is_beside is (BESIDE in edits):
        return {}
    return {BESIDE: at if is_beside else None}


def _forbidden(by_flag: bool, by_do_not_email: bool) -> list[str]:
    if by_do_not_email:
        return [MARKETING, RELATED]
    return [MARKETING] if by_flag else []


def _withdrawal(row: Mapping[str, Any], address: str, purpose: str) -> CrmDecision:
    return CrmDecision(
        TABLE, row_id_of(TABLE, row), address, purpose, None, Value.WITHDRAW, Actor.STAFF, modified_at(row)
    )


def master_edits(master: Mapping[str, Any], loser: Mapping[str, Any], at: str) -> dict[str, str]:
    """Marks of the columns in which a contact that was not ours differs from the one that was merged into it.

    Whoever merged them chose these values then.
    """
    return {name: at for name in differences(TABLE, master, loser) if name in OWNED_COLUMNS}


def merged_flag(merge: Merged, master: Mapping[str, Any], address: str) -> CrmDecision | None:
    """The withdrawal for the merged contact's own address where the contact that survived forbids; no date but the merge."""
    if master.get(FLAG) is not True:
        return None
    at = instant(master["modifiedon"]) if master.get("modifiedon") else merge.at
    return CrmDecision(TABLE, merge.master_id, address, MARKETING, None, Value.WITHDRAW, Actor.STAFF, at)

"""Ownership: whose value of a column stands, the CRM's or that of a person's submissions. Pure.

By default the newest human act wins: what somebody set right in the CRM stands until the person says so again later.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipelines.transforms.crm_changes import GONE, instant
from schemas.policy import OWNED_COLUMNS, Owner, Policy

CANCELLED, STATUS = "msevtmgt_iscanceled", "msevtmgt_registrationstatus"


def held_columns(
    columns: Mapping[str, Any], edits: Mapping[str, str], told_at: Mapping[str, datetime | None], policy: Policy
) -> dict[str, Any]:
    """The values that somebody put into the CRM and that stand there; None where a column was emptied.

    `told_at` is, by column, the time of the submission that gave our value; None where none did.
    """
    return {
        name: columns.get(name)
        for name, at in edits.items()
        if name in OWNED_COLUMNS and _stands(policy.owner_of(name), instant(at), told_at.get(name))
    }


def _stands(owner: Owner, edited_at: datetime, told_at: datetime | None) -> bool:
    if owner is Owner.NEWEST:
        return told_at is None or edited_at >= told_at
    return owner is Owner.CRM


def held_registration(
    columns: Mapping[str, Any], edits: Mapping[str, str], told_at: datetime, policy: Policy
) -> dict[str, Any]:
    """As `held_columns`, of a registration: a cancellation in the CRM stands, taking one back there does not."""
    if CANCELLED in edits and columns.get(CANCELLED) is not True:
        return {}
    return held_columns(columns, edits, {CANCELLED: told_at, STATUS: told_at}, policy)


def is_gone(edits: Mapping[str, str], told_at: datetime) -> bool:
    """Whether somebody deleted the row in the CRM and no later version of it came since."""
    return GONE in edits and instant(edits[GONE]) >= told_at

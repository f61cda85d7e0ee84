"""Intents: what the plan wants of the CRM, row by row, in the order in which it may be sent.

Lowering goes first, over all tables, and nothing holds it back. A new contact is made shut (`donotbulkemail`), then its
consent rows are written, and its flag is raised last.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID


class Phase(IntEnum):
    """The order of writing: of an address, all of one phase is settled before the next begins."""

    LOWERING = 0
    CONTACTS = 1
    CONSENTS = 2
    OCCASIONS = 3
    REGISTRATIONS = 4
    CORRECTIONS = 5
    FLAGS = 6
    CLEARS = 7
    REMOVE_REGISTRATIONS = 8
    REMOVE_CONSENTS = 9
    REMOVE_CONTACTS = 10


class Method(StrEnum):
    """How an intent is sent: a new row or a lowering in bulk, an existing row with a precondition, a deletion."""

    UPSERT = "upsert"
    LOWER = "lower"
    PATCH = "patch"
    DELETE = "delete"


class IntentState(StrEnum):
    """Where an intent stands. `waiting` needs approval by name; `claimed` may or may not have reached the CRM."""

    WAITING = "waiting"
    PENDING = "pending"
    CLAIMED = "claimed"
    ACKNOWLEDGED = "acknowledged"
    SUPERSEDED = "superseded"
    REFUSED = "refused"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Intent:
    """One write. `planned_version` is the version of the address it was planned from, `valid_until` when a purpose that
    justifies it ends; if either has passed when it is claimed, it is superseded and planned anew.
    """

    phase: Phase
    method: Method
    table_name: str
    row_id: UUID
    columns: dict[str, Any] = field(default_factory=dict)
    is_raising: bool = False
    contact_point_id: UUID | None = None
    occasion_pk: UUID | None = None
    planned_version: int | None = None
    valid_until: datetime | None = None

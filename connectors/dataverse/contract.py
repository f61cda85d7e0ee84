"""The words that callers of the Dataverse client use: table names, results, change pages, metadata.

Plain values only; no protocol (odata.py, batch.py) and no sending (client.py).
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.errors import CrmError, CrmRowRefused

Row = Mapping[str, object]
"""One CRM row to write: column (or `Nav@odata.bind`) to value, primary key among them. None clears the column."""

Outcome = Literal["acknowledged", "refused", "conflict", "unresolved"]

NOT_EXECUTED = "not_executed"
"""`RowResult.code` of an unresolved row that is known not to have been executed (it was never sent, or rolled back)."""

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class TableName:
    """A table: `contacts`, `contact`, `contactid`. Names are case-sensitive on the server."""

    entity_set: str
    logical_name: str
    primary_key: str

    def __post_init__(self) -> None:
        for name in (self.entity_set, self.logical_name, self.primary_key):
            if not _NAME.fullmatch(name):
                raise ValueError("A table, entity set or column name may hold only letters, digits and underscores.")


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row of a write.

    - `acknowledged`: the CRM has it so (a deleted row may have been gone already).
    - `refused`: it will never be taken as it is; quarantine it with `code`.
    - `conflict`: the row is not what the plan thought (412, 404 and their kin); read it and decide.
    - `unresolved`: the write may or may not be committed; read the row back before anything else is sent for it.
      With `code == NOT_EXECUTED` it certainly was not, and it may go again later.

    `status` and `code` are the server's (None when no answer came); `request_id` is for its support.
    """

    row_id: str
    outcome: Outcome
    status: int | None = None
    code: str | None = None
    request_id: str | None = None

    @classmethod
    def unsent(cls, row_id: str, error: CrmError) -> "RowResult":
        """Of a row that was not sent, for an error that came after other rows of its call had been."""
        return cls(row_id, "unresolved", error.status, NOT_EXECUTED, error.request_id)


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """The application user behind the token; `dop_hint` is the parallelism that the server recommends, if it did."""

    user_id: str
    organization_id: str
    dop_hint: int | None


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Rows changed and ids deleted since the last delta link; `delta_link` is set on the last page only.

    A first synchronisation lists every row and no deletion. The link may be stored once every page before it is.
    """

    rows: list[dict[str, object]]
    deleted_ids: list[str]
    delta_link: str | None = None


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """What a table admits, for validation and for the doctor.

    `columns` maps a column, or the case-sensitive name of a navigation property, to `type` (Dataverse's attribute type,
    with `DateOnly`, `MultiSelectPicklist` and `Navigation` told apart), `is_writable` and `is_secured` (by column
    security), and where they apply `max_length` (UTF-16 units) and `options`.
    """

    table: TableName
    columns: dict[str, dict[str, object]]
    is_change_tracked: bool
    has_optimistic_concurrency: bool


def canonical_id(value: object) -> str:
    """A row id as the lower-case GUID that Dataverse answers with; `CrmRowRefused` for anything else."""
    if isinstance(value, str) and _GUID.fullmatch(value):
        return value
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise CrmRowRefused("A row id is not a GUID. Remedy: give rows the GUID of their primary key.") from None


def row_ids(table: TableName, rows: Sequence[Row]) -> list[str]:
    """The primary keys of rows in their order; `CrmRowRefused` where one is missing or comes twice.

    Refused before sending: UpsertMultiple fails as a whole on a duplicate, UpdateMultiple drops all but the first.
    """
    return unique_ids([row.get(table.primary_key) for row in rows])


def unique_ids(values: Sequence[object]) -> list[str]:
    """Canonical ids in their order; `CrmRowRefused` when one comes twice."""
    ids = [canonical_id(value) for value in values]
    if len(set(ids)) != len(ids):
        raise CrmRowRefused("One row comes twice in a chunk. Remedy: merge the intents of a row before sending.")
    return ids

"""Registrations of the CRM: what a change of one means. Pure."""

from collections.abc import Mapping
from typing import Any

from pipelines.transforms.crm_changes import KnownRow, Noted, Told, differences, row_id_of
from schemas.policy import OWNED_COLUMNS
from schemas.tables import REGISTRATION

TABLE = REGISTRATION.logical_name


def read_registration(row: Mapping[str, Any], known: KnownRow | None, told: Told) -> None:
    """Add to `told` what a registration of ours comes to; others are nobody's business here."""
    if known is None or not known.is_managed:
        return
    changed = differences(TABLE, row, known.columns)
    edits = {name: row["modifiedon"] for name in changed if name in OWNED_COLUMNS}
    if changed:
        told.noted.append(Noted(TABLE, row_id_of(TABLE, row), changed, edits))

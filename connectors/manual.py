"""Entries taken down by staff: by e-mail, phone or in a meeting. One entry typed in becomes a batch of its own here.

Lists that staff keep in a spreadsheet come through connectors.files like any other file.
"""

from collections.abc import Mapping as Cells
from datetime import datetime

import orjson

from connectors.batches import delivered_batch
from connectors.decoders import MediaType
from schemas.errors import MappingError
from schemas.mappings import Mapping, Source
from schemas.records import ReceivedBatch


def typed_entry(
    mapping: Mapping, cells: Cells[str, str | None], *, now: datetime, timezone: str, nth: int = 1
) -> ReceivedBatch:
    """The batch of one entry, its cells by the mapping's columns; columns that were left blank are blank.

    The `nth` of equal entries comes after those before it, as in a list: so it is a submission of its own. Raises
    MappingError for a column that the mapping does not read, or a feed that is no manual one.
    """
    if mapping.source is not Source.MANUAL:
        raise MappingError(
            f"Feed {mapping.feed} is of {mapping.source}: entries are typed into a feed of {Source.MANUAL}."
        )
    known = sorted(mapping.mapped_columns())
    if unknown := sorted(set(cells) - set(known)):
        raise MappingError(f"Feed {mapping.feed} reads no column {', '.join(unknown)}. It reads {', '.join(known)}.")
    row = {column: cells.get(column) or "" for column in known}
    payload = orjson.dumps(row if nth == 1 else [row] * nth)
    return delivered_batch(mapping, MediaType.JSON, payload, received_at=now, timezone=timezone)

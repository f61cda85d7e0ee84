"""Redaction: a landed batch without some of its rows; the rest can be replayed as before.

The erased rows stand there blank, so that the numbers by which quarantine, outcomes and mended cells know the others
stay right; they are passed over when the batch is read. Wholly blank rows are nothing that a source delivers.
"""

from collections.abc import Sequence
from uuid import UUID

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection

from connectors.decoders import MediaType, decode
from connectors.store import batches
from connectors.store.arrow_columns import table_from_frame
from connectors.store.batches import BatchRow
from connectors.store.landing import get_payload, replace_payload
from connectors.store.mending import delete_mended
from pipelines.operations.sessions import Session
from schemas.mappings import OWN_COLUMNS, ROW_NO


def without_erased(raw: pd.DataFrame) -> pd.DataFrame:
    """The rows of one batch that were not erased; where some were, each with the number that it has in the batch."""
    is_erased = erased_rows(raw)
    if not is_erased.any():
        return raw
    numbers = pd.Series(range(1, len(raw) + 1), index=raw.index).astype("str")
    return raw.assign(**{ROW_NO: numbers})[~is_erased].reset_index(drop=True)


def erased_rows(raw: pd.DataFrame) -> pd.Series:
    """Which rows stand there blank."""
    delivered = [name for name in raw.columns if name not in OWN_COLUMNS]
    return raw[delivered].isna().all(axis=1) if delivered else pd.Series(False, index=raw.index)


def decoded(session: Session, conn: Connection, batch: BatchRow) -> pd.DataFrame:
    """A landed batch as its raw frame; BatchRefused where it is not there or cannot be understood."""
    payload = get_payload(conn, batch.batch_id, keys=session.workspace.keys)
    return decode(batch.media_type, payload, session.workspace.mappings[batch.feed])


def redact(session: Session, conn: Connection, batch: BatchRow, raw: pd.DataFrame, *, gone: pd.Series) -> None:
    """Put the batch with the rows of `gone` (true for each that goes) blank in the place of what was received."""
    blanked = raw.copy()
    blanked.loc[gone.to_numpy(), :] = None
    table = table_from_frame(blanked)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    replace_payload(conn, sink.getvalue().to_pybytes(), batch.batch_id, keys=session.workspace.keys)
    delete_mended(conn, batch.batch_id, [number for number, is_gone in enumerate(gone, 1) if is_gone])
    batches.set_media_type(conn, batch.batch_id, str(MediaType.ARROW))


def redact_refused(session: Session, conn: Connection, batch_ids: Sequence[UUID]) -> None:
    """Take the rows that a merge refused because they were erased out of the landing as well."""
    for batch_id, row_nos in batches.erased_rows(conn, batch_ids).items():
        batch = batches.get_batch(conn, batch_id)
        raw = decoded(session, conn, batch)
        numbers = pd.Series(range(1, len(raw) + 1), index=raw.index)
        gone = numbers.isin(row_nos)
        if (gone & ~erased_rows(raw)).any():
            redact(session, conn, batch, raw, gone=gone)

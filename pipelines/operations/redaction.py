"""Redaction: a landed batch without some of its rows, under a key of its own; the rest can be replayed as before.

The rows that stay keep the numbers they had, so that quarantine and outcomes still point at them.
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
from pipelines.operations.sessions import Session
from schemas.mappings import BATCH_ID, ROW_NO


def row_numbers(raw: pd.DataFrame) -> pd.Series:
    """The number of each row in its batch as received, from 1, whatever was erased from it since."""
    if ROW_NO in raw.columns:
        return raw[ROW_NO].astype("int64")
    if BATCH_ID in raw.columns:
        return raw.groupby(BATCH_ID, sort=False).cumcount() + 1
    return pd.Series(range(1, len(raw) + 1), index=raw.index, dtype="int64")


def decoded(session: Session, conn: Connection, batch: BatchRow) -> pd.DataFrame:
    """A landed batch as its raw frame; BatchRefused where it is not there or cannot be understood."""
    payload = get_payload(conn, batch.batch_id, keys=session.workspace.keys)
    return decode(batch.media_type, payload, session.workspace.mappings[batch.feed])


def redact(session: Session, conn: Connection, batch: BatchRow, raw: pd.DataFrame, *, gone: pd.Series) -> None:
    """Put the batch without the rows of `gone` (true for each that goes) in the place of what was received."""
    kept = raw.assign(**{ROW_NO: row_numbers(raw).astype("str")})[~gone.to_numpy()].reset_index(drop=True)
    sink = pa.BufferOutputStream()
    table = table_from_frame(kept)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    replace_payload(conn, sink.getvalue().to_pybytes(), batch.batch_id, keys=session.workspace.keys)
    batches.set_media_type(conn, batch.batch_id, str(MediaType.ARROW))


def redact_refused(session: Session, conn: Connection, batch_ids: Sequence[UUID]) -> None:
    """Take the rows that a merge refused because they were erased out of the landing as well."""
    for batch_id, row_nos in batches.erased_rows(conn, batch_ids).items():
        batch = batches.get_batch(conn, batch_id)
        raw = decoded(session, conn, batch)
        gone = row_numbers(raw).isin(row_nos)
        if gone.any():
            redact(session, conn, batch, raw, gone=gone)

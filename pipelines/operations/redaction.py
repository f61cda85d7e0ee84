"""Redaction: a landed batch without some of its rows; the rest can be replayed as before.

The erased rows stand there blank, so that the numbers by which quarantine, outcomes and mended cells know the others
stay right; they are passed over when the batch is read. Wholly blank rows are nothing that a source delivers. Of a payment that
finance has not taken yet its columns stay, in a row that is marked, until it has: accounting law keeps them.
"""

from collections.abc import Collection, Sequence
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
from pipelines.operations.merging import as_merger
from pipelines.operations.sessions import Session
from pipelines.transforms.columns import under_mapped_names
from schemas.arrangements import PART
from schemas.mappings import ERASED, OWN_COLUMNS, ROW_NO, Mapping


def without_erased(raw: pd.DataFrame) -> pd.DataFrame:
    """The rows of one batch that were not erased; where some were, each with the number that it has in the batch."""
    is_erased = erased_rows(raw)
    if not is_erased.any():
        return raw
    numbers = pd.Series(range(1, len(raw) + 1), index=raw.index).astype("str")
    left = raw.drop(columns=ERASED, errors="ignore").assign(**{ROW_NO: numbers})
    return left[~is_erased].reset_index(drop=True)


def erased_rows(raw: pd.DataFrame) -> pd.Series:
    """Which rows stand there blank, or marked."""
    delivered = [name for name in raw.columns if name not in OWN_COLUMNS]
    blank = raw[delivered].isna().all(axis=1) if delivered else pd.Series(False, index=raw.index)
    return blank | raw[ERASED].notna() if ERASED in raw.columns else blank


def decoded(session: Session, conn: Connection, batch: BatchRow) -> pd.DataFrame:
    """A landed batch as its raw frame; BatchRefused where it is not there or cannot be understood."""
    payload = get_payload(conn, batch.batch_id, keys=session.workspace.keys)
    return decode(batch.media_type, payload, session.workspace.mappings[batch.feed])


def redact(session: Session, conn: Connection, batch: BatchRow, raw: pd.DataFrame, *, gone: pd.Series) -> None:
    """Put the batch with the rows of `gone` (true for each that goes) blank in the place of what was received."""
    mapping = session.workspace.mappings[batch.feed]
    is_gone = gone.to_numpy()
    blanked = raw.copy()
    blanked.loc[is_gone, :] = None
    owed = is_gone & _is_owed(raw, mapping).to_numpy()
    if owed.any():
        kept = _titles(raw, mapping, _kept_columns(mapping))
        blanked.loc[owed, kept] = raw.loc[owed, kept]
        blanked = blanked.assign(
            **{ERASED: raw.get(ERASED, pd.Series(None, index=raw.index, dtype="str")).mask(owed, "yes")}
        )
    _put(session, conn, batch, blanked)
    delete_mended(conn, batch.batch_id, [number for number, is_gone in enumerate(gone, 1) if is_gone])


def release_taken(session: Session, batch_id: UUID) -> None:
    """Blank what was left for finance of a batch's erased rows: it has read the batch."""
    with as_merger(session), session.transaction() as conn:
        batch = batches.get_batch(conn, batch_id)
        if batch.media_type != MediaType.OWED_ARROW:
            return
        raw = decoded(session, conn, batch)
        blanked = raw.drop(columns=ERASED)
        blanked.loc[raw[ERASED].notna().to_numpy(), :] = None
        _put(session, conn, batch, blanked)


def _is_owed(raw: pd.DataFrame, mapping: Mapping) -> pd.Series:
    """Which rows have anything in a column that is finance's alone."""
    finances = mapping.finance_columns()
    own = _titles(raw, mapping, finances - mapping.mapped_columns() or finances)
    return raw[own].notna().any(axis=1)


def _kept_columns(mapping: Mapping) -> frozenset[str | None]:
    """What finance reads of a row: its own columns, and by what it knows the record and its day."""
    known_by = {*mapping.key, PART, mapping.submitted_at.column}
    return mapping.finance_columns() | known_by | ({mapping.table.key} if mapping.table else set())


def _titles(raw: pd.DataFrame, mapping: Mapping, columns: Collection[str | None]) -> list[str]:
    """The frame's own titles of a mapping's columns."""
    names = under_mapped_names(raw, mapping).columns
    return [str(title) for title, name in zip(raw.columns, names, strict=True) if name in columns]


def _put(session: Session, conn: Connection, batch: BatchRow, raw: pd.DataFrame) -> None:
    table = table_from_frame(raw)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    replace_payload(conn, sink.getvalue().to_pybytes(), batch.batch_id, keys=session.workspace.keys)
    media_type = MediaType.OWED_ARROW if ERASED in raw.columns else MediaType.ARROW
    batches.set_media_type(conn, batch.batch_id, str(media_type))


def redact_refused(session: Session, conn: Connection, batch_ids: Sequence[UUID]) -> None:
    """Take the rows that a merge refused because they were erased out of the landing as well."""
    for batch_id, row_nos in batches.erased_rows(conn, batch_ids).items():
        batch = batches.get_batch(conn, batch_id)
        raw = decoded(session, conn, batch)
        numbers = pd.Series(range(1, len(raw) + 1), index=raw.index)
        gone = numbers.isin(row_nos)
        if (gone & ~erased_rows(raw)).any():
            redact(session, conn, batch, raw, gone=gone)

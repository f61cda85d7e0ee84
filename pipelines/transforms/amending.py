"""Mended cells put into a raw frame, and some rows of it taken by themselves. Who a row is does not change by it.

A row is known by its key; one without a key by a hash of its cells as they were received, so that what is mended in it
does not make another submission of it.
"""

from collections.abc import Collection, Sequence

import pandas as pd

from pipelines.transforms.columns import force_columns
from pipelines.transforms.fingerprints import keyed_rows, submission_ids
from schemas.mappings import BATCH_ID, ROW_NO, SUBMISSION_ID, Mapping

# Row of the batch, from 1; the source's own title; what stood there as received, and the new value: None for blank.
Cell = tuple[int, str, str | None, str | None]


def with_mended_cells(raw: pd.DataFrame, cells: Sequence[Cell], mapping: Mapping) -> pd.DataFrame:
    """The raw frame of one batch with these cells in place of its own.

    A cell that does not hold what it held when it was mended is let be: another mapping may number the rows otherwise.
    """
    placed = [(row, title, value) for row, title, received, value in cells if _holds(raw, row, title, received)]
    if not placed:
        return raw
    received = _received_ids(raw, mapping)
    mended = raw.copy()
    for row, title, value in placed:
        mended.loc[mended.index[row - 1], title] = value
    is_keyed = keyed_rows(force_columns(mended, mapping).frame, mapping)
    return mended.assign(**{SUBMISSION_ID: received.mask(is_keyed)})


def only_rows(raw: pd.DataFrame, row_nos: Collection[int], mapping: Mapping) -> pd.DataFrame:
    """The given rows (from 1) of one batch's raw frame, each still with its number and the id it has in the whole."""
    known = raw[SUBMISSION_ID] if SUBMISSION_ID in raw.columns else pd.Series(None, index=raw.index, dtype="str")
    whole = raw.assign(
        **{
            SUBMISSION_ID: known.fillna(_received_ids(raw, mapping)),
            ROW_NO: pd.Series(range(1, len(raw) + 1), index=raw.index).astype("str"),
        }
    )
    return whole.iloc[[row - 1 for row in sorted(set(row_nos)) if row <= len(raw)]].reset_index(drop=True)


def _holds(raw: pd.DataFrame, row: int, title: str, received: str | None) -> bool:
    if row > len(raw) or title not in raw.columns:
        return False
    held = raw[title].iloc[row - 1]
    return bool(held == received if isinstance(held, str) else received is None)


def _received_ids(raw: pd.DataFrame, mapping: Mapping) -> pd.Series:
    cells = force_columns(raw, mapping).frame
    return submission_ids(cells, mapping, batch_ids=raw[BATCH_ID])

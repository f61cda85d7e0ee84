"""Mending quarantined rows: one cell by hand, or many in a workbook that the owner of the form fills in and sends back.

A mended cell is kept encrypted beside the landed batch with who mended it and why, and the row is read again with it.
What writes and reads workbooks is imported where it is used: mending a cell does not wait for it.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pandas as pd

from connectors.store import batches
from connectors.store.mending import Entries, MendedCell, put_mended, read_quarantine
from pipelines.operations.quarantine import (
    Filter,
    find_entry,
    list_entries,
    mapping_of,
    read_rows,
    retry_rows,
    shown_titles,
    signed,
)
from pipelines.operations.sessions import Session
from schemas.errors import BatchRefused, ConfigurationError
from schemas.mappings import Mapping

if TYPE_CHECKING:
    from connectors.mending_workbooks import Baseline, MendingRow

MOST_ROWS = 20_000

# The row of a batch, from 1; the delivered title; the new value, None for blank.
Change = tuple[int, str, str | None]


@dataclass(frozen=True, slots=True)
class Mended:
    """How many cells and rows were mended, and how many entries of those rows are open still.

    `run_id`: the run that read them again. `still_undone` of the rows are of undone batches, which the same mapping does not
    read: they are mended, and read with the batch once its mapping is.
    """

    cells: int
    rows: int
    still_open: int
    run_id: UUID
    still_undone: int = 0


def mend(session: Session, entry_id: int, *, column: str | None, value: str, signature: tuple[str, str]) -> Mended:
    """Put a new value (blank: '') into the entry's column, or another one of its row, and read the row again.

    `signature` is who mends it and why. ConfigurationError where the mapping reads no such column.
    """
    signature = signed(*signature)
    entry = find_entry(session, entry_id)
    mapping = mapping_of(session, entry["feed"])
    asked = column or entry["column_title"]
    if asked is None:
        raise ConfigurationError(f"Entry {entry_id} belongs to no column. Name the one to mend with --field TITLE.")
    raw = read_rows(session, entry["batch_id"], mapping, as_received=True)
    change = (entry["row_no"], _delivered_title(raw, asked, mapping), value.strip() or None)
    return _mend_rows(session, {entry["batch_id"]: [_cell(raw, change)]}, signature)


def export_workbook(session: Session, feed: str, path: Path) -> int:
    """Write the open rows of a feed into an XLSX workbook for the owner of the form; returns how many.

    It holds people's data: only the columns that the mapping reads, and only rows with something wrong.
    """
    from connectors.mending_workbooks import Baseline, write_workbook

    mapping = mapping_of(session, feed)
    if session.reading is not None:
        session.reading.about = f"feed {feed}"
    wrong: dict[tuple[UUID, int], list[dict[str, Any]]] = defaultdict(list)
    for entry in list_entries(session, Filter(feed=feed, limit=MOST_ROWS)):
        wrong[entry["batch_id"], entry["row_no"]].append(entry)
    frames = {batch_id: _readable(session, batch_id, mapping) for batch_id in {batch for batch, _ in wrong}}
    rows = [
        _mending_row(frame, place, entries, mapping)
        for place, entries in wrong.items()
        if (frame := frames[place[0]]) is not None
    ]
    titles = list(dict.fromkeys(title for row in rows for title in row.cells))
    write_workbook(path, Baseline(feed, titles, rows))
    return len(rows)


def import_workbook(session: Session, path: Path, *, by: str) -> Mended:
    """Take in what was changed in an exported workbook, and read those rows again. BatchRefused where it is none."""
    from connectors.mending_workbooks import read_workbook

    signature = signed(by, "mended by the owner of the form, in a workbook")
    baseline, filled = read_workbook(path)
    mapping = mapping_of(session, baseline.feed)
    _refuse_strangers(session, baseline)
    changes: dict[UUID, list[Change]] = defaultdict(list)
    read = shown_titles(baseline.titles, mapping)
    for row in baseline.rows:
        for title, value in filled.get((row.batch_id, row.row_no), row.cells).items():
            if title in read and value != row.cells.get(title):
                changes[row.batch_id].append((row.row_no, title, value))
    frames = {batch_id: read_rows(session, batch_id, mapping, as_received=True) for batch_id in changes}
    cells = {batch_id: [_cell(frames[batch_id], change) for change in changed] for batch_id, changed in changes.items()}
    return _mend_rows(session, cells, signature)


def _cell(received: pd.DataFrame, change: Change) -> MendedCell:
    row_no, title, value = change
    held = received[title].iloc[row_no - 1]
    return MendedCell(row_no, title, held if isinstance(held, str) else None, value)


def _mend_rows(session: Session, cells: dict[UUID, list[MendedCell]], signature: tuple[str, str]) -> Mended:
    still_open = rows = still_undone = 0
    for batch_id, mended in cells.items():
        with session.transaction() as conn:
            put_mended(conn, batch_id, mended, keys=session.workspace.keys, signed=signature)
        row_nos = sorted({cell.row_no for cell in mended})
        if not retry_rows(session, batch_id, row_nos):
            still_undone += len(row_nos)
        with session.transaction() as conn:
            left = read_quarantine(conn, Entries(batch=batch_id, limit=MOST_ROWS))
        still_open += sum(entry["row_no"] in row_nos for entry in left)
        rows += len(row_nos)
    return Mended(sum(map(len, cells.values())), rows, still_open, session.run_id, still_undone)


def _delivered_title(raw: pd.DataFrame, asked: str, mapping: Mapping) -> str:
    """The title in the delivery itself of a column that the mapping reads."""
    wanted = shown_titles([asked], mapping).get(asked)
    found = [title for title, name in shown_titles(raw.columns, mapping).items() if name == wanted]
    if not found:
        raise ConfigurationError(f"Feed {mapping.feed} reads no column {asked!r}. See `crm-intake quarantine show`.")
    return str(found[0])


def _readable(session: Session, batch_id: UUID, mapping: Mapping) -> pd.DataFrame | None:
    """The rows of a batch; None where the landing has let it go, or the mapping reads it no more."""
    with session.transaction() as conn:
        if not batches.replayable(conn, [batch_id]):
            return None
    try:
        return read_rows(session, batch_id, mapping)
    except BatchRefused:
        return None


def _mending_row(
    frame: pd.DataFrame, place: tuple[UUID, int], entries: list[dict[str, Any]], mapping: Mapping
) -> "MendingRow":
    from connectors.mending_workbooks import MendingRow

    batch_id, row_no = place
    row = frame.iloc[row_no - 1]
    titles = shown_titles(frame.columns, mapping)
    bad = {entry["column_title"] for entry in entries}
    return MendingRow(
        batch_id=batch_id,
        row_no=row_no,
        wrong=" ".join(dict.fromkeys(f"{one['field']}: {one['what']} {one['remedy']}" for one in entries)),
        bad_titles=frozenset(title for title, name in titles.items() if name in bad),
        cells={title: None if row[title] != row[title] else row[title] for title in titles},
    )


def _refuse_strangers(session: Session, baseline: "Baseline") -> None:
    """Raises where a row of the workbook is no quarantined one of its feed (any more known)."""
    with session.transaction() as conn:
        known = read_quarantine(conn, Entries(state=None, feeds=[baseline.feed], limit=1_000_000))
    places = {(entry["batch_id"], entry["row_no"]) for entry in known}
    strangers = sum((row.batch_id, row.row_no) not in places for row in baseline.rows)
    if strangers:
        raise ConfigurationError(
            f"{strangers} rows of the workbook are not quarantined rows of feed {baseline.feed}. Export it again."
        )

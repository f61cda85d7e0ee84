"""Erasing people from the landing: every batch that is there is searched, and kept without their rows.

A row is a person's by its address and name as the feed's mapping reads them, by its submission, or by having the address
in some cell where it names nobody else's. In a row of somebody else the cell that has the address is emptied. Finance's own
feeds are left: accounting law keeps what they bring.
"""

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from uuid import UUID

import pandas as pd
from sqlalchemy import Connection

from connectors.store import batches
from connectors.store.batches import BatchRow
from connectors.store.erasure import Found
from connectors.store.mending import get_mended
from pipelines.operations.redaction import decoded, redact
from pipelines.operations.sessions import Session
from pipelines.transforms.amending import with_mended_cells
from pipelines.transforms.shape import shape_lowering
from schemas.errors import BatchRefused
from schemas.mappings import BATCH_ID, Source


@dataclass
class Searched:
    """Rows taken out, and the batches that could not be searched."""

    rows: int = 0
    unsearchable: list[UUID] = field(default_factory=list)


def erase_landed(session: Session, found: Sequence[Found]) -> Searched:
    """Take the rows of the people out of every landed batch, one batch in one transaction."""
    searched = Searched()
    with session.transaction() as conn:
        landed = batches.landed_with_payload(conn)
    for batch in landed:
        _erase_from(session, batch, found, searched)
    return searched


def is_landed(session: Session, found: Found) -> bool:
    """Whether any landed batch has a row of these people, or has their address in somebody else's."""
    with session.transaction() as conn:
        return any(_has(session, conn, batch, found) for batch in batches.landed_with_payload(conn))


def _has(session: Session, conn: Connection, batch: BatchRow, found: Found) -> bool:
    mapping = session.workspace.mappings.get(batch.feed)
    if mapping is None or mapping.source is Source.FINANCE:
        return False
    try:
        raw = decoded(session, conn, batch)
        theirs = rows_of(session, batch, mended(session, conn, batch, raw), [found])
    except BatchRefused:
        return False
    return bool(theirs.any() or mentions(raw[~theirs], [found.scope.address_key]).to_numpy().any())


def _erase_from(session: Session, batch: BatchRow, found: Sequence[Found], searched: Searched) -> None:
    mapping = session.workspace.mappings.get(batch.feed)
    if mapping is not None and mapping.source is Source.FINANCE:
        return
    if mapping is None:
        searched.unsearchable.append(batch.batch_id)
        return
    with session.transaction() as conn:
        try:
            raw = decoded(session, conn, batch)
            theirs = rows_of(session, batch, mended(session, conn, batch, raw), found)
        except BatchRefused:
            searched.unsearchable.append(batch.batch_id)
            return
        mentioned = mentions(raw[~theirs], [one.scope.address_key for one in found if one.scope.is_whole])
        if theirs.any() or mentioned.to_numpy().any():
            redact(session, conn, batch, raw.mask(mentioned.reindex(raw.index, fill_value=False)), gone=theirs)
            batches.forget_rows(conn, batch.batch_id, [number for number, gone in enumerate(theirs, 1) if gone])
            searched.rows += int(theirs.sum())


def mended(session: Session, conn: Connection, batch: BatchRow, raw: pd.DataFrame) -> pd.DataFrame:
    """A raw frame with what somebody put in the place of quarantined values."""
    cells = get_mended(conn, batch.batch_id, keys=session.workspace.keys)
    placed = raw.assign(**{BATCH_ID: str(batch.batch_id)})
    return with_mended_cells(placed, [astuple(cell) for cell in cells], session.workspace.mappings[batch.feed])


def rows_of(session: Session, batch: BatchRow, raw: pd.DataFrame, found: Sequence[Found]) -> pd.Series:
    """Which rows of a raw frame are these people's."""
    theirs = pd.Series(False, index=raw.index)
    if raw.empty:
        return theirs
    policy, mapping = session.workspace.policy, session.workspace.mappings[batch.feed]
    shaped = shape_lowering(raw, mapping, received_at=batch.received_at, policy=policy).submissions
    for one in found:
        ids = [submission_id for source, submission_id in one.submissions if source == batch.source]
        is_there = (shaped["address_key"] == one.scope.address_key).fillna(False)
        if not one.scope.is_whole:
            is_there &= shaped["given_key"].fillna("").isin(one.given_keys)
        theirs |= (is_there | shaped["submission_id"].isin(ids)).to_numpy(dtype=bool)
        if one.scope.is_whole:
            named = mentions(raw, [one.scope.address_key]).any(axis=1).to_numpy()
            theirs |= named & shaped["address_key"].isna().to_numpy()
    return theirs


def mentions(raw: pd.DataFrame, address_keys: Sequence[str]) -> pd.DataFrame:
    """Which cells have one of the addresses in them, as an address of its own and not as the end of a longer one."""
    found = pd.DataFrame(False, index=raw.index, columns=raw.columns)
    for key in address_keys:
        pattern = rf"(?<![\w.%+-]){re.escape(key)}(?![\w-]|\.\w)"
        for name in raw.columns:
            text = raw[name].astype("str")
            found[name] |= text.str.contains(pattern, regex=True, flags=re.IGNORECASE).fillna(False).astype(bool)
    return found

"""Reading landed batches one after another, the next ones being decoded meanwhile. Bytes in, raw frames out.

What cannot be read is told to whoever asked, who stops it; nothing is judged or written here.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from uuid import UUID

import pandas as pd

from connectors.decoders import MediaType, decode, questions_in
from connectors.store import batches
from connectors.store.batches import BatchRow
from connectors.store.landing import get_payload
from connectors.store.mending import MendedCell, get_mended
from connectors.store.questions import Questions
from pipelines.operations.redaction import without_erased
from pipelines.operations.sessions import Session
from pipelines.transforms.amending import with_mended_cells
from schemas.errors import BatchRefused
from schemas.mappings import BATCH_ID, RECEIVED_AT, Mapping

# Batches being decoded while another is shaped: as many as cores in the smallest machine this is made for.
DECODED_AHEAD = 2
# Of large ones fewer, by what they may take when decoded: a workbook is several times what it is packed.
AHEAD_BYTES, UNPACKED_TIMES = 48 << 20, 8


@dataclass(frozen=True)
class Decoded:
    """A batch's raw frame, the questions of its form, and about how many bytes of text it holds (0: nobody asked)."""

    batch: BatchRow
    raw: pd.DataFrame
    questions: Questions
    size: int = 0


def iter_decoded(
    session: Session, batch_ids: Sequence[UUID], *, refuse: Callable[[BatchRow, BatchRefused], None]
) -> Iterator[Decoded]:
    """The batches that can be decoded, in the order given; `refuse` is told of the others, in their turn.

    The next ones are decoded meanwhile: a workbook is read by a process of its own, for which nobody has to wait.
    """
    ahead: deque[_Ahead] = deque()
    with ThreadPoolExecutor(DECODED_AHEAD + 1, thread_name_prefix="decoder") as pool:
        for batch_id in batch_ids:
            with session.transaction() as conn:
                batch = batches.get_batch(conn, batch_id)
            try:
                payload, cells = landed_payload(session, batch_id)
            except BatchRefused as refused:
                refuse(batch, refused)
                continue
            size = _size(batch, payload)
            while ahead and size + sum(one.size for one in ahead) > AHEAD_BYTES:
                yield from _taken(ahead.popleft(), refuse)
            mapping = session.workspace.mappings[batch.feed]
            ahead.append(_Ahead(batch, size, pool.submit(_decoded, batch, payload, cells, mapping)))
            if len(ahead) > DECODED_AHEAD:
                yield from _taken(ahead.popleft(), refuse)
        while ahead:
            yield from _taken(ahead.popleft(), refuse)


@dataclass(frozen=True)
class _Ahead:
    """A batch that is being decoded, and about how many bytes of text it holds."""

    batch: BatchRow
    size: int
    decoding: Future[Decoded]


def _size(batch: BatchRow, payload: bytes) -> int:
    return len(payload) * (UNPACKED_TIMES if batch.media_type == MediaType.XLSX else 1)


def landed_payload(session: Session, batch_id: UUID) -> tuple[bytes, list[MendedCell]]:
    """A batch's payload and its mended cells, as they are now. BatchRefused where the landing has none (any more)."""
    with session.transaction() as conn:
        payload = get_payload(conn, batch_id, keys=session.workspace.keys)
        return payload, get_mended(conn, batch_id, keys=session.workspace.keys)


def _decoded(batch: BatchRow, payload: bytes, cells: Sequence[MendedCell], mapping: Mapping) -> Decoded:
    raw = decode(batch.media_type, payload, mapping)
    questions = questions_in(batch.media_type, payload, raw, mapping)
    return Decoded(batch, as_read(batch, raw, cells, mapping), questions)


def _taken(one: _Ahead, refuse: Callable[[BatchRow, BatchRefused], None]) -> Iterator[Decoded]:
    try:
        yield replace(one.decoding.result(), size=one.size)
    except BatchRefused as refused:
        refuse(one.batch, refused)


def as_read(batch: BatchRow, raw: pd.DataFrame, cells: Sequence[MendedCell], mapping: Mapping) -> pd.DataFrame:
    """A batch's raw frame as it goes on: when and in which batch each row was received, its mended cells in place."""
    if RECEIVED_AT not in raw.columns:
        raw[RECEIVED_AT] = batch.received_at.isoformat()
    raw[BATCH_ID] = str(batch.batch_id)
    return without_erased(with_mended_cells(raw, [astuple(cell) for cell in cells], mapping))

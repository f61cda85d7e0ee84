"""Reading and keeping the questions of each feed (`connectors.store.question_tables`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from connectors.store.question_tables import QUESTION_MAP

Questions = list[list[str | None]]


@dataclass(frozen=True, slots=True)
class QuestionMap:
    """The questions of one feed: `known` as last taken in, `shown` by the newest delivery, each [id, title] in order."""

    source: str
    feed: str
    known: Questions
    shown: Questions
    shown_at: datetime


def read_question_maps(conn: Connection, feed: str | None = None) -> list[QuestionMap]:
    """The maps of all feeds, or of one; empty while nothing of it was taken in."""
    columns = [QUESTION_MAP.c[name] for name in QuestionMap.__slots__]
    query = select(*columns).order_by(QUESTION_MAP.c.source, QUESTION_MAP.c.feed)
    rows = conn.execute(query if feed is None else query.where(QUESTION_MAP.c.feed == feed))
    return [QuestionMap(**row._mapping) for row in rows]


def keep_questions(
    conn: Connection,
    source: str,
    feed: str,
    questions: Sequence[Sequence[str | None]],
    *,
    at: datetime,
    is_taken_in: bool,
) -> None:
    """Keep what a delivery shows. One that was stopped does not change what is known, and is first known of nothing."""
    listed = [list(question) for question in questions]
    row = {"source": source, "feed": feed, "known": listed, "shown": listed, "known_at": at, "shown_at": at}
    if not is_taken_in:
        row["known"] = []
    new = insert(QUESTION_MAP).values(**row)
    changed = {"shown": new.excluded.shown, "shown_at": func.greatest(QUESTION_MAP.c.shown_at, new.excluded.shown_at)}
    if is_taken_in:
        changed |= {"known": new.excluded.known, "known_at": new.excluded.known_at}
    conn.execute(new.on_conflict_do_update(index_elements=["source", "feed"], set_=changed))

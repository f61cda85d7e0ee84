"""The short-course system: a table, view or query of its database (any that SQLAlchemy reads), pulled by window.

Read only, and exactly the columns that the table or query gives: one that the mapping does not name stops the batch.
"""

import io
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Any, TypeVar

import pyarrow as pa
import sqlalchemy as sa

from connectors.batches import Pulled, pulled_batch
from connectors.decoders import MediaType
from connectors.raw_frames import as_cell, refuse_too_large, unique_titles
from connectors.windows import PullWindow, pull_window, read_instant, row_instant
from schemas.errors import MappingError, SourceError, SourceUnavailable
from schemas.mappings import RECEIVED_AT, Mapping, TableShape
from schemas.records import ReceivedBatch, Window

_MOMENT = sa.DateTime(timezone=True)
_ROWS_AT_A_TIME = 10_000
# A first load may be of everything there is: it is landed in batches, so that no more than one is held in memory.
ROWS_A_BATCH = 50_000

Texts = tuple[list[str], list[list[str | None]]]
_Cell = TypeVar("_Cell")


@dataclass(frozen=True, slots=True)
class ShortCoursesSettings:
    """Where the database is; `timezone` is the organisation's, in which days are told apart."""

    url: str = field(repr=False)
    timezone: str = "Europe/Helsinki"
    connect_timeout_s: int = 10
    statement_timeout_s: int = 300


class ShortCourseRegistrations:
    """Rows of the short-course system; implements `connectors.sources.SourceConnector`."""

    def __init__(self, settings: ShortCoursesSettings) -> None:
        self._settings = settings

    def iter_batches(self, mapping: Mapping, window: Window, *, now: datetime) -> Iterator[ReceivedBatch]:
        """The rows changed within the window and its overlap, in their order, as few batches as hold them.

        Raises SourceError; the batches before are good then, and come again in the next pull of the window.
        """
        days = pull_window(mapping, window, timezone=self._settings.timezone, now=now)
        for table in self._iter_texts(mapping, days):
            yield from _batches(mapping, window, days=days, table=table)

    def acknowledge(self, batch: ReceivedBatch) -> None:
        """Nothing: the watermark moves with the batch."""

    def _iter_texts(self, mapping: Mapping, days: PullWindow) -> Iterator[Texts]:
        try:
            with self._engine.connect() as connection:
                self._limit(connection, days)
                statement = _statement(_shape(mapping), _told_otherwise(connection, mapping, days))
                streaming = connection.execution_options(stream_results=True)
                yield from _texts(streaming, statement, self._bounds(days))
        except sa.exc.OperationalError:
            raise SourceUnavailable(
                "The short-course database cannot be reached. Check its address; run again when it answers."
            ) from None
        except sa.exc.SQLAlchemyError as error:
            raise SourceError(f"The short-course database refused the query ({_code(error)}). {_REMEDY}") from None

    @cached_property
    def _engine(self) -> sa.Engine:
        url = sa.make_url(self._settings.url)
        arguments = {"connect_timeout": self._settings.connect_timeout_s} if self._is_postgresql(url) else {}
        return sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments, hide_parameters=True)

    def _limit(self, connection: sa.Connection, days: PullWindow) -> None:
        """PostgreSQL compares a column without a zone by the session's: it is made the source's own."""
        if self._is_postgresql(self._engine.url):
            connection.execute(sa.text("SET TRANSACTION READ ONLY"))
            connection.execute(sa.select(sa.func.set_config("TimeZone", days.clock.key, True)))
            limit = f"{self._settings.statement_timeout_s}s"
            connection.execute(sa.select(sa.func.set_config("statement_timeout", limit, True)))

    def _bounds(self, days: PullWindow) -> dict[str, datetime]:
        bounds = {"since": days.since, "until": days.until}
        if self._is_postgresql(self._engine.url):
            return bounds
        return {name: at.astimezone(days.clock).replace(tzinfo=None) for name, at in bounds.items()}

    @staticmethod
    def _is_postgresql(url: sa.URL) -> bool:
        return url.get_backend_name() == "postgresql"


_REMEDY = "Check table or query, changed_at and key in the mapping, and that the account may read them."


def _shape(mapping: Mapping) -> TableShape:
    if mapping.table is None:
        raise MappingError(f"Feed {mapping.feed} has no table: give table.table or table.query.")
    return mapping.table


def _told_otherwise(connection: sa.Connection, mapping: Mapping, days: PullWindow) -> str | None:
    """The column that tells of a row without a time of a change when it counts as changed; None where it holds no times.

    None too where two columns tell it by turns, or in another zone than that in which the database is asked.
    """
    shape = _shape(mapping)
    others = [
        told
        for told in (mapping.changed_at, mapping.submitted_at)
        if told and told.column not in (None, shape.changed_at)
    ]
    if shape.table is None or len(others) != 1 or others[0].timezone != days.clock.key:
        return None
    schema, _, name = shape.table.rpartition(".")
    with suppress(sa.exc.NoSuchTableError):  # the statement tells of it in the database's words
        columns = sa.inspect(connection).get_columns(name, schema=schema or None)
        times = {column["name"] for column in columns if isinstance(column["type"], sa.DateTime)}
        return others[0].column if others[0].column in times else None
    return None


def _statement(shape: TableShape, otherwise: str | None) -> sa.Executable:
    """The mapping's own query, with `:since` (inclusive) and `:until` (exclusive), or the table by `changed_at`.

    A row that never changed may have none there: then it is selected by the column `otherwise`, each such row where that is
    None. Alternatives, not a coalesce, so that an index of either column serves.
    """
    since, until = (sa.bindparam(name, type_=_MOMENT) for name in ("since", "until"))
    if shape.query is not None:
        return sa.text(shape.query).bindparams(*[b for b in (since, until) if f":{b.key}" in shape.query])
    schema, _, name = (shape.table or "").rpartition(".")
    changed_at = sa.column(shape.changed_at, _MOMENT)
    key: sa.ColumnClause[Any] = sa.column(shape.key)
    unchanged: list[sa.ColumnElement[bool]] = [changed_at.is_(None)]
    if otherwise is not None:
        other = sa.column(otherwise, _MOMENT)
        within = sa.and_(other >= since, other < until)
        unchanged = [sa.and_(changed_at.is_(None), told) for told in (within, other.is_(None))]
    held = sa.or_(sa.and_(changed_at >= since, changed_at < until), *unchanged)
    table = sa.table(name, changed_at, key, schema=schema or None)
    return sa.select(sa.literal_column("*")).select_from(table).where(held).order_by(changed_at, key)


def _texts(connection: sa.Connection, statement: sa.Executable, bounds: dict[str, datetime]) -> Iterator[Texts]:
    """Titles, and cells as text by column, of so many rows at a time as make a batch."""
    with connection.execute(statement, bounds) as result:
        titles = unique_titles(result.keys())
        columns: list[list[str | None]] = [[] for _ in titles]
        for rows in result.partitions(min(_ROWS_AT_A_TIME, ROWS_A_BATCH)):
            for column, values in zip(columns, zip(*rows, strict=True), strict=True):
                column.extend(value if type(value) is str else as_cell(value) for value in values)
            refuse_too_large(len(columns[0]), len(columns))
            if len(columns[0]) >= ROWS_A_BATCH:
                yield titles, columns
                columns = [[] for _ in titles]
        if columns and columns[0]:
            yield titles, columns


def _batches(mapping: Mapping, window: Window, *, days: PullWindow, table: Texts) -> Iterator[ReceivedBatch]:
    """The batch of the rows that changed within the window, as their other times tell where one has no time of a change.

    Of what the mapping's own query gives nothing is left out: it says itself what a window holds.
    """
    titles, columns = table
    shape, cells = _shape(mapping), dict(zip(titles, columns, strict=True))
    if shape.changed_at not in cells:
        raise SourceError(f"Feed {mapping.feed}: the query gives no column {shape.changed_at!r}. {_REMEDY}")
    changed_at = [read_instant(text, days.clock) for text in cells[shape.changed_at]]
    outside = set()
    for place, text in enumerate(cells[shape.changed_at]):
        if text is None:
            changed_at[place] = row_instant(mapping, partial(_text_at, cells, place))
            if shape.query is None and not days.holds(changed_at[place]):
                outside.add(place)
    if outside:
        columns = [_without(column, outside) for column in columns]
        changed_at = _without(changed_at, outside)
    if changed_at:
        yield _batch(mapping, window, days=days, table=(titles, columns), changed_at=changed_at)


def _text_at(cells: dict[str, list[str | None]], place: int, title: str) -> str | None:
    return cells[title][place] if title in cells else None


def _without(column: Sequence[_Cell], places: AbstractSet[int]) -> list[_Cell]:
    return [cell for place, cell in enumerate(column) if place not in places]


def _batch(
    mapping: Mapping, window: Window, *, days: PullWindow, table: Texts, changed_at: Sequence[datetime | None]
) -> ReceivedBatch:
    titles, columns = table
    received_at = [days.received_at(at).isoformat() for at in changed_at]
    pulled = Pulled(
        MediaType.ARROW, _arrow([*titles, RECEIVED_AT], [*columns, received_at]), _arrow(titles, columns), changed_at
    )
    return pulled_batch(mapping, window, days=days, pulled=pulled)


def _arrow(titles: Sequence[str], columns: Sequence[Sequence[str | None]]) -> bytes:
    arrays = [pa.array(column, pa.large_string()) for column in columns]
    table = pa.Table.from_arrays(arrays, names=list(titles))
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _code(error: sa.exc.SQLAlchemyError) -> Any:
    return getattr(getattr(error, "orig", None), "sqlstate", None) or type(error).__name__

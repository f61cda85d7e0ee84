"""Stand-in of the short-course system: its database, filled with the organisation's registrations as of a day.

Tables as such a system keeps them, and two views that show a registration in one row, as its vendor offers for reading.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

import sqlalchemy as sa

from sandbox.organisation import Organisation
from sandbox.organisation.rows_of_courses import OPEN_STUDIES_COLUMNS, SHORT_COURSE_COLUMNS, Row

FEED_PROGRAMMES = {"short_courses_registrations": "short", "short_courses_open_studies": "open"}

_APPLICANT = "given_name family_name email phone identity_code street_address postal_code city employer job_title"
_METADATA = sa.MetaData()
_MOMENT = sa.DateTime(timezone=True)

COURSES = sa.Table(
    "courses",
    _METADATA,
    sa.Column("course_id", sa.Text, primary_key=True),
    sa.Column("course_name", sa.Text, nullable=False),
    sa.Column("course_field", sa.Text),
    sa.Column("course_starts_at", _MOMENT, nullable=False),
    sa.Column("course_ends_at", _MOMENT, nullable=False),
    sa.Column("charge", sa.Text, nullable=False),
    sa.Column("price_eur", sa.Integer, nullable=False),
)
PARTICIPANTS = sa.Table(
    "participants",
    _METADATA,
    sa.Column("participant_id", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Text) for name in _APPLICANT.split()),
)
PAYERS = sa.Table(
    "payers",
    _METADATA,
    sa.Column("registration_id", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("payer_type", "payer_name", "invoice_address", "iban")),
)
REGISTRATIONS = sa.Table(
    "registrations",
    _METADATA,
    sa.Column("registration_id", sa.Text, primary_key=True),
    sa.Column("programme", sa.Text, nullable=False),
    sa.Column("participant_id", sa.Text, nullable=False),
    sa.Column("course_id", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("registered_at", _MOMENT, nullable=False),
    sa.Column("changed_at", _MOMENT, nullable=False, index=True),
    sa.Column("marketing_consent", sa.Text),
    sa.Column("marketing_changed_at", _MOMENT),
    sa.Column("marketing_prohibited", sa.Text),
)
# So that the stand-in's own memory is bounded by it, however many rows the register has.
_ROWS_AT_ONCE = 50_000
_FILLED = (COURSES, PARTICIPANTS, PAYERS, REGISTRATIONS)


def load(organisation: Organisation, engine: sa.Engine, through: date) -> dict[str, int]:
    """Puts the register's state at the end of `through` into `engine`'s database, in one transaction; rows by feed.

    Makes the tables and the views `registration_feed` and `open_studies_feed` when they are missing; what was in them
    is replaced. A row that changed since an earlier day carries a newer `changed_at`.
    """
    counts = {}
    with engine.begin() as connection:
        _METADATA.create_all(connection)
        _create_views(connection)
        connection.execute(sa.text(f"TRUNCATE {', '.join(table.name for table in _FILLED)}"))
        courses: dict[str, Row] = {}
        for feed in FEED_PROGRAMMES:
            shown = organisation.as_of(feed, through)
            counts[feed] = len(shown)
            for first in range(0, len(shown), _ROWS_AT_ONCE):
                rows = list(organisation.rows(shown[first : first + _ROWS_AT_ONCE]))
                courses |= {str(row["course_id"]): row for row in rows}
                _insert(connection, rows, feed)
        _fill(connection, COURSES, courses.values())
    return counts


def _insert(connection: sa.Connection, rows: list[Row], feed: str) -> None:
    programme = FEED_PROGRAMMES[feed]
    _fill(connection, PARTICIPANTS, rows)
    _fill(connection, PAYERS, rows)
    _fill(connection, REGISTRATIONS, ({**row, "programme": programme} for row in rows))


def _fill(connection: sa.Connection, table: sa.Table, rows: Iterable[Row]) -> None:
    """The columns of `table` that the rows have, by COPY; empty text is kept as such, as forms store it."""
    names = [column.name for column in table.columns]
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row.get(name) for name in names])


def _create_views(connection: sa.Connection) -> None:
    for view, programme, columns in _views():
        statement = (
            f"CREATE OR REPLACE VIEW {view} AS SELECT {', '.join(columns)} {_JOINS} WHERE programme = '{programme}'"
        )
        connection.execute(sa.text(statement))


def _views() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield "registration_feed", "short", SHORT_COURSE_COLUMNS
    yield "open_studies_feed", "open", OPEN_STUDIES_COLUMNS


_JOINS = (
    "FROM registrations JOIN participants USING (participant_id) JOIN payers USING (registration_id)"
    " JOIN courses USING (course_id)"
)

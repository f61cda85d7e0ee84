"""Statistics from gathering to showing: without ids, before people go, once a month, and never again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from pipelines.operations.sessions import Session
from pipelines.operations.statistics import gather_participations, publish_closed, publish_period, show_published
from pipelines.plots import draw_participants
from schemas.errors import ConfigurationError, StoreError
from tests.finance.conftest import Bursar, bursar, make_row  # noqa: F401 - a fixture


def at(bursar: Bursar, *when: int) -> Session:  # noqa: F811
    settings = bursar.workspace.settings.model_copy(update={"fixed_now": datetime(*when, tzinfo=UTC)})
    return Session(replace(bursar.workspace, settings=settings))


@pytest.fixture(scope="module", autouse=True)
def registered(bursar: Bursar) -> None:  # noqa: F811
    """Twelve people of a course that ends on 2 December 2026."""
    bursar.take(*(make_row(n, First=f"Aino{'abcdefghijkl'[n]}") for n in range(12)))


def test_a_course_that_tells_no_end_is_over_once_it_has_begun_and_one_without_a_date_never(bursar: Bursar) -> None:  # noqa: F811
    ((begins, ends),) = bursar.rows("select starts_at, ends_at from intake.occasion")

    def gathered(starts_at: datetime | None, now: datetime) -> int:
        with bursar.workspace.transaction() as conn:
            told = {"starts_at": starts_at, "ends_at": None}
            conn.execute(sa.text("update intake.occasion set starts_at = :starts_at, ends_at = :ends_at"), told)
        session = Session(
            replace(bursar.workspace, settings=bursar.workspace.settings.model_copy(update={"fixed_now": now}))
        )
        return gather_participations(session)

    assert begins is not None and begins < ends
    assert gathered(begins, begins - timedelta(seconds=1)) == 0
    assert gathered(begins, begins) == 1
    assert gathered(None, ends + timedelta(days=4000)) == 0
    with bursar.owner.begin() as conn:
        told = {"starts_at": begins, "ends_at": ends}
        conn.execute(sa.text("update intake.occasion set starts_at = :starts_at, ends_at = :ends_at"), told)
        conn.execute(sa.text("delete from intake.participation"))


def test_a_course_that_ends_at_midnight_is_of_the_month_before(bursar: Bursar) -> None:  # noqa: F811
    ((begins, ends),) = bursar.rows("select starts_at, ends_at from intake.occasion")
    told = {"at": datetime(2026, 10, 31, 22, tzinfo=UTC), "begins": begins, "ends": ends}  # the 1st, 00:00 in Helsinki
    with bursar.owner.begin() as conn:
        conn.execute(sa.text("update intake.occasion set starts_at = :at - interval '1 day', ends_at = :at"), told)
    try:
        assert gather_participations(at(bursar, 2026, 11, 1)) == 1
        assert bursar.rows("select to_char(month, 'YYYY-MM') from intake.participation") == [("2026-10",)]
    finally:
        with bursar.owner.begin() as conn:
            conn.execute(sa.text("update intake.occasion set starts_at = :begins, ends_at = :ends"), told)
            conn.execute(sa.text("delete from intake.participation"))


def test_a_month_is_published_once_when_it_is_closed_and_outlives_the_people(bursar: Bursar) -> None:  # noqa: F811
    assert gather_participations(at(bursar, 2026, 12, 3)) == 1
    with pytest.raises(ConfigurationError, match="not closed"):
        publish_period(at(bursar, 2027, 1, 5), "2026-12", by="Tiina Statistician")
    with bursar.owner.begin() as conn:
        conn.execute(sa.text("delete from intake.registration"))
        conn.execute(sa.text("update intake.participation set is_final = true"))  # as retention lets people go
    cells = publish_period(at(bursar, 2027, 1, 12), "2026-12", by="Tiina Statistician")
    assert {(cell["dimension"], cell["participants"]) for cell in cells} == {
        *(("total", 12), ("kind", 12), ("topic", 12), ("region", 12), ("occasion", 12)),
    }
    assert bursar.rows("select count(*) from intake.participation") == [(0,)]
    for again in (
        lambda: publish_period(at(bursar, 2027, 3, 1), "2026-12", by="Tiina Statistician"),
        lambda: publish_period(at(bursar, 2027, 3, 1), "soon", by="Tiina Statistician"),
    ):
        with pytest.raises(ConfigurationError):
            again()
    assert publish_closed(at(bursar, 2027, 3, 1), by="the schedule") == {}
    shown = show_published(at(bursar, 2030, 1, 1))
    assert len(shown) == 5
    assert draw_participants(shown).startswith(b"\x89PNG")


def test_what_is_gathered_names_nobody(bursar: Bursar) -> None:  # noqa: F811
    columns = {
        name
        for (name,) in bursar.rows(
            "select column_name from information_schema.columns where table_name in ('participation', 'statistic_cell')"
        )
    }
    assert not {name for name in columns if any(word in name for word in ("person", "subject", "contact", "address"))}
    assert not {"submission_id", "registration_id"} & columns


def test_what_was_published_cannot_be_changed(bursar: Bursar) -> None:  # noqa: F811
    for statement in ("update intake.statistic_cell set participants = 1", "delete from intake.statistic_period"):
        with pytest.raises(StoreError) as refused, bursar.workspace.transaction() as conn:
            conn.execute(sa.text(statement))
        assert refused.value.sqlstate == "42501"

"""Months that were published one after another: whoever has them all recovers no more than of each by itself."""

from datetime import UTC, date, datetime
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from scipy.optimize import linprog

from connectors.store.statistics import counts_of, gather, publish, published
from pipelines.transforms.statistics import OCCASION, TOTAL, protect
from tests.archiving import Archive

K = 10
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
IN_OCTOBER, IN_NOVEMBER = datetime(2026, 10, 20, 12, tzinfo=UTC), datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_an_attack_over_two_months_recovers_no_cell_of_a_course_whose_end_was_moved(archive: Archive) -> None:
    """It was published beside a small course, and stood in for it; alone in the next month it would tell of it."""
    held(archive, 40, IN_OCTOBER)
    moved = held(archive, 25, IN_OCTOBER)
    held(archive, 4, IN_OCTOBER)
    close(archive, OCTOBER)
    archive.conn.execute(
        sa.text("update intake.occasion set ends_at = :ends_at where occasion_pk = :pk"),
        {"ends_at": IN_NOVEMBER, "pk": moved},
    )
    held(archive, 30, IN_NOVEMBER)
    counted = close(archive, NOVEMBER)
    for cell, (low, high) in attack(archive).items():
        assert high - low >= K, f"{cell} lies between {low} and {high}"
    assert [row["participants"] for row in counted] == [30]


def test_of_whom_all_are_erased_before_the_month_closes_nothing_is_counted(archive: Archive) -> None:
    held(archive, 11, IN_OCTOBER)
    gone = [held(archive, 12, IN_OCTOBER) for _ in range(2)]
    gather(archive.conn, {}, now=IN_NOVEMBER, timezone="Europe/Helsinki")
    assert [row["participants"] for row in counts_of(archive.conn, OCTOBER)] == [11, 12, 12]
    for table, occasions in (("registration", gone), ("occasion", gone[1:])):
        erased = sa.text(f"delete from intake.{table} where occasion_pk = any(:gone)")
        archive.conn.execute(erased, {"gone": occasions})
    assert [row["participants"] for row in close(archive, OCTOBER)] == [11]


def held(archive: Archive, participants: int, ends_at: datetime) -> UUID:
    occasion = archive.occasion(ends_at=ends_at)
    for _ in range(participants):
        archive.registered(archive.somebody(), occasion)
    return occasion


def close(archive: Archive, month: date) -> list[dict[str, object]]:
    """Publish a month; what it was made of."""
    now = datetime(month.year, month.month + 1, 12, tzinfo=UTC)
    gather(archive.conn, {}, now=now, timezone="Europe/Helsinki")
    counts = counts_of(archive.conn, month)
    cells = [vars(cell) for cell in protect(counts, k=K)]
    publish(archive.conn, cells, period=f"{month:%Y-%m}", month=month, smallest_cell=K, by="Tiina", at=now)
    return counts


def attack(archive: Archive) -> dict[str, tuple[float, float]]:
    """By withheld course the least and the most it can be, to one who has every month, and knows that a course that is
    listed in two of them is one."""
    cells = published(archive.conn)
    listed = [(cell["period"], cell["value"]) for cell in cells if cell["dimension"] == OCCASION]
    courses = sorted({course for _, course in listed})
    sums, totals = [], []
    for cell in cells:
        if cell["participants"] is not None and cell["dimension"] in (TOTAL, OCCASION):
            parts = {c for period, c in listed if period == cell["period"] and cell["value"] in ("all", c)}
            sums.append([float(course in parts) for course in courses])
            totals.append(cell["participants"])
    withheld = {cell["value"] for cell in cells if cell["dimension"] == OCCASION and cell["participants"] is None}
    found = {}
    for course in sorted(withheld):
        weights = np.array([float(course == one) for one in courses])
        ends = [
            sign * linprog(sign * weights, A_eq=sums, b_eq=totals, bounds=(1, None), method="highs").fun
            for sign in (1, -1)
        ]
        found[course] = (ends[0], ends[1])
    return found

"""A goal is said to be met only where what it asks for was measured."""

import pytest

from benchmarks.flat_cost import is_met
from benchmarks.known_contacts import at_once
from benchmarks.report import Report, Summary, as_measured
from benchmarks.worker_speed import report_workers


@pytest.mark.parametrize(
    ("ratio", "sizes", "told"),
    [
        (1.1, [10_000, 1_000_000], None),
        (1.0, [1_000], None),
        (1.2, [10_000, 10_000_000], True),
        (1.21, [10_000, 10_000_000], False),
        (1.9, [10_000, 1_000_000], False),
    ],
)
def test_a_day_is_flat_only_up_to_the_size_that_was_measured(ratio: float, sizes: list[int], told: bool | None) -> None:
    assert is_met(ratio, sizes) is told


@pytest.mark.parametrize(
    ("is_met", "is_full", "told"),
    [(True, True, True), (True, False, None), (False, False, False), (False, True, False), (None, True, None)],
)
def test_no_goal_is_met_at_less_than_its_size(is_met: bool | None, is_full: bool, told: bool | None) -> None:
    report = Report("b3", "B3", "a goal", [], [], [], {}, Summary("ours", "peers", "limit", "ratio", is_met))
    assert as_measured(report, is_full=is_full).summary == Summary("ours", "peers", "limit", "ratio", told)


def test_a_thousand_rows_at_once_take_a_call_of_twenty_over_each_connection() -> None:
    assert at_once(1_000).value == pytest.approx(0.035)


@pytest.mark.parametrize(("days", "told"), [(3, None), (30, True)])
def test_workers_are_told_by_the_fastest_crew_and_met_by_thirty_days(days: int, told: bool | None) -> None:
    summary = report_workers({"one process": 10.0, "1 workers": 40.0, "2 workers": 20.0}, days, "a broker").summary
    assert summary.is_met is told
    assert summary.ours == "2 workers: 0.50 times as fast"


def test_one_process_alone_meets_nothing() -> None:
    assert report_workers({"one process": 10.0}, 30, "a broker").summary.is_met is None

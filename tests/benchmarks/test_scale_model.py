"""The model of scale: its arithmetic by hand for one case, and that docs/scale.md shows what it prints."""

from pathlib import Path

import pytest

from benchmarks.scale_model import Limits, Load, Machines, loads, machines_for, measured, simulate, table

DOC = Path(__file__).parents[2] / "docs" / "scale.md"
COSTS, LIMITS = measured(), Limits()


def test_an_application_user_is_held_by_its_execution_time() -> None:
    for alone, row_s in ((0.0, 0.011), (1.0, 0.055), (0.5, 0.033)):
        writes = LIMITS.writes_a_window(COSTS, alone)
        assert min(writes, key=lambda name: writes[name]) == "execution time"
        assert writes["execution time"] == pytest.approx(1200 / (0.130 + 100 * row_s) * 100)


def test_a_load_takes_as_long_as_its_narrowest_part() -> None:
    load = Load("", 1_000_000, 1_000_000, 4_000_000, 24, 0.0)
    slow = simulate(load, Machines(users=1, workers=8, shards=8, mergers=8), COSTS, LIMITS)
    assert slow.breaks_first == "application users"
    # One window before the first rows can be sent.
    assert slow.hours == pytest.approx(4_000_000 / (1200 / 1.23 * 100) * 300 / 3600 + 1 / 12, abs=1 / 12)
    fast = simulate(load, Machines(users=100, workers=8, shards=8, mergers=1), COSTS, LIMITS)
    assert fast.breaks_first == "merging" and fast.hours < slow.hours / 4


def test_what_nothing_holds_up_is_held_up_by_nothing() -> None:
    quick = simulate(Load("", 10_000, 1_000, 1_000, 1, 0.0), Machines(users=9, workers=8, shards=8), COSTS, LIMITS)
    assert quick.breaks_first == "-" and quick.hours == pytest.approx(2 / 12)


@pytest.mark.parametrize("load", [load for contacts in (10**7, 10**9) for load in loads(contacts, COSTS)], ids=str)
def test_the_machines_that_are_said_to_do_it_do_it(load: Load) -> None:
    assert simulate(load, machines_for(load, COSTS, LIMITS), COSTS, LIMITS).hours <= load.within_h


def test_the_page_shows_what_the_model_says_and_rests_on() -> None:
    page = DOC.read_text()
    assert "\n".join(table(COSTS, LIMITS)) in page
    for process, database in (("intake_process_s", "intake_database_s"), ("send_process_s", "send_database_s")):
        ours, its = (1000 * getattr(COSTS, name) for name in (process, database))
        assert f" {ours:.2f} ms " in page and f" {its:.2f} ms in the database" in page

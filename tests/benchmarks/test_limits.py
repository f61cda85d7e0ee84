"""The physical limits: what is sent over bare sockets is bound by the CRM's latency, and a limit is told beside ours."""

from pathlib import Path

import pytest

from benchmarks.bare_limits import Limits
from benchmarks.consenting import make_people, write_rows
from benchmarks.limits import Limit, scanning, sending

PURPOSE = "00000000-0000-4000-8000-000000000001"


def test_a_loop_over_bare_sockets_writes_every_row_and_waits_for_the_crm(tmp_path: Path) -> None:
    write_rows(make_people(30, seed=1), tmp_path / "rows", purpose_id=PURPOSE)
    limit = sending(tmp_path / "crm", tmp_path / "rows")
    assert limit.what.startswith("a loop over 2 bare TLS sockets")
    # Two calls of 30 rows at once; a second is far more than they need.
    assert 60 < limit.value <= 60 / Limits().work_s(30)


def test_a_refused_call_is_no_limit(tmp_path: Path) -> None:
    write_rows(make_people(3, seed=1, poison_share=1.0), tmp_path / "rows", purpose_id=PURPOSE)
    with pytest.raises(RuntimeError, match="answered 400 to 1 of 2"):
        sending(tmp_path / "crm", tmp_path / "rows")


def test_a_pass_over_more_bytes_takes_longer() -> None:
    assert scanning([bytes(50_000_000)]).value > scanning([bytes(1_000)]).value > 0


@pytest.mark.parametrize(
    ("limit", "ours", "told"),
    [
        (Limit("COPY alone", 0.25, "s"), 40.0, "COPY alone: 0.25 s; ours is 160 times the limit"),
        (Limit("a loop", 27_000.0, "rows/s"), 6_230.0, "a loop: 27,000 rows/s; ours is 0.23 times the limit"),
        (Limit("cores", 2, "times"), 2.0, "cores: 2 times; ours is 1 times the limit"),
    ],
)
def test_ours_is_told_as_times_the_limit(limit: Limit, ours: float, told: str) -> None:
    assert limit.beside(ours) == told

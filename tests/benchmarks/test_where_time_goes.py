"""Stacks to steps: the innermost step counts, waiting is told apart, and what runs beside it is left out."""

from benchmarks.where_time_goes import by_step

STACKS = [
    "<module> (own_intake.py:1);merge_batch (merge.py:2);refold (merge.py:3);Connection.wait (psycopg/connection.py:4) 30",
    "<module> (own_intake.py:1);merge_batch (merge.py:2);run (merge.py:9) 10",
    "Thread._bootstrap (threading.py:1);decode (decoders.py:2) 500",
    "<module> (own_intake.py:1) 5",
]


def test_a_sample_counts_for_its_innermost_step() -> None:
    steps, waiting = by_step(STACKS)
    assert steps == {"merge: fold, purposes, versions": 30, "merge: classify, statistics": 10, "the rest": 5}
    assert waiting == {"merge: fold, purposes, versions": 30}

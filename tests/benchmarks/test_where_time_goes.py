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


def test_of_a_load_all_threads_count() -> None:
    steps, _ = by_step(
        [
            "<module> (own_delivery.py:1);plan_now (sync.py:2);write_plan (planning.py:3) 20",
            "Thread._bootstrap (threading.py:1);send_chunk (sending.py:2);Wire.exchange (wire.py:3) 10",
            "Thread._bootstrap (threading.py:1);send_chunk (sending.py:2) 5",
        ]
    )
    assert steps == {"plan into the outbox": 20, "send: HTTP and TLS": 10, "send: the rest": 5}

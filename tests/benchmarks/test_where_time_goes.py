"""Stacks to steps: the innermost step counts, waiting is told apart; the thread that merges has a table of its own."""

from benchmarks.where_time_goes import by_step

MERGER = "Thread._bootstrap (threading.py:1);merge_staged (intake.py:2);merge_batch (merge.py:3)"
STACKS = [
    "<module> (own_intake.py:1);merge_batch (merge.py:2);refold (merge.py:3);Connection.wait (psycopg/connection.py:4) 30",
    "<module> (own_intake.py:1);merge_batch (merge.py:2);run (merge.py:9) 10",
    "Thread._bootstrap (threading.py:1);decode (decoders.py:2) 500",
    "<module> (own_intake.py:1) 5",
    "<module> (own_intake.py:1);_merging_beside.<locals>.merge (intake.py:2);Future.result (_base.py:3) 40",
    f"{MERGER};refold (merge.py:4);Connection.wait (psycopg/connection.py:5) 35",
    f"{MERGER};statement_runner.<locals>.run (merge.py:4) 5",
]


def test_a_sample_counts_for_its_innermost_step() -> None:
    steps, waiting = by_step(STACKS)
    assert steps == {
        "merge: fold, purposes, versions": 30,
        "merge: classify, statistics": 10,
        "wait for the merge beside": 40,
        "the rest": 5,
    }
    assert waiting == {"merge: fold, purposes, versions": 30}


def test_the_thread_that_merges_is_counted_by_itself() -> None:
    steps, waiting = by_step(STACKS, of_merger=True)
    assert steps == {"merge: fold, purposes, versions": 35, "merge: classify, statistics": 5}
    assert waiting == {"merge: fold, purposes, versions": 35}


def test_of_a_load_all_threads_count() -> None:
    steps, _ = by_step(
        [
            "<module> (own_delivery.py:1);plan_now (sync.py:2);write_plan (planning.py:3) 20",
            "Thread._bootstrap (threading.py:1);send_chunk (sending.py:2);Wire.exchange (wire.py:3) 10",
            "Thread._bootstrap (threading.py:1);send_chunk (sending.py:2) 5",
        ]
    )
    assert steps == {"plan into the outbox": 20, "send: HTTP and TLS": 10, "send: the rest": 5}

"""Chunk sizes: they grow while calls are quick, shrink when they are slow, refused or full of bad rows."""

import threading

from connectors.dataverse.chunks import FAST_S, SLOW_S, ChunkSize, ChunkSizes

BIG = 1 << 30


def serve(size: ChunkSize, seconds: float, times: int = 1, row_bytes: int = 100) -> None:
    for _ in range(times):
        size.served(size.rows, size_bytes=size.rows * row_bytes, seconds=seconds)


def test_quick_calls_grow_by_half_up_to_a_thousand_rows() -> None:
    size = ChunkSize(100, BIG)
    grown = []
    for _ in range(7):
        serve(size, 0.1)
        grown.append(size.rows)
    assert grown == [150, 225, 337, 505, 757, 1000, 1000]


def test_one_row_can_grow_too() -> None:
    size = ChunkSize(1, BIG)
    serve(size, 0.1)
    assert size.rows == 2


def test_calls_of_a_middling_time_change_nothing() -> None:
    size = ChunkSize(100, BIG)
    for seconds in (FAST_S, 1.0, SLOW_S):
        serve(size, seconds)
    assert size.rows == 100


def test_a_slow_call_halves_and_the_next_quick_ones_do_not_undo_it_at_once() -> None:
    size = ChunkSize(100, BIG)
    serve(size, SLOW_S + 1)
    assert size.rows == 50
    serve(size, 0.1, times=19)
    assert size.rows == 50
    serve(size, 0.1)
    assert size.rows == 75


def test_calls_that_were_slow_together_halve_once() -> None:
    size = ChunkSize(100, BIG)
    for _ in range(8):
        size.served(100, size_bytes=1, seconds=30)
    assert size.rows == 50


def test_calls_that_timed_out_together_halve_once() -> None:
    size = ChunkSize(100, BIG)
    for _ in range(3):
        size.timed_out(100)
    assert size.rows == 50


def test_a_small_last_chunk_tells_nothing() -> None:
    size = ChunkSize(100, BIG)
    size.served(3, size_bytes=1, seconds=0.01)
    size.served(3, size_bytes=1, seconds=60)
    assert size.rows == 100


def test_a_chunk_never_falls_below_one_row() -> None:
    size = ChunkSize(2, BIG)
    for rows in (2, 1, 1):
        size.timed_out(rows)
    assert size.rows == 1


def test_growth_stops_before_the_body_is_too_large() -> None:
    size = ChunkSize(100, 250_000)
    serve(size, 0.1, times=10, row_bytes=1000)
    assert size.rows == 225


def test_rows_that_are_suddenly_larger_shrink_a_grown_chunk() -> None:
    size = ChunkSize(100, 250_000)
    serve(size, 0.1, times=2, row_bytes=100)
    serve(size, 1.0, row_bytes=2000)
    assert size.rows == 112


def test_no_body_grows_again_to_one_that_was_refused() -> None:
    size = ChunkSize(100, BIG)
    size.too_large(100, size_bytes=100_000)
    serve(size, 0.1, times=100, row_bytes=1000)
    assert size.rows == 75


def test_the_more_bad_rows_the_fewer_in_a_call() -> None:
    size = ChunkSize(100, BIG)
    serve(size, 0.1, times=10)
    found = []
    for bad in (1, 9, 150):
        size.settled(1000, bad=bad)
        found.append(size.rows)
    assert found == [692, 132, 16]


def test_one_bad_row_among_the_first_does_not_shrink_what_was_asked_for() -> None:
    size = ChunkSize(100, BIG)
    size.settled(100, bad=1)
    assert size.rows == 100


def test_bad_rows_are_forgotten_as_good_ones_come() -> None:
    size = ChunkSize(100, BIG)
    size.settled(1000, bad=20)
    assert size.rows == 34
    for _ in range(50):
        size.settled(1000, bad=0)
    assert size.rows == 100


def test_where_nearly_every_call_fails_small_ones_would_be_no_better() -> None:
    size = ChunkSize(100, BIG)
    size.settled(1000, bad=100)
    assert size.rows == 100


def test_bad_rows_do_not_undo_a_cut() -> None:
    size = ChunkSize(100, BIG)
    size.timed_out(100)
    size.settled(1000, bad=5)
    assert size.rows == 50


def test_tables_and_ways_of_writing_have_sizes_of_their_own() -> None:
    sizes = ChunkSizes(100, BIG)
    serve(sizes.of("contact", in_bulk=True), 0.1)
    found = [
        sizes.of(*key, in_bulk=bulk).rows for *key, bulk in (("contact", True), ("contact", False), ("lead", True))
    ]
    assert found == [150, 100, 100]


def test_threads_share_one_size() -> None:
    sizes, found = ChunkSizes(100, BIG), []
    threads = [threading.Thread(target=lambda: found.append(sizes.of("contact", in_bulk=True))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len({id(size) for size in found}) == 1

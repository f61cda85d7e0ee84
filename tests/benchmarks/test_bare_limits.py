"""The bare CRM's limits: what it admits, what it says to others, and what it counts."""

from benchmarks.bare_limits import ON_THE_WAY_S, Admission, Limits


def test_a_bucket_is_empty_at_first_and_never_gives_more_than_its_rate() -> None:
    admission = Admission(Limits(rows_per_s=100, burst_s=5))
    assert admission.admit(100, now=0.0) == 1
    assert admission.admit(100, now=1.0) is None
    assert admission.admit(100, now=1.5) == 1


def test_a_bucket_keeps_what_was_not_used_up_to_its_burst() -> None:
    admission = Admission(Limits(rows_per_s=100, burst_s=2))
    assert admission.admit(100, now=0.0) == 1
    assert [admission.admit(100, now=60.0) for _ in range(3)] == [None, None, 1]


def test_a_request_inside_a_retry_after_is_told_from_one_that_was_on_its_way() -> None:
    admission = Admission(Limits(rows_per_s=100))
    admission.admit(300, now=0.0)
    admission.admit(1, now=ON_THE_WAY_S / 2)
    admission.admit(1, now=2.0)
    assert (admission.counted.on_the_way, admission.counted.inside) == (1, 1)


def test_a_request_after_the_retry_after_is_neither() -> None:
    admission = Admission(Limits(rows_per_s=100))
    wait_s = admission.admit(300, now=0.0)
    assert wait_s is not None
    assert admission.admit(300, now=float(wait_s)) is None
    assert (admission.counted.on_the_way, admission.counted.inside) == (0, 0)


def test_more_at_once_than_the_limit_are_refused() -> None:
    admission = Admission(Limits(max_concurrent=2))
    assert [admission.admit(1, now=0.0) for _ in range(3)] == [None, None, 1]
    admission.finish(1, now=0.1)
    assert admission.admit(1, now=0.2) is None

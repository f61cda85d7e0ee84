"""Waiting: what a Retry-After says, and whom the gate lets through, on a clock of our own."""

import itertools
import random
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.dataverse import DataverseClient
from connectors.dataverse.pacing import Pacing, retry_after_s
from connectors.dataverse.throttle import FirstAlone, ThrottleGate
from schemas.errors import CrmUnavailable

NOON = datetime(2026, 10, 2, 12, tzinfo=UTC)


@pytest.fixture
def pacing(kit: SimpleNamespace) -> Pacing:
    clock = kit.manual_clock()
    return Pacing(clock, clock.sleep)


def serve(gate: ThrottleGate, pacing: Pacing, times: int = 1) -> None:
    for _ in range(times):
        with gate.admitted(pacing.deadline(900)):
            gate.grow()


def throttle(gate: ThrottleGate, pacing: Pacing, seconds: float | None) -> None:
    with gate.admitted(pacing.deadline(900)) as admitted_at:
        gate.pause(seconds, admitted_at=admitted_at)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        (format_datetime(NOON + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOON - timedelta(seconds=90), usegmt=True), None),
        ("0", None),
        ("-3", None),
        ("soon", None),
        ("Mon, 05 Oct 2026 12:00:00 +999999999999999999999999", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_servers_own_clock(value: str, expected: float | None) -> None:
    assert retry_after_s(value, answered_at=format_datetime(NOON, usegmt=True)) == expected


def test_backoff_doubles_up_to_half_a_minute_and_is_never_none(pacing: Pacing) -> None:
    for attempt in range(60):
        ceiling = min(30.0, 0.5 * 2.0 ** min(attempt, 10))
        assert ceiling / 2 <= pacing.backoff_s(attempt) <= ceiling


def test_parallelism_doubles_until_the_first_429_and_then_grows_by_one_a_round(pacing: Pacing) -> None:
    gate = ThrottleGate(52, pacing)
    serve(gate, pacing, 4)
    assert gate.permits == 8
    throttle(gate, pacing, 5)
    assert gate.permits == 4
    serve(gate, pacing, 4)
    assert gate.permits == 4
    serve(gate, pacing, 1)
    assert gate.permits == 5


def test_permits_never_pass_the_servers_hint_or_our_setting(pacing: Pacing) -> None:
    gate = ThrottleGate(10, pacing)
    gate.hint(6)
    serve(gate, pacing, 100)
    assert gate.permits == 6
    gate.hint(52)
    serve(gate, pacing, 100)
    assert gate.permits == 10


def test_permits_never_fall_below_one(pacing: Pacing) -> None:
    gate = ThrottleGate(4, pacing)
    for _ in range(10):
        throttle(gate, pacing, 1)
    assert gate.permits == 1


def test_requests_that_met_429_together_halve_once(pacing: Pacing) -> None:
    gate = ThrottleGate(52, pacing)
    serve(gate, pacing, 12)
    admitted_at = pacing.clock()
    pacing.sleep(1)
    for _ in range(8):
        gate.pause(5, admitted_at=admitted_at)
    assert gate.permits == 8


def test_nobody_is_admitted_inside_a_retry_after(pacing: Pacing) -> None:
    gate = ThrottleGate(8, pacing)
    throttle(gate, pacing, 30)
    throttled_at = pacing.clock()
    with gate.admitted(pacing.deadline(900)) as admitted_at:
        assert admitted_at >= throttled_at + 30


class TickingClock:
    """A clock that no two readings agree on."""

    def __init__(self) -> None:
        self.now = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            self.now += 1e-6
            return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


def test_of_many_threads_none_is_admitted_inside_anothers_retry_after() -> None:
    clock = TickingClock()
    pacing = Pacing(clock, clock.sleep)
    gate, chance = ThrottleGate(8, pacing), random.Random(1)
    admissions: list[float] = []
    pauses: list[tuple[float, float, float]] = []

    def work() -> None:
        for _ in range(100):
            with gate.admitted(pacing.deadline(1e9)) as admitted_at:
                admissions.append(admitted_at)
                if chance.random() < 0.2:
                    begun_at, pause_s = clock(), chance.uniform(1, 300)
                    gate.pause(pause_s, admitted_at=admitted_at)
                    pauses.append((begun_at, clock(), pause_s))
                else:
                    gate.grow()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(admissions), len(pauses) > 50) == (800, True)
    for begun_at, told_at, pause_s in pauses:
        assert not [at for at in admissions if told_at < at < begun_at + pause_s]


def test_a_shorter_pause_does_not_shorten_a_longer_one(pacing: Pacing) -> None:
    gate = ThrottleGate(8, pacing)
    begun_at = pacing.clock()
    gate.pause(30, admitted_at=begun_at)
    gate.pause(2, admitted_at=begun_at)
    with gate.admitted(pacing.deadline(900)) as admitted_at:
        assert admitted_at >= begun_at + 30


def test_a_pause_past_the_deadline_is_not_waited_for(pacing: Pacing) -> None:
    gate = ThrottleGate(8, pacing)
    throttle(gate, pacing, 600)
    before = pacing.clock()
    with pytest.raises(CrmUnavailable) as caught, gate.admitted(pacing.deadline(60)):
        pass
    assert caught.value.status == 429
    assert pacing.clock() == before


def test_429_without_retry_after_backs_off_longer_each_time(pacing: Pacing) -> None:
    gate = ThrottleGate(8, pacing)
    pauses = []
    for _ in range(6):
        throttle(gate, pacing, None)
        before = pacing.clock()
        with gate.admitted(pacing.deadline(900)) as admitted_at:
            pauses.append(admitted_at - before)
    assert all(later >= earlier for earlier, later in itertools.pairwise(pauses))
    assert pauses[-1] >= 8


def test_no_more_than_the_permits_are_in_flight_at_once(pacing: Pacing) -> None:
    gate = ThrottleGate(3, pacing)
    in_flight, most, lock = 0, 0, threading.Lock()
    meeting = threading.Barrier(3)

    def work() -> None:
        nonlocal in_flight, most
        with gate.admitted(pacing.deadline(900)):
            with lock:
                in_flight += 1
                most = max(most, in_flight)
            meeting.wait(5)
            with lock:
                in_flight -= 1

    threads = [threading.Thread(target=work) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 3


def test_the_first_call_on_a_table_goes_alone_and_later_ones_together() -> None:
    first_alone, entered, release = FirstAlone(), [], threading.Event()

    def work(name: str, table: str) -> None:
        with first_alone.turn(table):
            entered.append(name)
            release.wait(5)

    first = threading.Thread(target=work, args=("first", "contact"))
    first.start()
    while not entered:
        pass
    others = [threading.Thread(target=work, args=(name, table)) for name, table in (("b", "contact"), ("c", "lead"))]
    for thread in others:
        thread.start()
    others[1].join(0.1)
    assert sorted(entered) == ["c", "first"]
    release.set()
    for thread in (first, *others):
        thread.join(5)
    assert sorted(entered) == ["b", "c", "first"]


def test_whoever_passed_the_gate_before_a_429_was_read_does_not_send_inside_its_retry_after(
    script: Any, kit: SimpleNamespace
) -> None:
    """The gate closes while the request is made ready; the token is taken in between, so it tells us when that is."""
    clock = kit.manual_clock()

    closes = [30.0]

    class Late(kit.tokens):  # type: ignore[misc, name-defined]
        def token(self) -> str:
            if closes:
                client.gates[0].pause(closes.pop(), admitted_at=clock())
            return str(super().token())

    client = DataverseClient(kit.settings(script.base_url), tokens=Late(), clock=clock, sleep=clock.sleep)
    sent_at: list[float] = []

    def reply(seen: Any) -> tuple[int, dict[str, str], bytes]:
        sent_at.append(clock())
        return 204, {}, b""

    script.reply = reply
    began = clock()
    (result,) = client.upsert_many(kit.contacts, [kit.row(1)])
    client.close()
    assert result.outcome == "acknowledged"
    assert [at - began for at in sent_at] == [30.0]

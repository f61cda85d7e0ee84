"""The client's part of the fault matrix, against the emulator over TLS: every good row lands once, by itself.

Waits are on injected clocks, but for the few cases in which a socket has to stay silent for a fraction of a second.
"""

import math
import random
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from connectors.dataverse import DataverseClient, DataverseSettings
from sandbox.dataverse.server import RunningEmulator
from tests.connectors.dataverse.fronts import Front, write_expired_certificate
from tests.connectors.dataverse.landing import CONTACTS, WRITES, Landing, assert_landed_once, make_rows

SILENT_S = 0.5
Order = dict[str, Any]


# F2: the answer is lost after the server committed, by a reset, a gateway's 502 or a timeout.


@pytest.mark.parametrize("percent", [1, 3, 10, 30])
def test_answers_lost_after_the_commit_double_no_row(
    settings: DataverseSettings, emulator: RunningEmulator, manual_clock: Any, percent: int
) -> None:
    lost = {"path": WRITES, "after_commit": True, "times": None, "seed": percent}
    emulator.control.faults(
        {**lost, "kind": "slow", "delay_ms": 2000 * SILENT_S, "times": 1, "probability": percent / 100},
        {**lost, "kind": "cut", "probability": percent / 150},
        {**lost, "kind": "error", "status": 502, "html": True, "probability": percent / 300, "seed": percent + 1},
    )
    quick = replace(settings, read_timeout_s=SILENT_S)
    client = DataverseClient(quick, clock=manual_clock, sleep=manual_clock.sleep)
    rows = make_rows(1000)
    assert Landing(client, chunk_rows=4).land(rows).refused == {}
    assert_landed_once(emulator, rows)
    assert sum(emulator.control.fault_hits().values()) >= 250 * percent / 100 / 2
    client.close()


# F3: storms of 429.


@dataclass(frozen=True)
class Storm:
    """A share of requests throttled, `times` of them at most; a refusal asks to wait for `least_s` at least."""

    share: float
    retry_after: str | None
    least_s: float
    times: int | None = None


def in_five_minutes() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)


STORMS = {
    "one in ten for a second": lambda: Storm(0.1, "1", 1),
    "every other for five minutes": lambda: Storm(0.5, "300", 300),
    "all of them until five minutes are over": lambda: Storm(1.0, "20", 20, times=15),
    "every other, no word on how long": lambda: Storm(0.5, None, 0.25),
    "every other, until a date": lambda: Storm(0.5, in_five_minutes(), 180),
    "every other, for a thousand years": lambda: Storm(0.5, "31536000000", 600),
}


@pytest.mark.parametrize("storm", STORMS.values(), ids=STORMS.keys())
def test_a_storm_of_429_is_waited_out_and_nobody_sends_inside_a_retry_after(
    settings: DataverseSettings, emulator: RunningEmulator, kit: Any, storm: Callable[[], Storm]
) -> None:
    told = storm()
    order = {"kind": "throttle", "retry_after": told.retry_after, "times": told.times, "probability": told.share}
    # msal goes by the real clock: that tokens expire on the way is a trouble of its own, further down.
    emulator.control.limits(token_lifetime_s=10_000_000)
    emulator.control.clock(set=datetime.now(UTC).isoformat(), pinned=True)
    clock = kit.stepped_time(lambda seconds: emulator.control.clock(advance=seconds))
    client = DataverseClient(replace(settings, deadline_s=1e6), clock=clock, sleep=clock.sleep)
    clock.client = client
    client.who_am_i()
    emulator.control.limits(latency_ms_per_request=10, token_lifetime_s=10_000_000)
    emulator.control.faults({**order, "path": WRITES, "seed": 7})
    rows = make_rows(200)
    assert Landing(client, chunk_rows=5, threads=4).land(rows).refused == {}
    client.close()
    assert_landed_once(emulator, rows)
    refusals = sent_after_refusals(emulator.control.requests(), told.least_s)
    assert len(refusals) >= (told.times or 40 * told.share / 2)
    assert {inside for inside, _ in refusals} == {0}
    # At the moment of the refusal itself only what was under way with it, for the clock stands still meanwhile.
    assert max(at_once for _, at_once in refusals) <= 12


def sent_after_refusals(requests: list[dict[str, Any]], pause_s: float) -> list[tuple[int, int]]:
    """For each 429 in the log: how many requests came before its Retry-After was over, and how many at its moment."""
    sent_at = [datetime.fromisoformat(request["clock_at"]) for request in requests]
    refused = [number for number, request in enumerate(requests) if request["status"] == 429]
    pause = timedelta(seconds=pause_s - 0.001)
    counts = []
    for number in refused:
        at, later = sent_at[number], sent_at[number + 1 :]
        counts.append((sum(at < other < at + pause for other in later), later.count(at)))
    return counts


# F4: everything else that goes wrong on the way.


@dataclass
class Stage:
    """What a trouble may lay its hands on before the client is built."""

    emulator: RunningEmulator
    settings: DataverseSettings
    tmp_path: Path
    monkeypatch: pytest.MonkeyPatch
    fronts: list[Front] = field(default_factory=list)
    before_chunk: dict[int, Callable[[], object]] = field(default_factory=dict)
    unspent: list[list[Any]] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    def order(self, **order: Any) -> None:
        self.emulator.control.faults({"path": WRITES, "times": 2, **order})

    def stand_before(self, *moods: str) -> None:
        """Puts a front before the emulator, whose certificates are trusted too."""
        write_expired_certificate(self.tmp_path)
        trusted = self.tmp_path / "trusted.pem"
        trusted.write_bytes(self.emulator.ca_path.read_bytes() + (self.tmp_path / "ca.pem").read_bytes())  # type: ignore[union-attr]
        self.unspent.append(list(moods))
        front = Front(urlsplit(self.emulator.base_url).port or 443, self.unspent[-1], self.tmp_path)
        self.fronts.append(front)
        self.settings = replace(self.settings, base_url=front.url, ca_path=trusted)

    def be_impatient(self) -> None:
        self.settings = replace(self.settings, read_timeout_s=SILENT_S, connect_timeout_s=SILENT_S)


def answer_late(stage: Stage) -> None:
    stage.be_impatient()
    stage.order(kind="slow", after_commit=True, delay_ms=2000 * SILENT_S, times=1)


def stay_silent(stage: Stage) -> None:
    stage.be_impatient()
    stage.stand_before("silent")


def lose_the_name(stage: Stage) -> None:
    host, resolve, fails = urlsplit(stage.settings.base_url).hostname, socket.getaddrinfo, [True, True, True]
    stage.unspent.append(fails)

    def resolve_later(name: Any, *rest: Any, **options: Any) -> Any:
        if name == host and fails:
            fails.pop()
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(name, *rest, **options)

    stage.before_chunk[0] = lambda: stage.monkeypatch.setattr(socket, "getaddrinfo", resolve_later)


def expire_tokens(stage: Stage) -> None:
    stage.statuses.add(401)
    stage.before_chunk[1] = lambda: stage.emulator.control.clock(advance=7200)


def expire_tokens_while_the_authority_is_down(stage: Stage) -> None:
    expire_tokens(stage)
    expire = stage.before_chunk[1]
    authority = {"kind": "error", "status": 503, "html": True, "target": "authority", "path": "token", "times": 2}
    stage.before_chunk[1] = lambda: (expire(), stage.emulator.control.faults(authority))


def lose_answers_of_reads_too(stage: Stage) -> None:
    stage.order(kind="cut", after_commit=True, times=1)
    for kind in ("truncate", "cut_mid_body", "cut"):
        stage.order(kind=kind, method="GET", path="contacts", times=1)


def html_error(status: int, *, after_commit: bool) -> Callable[[Stage], None]:
    return lambda stage: stage.order(kind="error", status=status, html=True, after_commit=after_commit)


TROUBLES: dict[str, Callable[[Stage], None]] = {
    **{f"{status} before the work": html_error(status, after_commit=False) for status in (500, 502, 503, 504)},
    **{f"{status} after the work": html_error(status, after_commit=True) for status in (500, 502, 503, 504)},
    "a page in place of the work": html_error(200, after_commit=False),
    "a slow answer": lambda stage: stage.order(kind="slow", delay_ms=100),
    "an answer that comes too late": answer_late,
    "a reset before the work": lambda stage: stage.order(kind="cut"),
    "a reset after the work": lambda stage: stage.order(kind="cut", after_commit=True),
    "a connection that is never spoken on": stay_silent,
    "connections reset at once": lambda stage: stage.stand_before("reset", "reset"),
    "an expired certificate": lambda stage: stage.stand_before("expired", "expired", "expired"),
    "a name that is not found": lose_the_name,
    "a token rejected": lambda stage: stage.order(kind="unauthorized", times=1),
    "tokens expired in the middle": expire_tokens,
    "tokens expired while the authority is down": expire_tokens_while_the_authority_is_down,
    "reads that are cut and truncated": lose_answers_of_reads_too,
}


@pytest.fixture
def stage(
    settings: DataverseSettings, emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    made = Stage(emulator, settings, tmp_path, monkeypatch)
    yield made
    for front in made.fronts:
        front.close()


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_rows_land_once_whatever_happens_on_the_way(
    stage: Stage, manual_clock: Any, trouble: Callable[[Stage], None]
) -> None:
    trouble(stage)
    client = DataverseClient(stage.settings, clock=manual_clock, sleep=manual_clock.sleep)
    steps = iter(range(1000))
    rows = make_rows(60)
    landing = Landing(client, chunk_rows=20, before_chunk=lambda: stage.before_chunk.get(next(steps), bool)())
    assert landing.land(rows).refused == {}
    client.close()
    assert_landed_once(stage.emulator, rows)
    assert all(stage.emulator.control.fault_hits().values()) and not any(stage.unspent)
    assert stage.statuses <= {request["status"] for request in stage.emulator.control.requests()}


@pytest.mark.parametrize("status", [502, 504])
def test_what_the_server_has_no_time_for_goes_in_ever_smaller_chunks(
    settings: DataverseSettings, emulator: RunningEmulator, manual_clock: Any, status: int
) -> None:
    emulator.control.limits(latency_ms_per_row=1, max_message_ms=9, message_timeout_status=status)
    client = DataverseClient(settings, clock=manual_clock, sleep=manual_clock.sleep)
    rows = make_rows(100)
    assert Landing(client, chunk_rows=100).land(rows).refused == {}
    client.close()
    assert_landed_once(emulator, rows)


# F5: poison rows in calls that are all or nothing.


@pytest.mark.parametrize("poison_rows", [1, 10, 100])
def test_poison_rows_are_refused_with_the_servers_code_and_all_others_land(
    settings: DataverseSettings, emulator: RunningEmulator, manual_clock: Any, poison_rows: int
) -> None:
    code = "0x80045f0d"
    emulator.control.faults(
        {"kind": "poison", "table": "contact", "column": "jobtitle", "value": "bad", "times": None, "code": code}
    )
    client = DataverseClient(settings, clock=manual_clock, sleep=manual_clock.sleep)
    rows = make_rows(1000)
    bad = random.Random(poison_rows).sample(range(1000), poison_rows)
    for number in bad:
        rows[number]["jobtitle"] = "bad"
    start = 0
    while start < len(rows):
        seen, count = emulator.control.last_sequence(), min(client.chunk_rows(CONTACTS), 100)
        results = client.upsert_many(CONTACTS, rows[start : start + count])
        refused = {r.row_id for r in results if (r.outcome, r.status, r.code) == ("refused", 400, code)}
        expected = {rows[number]["contactid"] for number in bad if start <= number < start + count}
        assert refused == expected
        assert all(r.outcome == "acknowledged" for r in results if r.row_id not in refused)
        assert len(emulator.control.requests(seen)) - 1 <= 2 * len(refused) * math.log2(count)
        start += count
    client.close()
    assert_landed_once(emulator, [row for row in rows if "jobtitle" not in row])

"""Several application users as one: whose turn it is, whose quota is hit, and that a chunk stays with one of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.dataverse import ApplicationUser, ClientCertificate, ClientSecret, DataverseClient, DataverseSettings
from connectors.dataverse.lanes import LanePool
from connectors.dataverse.pacing import Pacing
from connectors.dataverse.sender import Lane, Sender
from connectors.dataverse.throttle import ThrottleGate
from connectors.dataverse.wire import Wire
from sandbox.dataverse.server import RunningEmulator
from schemas.errors import ConfigurationError, CrmMisconfigured


@pytest.fixture
def two(settings: DataverseSettings, certificate: tuple[ClientCertificate, str], kit: Any) -> DataverseSettings:
    return replace(settings, other_users=(ApplicationUser(kit.by_certificate, certificate[0]),))


@pytest.fixture
def pair(two: DataverseSettings) -> Iterator[DataverseClient]:
    client = DataverseClient(two)
    yield client
    client.close()


def clients_of(emulator: RunningEmulator) -> list[str]:
    return [seen["client_id"] for seen in emulator.control.requests() if seen["method"] == "POST"]


def test_each_user_has_its_own_token_and_identity(pair: DataverseClient) -> None:
    first, second = pair.who_are_we()
    assert first == pair.who_am_i()
    assert first.organization_id == second.organization_id
    assert first.user_id != second.user_id


def test_chunks_go_by_turns_and_rows_of_one_chunk_by_one_user(
    pair: DataverseClient, emulator: RunningEmulator, kit: Any
) -> None:
    emulator.control.faults(
        {"kind": "poison", "table": "contact", "column": "firstname", "value": "bad", "times": None}
    )
    for start in range(0, 200, 50):
        chunk = [kit.row(n) for n in range(start, start + 50)]
        chunk[7]["firstname"] = "bad"
        assert Counter(r.outcome for r in pair.upsert_many(kit.contacts, chunk)) == {"acknowledged": 49, "refused": 1}
    seen = clients_of(emulator)
    calls_a_chunk = len(seen) // 4
    chunks = [set(seen[start : start + calls_a_chunk]) for start in range(0, len(seen), calls_a_chunk)]
    assert [len(users) for users in chunks] == [1] * 4
    assert chunks[0] == chunks[2] != chunks[1] == chunks[3]


def test_while_one_user_is_throttled_the_other_works(
    two: DataverseSettings, emulator: RunningEmulator, kit: Any, manual_clock: Any
) -> None:
    client = DataverseClient(two, clock=manual_clock, sleep=manual_clock.sleep)
    emulator.control.faults({"kind": "throttle", "path": "UpsertMultiple", "retry_after": "60"})
    client.upsert_many(kit.contacts, [kit.row(0)])
    manual_clock.now -= 60
    for n in range(1, 6):
        client.upsert_many(kit.contacts, [kit.row(n)])
    throttled, *others = clients_of(emulator)
    assert others[0] == throttled
    assert set(others[1:]) == {kit.by_secret, kit.by_certificate} - {throttled}
    assert sum(manual_clock.slept) == 60


@pytest.fixture
def pool(kit: Any, manual_clock: Any, tokens: Any) -> Iterator[LanePool]:
    settings, pacing = kit.settings("http://127.0.0.1:1"), Pacing(manual_clock, manual_clock.sleep)
    wire = Wire(settings)
    lanes = [Lane(tokens, ThrottleGate(4, pacing)) for _ in range(3)]
    yield LanePool([Sender(settings, wire, lane=lane, pacing=pacing) for lane in lanes])
    wire.close()


def test_idle_lanes_take_turns(pool: LanePool) -> None:
    taken = []
    for _ in range(6):
        with pool.lane() as sender:
            taken.append(pool.senders.index(sender))
    assert taken == [0, 1, 2, 0, 1, 2]


def test_the_lane_with_less_to_do_is_chosen(pool: LanePool) -> None:
    with pool.lane() as first, pool.lane(), pool.lane() as third:
        with pool.lane() as fourth:
            assert fourth is first
        third.gate.hint(1)
        with pool.lane(), pool.lane() as sixth:
            assert sixth is not third


def test_a_paused_lane_comes_last_and_the_one_that_opens_first_before_it(pool: LanePool, manual_clock: Any) -> None:
    one, two, three = pool.senders
    one.gate.pause(30, admitted_at=manual_clock())
    with pool.lane() as second, pool.lane() as third, pool.lane() as fourth:
        assert {second, third} == {two, three}
        assert fourth in (two, three)
    two.gate.pause(20, admitted_at=manual_clock())
    three.gate.pause(10, admitted_at=manual_clock())
    with pool.lane() as opens_first:
        assert opens_first is three


def test_a_user_who_is_not_let_in_stops_the_run(two: DataverseSettings, kit: Any) -> None:
    strangers = replace(two, other_users=(ApplicationUser(kit.stranger, ClientSecret("s3cret")),))
    client = DataverseClient(strangers)
    client.upsert_many(kit.contacts, [kit.row(0)])
    with pytest.raises(CrmMisconfigured):
        client.upsert_many(kit.contacts, [kit.row(1)])


def test_one_user_twice_is_refused(settings: DataverseSettings) -> None:
    with pytest.raises(ConfigurationError):
        replace(settings, other_users=(ApplicationUser(settings.client_id, settings.credential),))

"""The fold in SQL is the fold of schemas.consent: for random histories, and for every order of one history (F9)."""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from connectors.store.address import ServerAddress
from connectors.store.folding_sql import TAKE_TURNS
from connectors.store.merge import refresh_addresses
from pipelines.operations.workspace import purpose_rules
from pipelines.transforms.identity import Subject, resolve_address
from schemas.consent import NAMELESS, AddressConsent, Decision, State, Value, fold_address
from schemas.errors import StoreError
from tests.merging import (
    NOON,
    Row,
    acting,
    make_decision,
    make_policy,
    make_request,
    make_row,
    merge_rows,
)
from tests.outboxing import make_address

POLICY = make_policy()
WINDOW = timedelta(seconds=POLICY.clock_skew_s)
GIVEN_KEYS = ("", "a", "aino", "anders", "bo")
# Halves of the window, so that ties and both sides of its edge are common.
STEPS = [timedelta(seconds=s) for s in (0, 0, 1, 150, 299, 300, 301, 450, 600, 601)]
VOIDS = "consent_void (event_key, base_key, reading_id, undo_run_id, voided_at)"
State3 = dict[tuple[str, str], str]
pytestmark = pytest.mark.usefixtures("engines")


@dataclass(frozen=True)
class History:
    """One address: its subjects, which person each is, and what each decided."""

    contact_point_id: UUID
    subjects: tuple[Subject, ...]
    persons: dict[UUID, UUID | None]
    events: tuple[tuple[Subject, Decision], ...]

    def group(self, subject: Subject) -> str:
        """Who a subject is to the pure fold: a person, a subject apart, or nobody by name."""
        bears_name = {self.persons[s.subject_id] for s in self.subjects if s.given_key}
        person = self.persons[subject.subject_id]
        if subject.given_key == NAMELESS and (person is None or person not in bears_name):
            return NAMELESS
        return str(person or subject.subject_id)

    def named_persons(self) -> list[str]:
        return sorted({str(self.persons[s.subject_id]) for s in self.subjects if s.given_key} - {"None"})

    def decisions(self, purpose: str) -> list[Decision]:
        """As the pure fold takes them; of the nameless it decides itself whose they are."""
        return [
            Decision(NAMELESS if s.given_key == NAMELESS else self.group(s), *_rest(d))
            for s, d in self.events
            if d.purpose == purpose
        ]


def _rest(decision: Decision) -> tuple[Any, ...]:
    return decision.purpose, decision.topic, decision.value, decision.clock, decision.effective_at, decision.is_void


def make_history(rng: random.Random) -> History:
    keys = rng.sample(GIVEN_KEYS, rng.randint(1, 4))
    subjects = tuple(Subject(_uuid(rng), key, rng.random() < 0.7, None, _uuid(rng)) for key in keys)
    events = tuple((rng.choice(subjects), _decision(rng)) for _ in range(rng.randint(0, 8)))
    return History(_uuid(rng), subjects, resolve_address(subjects), events)


def crossing_history(rng: random.Random) -> History:
    """Two clocks within the window, each off and on: one for the whole, one naming a topic. Chance seldom makes it."""
    aino = Subject(_uuid(rng), "aino", True, None, _uuid(rng))
    said = [
        Decision("", "marketing", topic, value, clock, NOON + timedelta(seconds=second))
        for topic, clock in ((None, "web_forms"), ("rdi", "webropol"))
        for second, value in enumerate((Value.WITHDRAW, Value.GRANT))
    ]
    return History(_uuid(rng), (aino,), resolve_address([aino]), tuple((aino, decision) for decision in said))


def _decision(rng: random.Random) -> Decision:
    purpose = rng.choice(["marketing", "marketing", "marketing", "related_events"])
    topics = POLICY.purposes[purpose].topics[:2]
    return Decision(
        subject="",
        purpose=purpose,
        topic=rng.choice([None, None, *topics]),
        value=rng.choice([Value.GRANT, Value.GRANT, Value.WITHDRAW]),
        clock=rng.choice(["web_forms", "webropol", "preferences"]),
        effective_at=NOON + rng.choice(STEPS),
        is_void=rng.random() < 0.2,
    )


def _uuid(rng: random.Random) -> UUID:
    return UUID(int=rng.getrandbits(128), version=4)


@pytest.fixture(scope="module")
def owner(store: ServerAddress) -> Iterator[Connection]:
    """A connection as the owner; what a test writes is rolled back by the test."""
    with acting(store, role=None) as conn:
        yield conn


def write(conn: Connection, histories: Sequence[History]) -> None:
    """Put addresses, people and events into the tables, as merges would have left them."""
    _copy(
        conn,
        "contact_point (contact_point_id, address, address_key, is_role_address)",
        [(h.contact_point_id, str(h.contact_point_id), str(h.contact_point_id), False) for h in histories],
    )
    people = {person: h.contact_point_id for h in histories for person in h.persons.values() if person}
    _copy(conn, "person (person_id, contact_point_id)", list(people.items()))
    _copy(
        conn,
        "subject (subject_id, contact_point_id, given_key, has_ground, person_id)",
        [
            (s.subject_id, h.contact_point_id, s.given_key, s.has_ground, h.persons[s.subject_id])
            for h in histories
            for s in h.subjects
        ],
    )
    _copy(
        conn,
        "consent_event (event_key, subject_id, contact_point_id, purpose, topic, value, actor, clock, occurred_at,"
        " precision_s, effective_at, received_at, source, commitment)",
        [_event(h, number) for h in histories for number in range(len(h.events))],
    )
    voids = [_void(h, number) for h in histories for number, (_, d) in enumerate(h.events) if d.is_void]
    _copy(conn, VOIDS, voids)


def _void(history: History, number: int) -> tuple[Any, ...]:
    key = _key(history, number)
    return key, key, history.contact_point_id, history.contact_point_id, NOON


def _key(history: History, number: int) -> bytes:
    return history.contact_point_id.bytes + bytes([number])


def _event(history: History, number: int) -> tuple[Any, ...]:
    subject, d = history.events[number]
    ids = (_key(history, number), subject.subject_id, history.contact_point_id)
    said = (d.purpose, d.topic or "", str(d.value), "subject", d.clock)
    return (*ids, *said, d.effective_at, 0, d.effective_at, NOON + timedelta(days=1), d.clock, b"")


def _copy(conn: Connection, target: str, rows: Sequence[tuple[Any, ...]]) -> None:
    with conn.connection.cursor().copy(f"copy intake.{target} from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def folded(history: History) -> tuple[State3, dict[tuple[str, str, str], str]]:
    """What the pure fold says: states of the address, and of each of its groups."""
    address: State3 = {}
    groups: dict[tuple[str, str, str], str] = {}
    nobody = {s.subject_id: str(history.persons[s.subject_id] or s.subject_id) for s in history.subjects}
    nameless = next((nobody[s.subject_id] for s in history.subjects if s.given_key == NAMELESS), "")
    for purpose, rule in POLICY.purposes.items():
        consent = fold_address(
            history.decisions(purpose), persons=history.named_persons(), topics=rule.topics, window=WINDOW
        )
        address.update(_address_states(purpose, consent))
        for group, states in consent.subjects.items():
            groups.update({(group or nameless, purpose, topic or ""): str(s) for topic, s in states.items()})
    return address, groups


def _address_states(purpose: str, consent: AddressConsent) -> State3:
    if consent.state is State.NONE:
        return {}
    return {(purpose, ""): str(consent.state), **{(purpose, t): str(s) for t, s in consent.topics.items()}}


def stored(conn: Connection, table: str, group: str) -> dict[UUID, dict[tuple[str, ...], str]]:
    found: dict[UUID, dict[tuple[str, ...], str]] = {}
    for row in conn.execute(text(f"select contact_point_id, {group} purpose, topic, state from intake.{table}")):
        cp, *key, state = row
        found.setdefault(cp, {})[tuple(map(str, key))] = state
    return found


@pytest.mark.parametrize("addresses", [9, 200])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_the_sql_fold_is_the_pure_fold(owner: Connection, addresses: int, seed: int) -> None:
    rng = random.Random(seed)
    histories = [*(make_history(rng) for _ in range(addresses)), crossing_history(rng)]
    with owner.begin_nested() as savepoint:
        write(owner, histories)
        refresh_addresses(owner, make_request(POLICY), [h.contact_point_id for h in histories])
        refresh_addresses(owner, make_request(POLICY), [h.contact_point_id for h in histories[::2]])
        states = stored(owner, "consent_state", "")
        groups = stored(owner, "person_consent", "person_id,")
        savepoint.rollback()
    for history in histories:
        expected_address, expected_groups = folded(history)
        assert groups.get(history.contact_point_id, {}) == expected_groups, history
        assert states.get(history.contact_point_id, {}) == expected_address, history


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_states_follow_what_is_voided_later(owner: Connection, seed: int) -> None:
    rng = random.Random(seed)
    before = [make_history(rng) for _ in range(40)]
    after = [
        replace(one, events=tuple((s, replace(d, is_void=d.is_void or rng.random() < 0.4)) for s, d in one.events))
        for one in before
    ]
    points = [one.contact_point_id for one in before]
    with owner.begin_nested() as savepoint:
        write(owner, before)
        refresh_addresses(owner, make_request(POLICY), points)
        voids = [
            _void(then, number)
            for now, then in zip(before, after, strict=True)
            for number, (_, decision) in enumerate(then.events)
            if decision.is_void and not now.events[number][1].is_void
        ]
        _copy(owner, VOIDS, voids)
        refresh_addresses(owner, make_request(POLICY), points)
        states, groups = stored(owner, "consent_state", ""), stored(owner, "person_consent", "person_id,")
        savepoint.rollback()
    for history in after:
        expected_address, expected_groups = folded(history)
        assert groups.get(history.contact_point_id, {}) == expected_groups, history
        assert states.get(history.contact_point_id, {}) == expected_address, history


def test_what_stays_as_it_was_is_not_written_again(owner: Connection) -> None:
    rng = random.Random(20261128)
    histories = [make_history(rng) for _ in range(50)]
    tables = ("person_consent", "consent_state", "person_purpose")

    def places() -> dict[str, list[str]]:
        return {
            name: list(owner.execute(text(f"select ctid::text from intake.{name} order by 1")).scalars())
            for name in tables
        }

    with owner.begin_nested() as savepoint:
        write(owner, histories)
        refresh_addresses(owner, make_request(POLICY), [one.contact_point_id for one in histories])
        once = places()
        refresh_addresses(owner, make_request(POLICY), [one.contact_point_id for one in histories])
        twice = places()
        savepoint.rollback()
    assert all(once.values())
    assert twice == once


def test_what_is_granted_counts_from_its_latest_grant(owner: Connection) -> None:
    aino = Subject(UUID(int=1), "aino", True, None, UUID(int=2))
    grants = [(None, "web_forms", 0), ("rdi", "webropol", 600), (None, "preferences", 300)]
    said = [
        Decision("", "marketing", topic, Value.GRANT, clock, NOON + timedelta(seconds=second))
        for topic, clock, second in grants
    ]
    history = History(UUID(int=3), (aino,), resolve_address([aino]), tuple((aino, decision) for decision in said))
    with owner.begin_nested() as savepoint:
        write(owner, [history])
        refresh_addresses(owner, make_request(POLICY), [history.contact_point_id])
        query = text("select topic, granted_at from intake.person_consent where contact_point_id = :id")
        found = dict(map(tuple, owner.execute(query, {"id": history.contact_point_id})))  # type: ignore[arg-type]
        savepoint.rollback()
    counted = {topic: (at - NOON).total_seconds() for topic, at in found.items()}
    assert (counted[""], counted["rdi"], counted["training"]) == (600, 600, 300)


def test_whoever_folds_an_address_too_waits_for_its_turn_and_for_no_other_address(store: ServerAddress) -> None:
    held, free = make_address(store), make_address(store)
    look = text("select from intake.contact_point where contact_point_id = :id for no key update nowait")
    with acting(store) as one:
        one.execute(text("create temporary table t_dirty (contact_point_id uuid) on commit drop"))
        one.execute(text("insert into t_dirty values (:id)"), {"id": held})
        one.execute(text(TAKE_TURNS))
        with acting(store) as other:
            other.execute(look, {"id": free})
        with pytest.raises(StoreError) as waited, acting(store) as other:
            other.execute(look, {"id": held})
    assert waited.value.sqlstate == "55P03"


# F9: each address gets one order of the history, one position of it a merge.

SEVEN = (
    make_decision("grant", -60),
    make_decision("withdraw", -30, clock="preferences"),
    make_decision("grant", -20, topic="rdi"),
    make_decision("withdraw", -10, topic="training"),
    make_decision("grant", 3, clock="preferences"),
    make_decision("withdraw", 0, clock="webropol", topic="rdi"),
    make_decision("grant", 8, clock="webropol"),
)
ORDERS = list(itertools.permutations(range(7)))


def event_rows(position: int) -> Iterator[Row]:
    """The row of each address at that position of its own order; every seventh is sent again with the next."""
    for number, order in enumerate(ORDERS):
        address = f"order{number}@example.org"
        repeated = order[position - 1 : position] if position and number % 7 == 0 else ()
        for index in (*repeated, order[position]):
            yield make_row(f"{number}-{index}", SEVEN[index], address=address, content_hash=str(index))


def test_f9_all_5040_orders_of_a_history_merged_event_by_event_end_in_one_state(store: ServerAddress) -> None:
    rules = replace(purpose_rules(POLICY), topic_purposes=["marketing"] * 2, topics=["rdi", "training"])
    for position in range(7):
        merge_rows(store, list(event_rows(position)), rules=rules)
    with acting(store) as conn:
        states = conn.execute(
            text(
                "select purpose, topic, state, count(*) from intake.consent_state join intake.contact_point c"
                " using (contact_point_id) where c.address_key like 'order%' group by 1, 2, 3 order by 1, 2"
            )
        ).all()
        events = conn.execute(text("select count(*) from intake.consent_event")).scalar_one()
    expected = {"": "granted", "rdi": "withdrawn", "training": "withdrawn"}
    assert [tuple(row) for row in states] == [("marketing", topic, s, 5040) for topic, s in expected.items()]
    assert events == 7 * 5040

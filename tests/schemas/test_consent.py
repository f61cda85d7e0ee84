"""The fold of consent: the sentences of rules 1, 3, 5 and 6 as examples, and what must hold of every history."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.consent import (
    NAMELESS,
    Actor,
    Decision,
    State,
    Value,
    effective_at,
    fold,
    fold_address,
    fold_subject,
    is_voidable,
    latest_by_clock,
)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WINDOW = timedelta(minutes=5)
TOPICS = ("training", "rdi")
GRANTED, WITHDRAWN, NONE = State.GRANTED, State.WITHDRAWN, State.NONE
FORM, CENTRE = "web_forms", "preferences"


def decided(
    value: str, minutes: float = 0, *, clock: str = FORM, topic: str | None = None, subject: str = "anna"
) -> Decision:
    """A decision `minutes` after noon."""
    at = NOON + timedelta(minutes=minutes)
    return Decision(subject, "marketing", topic, Value(value), clock, at)


def state_of(*decisions: Decision) -> State:
    return fold(decisions, window=WINDOW)


def states_of(*decisions: Decision) -> dict[str | None, State]:
    return fold_subject(decisions, TOPICS, window=WINDOW)


def address_of(*decisions: Decision, persons: Sequence[str] = ("anna", "bo")) -> State:
    return fold_address(decisions, persons=persons, topics=TOPICS, window=WINDOW).state


# Rule 1: time.


def test_the_later_decision_wins() -> None:
    assert state_of(decided("grant"), decided("withdraw", 60)) is WITHDRAWN
    assert state_of(decided("withdraw"), decided("grant", 60)) is GRANTED


def test_a_withdrawal_wins_a_tie_of_one_clock() -> None:
    assert state_of(decided("grant"), decided("withdraw")) is WITHDRAWN


def test_off_and_on_within_a_minute_of_one_clock_is_on() -> None:
    assert state_of(decided("grant", -60), decided("withdraw", 0), decided("grant", 0.5)) is GRANTED


def test_one_microsecond_decides_within_one_clock() -> None:
    assert state_of(decided("withdraw"), decided("grant", 1 / 60_000_000)) is GRANTED


@pytest.mark.parametrize(("minutes", "state"), [(0, WITHDRAWN), (4.9, WITHDRAWN), (5, WITHDRAWN), (5.1, GRANTED)])
def test_between_clocks_a_grant_must_be_later_by_more_than_the_window(minutes: float, state: State) -> None:
    assert state_of(decided("withdraw", clock=CENTRE), decided("grant", minutes)) is state


def test_a_withdrawal_earlier_by_less_than_the_window_on_another_clock_wins() -> None:
    assert state_of(decided("grant", 3), decided("withdraw", 0, clock=CENTRE)) is WITHDRAWN


def test_a_grant_that_loses_to_one_clock_is_not_saved_by_beating_another() -> None:
    history = [decided("withdraw", 0), decided("withdraw", 9, clock=CENTRE), decided("grant", 10)]
    assert state_of(*history) is WITHDRAWN


def test_any_one_winning_grant_is_enough() -> None:
    history = [decided("withdraw", 0, clock=CENTRE), decided("grant", 2), decided("grant", 1, clock=CENTRE)]
    assert state_of(*history) is GRANTED


def test_no_decision_is_neither_granted_nor_withdrawn() -> None:
    assert state_of() is NONE
    assert states_of() == {None: NONE}
    assert address_of() is NONE


def test_a_void_decision_counts_for_nothing() -> None:
    void = replace(decided("withdraw", 60), is_void=True)
    assert state_of(decided("grant"), void) is GRANTED
    assert (state_of(void), states_of(void), address_of(void)) == (NONE, {None: NONE}, NONE)
    assert address_of(decided("grant", subject="bo"), void) is GRANTED, "nor is its subject one that decided"


@pytest.mark.parametrize("actor", list(Actor))
def test_only_what_a_mapping_read_is_voidable_and_not_what_staff_took_down_of_the_person(actor: Actor) -> None:
    assert is_voidable(actor, is_read=True) is (actor is not Actor.STAFF_ON_BEHALF)
    assert is_voidable(actor, is_read=False) is False


def test_the_words_are_those_that_stand_in_the_ledger() -> None:
    assert [str(state) for state in State] == ["granted", "withdrawn", "none"]
    assert [str(actor) for actor in Actor] == ["subject", "guardian", "staff_on_behalf", "staff", "import"]


# Rule 3: precision.

DAY = (datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC))


def test_a_coarse_grant_counts_at_its_earliest_instant() -> None:
    assert effective_at(Value.GRANT, *DAY, NOON + timedelta(days=9)) == DAY[0]


def test_a_coarse_withdrawal_counts_at_its_latest_instant() -> None:
    assert effective_at(Value.WITHDRAW, *DAY, NOON + timedelta(days=9)) == DAY[1]


def test_a_coarse_withdrawal_counts_no_later_than_it_was_received() -> None:
    assert effective_at(Value.WITHDRAW, *DAY, NOON) == NOON


def test_without_a_readable_time_only_a_withdrawal_counts_and_when_received() -> None:
    assert effective_at(Value.GRANT, None, None, NOON) is None
    assert effective_at(Value.WITHDRAW, None, None, NOON) == NOON


@pytest.mark.parametrize("value", list(Value))
def test_a_future_time_is_clamped_to_when_it_was_received(value: Value) -> None:
    future = NOON + timedelta(days=400)
    assert effective_at(value, future, future, NOON) == NOON


def test_a_yes_and_a_no_on_the_same_day_without_times_are_a_no() -> None:
    received = NOON + timedelta(days=9)
    grant, withdrawal = (effective_at(value, *DAY, received) for value in (Value.GRANT, Value.WITHDRAW))
    assert grant is not None
    assert withdrawal is not None
    made = [
        Decision("anna", "marketing", None, value, FORM, at)
        for value, at in ((Value.GRANT, grant), (Value.WITHDRAW, withdrawal))
    ]
    assert fold(made, window=WINDOW) is WITHDRAWN


@given(
    value=st.sampled_from(Value),
    times=st.tuples(st.integers(-9, 9), st.integers(0, 9)),
    received=st.integers(-9, 9),
)
def test_a_decision_never_counts_after_it_was_received(value: Value, times: tuple[int, int], received: int) -> None:
    earliest, received_at = NOON + timedelta(hours=times[0]), NOON + timedelta(hours=received)
    at = effective_at(value, earliest, earliest + timedelta(hours=times[1]), received_at)
    assert at is not None
    assert at <= received_at


# Rule 5: purposes and topics.


def test_a_decision_naming_no_topic_covers_all_topics() -> None:
    assert states_of(decided("grant")) == {None: GRANTED, "training": GRANTED, "rdi": GRANTED}
    assert states_of(decided("withdraw")) == {None: WITHDRAWN, "training": WITHDRAWN, "rdi": WITHDRAWN}


def test_a_grant_naming_a_topic_starts_no_other_topic() -> None:
    assert states_of(decided("grant", topic="rdi")) == {None: GRANTED, "rdi": GRANTED}
    after_off = states_of(decided("withdraw"), decided("grant", 9, topic="rdi"))
    assert after_off == {None: GRANTED, "training": WITHDRAWN, "rdi": GRANTED}


def test_a_purpose_wide_grant_does_not_lift_a_withdrawal_naming_a_topic() -> None:
    states = states_of(decided("withdraw", topic="rdi"), decided("grant", 60))
    assert states == {None: GRANTED, "training": GRANTED, "rdi": WITHDRAWN}


def test_a_later_grant_naming_the_topic_lifts_its_withdrawal() -> None:
    states = states_of(decided("grant", -60), decided("withdraw", topic="rdi"), decided("grant", 1, topic="rdi"))
    assert states["rdi"] is GRANTED


def test_a_purpose_wide_withdrawal_ends_a_topic_that_was_granted_by_name() -> None:
    states = states_of(decided("grant", topic="rdi"), decided("withdraw", 60))
    assert states == {None: WITHDRAWN, "training": WITHDRAWN, "rdi": WITHDRAWN}


def test_a_withdrawal_naming_one_topic_leaves_the_others_on() -> None:
    states = states_of(decided("grant"), decided("withdraw", 60, topic="rdi"))
    assert states == {None: GRANTED, "training": GRANTED, "rdi": WITHDRAWN}


def test_the_purpose_is_on_when_one_topic_is_though_the_whole_was_withdrawn_before() -> None:
    assert states_of(decided("withdraw"), decided("grant", 60, topic="rdi"))[None] is GRANTED


def test_the_purpose_is_on_though_each_of_its_topics_was_switched_off_by_name() -> None:
    off = [decided("withdraw", 60, topic=topic) for topic in TOPICS]
    assert states_of(decided("grant"), *off) == {None: GRANTED, "training": WITHDRAWN, "rdi": WITHDRAWN}


def test_off_and_on_by_name_and_as_a_whole_on_two_clocks_within_the_window_is_on() -> None:
    whole = [decided("withdraw"), decided("grant", 1)]
    named = [decided("withdraw", clock=CENTRE, topic="rdi"), decided("grant", 1, clock=CENTRE, topic="rdi")]
    assert states_of(*whole, *named)["rdi"] is GRANTED


def test_the_window_holds_between_a_purpose_wide_withdrawal_and_a_grant_naming_a_topic() -> None:
    off = decided("withdraw", clock=CENTRE)
    assert states_of(off, decided("grant", 5, topic="rdi"))["rdi"] is WITHDRAWN
    assert states_of(off, decided("grant", 5.1, topic="rdi"))["rdi"] is GRANTED


# Rule 6: several subjects on one address.


def test_an_address_is_granted_when_its_only_deciding_subject_grants() -> None:
    assert address_of(decided("grant")) is GRANTED


def test_one_subject_that_withdrew_keeps_the_address_withdrawn() -> None:
    assert address_of(decided("withdraw", subject="bo"), decided("grant", 60)) is WITHDRAWN


def test_a_nameless_withdrawal_counts_for_every_subject() -> None:
    both = [decided("grant"), decided("grant", subject="bo")]
    off = decided("withdraw", 10, subject=NAMELESS)
    assert address_of(*both, off) is WITHDRAWN
    assert address_of(*both, off, decided("grant", 60)) is WITHDRAWN


def test_after_a_nameless_withdrawal_every_subject_may_grant_again() -> None:
    before = [decided("grant"), decided("grant", subject="bo"), decided("withdraw", 10, subject=NAMELESS)]
    assert address_of(*before, decided("grant", 60), decided("grant", 60, subject="bo")) is GRANTED


def test_a_nameless_withdrawal_with_nobody_else_deciding_withdraws() -> None:
    assert address_of(decided("withdraw", subject=NAMELESS)) is WITHDRAWN
    assert address_of(decided("withdraw", subject=NAMELESS), persons=()) is WITHDRAWN


def test_a_nameless_grant_is_the_sole_persons() -> None:
    off_then_on = [decided("withdraw"), decided("grant", 60, subject=NAMELESS)]
    assert address_of(*off_then_on, persons=("anna",)) is GRANTED


def test_a_nameless_grant_among_several_persons_is_a_subject_of_its_own() -> None:
    off_then_on = [decided("withdraw"), decided("grant", 60, subject=NAMELESS)]
    assert address_of(*off_then_on) is WITHDRAWN
    assert address_of(decided("grant", subject=NAMELESS)) is GRANTED


def test_a_topic_of_an_address_is_on_only_where_no_subject_withdrew_it() -> None:
    made = [decided("grant"), decided("grant", subject="bo"), decided("withdraw", 60, topic="rdi", subject="bo")]
    consent = fold_address(made, persons=("anna", "bo"), topics=TOPICS, window=WINDOW)
    assert (consent.state, consent.topics) == (GRANTED, {"training": GRANTED, "rdi": WITHDRAWN})


def test_what_a_subject_decided_who_is_no_person_is_not_the_sole_persons() -> None:
    assert address_of(decided("withdraw", subject="bo"), decided("grant", 60), persons=("anna",)) is WITHDRAWN


def test_no_topic_of_an_address_is_on_where_the_purpose_is_off() -> None:
    made = [decided("grant", topic="rdi"), decided("withdraw", topic="training", subject="bo")]
    consent = fold_address(made, persons=("anna", "bo"), topics=TOPICS, window=WINDOW)
    assert (consent.state, consent.topics["rdi"]) == (WITHDRAWN, WITHDRAWN)


# What holds of every history.

MINUTES = st.integers(-8, 8).map(lambda half: half / 2 * 2.5)
DECISIONS = st.builds(
    decided,
    st.sampled_from(["grant", "withdraw"]),
    MINUTES,
    clock=st.sampled_from([FORM, CENTRE, "webropol"]),
    topic=st.sampled_from([None, None, *TOPICS]),
    subject=st.sampled_from(["anna", "bo", NAMELESS]),
)
HISTORIES = st.lists(DECISIONS, max_size=9)
PERSONS = st.sampled_from([(), ("anna",), ("anna", "bo")])


def granted_by_the_rule(history: Sequence[Decision]) -> bool:
    """Rule 1 as it is written, over every pair of decisions."""

    def beats(grant: Decision, withdrawal: Decision) -> bool:
        margin = timedelta() if grant.clock == withdrawal.clock else WINDOW
        return grant.effective_at > withdrawal.effective_at + margin

    grants = [d for d in history if d.value is Value.GRANT]
    withdrawals = [d for d in history if d.value is Value.WITHDRAW]
    return any(all(beats(grant, withdrawal) for withdrawal in withdrawals) for grant in grants)


@given(HISTORIES)
def test_the_fold_is_the_rule_over_all_pairs(history: list[Decision]) -> None:
    expected = GRANTED if granted_by_the_rule(history) else WITHDRAWN if history else NONE
    assert fold(history, window=WINDOW) is expected


@given(HISTORIES, PERSONS, st.randoms(use_true_random=False))
def test_order_and_repetition_of_decisions_cannot_matter(
    history: list[Decision], persons: tuple[str, ...], rng: random.Random
) -> None:
    shuffled = history + rng.choices(history, k=3) if history else []
    rng.shuffle(shuffled)
    folded = [fold_address(h, persons=persons, topics=TOPICS, window=WINDOW) for h in (history, shuffled)]
    assert folded[0] == folded[1]


@given(HISTORIES, HISTORIES)
def test_merging_two_histories_is_taking_the_later_of_each(one: list[Decision], other: list[Decision]) -> None:
    kept: list[dict[str, datetime]] = []
    for mine, theirs in zip(latest_by_clock(one), latest_by_clock(other), strict=True):
        clocks = mine.keys() | theirs.keys()
        kept.append({c: max(at for at in (mine.get(c), theirs.get(c)) if at is not None) for c in clocks})
    assert latest_by_clock(one + other) == tuple(kept)


@given(HISTORIES)
def test_the_latest_of_each_kind_is_all_the_state_there_is(history: list[Decision]) -> None:
    latest = {
        (d.subject, d.topic, d.clock, d.value): d for d in sorted(history, key=lambda decision: decision.effective_at)
    }
    folded = [
        fold_address(h, persons=("anna", "bo"), topics=TOPICS, window=WINDOW) for h in (history, list(latest.values()))
    ]
    assert folded[0] == folded[1]


@given(HISTORIES, PERSONS, DECISIONS)
def test_one_withdrawal_more_never_grants_what_was_decided(
    history: list[Decision], persons: tuple[str, ...], extra: Decision
) -> None:
    withdrawal = decided("withdraw", 0, clock=extra.clock, topic=extra.topic, subject=extra.subject)
    before, after = (
        fold_address(h, persons=persons, topics=TOPICS, window=WINDOW) for h in (history, [*history, withdrawal])
    )
    assert not (after.state is GRANTED and before.state is not GRANTED)
    assert [t for t in TOPICS if after.topics[t] is GRANTED and before.topics.get(t) is not GRANTED] == []


@given(HISTORIES, PERSONS)
def test_a_purpose_wide_withdrawal_later_than_all_leaves_nothing_on(
    history: list[Decision], persons: tuple[str, ...]
) -> None:
    last = [decided("withdraw", 60, subject=subject) for subject in ("anna", "bo", NAMELESS)]
    consent = fold_address([*history, *last], persons=persons, topics=TOPICS, window=WINDOW)
    assert {consent.state, *consent.topics.values()} == {WITHDRAWN}


@given(HISTORIES)
def test_a_grant_by_every_subject_later_than_all_turns_the_address_on(history: list[Decision]) -> None:
    subjects = {d.subject for d in history if d.subject != NAMELESS or d.value is Value.GRANT} | {"anna"}
    last = [decided("grant", 60, subject=subject) for subject in subjects]
    consent = fold_address([*history, *last], persons=("anna", "bo"), topics=TOPICS, window=WINDOW)
    assert consent.state is GRANTED


@given(HISTORIES, PERSONS)
def test_an_address_is_on_exactly_when_somebody_is_and_nobody_is_off(
    history: list[Decision], persons: tuple[str, ...]
) -> None:
    consent = fold_address(history, persons=persons, topics=TOPICS, window=WINDOW)
    states = [states[None] for states in consent.subjects.values()]
    expected = NONE if not states else GRANTED if set(states) == {GRANTED} else WITHDRAWN
    assert consent.state is expected


# F9: every order of one history.

SEVEN = (
    decided("grant", -60),
    decided("withdraw", -30, clock=CENTRE),
    decided("grant", -20, topic="rdi"),
    decided("withdraw", -10, topic="training"),
    decided("grant", 3, clock=CENTRE),
    decided("withdraw", 0, clock="webropol", topic="rdi"),
    decided("grant", 8, clock="webropol"),
)


@settings(deadline=None)
@given(st.permutations(SEVEN[:4]), st.integers(0, 3))
def test_a_history_cut_in_two_and_repeated_folds_to_the_same(order: list[Decision], cut: int) -> None:
    assert fold_subject(order[cut:] + order[:cut] + order, TOPICS, window=WINDOW) == states_of(*SEVEN[:4])


def test_all_5040_orders_of_a_seven_event_history_give_one_state() -> None:
    states = {
        tuple(sorted(fold_subject(order, TOPICS, window=WINDOW).items(), key=str))
        for order in itertools.permutations(SEVEN)
    }
    expected = {None: GRANTED, "training": WITHDRAWN, "rdi": WITHDRAWN}
    assert states == {tuple(sorted(expected.items(), key=str))}

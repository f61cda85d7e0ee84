"""The ledger: append-only by privilege, events only for decisions, and nothing raised that it does not justify."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Row, text

from connectors.store import outbox
from connectors.store.address import ServerAddress
from connectors.store.migrate import PIPELINE_ROLE, RETENTION_ROLE
from schemas.errors import StoreError
from schemas.intents import Intent, IntentState, Method, Phase
from schemas.tables import CONTACT
from tests.merging import LATER, NOON, Batch, acting, make_decision, make_row, merge_rows, states

pytestmark = pytest.mark.usefixtures("engines")


def events(store: ServerAddress, email: str) -> list[tuple[str, str]]:
    """(value, topic) of the events at an address, in the order in which they count."""
    found = rows(
        store,
        "select e.value, e.topic from intake.consent_event e join intake.contact_point c using (contact_point_id)"
        " where c.address_key = :email order by e.effective_at, e.value",
        email=email,
    )
    return [(row.value, row.topic) for row in found]


def rows(store: ServerAddress, query: str, **values: Any) -> Sequence[Row[Any]]:
    with acting(store) as conn:
        return conn.execute(text(query), values).all()


def state(store: ServerAddress, email: str, purpose: str = "marketing") -> str | None:
    with acting(store) as conn:
        return states(conn, email, purpose).get("")


def sign_up(store: ServerAddress, email: str, value: str = "grant", minutes: float = 0, **changes: Any) -> Batch:
    return merge_rows(
        store, [make_row(f"{email}|{value}|{minutes}", make_decision(value, minutes), address=email)], **changes
    )


def flag(value: str, minutes: float, **changes: Any) -> dict[str, Any]:
    """What a record says of a flag that it keeps only the present value of."""
    reason = "refused" if value == "withdraw" else None
    return make_decision(value, minutes, **{"states_current_value": True, "reason": reason, **changes})


def version(email: str, number: int, *decisions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A version of one record of a source, `number` hours on."""
    at = NOON + timedelta(hours=number)
    return make_row(f"record of {email}", *decisions, **{"address": email, "version_at": at, **changes})


# Append-only.


@pytest.mark.parametrize(
    "statement",
    [
        "update intake.consent_event set value = 'grant'",
        "update intake.consent_event set effective_at = now() where false",
        "delete from intake.consent_event",
        "truncate intake.consent_event",
        "update intake.consent_evidence set address = ''",
        "delete from intake.consent_evidence",
        "update intake.consent_wording set text = ''",
        "delete from intake.consent_wording",
    ],
)
def test_the_pipeline_may_not_change_the_ledger(store: ServerAddress, statement: str) -> None:
    with pytest.raises(StoreError) as refused, acting(store, PIPELINE_ROLE) as conn:
        conn.execute(text(statement))
    assert refused.value.sqlstate == "42501"


def test_evidence_can_be_erased_while_its_event_stays(store: ServerAddress, email: str) -> None:
    sign_up(store, email)
    with acting(store, RETENTION_ROLE) as conn:
        gone = conn.execute(text("delete from intake.consent_evidence where address = :email"), {"email": email})
    assert gone.rowcount == 1
    assert events(store, email) == [("grant", "")]


def test_an_event_holds_no_address_name_or_submission(store: ServerAddress, email: str) -> None:
    sign_up(store, email)
    found = rows(store, "select to_jsonb(e)::text as event from intake.consent_event e")
    assert not [row for row in found for secret in (email, "Aino", "Esimerkki") if secret in row.event]


def test_the_commitment_is_verified_by_the_evidence_and_by_no_other(store: ServerAddress, email: str) -> None:
    sign_up(store, email)
    (row,) = rows(
        store,
        "select e.commitment, v.* from intake.consent_event e join intake.consent_evidence v using (event_key)"
        " where v.address = :email",
        email=email,
    )
    evidence = ("submission_id", "address", "given_name", "family_name", "wording_hash", "notice_version")
    told = [getattr(row, name) or "" for name in (*evidence, "channel", "collected_by", "method")]
    assert row.commitment == committed(row.salt, told)
    assert row.commitment != committed(row.salt, [*told[:4], "another wording", *told[5:]])


def committed(salt: bytes, told: Sequence[str]) -> bytes:
    return hashlib.sha256("\x1f".join([salt.hex(), *told]).encode()).digest()


# What is an event.


def test_the_same_decision_twice_is_one_event(store: ServerAddress, email: str) -> None:
    for _ in range(2):
        sign_up(store, email)
        merge_rows(store, [make_row(f"{email}|grant|0", make_decision("grant"), address=email)] * 2)
    assert events(store, email) == [("grant", "")]


def test_a_repeated_decision_keeps_the_time_of_first_sight(store: ServerAddress, email: str) -> None:
    first = make_row("again", make_decision("withdraw", occurred_at=None, effective_at=LATER), address=email)
    merge_rows(store, [first])
    later = LATER + timedelta(days=3)
    again = make_decision("withdraw", occurred_at=None, effective_at=later)
    merge_rows(store, [make_row("again", again, address=email, received_at=later)])
    found = rows(
        store,
        "select e.received_at, e.effective_at from intake.consent_event e join intake.contact_point c"
        " using (contact_point_id) where c.address_key = :email",
        email=email,
    )
    assert [tuple(row) for row in found] == [(LATER, LATER)]


def test_a_row_without_decisions_makes_no_event_and_no_address(store: ServerAddress, email: str) -> None:
    merge_rows(store, [make_row("silent", address=email)])
    assert rows(store, "select 1 from intake.contact_point where address_key = :email", email=email) == []


def test_a_withdrawal_from_an_unknown_address_keeps_event_and_suppression_and_makes_no_person(
    store: ServerAddress, email: str
) -> None:
    sign_up(store, email, "withdraw")
    assert state(store, email) == "withdrawn"
    found = rows(
        store,
        "select 1 from intake.person p join intake.contact_point c using (contact_point_id)"
        " where c.address_key = :email",
        email=email,
    )
    assert found == []


def test_an_unusable_row_still_withdraws_and_grants_nothing(store: ServerAddress, email: str) -> None:
    both = [make_decision("grant", 60, purpose="related_events"), make_decision("withdraw")]
    merge_rows(store, [make_row("unusable", *both, address=email, is_usable=False)])
    assert (state(store, email), state(store, email, "related_events")) == ("withdrawn", None)


def test_a_stopped_batch_only_lowers(store: ServerAddress, email: str) -> None:
    sign_up(store, email, raises=False)
    assert state(store, email) is None
    sign_up(store, email, "withdraw", raises=False)
    assert state(store, email) == "withdrawn"


# Flags of which only the present value is known.


def test_a_flag_makes_an_event_only_when_it_changes(store: ServerAddress, email: str) -> None:
    for hour, value in enumerate(["grant", "grant", "withdraw", "withdraw", "grant"]):
        merge_rows(store, [version(email, hour, flag(value, 60 * hour))])
    assert [value for value, _ in events(store, email)] == ["grant", "withdraw", "grant"]
    assert state(store, email) == "granted"


def test_a_flags_plain_no_at_first_sight_is_a_default_and_no_event(store: ServerAddress, email: str) -> None:
    merge_rows(store, [version(email, 0, flag("withdraw", 0))])
    assert events(store, email) == []


def test_a_prohibition_at_first_sight_is_an_event(store: ServerAddress, email: str) -> None:
    merge_rows(store, [version(email, 0, flag("withdraw", 0, reason="prohibition"))])
    assert events(store, email) == [("withdraw", "")]


def test_an_old_value_that_arrives_late_changes_nothing(store: ServerAddress, email: str) -> None:
    merge_rows(store, [version(email, 5, flag("grant", 300))])
    merge_rows(store, [version(email, 6, flag("withdraw", 360))])
    merge_rows(store, [version(email, 1, flag("grant", 60))])
    assert events(store, email) == [("grant", ""), ("withdraw", "")]
    merge_rows(store, [version(email, 7, flag("grant", 420))])
    assert state(store, email) == "granted"


@pytest.mark.parametrize("step", [1, -1])
def test_versions_of_a_flag_in_one_batch_are_the_same_events_as_one_by_one(
    store: ServerAddress, email: str, step: int
) -> None:
    histories = {f"{number}.{email}": v for number, v in enumerate(itertools.product(["grant", "withdraw"], repeat=3))}

    def seen(prefix: str, hour: int) -> list[dict[str, Any]]:
        values = {f"{prefix}.{e}": ("grant", *history)[hour] for e, history in histories.items()}
        return [version(e, hour, flag(value, 60 * hour)) for e, value in values.items()]

    merge_rows(store, seen("apart", 0) + seen("together", 0))
    for hour in (1, 2, 3):
        merge_rows(store, seen("apart", hour))
    merge_rows(store, [row for hour in (1, 2, 3)[::step] for row in seen("together", hour)])
    for e, history in histories.items():
        assert events(store, f"together.{e}") == events(store, f"apart.{e}")
        assert state(store, f"together.{e}") == ("granted" if history[-1] == "grant" else "withdrawn")


def test_a_flag_dated_by_its_form_is_withdrawn_each_time_it_goes_off(store: ServerAddress, email: str) -> None:
    def seen(hour: int, value: str) -> None:
        # A yes counts when the form was sent, a no when the row last changed; both happened since the form was sent.
        effective_at = NOON if value == "grant" else NOON + timedelta(hours=hour)
        merge_rows(store, [version(email, hour, flag(value, 0, effective_at=effective_at))])

    for hour, value in [(0, "grant"), (1, "withdraw"), (2, "grant")]:
        seen(hour, value)
    sign_up(store, email, minutes=150)
    assert state(store, email) == "granted"
    seen(3, "withdraw")
    assert state(store, email) == "withdrawn"


def test_a_changed_address_carries_a_withdrawal(store: ServerAddress, email: str) -> None:
    merge_rows(store, [version(email, 0, flag("grant", 0))])
    merge_rows(store, [version(email, 1, flag("withdraw", 60))])
    merge_rows(store, [version(email, 2, flag("withdraw", 120), address_key=f"new-{email}", address=f"new-{email}")])
    assert state(store, f"new-{email}") == "withdrawn"


def test_a_changed_address_carries_no_grant(store: ServerAddress, email: str) -> None:
    merge_rows(store, [version(email, 0, flag("grant", 0))])
    merge_rows(store, [version(email, 1, flag("grant", 0), address_key=f"new-{email}", address=f"new-{email}")])
    assert (state(store, email), state(store, f"new-{email}")) == ("granted", None)


# Versions of one submission, in any order and in one batch or several.


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_corrected_address_loses_no_withdrawal_whatever_the_order(
    store: ServerAddress, email: str, order: tuple[int, int], in_one_batch: bool
) -> None:
    new = f"new-{email}"
    versions = [
        version(email, 0, make_decision("withdraw", 0)),
        version(email, 1, make_decision("grant", 60), address=new, address_key=new),
    ]
    arriving = [versions[number] for number in order]
    for batch in [arriving] if in_one_batch else [[row] for row in arriving]:
        merge_rows(store, batch)
    assert (state(store, email), state(store, new)) == ("withdrawn", "granted")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_corrected_name_keeps_every_decision_whatever_the_order(
    store: ServerAddress, email: str, order: tuple[int, int], in_one_batch: bool
) -> None:
    versions = [
        version(email, 0, make_decision("grant", 0), given_name="Ano", given_key="ano"),
        version(email, 1, make_decision("withdraw", 60)),
    ]
    arriving = [versions[number] for number in order]
    for batch in [arriving] if in_one_batch else [[row] for row in arriving]:
        merge_rows(store, batch)
    assert events(store, email) == [("grant", ""), ("withdraw", "")]
    assert state(store, email) == "withdrawn"


@pytest.mark.parametrize("in_one_batch", [True, False])
@pytest.mark.parametrize("is_shared", [True, False])
def test_one_submission_with_two_addresses_makes_two_persons_at_one_address_each(
    store: ServerAddress, email: str, is_shared: bool, in_one_batch: bool
) -> None:
    new = f"new-{email}"
    if is_shared:
        others = [make_row(f"bo at {e}", make_decision("grant"), address=e, given_key="bo") for e in (email, new)]
        merge_rows(store, others)
    versions = [
        version(email, 0, make_decision("grant", 0)),
        version(email, 1, make_decision("grant", 60), address=new, address_key=new),
    ]
    for batch in [versions] if in_one_batch else [[row] for row in versions]:
        merge_rows(store, batch)
    found = rows(
        store,
        "select s.person_id, p.contact_point_id = s.contact_point_id as is_there, c.address_key"
        " from intake.subject s join intake.person p using (person_id)"
        " join intake.contact_point c on c.contact_point_id = s.contact_point_id"
        " where c.address_key in (:old, :new) and s.given_key = 'aino'",
        old=email,
        new=new,
    )
    assert {row.address_key for row in found} == {email, new}
    assert len({row.person_id for row in found}) == 2
    assert all(row.is_there for row in found)
    sign_up(store, new, minutes=90)


def test_a_late_version_does_not_undo_a_newer_registration(store: ServerAddress, email: str) -> None:
    occasion = {"occasion_id": "seminar", "kind": "event_registration", "name": "Seminar"}
    seat: dict[str, Any] = {"occasion_id": "seminar", "occasion": occasion}
    merge_rows(store, [version(email, 1, registration_status="active", **seat)])
    merge_rows(store, [version(email, 2, registration_status="cancelled", **seat)])
    merge_rows(store, [version(email, 0, registration_status="active", **seat)])
    found = rows(
        store,
        "select g.status from intake.registration g join intake.contact_point c using (contact_point_id)"
        " where c.address_key = :email",
        email=email,
    )
    assert [row.status for row in found] == ["cancelled"]


# The outbox looks at the ledger.


def planned(store: ServerAddress, email: str, **changes: Any) -> tuple[UUID, Intent]:
    """A raising intent of an address in the outbox of a run, planned from what the address is now."""
    (found,) = rows(
        store, "select contact_point_id, version from intake.contact_point where address_key = :email", email=email
    )
    intent = Intent(
        Phase.CORRECTIONS,
        Method.PATCH,
        CONTACT.logical_name,
        uuid4(),
        {"lastname": "Toinen"},
        is_raising=True,
        contact_point_id=found.contact_point_id,
        planned_version=found.version,
    )
    run_id = uuid4()
    with acting(store) as conn:
        waits = changes.pop("waits", False)
        intent = replace(intent, **changes)
        outbox.add_intents(conn, [intent], writing="p1", run_id=run_id, guarded_wait=waits)
    return run_id, intent


def claimed(
    store: ServerAddress, run_id: UUID, phase: Phase = Phase.CORRECTIONS, now: datetime = LATER
) -> tuple[int, int]:
    """How many intents of a phase are claimed, and how many superseded instead."""
    with acting(store) as conn:
        taken, superseded = outbox.claim(conn, run_id, phase, (Method.PATCH, CONTACT.logical_name), limit=9, now=now)
    return len(taken), superseded


def intent_states(store: ServerAddress, run_id: UUID) -> list[str]:
    found = rows(store, "select state from intake.outbox_intent where run_id = :run_id order by 1", run_id=run_id)
    return [row.state for row in found]


@pytest.mark.parametrize("waits", [True, False])
def test_a_withdrawal_supersedes_raising_intents_of_its_address_at_once(
    store: ServerAddress, email: str, waits: bool
) -> None:
    for address in (email, f"other-{email}"):
        sign_up(store, address)
    run_id, _ = planned(store, email, waits=waits)
    other_run, _ = planned(store, f"other-{email}", waits=waits)
    sign_up(store, email, "withdraw", 60, raises=False)
    assert intent_states(store, run_id) == [IntentState.SUPERSEDED]
    assert intent_states(store, other_run) == [IntentState.WAITING if waits else IntentState.PENDING]


def test_a_withdrawal_leaves_lowering_intents_of_its_address(store: ServerAddress, email: str) -> None:
    sign_up(store, email)
    run_id, _ = planned(store, email, phase=Phase.LOWERING, is_raising=False)
    sign_up(store, email, "withdraw", 60)
    assert intent_states(store, run_id) == [IntentState.PENDING]
    assert claimed(store, run_id, Phase.LOWERING) == (1, 0)


def test_an_intent_of_an_unchanged_address_is_claimed(store: ServerAddress, email: str) -> None:
    sign_up(store, email)
    run_id, _ = planned(store, email, valid_until=LATER + timedelta(seconds=1))
    assert claimed(store, run_id) == (1, 0)
    assert claimed(store, run_id) == (0, 0)


def test_an_intent_whose_address_has_moved_on_is_not_claimed(store: ServerAddress, email: str) -> None:
    sign_up(store, email)
    run_id, _ = planned(store, email)
    sign_up(store, email, minutes=60)
    assert claimed(store, run_id) == (0, 1)
    assert intent_states(store, run_id) == [IntentState.SUPERSEDED]


def test_an_intent_whose_purpose_has_ended_is_not_claimed(store: ServerAddress, email: str) -> None:
    sign_up(store, email)
    run_id, _ = planned(store, email, valid_until=LATER)
    assert claimed(store, run_id) == (0, 1)


def test_an_intent_waits_while_an_earlier_phase_of_its_address_is_not_settled(store: ServerAddress, email: str) -> None:
    sign_up(store, email)
    run_id, intent = planned(store, email)
    with acting(store) as conn:
        earlier = replace(intent, phase=Phase.CONSENTS, row_id=uuid4())
        outbox.add_intents(conn, [earlier], writing="p1", run_id=run_id, guarded_wait=False)
    assert claimed(store, run_id) == (0, 0)
    assert claimed(store, run_id, Phase.CONSENTS) == (1, 0)
    assert claimed(store, run_id) == (0, 0)


def test_while_a_row_is_unresolved_no_other_intent_for_it_is_claimed(store: ServerAddress, email: str) -> None:
    sign_up(store, email)
    run_id, intent = planned(store, email)
    assert claimed(store, run_id) == (1, 0)
    next_run, _ = planned(store, email, row_id=intent.row_id)
    assert claimed(store, next_run) == (0, 0)


def test_a_record_that_withdraws_and_moves_in_one_version_withdraws_for_both_addresses(
    store: ServerAddress, email: str
) -> None:
    def moved(address: str, value: str, at: datetime) -> None:
        decision = make_decision(value, occurred_at=at, effective_at=at, states_current_value=True)
        merge_rows(store, [make_row(f"moves {email}", decision, address=address, version_at=at, content_hash=str(at))])

    moved(email, "grant", NOON)
    moved(f"new.{email}", "withdraw", LATER)
    for address in (email, f"new.{email}"):
        assert events(store, address)[-1] == ("withdraw", "")


@pytest.mark.parametrize("states_current_value", [True, False])
@pytest.mark.parametrize(
    "batches", ["012", "0|12", "01|2", "0|1|2", "2|0|1", "21|0", "0|1|2|012", "012|2|0", "2|0|012"]
)
def test_a_record_that_moves_and_withdraws_later_withdraws_for_both_addresses(
    store: ServerAddress, email: str, states_current_value: bool, batches: str
) -> None:
    new = f"new.{email}"

    def seen(number: int) -> dict[str, Any]:
        value, address = ("grant", email) if number == 0 else ("grant" if number == 1 else "withdraw", new)
        decision = make_decision(value, 60 * number, states_current_value=states_current_value)
        return version(email, number, decision, address=address, address_key=address, content_hash=f"{number}")

    for batch in batches.split("|"):
        merge_rows(store, [seen(int(number)) for number in batch])
    withdrawn = {address: [value for value, _ in events(store, address)].count("withdraw") for address in (email, new)}
    if states_current_value and batches[0] == "2":
        assert (withdrawn, state(store, email)) == ({email: 0, new: 1}, None), "what a flag was before grants nothing"
    else:
        assert (withdrawn, state(store, email)) == ({email: 1, new: 1}, "withdrawn")
    assert state(store, new) == "withdrawn"


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_yes_that_a_later_version_brings_with_another_address_is_not_withdrawn_by_the_no_before(
    store: ServerAddress, email: str, in_one_batch: bool
) -> None:
    """The form tells when it was sent, and nothing of when it was edited."""
    new = f"new.{email}"
    versions = [
        version(email, 0, make_decision("withdraw", 0)),
        version(email, 1, make_decision("grant", 0), address=new, address_key=new),
    ]
    for batch in [versions] if in_one_batch else [[row] for row in versions]:
        merge_rows(store, batch)
    assert (state(store, email), state(store, new)) == ("withdrawn", "granted")


def test_a_no_at_another_address_is_none_of_another_record_nor_of_a_yes_that_came_later(
    store: ServerAddress, email: str
) -> None:
    new = f"new.{email}"
    merge_rows(store, [version(email, 0, make_decision("grant", 0))])
    merge_rows(store, [version(email, 1, make_decision("grant", 60), address=new, address_key=new)])
    sign_up(store, email, "withdraw", 90)
    sign_up(store, email, "grant", 100)
    merge_rows(store, [version(email, 2, make_decision("withdraw", 120), address=new, address_key=new)])
    assert (state(store, email), state(store, new)) == ("granted", "withdrawn")

"""A submission that was taken in as good and is spam or trash by now: nothing that it agreed to or began counts any more."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from connectors.store import outbox
from connectors.store.address import ServerAddress
from connectors.store.undo import UndoRequest, undo_readings
from pipelines.transforms.identity import resolve_subjects
from schemas.intents import Intent, Method, Phase
from schemas.tables import CONTACT
from tests.merging import (
    LATER,
    NOON,
    Batch,
    acting,
    make_decision,
    make_policy,
    make_request,
    make_row,
    merge_rows,
    states,
)
from tests.outboxing import execute, query

HOUR = timedelta(hours=1)
COUNTS = "rows_read", "quarantined", "withheld", "applied", "unchanged"
pytestmark = pytest.mark.usefixtures("engines")


def entry(email: str, hours: int = 0, *decisions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A version of one entry of a form that says yes, so many hours on."""
    said = decisions or (make_decision("grant"),)
    plain = {"address": email, "version_at": NOON + hours * HOUR, "content_hash": f"content {hours}"}
    return make_row(f"entry of {email}", *said, **{**plain, **changes})


def registered(email: str, hours: int = 0, **changes: Any) -> dict[str, Any]:
    """The same with a registration for an event, and a question that wants an answer."""
    event = {
        "occasion_id": f"event of {email}", "kind": "event_registration", "version_at": NOON, "name": "Event",
        "name_version_at": NOON, "starts_at": LATER, "starts_to": LATER, "ends_at": LATER, "starts_version_at": NOON,
        "starts_told_at": NOON,
    }  # fmt: skip
    about = {
        "occasion_id": event["occasion_id"],
        "registration_status": "active",
        "is_enquiry": True,
        "occasion": event,
    }
    return entry(email, hours, **{**about, **changes})


def marked(email: str, hours: int = 1, rule: str = "spam", **changes: Any) -> dict[str, Any]:
    """The entry as the moderator left it; nobody has said what it says."""
    row = entry(email, hours, **{"withheld": rule, "is_usable": False, **changes})
    return {**row, "decisions": ()}


def deliver(store: ServerAddress, *rows: dict[str, Any], at: int = 0, **changes: Any) -> Batch:
    """A delivery of these rows, so many hours after the first."""
    return merge_rows(store, rows, **{"now": LATER + at * HOUR, **changes})


def undo(store: ServerAddress, batch: Batch) -> None:
    request = UndoRequest(batch.run_id, uuid4(), "Maija", LATER)
    with acting(store) as conn:
        undo_readings(conn, request, refresh=make_request(make_policy()), resolve=resolve_subjects)


def state(store: ServerAddress, email: str, purpose: str = "marketing") -> str | None:
    with acting(store) as conn:
        return states(conn, email, purpose).get("")


def purposes(store: ServerAddress, email: str) -> set[str]:
    """The purposes that live for whoever reads the address."""
    found = query(
        store,
        "select p.purpose from intake.person_purpose p join intake.contact_point c using (contact_point_id)"
        " where c.address_key = :email",
        email=email,
    )
    return {row.purpose for row in found}


def of_entry(store: ServerAddress, email: str) -> tuple[Any, ...]:
    """Its registration's status, whether it is an enquiry, how many answers it has."""
    found = query(
        store,
        "select g.status, u.is_enquiry, (select count(*) from intake.answer a where a.submission_id = u.submission_id)"
        " from intake.submission u left join intake.registration g using (source, submission_id)"
        " where u.submission_id = :id",
        id=f"entry of {email}",
    )
    return tuple(found[0])


def everything(store: ServerAddress) -> list[Any]:
    """What a delivery that tells nothing new leaves as it is."""
    counted = ("consent_event", "consent_void", "row_image", "outbox_intent", "pending_grant", "answer")
    tables = " union all ".join(f"select '{name}', count(*) from intake.{name}" for name in counted)
    versions = query(store, "select address_key, version from intake.contact_point order by 1")
    rows = query(store, "select submission_id, content_hash, version_at, batch_id from intake.submission order by 1")
    return [query(store, f"{tables} order by 1"), versions, rows]


def counts(store: ServerAddress, batch: Batch) -> dict[str, int]:
    (row,) = query(store, "select * from intake.run_count where batch_id = :id", id=batch.batch_id)
    return {name: getattr(row, name) for name in COUNTS}


def answer(store: ServerAddress, email: str) -> None:
    execute(store, "insert into intake.answer values ('web_forms', :id, 'Diet', 'Nothing')", id=f"entry of {email}")


@pytest.mark.parametrize("rule", ["spam", "trash"])
def test_what_an_entry_began_ends_when_it_is_marked(store: ServerAddress, email: str, rule: str) -> None:
    deliver(store, registered(email))
    answer(store, email)
    assert state(store, email) == "granted"
    assert of_entry(store, email) == ("active", True, 1)
    assert purposes(store, email) >= {"marketing", "event_delivery", "enquiry"}
    batch = deliver(store, marked(email, rule=rule), at=1)
    assert state(store, email) is None
    assert of_entry(store, email) == ("deleted", False, 0)
    assert purposes(store, email) == set()
    assert counts(store, batch) == dict(zip(COUNTS, (1, 0, 1, 0, 0), strict=True))


@pytest.mark.parametrize("rule", ["test", "unassigned"])
def test_other_rules_end_nothing(store: ServerAddress, email: str, rule: str) -> None:
    deliver(store, registered(email))
    deliver(store, marked(email, rule=rule), at=1)
    assert (state(store, email), of_entry(store, email)[0]) == ("granted", "active")


def test_a_mark_that_comes_each_night_does_nothing_more(store: ServerAddress, email: str) -> None:
    deliver(store, registered(email))
    deliver(store, marked(email), at=1)
    before = everything(store)
    for night in range(2, 4):
        batch = deliver(store, marked(email), at=night)
        assert everything(store) == before
        assert counts(store, batch)["withheld"] == 1


def test_what_was_spam_from_the_start_is_nobodys(store: ServerAddress, email: str) -> None:
    for night in range(2):
        deliver(store, marked(email), at=night)
    assert not query(store, "select 1 from intake.contact_point where address_key = :email", email=email)
    assert not query(store, "select 1 from intake.submission where submission_id = :id", id=f"entry of {email}")


def test_what_the_address_agreed_to_by_another_form_stands(store: ServerAddress, email: str) -> None:
    own = make_row(f"own of {email}", make_decision("grant", -60), address=email)
    deliver(store, own, registered(email))
    deliver(store, marked(email), at=1)
    assert state(store, email) == "granted"


def test_a_withdrawal_that_it_told_stands(store: ServerAddress, email: str) -> None:
    own = make_row(f"own of {email}", make_decision("grant", -60), address=email)
    deliver(store, own, entry(email, 0, make_decision("withdraw")))
    deliver(store, marked(email), at=1)
    assert state(store, email) == "withdrawn"


def test_what_another_system_told_under_the_same_id_stands(store: ServerAddress, email: str) -> None:
    deliver(store, entry(email), source="webropol")
    deliver(store, entry(email, address=f"other.{email}"))
    deliver(store, marked(email, address=f"other.{email}"), at=1)
    assert (state(store, email), state(store, f"other.{email}")) == ("granted", None)


def test_a_sign_up_that_waits_for_its_link_waits_no_more(store: ServerAddress, email: str) -> None:
    waits = "select 1 from intake.pending_grant where address_key = :email"
    deliver(store, entry(email, 0, make_decision("pending", notice_version="2026-01")), now=NOON)
    assert query(store, waits, email=email)
    deliver(store, marked(email), now=NOON + HOUR)
    assert not query(store, waits, email=email)


def test_a_mark_that_is_taken_off_makes_it_count_again(store: ServerAddress, email: str) -> None:
    deliver(store, registered(email))
    for turn in range(2):
        deliver(store, marked(email, 2 * turn + 1), at=3 * turn + 1)
        assert state(store, email) is None
        deliver(store, registered(email, 2 * turn + 2), at=3 * turn + 2)
        assert state(store, email) == "granted"
        assert of_entry(store, email)[:2] == ("active", True)
        before = everything(store)
        deliver(store, registered(email, 2 * turn + 2), at=3 * turn + 3)
        assert everything(store) == before


def test_a_mark_that_is_taken_off_by_the_very_version_of_before_counts_too(store: ServerAddress, email: str) -> None:
    """Where the source tells no change: of two versions of one time that received later is the newer."""
    deliver(store, registered(email))
    deliver(store, marked(email, 0, content_hash="marked"), at=1)
    assert state(store, email) is None
    deliver(store, registered(email), at=2)
    assert (state(store, email), of_entry(store, email)[:2]) == ("granted", ("active", True))


def test_a_flag_that_was_on_is_off_while_marked_and_on_again_after(store: ServerAddress, email: str) -> None:
    flag = make_decision("grant", states_current_value=True)
    deliver(store, entry(email, 0, flag))
    deliver(store, marked(email), at=1)
    assert state(store, email) is None
    deliver(store, entry(email, 2, flag), at=2)
    assert state(store, email) == "granted"


@pytest.mark.parametrize("purpose", ["marketing", "related_events"])
def test_an_older_version_that_comes_late_gives_nothing(store: ServerAddress, email: str, purpose: str) -> None:
    deliver(store, registered(email, 1))
    deliver(store, marked(email, 2), at=1)
    deliver(store, entry(email, 0, make_decision("grant", purpose=purpose)), at=2, mapping_hash="m2")
    assert (state(store, email), state(store, email, purpose)) == (None, None)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_good_version_gives_nothing_beside_its_mark_in_one_file(
    store: ServerAddress, email: str, order: Sequence[int]
) -> None:
    rows = [registered(email), marked(email)]
    batch = deliver(store, *[rows[nth] for nth in order])
    assert state(store, email) is None
    assert purposes(store, email) == set()
    found = counts(store, batch)
    assert found["rows_read"] == sum(found[name] for name in COUNTS[1:]) == 2


def test_a_mark_that_is_older_than_what_is_known_does_nothing(store: ServerAddress, email: str) -> None:
    deliver(store, registered(email, 2))
    deliver(store, marked(email, 1), at=1)
    assert (state(store, email), of_entry(store, email)[:2]) == ("granted", ("active", True))


def test_a_mapping_that_learns_of_the_mark_takes_down_what_was_read_without_it(
    store: ServerAddress, email: str
) -> None:
    deliver(store, registered(email))
    deliver(store, marked(email, 0), at=1, mapping_hash="m2")
    assert (state(store, email), of_entry(store, email)[:2]) == (None, ("deleted", False))
    deliver(store, registered(email), at=2, mapping_hash="m3")
    assert (state(store, email), of_entry(store, email)[:2]) == ("granted", ("active", True))


def test_a_mark_lowers_in_a_batch_that_is_stopped(store: ServerAddress, email: str) -> None:
    deliver(store, registered(email))
    deliver(store, marked(email), at=1, raises=False)
    assert (state(store, email), of_entry(store, email)[:2]) == (None, ("deleted", False))


def test_undoing_the_reading_that_marked_it_makes_it_count_again(store: ServerAddress, email: str) -> None:
    flag = make_decision("grant", purpose="related_events", states_current_value=True)
    deliver(store, registered(email) | {"decisions": (make_decision("grant"), flag)})
    answer(store, email)
    batch = deliver(store, marked(email), at=1)
    undo(store, batch)
    assert [state(store, email, name) for name in ("marketing", "related_events")] == ["granted", "granted"]
    assert of_entry(store, email) == ("active", True, 1)
    deliver(store, marked(email), at=2)
    assert state(store, email) is None
    assert of_entry(store, email) == ("deleted", False, 0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_a_reading_that_is_undone_nothing_comes_back_with_its_mark(
    store: ServerAddress, email: str, order: Sequence[int]
) -> None:
    batches = [deliver(store, registered(email)), deliver(store, marked(email), at=1)]
    for nth in order:
        undo(store, batches[nth])
    assert state(store, email) is None
    deliver(store, registered(email, 3), at=2)
    assert state(store, email) is None, "the same mapping does not bring it back"


def test_what_another_undone_reading_had_said_stays_void_when_the_mark_is_undone(
    store: ServerAddress, email: str
) -> None:
    deliver(store, entry(email))
    more = deliver(
        store, entry(email, 1, make_decision("grant"), make_decision("grant", purpose="related_events")), at=1
    )
    mark = deliver(store, marked(email, 2), at=2)
    undo(store, more)
    undo(store, mark)
    assert (state(store, email), state(store, email, "related_events")) == ("granted", None)


def test_of_two_marks_that_are_undone_the_last_one_makes_it_count_again(store: ServerAddress, email: str) -> None:
    deliver(store, registered(email))
    spam, trash = deliver(store, marked(email), at=1), deliver(store, marked(email, 2, "trash"), at=2)
    undo(store, spam)
    assert state(store, email) is None
    undo(store, trash)
    assert (state(store, email), of_entry(store, email)[:2]) == ("granted", ("active", True))


def test_a_raising_write_that_waits_is_not_sent(store: ServerAddress, email: str) -> None:
    deliver(store, registered(email))
    (found,) = query(store, "select contact_point_id from intake.contact_point where address_key = :email", email=email)
    row_id = uuid4()
    raising = Intent(
        Phase.CORRECTIONS,
        Method.PATCH,
        CONTACT.logical_name,
        row_id,
        {"lastname": "Toinen"},
        is_raising=True,
        contact_point_id=found.contact_point_id,
    )
    with acting(store) as conn:
        outbox.add_intents(conn, [raising], writing="p1", run_id=uuid4(), guarded_wait=False)
    deliver(store, marked(email), at=1)
    (kept,) = query(store, "select state from intake.outbox_intent where row_id = :id", id=row_id)
    assert kept.state == "superseded"

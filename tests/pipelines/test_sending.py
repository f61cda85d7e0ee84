"""Sending: each chunk goes its method's way with its key and columns, and each answer becomes its intent's state."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from connectors.dataverse import NOT_EXECUTED, Membership, RowResult, TableName
from connectors.store.outbox import Claimed, Settled
from pipelines.operations.sending import chunks_by_table, read_back_chunk, send_chunk, table_name
from schemas.errors import ClaimStale
from schemas.intents import IntentState, Method, Phase
from schemas.tables import CONSENT, CONTACT, LIST_MEMBER, REGISTRATION

CONTACTS = TableName("contacts", "contact", "contactid")
LISTS = [UUID(int=100), UUID(int=101)]
BIND = "msevtmgt_ContactId@odata.bind"


class SayingCrm:
    """A CRM that notes each call, answers writes in reverse with what `says` has for a row, and reads out `rows`."""

    def __init__(self, **rows: dict[str, object]) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.says: dict[str, tuple[Any, ...]] = {}
        self.rows = {str(UUID(int=int(name.removeprefix("row")))): row for name, row in rows.items()}
        self.members: list[dict[str, object]] = []
        self.is_stale = False
        self.vouchers: list[Callable[[], bool]] = []

    @contextmanager
    def vouched(self, still_stands: Callable[[], bool]) -> Iterator[None]:
        self.vouchers.append(still_stands)
        if self.is_stale:
            raise ClaimStale("waited")
        yield

    def upsert_many(self, table: TableName, rows: Sequence[Mapping[str, object]]) -> list[RowResult]:
        return self._answer("upsert", table, rows, [str(row[table.primary_key]) for row in rows])

    def update_existing(self, table: TableName, rows: Sequence[Mapping[str, object]]) -> list[RowResult]:
        return self._answer("lower", table, rows, [str(row[table.primary_key]) for row in rows])

    def update_if_match(self, table: TableName, rows: Sequence[tuple[Mapping[str, object], str]]) -> list[RowResult]:
        return self._answer("patch", table, rows, [str(row[table.primary_key]) for row, _ in rows])

    def delete_many(self, table: TableName, ids: Sequence[str]) -> list[RowResult]:
        return self._answer("delete", table, ids, ids)

    def add_list_members(self, members: Sequence[Membership]) -> list[RowResult]:
        return self._answer("add", None, members, [one.row_id for one in members])

    def remove_list_members(self, members: Sequence[Membership]) -> list[RowResult]:
        return self._answer("remove", None, members, [one.row_id for one in members])

    def find_list_members(self, members: Sequence[Membership]) -> list[dict[str, object]]:
        self.calls.append(("find", None, list(members)))
        return self.members

    def fetch_rows(self, table: TableName, ids: Sequence[str], select: Sequence[str]) -> dict[str, dict[str, object]]:
        self.calls.append(("fetch", table, list(ids), list(select)))
        return {row_id: self.rows[row_id] for row_id in ids if row_id in self.rows}

    def _answer(self, method: str, table: TableName | None, sent: Sequence[Any], ids: Sequence[str]) -> list[RowResult]:
        self.calls.append((method, table, list(sent)))
        return [RowResult(row_id, *self.says.get(row_id, ("acknowledged",))) for row_id in reversed(ids)]


def make_claimed(number: int, **changes: Any) -> Claimed:
    """A new contact; its intent, row and name bear the number."""
    plain: dict[str, Any] = {
        "intent_id": number,
        "phase": Phase.CONTACTS,
        "method": Method.UPSERT,
        "table_name": CONTACT.logical_name,
        "row_id": UUID(int=number),
        "columns": {"lastname": f"Name {number}"},
    }
    return Claimed(**{**plain, **changes})


def make_member(number: int, **changes: Any) -> Claimed:
    columns = {
        "listid@odata.bind": f"/lists({LISTS[number % 2]})",
        "entityid_contact@odata.bind": f"/contacts({UUID(int=number + 10)})",
    }
    return make_claimed(number, table_name=LIST_MEMBER.logical_name, columns=columns, **changes)


def stands() -> bool:
    raise AssertionError("asked by the client alone, and only after a wait")


def send(crm: SayingCrm, *claimed: Claimed, note_sent: Callable[[Any], None] = lambda _: None) -> list[Settled]:
    return send_chunk(crm, claimed, stands, note_sent)  # type: ignore[arg-type]


def done(*numbers: int) -> list[Settled]:
    return [Settled(number, IntentState.ACKNOWLEDGED) for number in numbers]


# Each method's way.


@pytest.mark.parametrize("method", [Method.UPSERT, Method.LOWER])
def test_rows_go_with_their_key_and_columns_and_nothing_else(method: Method) -> None:
    crm = SayingCrm()
    assert send(crm, *(make_claimed(n, method=method) for n in (1, 2))) == done(1, 2)
    rows = [{"contactid": str(UUID(int=n)), "lastname": f"Name {n}"} for n in (1, 2)]
    assert crm.calls == [(str(method), CONTACTS, rows)]


def test_a_deletion_goes_by_its_id_alone() -> None:
    crm = SayingCrm()
    assert send(crm, make_claimed(1, method=Method.DELETE, columns={})) == done(1)
    assert crm.calls == [("delete", CONTACTS, [str(UUID(int=1))])]


@pytest.mark.parametrize(("method", "name"), [(Method.UPSERT, "add"), (Method.LOWER, "add"), (Method.DELETE, "remove")])
def test_members_are_put_on_lists_and_taken_off_by_list_and_contact(method: Method, name: str) -> None:
    crm = SayingCrm()
    assert send(crm, *(make_member(n, method=method) for n in (1, 2))) == done(1, 2)
    members = [Membership(str(UUID(int=n)), str(LISTS[n % 2]), str(UUID(int=n + 10))) for n in (1, 2)]
    assert crm.calls == [(name, None, members)]


def test_corrections_are_compared_and_go_with_the_etag_that_was_read() -> None:
    crm = SayingCrm(
        row1={"lastname": "Old", "@odata.etag": "e1"},
        row2={"lastname": "Edited", "@odata.etag": "e2"},
        row4={"lastname": None, "mobilephone": "+1", "@odata.etag": "e4"},
    )
    known = {"lastname": "Old", "firstname": "not asked for"}
    patches = [make_claimed(n, method=Method.PATCH, known=known) for n in (1, 2, 3)]
    patches.append(make_claimed(4, method=Method.PATCH, known=None, columns={"mobilephone": "+2"}))
    patches.append(make_claimed(5, method=Method.PATCH, known=None))
    crm.rows[str(UUID(int=5))] = {"lastname": None, "@odata.etag": "e5"}
    crm.says[str(UUID(int=5))] = ("refused", 400, "code", "request")
    assert send(crm, *patches) == [
        *(Settled(n, IntentState.CONFLICT, code="edited_or_gone") for n in (2, 3, 4)),
        *done(1),
        Settled(5, IntentState.REFUSED, 400, "code", "request"),
    ]
    rows = [({"contactid": str(UUID(int=n)), "lastname": f"Name {n}"}, f"e{n}") for n in (1, 5)]
    asked = ["lastname", "mobilephone"]
    assert crm.calls == [("fetch", CONTACTS, [str(UUID(int=n)) for n in range(1, 6)], asked), ("patch", CONTACTS, rows)]


def test_one_edit_among_the_columns_of_a_correction_is_a_conflict() -> None:
    crm = SayingCrm(row1={"lastname": "Old", "firstname": "Edited", "@odata.etag": "e"})
    columns = {"lastname": "New", "firstname": "Aino"}
    known = {"lastname": "Old", "firstname": "Old"}
    correction = make_claimed(1, method=Method.PATCH, columns=columns, known=known)
    assert send(crm, correction) == [Settled(1, IntentState.CONFLICT, code="edited_or_gone")]


def test_a_bound_row_is_compared_under_the_name_by_which_it_is_read() -> None:
    crm = SayingCrm(row1={"_msevtmgt_contactid_value": str(UUID(int=7)), "@odata.etag": "e"})
    bound = {BIND: f"/contacts({UUID(int=7)})"}
    moved = make_claimed(
        1, method=Method.PATCH, table_name=REGISTRATION.logical_name, columns={BIND: "/contacts(x)"}, known=bound
    )
    assert send(crm, moved) == done(1)
    assert crm.calls[0][3] == ["_msevtmgt_contactid_value"]


# What stands no more.


def test_what_waited_and_stands_no_more_is_put_back_whole() -> None:
    crm = SayingCrm()
    crm.is_stale = True
    assert send(crm, make_claimed(1), make_claimed(2)) == [Settled(n, IntentState.PENDING) for n in (1, 2)]
    assert (crm.calls, crm.vouchers) == ([], [stands])


def test_a_lowering_is_sent_without_a_look_at_the_ledger() -> None:
    crm = SayingCrm()
    crm.is_stale = True
    assert send(crm, make_claimed(1, phase=Phase.LOWERING, method=Method.LOWER)) == done(1)
    assert crm.vouchers == []


# Answers.


def test_each_answer_becomes_the_state_of_its_intent_and_one_that_decides_nothing_leaves_it_claimed() -> None:
    crm = SayingCrm()
    said: list[tuple[Any, ...]] = [
        ("acknowledged", 204, None, "r1"),
        ("refused", 400, "0x1", "r2"),
        ("conflict", 412, "0x2", "r3"),
        ("unresolved", 503, NOT_EXECUTED, "r4"),
        ("unresolved", None, None, None),
        ("unresolved", 500, "0x3", "r6"),
        ("refused", 400, NOT_EXECUTED, "r7"),
    ]
    crm.says = {str(UUID(int=n)): words for n, words in enumerate(said, 1)}
    assert send(crm, *(make_claimed(n) for n in range(1, 8))) == [
        Settled(1, IntentState.ACKNOWLEDGED, 204, None, "r1"),
        Settled(2, IntentState.REFUSED, 400, "0x1", "r2"),
        Settled(3, IntentState.CONFLICT, 412, "0x2", "r3"),
        Settled(4, IntentState.PENDING, 503, NOT_EXECUTED, "r4"),
        Settled(5, IntentState.CLAIMED),
        Settled(6, IntentState.CLAIMED, 500, "0x3", "r6"),
        Settled(7, IntentState.REFUSED, 400, NOT_EXECUTED, "r7"),
    ]


# Reading back.


@pytest.mark.parametrize("otherwise", [IntentState.PENDING, IntentState.SUPERSEDED])
def test_what_the_crm_has_as_intended_is_acknowledged_and_the_rest_put_as_told(otherwise: IntentState) -> None:
    crm = SayingCrm(
        row1={"lastname": "Name 1", "firstname": "whatever"},
        row2={"lastname": "Edited"},
        row4={"lastname": "Edited"},
        row6={"lastname": "Gone"},
    )
    chunk = [
        *(make_claimed(n) for n in (1, 2, 3)),
        make_claimed(4, columns={"lastname": "Name 4", "firstname": "Aino"}),
        make_claimed(5, method=Method.DELETE, columns={}),
        make_claimed(6, method=Method.DELETE, columns={}),
    ]
    made = frozenset({UUID(int=n) for n in (3, 4, 6)})
    found = read_back_chunk(crm, chunk, otherwise=otherwise, made=made)  # type: ignore[arg-type]
    happened = {1, 4, 5}
    assert found == [Settled(n, IntentState.ACKNOWLEDGED if n in happened else otherwise) for n in range(1, 7)]
    select = ["contactid", "firstname", "lastname"]
    assert crm.calls == [("fetch", CONTACTS, [str(UUID(int=n)) for n in range(1, 7)], select)]


def test_without_being_told_no_row_is_taken_for_made() -> None:
    crm = SayingCrm(row1={"lastname": "Edited"})
    (found,) = read_back_chunk(crm, [make_claimed(1)], otherwise=IntentState.PENDING)  # type: ignore[arg-type]
    assert found == Settled(1, IntentState.PENDING)


def test_of_a_row_every_column_has_to_be_as_intended() -> None:
    crm = SayingCrm(row1={"lastname": "Name 1", "firstname": "Edited"})
    one = make_claimed(1, columns={"lastname": "Name 1", "firstname": "Aino"})
    (found,) = read_back_chunk(crm, [one], otherwise=IntentState.PENDING)  # type: ignore[arg-type]
    assert found.state is IntentState.PENDING


@pytest.mark.parametrize("method", [Method.UPSERT, Method.DELETE])
def test_members_are_looked_up_by_list_and_contact(method: Method) -> None:
    crm = SayingCrm()
    crm.members = [{"_listid_value": str(LISTS[1]), "_entityid_value": str(UUID(int=11))}]
    chunk = [make_member(n, method=method) for n in (1, 2)]
    found = read_back_chunk(crm, chunk, otherwise=IntentState.PENDING)  # type: ignore[arg-type]
    happened = 1 if method is Method.UPSERT else 2
    assert found == [Settled(n, IntentState.ACKNOWLEDGED if n == happened else IntentState.PENDING) for n in (1, 2)]
    members = [Membership(str(UUID(int=n)), str(LISTS[n % 2]), str(UUID(int=n + 10))) for n in (1, 2)]
    assert crm.calls == [("find", None, members)]


# Chunks.


def test_chunks_are_of_one_table_each_in_their_order_and_never_longer_than_allowed() -> None:
    contacts = [make_claimed(n) for n in (5, 4, 3, 2, 1)]
    consent = make_claimed(6, table_name=CONSENT.logical_name)
    mixed = [*contacts[:2], consent, *contacts[2:]]
    assert chunks_by_table(mixed, 2) == [contacts[:2], contacts[2:4], contacts[4:], [consent]]
    assert chunks_by_table([], 2) == []


def test_a_table_is_named_by_its_set_its_own_name_and_its_key() -> None:
    assert table_name("contact") == CONTACTS
    assert table_name(LIST_MEMBER.logical_name) == TableName("listmembers", "listmember", "listmemberid")

"""The ledger's hash chain: whoever changes, removes, adds or swaps a row is found out, and the row is named.

The tampering is done as the database's owner, whom no privilege keeps off.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.store import chain_sql
from pipelines.operations.acts import record_acts
from pipelines.operations.ledger import Verified, as_facts, sign_head, verify
from pipelines.operations.sessions import Session
from pipelines.operations.undo import undo_run
from schemas.errors import StoreError
from tests.invariants.acts import T0, Who, prohibit, sign_up
from tests.invariants.test_acts import make_act
from tests.invariants.test_consent_commands import say
from tests.invariants.world import World

EVENTS = "intake.consent_event"
FLIPPED = {
    "value": "case {c} when 'grant' then 'withdraw' else 'grant' end",
    "bytea": "set_byte({c}, 0, get_byte({c}, 0) # 1)",
    "text": "{c} || ' '",
    "integer": "{c} + 1",
    "uuid": "gen_random_uuid()",
    "timestamp with time zone": "{c} + interval '1 microsecond'",
}


@pytest.fixture(scope="module")
def filled(one_world: World) -> World:
    """A ledger of four groups: a read file, an undone one and its voiding, a single act; tests leave it as it is."""
    world = one_world.reset()
    world.perform([sign_up(n, Who(f"p{n}@example.org", "aino"), T0) for n in range(6)])
    world.run()
    session = world.session()
    world.perform([prohibit(9, Who("p9@example.org", "aino"), T0)])
    world.run()
    undo_run(session, world.runs[-1], by="Tester")
    record_acts(session, None, [make_act()])
    return world


def tamper(world: World, *statements: str, **values: Any) -> Verified:
    """What verifying finds after somebody tampered with the ledger; it is put back."""
    with world.owner.connect() as conn:
        conn.exec_driver_sql("set session_replication_role = replica")
        for statement in statements:
            conn.execute(sa.text(statement), values)
        verified = verify(Session(world.workspace, rehearsal=conn))
        conn.rollback()
        conn.exec_driver_sql("reset session_replication_role")
    return verified


def first(verified: Verified) -> tuple[str, int | None, int | None]:
    found = verified.broken[0]
    return found.what, found.group_no, found.row_no


def second_row(world: World) -> Any:
    (row,) = world.query(
        f"select * from {EVENTS} join intake.ledger_group using (group_id) where group_no = 1 and nth = 2"
    )
    return row


def test_an_untouched_ledger_is_intact_and_its_head_is_signed(filled: World) -> None:
    verified = verify(filled.session())
    assert verified.said() == []
    assert verified.signed_heads == 1, "one a day"
    assert sign_head(filled.session()) is None
    assert sign_head(filled.session(), at_once=True) is not None
    assert verify(filled.session()).unsigned_groups == 0
    assert {row.kind for row in filled.query("select kind from intake.ledger_group")} == {"event", "void"}
    assert "intact" in say(filled, "verify").output


def column_types(world: World) -> dict[str, str]:
    rows = world.query(
        "select column_name, data_type from information_schema.columns"
        " where table_schema = 'intake' and table_name = 'consent_event' and column_name <> 'link'"
    )
    return {row.column_name: row.data_type for row in rows}


def test_a_change_of_any_column_of_any_event_is_named(filled: World) -> None:
    row = second_row(filled)
    changed_itself = {("event_changed", 2), ("event_changed", 3), ("event_of_no_group", 2)}
    for column, kind in column_types(filled).items():
        flip = FLIPPED[column if column == "value" else kind].format(c=column)
        if getattr(row, column) is None:
            flip = {"bytea": "'x'", "text": "'x'", "uuid": "gen_random_uuid()"}[kind]
        verified = tamper(filled, f"update {EVENTS} set {column} = {flip} where event_id = :id", id=row.event_id)
        assert {(b.what, b.row_no) for b in verified.broken} & changed_itself, column


def test_a_deleted_event_is_named_by_its_place(filled: World) -> None:
    verified = tamper(filled, f"delete from {EVENTS} where event_id = :id", id=second_row(filled).event_id)
    assert first(verified) == ("event_missing", 1, 2)
    assert verified.said()[0].startswith("group 1, row 2: an event that was written is not there")


def test_events_that_changed_places_are_named(filled: World) -> None:
    verified = tamper(
        filled,
        f"update {EVENTS} e set nth = 3 - e.nth from intake.ledger_group g"
        " where g.group_id = e.group_id and g.group_no = 1 and e.nth in (1, 2)",
    )
    assert first(verified) == ("event_changed", 1, 1)
    assert ("event_changed", 1, 2) in [(b.what, b.group_no, b.row_no) for b in verified.broken]


def test_an_event_added_past_the_chain_is_named(filled: World) -> None:
    columns = ", ".join(
        name for name in column_types(filled) if name not in ("event_id", "event_key", "group_id", "nth")
    )
    verified = tamper(
        filled,
        f"insert into {EVENTS} (event_key, {columns}) select 'forged', {columns} from {EVENTS} where event_id = :id",
        id=second_row(filled).event_id,
    )
    assert first(verified) == ("event_of_no_group", None, None)


def test_a_row_changed_with_its_link_betrays_its_group(filled: World) -> None:
    verified = tamper(filled, f"update {EVENTS} set link = sha256(link) where nth = 2")
    whats = {b.what for b in verified.broken}
    assert {"event_changed", "events_not_as_written"} <= whats


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("delete from intake.ledger_group where group_no = 2", "group_missing_before"),
        ("update intake.ledger_group set digest = sha256(digest) where group_no = 2", "head_changed"),
        ("update intake.ledger_group set head = sha256(head) where group_no = 2", "head_changed"),
        ("update intake.ledger_group set previous = sha256(previous) where group_no = 2", "group_out_of_order"),
        ("update intake.ledger_group set chained_at = now() where group_no = 2", "head_changed"),
        ("update intake.consent_void set voided_at = now()", "void_changed"),
        ("delete from intake.consent_void", "void_missing"),
        ("update intake.consent_evidence set address = 'other@example.org'", "evidence_changed"),
        ("update intake.consent_evidence set notice_version = 'other'", "evidence_changed"),
        ("update intake.consent_wording set text = 'other'", "wording_changed"),
        ("update intake.consent_wording set version = 'other'", "wording_changed"),
        ("update intake.consent_wording set language = 'sv'", "wording_changed"),
        ("update intake.ledger_head set signature = sha256(signature) || sha256(signature)", "signature_wrong"),
        ("update intake.ledger_head set head = sha256(head)", "signature_wrong"),
        ("update intake.ledger_head set key_id = 'ledger_head-0009-00000000'", "signing_key_missing"),
    ],
)
def test_groups_voids_evidence_and_heads_are_held_too(filled: World, statement: str, what: str) -> None:
    assert what in {one.what for one in tamper(filled, statement).broken}


def test_a_changed_wording_is_named_by_the_hash_it_is_kept_under(filled: World) -> None:
    ((kept, text),) = filled.query("select wording_hash, text from intake.consent_wording order by 1 limit 1")
    changed = "update intake.consent_wording set text = text || ' ' where wording_hash = :kept"
    assert tamper(filled, changed, kept=kept).said() == [
        f"the wording ({kept}): text, language or version are not what its hash was made of."
    ]
    older = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    moved = "update intake.consent_wording set wording_hash = :older where wording_hash = :kept"
    assert tamper(filled, moved, kept=kept, older=older).said() == [], "as wordings were kept before"


def test_a_chain_written_anew_does_not_fit_the_signed_head(filled: World) -> None:
    """What only the signature finds: every link, digest and head was computed again by somebody who can."""
    (groups,) = filled.query("select max(group_no) as n from intake.ledger_group")
    renewed = [
        f"update {EVENTS} set value = 'withdraw' where event_id = :id",
        f"update {EVENTS} set link = {chain_sql.EVENT_LINK}",
        "update intake.ledger_group g set digest = d.digest from (select group_id, sha256(string_agg(link, ''::bytea"
        f" order by nth)) as digest from {EVENTS} group by group_id) d where d.group_id = g.group_id",
    ]
    for number in range(1, groups.n + 1):
        before = f"(select head from intake.ledger_group where group_no = {number - 1})"
        renewed += [
            f"update intake.ledger_group set previous = coalesce({before}, ''::bytea) where group_no = {number}",
            f"update intake.ledger_group set head = {chain_sql.HEAD} where group_no = {number}",
        ]
    verified = tamper(filled, *renewed, id=second_row(filled).event_id)
    assert {b.what for b in verified.broken} == {"signed_head_differs"}


def test_erasing_evidence_and_salts_leaves_the_chain_verifiable(filled: World) -> None:
    with filled.owner.begin() as conn:
        conn.exec_driver_sql("set local role intake_retention")
        conn.exec_driver_sql("delete from intake.consent_evidence")
    assert as_facts(verify(filled.session()))["intact"]
    dump = filled.query(f"select e::text || g::text as row from {EVENTS} e, intake.ledger_group g")
    assert not any(word in row.row.lower() for row in dump for word in ("example.org", "aino", "virtanen"))


def test_nobody_but_the_store_sets_a_place_in_the_chain(filled: World) -> None:
    for statement in ("update intake.ledger_group set group_no = 9", "delete from intake.ledger_head"):
        with pytest.raises(StoreError) as refused, filled.workspace.transaction() as conn:
            conn.exec_driver_sql(statement)
        assert refused.value.sqlstate == "42501"


def test_appending_side_by_side_makes_one_chain(world: World) -> None:
    session = Session(world.workspace)
    acts = [make_act(address=f"p{n}@example.org") for n in range(24)]
    append: Callable[[Any], Any] = lambda act: record_acts(session, None, [act])  # noqa: E731
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, acts))
    numbers = world.query("select group_no from intake.ledger_group order by 1")
    assert [row.group_no for row in numbers] == list(range(1, 25))
    assert not verify(world.session()).broken

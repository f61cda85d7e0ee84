"""I2, I3, I7, I9: the ledger only grows, its acts are told apart, and a merge is a union of events of the records named."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.operations.acts import record_acts
from pipelines.operations.ledger import verify
from pipelines.operations.ledger_copies import export_ledger, import_ledger
from schemas.consent import Actor
from schemas.errors import ConfigurationError, StoreError
from tests.invariants.acts import T0, Who, sign_up
from tests.invariants.crm_hands import contact_of, merge_contacts, set_crm_clock
from tests.invariants.histories import address_of, examples, households
from tests.invariants.model import MARKETING, RELATED
from tests.invariants.test_acts import LATER, make_act
from tests.invariants.test_consent_commands import say
from tests.invariants.wire import check_wire
from tests.invariants.world import CONSENTS, World

NUMBERS = itertools.count()
EVENTS = "select * from intake.consent_event order by event_key"
STATES = (
    "select c.address_key, s.purpose, s.topic, s.state from intake.consent_state s"
    " join intake.contact_point c using (contact_point_id) order by 1, 2, 3"
)


def filled(world: World, history: list[list[Any]]) -> None:
    world.perform([act for household in history for act in household])
    world.run()


@examples(2)
@given(history=households(least=4, most=8, acts=4))
def test_i02_export_and_import_change_nothing_and_an_empty_store_gets_the_same_states(
    one_world: World, tmp_path_factory: pytest.TempPathFactory, history: list[list[Any]]
) -> None:
    world = one_world.reset()
    filled(world, history)
    record_acts(world.session(), None, [make_act(address="page@example.org"), make_act("withdraw", topics=("rdi",))])
    world.run()
    copy: Path = tmp_path_factory.mktemp("copy") / "ledger.jsonl"
    count = export_ledger(world.session(), copy)
    assert copy.stat().st_mode & 0o077 == 0
    before, states, counts = world.query(EVENTS), world.query(STATES), world.counts()
    assert import_ledger(world.session(), copy) == {"known": count, "erased": 0}
    after = world.counts()
    assert (world.query(EVENTS), world.query(STATES)) == (before, states)
    assert {name for name in after if after[name] != counts[name]} <= {"intake.run"}
    assert not world.writes(world.run().since)
    world.reset()
    assert import_ledger(world.session(), copy)["added"] == count
    assert world.query(STATES) == states
    assert import_ledger(world.session(), copy)["added"] == 0
    assert not verify(world.session()).broken
    with pytest.raises(ConfigurationError):
        export_ledger(world.session(), copy)


def test_i02_a_copy_that_somebody_wrote_in_is_not_taken(world: World, tmp_path: Path) -> None:
    record_acts(world.session(), None, [make_act("withdraw"), make_act("withdraw", address="b@example.org")])
    copy = tmp_path / "ledger.jsonl"
    say(world, "export", str(copy))
    lines = copy.read_bytes().splitlines(keepends=True)
    forged = {
        "changed": b"".join(lines).replace(b'"withdraw"', b'"grant"', 1),
        "cut": b"".join(lines[:-1]),
        "without a line": b"".join(lines[1:]),
        "turned": b"".join([lines[1], lines[0], *lines[2:]]),
        "empty": b"",
        "another seal": b"".join(lines[:-1])
        + b'{"events": 2, "key_id": "ledger_head-0001-00000000", "signature": "00"}\n',
    }
    world.reset()
    for name, content in forged.items():
        copy.write_bytes(content)
        said = " ".join(say(world, "import", str(copy), code=2).output.split())
        assert "nothing was taken" in said, name
    assert not world.query("select 1 from intake.consent_event")


@examples(2)
@given(history=households(least=3, most=6, acts=3), data=st.data())
def test_i02_the_ledger_only_grows(one_world: World, history: list[list[Any]], data: st.DataObject) -> None:
    world = one_world.reset()
    filled(world, history)
    first = world.query(EVENTS)
    for statement in (
        "update intake.consent_event set value = 'grant'",
        "delete from intake.consent_event",
        "truncate intake.consent_event",
        "update intake.consent_void set voided_at = now()",
    ):
        with pytest.raises(StoreError) as refused, world.workspace.transaction() as conn:
            conn.exec_driver_sql(statement)
        assert refused.value.sqlstate == "42501"
    filled(world, data.draw(households(least=2, most=4, acts=3)))
    assert set(first) <= set(world.query(EVENTS))


@examples(3)
@given(order=st.permutations(range(5)), topic=st.sampled_from(["", "training"]))
def test_i03_what_lowers_is_told_apart_by_actor_and_reason(one_world: World, order: list[int], topic: str) -> None:
    """A bounce, a staff's suppression, an objection and a withdrawal are events of their own, and none makes another."""
    world = one_world.reset()
    topics = (topic,) if topic else ()
    acts = [
        make_act(),
        make_act("withdraw", actor=Actor.IMPORT, clock="mail_server", reason="bounce"),
        make_act("withdraw", actor=Actor.STAFF, clock="desk", reason="suppressed"),
        make_act("object", purposes=(RELATED,)),
        make_act("withdraw", topics=topics, reason="page", occurred_at=LATER + timedelta(minutes=1)),
    ]
    for number in order:
        record_acts(world.session(), None, [acts[number]])
    rows = world.query("select purpose, topic, value, actor, reason from intake.consent_event")
    wanted = {
        (MARKETING, "", "grant", "subject", None),
        (MARKETING, "", "withdraw", "import", "bounce"),
        (MARKETING, "", "withdraw", "staff", "suppressed"),
        (RELATED, "", "withdraw", "subject", "objection"),
        (MARKETING, topic, "withdraw", "subject", "page"),
    }
    assert {tuple(row) for row in rows} == wanted
    assert len(rows) == (5 if topic else 6), "leaving all is one more objection, and a bounce is none"


@examples(2)
@given(data=st.data(), pairs=st.integers(2, 4))
def test_i07_a_merge_is_the_union_of_events(one_world: World, data: st.DataObject, pairs: int) -> None:
    """Whoever survives a merge in the CRM: both addresses' withdrawals stand."""
    world = one_world.reset()
    ours = [(Who(address_of(2 * n), "aino"), Who(address_of(2 * n + 1), "aino")) for n in range(pairs)]
    lowered = {who.key: data.draw(st.booleans()) for pair in ours for who in pair}
    world.perform([sign_up(n, who, T0) for n, who in enumerate(who for pair in ours for who in pair)])
    world.run()
    left = [make_act("withdraw", address=key, evidence={"wording": None}) for key, is_off in lowered.items() if is_off]
    record_acts(world.session(), None, left)
    world.run()
    events = {tuple(row) for row in world.query(EVENTS)}
    standing = [who for who in ours[0] if not lowered[who.key]]
    if len(standing) == 2:
        set_crm_clock(world, world.now)
        ids = [contact_of(world, who.key)["contactid"] for who in data.draw(st.permutations(standing))]
        merge_contacts(world, master=ids[0], loser=ids[1])
    world.run()
    assert events <= {tuple(row) for row in world.query(EVENTS)}, "nothing of either is lost"
    held = world.holds()
    for key, is_off in lowered.items():
        assert not (is_off and held.consents.get((key, MARKETING, ""), False)), "never the survivor's status"
    check_wire(world)


@examples(2)
@given(data=st.data(), people=st.integers(3, 8))
def test_i09_a_merge_touches_exactly_the_records_named(one_world: World, data: st.DataObject, people: int) -> None:
    """Whatever our run does after two contacts were merged, no contact and no consent row of anybody else is written."""
    world = one_world.reset()
    whos = [Who(address_of(number), "aino") for number in range(people)]
    world.perform([sign_up(number, who, T0) for number, who in enumerate(whos)])
    world.run()
    merged = data.draw(st.permutations(whos))[:2]
    before = rows_of_others(world, merged)
    assert len(before) > people
    set_crm_clock(world, world.now)
    master, loser = (str(contact_of(world, who.key)["contactid"]) for who in merged)
    merge_contacts(world, master=master, loser=loser)
    world.run()
    assert rows_of_others(world, merged) == before
    check_wire(world)


def rows_of_others(world: World, merged: Sequence[Who]) -> dict[str, dict[str, Any]]:
    """Every column of the contacts and consent rows that bear none of these addresses, by row."""
    keys = {who.key for who in merged}
    contacts = {
        row["contactid"]: row for row in world.rows("contacts") if str(row["emailaddress1"]).lower() not in keys
    }
    consents = {
        row["msdynmkt_contactpointconsent4id"]: row
        for row in world.rows(CONSENTS)
        if row["msdynmkt_contactpointvalue"].lower() not in keys
    }
    return {**contacts, **consents}

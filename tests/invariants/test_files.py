"""Damaged and unexpected files: named with code and remedy, kept, nothing raised of them; the others go on."""

import random
from datetime import timedelta

from pipelines.operations.quarantine import retry
from tests.invariants.acts import T0, Who, answer, facts_of, sign_up
from tests.invariants.feeds import COLUMNS, MAPPINGS
from tests.invariants.model import expected
from tests.invariants.wire import check_wire
from tests.invariants.world import World, assert_holds, csv_bytes

AINO, MAIJA = Who("aino@example.org", "aino"), Who("maija@example.org", "maija")
LATER = T0 + timedelta(days=1)


def stopped(world: World) -> list[tuple[str, str, str]]:
    """Code, reason and remedy of each stopped batch."""
    rows = world.query("select stop_code, stop_reason, stop_remedy from intake.batch where state = 'stopped'")
    return [tuple(row) for row in rows]


def test_a_file_cut_anywhere_within_a_row_raises_nothing_and_is_kept(world: World) -> None:
    acts = [answer(n, Who(f"cut{n}@example.org", "aino"), T0, newsletter="Yes") for n in range(8)]
    whole = csv_bytes(COLUMNS["answers"], [act.row for act in acts])
    inside = [at for at in range(1, len(whole)) if whole[at - 1 : at] != b"\n"]
    cuts = random.Random(7).sample(inside, 25)
    for at in cuts:
        world.receive_bytes("answers", whole[:at])
    world.receive_bytes("answers", b"")
    other = sign_up(1, MAIJA, T0)
    world.perform([other])
    ran = world.run()
    in_folder = len(list(world.drop.glob("answers_*.csv")))
    assert in_folder + len(stopped(world)) == len(cuts) + 1, "each file is in the folder or in the landing"
    assert set(ran.stops()) <= {"cut_short", "unreadable_table", "missing_column"}
    assert all(reason and remedy for _, reason, remedy in stopped(world))
    refused = [refusal for report in ran.landed.values() for refusal in report.refused]
    assert all("Remedy:" in str(refusal) and "@" not in str(refusal) for refusal in refused)
    assert_holds(world, expected(facts_of([other]), now=world.now))
    assert not world.query("select 1 from intake.consent_event where source = 'web_forms' and topic <> ''")
    world.receive_bytes("answers", whole)
    world.run()
    assert_holds(world, expected(facts_of([*acts, other]), now=world.now))


def test_an_unknown_column_stops_the_batch_and_not_its_withdrawals(world: World) -> None:
    before = sign_up(1, AINO, T0)
    world.perform([before])
    world.run()
    leaves = answer(2, AINO, LATER, stop="Yes")
    comes = answer(3, MAIJA, LATER, newsletter="Yes")
    other = answer(4, Who("kalle@example.org", "kalle"), LATER, feed="survey", newsletter="Yes")
    world.receive("answers", [{**leaves.row, "Shoe size": "43"}, {**comes.row, "Shoe size": ""}])
    world.perform([other])
    ran = world.run()
    assert ran.stops() == {"unmapped_column": 1}
    ((_, reason, remedy),) = stopped(world)
    assert "'Shoe size'" in reason
    assert "ignored" in remedy
    assert not any(person in reason + remedy for person in ("aino", "maija", "43"))
    assert_holds(world, expected(facts_of([before, leaves, other]), now=world.now))
    world.with_mapping("answers", ignored=["Shoe size"])
    assert [gated.stop for gated in retry(world.session())] == [None]
    world.run()
    assert_holds(world, expected(facts_of([before, leaves, comes, other]), now=world.now))
    check_wire(world)


def test_a_missing_consent_column_does_not_hold_back_another_columns_withdrawal(world: World) -> None:
    before = sign_up(1, AINO, T0)
    world.perform([before])
    world.run()
    leaves = answer(2, AINO, LATER, stop="Yes")
    columns = [column for column in COLUMNS["answers"] if column != "Newsletter"]
    world.receive_bytes("answers", csv_bytes(columns, [{name: leaves.row[name] for name in columns}]))
    assert world.run().stops() == {"missing_column": 1}
    assert_holds(world, expected(facts_of([before, leaves]), now=world.now))


def test_an_unreadable_encoding_is_named_and_kept(world: World) -> None:
    row = answer(1, AINO, T0, newsletter="Yes").written(Last="M\u00e4kinen").row
    payload = csv_bytes(COLUMNS["answers"], [row])
    mixed = payload + payload.split(b"\r\n", 1)[1].replace("\u00e4".encode(), b"\x81\x8d\xe4").replace(b"a1;", b"a2;")
    world.receive_bytes("answers", mixed)
    world.receive_bytes("survey", payload.decode().encode("utf-16-le")[:-1])
    other = sign_up(1, MAIJA, T0)
    world.perform([other])
    ran = world.run()
    kept = len(stopped(world)) + len(list(world.drop.glob("*.csv")))
    assert sum(ran.stops().values()) == kept == 2
    assert_holds(world, expected(facts_of([other]), now=world.now))


def test_mojibake_is_named_and_reaches_nobody(world: World) -> None:
    world.perform([answer(1, AINO, T0, newsletter="Yes").written(Last="M\u00c3\u00a4kinen")])
    other = answer(2, MAIJA, T0, feed="survey", newsletter="Yes")
    world.perform([other])
    assert world.run().stops() == {"unreadable_encoding": 1}
    ((_, reason, remedy),) = stopped(world)
    assert "UTF-8" in remedy
    assert "kinen" not in reason
    assert_holds(world, expected(facts_of([other]), now=world.now))


def test_a_file_for_one_feed_that_cannot_be_read_does_not_hold_back_a_withdrawal_of_another(world: World) -> None:
    before = sign_up(1, AINO, T0)
    world.perform([before])
    world.run()
    leaves = answer(2, AINO, LATER, feed="survey", stop="Yes")
    world.receive_bytes("answers", b"PK\x03\x04 this is no table\n")
    world.perform([leaves])
    ran = world.run()
    assert sum(ran.stops().values()) == 1
    assert_holds(world, expected(facts_of([before, leaves]), now=world.now))


def test_a_stopped_file_that_comes_again_under_a_mended_mapping_is_taken_in(world: World) -> None:
    comes = answer(3, MAIJA, LATER, newsletter="Yes")
    rows = [{**comes.row, "Shoe size": "43"}]
    world.receive("answers", rows)
    assert world.run().stops() == {"unmapped_column": 1}
    world.with_mapping("answers", ignored=[*MAPPINGS["answers"].get("ignored", []), "Shoe size"])
    world.receive("answers", rows)
    assert not world.run().stops()
    assert_holds(world, expected(facts_of([comes]), now=world.now))

"""`identity propose`: who may be one human being is told to people, and nothing in the store, the plan or the CRM changes."""

import csv
import hashlib
import io
import json
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import openpyxl
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from connectors.store.erasure import Scope
from connectors.store.person_requests import add_request
from connectors.store.retention import add_hold
from pipelines.cli import APP
from pipelines.operations.erasure import find_person
from pipelines.operations.planning import make_plan
from pipelines.operations.rights import restrict, take_request
from pipelines.operations.sessions import rehearse
from tests.invariants.acts import NOW, T0, Act, Who, register, sign_up
from tests.invariants.erasing import erase
from tests.invariants.test_adopting_commands import Says
from tests.invariants.world import World, tables

MURSU, WORK = "mursu77@mail.example.org", "mursu77@work.example.org"
SHARED = "family@home.example.org"
BY = "Officer"
GIVEN = ["Eino", "Helmi", "Jari", "Katri", "Leena", "Niko", "Oiva", "Pekka", "Ritva", "Seppo", "Taina", "Urho"]
FAMILY = [
    "Ahonen",
    "Eskola",
    "Hakala",
    "Ikonen",
    "Jokinen",
    "Kallio",
    "Lehto",
    "Mattila",
    "Niemi",
    "Ojala",
    "Peltola",
    "Turunen",
]


def named(no: int, address: str, given: str, family: str, phone: str = "") -> Act:
    return register(no, Who(address), T0).written(First=given, Last=family, Phone=phone)


def crowd() -> list[Act]:
    """Strangers, six namesakes, a mailbox that three share, one who is there twice; each registered for a course."""
    strangers = [named(n, f"p{n}x@host{n}.example.org", GIVEN[n % 12], FAMILY[n * 5 % 12]) for n in range(36)]
    namesakes = [named(100 + n, f"matti.virtanen@firm{n}.example.org", "Matti", "Virtanen") for n in range(6)]
    shared = [named(200 + n, SHARED, given, "Lahti") for n, given in enumerate(("Liisa", "Lauri", "Leo"))]
    twice = [named(300 + n, address, "Orvokki", "Revontuli") for n, address in enumerate((MURSU, WORK))]
    return [*strangers, *namesakes, *shared, *twice]


@pytest.fixture(scope="module")
def known(one_world: World) -> World:
    """The crowd, which the tests that follow only look at; those that change anything stand last and begin anew."""
    world = one_world.reset()
    world.perform(crowd())
    world.run()
    return world


def say(world: World, out: Path, *words: str) -> Any:
    environment = {**Says(world).environment, "INTAKE_FIXED_NOW": world.now.isoformat()}
    return CliRunner().invoke(
        APP, ["--for", "clean-up 7", "identity", "propose", "--out", str(out), *words], env=environment
    )


def told(world: World, path: Path, *words: str) -> list[dict[str, str]]:
    """The rows of the file."""
    done = say(world, path, *words)
    assert done.exit_code == 0, done.output
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig")), delimiter=";"))


def addresses(rows: Iterable[dict[str, str]]) -> list[set[str]]:
    return [{row["address 1"], row["address 2"]} for row in rows]


def contents(world: World) -> dict[str, str]:
    """All that stands in each table of every schema, the log of readings apart."""
    with world.owner.connect() as conn:
        return {
            name: hashlib.sha256(
                "\n".join(sorted(conn.execute(sa.text(f"select t::text from {name} t")).scalars())).encode()
            ).hexdigest()
            for name in tables(conn)
            if name != "intake.access_log"
        }


def test_who_is_there_twice_is_told_and_namesakes_and_a_shared_mailbox_are_not(known: World, tmp_path: Path) -> None:
    (row,) = told(known, tmp_path / "pairs.csv")
    assert addresses([row]) == [{MURSU, WORK}]
    assert (row["agrees"], row["differs"]) == ("given name, family name, local part", "domain")
    assert {row["given name 1"], row["family name 2"], row["phone 1"]} == {"Orvokki", "Revontuli", ""}
    ids = {str(found) for (found,) in known.query("select person_id from intake.person where given_name = 'Orvokki'")}
    assert {row["person id 1"], row["person id 2"]} == ids
    ranked = told(known, tmp_path / "all.csv", "--above", "0.01")
    assert addresses(ranked)[0] == {MURSU, WORK} and len(ranked) > 1
    weights = [float(row["weight"].removeprefix("'")) for row in ranked]
    assert weights == sorted(weights, reverse=True)
    assert {SHARED} not in addresses(ranked)


def test_nothing_is_changed_by_it_and_the_plan_after_it_is_empty(known: World, tmp_path: Path) -> None:
    before, sent = contents(known), known.emulator.control.last_sequence()
    assert told(known, tmp_path / "pairs.csv", "--above", "0.01")
    assert contents(known) == before
    assert known.emulator.control.last_sequence() == sent, "the CRM was not asked"
    with rehearse(known.workspace) as session, session.transaction() as conn:
        assert make_plan(session, conn, each=lambda _: None).size == 0


def test_the_file_is_its_owners_alone_and_a_workbook_of_texts(known: World, tmp_path: Path) -> None:
    path = tmp_path / "pairs.xlsx"
    done = say(known, path, "--json")
    assert json.loads(done.stdout)["pairs"] == 1
    assert path.stat().st_mode & 0o077 == 0
    titles, row = openpyxl.load_workbook(path).active.iter_rows(values_only=True)  # type: ignore[union-attr]
    assert {MURSU, WORK} <= set(row) and titles[:2] == ("weight", "probability")
    assert say(known, path).exit_code == 2, "never over another file"
    assert say(known, tmp_path / "pairs.txt").exit_code == 2
    assert [one.name for one in tmp_path.iterdir()] == ["pairs.xlsx"]


def test_the_reading_is_noted_with_whom_it_showed_and_no_value(known: World, tmp_path: Path) -> None:
    told(known, tmp_path / "pairs.csv")
    entry = known.query(
        "select command, purpose, contact_point_ids, l::text from intake.access_log l order by entry_id"
    )[-1]
    assert tuple(entry[:2]) == ("identity propose", "clean-up 7")
    shown = known.query("select contact_point_id from intake.contact_point where address = any(:a)", a=[MURSU, WORK])
    assert set(entry.contact_point_ids) == {point for (point,) in shown}
    assert not any(value in entry[3].casefold() for value in ("mursu", "orvokki", "revontuli"))


def test_what_cannot_be_noted_is_not_shown(known: World, tmp_path: Path) -> None:
    with known.owner.begin() as conn:
        conn.exec_driver_sql("alter table intake.access_log rename to access_log_away")
    try:
        done = say(known, tmp_path / "pairs.csv")
    finally:
        with known.owner.begin() as conn:
            conn.exec_driver_sql("alter table intake.access_log_away rename to access_log")
    assert done.exit_code == 3 and MURSU not in done.output
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_command_says_what_to_install(
    known: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "splink", None)
    done = say(known, tmp_path / "pairs.csv")
    assert done.exit_code == 2 and "uv sync --locked --extra linking" in done.output.replace("\n", "")
    assert list(tmp_path.iterdir()) == []


# What happens to somebody who is there twice, by a word that their name and local part begin with.


def scope_of(world: World, address: str) -> Scope:
    with world.workspace.transaction() as conn:
        return find_person(conn, address=address)


def restricted(world: World, address: str) -> None:
    restrict(world.session(), scope_of(world, address), reason="contested", by=BY)


def held(world: World, address: str) -> None:
    (person,) = scope_of(world, address).person_ids
    told = {"until_on": None, "reason": "A claim", "held_by": BY, "made_at": NOW}
    with world.workspace.transaction() as conn:
        add_hold(conn, uuid4(), person_id=person, occasion_pk=None, told=told)


def asking(world: World, address: str) -> None:
    take_request(world.session(), scope_of(world, address), kind="erasure", asked_at=None, by=BY)


def asking_on_the_page(world: World, address: str) -> None:
    with world.workspace.transaction() as conn:
        add_request(conn, scope_of(world, address).contact_point_id, "erasure")


def erased(world: World, address: str) -> None:
    erase(world, address)


def child(world: World, address: str) -> None:
    with world.owner.begin() as conn:
        conn.execute(
            sa.text("update intake.subject set is_child = true, age_told_at = :at where contact_point_id = :point"),
            {"at": NOW, "point": scope_of(world, address).contact_point_id},
        )


def over(world: World, address: str) -> None:
    with world.owner.begin() as conn:
        conn.execute(
            sa.text("update intake.person_purpose set ends_at = :now where contact_point_id = :point"),
            {"now": NOW, "point": scope_of(world, address).contact_point_id},
        )


def role_address(world: World, address: str) -> None:
    with world.owner.begin() as conn:
        conn.execute(
            sa.text("update intake.contact_point set is_role_address = true where address = :a"), {"a": address}
        )


def merged(world: World, address: str) -> None:
    (loser,), (survivor,) = (scope_of(world, at).person_ids for at in (address, address.replace("work", "mail")))
    with world.owner.begin() as conn:
        conn.execute(
            sa.text("insert into intake.crm_link values (:loser, :survivor, 'merged', :at)"),
            {"loser": loser, "survivor": survivor, "at": NOW},
        )


CASES = (restricted, held, asking, asking_on_the_page, erased, child, over, role_address, merged)


def test_nobody_is_proposed_whom_nobody_is_to_look_at(world: World, tmp_path: Path) -> None:
    pairs = {case: tuple(f"hylje{n}@{where}.example.org" for where in ("mail", "work")) for n, case in enumerate(CASES)}
    acts = [
        named(400 + 2 * n + which, address, FAMILY[n] + "ia", "Kuutamo")
        for n, both in enumerate(pairs.values())
        for which, address in enumerate(both)
    ]
    world.perform([*crowd(), *acts])
    world.run()
    before = addresses(told(world, tmp_path / "before.csv"))
    assert [case.__name__ for case, both in pairs.items() if set(both) not in before] == []
    for case, (_, address) in pairs.items():
        case(world, address)
    after = addresses(told(world, tmp_path / "after.csv", "--above", "0.01"))
    assert {MURSU, WORK} in after
    assert [case.__name__ for case, both in pairs.items() if set(both) in after] == []


def test_a_phone_is_compared_and_shown_only_while_a_purpose_uses_phones(world: World, tmp_path: Path) -> None:
    twice = ("a@mail.example.org", "b@work.example.org")
    name, phone = {"First": "Usva", "Last": "Kuutamo"}, "+447700900122"
    world.perform([*crowd(), *(named(400 + n, address, *name.values(), phone) for n, address in enumerate(twice))])
    world.perform([sign_up(n, Who(address), T0).written(**name) for n, address in enumerate(twice)])
    world.run()
    (row,) = (row for row in told(world, tmp_path / "with.csv") if twice[0] in addresses([row])[0])
    assert (row["phone 1"], row["phone 2"]) == (f"'{phone}", f"'{phone}") and "phone" in row["agrees"]
    world.at(T0 + timedelta(days=60 + 731))
    (row,) = told(world, tmp_path / "without.csv", "--above", "0.01")
    assert addresses([row]) == [set(twice)], "marketing alone is alive, and uses names and addresses"
    assert (row["phone 1"], row["phone 2"], row["agrees"]) == ("", "", "given name, family name")
    assert world.query("select count(*) from intake.person where phone is not null") == [(2,)], "it is there"


def test_where_nobody_is_known_the_file_has_its_titles_alone(world: World, tmp_path: Path) -> None:
    assert told(world, tmp_path / "pairs.csv") == []
    assert "weight" in (tmp_path / "pairs.csv").read_text("utf-8-sig")
    world.perform([named(1, MURSU, "Orvokki", "Revontuli"), named(2, "other@example.org", "Eino", "Kuutamo")])
    world.run()
    assert told(world, tmp_path / "more.csv") == []

"""Proposals of links: who may be one human being at two addresses, and how little a name alone says."""

import logging
import random
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.transforms import likeness
from pipelines.transforms.proposals import handle_of, propose_links
from sandbox.organisation.names import FAMILY_NAMES, GIVEN_NAMES
from schemas.errors import ConfigurationError
from tests.sizes import sized

COMMON = ("Matti", "Virtanen")


def make_person(address: str, given: str | None, family: str | None, phone: str | None = None, **ids: Any) -> dict:
    own = {"person_id": address, "contact_point_id": address, "contact_id": address, **ids}
    return {**own, "address_key": address, "given_name": given, "family_name": family, "phone": phone}


def crowd(*others: dict) -> list[dict]:
    """Two hundred people at as many addresses, ten of them of the commonest name, and some others."""
    chance = random.Random(7)
    strangers = [
        make_person(
            f"m{n}x@host{n % 9}.example", chance.choice(GIVEN_NAMES), chance.choice(FAMILY_NAMES), f"+3585000{n:03d}"
        )
        for n in range(190)
    ]
    namesakes = [make_person(f"matti.virtanen@firm{n}.example", *COMMON, f"+3584000{n:03d}") for n in range(10)]
    return [*strangers, *namesakes, *others]


def proposed(people: list[dict], *, above: float = 0.9) -> list[tuple[frozenset[str], str, str]]:
    """Addresses, what agrees, what differs; the likeliest pair first."""
    found = propose_links(pd.DataFrame(people), above=above)
    assert found["weight"].is_monotonic_decreasing
    pairs = zip(found["first"], found["second"], found["agrees"], found["differs"], strict=True)
    keys = [person["address_key"] for person in people]
    return [(frozenset((keys[one], keys[two])), agrees, differs) for one, two, agrees, differs in pairs]


ORVOKKI = [
    make_person("mursu77@mail.example", "Orvokki", "Revontuli"),
    make_person("mursu77@work.example", "Orvokki", "Revontuli"),
]
ONCE = frozenset(person["address_key"] for person in ORVOKKI)


def test_one_name_and_one_local_part_at_two_domains_are_proposed() -> None:
    assert proposed(crowd(*ORVOKKI)) == [(ONCE, "given name, family name, local part", "domain")]


@pytest.mark.parametrize(
    ("one", "other", "agrees", "differs"),
    [
        (("Orvokki", "Revontuli"), ("Orvokki", "Kuutamo"), "given name, phone", "family name, domain"),
        (("Johanna", "Mäki-Petäjä"), ("Johana", "Mäki-Petäjä"), "given name (nearly), family name, phone", "domain"),
        (("Johanna", "Mäki-Petäjä"), ("J.", "Mäki-Petäjä"), "family name, phone", "domain"),
    ],
    ids=["married", "misspelt", "initial"],
)
def test_a_phone_outweighs_a_name_that_changed_or_is_written_otherwise(
    one: tuple[str, str], other: tuple[str, str], agrees: str, differs: str
) -> None:
    addresses = (f"{one[0]}@mail.example", f"{other[0]}@work.example")
    people = crowd(*(make_person(at, *name, "+447700900122") for at, name in zip(addresses, (one, other), strict=True)))
    assert proposed(people, above=0.8) == [(frozenset(addresses), agrees, differs)]


def test_namesakes_with_a_common_name_rank_below_and_are_not_proposed() -> None:
    people = crowd(*ORVOKKI)
    assert not any("matti" in key for pair, *_ in proposed(people) for key in pair)
    ranked = [pair for pair, *_ in proposed(people, above=0.01)]
    assert ranked[0] == ONCE


def test_a_phone_that_a_whole_office_shares_says_little() -> None:
    office = [make_person(f"q{n}z@firm{n}.example", *COMMON, "+358201234567") for n in range(20)]
    assert not any("q" in key for pair, *_ in proposed(crowd(*office)) for key in pair)


def test_who_is_at_one_address_or_shares_a_contact_is_decided_already() -> None:
    first, second = ORVOKKI
    for column in ("contact_point_id", "contact_id"):
        assert proposed(crowd(first, {**second, column: first[column]})) == []


def test_the_order_of_people_does_not_matter() -> None:
    people = crowd(*ORVOKKI)
    wanted = proposed(people, above=0.05)
    random.Random(1).shuffle(people)
    assert {pair: (agrees, differs) for pair, agrees, differs in proposed(people, above=0.05)} == {
        pair: (agrees, differs) for pair, agrees, differs in wanted
    }


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_anybody_to_compare_is_no_fault(count: int) -> None:
    columns = list(ORVOKKI[0])
    found = propose_links(pd.DataFrame(ORVOKKI[:count], columns=columns), above=0.999)
    assert len(found) <= max(count - 1, 0)


def test_people_of_whom_nothing_but_an_address_is_known_are_no_pair() -> None:
    assert proposed([make_person(f"mursu@host{n}.example", None, None) for n in range(3)], above=0.01) == []


@pytest.mark.parametrize(
    ("local", "handle"),
    [
        ("anna-liisa.maki-petaja", None),
        ("Anna.Petaja", None),
        ("al.mp", None),
        ("annamaria.petaja", None),
        ("amakipetaja", None),
        ("anna.petaja77", "annapetaja77"),
        ("mursu_77", "mursu77"),
        ("mursu+news", "mursu"),
        ("petajamaki.oy", "petajamakioy"),
        ("+", None),
    ],
)
def test_a_local_part_made_of_the_names_says_nothing_more(local: str, handle: str | None) -> None:
    assert handle_of(local, "Anna-Liisa Maria", "Mäki-Petäjä") == handle


def test_nothing_is_logged_printed_or_left_on_a_disk(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    seen: dict[str, Any] = {}

    def spied(connection: Any) -> Any:
        names = ("temp_directory", "enable_external_access", "lock_configuration", "autoinstall_known_extensions")
        seen.update({name: connection.sql(f"select current_setting('{name}')").fetchall()[0][0] for name in names})
        seen["files"] = connection.sql("select path from duckdb_databases() where path is not null").fetchall()
        return made(connection)

    import splink

    made = splink.DuckDBAPI
    monkeypatch.setattr(splink, "DuckDBAPI", spied, raising=False)
    level = logging.getLogger("splink").level
    with caplog.at_level(logging.DEBUG):
        assert proposed(crowd(*ORVOKKI))
    assert (caplog.records, capfd.readouterr(), list(tmp_path.iterdir())) == ([], ("", ""), [])
    assert logging.getLogger("splink").level == level
    assert seen == {
        "temp_directory": "",
        "enable_external_access": False,
        "lock_configuration": True,
        "autoinstall_known_extensions": False,
        "files": [],
    }


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "splink", None)
    with pytest.raises(ConfigurationError, match="uv sync --locked --extra linking"):
        proposed(ORVOKKI)


def test_what_the_library_says_of_people_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_people: int) -> Any:
        raise ValueError("could not convert mursu77@mail.example")

    monkeypatch.setattr(likeness, "_model", broken)
    with pytest.raises(ConfigurationError, match="ValueError") as raised:
        proposed(ORVOKKI)
    assert "mursu" not in str(raised.value) and raised.value.__cause__ is None and raised.value.__suppress_context__


def made_up(size: int) -> tuple[list[dict], set[frozenset[str]]]:
    """People of common Finnish names, one in twenty of whom is there twice; who is, by their addresses."""
    chance = random.Random(size)
    domains = [*["mail.example"] * 40, *["post.example"] * 25, *(f"firm{n}.example" for n in range(60))]
    people: list[dict] = []
    twice: set[frozenset[str]] = set()
    for number in range(size):
        given, family = _likely(GIVEN_NAMES, chance), _likely(FAMILY_NAMES, chance)
        phone = f"+358{number:07d}" if chance.random() < 0.4 else None
        local = f"p{number}" if chance.random() < 0.3 else f"{given}.{family}".lower().replace(" ", "")
        for again in range(1 + (chance.random() < 0.05)):
            same = not again or chance.random() < 0.5
            address = f"{local if same else local[0]}+{len(people)}@{chance.choice(domains)}"
            people.append(make_person(address, given, family, phone if not again or chance.random() < 0.6 else None))
            if again:
                twice.add(frozenset(person["address_key"] for person in people[-2:]))
    return people, twice


def _likely(names: tuple[str, ...], chance: random.Random) -> str:
    """The first ones are the commonest, as in life."""
    return chance.choices(names, [1 / (place + 5) for place in range(len(names))])[0]


def test_nearly_all_that_is_proposed_is_true_and_those_with_more_than_a_name_in_common_are_found() -> None:
    people, twice = made_up(sized(3_000, night=100_000))
    found = {pair for pair, *_ in proposed(people)}
    assert len(found & twice) >= 0.95 * len(found)
    assert len(found & twice) >= 0.3 * len(twice)

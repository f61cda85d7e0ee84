"""Which contact of the CRM is whose: one to one by name, and otherwise for a person to decide."""

import itertools
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.transforms.adoption import (
    Candidate,
    CrmContact,
    Doubt,
    Match,
    collation_fold,
    is_compatible,
    match_address,
    read_contacts,
)
from pipelines.transforms.names import name_key
from tests.sizes import sized
from tests.views import ADDRESS

KEY = "aino@example.org"


def contact(name: str, given_name: str | None, family: str | None = None, **changes: Any) -> CrmContact:
    row = {"contactid": str(uuid5(ADDRESS, name)), "firstname": given_name, "lastname": family, "emailaddress1": KEY}
    return read_contacts([{**row, "statecode": 0, **changes}])[0]


def person(given_name: str | None, family: str | None = None) -> Candidate:
    return Candidate(uuid5(ADDRESS, f"person {given_name} {family}"), name_key(given_name, family))


def match(contacts: list[CrmContact], persons: list[Candidate], *ruled_out: tuple[UUID, UUID]) -> Match:
    return match_address(KEY, contacts, persons, ruled_out=frozenset(ruled_out))


@pytest.mark.parametrize(
    ("one", "other", "compatible"),
    [
        (("Aino", "Virtanen"), ("AINO", "Salo"), True),
        (("Aino", None), ("A.", None), True),
        (("Aino", None), ("Maija", None), False),
        ((None, None), ("Aino", "Virtanen"), True),
        ((None, "Virtanen"), ("Aino", "Virtanen"), True),
        ((None, "Salo"), ("Aino", "Virtanen"), False),
    ],
)
def test_names_are_compatible_as_identity_has_it(one: Any, other: Any, compatible: bool) -> None:
    assert is_compatible(name_key(*one), name_key(*other)) is compatible
    assert is_compatible(name_key(*other), name_key(*one)) is compatible


def test_one_contact_and_one_person_of_that_name_are_the_same() -> None:
    aino, hers = person("Aino"), contact("a", "Aino")
    assert match([hers], [aino]) == Match({aino.person_id: hers.row_id})


def test_a_pair_that_was_decided_against_is_never_matched_again() -> None:
    aino, hers = person("Aino"), contact("a", "Aino")
    assert match([hers], [aino], (hers.row_id, aino.person_id)) == Match()


def test_a_contact_of_another_address_matches_nobody_but_a_collation_is_a_doubt() -> None:
    other = contact("a", "Aino", emailaddress1="aïno@example.org")
    assert [review.doubt for review in match([other], [person("Aino")]).reviews] == [Doubt.COLLATION]
    assert match([other], [person("Maija")]) == Match()


@pytest.mark.parametrize("main", ["main@example.org", None, "no address"])
@pytest.mark.parametrize("column", ["emailaddress2", "emailaddress3"])
def test_a_contact_that_bears_the_address_beside_its_main_one_is_a_doubt(main: str | None, column: str) -> None:
    beside = contact("a", "Aino", emailaddress1=main, **{column: KEY.upper()})
    aino = person("Aino")
    (review,) = match([beside], [aino]).reviews
    assert (review.row_id, review.persons, review.doubt) == (beside.row_id, (aino.person_id,), Doubt.OTHER_ADDRESS)
    assert match([beside], [person("Maija")]) == Match()
    assert match([beside], [aino], (beside.row_id, aino.person_id)) == Match()
    hers = contact("b", "Aino")
    assert match([beside, hers], [aino]) == Match({aino.person_id: hers.row_id})


def test_an_inactive_contact_of_another_name_is_no_doubt() -> None:
    assert match([contact("a", "Maija", statecode=1)], [person("Aino")]) == Match()


def test_a_contact_without_a_readable_address_has_no_key() -> None:
    assert [c.key for c in read_contacts([{"contactid": str(ADDRESS), "emailaddress1": a} for a in (None, "no")])] == [
        None,
        None,
    ]


def test_a_merged_contact_is_no_candidate_beside_its_master() -> None:
    master = contact("a", "Aino")
    merged = contact("b", "Aino", statecode=1, _masterid_value=str(master.row_id))
    assert match([merged, master], [person("Aino")]).links == {person("Aino").person_id: master.row_id}


@pytest.mark.parametrize("one", ["Zoë@example.org", "ZOE@EXAMPLE.ORG ", "zoé@example.org"])
def test_the_fold_is_as_loose_as_any_collation(one: str) -> None:
    assert collation_fold(one) == "zoe@example.org"


NAMES = st.sampled_from(["Aino", "Maija", "A", None, "Anna"])


@settings(max_examples=sized(75, 3_000), deadline=None)
@given(st.lists(NAMES, max_size=4), st.lists(NAMES, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_matching_is_one_to_one_free_of_order_and_leaves_nobody_in_two_states(
    names: list[str | None], people: list[str | None], chance: Any
) -> None:
    contacts = [contact(str(number), name) for number, name in enumerate(names)]
    persons = [person(name) for name in people]
    found = match(contacts, persons)
    shuffled = match(chance.sample(contacts, len(contacts)), chance.sample(persons, len(persons)))
    assert found.links == shuffled.links
    assert {(r.row_id, frozenset(r.persons)) for r in found.reviews} == {
        (r.row_id, frozenset(r.persons)) for r in shuffled.reviews
    }
    assert len(set(found.links.values())) == len(found.links)
    held = {p for review in found.reviews for p in review.persons}
    assert not held & set(found.links)
    assert not {review.row_id for review in found.reviews} & set(found.links.values())
    free = {p.person_id for p in persons} - held - set(found.links)
    left = [c for c in contacts if c.row_id not in {*found.links.values(), *(r.row_id for r in found.reviews)}]
    assert not list(itertools.product(free, left)), "a person is new beside a contact that nobody has"

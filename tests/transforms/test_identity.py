"""Identity: who is who at a shared address, whatever the order in which names became known."""

import itertools
import random
from uuid import UUID, uuid5

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.transforms.identity import Subject, group_names, resolve_address, resolve_subjects

NAMES = ("", "a", "b", "aino", "anders", "bo", "bertta")
ADDRESS = UUID("5b6f1f0e-8a0a-4a57-9d2e-3f6f5a6f0000")


def made_by(name: str) -> UUID:
    return uuid5(ADDRESS, f"submission of {name}")


def make_subject(name: str, *, ground: bool = True, person: UUID | None = None, maker: bool = True) -> Subject:
    maker_id = made_by(name) if ground and maker else None
    return Subject(uuid5(ADDRESS, f"subject {name}"), name, ground, person, maker_id)


def persons_of(*subjects: Subject) -> dict[str, UUID | None]:
    """The person of each name."""
    decided = resolve_address(subjects)
    return {subject.given_key: decided[subject.subject_id] for subject in subjects}


def grow(*names: str) -> dict[str, UUID | None]:
    """The person of each name when they become known one after the other, each keeping who it was so far."""
    persons: dict[str, UUID | None] = {}
    for count in range(1, len(names) + 1):
        known = [make_subject(n, person=persons.get(n), maker=n == names[count - 1]) for n in names[:count]]
        persons = persons_of(*known)
    return persons


def partition(persons: dict[str, UUID | None]) -> set[frozenset[str]]:
    """Which names are one person, without the ids."""
    return {frozenset(n for n in persons if persons[n] == person) for person in set(persons.values()) if person}


def test_different_given_names_at_one_address_are_different_persons() -> None:
    persons = persons_of(make_subject("aino"), make_subject("bo"))
    assert persons["aino"] != persons["bo"]


def test_an_initial_stands_with_the_only_name_that_begins_with_it() -> None:
    assert group_names(["a", "aino", "bo"]) == {"a": "aino", "aino": "aino", "bo": "bo"}


def test_an_initial_that_two_names_begin_with_stands_alone() -> None:
    assert group_names(["a", "aino", "anders"]) == {"a": "a", "aino": "aino", "anders": "anders"}


def test_an_initial_that_no_name_begins_with_stands_alone() -> None:
    assert group_names(["b", "aino"]) == {"b": "b", "aino": "aino"}


def test_no_name_stands_with_the_only_person_there_is() -> None:
    assert group_names(["", "aino"]) == {"": "aino", "aino": "aino"}
    assert group_names(["", "a", "aino"]) == {"": "aino", "a": "aino", "aino": "aino"}


def test_no_name_among_several_persons_stands_alone() -> None:
    assert group_names(["", "aino", "bo"])[""] == ""


def test_a_withdrawal_by_a_name_nobody_knows_makes_no_person() -> None:
    persons = persons_of(make_subject("aino"), make_subject("bo", ground=False))
    assert persons == {"aino": made_by("aino"), "bo": None}


def test_a_nameless_withdrawal_is_the_only_persons() -> None:
    persons = persons_of(make_subject("aino"), make_subject("", ground=False))
    assert persons[""] == persons["aino"]


def test_a_nameless_withdrawal_among_several_persons_is_nobodys() -> None:
    persons = persons_of(make_subject("aino"), make_subject("bo"), make_subject("", ground=False))
    assert persons[""] is None


def test_a_withdrawal_by_initial_is_the_persons_who_bears_it() -> None:
    persons = persons_of(make_subject("aino"), make_subject("bo"), make_subject("a", ground=False))
    assert persons["a"] == persons["aino"]


def test_nobody_is_made_where_nobody_gave_ground() -> None:
    assert persons_of(make_subject("aino", ground=False), make_subject("", ground=False)) == {"aino": None, "": None}


def test_who_signed_up_without_a_name_keeps_the_id_once_named() -> None:
    persons = grow("", "aino")
    assert persons == {"": made_by(""), "aino": made_by("")}


def test_who_was_an_initial_keeps_the_id_once_named() -> None:
    assert grow("a", "aino") == {"a": made_by("a"), "aino": made_by("a")}


def test_a_second_name_splits_off_without_taking_the_first_ones_id() -> None:
    persons = grow("aino", "bo")
    assert persons == {"aino": made_by("aino"), "bo": made_by("bo")}


def test_an_initial_is_split_from_a_name_when_a_second_name_fits_it() -> None:
    persons = grow("a", "aino", "anders")
    assert persons["aino"] == made_by("a")
    assert len(set(persons.values())) == 3


def test_one_submission_that_named_two_does_not_give_both_its_id() -> None:
    both = [Subject(uuid5(ADDRESS, name), name, True, None, made_by("same")) for name in ("aino", "bo")]
    assert len(set(resolve_address(both).values())) == 2


SUBJECTS = st.lists(
    st.builds(make_subject, st.sampled_from(NAMES), ground=st.booleans()), unique_by=lambda s: s.given_key, min_size=1
)


@given(SUBJECTS, st.randoms(use_true_random=False))
def test_the_order_of_subjects_cannot_matter(subjects: list[Subject], rng: random.Random) -> None:
    assert resolve_address(rng.sample(subjects, len(subjects))) == resolve_address(subjects)


@given(SUBJECTS)
def test_two_full_given_names_are_never_one_person(subjects: list[Subject]) -> None:
    persons = persons_of(*subjects)
    full = [person for name, person in persons.items() if len(name) > 1 and person is not None]
    assert len(full) == len(set(full))


@given(SUBJECTS)
def test_whoever_gave_ground_is_a_person(subjects: list[Subject]) -> None:
    decided = resolve_address(subjects)
    assert all(decided[s.subject_id] is not None for s in subjects if s.has_ground)


@given(SUBJECTS)
def test_deciding_again_changes_nobody(subjects: list[Subject]) -> None:
    decided = resolve_address(subjects)
    again = [Subject(s.subject_id, s.given_key, s.has_ground, decided[s.subject_id], s.maker_id) for s in subjects]
    assert resolve_address(again) == decided


@given(st.permutations(NAMES), st.integers(1, len(NAMES)))
def test_who_is_who_does_not_depend_on_the_order_in_which_names_became_known(names: list[str], count: int) -> None:
    known = names[:count]
    assert partition(grow(*known)) == partition(persons_of(*map(make_subject, known)))


@given(st.permutations(NAMES), st.integers(2, len(NAMES)))
def test_no_id_is_ever_given_from_one_full_name_to_another(names: list[str], count: int) -> None:
    steps = [grow(*names[:n]) for n in range(1, count + 1)]
    for before, after in itertools.pairwise(steps):
        bore = {person: name for name, person in before.items() if len(name) > 1}
        assert all(after[bore[person]] == person for person in bore)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_addresses_are_decided_apart(order: tuple[int, ...]) -> None:
    rows = [
        {"contact_point_id": ADDRESS, "subject_id": made_by("s1"), "given_key": "aino", "maker_id": made_by("1")},
        {"contact_point_id": ADDRESS, "subject_id": made_by("s2"), "given_key": "", "maker_id": made_by("2")},
        {"contact_point_id": made_by("x"), "subject_id": made_by("s3"), "given_key": "", "maker_id": made_by("3")},
    ]
    shared = pd.DataFrame([{**rows[n], "has_ground": True, "person_id": None} for n in order])
    decided = resolve_subjects(shared).set_index("subject_id")["person_id"].to_dict()
    assert decided[made_by("s1")] == decided[made_by("s2")]
    assert decided[made_by("s3")] == made_by("3")

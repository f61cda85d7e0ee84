"""The synthetic organisation: the same for the same seed, true to itself, and nobody real in it."""

import re
from dataclasses import asdict
from datetime import date
from functools import cache

import pytest
from stdnum import iban
from stdnum.fi import hetu

from pipelines.transforms.answers import normalise_answer
from pipelines.transforms.emails import canonical_address
from pipelines.transforms.names import name_key, normalise_name, split_full_name
from pipelines.transforms.phones import normalise_phone
from sandbox.organisation import Organisation, Submission, make_organisation
from sandbox.organisation.feeds import FEEDS

UNTIL = date(2026, 11, 20)
_ADDRESS = re.compile(r"[^\s@;:(),]+@([^\s@;:(),\u200b]*)")
_EXAMPLE = re.compile(r"(?:.*\.)?example(?:\.org|\.com|\.net)?", re.IGNORECASE)
_EMAIL_COLUMNS = (
    "email",
    "Yhteystiedot:Sähköposti",
    "Osallistuja:Sähköposti",
    "data.sahkopostiosoite",
    "data.sahkoposti",
    "sahkoposti",
    "Sähköposti",
)
_PHONE_COLUMNS = (
    "phone",
    "Yhteystiedot:Matkapuhelin",
    "Osallistuja:Puhelin",
    "Yhteystiedot:Puhelin",
    "data.puhelinnumero",
    "Puhelin",
)


@cache
def organisation(seed: int = 1, people: int = 200) -> Organisation:
    return make_organisation(seed=seed, people=people, until=UNTIL)


@cache
def written(column_names: tuple[str, ...]) -> list[tuple[Submission, str]]:
    """The submissions whose feed has one of the columns, each with its cell there."""
    o = organisation(people=1000)
    found = []
    for submission in o.submissions:
        row = o.row(submission)
        found += [(submission, str(row[name])) for name in column_names if name in row]
    return found


def test_the_same_seed_makes_the_same_history_and_another_seed_another() -> None:
    again = make_organisation(seed=1, people=200, until=UNTIL)
    assert [asdict(s) for s in again.submissions] == [asdict(s) for s in organisation().submissions]
    assert [again.row(s) for s in again.submissions] == [organisation().row(s) for s in organisation().submissions]
    assert [asdict(s) for s in organisation(seed=2).submissions] != [asdict(s) for s in organisation().submissions]


def test_every_feed_has_submissions_and_every_person_submits() -> None:
    assert all(organisation().by_feed[feed] for feed in FEEDS)
    named = {s.person_no for s in organisation().submissions} - {None}
    anonymous = [s for s in organisation().submissions if s.person_no is None]
    assert len(named) + len(anonymous) >= len(organisation().people)


def test_a_history_lies_in_its_days_and_versions_come_on_later_days() -> None:
    days = organisation().days
    assert days.count == 60
    last: dict[tuple[str, str], Submission] = {}
    for s in organisation().submissions:
        assert days.first_on <= s.delivered_on <= days.until
        assert s.first_at <= s.at
        before = last.get((s.feed, s.key)) if s.key else None
        assert s.version == (before.version + 1 if before else 1)
        assert before is None or (before.delivered_on < s.delivered_on and before.at < s.at)
        last[s.feed, s.key] = s


def test_what_is_received_by_day_is_what_the_feeds_show_in_the_end() -> None:
    o = organisation()
    for feed in FEEDS:
        shown = {(s.key or s.no, s.version) for s in o.as_of(feed, UNTIL)}
        received: dict[object, int] = {}
        for s in o.received(o.days.first_on, UNTIL):
            if s.feed == feed:
                received[s.key or s.no] = s.version
        assert shown == set(received.items())


@pytest.mark.parametrize("feed", FEEDS)
def test_a_row_has_exactly_the_columns_of_its_feed(feed: str) -> None:
    o = organisation()
    for s in o.by_feed[feed]:
        assert set(FEEDS[feed].write(o.pen(s))) == set(FEEDS[feed].columns)


def test_addresses_lie_in_example_domains_only() -> None:
    o = organisation(people=1000)
    found = [host for s in o.submissions for cell in o.row(s).values() for host in _ADDRESS.findall(str(cell))]
    assert len(found) > 500
    assert [host for host in found if host.strip("\xa0") and not _EXAMPLE.fullmatch(host.strip("\xa0"))] == []


def test_phone_numbers_are_of_the_range_kept_for_drama() -> None:
    assert all(re.fullmatch(r"\+447700900\d{3}", person.phone) for person in organisation().people)


def test_a_few_in_a_hundred_share_a_mailbox_and_no_name_is_twice_behind_one() -> None:
    people = organisation(people=1000).people
    by_address: dict[str, list[str]] = {}
    for person in people:
        by_address.setdefault(person.address, []).append(name_key(person.given_name, person.family_name).given)
    shared = [names for names in by_address.values() if len(names) > 1]
    assert 15 <= sum(map(len, shared)) <= 60
    assert all(len(set(names)) == len(names) <= 3 for names in shared)
    assert {person.mailbox for person in people} == {"own", "shared", "role"}


def test_one_submission_in_fifty_is_bad() -> None:
    o = organisation(people=1000)
    bad = [s for s in o.submissions if {"email", "status", "submitted_at", "consent"} & set(s.faults)]
    assert 0.01 < len(bad) / len(o.submissions) < 0.035
    assert {f for s in bad for f in s.faults} >= {"email", "status", "submitted_at", "consent"}


def test_planted_values_are_valid_where_a_scanner_checks_them() -> None:
    for person in organisation().people:
        assert hetu.is_valid(person.identity_code, allow_temporary=True)
        assert iban.is_valid(person.account_number)


def test_planted_values_are_in_the_sources() -> None:
    o = organisation()
    cells = " ".join(str(cell) for s in o.submissions for cell in o.row(s).values())
    assert len(o.planted) > 300
    assert [mark for mark in o.planted if mark not in cells] == []
    assert any(person.identity_code in o.planted for person in o.people)


def test_an_address_as_written_reads_back_to_the_true_one_or_to_none() -> None:
    for s, cell in written(_EMAIL_COLUMNS):
        assert canonical_address(cell).key == s.address, (s.feed, s.no)


def test_a_phone_number_as_written_reads_back_to_the_true_one_or_to_none() -> None:
    for s, cell in written(_PHONE_COLUMNS):
        assert normalise_phone(cell).value == s.phone, (s.feed, s.no)


def test_names_as_written_read_back_to_the_true_ones() -> None:
    for s, cell in written(("given_name", "Yhteystiedot:Etunimi", "data.etunimi", "etunimi", "Etunimi")):
        assert normalise_name(cell).value == s.given_name, (s.feed, s.no)
    for s, cell in written(("family_name", "Yhteystiedot:Sukunimi", "data.sukunimi", "sukunimi", "Sukunimi")):
        assert normalise_name(cell).value == s.family_name, (s.feed, s.no)


def test_full_names_as_written_part_into_the_true_ones() -> None:
    for s, cell in written(("Sukunimi ja etunimi",)):
        name = split_full_name(cell, order="family_given")
        assert (name.given, name.family) == (s.given_name, s.family_name), (s.feed, s.no)
    for s, cell in written(("data.nimi",)):
        name = split_full_name(cell, order="given_family")
        assert (name.given, name.family) == (s.given_name, s.family_name), (s.feed, s.no)


def test_a_flag_as_written_is_what_was_said() -> None:
    for s, cell in written(("marketing_consent", "marketing_prohibited", "Saammeko lähettää tietoa koulutuksista?")):
        expected = None if s.flag in ("", "unreadable") else s.flag
        assert normalise_answer(cell, yes=("Kyllä",), no=("Ei",)).value == expected, (s.feed, s.no)
        assert ("consent" in s.faults) == (s.flag == "unreadable")


def test_people_who_granted_withdraw_in_every_way() -> None:
    o = organisation(people=1000)
    granted = {s.person_no for s in o.submissions for said in s.said if said.value == "grant"}
    ways = {said.way for s in o.submissions for said in s.said if said.value == "withdraw" and s.person_no in granted}
    assert ways == {"refusal", "prohibition", "spoken"}


def test_cancellations_waiting_lists_and_erased_records_happen() -> None:
    o = organisation(people=1000)
    assert {s.status for s in o.submissions} >= {"active", "waitlisted", "cancelled", "deleted"}
    assert any(s.is_deleted and s.address is None for s in o.submissions)
    assert any(s.is_draft for s in o.submissions)
    assert any(s.is_payer is False for s in o.submissions)


def test_courses_lie_in_the_past_and_in_the_future() -> None:
    ends = [occasion.ends_at.date() for occasion in organisation(people=1000).occasions.values()]
    assert min(ends) < date(UNTIL.year - 2, UNTIL.month, UNTIL.day) < UNTIL < max(ends)

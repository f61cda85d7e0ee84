"""The synthetic people: names as they are rightly written, one address each, and what the sources know of them.

Addresses lie in the example domains that nobody can own; phone numbers in the range that the British regulator keeps
for drama (Ofcom, "Numbers for use in TV and radio drama").
"""

import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Literal

from sandbox.organisation import marks
from sandbox.organisation.names import (
    CITIES,
    EMPLOYER_FORMS,
    EMPLOYERS,
    FAMILY_NAMES,
    GIVEN_NAMES,
    JOB_TITLES,
    STREETS,
)

Mailbox = Literal["own", "shared", "role"]

_PUBLIC_DOMAINS = ("example.org", "example.com", "example.net")
_ROLE_NAMES = ("info", "toimisto", "asiakaspalvelu")
_UNDECOMPOSED = str.maketrans({"ł": "l", "ø": "o", "æ": "ae", "ß": "ss", "'": "", " ": ""})
_ONE_WORD_GIVEN_NAMES = tuple(name for name in GIVEN_NAMES if " " not in name)
_SHARED_SHARE = 0.03
_ROLE_SHARE = 0.01
_FIRST_BIRTH = date(1948, 1, 1)
_BIRTH_DAYS = 21_000


@dataclass(slots=True)
class Person:
    """One human being. `address` is lower case; `mailbox` tells whether others read it too.

    `phone` is E.164. `attitude` is the probability of ticking a box that asks for permission.
    """

    no: int
    given_name: str
    family_name: str
    address: str
    mailbox: Mailbox
    phone: str
    employer: str
    job_title: str
    postal_code: str
    city: str
    street: str
    born_on: date
    attitude: float

    @property
    def identity_code(self) -> str:
        return marks.identity_code(self.no, self.born_on)

    @property
    def account_number(self) -> str:
        return marks.account_number(self.no)

    @property
    def home_address(self) -> str:
        return marks.home_address(self.no, self.street)


def make_people(rng: Random, count: int) -> list[Person]:
    """`count` people numbered from 1; 3 % share a mailbox with others of the family, 1 % use a role address."""
    people: list[Person] = []
    taken: dict[str, int] = {}
    while len(people) < count:
        roll = rng.random()
        if roll < _SHARED_SHARE / 2.5:
            people.extend(_family(rng, len(people) + 1, taken)[: count - len(people)])
        else:
            people.append(_single(rng, len(people) + 1, taken, is_role=roll > 1 - _ROLE_SHARE))
    return people


def _single(rng: Random, no: int, taken: dict[str, int], *, is_role: bool) -> Person:
    given, family = rng.choice(GIVEN_NAMES), rng.choice(FAMILY_NAMES)
    employer = rng.choice(EMPLOYERS)
    if is_role:
        local, domain = rng.choice(_ROLE_NAMES), f"{slug(employer)}{no}.example"
    else:
        local = f"{slug(given)}.{slug(family)}"
        domain = f"{slug(employer)}.example" if rng.random() < 0.3 else rng.choice(_PUBLIC_DOMAINS)
        tag = "+kurssit" if rng.random() < 0.01 else ""
        local = _untaken(local, domain, taken) + tag
    return _person(rng, no, (given, family), (f"{local}@{domain}", "role" if is_role else "own", employer))


def _family(rng: Random, first_no: int, taken: dict[str, int]) -> list[Person]:
    family, employer = rng.choice(FAMILY_NAMES), rng.choice(EMPLOYERS)
    domain = rng.choice(_PUBLIC_DOMAINS)
    address = f"{_untaken('perhe.' + slug(family), domain, taken)}@{domain}"
    givens = rng.sample(_ONE_WORD_GIVEN_NAMES, 3 if rng.random() < 0.4 else 2)
    return [
        _person(rng, first_no + n, (given, family), (address, "shared", employer)) for n, given in enumerate(givens)
    ]


def _person(rng: Random, no: int, name: tuple[str, str], reached: tuple[str, Mailbox, str]) -> Person:
    postal_code, city = rng.choice(CITIES)
    address, mailbox, employer = reached
    return Person(
        no=no,
        given_name=name[0],
        family_name=name[1],
        address=address,
        mailbox=mailbox,
        phone=fiction_number(rng.randrange(1000)),
        employer=f"{employer} {rng.choice(EMPLOYER_FORMS)}",
        job_title=rng.choice(JOB_TITLES),
        postal_code=postal_code,
        city=city,
        street=rng.choice(STREETS),
        born_on=_FIRST_BIRTH + timedelta(days=rng.randrange(_BIRTH_DAYS)),
        attitude=rng.choice((0.95, 0.95, 0.5, 0.05)),
    )


def fiction_number(serial: int) -> str:
    """One of the thousand British mobile numbers kept for drama, in E.164; libphonenumber calls each invalid."""
    return f"+447700900{serial:03d}"


def slug(name: str) -> str:
    """The ASCII letters, digits and hyphens of a name, lower case, as mail systems make addresses of names."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(_UNDECOMPOSED))
    return "".join(letter for letter in plain if letter.isascii() and (letter.isalnum() or letter == "-"))


def _untaken(local: str, domain: str, taken: dict[str, int]) -> str:
    address = f"{local}@{domain}"
    taken[address] = taken.get(address, 0) + 1
    return local if taken[address] == 1 else f"{local}{taken[address]}"

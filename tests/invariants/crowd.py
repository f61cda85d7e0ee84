"""A CRM with many contacts before us, and what must become of each, told by how it was made and not by any rule of ours.

One contact in ten is a duplicate, one in twenty is of a shared mailbox, flags and consent rows are at random; about
half of the addresses sign up, some with a name that the CRM does not have there, some after their opt-out.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.invariants.acts import T0, Act, Who, sign_up

BEFORE, AFTER = T0 - timedelta(days=300), T0
GIVEN = ("aino", "maija", "kalle", "otso", "venla", "eino", "sisko", "urho")
NOT_SET, IN, OUT = 534120000, 534120001, 534120002


@dataclass
class Mailbox:
    """One address: the contacts that the CRM has of it (given name, flags), its consent rows, and who signed up when."""

    address: str
    contacts: list[tuple[str, dict[str, bool]]]
    consents: list[int] = field(default_factory=list)
    signed_up: tuple[str, datetime] | None = None

    @property
    def is_opted_out(self) -> bool:
        """Whether anything in the CRM said no."""
        flags = [flag for _, given in self.contacts for flag in given.values()]
        return any(flags) or OUT in self.consents

    @property
    def must_be_shut(self) -> bool:
        """Whether its no is the last word."""
        return self.is_opted_out and (self.signed_up is None or self.signed_up[1] == BEFORE)

    @property
    def doubts(self) -> int:
        """How many contacts somebody must decide about: those that share the name, or, where none has it, all.

        Nobody has to for whom no contact is to be made.
        """
        if self.signed_up is None or self.must_be_shut:
            return 0
        alike = sum(given == self.signed_up[0] for given, _ in self.contacts)
        return 0 if alike == 1 else alike or len(self.contacts)

    @property
    def contacts_after(self) -> int:
        """A second contact is made for nobody."""
        makes_one = self.signed_up is not None and not self.contacts
        return len(self.contacts) + makes_one * (not self.must_be_shut)


def make_crowd(size: int, *, seed: int) -> list[Mailbox]:
    """Mailboxes with `size` contacts in all, and a few that the CRM does not know."""
    chance = random.Random(seed)
    crowd: list[Mailbox] = []
    made = 0
    while made < size:
        mailbox = _mailbox(f"m{len(crowd)}@example.org", chance)
        made += len(mailbox.contacts)
        crowd.append(mailbox)
    crowd += [Mailbox(f"n{number}@example.org", [], [], (chance.choice(GIVEN), AFTER)) for number in range(size // 20)]
    return crowd


def _mailbox(address: str, chance: random.Random) -> Mailbox:
    given, other, third = chance.sample(GIVEN, 3)
    kind = chance.random()
    names = [given, given] if kind < 0.11 else [given, other] if kind < 0.14 else [given]
    consents = [chance.choice((NOT_SET, IN, OUT)) for _ in range(chance.choice((0, 0, 0, 1, 2)))]
    mailbox = Mailbox(address, [(name, _flags(chance)) for name in names], consents)
    if chance.random() < 0.5:
        name = third if chance.random() < 0.05 else given
        mailbox.signed_up = name, chance.choice((BEFORE, AFTER))
    return mailbox


def _flags(chance: random.Random) -> dict[str, bool]:
    return {"donotbulkemail": chance.random() < 0.2, "donotemail": chance.random() < 0.05}


def contact_rows(crowd: list[Mailbox]) -> Iterator[dict[str, Any]]:
    """The contacts as staff made them."""
    for mailbox in crowd:
        for given, flags in mailbox.contacts:
            yield {"firstname": given.title(), "emailaddress1": mailbox.address, **flags}


def consent_rows(crowd: list[Mailbox], purpose_id: str) -> Iterator[dict[str, Any]]:
    """The consent rows for marketing, duplicates and all."""
    for mailbox in crowd:
        for value in mailbox.consents:
            yield {
                "msdynmkt_contactpointvalue": mailbox.address,
                "msdynmkt_contactpointtype": 534120000,
                "msdynmkt_contactpointconsenttype": 534120000,
                "msdynmkt_value": value,
                "msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({purpose_id})",
                "msdynmkt_source": 534120000,
                "msdynmkt_logicalreason": 534119999,
            }


def sign_ups(crowd: list[Mailbox]) -> list[Act]:
    """What comes in through the form."""
    said = [(m.address, *m.signed_up) for m in crowd if m.signed_up is not None]
    return [sign_up(number, Who(address, given), at) for number, (address, given, at) in enumerate(said)]

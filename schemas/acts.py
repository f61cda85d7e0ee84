"""Acts: one thing that somebody did about purposes, outside any file: on a page, by one click, in a letter or a call.

What a sign-up form's rows say is read by mappings; this is the record of a single act. A grant without the full
consent record is no grant (GDPR Art. 7(1), ISO/IEC TS 27560): `missing_of` says what it lacks.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from schemas.consent import Actor, Value

# What stamps a yes that is confirmed by the link mailed to the address.
DOUBLE_OPT_IN = "double_opt_in"


class Deed(StrEnum):
    """What was done. Objecting (GDPR Art. 21) and withdrawing (Art. 7(3)) lower alike, and are told apart."""

    GRANT = "grant"
    WITHDRAW = "withdraw"
    OBJECT = "object"

    @property
    def value_of_event(self) -> Value:
        """The value of the ledger's event."""
        return Value.GRANT if self is Deed.GRANT else Value.WITHDRAW


@dataclass(frozen=True, slots=True)
class ShownWording:
    """The very words that the person said yes to, as they were shown."""

    text: str
    version: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActEvidence:
    """What proves an act.

    `request_reference` is the act's own id at its door (a request id, a diary number), the same on every retry and made
    of nobody's data. `wording` or, where the store has it already, `wording_hash`. `collected_by` and `method` are asked
    of what staff took down.
    """

    request_reference: str
    channel: str
    wording: ShownWording | None = None
    wording_hash: str | None = None
    notice_version: str | None = None
    collected_by: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act. `person_id` None: whoever reads the address. The address is given as such or as its contact point.

    `topics` empty: each purpose as a whole. `clock` names what stamped the time, and is the event's source
    (`preference_page`, `one_click`, `spoken`, `double_opt_in`). `occurred_at` is the earliest instant it can mean, and
    `precision_s` how much later it can have been. A name says who of those at the address acted, where no person is given.
    `is_of_age`: it was said that the person is old enough for marketing. `is_carried`: a withdrawal that goes along to another
    address, and means there what it meant and no more.
    """

    deed: Deed
    purposes: tuple[str, ...]
    actor: Actor
    clock: str
    occurred_at: datetime
    evidence: ActEvidence
    topics: tuple[str, ...] = ()
    precision_s: int = 0
    reason: str | None = None
    person_id: UUID | None = None
    contact_point_id: UUID | None = None
    address: str | None = field(default=None, repr=False)
    given_name: str | None = field(default=None, repr=False)
    family_name: str | None = field(default=None, repr=False)
    is_of_age: bool = False
    is_carried: bool = False


def missing_of(act: Act) -> list[str]:
    """What a grant lacks of the full consent record, by name; nothing for what lowers."""
    if act.deed is not Deed.GRANT:
        return []
    evidence, wording = act.evidence, act.evidence.wording
    asked: dict[str, object] = {
        "wording": evidence.wording_hash or (wording and wording.text.strip()),
        "wording version": evidence.wording_hash or (wording and wording.version),
        "wording language": evidence.wording_hash or (wording and wording.language),
        "notice_version": evidence.notice_version,
        "channel": evidence.channel,
    }
    if act.actor in (Actor.STAFF_ON_BEHALF, Actor.GUARDIAN):
        asked |= {"collected_by": evidence.collected_by, "method": evidence.method}
    return [name for name, value in asked.items() if not value]


def covered(act: Act) -> Iterable[tuple[str, str | None]]:
    """Each purpose and topic (None: the whole) that the act names."""
    return [(purpose, topic) for purpose in act.purposes for topic in (act.topics or (None,))]

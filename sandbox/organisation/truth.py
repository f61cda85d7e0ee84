"""What each submission says in plain terms, beside which the written rows of the sources can be judged.

Nothing here is read by the pipeline: a test's own model takes these and works out what the CRM must hold.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

Value = Literal["grant", "withdraw"]
Way = Literal["tick", "refusal", "prohibition", "submitting", "spoken"]


@dataclass(slots=True)
class Said:
    """One decision about a purpose. `topic` None means the purpose as a whole.

    `stated_from` and `stated_to` are the earliest and the latest instant (UTC) that the written time can mean: equal
    where it is exact to the second, the next minute or local midnight where it is a minute or a date.
    `current_value` marks a flag that restates a present state in each version of its row. `actor` is `booker` where the
    one who ticked is not the one registered. `has_evidence` is False for a spoken yes without who, how and wording.
    """

    purpose: str
    topic: str | None
    value: Value
    way: Way
    stated_from: datetime
    stated_to: datetime
    actor: Literal["subject", "booker"] = "subject"
    current_value: bool = False
    has_evidence: bool = True


@dataclass(slots=True)
class Submission:
    """One version of one submission, as its source tells it.

    `key` is the source's own id of the submission ('' where its export has none), `version` counts from 1.
    `person_no` is None where nobody is named (an anonymous answer). `address` is None where it is missing or
    unreadable, and so are `given_name` and `family_name`; `phone` is E.164. `at` is the source's time of this version
    and `first_at` of the submission, both UTC; `delivered_on` is the day in the organisation's timezone by whose end
    the source gives this version out. `status`, `is_sale` and `is_payer` are None where nothing is registered.
    `notice_shown` tells that the form told of news of similar events.
    `flag` is the consent cell as answered ('yes', 'no', 'unreadable', or '' for blank). `faults` names the fields
    that cannot be read: `email` bars the row, `status` the registration, `submitted_at` all grants that have no time of
    their own, `consent` its decision, `phone` itself.
    `seed` decides how the row is written.
    """

    feed: str
    person_no: int | None
    at: datetime
    delivered_on: date
    seed: int
    no: int = 0
    key: str = ""
    version: int = 1
    first_at: datetime = field(default=None)  # type: ignore[assignment]
    address: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    phone: str | None = None
    organisation: str | None = None
    said: tuple[Said, ...] = ()
    flag: str = ""
    topics: tuple[str, ...] = ()
    occasion_id: str | None = None
    status: str | None = None
    is_sale: bool | None = None
    is_payer: bool | None = None
    notice_shown: bool = False
    is_enquiry: bool = False
    is_deleted: bool = False
    is_draft: bool = False
    date_only: bool = False
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.first_at is None:
            self.first_at = self.at

    @property
    def is_usable(self) -> bool:
        """Whether the row as a whole may raise anything: it has a person to reach and is no draft."""
        return not self.is_deleted and not self.is_draft and "email" not in self.faults

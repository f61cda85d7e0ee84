"""Purposes: on which ground, what begins and ends them, what they may show and to whom; and how long things are kept.

What stands here is what the privacy statement promises. `config/intake.yaml` fills it in; `schemas.policy` holds it
together with the rest of the policy. GDPR Art. 5(1)(b, c, e), 6(1), 13(1)(c, e), 13(2)(a).
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DISCLOSURE = "disclosure:"
SHOWN_COLUMNS = frozenset({"firstname", "lastname", "emailaddress1", "mobilephone"})
DISCLOSED_FIELDS = frozenset(
    {"given_name", "family_name", "email", "phone", "organisation", "country", "postal_code", "city"}
)
ANSWER = "answer:"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Basis(StrEnum):
    """Lawful bases, GDPR Art. 6(1), with the soft opt-in and objection regimes named apart from consent."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    LEGITIMATE_INTEREST = "legitimate_interest"
    SOFT_OPT_IN = "soft_opt_in"
    NONE = "none"


class Begin(StrEnum):
    """What begins a purpose for a person.

    `participation` is being registered for an event, for what lives beside its delivery. What begins with a
    `disclosure`, an `order` or an `anonymisation` begins there and shows nothing in the CRM.
    """

    GRANT = "grant"
    COURSE_REGISTRATION = "course_registration"
    EVENT_REGISTRATION = "event_registration"
    PARTICIPATION = "participation"
    SALE_WITH_NOTICE = "sale_with_notice"
    REGISTRATION_WITH_NOTICE = "registration_with_notice"
    ENQUIRY = "enquiry"
    LOWERING = "lowering"
    DISCLOSURE = "disclosure"
    ORDER = "order"
    ANONYMISATION = "anonymisation"
    NEVER = "never"


class End(StrEnum):
    """What ends a purpose for a person; the first that comes does. `expiry` is after `lives_after_days`."""

    WITHDRAWAL = "withdrawal"
    OBJECTION = "objection"
    EXPIRY = "expiry"
    OCCASION_END = "occasion_end"
    LATER_GRANT = "later_grant"
    FISCAL_YEARS = "fiscal_years"
    ERASURE = "erasure"
    NEVER = "never"


class PersonalData(StrEnum):
    """What a purpose uses, in the words of the record of processing (Art. 30(1)(c))."""

    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    ORGANISATION = "organisation"
    PLACE = "place"
    COURSE = "course"
    PARTICIPATION = "participation"
    ANSWERS = "answers"
    MESSAGE = "message"
    CONSENT_RECORD = "consent_record"
    PAYMENT = "payment"
    BEHAVIOUR = "behaviour"
    AGGREGATE = "aggregate"


class Recipient(_Strict):
    """Somebody to whom data goes: who, as what, where. `processor` works on our behalf (GDPR Art. 28)."""

    name: str
    role: Literal["processor", "third_party", "participants"]
    country: str = Field(default="FI", pattern="^[A-Z]{2}$")
    contact: str | None = None


class PurposePolicy(_Strict):
    """One purpose: its basis, the contact columns it may show in the CRM, what begins and ends it, how long it lives.

    `lives_after_days` counts from the end of the occasion for registrations, from the submission for enquiries and news
    of similar events, from the grant for consent; None: until something else ends it. `personal_data` is what it uses
    anywhere, `discloses` the fields that its `recipients` may be given (`answer:NAME` for one listed answer). No cell of
    a statistic tells of fewer than `smallest_cell` people. `class_id` is the class of the organisation's
    information-management plan under which its data is kept.
    """

    basis: Basis
    begins: Begin
    ends: tuple[End, ...] = ()
    contact_columns: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    lives_after_days: int | None = Field(default=None, ge=0)
    personal_data: tuple[PersonalData, ...] = ()
    recipients: tuple[str, ...] = ()
    discloses: tuple[str, ...] = ()
    smallest_cell: int | None = Field(default=None, ge=3)
    class_id: str | None = None
    description: str = ""

    @property
    def is_lowered_by(self) -> frozenset[End]:
        """Which acts of a person end it: withdrawal, objection, both or none."""
        return frozenset(self.ends) & {End.WITHDRAWAL, End.OBJECTION}

    @model_validator(mode="after")
    def _lawful(self) -> "PurposePolicy":
        if self.basis is Basis.CONSENT and End.WITHDRAWAL not in self.ends:
            raise ValueError("consent can be withdrawn at any time (GDPR 7(3)): ends needs withdrawal")
        if self.basis in (Basis.LEGITIMATE_INTEREST, Basis.SOFT_OPT_IN) and End.OBJECTION not in self.ends:
            raise ValueError("what rests on an interest can be objected to (GDPR 21): ends needs objection")
        if (self.lives_after_days is not None) != (End.EXPIRY in self.ends):
            raise ValueError("give lives_after_days and the end expiry together, or neither")
        return self

    @model_validator(mode="after")
    def _bounded(self) -> "PurposePolicy":
        unknown = set(self.contact_columns) - SHOWN_COLUMNS
        if unknown:
            raise ValueError(f"contact_columns: {', '.join(sorted(unknown))} is not a column that a purpose may show")
        unknown = {name for name in self.discloses if not name.startswith(ANSWER)} - DISCLOSED_FIELDS
        if unknown:
            raise ValueError(f"discloses: {', '.join(sorted(unknown))} is not a field that may be disclosed")
        if self.recipients and self.basis in (Basis.CONSENT, Basis.SOFT_OPT_IN) and self.discloses:
            raise ValueError("what was given for marketing is disclosed to nobody: remove discloses")
        return self


class RetentionPolicy(_Strict):
    """Days that things are kept beside the purposes' own data, and the plan's class of each (`class_ids`, by rule).

    `image_days`: what was there before a write, and what was written. `evidence_days`: the evidence of a consent, from
    the day it was last in force or, where it never was, made.
    """

    landing_days: int = 14
    stopped_landing_days: int = 90
    quarantine_days: int = 90
    image_days: int = Field(default=30, ge=0)
    evidence_days: int = Field(default=1096, ge=0)
    class_ids: dict[str, str] = Field(default_factory=dict)


COUNTS_FROM: dict[Begin, str] = {
    Begin.GRANT: "the grant",
    Begin.COURSE_REGISTRATION: "the end of the course",
    Begin.EVENT_REGISTRATION: "the end of the event",
    Begin.PARTICIPATION: "the end of the event",
    Begin.SALE_WITH_NOTICE: "the registration",
    Begin.REGISTRATION_WITH_NOTICE: "the registration",
    Begin.ENQUIRY: "the enquiry",
    Begin.DISCLOSURE: "the end of the event",
    Begin.ORDER: "the end of the fiscal year",
}
# What else retention lets go of: what nothing needs any more, and the database's own log of who read whose data.
REMAINS = (
    *("readings", "groundless_answers", "contact_details", "people", "addresses", "occasions", "submission_ids"),
)
STORES: dict[str, str] = {
    "landing": "landing",
    "stopped_landing": "landing",
    "quarantine": "the fault's first sight",
    "image": "the write",
    "evidence": "the end of the consent",
}

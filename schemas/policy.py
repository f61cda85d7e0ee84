"""The policy: the organisation's purposes, topics, retention and CRM rules, read from config/intake.yaml and validated.

What a CRM row may carry is computed from the purposes alive for a person; this module says which purposes there are,
what begins and ends each, and which columns each may show.
"""

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Columns of contacts and registrations that a person in the CRM may set right; consent is never owned by a column.
OWNED_COLUMNS = frozenset(
    {"firstname", "lastname", "emailaddress1", "mobilephone", "msevtmgt_iscanceled", "msevtmgt_registrationstatus"}
)


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
    """What begins a purpose for a person."""

    GRANT = "grant"
    COURSE_REGISTRATION = "course_registration"
    EVENT_REGISTRATION = "event_registration"
    SALE_WITH_NOTICE = "sale_with_notice"
    REGISTRATION_WITH_NOTICE = "registration_with_notice"
    ENQUIRY = "enquiry"
    LOWERING = "lowering"
    NEVER = "never"


class PurposePolicy(_Strict):
    """One purpose: its basis, the contact columns it may show in the CRM, what begins it, and how long it lives.

    `lives_after_days` counts from the end of the occasion for registrations and from the submission for enquiries and
    news of similar events; None means until lowered.
    """

    basis: Basis
    begins: Begin
    contact_columns: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    lives_after_days: int | None = Field(default=None, ge=0)
    description: str = ""


class CrmPurpose(_Strict):
    """Where a purpose of ours lives in the CRM: the ids of its purpose row and of its topic rows, and its type there."""

    purpose_id: UUID
    kind: Literal["commercial", "transactional", "tracking"] = "commercial"
    topics: dict[str, UUID] = Field(default_factory=dict)


class Owner(StrEnum):
    """Whose value of a column stands where the CRM and a person's submissions differ."""

    NEWEST = "newest"
    INTAKE = "intake"
    CRM = "crm"


class RegisteredProfile(_Strict):
    """What a compliance profile of the CRM asks of people in its own centre: the very wording, and the notice beside it.

    An opt-in made there is a grant only where this is known (GDPR 7(1)).
    """

    wording: str = Field(min_length=1)
    language: Literal["fi", "sv", "en"]
    version: str
    notice_version: str


class BlastRadius(_Strict):
    """A plan that raises, deletes or clears more than max(rows, share of our rows) waits for approval by name."""

    rows: int = Field(default=50, ge=0)
    share: float = Field(default=0.01, ge=0, le=1)


class InUseTable(_Strict):
    """A table of the CRM whose rows, made by a user not ours, show that others use a contact; `lookups` lead to it.

    Names as the Web API has them: `incident`, `incidents`, `incidentid`, `_customerid_value`.
    """

    table: str
    entity_set: str
    primary_key: str
    lookups: tuple[str, ...] = Field(min_length=1)


CASES = InUseTable(
    table="incident",
    entity_set="incidents",
    primary_key="incidentid",
    lookups=("_customerid_value", "_primarycontactid_value"),
)
TASKS = InUseTable(table="task", entity_set="tasks", primary_key="activityid", lookups=("_regardingobjectid_value",))


class CrmPolicy(_Strict):
    """How the CRM is written. `allow_list` limits writes to the contact points whose canonical keys it lists (a pilot);
    the approval of a plan is good for `approval_days`.

    `ownership` says by column whose value stands; a column that is not named goes by the newest human act.
    `registered_profiles` is keyed by the id of the compliance profile's row.
    What `crm doctor` holds the environment to: `preference_page` is the address that every compliance profile must lead
    to, `consent_provider_id` the one external consent provider that may decide, `contact_consent_switch` the unique name
    of the feature of contact consent checks (None: known by its name), `base_language` the environment's (1033, 1035).
    `in_use_tables` tell which contacts others use too: such a contact is never deleted by us; its owner has
    `erasure_task_days` to decide about it.
    With `provision_purposes` `crm provision` makes the purposes and topics too.
    """

    purposes: dict[str, CrmPurpose]
    preference_link_column: str | None = None
    preference_page: str | None = Field(default=None, pattern="^https://[^/?#]+(/[^?#]*)?$")
    consent_provider_id: UUID | None = None
    contact_consent_switch: str | None = None
    base_language: int | None = None
    provision_purposes: bool = False
    allow_list: tuple[str, ...] | None = None
    blast_radius: BlastRadius = BlastRadius()
    ownership: dict[str, Owner] = Field(default_factory=dict)
    registered_profiles: dict[UUID, RegisteredProfile] = Field(default_factory=dict)
    in_use_tables: tuple[InUseTable, ...] = (CASES, TASKS)
    erasure_task_days: int = Field(default=14, ge=1)
    approval_days: int = Field(default=7, ge=1)
    chunk_rows: int = Field(default=100, ge=1, le=1000)
    writers: int = Field(default=4, ge=1, le=64)


class RetentionPolicy(_Strict):
    """Days that technical stores keep personal data. `image_days`: what was there before a write, and what was written."""

    landing_days: int = 14
    stopped_landing_days: int = 90
    quarantine_days: int = 90
    image_days: int = Field(default=30, ge=0)


class Organisation(_Strict):
    """The controller."""

    name: str
    contact: str
    timezone: str = "Europe/Helsinki"
    default_country: str = Field(default="FI", pattern="^[A-Z]{2}$")
    languages: tuple[Literal["fi", "sv", "en"], ...] = ("fi", "sv", "en")


class Policy(_Strict):
    """config/intake.yaml. `clock_skew_s` is the window in which a withdrawal wins between different clocks."""

    version: int
    organisation: Organisation
    purposes: dict[str, PurposePolicy]
    crm: CrmPolicy
    retention: RetentionPolicy = RetentionPolicy()
    clock_skew_s: int = Field(default=300, ge=0)

    def owner_of(self, column: str) -> Owner:
        """Whose value of a CRM column stands."""
        return self.crm.ownership.get(column, Owner.NEWEST)

    @model_validator(mode="after")
    def _consistent(self) -> "Policy":
        for name, purpose in self.crm.purposes.items():
            known = self.purposes.get(name)
            if known is None:
                raise ValueError(f"crm.purposes.{name}: no such purpose under purposes")
            if set(purpose.topics) != set(known.topics):
                raise ValueError(f"crm.purposes.{name}.topics must name exactly the topics of purposes.{name}")
        unknown = set(self.crm.ownership) - OWNED_COLUMNS
        if unknown:
            raise ValueError(f"crm.ownership: {', '.join(sorted(unknown))} cannot be owned, or is no column of ours")
        marketing = self.purposes.get("marketing")
        if marketing and marketing.basis is not Basis.CONSENT:
            raise ValueError("purposes.marketing.basis must be consent")
        return self

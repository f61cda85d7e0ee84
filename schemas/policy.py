"""The policy: the organisation's purposes, topics, retention and CRM rules, read from config/intake.yaml and validated.

What a CRM row may carry is computed from the purposes alive for a person; this module says which purposes there are,
what begins and ends each, and which columns each may show.
"""

from datetime import date
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.finance import FinancePolicy
from schemas.purposes import (
    DISCLOSURE,
    REMAINS,
    STORES,
    Basis,
    Begin,
    PurposePolicy,
    Recipient,
    RetentionPolicy,
)

# Columns of contacts and registrations that a person in the CRM may set right; consent is never owned by a column.
OWNED_COLUMNS = frozenset(
    {"firstname", "lastname", "emailaddress1", "mobilephone", "msevtmgt_iscanceled", "msevtmgt_registrationstatus"}
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# Kinds of purposes of which nothing is sent while somebody's processing is restricted (GDPR Art. 18).
RESTRICTED_KINDS = frozenset({"commercial", "tracking"})


class CrmPurpose(_Strict):
    """Where a purpose of ours lives in the CRM: the ids of its purpose row and of its topic rows, and its type there.

    `lists` are static marketing lists of contacts that mirror a topic, by topic; none where nobody works with lists.
    """

    purpose_id: UUID
    kind: Literal["commercial", "transactional", "tracking"] = "commercial"
    topics: dict[str, UUID] = Field(default_factory=dict)
    lists: dict[str, UUID] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _lists_mirror_topics(self) -> "CrmPurpose":
        if unknown := sorted(set(self.lists) - set(self.topics)):
            raise ValueError(f"lists: {', '.join(unknown)} is not a topic of this purpose")
        return self


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
    """How the CRM is written. `allow_list` limits writes to the contact points whose canonical keys it lists (a pilot), but
    for what lowers rows that the CRM has of others; the approval of a plan is good for `approval_days`.

    `ownership` says by column whose value stands; a column that is not named goes by the newest human act.
    `registered_profiles` is keyed by the id of the compliance profile's row.
    `preference_notice` is the privacy notice that the preference page leads to; its version stands in what is granted
    there. What `crm doctor` holds the environment to: `preference_page` is the address that every compliance profile must lead
    to, `consent_provider_id` the one external consent provider that may decide, `contact_consent_switch` the unique name
    of the feature of contact consent checks (None: known by its name), `base_language` the environment's (1033, 1035).
    `preference_link_column` is the one name that the column of our links has in the CRM; None where it has none.
    `in_use_tables` tell which contacts others use too: such a contact is never deleted by us; its owner has
    `erasure_task_days` to decide about it.
    With `provision_purposes` `crm provision` makes the purposes and topics too.
    """

    purposes: dict[str, CrmPurpose]
    preference_link_column: Literal["crmi_preferencelink"] | None = None
    preference_page: str | None = Field(default=None, pattern="^https://[^/?#]+(/[^?#]*)?$")
    preference_notice: str | None = None
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
    writers: int = Field(default=48, ge=1, le=64)


class Organisation(_Strict):
    """The controller (GDPR Art. 4(7)), as a record of consent and the record of processing name it.

    `contact` is where data subjects write to; `authority` is whom they may complain to.
    """

    name: str
    contact: str
    business_id: str | None = None
    address: str = ""
    url: str | None = None
    phone: str | None = None
    officer: str | None = None
    authority: str = "Office of the Data Protection Ombudsman, Finland"
    jurisdiction: str = "FI"
    storage_locations: tuple[str, ...] = ("FI", "EU")
    timezone: str = "Europe/Helsinki"
    default_country: str = Field(default="FI", pattern="^[A-Z]{2}$")
    languages: tuple[Literal["fi", "sv", "en"], ...] = ("fi", "sv", "en")


class Notice(_Strict):
    """A version of the privacy notice: where it can be read, and since when it was shown."""

    url: str
    since: date


class Policy(_Strict):
    """config/intake.yaml. `clock_skew_s` is the window in which a withdrawal wins between different clocks.

    A sign-up with double opt-in waits `confirmation_days` for its link to be followed.
    `notices` are the privacy notices by version, as mappings and pages name them. Nobody younger than `marketing_age`
    is marketed to (the Finnish Act 1050/2018 section 5: a child's own consent counts from 13).
    """

    version: int
    organisation: Organisation
    purposes: dict[str, PurposePolicy]
    recipients: dict[str, Recipient] = Field(default_factory=dict)
    notices: dict[str, Notice] = Field(default_factory=dict)
    crm: CrmPolicy
    retention: RetentionPolicy = RetentionPolicy()
    finance: FinancePolicy = FinancePolicy()
    clock_skew_s: int = Field(default=300, ge=0)
    confirmation_days: int = Field(default=7, ge=1, le=60)
    marketing_age: int = Field(default=13, ge=13, le=18)

    def owner_of(self, column: str) -> Owner:
        """Whose value of a CRM column stands."""
        return self.crm.ownership.get(column, Owner.NEWEST)

    @property
    def preference_notice_url(self) -> str | None:
        """Where the privacy notice lies that the preference page leads to."""
        notice = self.notices.get(self.crm.preference_notice or "")
        return notice.url if notice else None

    def lists(self) -> dict[UUID, tuple[str, str]]:
        """Purpose and topic of each marketing list, by its id in the CRM."""
        targets = self.crm.purposes.items()
        return {list_id: (name, topic) for name, one in targets for topic, list_id in one.lists.items()}

    @model_validator(mode="after")
    def _consistent(self) -> "Policy":
        for name, purpose in self.crm.purposes.items():
            known = self.purposes.get(name)
            if known is None:
                raise ValueError(f"crm.purposes.{name}: no such purpose under purposes")
            if set(purpose.topics) != set(known.topics):
                raise ValueError(f"crm.purposes.{name}.topics must name exactly the topics of purposes.{name}")
        if len(self.lists()) < sum(len(one.lists) for one in self.crm.purposes.values()):
            raise ValueError("crm.purposes: a marketing list mirrors one topic only")
        unknown = set(self.crm.ownership) - OWNED_COLUMNS
        if unknown:
            raise ValueError(f"crm.ownership: {', '.join(sorted(unknown))} cannot be owned, or is not a column of ours")
        marketing = self.purposes.get("marketing")
        if marketing and marketing.basis is not Basis.CONSENT:
            raise ValueError("purposes.marketing.basis must be consent")
        unknown = set(self.retention.class_ids) - {*STORES, *REMAINS}
        if unknown:
            raise ValueError(
                f"retention.class_ids: {', '.join(sorted(unknown))} is not a rule of retention; a purpose has class_id"
            )
        return self

    @model_validator(mode="after")
    def _shown_notices_are_known(self) -> "Policy":
        shown = {f"registered_profiles.{id_}": one.notice_version for id_, one in self.crm.registered_profiles.items()}
        if self.crm.preference_page is not None:
            shown["preference_notice"] = self.crm.preference_notice or ""
        for name, version in shown.items():
            if version not in self.notices:
                raise ValueError(f"crm.{name}: name the privacy notice that is shown there, one of those under notices")
        return self

    @model_validator(mode="after")
    def _each_begins_once(self) -> "Policy":
        for begin in (Begin.COURSE_REGISTRATION, Begin.EVENT_REGISTRATION):
            names = [name for name, one in self.purposes.items() if one.begins is begin]
            if len(names) > 1:
                raise ValueError(f"purposes {', '.join(names)}: only one can begin with {begin}")
        return self

    @model_validator(mode="after")
    def _disclosed_only_as_named(self) -> "Policy":
        for name, purpose in self.purposes.items():
            unknown = set(purpose.recipients) - set(self.recipients)
            if unknown:
                raise ValueError(f"purposes.{name}.recipients: {', '.join(sorted(unknown))} is not under recipients")
            if name.startswith(DISCLOSURE) != (purpose.begins is Begin.DISCLOSURE):
                raise ValueError(f"purposes.{name}: a disclosure is called disclosure:RECIPIENT, and begins with one")
            if name.startswith(DISCLOSURE) and purpose.recipients != (name.removeprefix(DISCLOSURE),):
                raise ValueError(f"purposes.{name}.recipients must be its one recipient")
            if purpose.begins is Begin.ORDER and (purpose.contact_columns or name in self.crm.purposes):
                raise ValueError(f"purposes.{name}: what is finance's never reaches the CRM")
            if purpose.begins is Begin.ANONYMISATION and purpose.smallest_cell is None:
                raise ValueError(f"purposes.{name} needs smallest_cell")
        return self

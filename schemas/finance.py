"""The language of finance: entries, the parties of each, what a mapping names for them, how long they are kept.

Finance data stands apart (accounting is a legal obligation of its own): no purpose of the CRM reads it, and a mapping
names its columns by title alone, so that they are no columns of the intake.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

PARTY_FIELDS = (
    "name",
    "street_address",
    "postal_code",
    "city",
    "country",
    "business_id",
    "vat_id",
    "iban",
    "einvoice_address",
    "einvoice_operator",
)


class PartyRole(StrEnum):
    """Who pays a fee, who gets our invoice, whom we pay."""

    PAYER = "payer"
    INVOICE_RECIPIENT = "invoice_recipient"
    PAYEE = "payee"


class EntryKind(StrEnum):
    """What an entry is of."""

    FEE = "fee"
    PURCHASE_INVOICE = "purchase_invoice"
    TRAVEL_INVOICE = "travel_invoice"
    GRANT = "grant"
    BILLING_REQUEST = "billing_request"


class RecordClass(StrEnum):
    """How long accounting law keeps an entry: a voucher, or a part of the books (Act 1336/1997, ch. 2 section 10)."""

    VOUCHER = "voucher"
    BOOKS = "books"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartyMap(_Strict):
    """The columns, by title, that tell of one party. A column that the intake reads as well makes no party by itself."""

    name: str | None = None
    street_address: str | None = None
    postal_code: str | None = None
    city: str | None = None
    country: str | None = None
    business_id: str | None = None
    vat_id: str | None = None
    iban: str | None = None
    einvoice_address: str | None = None
    einvoice_operator: str | None = None

    def columns(self) -> dict[str, str]:
        """Title by field, of the fields that are mapped."""
        return {field: title for field in PARTY_FIELDS if (title := getattr(self, field)) is not None}


class FinanceMap(_Strict):
    """The columns of a feed that are finance's: they go to finance's own schema and nowhere else.

    `kind` is one for the feed, or `kind_column` with `kinds` from the written words to ours. The day of an entry is the
    row's `submitted_at` in the organisation's timezone.
    """

    kind: EntryKind | None = None
    kind_column: str | None = None
    kinds: dict[str, EntryKind] = Field(default_factory=dict)
    record_class: RecordClass = RecordClass.VOUCHER
    reference: str | None = None
    amount: str | None = None
    currency: Literal["EUR"] = "EUR"
    payment_method: str | None = None
    payment_status: str | None = None
    payer: PartyMap | None = None
    invoice_recipient: PartyMap | None = None
    payee: PartyMap | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "FinanceMap":
        if (self.kind is None) == (self.kind_column is None):
            raise ValueError("give either kind or kind_column with kinds")
        if not self.parties():
            raise ValueError("name at least one of payer, invoice_recipient, payee")
        return self

    def parties(self) -> dict[PartyRole, PartyMap]:
        """The mapped parties."""
        found = {role: getattr(self, role) for role in PartyRole}
        return {role: party for role, party in found.items() if party is not None}

    def own_columns(self) -> dict[str, str]:
        """Title by field, of what is mapped of the entry itself."""
        names = ("kind_column", "reference", "amount", "payment_method", "payment_status")
        return {name: title for name in names if (title := getattr(self, name)) is not None}

    def columns(self) -> frozenset[str]:
        """Every column that it reads."""
        parties = (title for party in self.parties().values() for title in party.columns().values())
        return frozenset(self.own_columns().values()) | frozenset(parties)


class FinancePolicy(_Strict):
    """When the fiscal year ends (month-day), and for how many years entries are kept after it."""

    fiscal_year_ends: str = Field(default="12-31", pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")
    voucher_years: int = Field(default=6, ge=6)
    book_years: int = Field(default=10, ge=10)

"""Finance's daily work: what is refused, an entry in full, a correction by name, the end of what is past its time."""

from typing import Any
from uuid import UUID

from connectors.finance import desk
from pipelines.operations.finance.office import FinanceOffice
from pipelines.transforms.finance.values import party_rule
from schemas.errors import ConfigurationError
from schemas.faults import FAULTS
from schemas.finance import PARTY_FIELDS, PartyRole


def list_entries(office: FinanceOffice, *, refused_only: bool = False) -> list[dict[str, Any]]:
    """Entries, newest first, with the fields that were refused; no value of a party."""
    with office.transaction() as conn:
        return desk.list_entries(conn, refused_only=refused_only)


def show_entries(
    office: FinanceOffice, *, entry: str | None = None, written: str | None = None
) -> list[dict[str, Any]]:
    """One entry by its id, or those of a party of which a field is exactly `written`; they show a payer's data.

    ConfigurationError where there is none.
    """
    with office.transaction() as conn:
        ids = [entry_id(entry)] if entry is not None else desk.find_entries(conn, (written or "").strip())
        found = desk.read_entries(conn, ids)
    if not found:
        raise ConfigurationError("Finance has no such entry. See `crm-intake finance list`.")
    return found


def correct(office: FinanceOffice, correction: desk.Correction) -> None:
    """Set one field of a party right, validated as a source's would be; ConfigurationError says what is wrong with it."""
    if not correction.by.strip() or not correction.reason.strip():
        raise ConfigurationError("A correction is by a named person and for a reason: give --by NAME and --reason.")
    if correction.role not in list(PartyRole) or correction.field not in PARTY_FIELDS:
        raise ConfigurationError(f"ROLE is one of {', '.join(PartyRole)}; FIELD one of {', '.join(PARTY_FIELDS)}.")
    country = office.policy.organisation.default_country
    value = party_rule(correction.field, country=country)(correction.after or "")
    if value.fault is not None:
        raise ConfigurationError(f"{FAULTS[value.fault].what} {FAULTS[value.fault].remedy}")
    told = {name: getattr(correction, name) for name in ("entry_id", "role", "field", "reason", "by")}
    with office.transaction() as conn:
        desk.correct_party(conn, desk.Correction(**told, after=value.value))


def let_go(office: FinanceOffice, *, dry_run: bool = False) -> list[dict[str, Any]]:
    """Delete what is past the last day that accounting law keeps it; the counts by fiscal year and class."""
    today = office.now().date()
    with office.transaction() as conn:
        past = desk.entries_past(conn, today)
        if not dry_run:
            desk.delete_past(conn, today)
    return past


def entry_id(text: str) -> UUID:
    """The id of an entry as given; ConfigurationError where it is none."""
    try:
        return UUID(text)
    except ValueError:
        raise ConfigurationError("ENTRY is an id (a GUID), as `crm-intake finance list` shows it.") from None

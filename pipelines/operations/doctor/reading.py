"""What the doctor reads: configuration rows, people, tables and privileges. What cannot be read is a gap, not an error.

Only GET requests, and only CrmUnavailable and a refused sign-in are raised.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from connectors.dataverse import TableDefinition, TableName, WhoAmI
from pipelines.operations.delivery import table_name
from pipelines.transforms.diagnosis.environment_rules import BULK_MESSAGES
from pipelines.transforms.diagnosis.facts import SOURCES, Environment, People, Setup, Source, TableFacts
from pipelines.transforms.diagnosis.findings import Gap, Known
from pipelines.transforms.diagnosis.people_rules import CONSENT_COLUMNS, CONTACT_COLUMNS
from schemas.errors import CrmConflict, CrmError, CrmMisconfigured
from schemas.tables import CONSENT, CONTACT, TABLES

_FILTERS = TableName("sdkmessagefilters", "sdkmessagefilter", "sdkmessagefilterid")


class RowsOfCrm(Protocol):
    """What a run's guard needs of the CRM's client."""

    def iter_rows(self, table: TableName, select: Sequence[str], *, filter: str | None) -> Iterator[dict[str, Any]]: ...


class ReadableCrm(RowsOfCrm, Protocol):
    """What a whole examination needs of the CRM's client."""

    def who_are_we(self) -> list[WhoAmI]: ...

    def fetch_metadata(self, table: TableName) -> TableDefinition: ...


class Privileges(Protocol):
    """Where a user's privileges are read (connectors.dataverse.administration.Administration)."""

    def fetch_privileges(self, user_id: str) -> dict[str, str]: ...


def read_setup(crm: RowsOfCrm, names: Sequence[str] = tuple(SOURCES)) -> Setup:
    """The rows of some sources, one request each where they are few."""
    return Setup({name: _rows(crm, SOURCES[name]) for name in names})


def _rows(crm: RowsOfCrm, source: Source) -> Known:
    table = TableName(source.entity_set, source.logical_name, source.primary_key)
    try:
        return list(crm.iter_rows(table, source.columns, filter=source.condition))
    except (CrmMisconfigured, CrmConflict) as error:
        return gap_of(source.logical_name, error)


def gap_of(what: str, error: CrmError) -> Gap:
    """Why something could not be read, by the status that the CRM gave."""
    reasons = {
        400: "has not the columns that are asked for",
        403: "may not be read by the application user",
        404: "is not there",
    }
    reason = reasons.get(error.status or 0, f"could not be read (status {error.status})")
    return Gap(f"{what} {reason}.", is_absent=error.status == 404)


def read_people(crm: RowsOfCrm, acknowledged: Mapping[str, Mapping[str, object]]) -> People:
    """Contacts and consent rows, all of them, beside what the CRM `acknowledged` from us of contacts."""
    return People(
        _rows(crm, Source(CONTACT.entity_set, CONTACT.logical_name, CONTACT.primary_key, CONTACT_COLUMNS)),
        _rows(crm, Source(CONSENT.entity_set, CONSENT.logical_name, CONSENT.primary_key, CONSENT_COLUMNS)),
        acknowledged,
    )


def read_environment(crm: ReadableCrm, administration: Privileges) -> Environment:
    """The definitions of our tables, and what each application user may do."""
    messages = _messages(crm)
    tables = {name: _table(crm, name, messages) for name in TABLES}
    first, *others = [_held(administration, user.user_id) for user in crm.who_are_we()]
    return Environment(tables, first, others)


def _held(administration: Privileges, user_id: str) -> dict[str, str] | Gap:
    try:
        return {name.lower(): depth for name, depth in administration.fetch_privileges(user_id).items()}
    except (CrmMisconfigured, CrmConflict) as error:
        return gap_of("The list of privileges", error)


def _table(crm: ReadableCrm, name: str, messages: Mapping[str, frozenset[str]] | Gap) -> TableFacts | Gap:
    try:
        definition = crm.fetch_metadata(table_name(name))
    except CrmMisconfigured as error:
        if error.status is None:
            return Gap(f"Table {name} has another entity set or primary key.", is_absent=True)
        return gap_of(f"Table {name}", error)
    available = messages if isinstance(messages, Gap) else messages.get(name, frozenset())
    return TableFacts(
        definition.columns, definition.is_change_tracked, definition.has_optimistic_concurrency, available
    )


def _messages(crm: RowsOfCrm) -> dict[str, frozenset[str]] | Gap:
    """Which of the bulk messages each of our tables takes.

    https://learn.microsoft.com/power-apps/developer/data-platform/bulk-operations#availability-with-standard-tables
    """
    tables = " or ".join(f"primaryobjecttypecode eq '{name}'" for name in TABLES)
    found: dict[str, frozenset[str]] = {}
    try:
        for message in sorted(BULK_MESSAGES):
            condition = f"sdkmessageid/name eq '{message}' and ({tables})"
            for row in crm.iter_rows(_FILTERS, ["primaryobjecttypecode"], filter=condition):
                name = str(row["primaryobjecttypecode"])
                found[name] = found.get(name, frozenset()) | {message}
    except (CrmMisconfigured, CrmConflict) as error:
        return gap_of("The list of messages", error)
    return found

"""Tables, columns, options, messages, privileges and language: what the writes themselves rest on."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pipelines.transforms.diagnosis.facts import Environment, Setup, TableFacts
from pipelines.transforms.diagnosis.findings import (
    Finding,
    Gap,
    Row,
    fails,
    listed,
    of_rows,
    ok,
    unknown,
    warning,
)
from schemas.crm_role import CrmRole
from schemas.policy import Policy
from schemas.tables import CONSENT, CONTACT, REGISTRATION, TABLES, Column, Kind, Table

# UpsertMultiple is there if and only if both of these are.
# https://learn.microsoft.com/power-apps/developer/data-platform/bulk-operations
BULK_MESSAGES = frozenset({"CreateMultiple", "UpdateMultiple"})
READ_BACK = (CONTACT.logical_name, CONSENT.logical_name, REGISTRATION.logical_name)
_TYPES = {
    Kind.STRING: {"String", "Memo"},
    Kind.BOOLEAN: {"Boolean"},
    Kind.INTEGER: {"Integer", "BigInt"},
    Kind.CHOICE: {"Picklist", "State", "Status"},
    Kind.DATETIME: {"DateTime"},
    Kind.BIND: {"Navigation"},
}
# https://learn.microsoft.com/power-platform/admin/language-collations
_ACCENTS_COUNT = frozenset({1035, 1048, 1050, 1051, 1053, 1054, 1057, 1058, 1060, 1061, 1062})
_ACCENTS_DO_NOT = frozenset({1029, 1030, 1031, 1033, 1036, 1040, 1041, 1043, 1044, 1045, 1046})
_UNTOLD_LENGTH = "does not tell the length of"
_SECURED = "guards by column security, which may hide them from us"
_TELL = {_UNTOLD_LENGTH: unknown, _SECURED: warning}
TableRule = Callable[[TableFacts], bool]


def tables_there(environment: Environment) -> list[Finding]:
    """Each destination table is there, under the entity set and primary key that we address it by."""
    gaps = [gap for gap in environment.tables.values() if isinstance(gap, Gap)]
    found = [fails(gap.reason) if gap.is_absent else unknown(gap) for gap in gaps]
    return found or ok(f"{len(environment.tables)} tables are there.")


def columns_fit(environment: Environment, policy: Policy) -> list[Finding]:
    """Each column that we write is there, of its type, as long as our values, with our options.

    The column of the preference link is D7's concern.
    """
    found: list[Finding] = []
    for name, table in TABLES.items():
        facts = environment.tables[name]
        if isinstance(facts, Gap):
            found.append(unknown(facts))
        else:
            found.extend(_misfits(table, facts, without=policy.crm.preference_link_column))
    return found or ok(f"{sum(len(table.columns) for table in TABLES.values())} columns are as we write them.")


def _misfits(table: Table, facts: TableFacts, *, without: str | None) -> Iterator[Finding]:
    misfits: dict[str, list[str]] = {}
    for name, column in table.columns.items():
        if name == without:
            continue
        there = facts.columns.get(name.removesuffix("@odata.bind"))
        if (misfit := _misfit(column, there)) is not None:
            misfits.setdefault(misfit, []).append(name)
    for misfit, names in misfits.items():
        yield _TELL.get(misfit, fails)(f"Table {table.logical_name} {misfit}: {listed(names)}.")


def _misfit(column: Column, there: Mapping[str, object] | None) -> str | None:
    if there is None:
        return "has not"
    if there.get("type") not in _TYPES[column.kind]:
        return "has of another type"
    if there.get("is_writable") is False:
        return "lets nobody write"
    return _too_narrow(column, there) or (_SECURED if there.get("is_secured") is True else None)


def _too_narrow(column: Column, there: Mapping[str, object]) -> str | None:
    length, options = there.get("max_length"), there.get("options")
    if column.max_length is not None and not isinstance(length, int):
        return _UNTOLD_LENGTH
    if column.max_length is not None and isinstance(length, int) and length < column.max_length:
        return "has too short"
    if column.options and not set(column.options) <= set(options if isinstance(options, list) else ()):
        return "has not our options in"
    return None


def changes_tracked(environment: Environment) -> list[Finding]:
    """What people change in the CRM is read back by change tracking, which each of these tables must have on."""
    found, off = _of_tables(environment, READ_BACK, lambda facts: facts.is_change_tracked)
    if off:
        found.append(fails(f"Change tracking is off: {listed(off)}."))
    return found or ok("Change tracking is on.")


def concurrency_checked(environment: Environment) -> list[Finding]:
    """A row edited between plan and write is refused by its version (If-Match), not overwritten."""
    found, off = _of_tables(environment, tuple(TABLES), lambda facts: facts.has_optimistic_concurrency)
    if off:
        found.append(fails(f"Optimistic concurrency is off: {listed(off)}."))
    return found or ok("Optimistic concurrency is on.")


def bulk_available(environment: Environment) -> list[Finding]:
    """New rows and lowering go by UpsertMultiple."""
    found, off = _of_tables(
        environment,
        tuple(TABLES),
        lambda facts: isinstance(facts.messages, Gap) or facts.messages >= BULK_MESSAGES,
    )
    gaps = [facts.messages for facts in environment.tables.values() if isinstance(facts, TableFacts)]
    found += [unknown(gap) for gap in dict.fromkeys(gap for gap in gaps if isinstance(gap, Gap))]
    if off:
        found.append(fails(f"Without bulk messages: {listed(off)}."))
    return found or ok("Bulk messages are available.")


def _of_tables(environment: Environment, names: Sequence[str], holds: TableRule) -> tuple[list[Finding], list[str]]:
    """The gaps among some tables, and the tables for which something does not hold."""
    facts = {name: environment.tables[name] for name in names}
    gaps: list[Finding] = [unknown(one) for one in facts.values() if isinstance(one, Gap)]
    return gaps, [name for name, one in facts.items() if isinstance(one, TableFacts) and not holds(one)]


def privileges_least(environment: Environment, role: CrmRole) -> list[Finding]:
    """Every application user may do what the role names, all over the organisation, and nothing else."""
    users = (environment.privileges, *environment.privileges_of_others)
    found: list[Finding] = []
    for number, held in enumerate(users, start=1):
        told = f"Application user {number}. " if len(users) > 1 else ""
        found += [unknown(f"{told}{held.reason}")] if isinstance(held, Gap) else _of_one_user(held, role, told)
    return found or ok(f"{len(role.privilege_names())} privileges, as the role names them.")


def _of_one_user(held: Mapping[str, str], role: CrmRole, told: str) -> Iterator[Finding]:
    needed = {name.lower(): name for name in role.privilege_names()}
    missing = [name for key, name in needed.items() if key not in held]
    narrow = [name for key, name in needed.items() if held.get(key, "Global") != "Global"]
    surplus = set(held) - set(needed) - {name.lower() for name in role.tolerated}
    if missing:
        yield fails(f"{told}Missing, {len(missing)} of {len(needed)}: {listed(missing)}.")
    if narrow:
        yield fails(f"{told}Held for a part of the organisation only: {listed(narrow)}.")
    if surplus:
        yield warning(f"{told}{len(surplus)} privileges more than needed: {listed(surplus)}.")


def language_known(setup: Setup, policy: Policy) -> list[Finding]:
    """The base language decides for good whether two addresses that differ in accents only are one to the CRM."""

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        code = next((row.get("languagecode") for row in rows), None)
        if policy.crm.base_language is not None and code != policy.crm.base_language:
            yield warning(f"The base language is {code}; the policy expects {policy.crm.base_language}.")
        elif code in _ACCENTS_DO_NOT:
            yield from ok(f"Base language {code}: letter case and accents do not count in comparisons.")
        elif code in _ACCENTS_COUNT:
            yield from ok(f"Base language {code}: letter case does not count in comparisons, accents do.")
        else:
            yield unknown(f"How base language {code} compares texts is not known.")

    return of_rows(setup.of("organisations"), rule)

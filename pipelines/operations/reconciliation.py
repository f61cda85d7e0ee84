"""Reconciliation: what the ledger says the CRM should hold against what it holds, row by row and column by column.

Whole, or of a sample of addresses. Every difference is explained by a rule (pipelines.transforms.differences.RULES) or
it is reported. Rows that are not ours are counted apart: before the cut-over nobody vouches for them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection

from connectors.dataverse import TableName
from connectors.store.planning import is_cut_over, load_occasions
from connectors.store.reconciling import RowKey, RowRecord, our_rows, records_of, sample_addresses
from pipelines.operations.delivery import table_name
from pipelines.operations.link_maker import link_maker
from pipelines.operations.list_reading import iter_members
from pipelines.operations.sessions import Session
from pipelines.operations.views import iter_views
from pipelines.transforms.crm_changes import LINK
from pipelines.transforms.desired import desired_rows
from pipelines.transforms.differences import Difference, Known, Write, compare_row, explain_difference, is_to_go
from pipelines.transforms.minimise import minimise_occasion
from pipelines.transforms.plan import RAISED, emptied_columns
from pipelines.transforms.readback import read_columns
from schemas.policy import Policy
from schemas.tables import CONTACT, EVENT, LIST_MEMBER, TABLES

_ROWS_AT_A_TIME = 5000


class ReadableCrm(Protocol):
    """What reconciliation needs of the CRM's client."""

    def iter_rows(
        self, table: TableName, select: list[str], *, filter: str | None = None
    ) -> Iterator[dict[str, Any]]: ...

    def fetch_rows(
        self, table: TableName, ids: Sequence[str], select: Sequence[str]
    ) -> dict[str, dict[str, object]]: ...


@dataclass
class Reconciliation:
    """Rows compared; `explained` counts table:kind:rules, `rules` each rule; `unexplained` holds (table, row id, kind with
    columns); `unmanaged` counts rows not ours by table, and nothing in a sample.

    Once the CRM is cut over, no row without evidence may let mail go: one that does is a difference, too.
    """

    compared: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    unexplained: list[tuple[str, UUID, str]] = field(default_factory=list)
    unmanaged: Counter[str] = field(default_factory=Counter)
    is_cut_over: bool = False


@dataclass
class _Sides:
    """What should be (`wanted`, with each row's address), and which rows are ours; `differing` is what was found.

    Rows `in_review` wait for somebody to decide which contact is whose.
    """

    wanted: dict[RowKey, dict[str, Any]]
    owners: dict[RowKey, UUID]
    ours: set[RowKey]
    in_review: set[RowKey] = field(default_factory=set)
    restricted: set[RowKey] = field(default_factory=set)
    kept: set[RowKey] = field(default_factory=set)
    differing: dict[RowKey, Difference] = field(default_factory=dict)


def reconcile(session: Session, crm: ReadableCrm, *, sample: int | None = None) -> Reconciliation:
    """Compare every row of ours, or those of so many addresses picked by chance; writes nothing."""
    outcome = Reconciliation()
    with session.transaction() as conn:
        outcome.is_cut_over = is_cut_over(conn)
        sides = _sides(session, conn, sample)
    for logical_name in TABLES:
        rows = _whole(session, crm, logical_name) if sample is None else _picked(session, crm, logical_name, sides)
        _compare_table(logical_name, rows, sides, outcome)
    if lists := session.workspace.policy.lists():
        of_ours = {row_id for _, row_id in sides.wanted.keys() | sides.ours}
        members = ((row_id, row) for list_id in lists for row_id, row in iter_members(crm, list_id))
        picked = (one for one in members if sample is None or one[0] in of_ours)
        _compare_rows(LIST_MEMBER.logical_name, picked, sides, outcome)
    with session.transaction() as conn:
        _explain(session, conn, sides, outcome)
    return outcome


def _sides(session: Session, conn: Connection, sample: int | None) -> _Sides:
    policy, among = session.workspace.policy, None
    if sample is not None:
        among = sample_addresses(conn, sample, seed=str(session.run_id), allowed=policy.crm.allow_list)
    sides = _Sides({}, {}, our_rows(conn, among=among))
    maker = link_maker(session.workspace)
    links = replace(maker, only_keeps=True) if maker else None
    for view, acknowledged in iter_views(conn, policy, now=session.now, every=True, among=among, links=links):
        rows = desired_rows(view, policy, now=session.now)
        for key, names in emptied_columns(view, rows, policy, now=session.now).items():
            rows[key] = {**dict.fromkeys(names), **rows[key]}
        sides.wanted |= rows
        if view.is_in_review:
            sides.in_review |= rows.keys()
        if view.is_restricted:
            sides.restricted |= rows.keys() | acknowledged.keys()
        if view.is_held:
            sides.kept |= rows.keys() | acknowledged.keys() | view.merged_away
        sides.owners |= dict.fromkeys(rows, view.contact_point_id)
    if sample is None:
        for row in load_occasions(conn, table=EVENT.logical_name, every=True):
            columns = minimise_occasion(row["name"], row["kind"], row["starts_at"], row["ends_at"])
            sides.wanted[EVENT.logical_name, row["occasion_pk"]] = columns
    return sides


def _selected(logical_name: str, policy: Policy) -> list[str]:
    table = TABLES[logical_name]
    without = {LINK} if policy.crm.preference_link_column is None else set()
    return [table.primary_key, *read_columns(logical_name, [name for name in table.columns if name not in without])]


def _whole(session: Session, crm: ReadableCrm, logical_name: str) -> Iterator[Mapping[str, Any]]:
    return crm.iter_rows(table_name(logical_name), _selected(logical_name, session.workspace.policy))


def _picked(session: Session, crm: ReadableCrm, logical_name: str, sides: _Sides) -> Iterator[Mapping[str, Any]]:
    ids = sorted(str(row_id) for table, row_id in sides.wanted.keys() | sides.ours if table == logical_name)
    policy = session.workspace.policy
    rows, selected = policy.crm.chunk_rows, _selected(logical_name, policy)
    for start in range(0, len(ids), rows):
        chunk = ids[start : start + rows]
        yield from crm.fetch_rows(table_name(logical_name), chunk, selected).values()


def _compare_table(
    logical_name: str, rows: Iterator[Mapping[str, Any]], sides: _Sides, outcome: Reconciliation
) -> None:
    key = TABLES[logical_name].primary_key
    _compare_rows(logical_name, ((UUID(str(row[key])), row) for row in rows), sides, outcome)


def _compare_rows(
    logical_name: str, rows: Iterable[tuple[UUID, Mapping[str, Any]]], sides: _Sides, outcome: Reconciliation
) -> None:
    awaited = {key for key in sides.wanted if key[0] == logical_name}
    for row_id, row in rows:
        key = (logical_name, row_id)
        awaited.discard(key)
        if key not in sides.wanted and key not in sides.ours:
            outcome.unmanaged[logical_name] += 1
            if outcome.is_cut_over and _lets_mail_go(logical_name, row):
                outcome.unexplained.append((*key, "without_evidence"))
            continue
        outcome.compared += 1
        if difference := compare_row(logical_name, sides.wanted.get(key), row):
            sides.differing[key] = difference
    sides.differing |= {key: Difference(logical_name, "missing") for key in awaited}


def _lets_mail_go(table: str, row: Mapping[str, Any]) -> bool:
    column, raised, _ = RAISED.get(table, (None, None, None))
    has_address = table != CONTACT.logical_name or bool(row.get("emailaddress1"))
    return column is not None and has_address and row.get(column) == raised


def _explain(session: Session, conn: Connection, sides: _Sides, outcome: Reconciliation) -> None:
    allowed = session.workspace.policy.crm.allow_list
    keys = sorted(sides.differing)
    for start in range(0, len(keys), _ROWS_AT_A_TIME):
        owners = {key: sides.owners.get(key) for key in keys[start : start + _ROWS_AT_A_TIME]}
        for key, record in records_of(conn, owners, now=session.now, allowed=allowed):
            _note(outcome, key, sides.differing[key], _rules_of(sides, key, record))


def _rules_of(sides: _Sides, key: RowKey, record: RowRecord) -> str | None:
    if key in sides.in_review:
        return "in_review"
    difference = sides.differing[key]
    if key in sides.kept and is_to_go(difference):
        return "kept"
    explained = explain_difference(difference, _known(record))
    return "restricted" if explained is None and key in sides.restricted else explained


def _note(outcome: Reconciliation, key: RowKey, difference: Difference, rules: str | None) -> None:
    if rules is None:
        outcome.unexplained.append((*key, difference.told()))
        return
    outcome.explained[f"{key[0]}:{difference.kind}:{rules}"] += 1
    outcome.rules.update(rules.split("+"))


def _known(record: RowRecord) -> Known:
    writes = [Write(w["method"], w["state"], w["code"], w["columns"]) for w in record.writes]
    return Known(writes, record.columns, record.has_changed, record.is_allowed)

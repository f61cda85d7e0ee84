"""Builders for tests of the store: rows, decisions and batches as shaping would give them, merged as an intake would.

Rows and decisions are valid by default and changed by name; a decision belongs to the row it stands under.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, Engine, text

from connectors.mappings import load_policy
from connectors.store.address import ServerAddress
from connectors.store.arrow_columns import table_from_frame
from connectors.store.bulk import drop_staged, stage_tables
from connectors.store.engine import create_store_engine
from connectors.store.merge import MergeRequest, StagedTables, merge_batch
from connectors.store.migrate import PIPELINE_ROLE
from pipelines.operations.workspace import purpose_rules
from pipelines.transforms.identity import resolve_subjects
from schemas.policy import Policy
from schemas.records import (
    ANSWER_COLUMNS,
    DECISION_COLUMNS,
    FAULT_COLUMNS,
    OCCASION_COLUMNS,
    SUBMISSION_COLUMNS,
)
from tests.feeds import CONFIG

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=30)
SALT = UUID("5b6f1f0e-8a0a-4a57-9d2e-3f6f5a6f9999")

_OPENED: set[tuple[ServerAddress, str | None]] = set()

Row = dict[str, Any]
Decided = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """What was merged: its id and the run's."""

    batch_id: UUID
    run_id: UUID


@functools.cache
def make_policy() -> Policy:
    return load_policy(CONFIG)


def make_row(submission_id: str, *decisions: Decided, **changes: Any) -> Row:
    """A row that gives no ground of itself; its decisions stand under `decisions`."""
    address = changes.pop("address", "aino@example.org")
    plain: Row = {
        "submission_id": submission_id,
        "content_hash": uuid4().hex,
        "version_at": NOON,
        "submitted_from": NOON,
        "submitted_to": NOON,
        "received_at": LATER,
        "address": address,
        "address_key": address,
        "is_role_address": False,
        "given_name": "Aino",
        "family_name": "Esimerkki",
        "given_key": "aino",
        "family_key": "esimerkki",
        "is_sale": False,
        "is_payer": False,
        "notice_shown": False,
        "is_enquiry": False,
        "is_deleted": False,
        "is_usable": True,
        "decisions": decisions,
    }
    return {**plain, **changes}


def make_decision(value: str, minutes: float = 0, **changes: Any) -> Decided:
    """A decision about marketing, exact, `minutes` after noon."""
    at = NOON + timedelta(minutes=minutes)
    plain: Decided = {
        "purpose": "marketing",
        "topic": None,
        "value": value,
        "actor": "subject",
        "clock": "web_forms",
        "occurred_at": at,
        "precision_s": 0,
        "effective_at": at,
        "states_current_value": False,
        "channel": "mailing_list",
        "wording_hash": "w1",
    }
    return {**plain, **changes}


def make_request(policy: Policy, **changes: Any) -> MergeRequest:
    plain: dict[str, Any] = {
        "batch_ids": [uuid4()],
        "run_id": uuid4(),
        "source": "web_forms",
        "feed": "form",
        "kind": "mailing_list",
        "mapping_hash": "m1",
        "now": LATER,
        "keep": timedelta(days=14),
        "raises": True,
        "ledger_key": b"ledger key of the tests",
        "staged": StagedTables("", "", "", "", ""),
        "rules": purpose_rules(policy),
    }
    return MergeRequest(**{**plain, **changes})


@functools.cache
def _engine(address: ServerAddress, role: str | None) -> Engine:
    return create_store_engine(address, role=role, pool_size=2)


def close_engines() -> None:
    """Close what `acting` has opened: to be called before a database is dropped."""
    for address, role in _OPENED:
        _engine(address, role).dispose()
    _OPENED.clear()
    _engine.cache_clear()


@contextmanager
def acting(address: ServerAddress, role: str | None = PIPELINE_ROLE) -> Iterator[Connection]:
    """One transaction as a role, committed at the end."""
    _OPENED.add((address, role))
    with _engine(address, role).begin() as conn:
        yield conn


def merge_rows(address: ServerAddress, rows: Sequence[Row], **changes: Any) -> Batch:
    """Stage and merge one batch of rows in a transaction of its own."""
    request = make_request(make_policy(), **changes)
    batch_id = request.batch_ids[0]
    frames = _frames(rows, batch_id, source=request.source)
    names = {name: f"t_{uuid4().hex}_{name}" for name in frames}
    staged = stage_tables(address, {names[name]: frames[name] for name in frames}, role=PIPELINE_ROLE)
    tables = StagedTables(**dict(zip(frames, staged, strict=True)))
    with acting(address) as conn:
        _land(conn, request)
        merge_batch(
            conn, make_request(make_policy(), **{**changes, **_same(request, tables)}), resolve=resolve_subjects
        )
        drop_staged(conn, staged)
    return Batch(batch_id, request.run_id)


def _same(request: MergeRequest, tables: StagedTables) -> dict[str, Any]:
    return {"batch_ids": request.batch_ids, "run_id": request.run_id, "staged": tables}


def _land(conn: Connection, request: MergeRequest) -> None:
    conn.execute(
        text(
            "insert into intake.batch (batch_id, source, feed, received_on, received_at, media_type, origin,"
            " content_hash, state, expires_at) values (:id, :source, :feed, :now, :now, 'text/csv', 'test',"
            " :hash, 'landed', :now) on conflict (batch_id) do nothing"
        ),
        {
            "id": request.batch_ids[0],
            "source": request.source,
            "feed": request.feed,
            "now": request.now,
            "hash": uuid4().hex,
        },
    )


def _frames(rows: Sequence[Row], batch_id: UUID, *, source: str) -> dict[str, Any]:
    numbered = [{**row, "row_no": number} for number, row in enumerate(rows, 1)]
    decisions = [{**d, "row_no": row["row_no"]} for row in numbered for d in row["decisions"]]
    submissions = _conformed(numbered, SUBMISSION_COLUMNS).assign(
        batch_id=str(batch_id),
        batch_row_no=range(1, len(rows) + 1),
        maker_id=[str(uuid5(SALT, f"{source}|{row['submission_id']}")) for row in rows],
        registration_id=[str(uuid5(SALT, f"{source}|{row['submission_id']}|registration")) for row in rows],
    )
    occasions = _conformed([row["occasion"] for row in rows if "occasion" in row], OCCASION_COLUMNS)
    return {
        "submissions": table_from_frame(submissions, uuid_columns=["batch_id", "maker_id", "registration_id"]),
        "decisions": table_from_frame(_conformed(decisions, DECISION_COLUMNS)),
        "faults": _nothing("faults"),
        "occasions": table_from_frame(
            occasions.assign(occasion_pk=[str(uuid5(SALT, o)) for o in occasions["occasion_id"]]),
            uuid_columns=["occasion_pk"],
        ),
        "answers": _nothing("answers"),
    }


@functools.cache
def _nothing(name: str) -> pa.Table:
    return table_from_frame(_conformed([], {"faults": FAULT_COLUMNS, "answers": ANSWER_COLUMNS}[name]))


def _conformed(rows: Iterable[Mapping[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows)).reindex(columns=list(columns)).astype(columns)


def states(conn: Connection, address: str = "aino@example.org", purpose: str = "marketing") -> dict[str, str]:
    """The folded states of an address by topic; the whole under ''."""
    found = conn.execute(
        text(
            "select s.topic, s.state from intake.consent_state s join intake.contact_point c using (contact_point_id)"
            " where c.address_key = :address and s.purpose = :purpose"
        ),
        {"address": address, "purpose": purpose},
    )
    return {row.topic: row.state for row in found}

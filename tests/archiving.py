"""A store to put rows into for tests of retention: each row as small as it may be, and what a run of the rules deletes."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.store import (
    access_tables,
    disclosure_tables,
    landing,
    pending_tables,
    preference_tables,
    quarantine_tables,
    retention,
    rights_tables,
    statistic_tables,
    tables,
)
from connectors.store.metadata import METADATA
from connectors.store.retention import EVENT_KIND, Limits, Related

NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
# Importing them declares the tables.
DECLARED = (
    access_tables, disclosure_tables, landing, pending_tables, preference_tables, quarantine_tables, rights_tables,
    statistic_tables, tables,
)  # fmt: skip
JUST = timedelta(microseconds=1)
ON_SALES, ON_NOTICE = Related("related_events", 700, False), Related("related_events", 700, True)
LIMITS = Limits(event=30, course=730, related=(ON_SALES,), enquiry=183, evidence=1096, quarantine=90)
FILL: dict[type, Any] = {
    sa.Text: "", sa.Boolean: False, sa.Integer: 0, sa.BigInteger: 0, sa.Date: NOW.date(), sa.TIMESTAMP: NOW,
    sa.dialects.postgresql.UUID: UUID(int=7), sa.dialects.postgresql.JSONB: {}, sa.dialects.postgresql.BYTEA: b"\0",
}  # fmt: skip


def ago(**by: float) -> datetime:
    return NOW - timedelta(**by)


class Archive:
    """A store to put rows into: what a row does not tell is filled in, as small as it may be."""

    def __init__(self, conn: Connection) -> None:
        self.conn, self.number = conn, 0

    def add(self, table: str, **told: Any) -> None:
        columns = METADATA.tables[f"intake.{table}"].columns
        demanded = [
            c for c in columns if not (c.nullable or c.server_default is not None or c.identity or c.name in told)
        ]
        filled = {c.name: next(v for kind, v in FILL.items() if isinstance(c.type, kind)) for c in demanded}
        self.conn.execute(sa.insert(METADATA.tables[f"intake.{table}"]).values(**filled, **told))

    def somebody(self, **told: Any) -> SimpleNamespace:
        """A person under an address of their own; `point` gives one that is there."""
        self.number += 1
        of = SimpleNamespace(person=uuid4(), subject=uuid4(), point=told.get("point") or uuid4(), key=f"p{self.number}")
        if "point" not in told:
            self.add("contact_point", contact_point_id=of.point, address=of.key, address_key=of.key)
        self.add("person", person_id=of.person, contact_point_id=of.point)
        of_point = {"contact_point_id": of.point, "given_key": of.key, "person_id": of.person}
        self.add("subject", subject_id=of.subject, has_ground=True, **of_point)
        return of

    def occasion(self, kind: str = EVENT_KIND, **at: Any) -> UUID:
        self.number += 1
        self.add("occasion", occasion_pk=(pk := uuid4()), occasion_id=f"o{self.number}", source="s", kind=kind, **at)
        return pk

    def submitted(self, of: SimpleNamespace, *, answered: bool = True, **told: Any) -> str:
        self.number += 1
        told = {"source": "s", "submission_id": f"n{self.number}", "received_at": NOW, **told}
        self.add("submission", contact_point_id=of.point, subject_id=of.subject, **told)
        if answered:
            self.add("answer", source=told["source"], submission_id=told["submission_id"], question="Q")
        return str(told["submission_id"])

    def registered(self, of: SimpleNamespace, occasion: UUID, at: datetime = NOW, **told: Any) -> str:
        submission = self.submitted(of)
        told = {"source": "s", "submission_id": submission, "status": "active", "registered_at": at, **told}
        ids = {"registration_id": uuid4(), "occasion_pk": occasion}
        self.add("registration", contact_point_id=of.point, subject_id=of.subject, **ids, **told)
        return submission

    def decided(self, of: SimpleNamespace, at: datetime, purpose: str = "marketing") -> None:
        self.number += 1
        key = {"event_key": str(self.number).encode()}
        of_whom = {"contact_point_id": of.point, "subject_id": of.subject, "value": "grant"}
        self.add("consent_event", event_id=uuid4(), purpose=purpose, effective_at=at, **of_whom, **key)
        self.add("consent_evidence", address=of.key, **key)

    def folded(self, of: SimpleNamespace, state: str, purpose: str = "marketing") -> None:
        """The state of a person's own consent, of whom some purpose lives."""
        told = {"person_id": of.person, "purpose": purpose, "topic": "", "state": state}
        self.add("person_consent", contact_point_id=of.point, **told)
        self.add("person_purpose", person_id=of.person, purpose=purpose, contact_point_id=of.point, ends_at=NOW + JUST)

    def held(self, **told: Any) -> None:
        self.add("legal_hold", hold_id=uuid4(), **told)

    def overdue(self, limits: Limits = LIMITS) -> dict[str, int]:
        """What goes, by rule; only rules by which something does."""
        retention.begin(self.conn, now=NOW)
        return {rule: rows for rule, rows in retention.delete_overdue(self.conn, limits, now=NOW).items() if rows}

    def gone(self) -> dict[str, int]:
        retention.begin(self.conn, now=NOW)
        return {kind: rows for kind, rows in retention.delete_people(self.conn, LIMITS, now=NOW).items() if rows}

    def column(self, table: str, column: str) -> set[Any]:
        return set(self.conn.execute(sa.text(f"select {column} from intake.{table}")).scalars())

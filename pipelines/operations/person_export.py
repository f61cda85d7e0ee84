"""Export (GDPR Art. 15, 20): everything of one person in store, landing, quarantine and CRM, with what it is for.

Machine-readable as JSON, and a page to read in Finnish and English. It is the person's own copy; who makes it for them
is written down with the request.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import orjson
import pandas as pd
from sqlalchemy import Connection

from connectors.dataverse import TableName
from connectors.new_files import new_file
from connectors.store import batches, person_export
from connectors.store.batches import BatchRow
from connectors.store.disclosures import list_disclosures
from connectors.store.erasure import CrmTarget, Found, Scope, find
from pipelines.operations.adoption import SearchableCrm
from pipelines.operations.delivery import table_name
from pipelines.operations.erasure import UNKNOWN, sought
from pipelines.operations.erasure_landing import mended, rows_of
from pipelines.operations.export_page import render_page
from pipelines.operations.redaction import decoded
from pipelines.operations.sessions import Session
from schemas.errors import BatchRefused, ConfigurationError, CrmError
from schemas.mappings import OWN_COLUMNS, Source
from schemas.policy import Policy
from schemas.tables import TABLES

FINANCE = (
    "Orders, payments and invoices are in finance's own store, kept by accounting law; ask the controller for them."
)
READINGS = (
    "Of the readings only those by whoever made this copy are listed; one made by the privacy officer lists them all."
)


class ExportingCrm(SearchableCrm, Protocol):
    """What an export needs of the CRM's client."""

    def fetch_rows(
        self, table: TableName, ids: Sequence[str], select: Sequence[str]
    ) -> dict[str, dict[str, object]]: ...


@dataclass(frozen=True)
class Exported:
    """The files of an export and how many things of each kind are in it."""

    json_path: Path
    page_path: Path
    counts: dict[str, int]


def export_person(session: Session, scope: Scope, directory: Path, *, crm: ExportingCrm | None) -> Exported:
    """Write `person.json` and `person.html` into a directory, which is made for the owner alone.

    ConfigurationError where one of them is there already, as of somebody else: then neither is written.
    """
    told = gather(session, scope, crm=crm)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    json_path, page_path = directory / "person.json", directory / "person.html"
    with new_file(json_path) as json, new_file(page_path) as page:
        json.write(orjson.dumps(told, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
        page.write(render_page(told).encode())
    return Exported(json_path, page_path, {kind: len(rows) for kind, rows in told["data"].items()})


def gather(session: Session, scope: Scope, *, crm: ExportingCrm | None) -> dict[str, Any]:
    """Everything of these persons, and what a data subject is to be told of it (Art. 15(1))."""
    policy = session.workspace.policy
    with session.transaction() as conn:
        session.note_read(conn, [scope.contact_point_id])
        found = find(conn, scope)
        found.crm_rows += _sought(conn, found, crm)
        crm_rows = [(row.table_name, row.row_id) for row in found.crm_rows]
        data = person_export.read_person(conn, scope, [row_id for _, row_id in crm_rows])
        landed, unsearched = _landed(session, conn, found)
        places = [(UUID(row["batch_id"]), row["row_no"]) for row in landed]
        data["disclosures"] = list_disclosures(conn, person_export.subjects_of(conn, scope))
        data["quarantine"] = person_export.quarantine_at(conn, places)
    data["landing"] = landed
    if not (scope.is_known or any(data.values())):
        raise ConfigurationError(UNKNOWN)
    with session.transaction() as conn:
        data["readings"], is_all = person_export.readings_of(conn, scope)
    data["crm"], crm_note = _in_crm(crm, crm_rows)
    names = sorted({row["purpose"] for kind in ("purposes", "consents") for row in data[kind]})
    return {
        "made_at": session.now.isoformat(),
        "controller": policy.organisation.model_dump(mode="json"),
        "purposes": {name: _purpose(policy, name, data["purposes"]) for name in names},
        "sources": _sources(session, data["submissions"]),
        "recipients": _recipients(policy, names),
        "organisers": _organisers(data["registrations"]),
        "notes": [
            note for note in (crm_note, _unsearched_note(unsearched), None if is_all else READINGS, FINANCE) if note
        ],
        "data": data,
    }


def _purpose(policy: Policy, name: str, living: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    purpose = policy.purposes.get(name)
    dates = [row["ends_at"] for row in living if row["purpose"] == name]
    known = {} if purpose is None else purpose.model_dump(mode="json", include=_TOLD_OF_PURPOSE)
    until = None if not dates or None in dates else max(dates).isoformat()
    return {**known, "kept_until": until if until else "until it is withdrawn, objected to or erased"}


_TOLD_OF_PURPOSE = {"basis", "description", "personal_data", "lives_after_days", "class_id", "topics"}


def _sources(session: Session, submissions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    mappings = session.workspace.mappings
    feeds = sorted({(row["source"], row["feed"]) for row in submissions})
    return [{"source": s, "feed": f, "title": mappings[f].title if f in mappings else f} for s, f in feeds]


def _recipients(policy: Policy, names: Sequence[str]) -> list[dict[str, Any]]:
    wanted = sorted({one for name in names if name in policy.purposes for one in policy.purposes[name].recipients})
    return [policy.recipients[one].model_dump(mode="json") for one in wanted]


def _organisers(registrations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = {(row["name"], row["organiser_unit"], row["organiser_contact"]) for row in registrations}
    return [{"occasion": n, "unit": u, "contact": c} for n, u, c in sorted(found, key=str)]


def _landed(session: Session, conn: Connection, person: Found) -> tuple[list[dict[str, Any]], list[UUID]]:
    """The person's rows as received, and the batches that cannot be understood and so not searched."""
    places = person_export.places_of(conn, person.scope)
    rows, unsearched = [], []
    for batch_id in dict.fromkeys([*places.rows, *places.unread, *places.merged]):
        batch = batches.get_batch(conn, batch_id)
        known = places.rows.get(batch_id, [])
        searched = None if batch_id in places.unread else person_export.nobodys_rows(conn, batch_id)
        if searched == [] and not known:
            continue
        try:
            raw = decoded(session, conn, batch)
            row_nos = sorted({*known, *_searched(session, batch, mended(session, conn, batch, raw), person, searched)})
        except (BatchRefused, KeyError):
            unsearched.append(batch_id)
            continue
        rows += [_row(batch, raw.iloc[number - 1], number) for number in row_nos if number <= len(raw)]
    return rows, unsearched


def _searched(
    session: Session, batch: BatchRow, raw: pd.DataFrame, person: Found, row_nos: Sequence[int] | None
) -> list[int]:
    """Which of these rows of a raw frame (None: of all) are the person's."""
    if session.workspace.mappings[batch.feed].source is Source.FINANCE:
        return []
    numbers = pd.Series(range(1, len(raw) + 1), index=raw.index)
    wanted = numbers.notna() if row_nos is None else numbers.isin(row_nos)
    theirs = rows_of(session, batch, raw[wanted], [person])
    return [int(number) for number in numbers[wanted][theirs]]


def _row(batch: Any, row: Any, number: int) -> dict[str, Any]:
    cells = {title: value for title, value in row.items() if title not in OWN_COLUMNS and isinstance(value, str)}
    place = {"source": batch.source, "feed": batch.feed, "received_at": batch.received_at.isoformat()}
    return {"batch_id": str(batch.batch_id), "row_no": number, **place, "cells": cells}


def _sought(conn: Connection, person: Found, crm: ExportingCrm | None) -> list[CrmTarget]:
    """Rows of the CRM with the person's address that are not known here; none where it does not answer."""
    try:
        return sought(conn, person, crm)
    except CrmError:
        return []


def _in_crm(crm: ExportingCrm | None, rows: Sequence[tuple[str, UUID]]) -> tuple[list[dict[str, Any]], str | None]:
    """The person's rows as the CRM has them now; with a note where it could not be asked."""
    if crm is None:
        return [], "No CRM is set up."
    try:
        return list(_fetched(crm, rows)), None
    except CrmError:
        return [], "The CRM did not answer; what is known of it stands under known_of_crm. Ask again later."


def _fetched(crm: ExportingCrm, rows: Sequence[tuple[str, UUID]]) -> Iterator[dict[str, Any]]:
    for table in sorted({name for name, _ in rows} & set(TABLES)):
        columns = [column.read_as or name for name, column in TABLES[table].columns.items()]
        ids = [str(row_id) for name, row_id in rows if name == table]
        for row_id, row in crm.fetch_rows(table_name(table), ids, [*columns, "createdon", "modifiedon"]).items():
            shown = {name: value for name, value in row.items() if value is not None and not name.startswith("@")}
            yield {"table": table, "row_id": row_id, "columns": shown}


def _unsearched_note(unsearched: Sequence[UUID]) -> str | None:
    if not unsearched:
        return None
    return (
        f"{len(unsearched)} received batches cannot be understood and so cannot be searched by person; they go with the"
        " retention of the landing, and what was erased is refused when they are read."
    )

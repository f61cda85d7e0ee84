"""The makers of the corpus: a case is a small file, the mapping that reads it and the fact that it embodies.

People are synthetic, at example.* domains, with numbers from ranges that no operator gives out.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import openpyxl

WORDING = {"text": "Haluan tietoa sähköpostiini.", "language": "fi", "version": "1"}


@dataclass(frozen=True, slots=True)
class Case:
    """`name` with the ending of the file, the `fact` with its place in the list of facts, mapping and content."""

    name: str
    fact: str
    mapping: dict[str, Any]
    payload: bytes


def text(name: str, fact: str, mapping: dict[str, Any], lines: str, *, encoding: str = "utf-8") -> Case:
    """A delimited file; lines end with CR LF, as exports write them."""
    return Case(f"{name}.csv", fact, mapping, lines.lstrip("\n").replace("\n", "\r\n").encode(encoding))


def book(name: str, fact: str, mapping: dict[str, Any], rows: Sequence[Sequence[Any]], *, sheet: str = "Data") -> Case:
    """A workbook of one sheet."""
    return Case(f"{name}.xlsx", fact, mapping, on_sheets({sheet: rows}))


def on_sheets(sheets: dict[str, Sequence[Sequence[Any]]]) -> bytes:
    """A workbook of several sheets."""
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for title, rows in sheets.items():
        page = made.create_sheet(title)
        for row in rows:
            page.append(list(row))
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def document(name: str, fact: str, mapping: dict[str, Any], content: Any) -> Case:
    """A JSON document."""
    return Case(f"{name}.json", fact, mapping, json.dumps(content, ensure_ascii=False, indent=1).encode())


def feed(source: str, kind: str, fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A mapping of one feed."""
    named = {name: {"column": column} if isinstance(column, str) else column for name, column in fields.items()}
    plain = {
        "source": source,
        "feed": "corpus",
        "title": "Of the corpus",
        "kind": kind,
        "owner": "Communications",
        "file": {"type": "csv", "pattern": "*.csv"},
        "fields": named,
    }
    return {name: value for name, value in {**plain, **changes}.items() if value is not None}


def consent(column: str | None, *grants: str, **changes: Any) -> dict[str, Any]:
    """A question about marketing; without a column submitting is the opt-in."""
    asked: dict[str, Any] = {"column": column, "grants": list(grants)} if column else {"by_submitting": True}
    return {"purpose": "marketing", **asked, "wording": WORDING, "notice_version": "2026-01", **changes}


def prohibition(column: str, *grants: str, **changes: Any) -> dict[str, Any]:
    """A question that forbids marketing."""
    return {"purpose": "marketing", "column": column, "polarity": "prohibition", "grants": list(grants), **changes}


EVENT = {
    "id": {"constant": "paiva-2026"},
    "name": {"constant": "Päivä 2026"},
    "starts_at": {"constant": "2026-12-01T09:00:00+02:00"},
    "ends_at": {"constant": "2026-12-01T16:00:00+02:00"},
}

"""The workbook in which staff take down what people said: the manual feed's own titles, explained, with its lists.

It is made from the mapping and the policy, so the same feed reads it back as it stands.
"""

from collections.abc import Iterator
from collections.abc import Mapping as Feeds
from io import BytesIO
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from pipelines.operations.entry_words import ENTRY_COLUMNS, GUIDE, OTHER
from schemas.errors import ConfigurationError
from schemas.mappings import Mapping
from schemas.policy import Policy
from schemas.purposes import Begin, End

ENTRIES, GUIDANCE, LISTS = "Kirjaukset", "Ohje - Guide", "Luettelot - Lists"
_ROWS = 2000
_PARTS = ("submitted_at", "fields", "spoken", "occasion")


def manual_feed(mappings: Feeds[str, Mapping], name: str) -> Mapping:
    """The manual feed of that name, or the first of that source. ConfigurationError where it is none, or no workbook."""
    named = [each for each in mappings.values() if name in (each.feed, str(each.source))]
    for mapping in named:
        if mapping.spoken is not None and mapping.file is not None and mapping.file.type == "xlsx":
            return mapping
    what = "is not a manual feed that is delivered as xlsx" if named else "is not mapped"
    raise ConfigurationError(f"{name!r} {what}. See `crm-intake sources list`; `manual` has a template.")


def entry_workbook(mapping: Mapping, policy: Policy) -> bytes:
    """An XLSX with an empty sheet of entries (first), a sheet that explains each column, and one of the lists.

    Purpose, topic and decision can only be chosen. `mapping` is one of `manual_feed`.
    """
    book = Workbook()
    columns = dict(_columns(mapping))
    entries = book.worksheets[0]
    entries.title = (mapping.file and mapping.file.sheet) or ENTRIES
    _write_entries(entries, mapping, list(columns))
    _write_guidance(book.create_sheet(GUIDANCE), columns)
    _write_lists(book.create_sheet(LISTS), entries, columns=columns, lists=_lists(mapping, policy))
    written = BytesIO()
    book.save(written)
    return written.getvalue()


def _columns(mapping: Mapping) -> Iterator[tuple[str, str]]:
    """Each title with the part of the mapping that reads it, in the mapping's order."""
    for part in _PARTS:
        node = getattr(mapping, part)
        if getattr(node, "column", None):
            yield node.column, part
            continue
        for name in type(node).model_fields if node is not None else ():
            title = _title(part, name, getattr(node, name))
            if title is not None:
                yield title, f"{part}.{name}"


def _title(part: str, name: str, ref: Any) -> str | None:
    if isinstance(ref, str):
        return ref if part == "spoken" and name != "notice_version" else None
    column = getattr(ref, "column", None)
    return None if column is None else str(column)


def _lists(mapping: Mapping, policy: Policy) -> dict[str, list[str]]:
    """What may be chosen: purposes that a person begins or ends by word, all their topics, the decisions as written."""
    purposes = {
        name: purpose
        for name, purpose in policy.purposes.items()
        if purpose.begins is Begin.GRANT or {End.WITHDRAWAL, End.OBJECTION} & set(purpose.ends)
    }
    topics = dict.fromkeys(topic for purpose in purposes.values() for topic in purpose.topics)
    decisions = list(mapping.spoken.decisions) if mapping.spoken else []
    return {"spoken.purpose": list(purposes), "spoken.topic": list(topics), "spoken.decision": decisions}


def _write_entries(sheet: Worksheet, mapping: Mapping, titles: list[str]) -> None:
    row = mapping.file.header_row if mapping.file else 1
    for at, title in enumerate(titles, 1):
        sheet.cell(row, at, title).font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(at)].width = max(14, len(title) + 4)
    sheet.freeze_panes = sheet.cell(row + 1, 1)


def _write_guidance(sheet: Worksheet, columns: dict[str, str]) -> None:
    sheet.append(["Sarake / Column", "Suomeksi", "In English"])
    sheet.append(["", *GUIDE])
    for title, part in columns.items():
        sheet.append([title, *ENTRY_COLUMNS.get(part, OTHER)])
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for letter, width in (("A", 22), ("B", 70), ("C", 70)):
        sheet.column_dimensions[letter].width = width
        for cell in sheet[letter]:
            cell.alignment = Alignment(wrap_text=True, vertical="top")


def _write_lists(sheet: Worksheet, entries: Worksheet, *, columns: dict[str, str], lists: dict[str, list[str]]) -> None:
    """Lists stand in cells: a list within a rule itself holds 255 characters at most."""
    first = entries.max_row + 1
    for at, (part, choices) in enumerate(lists.items(), 1):
        place = list(columns.values()).index(part) + 1
        for row, text in enumerate([list(columns)[place - 1], *choices], 1):
            sheet.cell(row, at, text)
        if choices:
            letter = get_column_letter(at)
            rule = DataValidation(
                "list", formula1=f"'{LISTS}'!${letter}$2:${letter}${len(choices) + 1}", allow_blank=True
            )
            rule.showErrorMessage = True
            rule.error = "Valitse luettelosta. Choose from the list."
            entries.add_data_validation(rule)
            rule.add(f"{get_column_letter(place)}{first}:{get_column_letter(place)}{_ROWS}")

"""A file that no mapping describes: what it is, and where its table stands in it. Looks only; decides nothing."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.text_encoding import decode_text
from connectors.workbooks import filled_cells
from connectors.xlsx_files import ZIP, no_xlsx, refuse_unsound_zip
from schemas.errors import BatchRefused

_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
_DELIMITERS = ";,\t|"
_LOOKED_AT = 30


@dataclass(frozen=True, slots=True)
class FoundTable:
    """How the file looks, as `file:` of a mapping has it; `sheets` are the other sheets of a workbook."""

    shape: dict[str, Any]
    sheets: tuple[str, ...] = ()


def look_at(payload: bytes) -> FoundTable:
    """The shape of an unknown file. Raises BatchRefused where it is no table, workbook or JSON document."""
    if payload.startswith(ZIP):
        return _workbook(payload)
    if payload.startswith(_OLD_WORKBOOK):
        raise no_xlsx()
    text = decode_text(payload)
    if text.lstrip()[:1] == "<":
        raise no_xlsx()
    if text.lstrip()[:1] in ("{", "["):
        return FoundTable({"type": "json"})
    lines = text.splitlines()[:_LOOKED_AT]
    delimiter = max(_DELIMITERS, key=lambda each: _steadiness(lines, each))
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    widths = [sum(1 for cell in row if cell.strip()) for row in rows]
    return FoundTable({"type": "csv", "delimiter": delimiter, **_header(widths)})


def _steadiness(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """In how many lines a delimiter stands equally often, and how often."""
    counts = Counter(line.count(delimiter) for line in lines if line.strip())
    counts.pop(0, None)
    return max(((lines_, times) for times, lines_ in counts.items()), default=(0, 0))


def _workbook(payload: bytes) -> FoundTable:
    refuse_unsound_zip(payload)
    filled = dict(_filled(payload))
    name = max(filled, key=lambda each: sum(filled[each]))
    others = tuple(each for each in filled if each != name)
    sheet = {"sheet": name} if others else {}
    return FoundTable({"type": "xlsx", **sheet, **_header(filled[name])}, others)


def _filled(payload: bytes) -> list[tuple[str, list[int]]]:
    try:
        found = filled_cells(payload)
    except BatchRefused as refused:
        if refused.code != "unreadable_table":
            raise
        found = []
    if not found:
        message = "The file is not a workbook that can be read."
        raise BatchRefused("unreadable_table", message, remedy="Save it anew as .xlsx.")
    return found


def _header(widths: Sequence[int]) -> dict[str, int]:
    """The first row that is filled about as widely as the widest: what stands above it are notes."""
    widest = max(widths, default=0)
    number = next((n for n, width in enumerate(widths, 1) if width >= 0.8 * widest), 1)
    return {} if number == 1 else {"header_row": number}

"""A file that no mapping describes: what it is, and where its table stands in it. Looks only; decides nothing."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from connectors.text_encoding import decode_text
from connectors.xlsx_files import refuse_unsound_zip
from schemas.errors import BatchRefused

_ZIP = b"PK\x03\x04"
_DELIMITERS = ";,\t|"
_LOOKED_AT = 30


@dataclass(frozen=True, slots=True)
class FoundTable:
    """How the file looks, as `file:` of a mapping has it; `sheets` are the other sheets of a workbook."""

    shape: dict[str, Any]
    sheets: tuple[str, ...] = ()


def look_at(payload: bytes) -> FoundTable:
    """The shape of an unknown file. Raises BatchRefused where it is no table, workbook or JSON document."""
    if payload.startswith(_ZIP):
        return _workbook(payload)
    text = decode_text(payload)
    if text.lstrip()[:1] in ("{", "["):
        return FoundTable({"type": "json"})
    lines = text.splitlines()[:_LOOKED_AT]
    delimiter = max(_DELIMITERS, key=lambda each: _steadiness(lines, each))
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    return FoundTable({"type": "csv", "delimiter": delimiter, **_header(rows)})


def _steadiness(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """In how many lines a delimiter stands equally often, and how often."""
    counts = Counter(line.count(delimiter) for line in lines if line.strip())
    counts.pop(0, None)
    return max(((lines_, times) for times, lines_ in counts.items()), default=(0, 0))


def _workbook(payload: bytes) -> FoundTable:
    refuse_unsound_zip(payload)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(payload))
        names = list(workbook.sheet_names)
        tops = {
            name: workbook.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=_LOOKED_AT) for name in names
        }
    except (CalamineError, ValueError, OSError):
        names = []
    if not names:
        message = "The file is no workbook that can be read."
        raise BatchRefused("unreadable_table", message, remedy="Save it anew as .xlsx.")
    name = max(names, key=lambda each: sum(1 for row in tops[each] for cell in row if cell != ""))
    others = tuple(each for each in names if each != name)
    sheet = {"sheet": name} if others else {}
    return FoundTable({"type": "xlsx", **sheet, **_header(tops[name])}, others)


def _header(rows: Sequence[Sequence[Any]]) -> dict[str, int]:
    """The first row that is filled about as widely as the widest: what stands above it are notes."""
    widths = [sum(1 for cell in row if str(cell).strip()) for row in rows]
    widest = max(widths, default=0)
    number = next((n for n, width in enumerate(widths, 1) if width >= 0.8 * widest), 1)
    return {} if number == 1 else {"header_row": number}

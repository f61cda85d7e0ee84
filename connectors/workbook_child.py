"""Reads one workbook in a process of its own, under limits of memory and processor time. Run as a file, never imported.

Out go lines of JSON. Asked for a `sheet`: first what was found (or why it is refused), then the rows, some at a time.
Asked for the `shape`: how many cells are filled in the first rows of each sheet. It knows the standard library and the
reader only, so that it starts in a tenth of a second and fits under the limit.
"""

import gc
import io
import json
import re
import sys
import zipfile
from datetime import date, time, timedelta
from itertools import islice
from typing import IO

from python_calamine import CalamineSheet, CalamineWorkbook

ROWS_A_LINE = 2000
LOOKED_AT = 30
OUT_OF_MEMORY = 3
CHUNK, OVERLAP = 1 << 20, 1 << 15
# A formula without the value that was saved with it (an empty text is one): whoever wrote it has not calculated it.
UNCALCULATED = re.compile(
    rb'<c\b(?![^>]*\bt="str")[^>]*>\s*<f\b[^>]*(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>'
)
DECLARATIONS = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def limit(memory: int, seconds: int) -> None:
    """Take no more than so many bytes and seconds; where the system has no such limits, the parent's clock is all."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def refusal(payload: bytes) -> str | None:
    """Why the parts of the workbook are not to be read: a code; None where they are."""
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        for name in archive.namelist():
            if not name.endswith((".xml", ".rels")):
                continue
            with archive.open(name) as part:
                found = unsound(part, is_sheet=name.startswith("xl/worksheets/"))
            if found is not None:
                return found
    return None


def unsound(part: IO[bytes], *, is_sheet: bool) -> str | None:
    tail = b""
    while chunk := part.read(CHUNK):
        window = tail + chunk
        # A plain search is ten times as fast as these expressions, and nearly all there is to do.
        if b"<!" in window and DECLARATIONS.search(window):
            return "entities"
        if not is_sheet:
            return None
        if b"<f" in window and UNCALCULATED.search(window):
            return "uncalculated"
        tail = window[-OVERLAP:]
    return None


def plain(value: date | time | timedelta) -> str:
    """A time as text: all else that a cell may hold JSON has."""
    return str(value.total_seconds()) if isinstance(value, timedelta) else value.isoformat()


def tell(document: object) -> None:
    sys.stdout.buffer.write(json.dumps(document, ensure_ascii=False, default=plain).encode() + b"\n")


def tell_shape(workbook: CalamineWorkbook) -> None:
    tell({"filled": [[name, filled(workbook.get_sheet_by_name(name))] for name in workbook.sheet_names]})


def filled(sheet: CalamineSheet) -> list[int]:
    """How many cells of each of the first rows say anything."""
    return [sum(1 for cell in row if str(cell).strip()) for row in islice(sheet.iter_rows(), LOOKED_AT)]


def tell_sheet(workbook: CalamineWorkbook, most_cells: int, wanted: str | None) -> None:
    if wanted is not None and wanted not in workbook.sheet_names:
        tell({"refused": "unknown_sheet"})
        return
    sheet = workbook.get_sheet_by_name(wanted) if wanted is not None else workbook.get_sheet_by_index(0)
    height, width = (sheet.total_height + 1, sheet.total_width + 1) if sheet.start else (0, 0)
    merged = [[*first, *last] for first, last in sheet.merged_cell_ranges or []]
    tell({"height": height, "width": width, "merged": merged})
    if height * width <= most_cells:
        tell_rows(sheet)


def tell_rows(sheet: CalamineSheet) -> None:
    lines: list[list[object]] = []
    # Columns left of the first that is filled are not told by the reader.
    blank = [""] * (sheet.start[1] if sheet.start else 0)
    for row in sheet.iter_rows():
        lines.append([*blank, *row])
        if len(lines) >= ROWS_A_LINE:
            tell(lines)
            lines = []
    tell(lines)


def main() -> None:
    memory, seconds, most_cells = (int(text) for text in sys.argv[1:4])
    asked, wanted = sys.argv[4], sys.argv[5] if len(sys.argv) > 5 else None
    payload = sys.stdin.buffer.read()
    # Rows hold no cycles: looking for them takes a tenth of the time.
    gc.disable()
    limit(memory, seconds)
    if code := refusal(payload):
        tell({"refused": code})
        return
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(payload))
    if asked == "shape":
        tell_shape(workbook)
    else:
        tell_sheet(workbook, most_cells, wanted)


if __name__ == "__main__":
    try:
        main()
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)

"""Workbooks read at arm's length: in a process of its own, whose memory and time are limited, whatever the file is.

An honest workbook takes what its size lets expect; one that takes more is refused with the reason, and this process
has not grown by it.
"""

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa

from connectors.bounded_child import bounded_child, was_ended_by_its_limits
from connectors.raw_frames import refuse_too_large, text_cells
from schemas.errors import BatchRefused

CHILD = Path(__file__).with_name("workbook_child.py")
# What any workbook may take, and what each byte of it may add: measured on honest ones, 25 bytes a byte at most.
LEAST_MEMORY, MEMORY_A_BYTE = 512 << 20, 40
LEAST_CPU_S, CPU_S_A_MB = 30, 2
LEAST_CELLS, MOST_CELLS = 10_000_000, 100_000_000

_REFUSALS = {
    "entities": ("The workbook declares entities of its own, which no spreadsheet program writes.", "Save it anew."),
    "uncalculated": (
        "A sheet has formulas without the values that they give.",
        "Open the workbook in a spreadsheet program, save it, and deliver that.",
    ),
    "unknown_sheet": (
        "The workbook has no sheet of the name in the mapping.",
        "Correct file.sheet in the mapping, or name the sheet so in the workbook.",
    ),
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: its cells as text (`connectors.raw_frames.text_cells`; columns `0`, `1`, … and all rows from the first
    on), and the merged ranges as (first row, first column, last row, last column), from 0."""

    cells: pa.Table
    merged: list[tuple[int, int, int, int]]

    def texts(self, first: int = 0, count: int | None = None) -> list[list[str]]:
        """So many rows from the `first` on (from 0), all by default; blank is ''."""
        columns = [[cell or "" for cell in column.to_pylist()] for column in self.cells.slice(first, count).columns]
        return [list(row) for row in zip(*columns, strict=True)]


def read_sheet(payload: bytes, name: str | None) -> Sheet:
    """The sheet of that name, or the first.

    Raises BatchRefused: `unreadable_table`, `unknown_sheet`, `uncalculated`, `entities`, `too_large`, `too_costly`.
    """
    words = ["sheet", *([name] if name is not None else [])]
    with _child(payload, words) as child:
        return _sheet(child, payload)


def filled_cells(payload: bytes) -> list[tuple[str, list[int]]]:
    """By sheet, in their order, how many cells of each of its first rows are filled.

    Raises BatchRefused: `unreadable_table`, `uncalculated`, `entities`, `too_costly`.
    """
    with _child(payload, ["shape"]) as child:
        found = _head(child, payload)
        return [(name, counts) for name, counts in found["filled"]]


def most_cells(payload: bytes) -> int:
    """How many cells a workbook may have, blank ones among them: measured on honest ones, one in four bytes at most."""
    return min(LEAST_CELLS + 2 * len(payload), MOST_CELLS)


def _child(payload: bytes, words: Sequence[str]) -> "AbstractContextManager[subprocess.Popen[bytes]]":
    memory = LEAST_MEMORY + max(0, len(payload) - (8 << 20)) * MEMORY_A_BYTE
    seconds = LEAST_CPU_S + (len(payload) >> 20) * CPU_S_A_MB
    return bounded_child(CHILD, [str(most_cells(payload)), *words], memory=memory, seconds=seconds)


def _sheet(child: "subprocess.Popen[bytes]", payload: bytes) -> Sheet:
    found = _head(child, payload)
    refuse_too_large(found["height"], found["width"])
    if found["height"] * found["width"] > most_cells(payload):
        raise _too_costly()
    cells = _cells(child.stdout, found["width"])
    if child.wait() != 0:
        raise _failed(child)
    return Sheet(cells, [(first[0], first[1], first[2], first[3]) for first in found["merged"]])


def _head(child: "subprocess.Popen[bytes]", payload: bytes) -> dict[str, Any]:
    """What the child found first, given the workbook."""
    if child.stdin is None or child.stdout is None:
        raise unreadable("its reader cannot be started")
    try:
        child.stdin.write(payload)
        child.stdin.close()
    except BrokenPipeError:
        raise _failed(child) from None
    head = child.stdout.readline()
    if not head.endswith(b"\n"):
        raise _failed(child)
    found: dict[str, Any] = orjson.loads(head)
    if "refused" in found:
        what, remedy = _REFUSALS[found["refused"]]
        raise BatchRefused(found["refused"], what, remedy=remedy)
    return found


def _cells(lines: IO[bytes] | None, width: int) -> pa.Table:
    """The rows piece by piece as columns: as Python's values all of them would take some ten times the room."""
    schema = pa.schema([(str(number), pa.large_string()) for number in range(width)])
    return pa.Table.from_batches(_pieces(lines or [], schema), schema)


def _pieces(lines: Iterable[bytes], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for line in lines:
        # The last line of a child that was ended is not whole; its end is told by how it ended.
        rows: list[list[Any]] = orjson.loads(line) if line.endswith(b"\n") else []
        if rows:
            yield pa.record_batch([text_cells(column) for column in zip(*rows, strict=True)], schema)


def _failed(child: "subprocess.Popen[bytes]") -> BatchRefused:
    """Why the child ended: killed by its limits, or by what it read."""
    return _too_costly() if was_ended_by_its_limits(child) else unreadable("it cannot be opened")


def _too_costly() -> BatchRefused:
    message = "The workbook takes more memory or time to read than one of its size ever needs."
    return BatchRefused("too_costly", message, remedy="Save it anew with only the sheet in question, or deliver CSV.")


def unreadable(what: str) -> BatchRefused:
    """The refusal of what is no workbook with a table in it."""
    remedy = "Check file.type, sheet and header_row in the mapping, and save the workbook anew as .xlsx."
    return BatchRefused("unreadable_table", f"The file is not a workbook that can be read: {what}.", remedy=remedy)

"""Dropped files of submissions in JSON. Small ones are read here, all others in a process of their own under limits.

So much as a small file could ask for, this process has. Starting another costs as much as reading some megabytes.
"""

import subprocess
from pathlib import Path

import orjson
import pandas as pd
import pyarrow as pa

from connectors.archives import is_within
from connectors.bounded_child import bounded_child, was_ended_by_its_limits
from connectors.json_documents import read_json_file
from schemas.errors import BatchRefused, MappingError
from schemas.mappings import Mapping

CHILD = Path(__file__).with_name("json_child.py")
SMALL = 4 << 20
# What any file may take, and what each byte of it may add: measured on honest ones, 16 bytes a byte at most.
LEAST_MEMORY, MEMORY_A_BYTE = 512 << 20, 16
LEAST_CPU_S, CPU_S_A_MB = 30, 2


def decode_json_file(payload: bytes, mapping: Mapping) -> pd.DataFrame:
    """The raw frame of one submission, a list of them, or an archive of either.

    Raises BatchRefused: `cut_short`, `zip_bomb`, `unreadable_table`, `too_large`, `too_costly` and those of
    `connectors.text_encoding.decode_text`; MappingError where `arrangement.records` is no path.
    """
    return read_json_file(payload, mapping) if is_within(payload, SMALL) else _read_apart(payload, mapping)


def _read_apart(payload: bytes, mapping: Mapping) -> pd.DataFrame:
    memory = LEAST_MEMORY + len(payload) * MEMORY_A_BYTE
    seconds = LEAST_CPU_S + (len(payload) >> 20) * CPU_S_A_MB
    with bounded_child(CHILD, [mapping.model_dump_json()], memory=memory, seconds=seconds) as child:
        told = _told(child, payload)
    head, _, table = told.partition(b"\n")
    found = orjson.loads(head)
    if "refused" in found:
        raise BatchRefused(found["refused"], found["message"], remedy=found["remedy"])
    if "mapping" in found:
        raise MappingError(found["mapping"])
    with pa.ipc.open_stream(pa.py_buffer(table)) as reader:
        return reader.read_all().to_pandas().astype("str")


def _told(child: "subprocess.Popen[bytes]", payload: bytes) -> bytes:
    try:
        told, _ = child.communicate(payload)
    except BrokenPipeError:
        told = b""
    if was_ended_by_its_limits(child) or not told:
        raise _too_costly()
    return told


def _too_costly() -> BatchRefused:
    return BatchRefused(
        "too_costly",
        "The file takes more memory or time to read than submissions of its size ever need.",
        remedy="Export fewer submissions per file.",
    )

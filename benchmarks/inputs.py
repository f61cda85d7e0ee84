"""What the intake benchmark reads: a synthetic organisation's export files and its short-course register, made once.

Delivered through the real doors that every contestant can open: CSV and XLSX files in a drop folder, two views of a
database. The web sources are left out: their stand-in's own time would be measured with whoever asks it.
"""

import csv
import io
import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import psycopg
import sqlalchemy as sa
from openpyxl import load_workbook

from benchmarks.days import DAYS, FIRST_ON, UNTIL
from connectors.files import FileSettings
from connectors.store.address import ServerAddress
from sandbox import drop_folder, short_courses
from sandbox.organisation import make_organisation
from sandbox.organisation.calendar import HELSINKI

REGISTER = "short_courses"
DOOR_BYTES = FileSettings(Path()).max_bytes
_VIEWS = ("registration_feed", "open_studies_feed")
# Found by measurement: rows that one person's history gives in files and register, with what overlapping exports repeat;
# of millions of people fewer find a seat.
_ROWS_A_PERSON, _OF_MILLIONS = 1.9, 1.64


@dataclass(frozen=True, slots=True)
class Inputs:
    """The folder of files (to be copied for each run) and the register's database; `rows` counts both."""

    files: Path
    register: ServerAddress
    rows: int
    rows_by_door: dict[str, int]


def make_inputs(directory: Path, address: ServerAddress, *, rows: int, seed: int) -> Inputs:
    """At least `rows` delivered rows; the same arguments give the same ones, and those of a kept directory are made once."""
    kept, asked = directory / "inputs.json", {"rows": rows, "seed": seed}
    if kept.exists() and (found := json.loads(kept.read_text()))["asked"] == asked:
        return Inputs(directory / "files", address.with_database(REGISTER), **found["made"])
    kept.unlink(missing_ok=True)
    people = max(20, int(rows / (_ROWS_A_PERSON if rows < 5_000_000 else _OF_MILLIONS)))
    while True:
        inputs = _made(directory, address, people=people, seed=seed)
        if inputs.rows >= rows:
            made = {"rows": inputs.rows, "rows_by_door": inputs.rows_by_door}
            kept.write_text(json.dumps({"asked": asked, "made": made}))
            return inputs
        people = int(people * 1.05 * rows / max(inputs.rows, 1)) + 1


def _made(directory: Path, address: ServerAddress, *, people: int, seed: int) -> Inputs:
    organisation = make_organisation(seed=seed, people=people, days=DAYS, until=UNTIL)
    files = directory / "files"
    shutil.rmtree(files, ignore_errors=True)
    paths = drop_folder.drop_files(organisation, files, first_on=FIRST_ON, last_on=UNTIL)
    register = fresh_database(address, REGISTER)
    engine = sa.create_engine(register.url_psycopg)
    loaded = short_courses.load(organisation, engine, UNTIL)
    engine.dispose()
    by_door = {**kept_rows(paths), "database": sum(loaded.values())}
    return Inputs(files, register, sum(by_door.values()), by_door)


def kept_rows(paths: list[Path], *, door_bytes: int = DOOR_BYTES) -> dict[str, int]:
    """Rows by type of file. What was dropped twice we take once, so that nobody else has to read it twice; an export that
    the door would refuse as too large lies there in parts, as whoever exports is told to do.
    """
    rows = {"csv": 0, "xlsx": 0}
    seen: set[str] = set()
    for path in paths:
        manifest = json.loads(_manifest_of(path).read_text())
        if manifest["sha256"] in seen:
            _take_away(path)
            continue
        seen.add(manifest["sha256"])
        rows[path.suffix[1:]] += manifest["rows"]
        if path.suffix == ".csv" and path.stat().st_size > door_bytes:
            _put_in_parts(path, rows=manifest["rows"], door_bytes=door_bytes)
            _take_away(path)
    return rows


def _take_away(path: Path) -> None:
    path.unlink()
    _manifest_of(path).unlink()


def _put_in_parts(path: Path, *, rows: int, door_bytes: int) -> None:
    """The export's rows in order, its titles over each part; parts hold equally many rows, some tenth below what is let in."""
    size = path.stat().st_size
    rows_a_part = max(1, int(rows * door_bytes * 0.9 / size))
    day = datetime.fromtimestamp(path.stat().st_mtime, HELSINKI).date()
    with path.open(encoding="utf-8-sig", newline="") as exported:
        delimiter = ";" if ";" in exported.readline() else ","
        exported.seek(0)
        records = csv.reader(exported, delimiter=delimiter)
        titles = next(records)
        written = (record for record in records if any(record))
        number = 0
        while part := list(islice(written, rows_a_part)):
            number += 1
            out = io.StringIO(newline="")
            csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows([titles, *part])
            name = f"{path.stem} osa {number:02}{path.suffix}"
            drop_folder.put(path.with_name(name), out.getvalue().encode(), rows=len(part), day=day)


def row_texts(inputs: Inputs) -> list[bytes]:
    """The same rows as lines of text, as COPY takes them into one column; one block a file or view."""
    files = [_lines_of(path) for path in sorted(inputs.files.iterdir()) if path.suffix in (".csv", ".xlsx")]
    with psycopg.connect(inputs.register.uri_adbc) as conn:
        return files + [_view_text(conn, view) for view in _VIEWS]


def _lines_of(path: Path) -> bytes:
    payload = path.read_bytes()
    if path.suffix == ".xlsx":
        sheet = load_workbook(path, read_only=True).worksheets[0]
        rows = (",".join(map(str, row)).replace("\n", " ") for row in sheet.iter_rows(values_only=True))
        payload = "".join(f"{row}\n" for row in rows).encode()
    return payload.replace(b"\r", b"").replace(b"\\", b"\\\\").replace(b"\t", b"\\t")


def _view_text(conn: psycopg.Connection, view: str) -> bytes:
    with conn.cursor().copy(f"copy (select shown::text from {view} shown) to stdout") as copy:
        return b"".join(bytes(block) for block in copy)


def _manifest_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.manifest.json")


def fresh_database(address: ServerAddress, name: str) -> ServerAddress:
    """An empty database of that name; what was in it is gone."""
    drop_database(address, name)
    with psycopg.connect(address.with_database("postgres").uri_adbc, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE \"{name}\" ENCODING 'UTF8' TEMPLATE template0")
    return address.with_database(name)


def drop_database(address: ServerAddress, name: str) -> None:
    """Take the database away where there is one of that name."""
    with psycopg.connect(address.with_database("postgres").uri_adbc, autocommit=True) as conn:
        conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

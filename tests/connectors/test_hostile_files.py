"""Files made to harm: no code is run, memory and time are bounded, and each is refused with a reason (or read right)."""

import io
import random
import resource
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import orjson
import pandas as pd
import pytest
from openpyxl import Workbook, load_workbook

from connectors import json_files, workbooks
from connectors.csv_files import decode_csv
from connectors.form_definitions import read_definition
from connectors.json_files import decode_json_file
from connectors.mending_workbooks import ROWS_SHEET, read_workbook
from connectors.text_encoding import as_utf8, decode_text
from connectors.unknown_files import look_at
from connectors.workbooks import read_sheet
from connectors.xlsx_files import decode_xlsx, refuse_unsound_zip
from schemas.errors import BatchRefused, IntakeError
from schemas.mappings import FileShape
from tests.corpus.readers import whole_inputs
from tests.feeds import make_mapping
from tests.sizes import sized

XLSX = FileShape(type="xlsx", pattern="*")
CSV = FileShape(type="csv", pattern="*")
LONGEST_S = 30
TYPES = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'


def workbook(rows: list[list[object]], *, merged: str | None = None) -> bytes:
    book = Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    if merged:
        sheet.merge_cells(merged)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


PLAIN = workbook([["Id", "Email"], ["1", "a@example.org"]])


def with_part(payload: bytes, name: str, content: bytes) -> bytes:
    """The workbook with one part replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, content if part == name else old.read(part))
    return out.getvalue()


def sheet_xml(body: str, *, before: str = "") -> bytes:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<?xml version="1.0"?>{before}<worksheet xmlns="{space}"><sheetData>{body}</sheetData></worksheet>'.encode()


SHEET = "xl/worksheets/sheet1.xml"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
LAUGHING = sheet_xml(
    '<row r="1"><c r="A1" t="inlineStr"><is><t>&l9;</t></is></c></row>',
    before=f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>',
)
FAR_CELL = sheet_xml('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
# Not refused by its archive; read as a whole it is 27 million cells.
TWO_CELLS_FAR_APART = sheet_xml(
    '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="Z1048576"><v>1</v></c></row>'
)
WIDE = workbook([[f"c{n}" for n in range(10_000)]])
UNCALCULATED = workbook([["Id", "Email"], ["1", "=1+1"]])
MERGED = workbook([["Id", "Email"], ["1", "a@example.org"], ["2", None]], merged="B2:B3")

HOSTILE_WORKBOOKS = {
    "billion laughs": (with_part(PLAIN, SHEET, LAUGHING), "entities"),
    "a cell far away": (with_part(PLAIN, SHEET, FAR_CELL), "too_large"),
    "10,000 columns": (WIDE, "too_large"),
    "zip bomb": (with_part(PLAIN, SHEET, sheet_xml(" " * (300 << 20))), "zip_bomb"),
    "formula never calculated": (UNCALCULATED, "uncalculated"),
    "merged cells": (MERGED, "merged_cells"),
    "no workbook": (b"PK\x03\x04" + b"\0" * 500, "cut_short"),
    "an archive of something else": (with_part(PLAIN, "xl/workbook.xml", TYPES), "unreadable_table"),
    "empty": (b"", "cut_short"),
}


@pytest.mark.parametrize("name", HOSTILE_WORKBOOKS)
def test_a_hostile_workbook_is_refused_with_its_reason_within_bounds(name: str) -> None:
    payload, code = HOSTILE_WORKBOOKS[name]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with pytest.raises(BatchRefused) as refused:
        decode_xlsx(payload, XLSX)
    assert refused.value.code == code, str(refused.value)
    assert refused.value.remedy
    assert time.monotonic() - started < LONGEST_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown < 512 << 10, "kilobytes, on Linux"


def mending_workbook() -> bytes:
    return whole_inputs("mended")[0]


def read_mended(payload: bytes, folder: Path) -> object:
    path = folder / "mended.xlsx"
    path.write_bytes(payload)
    return read_workbook(path)


@pytest.mark.parametrize("whole", [PLAIN, mending_workbook()], ids=["looked at", "mended"])
@pytest.mark.parametrize("content", [LAUGHING, TWO_CELLS_FAR_APART], ids=["billion laughs", "two cells far apart"])
def test_a_workbook_without_a_mapping_is_read_at_arms_length_too(whole: bytes, content: bytes, tmp_path: Path) -> None:
    payload = with_part(whole, SHEET, content)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BatchRefused) as refused:
        look_at(payload) if whole is PLAIN else read_mended(payload, tmp_path)
    assert refused.value.code == ("entities" if content is LAUGHING else "too_costly")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown < 128 << 10, "kilobytes, on Linux"


def test_a_mended_workbook_with_merged_cells_is_refused_for_their_values_are_nobodys(tmp_path: Path) -> None:
    book = load_workbook(io.BytesIO(mending_workbook()))
    assert read_mended(mending_workbook(), tmp_path)
    sheet = book[ROWS_SHEET]
    sheet.append(["", "", "one value", ""])
    sheet.merge_cells("C2:C3")
    out = io.BytesIO()
    book.save(out)
    with pytest.raises(BatchRefused, match="Unmerge them") as refused:
        read_mended(out.getvalue(), tmp_path)
    assert refused.value.code == "merged_cells"


def test_of_several_sheets_the_fullest_is_looked_at_and_a_chart_is_none() -> None:
    book = Workbook()
    book.active.append(["Read me"])
    book.create_chartsheet("Chart")
    sheet = book.create_sheet("Answers")
    for row in ([], ["Export"], [], ["Id", "Email"], ["1", "a@example.org"]):
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    found = look_at(out.getvalue())
    assert found.shape == {"type": "xlsx", "sheet": "Answers", "header_row": 4}
    assert found.sheets == ("Sheet", "Chart")


def test_a_workbook_that_needs_more_memory_or_time_than_it_may_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = workbook([[f"cell {r} {c}" for c in range(20)] for r in range(2_000)])
    monkeypatch.setattr(workbooks, "LEAST_MEMORY", 12 << 20)
    with pytest.raises(BatchRefused) as refused:
        read_sheet(rows, None)
    assert refused.value.code == "too_costly"
    monkeypatch.undo()
    assert read_sheet(rows, None).cells.num_rows == 2_000


def test_rows_of_a_workbook_pass_through_piece_by_piece() -> None:
    payload = workbook([["Id", "Email"], *([r, f"person{r}@example.org"] for r in range(20_000))])
    tracemalloc.start()
    try:
        frame = decode_xlsx(payload, XLSX)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(frame), frame["Email"].iloc[-1]) == (20_000, "person19999@example.org")
    # As Python's values they would take 5 MB.
    assert held < 3 << 20


def test_formula_cells_are_read_as_text_and_never_run() -> None:
    text = 'Id;Email\n1;"=HYPERLINK(""http://evil.example"")"\n2;@SUM(1)\n3;+1\n4;-1\n'
    frame = decode_csv(text.encode(), CSV)
    assert frame["Email"].tolist() == ['=HYPERLINK("http://evil.example")', "@SUM(1)", "+1", "-1"]


@pytest.mark.parametrize("depth", [100, 1_000, 100_000])
def test_deep_json_is_refused_or_read_and_never_a_crash(depth: int) -> None:
    for payload in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
        try:
            frame = decode_json_file(payload, make_mapping())
        except BatchRefused:
            continue
        assert len(frame.columns) <= 1


def archive_of(documents: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, document in documents.items():
            archive.writestr(name, document)
    return out.getvalue()


SUBMISSIONS = orjson.dumps([{"sid": str(n), "data": {"email": f"a{n}@example.org", "n": [1, n]}} for n in range(9)])
HOSTILE_JSON = {
    "few bytes that ask for a frame of 50 million cells": (
        b"[" + b"{}," * 100_000 + orjson.dumps({f"c{n}": 1 for n in range(500)}) + b"]",
        "too_large",
    ),
    "an archive that grows to 300 MB": (archive_of({"a.json": b" " * (300 << 20)}), "zip_bomb"),
    "millions of objects": (b"[" + b'{"":0},' * (2 << 20) + b"1]", "too_costly"),
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json_is_refused_with_its_reason_within_bounds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    payload, code = HOSTILE_JSON[name]
    monkeypatch.setattr(json_files, "MEMORY_A_BYTE", 1)
    monkeypatch.setattr(json_files, "LEAST_MEMORY", 256 << 20)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with pytest.raises(BatchRefused) as refused:
        decode_json_file(payload, make_mapping())
    assert refused.value.code == code, str(refused.value)
    assert time.monotonic() - started < LONGEST_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown < 256 << 10, "kilobytes, on Linux"


def too_costly(payload: bytes) -> object:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_files, "SMALL", 0)
        patched.setattr(json_files, "LEAST_MEMORY", 0)
        return decode_json_file(payload, make_mapping())


@pytest.mark.parametrize(
    ("read", "payload"),
    [
        (decode_text, "a \ufffd".encode()),
        (as_utf8, "a \ufffd".encode()),
        (look_at, b"\xd0\xcf\x11\xe0 an old workbook"),
        (look_at, b"<html>"),
        (refuse_unsound_zip, b"Id;Email"),
        (too_costly, SUBMISSIONS),
    ],
    ids=["damaged", "damaged UTF-8", "old workbook", "web page", "no archive", "too costly"],
)
def test_each_refusal_is_an_exception_of_its_own_and_holds_no_earlier_file(
    read: Callable[[bytes], object], payload: bytes
) -> None:
    """An exception that is raised again keeps the frames of each time, and in them what was read."""
    refused = []
    for _ in range(2):
        with pytest.raises(BatchRefused) as told:
            read(payload)
        refused.append(told.value)
    assert refused[0] is not refused[1]
    assert str(refused[0]) == str(refused[1])


def test_a_file_is_read_apart_as_it_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for payload in (SUBMISSIONS, archive_of({"a.json": SUBMISSIONS, "b.json": b'{"sid": "99"}'})):
        here = decode_json_file(payload, make_mapping())
        with monkeypatch.context() as patched:
            patched.setattr(json_files, "SMALL", 0)
            pd.testing.assert_frame_equal(decode_json_file(payload, make_mapping()), here)
    monkeypatch.setattr(json_files, "SMALL", 0)
    with pytest.raises(BatchRefused, match="neither an object nor a list") as refused:
        decode_json_file(b"[1]", make_mapping())
    assert refused.value.code == "unreadable_table"
    assert str(refused.value).count("Remedy:") == 1


def test_ten_thousand_columns_and_a_megabyte_cell() -> None:
    wide = ";".join(f"c{n}" for n in range(10_000)) + "\n"
    with pytest.raises(BatchRefused) as refused:
        decode_csv(wide.encode(), CSV)
    assert refused.value.code == "too_large"
    with pytest.raises(BatchRefused):
        decode_json_file(orjson.dumps([{f"c{n}": 1 for n in range(10_000)}]), make_mapping())
    blank = (";" * 1999 + "\n") * 20_500
    with pytest.raises(BatchRefused, match="nearly all of them blank"):
        decode_csv(("Id" + blank).encode(), CSV)
    large = "x" * (1 << 20)
    assert decode_csv(f"Id;Email\n1;{large}\n".encode(), CSV)["Email"].str.len().tolist() == [1 << 20]


SEEDS: dict[str, bytes] = {
    "csv": 'Id;Nimi;Email\r\n1;"Äijä; O";a@example.org\r\n2;Öst;b@example.org\r\n'.encode(),
    "json": orjson.dumps([{"sid": "1", "data": {"email": "a@example.org", "n": [1, 2]}}]),
    "xlsx": PLAIN,
    "yml": (
        Path(__file__).parents[1] / "samples/drupal_webform/suomidigi__conf_cmi_webform.webform.palaute.yml"
    ).read_bytes(),
}
ROUNDS = {"csv": sized(150, 8_000), "json": sized(150, 8_000), "xlsx": sized(15, 1_500), "yml": sized(40, 2_500)}
MARKS = (
    b"\0",
    b'"',
    b"\xff\xfe",
    b"\xc3",
    b";",
    b"\n",
    b"[" * 50,
    b"&a [*a]",
    b"<!ENTITY",
    b"\xed\xa0\x80",
    b"9" * 400,
    b"-1e999",
)


def mutated(seed: bytes, dice: random.Random) -> bytes:
    payload = bytearray(seed)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(payload) + 1)
        match dice.randrange(4):
            case 0:
                payload[at : at + dice.randint(1, 40)] = b""
            case 1:
                payload[at:at] = dice.choice(MARKS)
            case 2:
                payload[at:at] = payload[: dice.randint(0, 80)]
            case _ if payload:
                payload[min(at, len(payload) - 1)] = dice.randrange(256)
    return bytes(payload)


@pytest.mark.parametrize("kind", SEEDS)
def test_no_mutation_of_a_file_crashes_a_reader(kind: str) -> None:
    for round_ in range(ROUNDS[kind]):
        payload = mutated(SEEDS[kind], random.Random(f"{kind}{round_}"))
        for read in READERS[kind]:
            try:
                read(payload)
            except IntakeError:
                continue
            except Exception as crashed:  # noqa: BLE001 - a reader's crash is what is looked for
                pytest.fail(f"seed {kind}{round_}: {type(crashed).__name__}: {crashed}")


READERS = {
    "csv": (lambda payload: decode_csv(payload, CSV), look_at),
    "json": (lambda payload: decode_json_file(payload, make_mapping()), look_at),
    "xlsx": (lambda payload: decode_xlsx(payload, XLSX), look_at),
    "yml": (read_definition,),
}

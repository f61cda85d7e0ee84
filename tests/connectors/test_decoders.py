"""From payloads to raw frames: encodings, CSV, XLSX, JSON, and all that is refused."""

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import text_encoding
from connectors.decoders import decode
from connectors.raw_frames import raw_frame, unique_titles
from schemas.errors import BatchRefused
from schemas.mappings import Mapping
from tests.feeds import SAMPLES, make_mapping
from tests.sizes import sized

CSV, JSON = "text/csv", "application/json"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS = "Id;Nimi;Viesti\n" + "".join(f'{n};Äijö {n};"Rivi ""1""\nRivi {n};x"\n' for n in range(60))


def refusal_code(media_type: str, payload: bytes, mapping: Mapping | None = None) -> str:
    with pytest.raises(BatchRefused) as refusal:
        decode(media_type, payload, mapping or make_mapping())
    return refusal.value.code


def read_csv(text: str | bytes, **file: Any) -> pd.DataFrame:
    payload = text.encode() if isinstance(text, str) else text
    return decode(CSV, payload, make_mapping(file={"type": "csv", "pattern": "*", **file}))


def workbook(rows: list[list[Any]], *, title: str = "Data") -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def xlsx_mapping(**file: Any) -> Mapping:
    return make_mapping(file={"type": "xlsx", "pattern": "*.xlsx", **file})


def test_every_column_is_text_under_the_sources_own_title_and_blank_is_missing() -> None:
    frame = read_csv('Postinumero; Nimi ;Tyhjä\n00100;"Väinö; ""V"" Öhman\nJr";\n')
    assert list(frame.columns) == ["Postinumero", " Nimi ", "Tyhjä"]
    assert (frame.dtypes == "str").all()
    assert frame.loc[0, "Postinumero"] == "00100"
    assert frame.loc[0, " Nimi "] == 'Väinö; "V" Öhman\nJr'
    assert frame["Tyhjä"].isna().all()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_encodings_and_line_ends_of_exports_give_the_same_frame(encoding: str, line_end: str) -> None:
    text = f"Nimi;Kaupunki{line_end}Åsa Öhman;Jyväskylä{line_end}"
    frame = read_csv(text.encode(encoding))
    assert frame.to_dict("records") == [{"Nimi": "Åsa Öhman", "Kaupunki": "Jyväskylä"}]


@pytest.mark.parametrize(
    "payload",
    [
        "Nimi\nÅsa Öhman\n".encode().decode("cp1252").encode(),
        "Nimi\nV\ufffdin\ufffd\n".encode(),
        b"Nimi\nA\x00B\n",
        "Nimi\nVäinö\n".encode("utf-16")[:2] + b"\x00\xd8\n\x00\n\x00",
        b"\xef\xbb\xbfNimi\nV\xe4in\xf6\n",
        b"Nimi\nA\x81B\n",
        b"Nimi\nV\xef\xbf\xbdin\xf6\n",
    ],
    ids=[
        "encoded twice",
        "replacement characters",
        "NUL",
        "lone surrogate",
        "mark that lies",
        "no code page",
        "replacement among cp1252",
    ],
)
def test_damaged_text_is_refused(payload: bytes) -> None:
    assert refusal_code(CSV, payload) == "unreadable_encoding"


TEXTS = st.text(st.sampled_from('aä;\n\r"Ãâ€Â\xa0\x00\ufffd😀'), max_size=30)


@settings(deadline=None, max_examples=150)
@given(TEXTS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]), st.binary(max_size=3))
def test_text_read_piece_by_piece_is_what_it_is_as_a_whole(text: str, encoding: str, damage: bytes) -> None:
    payload = text.encode(encoding, "replace") + damage
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(text_encoding, "_PIECE", 1)
        assert _told(lambda: text_encoding.as_utf8(payload)) == _told(
            lambda: text_encoding.decode_text(payload).encode()
        )


def _told(read: Callable[[], bytes]) -> bytes | str:
    try:
        return read()
    except BatchRefused as refused:
        return str(refused)


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_file_cut_at_any_percent_without_a_manifest_never_gives_a_truncated_cell(percent: int) -> None:
    whole = set(read_csv(ROWS).itertuples(index=False, name=None))
    for encoding in ("utf-8", "utf-16", "cp1252"):
        payload = ROWS.encode(encoding)
        try:
            frame = read_csv(payload[: len(payload) * percent // 100])
        except BatchRefused:
            continue
        assert set(frame.itertuples(index=False, name=None)) < whole


@settings(deadline=None, max_examples=sized(25, 2_000))
@given(st.integers(0, len(ROWS.encode())))
def test_a_cut_at_any_byte_gives_whole_rows_or_nothing(place: int) -> None:
    whole = read_csv(ROWS)
    try:
        frame = read_csv(ROWS.encode()[:place])
    except BatchRefused:
        return
    pd.testing.assert_frame_equal(frame, whole.iloc[: len(frame)])


@pytest.mark.parametrize("payload", [b"", b"A;B\n1;2", b"A;B\n1\n", b'A;B\n1;"2\n', b"A;B\n1;\xc3"])
def test_what_is_not_whole_is_cut_short(payload: bytes) -> None:
    assert refusal_code(CSV, payload) == "cut_short"


def test_a_row_with_more_cells_than_titles_is_ragged() -> None:
    assert refusal_code(CSV, b"A;B\n1;2;3\n") == "ragged_rows"


def test_no_message_of_a_refusal_repeats_a_cell() -> None:
    with pytest.raises(BatchRefused) as refusal:
        read_csv("A;B\nsecret@example.org;1;2\nsecret@example.org\n")
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_identical_titles_are_numbered_in_their_order() -> None:
    assert list(read_csv("Jag är;Jag är;B;Jag är\n1;2;3;4\n").columns) == ["Jag är", "Jag är #2", "B", "Jag är #3"]
    assert unique_titles(["a", "b", "a"]) == ["a", "b", "a #2"]


@pytest.mark.parametrize("titles", [["a", "a", "a #2"], ["a #2", "a", "a"], ["a", "a #2", "a", "a", "a #2"]])
def test_a_title_that_looks_like_a_numbered_one_takes_no_other_s_place(titles: list[str]) -> None:
    assert len(set(unique_titles(titles))) == len(titles)
    frame = read_csv(";".join(titles) + "\n" + ";".join(str(place) for place in range(len(titles))) + "\n")
    assert sorted(frame.iloc[0]) == [str(place) for place in range(len(titles))]


def test_lines_above_the_titles_are_skipped_as_the_mapping_says() -> None:
    frame = read_csv("Raportti\n;luotu;20.11.2026\nA;B\n1;2\n", header_row=3)
    assert frame.to_dict("records") == [{"A": "1", "B": "2"}]


def test_blank_rows_are_no_submissions() -> None:
    assert read_csv("A;B\n1;2\n;\n\n3;4\n;\n")["A"].tolist() == ["1", "3"]


def test_a_cell_of_a_megabyte_is_read() -> None:
    assert read_csv("A;B\n" + "x" * (1 << 20) + ";1\n")["A"].str.len().tolist() == [1 << 20]


def test_ten_thousand_columns_are_too_many() -> None:
    assert refusal_code(CSV, (";".join(f"c{n}" for n in range(10_000)) + "\n").encode()) == "too_large"


def test_a_spreadsheets_numbers_dates_and_truths_become_plain_text() -> None:
    rows = [["Nro", "Luku", "Pvm", "Aika", "Tosi", "Tyhjä", "Lisä"]]
    rows.append([40100, 1.5, date(2026, 11, 20), datetime.fromisoformat("2026-11-20T09:30"), True, None, "x"])  # type: ignore[list-item]
    [row] = decode(XLSX, workbook(rows), xlsx_mapping()).to_dict("records")
    assert [row["Nro"], row["Luku"], row["Tosi"]] == ["40100", "1.5", "true"]
    assert str(row["Pvm"]).startswith("2026-11-20")
    assert row["Aika"] == "2026-11-20T09:30:00"
    assert pd.isna(row["Tyhjä"])


def test_the_sheet_and_the_row_of_titles_are_the_mappings() -> None:
    payload = workbook([["Tapahtuma - Ilmoittautuneet"], [], ["Nimi"], ["Aino"]], title="Osallistujat")
    frame = decode(XLSX, payload, xlsx_mapping(sheet="Osallistujat", header_row=3))
    assert frame.to_dict("records") == [{"Nimi": "Aino"}]
    assert refusal_code(XLSX, payload, xlsx_mapping(sheet="Muu")) == "unknown_sheet"


def test_a_workbook_cut_anywhere_is_cut_short() -> None:
    payload = workbook([["A", "B"], *[[n, f"x{n}"] for n in range(50)]])
    codes = {refusal_code(XLSX, payload[: len(payload) * percent // 100], xlsx_mapping()) for percent in range(100)}
    assert codes == {"cut_short"}


def test_a_zip_bomb_is_refused_before_it_grows() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * (20 << 20))
    assert refusal_code(XLSX, buffer.getvalue(), xlsx_mapping()) == "zip_bomb"


def test_an_archive_that_is_no_workbook_is_unreadable() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", b"hello")
    assert refusal_code(XLSX, buffer.getvalue(), xlsx_mapping()) == "unreadable_table"


def test_nested_answers_become_columns_by_their_path() -> None:
    payload = (
        b'{"Id": 7, "data": {"contact": {"city": "Turku"}, "topics": ["a", "b"], "tick": true, "none": "", "x": null}}'
    )
    [row] = decode(JSON, payload, make_mapping()).to_dict("records")
    assert [row["Id"], row["data.contact.city"], row["data.topics"], row["data.tick"]] == ["7", "Turku", "a;b", "true"]
    assert pd.isna(row["data.none"])
    assert pd.isna(row["data.x"])


def test_webforms_own_fields_are_columns_only_where_the_mapping_names_them() -> None:
    mapping = make_mapping(key=["sid"], ignored=["uri"])
    frame = decode(
        JSON, b'[{"sid": "1", "uri": "/f", "token": "t", "remote_addr": "192.0.2.1", "data": {"k": "v"}}]', mapping
    )
    assert list(frame.columns) == ["sid", "uri", "data.k"]


def test_the_signup_of_linked_registrations_is_read() -> None:
    payload = (SAMPLES / "linked_registrations" / "signup_post_payload.json").read_bytes()
    [row] = decode(JSON, payload, make_mapping(source="short_courses")).to_dict("records")
    assert row["registration"] == "1"
    assert '"user_consent":true' in str(row["signups"])


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "cut_short"),
        (b'[{"a": 1}, {"a"', "cut_short"),
        (b'["a"]', "unreadable_table"),
        (b"[" * 100_000 + b"]" * 100_000, "unreadable_table"),
    ],
)
def test_json_that_is_no_list_of_objects_is_refused(payload: bytes, code: str) -> None:
    assert refusal_code(JSON, payload) == code


def test_nul_and_lone_surrogates_of_json_are_left_for_the_value_rules_to_refuse() -> None:
    [row] = decode(JSON, b'{"a": "x\\u0000y", "b": "x\\ud800y"}', make_mapping()).to_dict("records")
    assert row == {"a": "x\ufffdy", "b": "x\ufffdy"}


@settings(deadline=None, max_examples=sized(25, 2_000))
@given(st.lists(st.text(), min_size=1))
def test_any_text_makes_a_column_that_arrow_and_utf8_can_hold(texts: list[str]) -> None:
    frame = raw_frame(["a", "n"], [[*texts, "\ud800"], range(len(texts) + 1)])
    assert len(frame) == len(texts) + 1
    assert not frame["a"].str.contains("\x00", regex=False).fillna(False).any()


def test_an_unknown_media_type_is_refused() -> None:
    assert refusal_code("text/html", b"<p>") == "unknown_media_type"


def dated(*texts: str, formats: tuple[str, ...] = ("fi_date", "fi_datetime")) -> list[str]:
    mapping = make_mapping(submitted_at={"column": "At", "formats": list(formats)})
    payload = "\n".join(["At;B", *(f"{text};x" for text in texts), ""]).encode()
    return decode(CSV, payload, mapping)["At"].tolist()


def test_days_that_may_be_months_are_told_apart_where_their_column_is_month_first() -> None:
    assert dated("1.15.2026", "1.4.2026", "5.5.2026", "1. 2. 2026 klo 9.05") == [
        *("1.15.2026", "1/4/2026", "5.5.2026", "1/2/2026 klo 9.05")
    ]


@pytest.mark.parametrize("other", ["15.1.2026", "1.15.2026 10.61", "1.32.2026", "13.13.2026", "soon", "2.30.20261"])
def test_days_of_a_column_that_is_not_month_first_are_as_they_were(other: str) -> None:
    assert dated(other, "1.4.2026", "1.2.2026 9.05") == [other, "1.4.2026", "1.2.2026 9.05"]


@pytest.mark.parametrize("sure", ["25.3.2026", "13. 1. 2026", "31.12.2026 klo 9.05"])
def test_one_day_that_can_only_be_day_first_outweighs_a_slip(sure: str) -> None:
    texts = ["1.4.2026", "6.13.2026", sure, "1.2.2026 9.05"]
    assert dated(*texts) == texts


@pytest.mark.parametrize("other", ["13.13.2026", "31.2.2026", "25.3.20261", "25.3.2026 10.61"])
def test_what_is_no_day_outweighs_nothing(other: str) -> None:
    assert dated("1.4.2026", "6.13.2026", other) == ["1/4/2026", "6.13.2026", other]


def test_each_column_is_judged_by_its_own_days() -> None:
    at = {"column": "At", "formats": ["fi_date"]}
    mapping = make_mapping(submitted_at=at, changed_at={**at, "column": "B"})
    frame = decode(CSV, b"At;B\n25.3.2026;6.13.2026\n6.13.2026;1.4.2026\n1.4.2026;1.4.2026\n", mapping)
    assert frame["At"].tolist() == ["25.3.2026", "6.13.2026", "1.4.2026"]
    assert frame["B"].tolist() == ["6.13.2026", "1/4/2026", "1/4/2026"]


def test_days_in_a_column_of_another_form_are_as_they_were() -> None:
    assert dated("1.15.2026", "1.4.2026", formats=("iso",)) == ["1.15.2026", "1.4.2026"]

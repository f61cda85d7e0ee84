"""Times: each declared format, what the clocks repeat or skip, and that whole columns follow the same rule."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.transforms import dates
from pipelines.transforms.civil_time import Occurrence, normalise_timestamp
from pipelines.transforms.dates import normalise_timestamps
from schemas.errors import MappingError
from tests.sizes import sized

EXAMPLES = settings(max_examples=sized(25, 2_000), deadline=None)

HELSINKI = "Europe/Helsinki"
ALL = ("iso", "fi_date", "fi_datetime", "sv_datetime", "drupal", "excel_serial")
SHAPES = (
    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%d.%m.%Y", "%d.%m.%Y %H.%M",
    "%d.%m.%Y klo %H:%M", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S+02:00", "%Y-%m-%d %H:%M:%S-0330", " %Y-%m-%d ",
)  # fmt: skip
ANY_TIME = st.datetimes(datetime(1900, 1, 1), datetime(2200, 12, 31))
CLOCK_CHANGES = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes),
    st.sampled_from([datetime(2022, 3, 27), datetime(2022, 10, 30), datetime(2045, 10, 29), datetime(2045, 3, 26)]),
    st.integers(0, 360),
)
WRITTEN = st.builds(lambda time, shape: time.strftime(shape), ANY_TIME | CLOCK_CHANGES, st.sampled_from(SHAPES))
NUMBERS = st.builds(
    "{}-{:02}-{:02}T{:02}:{:02}:{:02}{}".format,
    st.integers(1890, 2210),
    st.integers(0, 13),
    st.integers(0, 32),
    st.integers(0, 25),
    st.integers(0, 61),
    st.integers(0, 61),
    st.sampled_from(["", "+15:00", "+02", "-01:60", ".5"]),
)
SYMBOLS = st.text("0129.-:T /Z+", max_size=12) | st.sampled_from(
    ["44573", "44573.5", "12", "1.15.2022 10.61", "", "-", "soon"]
)
ZONES = st.sampled_from([HELSINKI, "UTC", "America/Havana", "America/Sao_Paulo", "Asia/Kathmandu"])


def read(text: str, *formats: str) -> Occurrence:
    return normalise_timestamp(text, formats=formats, timezone=HELSINKI)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def columns_as_rule(texts: list[str], formats: tuple[str, ...], timezone: str) -> bool:
    """Whether both ways of reading a column, as few texts and as many, give what the rule gives for each."""
    ruled = [normalise_timestamp(text, formats=formats, timezone=timezone) for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        few = spans(texts, formats, timezone)
        patch.setattr(dates, "FEW", 0)
        return few == spans(texts, formats, timezone) == ruled


def spans(texts: list[str], formats: tuple[str, ...], timezone: str) -> list[Occurrence]:
    frame = normalise_timestamps(pd.Series(texts, dtype="str"), formats=formats, timezone=timezone).astype(object)
    return [Occurrence(*row) for row in frame.where(frame.notna(), None).itertuples(index=False)]


@EXAMPLES
@example(["2022-10-30 03:30:00", "2022-10-30 03:30", "2022-03-27 03:30:00", "30.10.2022", "27.3.2022"], HELSINKI)
@example(["2022-02-30T10:00:00", "2023-02-29", "31.4.2022", "1900-02-29", "31.12.1899", "2201-01-01"], HELSINKI)
@example(["2022-11-06", "2022-03-13", "2018-11-04", "2018-02-17 23:30:00"], "America/Havana")
@example(["2018-11-04", "2018-11-03", "2018-02-17 23:30:00"], "America/Sao_Paulo")
@given(st.lists(WRITTEN | NUMBERS | SYMBOLS, max_size=15), ZONES)
def test_a_column_gives_what_the_rule_gives_for_each_text(texts: list[str], timezone: str) -> None:
    assert columns_as_rule(texts, ALL, timezone)


@EXAMPLES
@given(st.lists(st.integers(0, 99_999_999_999).map(str), max_size=15))
def test_a_column_of_unix_times_gives_what_the_rule_gives(texts: list[str]) -> None:
    assert columns_as_rule(texts, ("unix",), HELSINKI)


@EXAMPLES
@given(st.lists(ANY_TIME, max_size=10))
def test_an_instant_written_in_iso_with_its_zone_is_read_back(times: list[datetime]) -> None:
    column = pd.Series([f"{time.isoformat()}Z" for time in times], dtype="str")
    frame = normalise_timestamps(column, formats=("iso",), timezone=HELSINKI)
    assert [stamp.to_pydatetime() for stamp in frame["occurred_from"]] == [time.replace(tzinfo=UTC) for time in times]
    assert (frame["occurred_from"] == frame["occurred_to"]).all()


def test_a_finnish_date_is_the_whole_local_day() -> None:
    assert read("12.1.2022", "fi_date") == Occurrence(utc(2022, 1, 11, 22), utc(2022, 1, 12, 22))


def test_the_days_on_which_the_clocks_change_have_23_and_25_hours() -> None:
    spring, autumn = read("27.3.2022", "fi_date"), read("30.10.2022", "fi_date")
    assert spring.occurred_to - spring.occurred_from == timedelta(hours=23)  # type: ignore[operator]
    assert autumn.occurred_to - autumn.occurred_from == timedelta(hours=25)  # type: ignore[operator]


@pytest.mark.parametrize(
    "text", ["12.1.2022 10.05", "12.1.2022 10:05", "12. 1. 2022 klo 10.05", "12.01.2022\u00a010:05"]
)
def test_a_finnish_minute_spans_sixty_seconds(text: str) -> None:
    assert read(text, "fi_datetime") == Occurrence(utc(2022, 1, 12, 8, 5), utc(2022, 1, 12, 8, 6))


def test_a_swedish_minute_is_read() -> None:
    assert read("2022-08-23 08:11", "sv_datetime") == Occurrence(utc(2022, 8, 23, 5, 11), utc(2022, 8, 23, 5, 12))


def test_month_first_is_never_accepted() -> None:
    assert read("1.15.2022 10.61", "fi_datetime").fault == "date_impossible"
    assert read("1.15.2022 10.05", *ALL).fault == "date_impossible"


def test_an_impossible_minute_is_refused() -> None:
    assert read("12.1.2022 10.61", "fi_datetime").fault == "time_impossible"


@pytest.mark.parametrize("text", ["1/2/2022", "1/2/2022 10:05 PM", "12.1.22", "01-02-2022"])
def test_an_unknown_order_of_day_and_month_is_refused(text: str) -> None:
    assert read(text, *ALL).fault == "date_ambiguous"


def test_a_format_that_was_not_declared_is_not_tried() -> None:
    assert read("12.1.2022", "iso").fault == "date_unreadable"


@pytest.mark.parametrize(
    ("fraction", "microsecond"), [("", 0), (".9", 900_000), (".253", 253_000), (".123456789", 123_456)]
)
def test_fractions_of_any_length_are_exact_to_the_microsecond(fraction: str, microsecond: int) -> None:
    instant = utc(2020, 11, 10, 9, 54, 34, microsecond)
    assert read(f"2020-11-10T11:54:34{fraction}", "iso") == Occurrence(instant, instant)


def test_the_repeated_hour_spans_both_of_its_readings() -> None:
    assert read("2022-10-30 03:30:00", "drupal") == Occurrence(utc(2022, 10, 30, 0, 30), utc(2022, 10, 30, 1, 30))
    assert read("2022-10-30 03:30", "iso") == Occurrence(utc(2022, 10, 30, 0, 30), utc(2022, 10, 30, 1, 31))


def test_a_stated_zone_settles_the_repeated_hour() -> None:
    assert read("2022-10-30T03:30:00+02:00", "iso") == Occurrence(utc(2022, 10, 30, 1, 30), utc(2022, 10, 30, 1, 30))


def test_a_time_that_the_clocks_skipped_is_refused() -> None:
    assert read("2022-03-27 03:30", "iso").fault == "time_skipped"


def test_1970_and_2038_are_times_as_any_other() -> None:
    assert read("0", "unix").occurred_from == utc(1970, 1, 1)
    assert read("2147483648", "unix").occurred_from == utc(2038, 1, 19, 3, 14, 8)


def test_a_serial_number_of_excel_is_a_local_day_or_time() -> None:
    assert read("44573.0", "excel_serial") == read("12.1.2022", "fi_date")
    assert read("44573.5", "excel_serial") == read("12.1.2022 12:00", "fi_datetime")


def test_serial_numbers_before_the_day_that_never_was_are_refused() -> None:
    assert read("60", "excel_serial").fault == "date_impossible"


@pytest.mark.parametrize(
    ("formats", "timezone"), [(("us_date",), "UTC"), (("unix", "excel_serial"), "UTC"), (("iso",), "Mars")]
)
def test_a_declaration_that_cannot_be_meant_is_a_mapping_error(formats: tuple[str, ...], timezone: str) -> None:
    with pytest.raises(MappingError):
        normalise_timestamps(pd.Series([], dtype="str"), formats=formats, timezone=timezone)


def test_blank_cells_have_neither_time_nor_fault() -> None:
    frame = normalise_timestamps(pd.Series(["", None], dtype="str"), formats=("iso",), timezone=HELSINKI)
    assert frame.isna().all(axis=None)
    assert [str(kind) for kind in frame.dtypes] == ["datetime64[us, UTC]", "datetime64[us, UTC]", "str"]

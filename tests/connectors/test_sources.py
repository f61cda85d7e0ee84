"""Which connector serves a feed, entries typed in by staff, and the days of a window."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.decoders import decode
from connectors.files import DroppedFiles, FileSettings
from connectors.manual import typed_entry
from connectors.short_courses import ShortCourseRegistrations, ShortCoursesSettings
from connectors.sources import SourceSettings, connector_for
from connectors.web_forms import WebFormsSettings, WebFormSubmissions
from connectors.webropol import WebropolResponses, WebropolSettings
from connectors.windows import pull_window, read_instant, row_instant
from pipelines.transforms.civil_time import normalise_timestamp
from schemas.errors import ConfigurationError, MappingError
from schemas.mappings import Mapping, TimeFormat
from tests.feeds import NOW, WINDOW, make_mapping

SETTINGS = SourceSettings(
    files=FileSettings(Path("/nowhere")),
    webropol=WebropolSettings("u", "p"),
    web_forms=WebFormsSettings("https://www.example.org", "k"),
    short_courses=ShortCoursesSettings("sqlite://"),
)
API = {"file": None, "api": {"resource": "r"}}
TABLE = {"file": None, "table": {"table": "t", "changed_at": "Time", "key": "Id"}}
SPOKEN = {
    "collected_by": "By",
    "method": "How",
    "wording": "Words",
    "said_at": {"column": "Said"},
    "purpose": "Purpose",
    "topic": "Topic",
    "decision": "Decision",
    "decisions": {"yes": "grant", "no": "withdraw"},
}


def manual() -> Mapping:
    return make_mapping(source="manual", kind="manual_entry", feed="entries", spoken=SPOKEN, consents=[])


@pytest.mark.parametrize(
    ("changes", "connector"),
    [
        ({}, DroppedFiles),
        ({"source": "manual", "kind": "manual_entry", "spoken": SPOKEN}, DroppedFiles),
        ({"source": "webropol"}, DroppedFiles),
        ({"source": "webropol", **API}, WebropolResponses),
        ({"source": "web_forms", **API}, WebFormSubmissions),
        ({"source": "short_courses", **TABLE}, ShortCourseRegistrations),
    ],
)
def test_a_feed_is_served_by_how_it_is_delivered(changes: dict[str, Any], connector: type) -> None:
    assert isinstance(connector_for(make_mapping(**changes), SETTINGS), connector)


@pytest.mark.parametrize("changes", [{"source": "manual", **API}, {"source": "webropol", **TABLE}])
def test_a_source_has_only_its_own_doors(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="form"):
        connector_for(make_mapping(**changes), SETTINGS)


def test_a_door_without_settings_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="file"):
        connector_for(make_mapping(), SourceSettings())


def test_a_typed_entry_is_a_batch_with_every_column_of_its_mapping() -> None:
    cells = {"Email": "aino@example.org", "Purpose": "marketing", "Decision": "no"}
    batch = typed_entry(manual(), cells, now=NOW, timezone="Europe/Helsinki")
    frame = decode(batch.media_type, batch.payload, manual())
    assert set(frame.columns) == manual().mapped_columns()
    assert frame[list(cells)].to_dict("records") == [cells]
    assert frame["Words"].isna().all()
    assert (batch.received_at, batch.feed) == (NOW, "entries")


def test_an_entry_with_an_unknown_column_or_for_another_source_is_refused() -> None:
    with pytest.raises(MappingError, match="Diet"):
        typed_entry(manual(), {"Diet": "x"}, now=NOW, timezone="Europe/Helsinki")
    with pytest.raises(MappingError, match="manual"):
        typed_entry(make_mapping(), {}, now=NOW, timezone="Europe/Helsinki")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-20T11:54:34.253", datetime(2026, 11, 20, 9, 54, 34, 253000, UTC)),
        ("2026-11-20T11:54:48.99", datetime(2026, 11, 20, 9, 54, 48, 990000, UTC)),
        ("2026-11-20T11:25:48", datetime(2026, 11, 20, 9, 25, 48, tzinfo=UTC)),
        ("2026-11-20T11:25:48.1234567", datetime(2026, 11, 20, 9, 25, 48, 123456, UTC)),
        ("2026-11-20 09:25:48+00:00", datetime(2026, 11, 20, 9, 25, 48, tzinfo=UTC)),
        ("1795161600", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("1795161600253", datetime(2026, 11, 20, 8, 0, 0, 253000, UTC)),
        ("20.11.2026", None),
        ("9" * 30, None),
        ("", None),
    ],
)
def test_times_of_sources_are_read_with_or_without_zone_and_fraction(text: str, instant: datetime | None) -> None:
    assert read_instant(text, ZoneInfo("Europe/Helsinki")) == instant


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("20.11.2026", "fi_date"),
        ("20. 11. 2026", "fi_date"),
        ("20.11.2026 klo 0.00", "fi_datetime"),
        ("20.11.2026 00:00:00", "fi_datetime"),
        ("2026-11-20 0:00", "sv_datetime"),
        ("2026-11-20 00:00:00", "drupal"),
        ("46346", "excel_serial"),
        ("2026-11-20", "excel_serial"),
        ("1795125600", "unix"),
        ("1795125600000", "unix_ms"),
    ],
)
def test_a_pull_reads_the_times_that_a_mapping_may_declare(text: str, form: str) -> None:
    mapping = make_mapping(submitted_at={"column": "At", "formats": ["iso", form]})
    assert row_instant(mapping, {"At": text}.get) == datetime(2026, 11, 19, 22, tzinfo=UTC)


@pytest.mark.parametrize("form", [form for form in TimeFormat if form not in ("iso", "excel_serial")])
def test_what_a_pull_reads_is_what_the_mapping_makes_of_it(form: TimeFormat) -> None:
    texts = {"fi_date": "1.2.2026", "fi_datetime": "1.2.2026 9.05", "unix": "1795161600", "unix_ms": "1795161600123"}
    text = texts.get(form, "2026-02-01 09:05:00")
    read = normalise_timestamp(text, formats=(form,), timezone="Europe/Helsinki")
    assert read_instant(text, ZoneInfo("Europe/Helsinki"), (form,)) == read.occurred_from


def test_a_row_that_never_changed_counts_from_when_it_was_submitted() -> None:
    mapping = make_mapping(
        changed_at={"column": "Changed", "formats": ["fi_datetime"]},
        submitted_at={"column": "At", "formats": ["unix_ms"]},
    )
    submitted = datetime(2026, 11, 20, 8, tzinfo=UTC)
    for blank in ({}, {"Changed": None}, {"Changed": " "}):
        assert row_instant(mapping, {"At": "1795161600000", **blank}.get) == submitted
    changed = {"At": "1795161600000", "Changed": "21.11.2026 10.00"}
    assert row_instant(mapping, changed.get) == submitted + timedelta(days=1)
    assert row_instant(mapping, {**changed, "Changed": "yesterday"}.get) is None, "a change that is not readable is one"


def test_a_row_without_a_readable_time_is_never_left_out_of_a_pull() -> None:
    days = pull_window(make_mapping(), WINDOW, timezone="Europe/Helsinki", now=NOW)
    assert days.holds(None)
    assert days.received_at(None) == datetime(2026, 11, 20, 21, 59, 59, 999999, UTC)


def test_a_window_over_the_change_of_clocks_has_whole_local_days() -> None:
    days = pull_window(make_mapping(overlap_days=30), WINDOW, timezone="Europe/Helsinki", now=NOW)
    assert days.since == datetime(2026, 10, 20, 21, tzinfo=UTC)
    assert days.until == datetime(2026, 11, 20, 22, tzinfo=UTC)


def test_a_zone_that_does_not_exist_is_a_mapping_error() -> None:
    with pytest.raises(MappingError, match="Helsinki"):
        pull_window(make_mapping(), WINDOW, timezone="Europe/Jyväskylä", now=NOW)

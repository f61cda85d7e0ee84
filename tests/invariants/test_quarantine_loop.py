"""The repair loop at size: each of many ways to break a row is told, mended and read again, and then nothing differs."""

import json
import logging
import os
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from pipelines.cli import APP
from pipelines.operations.mending import export_workbook, import_workbook, mend
from pipelines.operations.quarantine import Filter, count_entries, discard, list_entries, read_rows, retry, show_entry
from pipelines.operations.status import check_status
from pipelines.transforms.amending import with_mended_cells
from schemas.errors import BatchRefused, ConfigurationError
from schemas.faults import FAULTS
from tests.invariants.broken_rows import BREAKS, FEEDS, TITLES, Break, clean_row
from tests.invariants.world import World, csv_bytes, take_in
from tests.sizes import sized

ROWS = sized(660, 10_000)
SHARES = {"courses": 0.75, "contact": 0.08, "manual": 0.17}
BY_HAND = sized(5, len(BREAKS))
ME = ("Maija", "asked the person")
# Of mending a row and reading it again, on a machine with a core to spare; a busier one may take as much longer as it is.
LONGEST_S = 2.0
LOG = logging.getLogger(__name__)

# What the store says of people, without the ids that come of the order in which rows arrived.
STATE = {
    "people": "select c.address, p.given_name, p.family_name, p.phone, p.organisation from intake.person p"
    " join intake.contact_point c using (contact_point_id)",
    "purposes": "select c.address, p.purpose, p.ends_at from intake.person_purpose p"
    " join intake.contact_point c using (contact_point_id)",
    "consents": "select c.address, s.purpose, s.topic, s.state from intake.consent_state s"
    " join intake.contact_point c using (contact_point_id)",
    "registrations": "select c.address, o.occasion_id, o.name, g.status, g.is_sale, g.registered_at"
    " from intake.registration g join intake.contact_point c using (contact_point_id)"
    " join intake.occasion o using (occasion_pk)",
    "submissions": "select feed, content_hash, submitted_from, is_enquiry, country, postal_code, city"
    " from intake.submission",
}


@dataclass(frozen=True)
class Broken:
    """One row that was broken: how, where, and what stood there before."""

    how: Break
    row_no: int
    right: str


def rows_of(feed: str) -> list[dict[str, str]]:
    first = 1_000_000 * list(SHARES).index(feed)
    return [clean_row(feed, first + number) for number in range(int(ROWS * SHARES[feed]))]


def broken_rows() -> tuple[dict[str, list[dict[str, str]]], list[Broken]]:
    """All rows by feed, one in twenty of them broken, and how."""
    rows = {feed: rows_of(feed) for feed in SHARES}
    taken: Counter[str] = Counter()
    done = []
    for number in range(ROWS // 20):
        how = BREAKS[number % len(BREAKS)]
        taken[how.feed] += 2
        place = taken[how.feed]
        done.append(Broken(how, place + 1, rows[how.feed][place][how.column]))
        rows[how.feed][place] = {**rows[how.feed][place], how.column: how.broken}
    return rows, done


def take(world: World, rows: dict[str, list[dict[str, str]]]) -> None:
    for feed, of_feed in rows.items():
        world.receive_bytes(feed, csv_bytes(TITLES[feed], of_feed))
    landed, gated = take_in(world.session())
    assert not [refused for report in landed.values() for refused in report.refused]
    assert not [one.stop for one in gated if one.stop]


def state_of(world: World) -> dict[str, Counter[Any]]:
    return {name: Counter(map(tuple, world.query(statement))) for name, statement in STATE.items()}


def differing(found: dict[str, Counter[Any]], wanted: dict[str, Counter[Any]]) -> dict[str, Any]:
    """What is only in the one or only in the other."""
    both = {name: (found[name] - wanted[name], wanted[name] - found[name]) for name in wanted}
    return {name: sides for name, sides in both.items() if any(sides)}


def entry_of(entries: Sequence[dict[str, Any]], broken: Broken) -> dict[str, Any]:
    """The entry that tells of a broken row as it must."""
    wanted = (broken.how.feed, broken.row_no, broken.how.field, broken.how.fault)
    found = [e for e in entries if (e["feed"], e["row_no"], e["field"], e["fault"]) == wanted]
    assert len(found) == 1, f"{wanted}: {[e for e in entries if e['row_no'] == broken.row_no]}"
    return found[0]


@pytest.fixture
def courses(world: World) -> World:
    world.workspace = replace(world.workspace, mappings=FEEDS)
    return world


def test_mending_every_broken_row_gives_the_state_of_the_clean_input(courses: World, tmp_path: Path) -> None:
    world = courses
    assert len(BREAKS) >= 30
    take(world, {feed: rows_of(feed) for feed in SHARES})
    clean = state_of(world)
    assert not list_entries(world.session())
    world.reset().workspace = replace(world.workspace, mappings=FEEDS)
    rows, broken = broken_rows()
    take(world, rows)
    everything = Filter(limit=100_000)
    entries = list_entries(world.session(), everything)
    assert {(entry["feed"], entry["row_no"]) for entry in entries} == {(one.how.feed, one.row_no) for one in broken}
    assert state_of(world) != clean
    numbers = [assert_says_what_is_wrong(entry_of(entries, one), one) for one in broken]
    took = [timed_mend(world, numbers[n], one) for n, one in enumerate(broken[:BY_HAND])]
    LOG.info("mend and replay of one row: median %.2f s, longest %.2f s", statistics.median(took), max(took))
    assert statistics.median(took) <= LONGEST_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), took
    mend_in_workbooks(world, broken[BY_HAND:], tmp_path)
    assert not list_entries(world.session(), everything)
    assert differing(state_of(world), clean) == {}
    retry(world.session())
    assert differing(state_of(world), clean) == {}


def timed_mend(world: World, entry: int, broken: Broken) -> float:
    started = time.perf_counter()
    mended = mend(world.session(), entry, column=broken.how.column, value=broken.right, signature=ME)
    assert (mended.rows, mended.still_open) == (1, 0), broken.how
    return time.perf_counter() - started


def assert_says_what_is_wrong(entry: dict[str, Any], broken: Broken) -> int:
    fault = FAULTS[broken.how.fault]
    assert (entry["what"], entry["remedy"], entry["owner"]) == (fault.what, fault.remedy, FEEDS[entry["feed"]].owner)
    assert entry["value_class"]
    assert len(broken.how.broken) < 4 or broken.how.broken not in json.dumps(entry, default=str)
    return int(entry["quarantine_id"])


def mend_in_workbooks(world: World, broken: list[Broken], folder: Path) -> None:
    """What is left of each feed, mended in its workbook as the owner of the form would."""
    right = {(one.how.feed, one.row_no): one for one in broken}
    for feed in {one.how.feed for one in broken}:
        path = folder / f"{feed}.xlsx"
        rows = export_workbook(world.session(), feed, path)
        workbook = load_workbook(path)
        sheet = workbook.worksheets[0]
        titles = {cell.value: cell.column for cell in sheet[1]}
        for row in sheet.iter_rows(min_row=2):
            one = right[feed, int(row[0].value.rpartition("/")[2])]
            cell = sheet.cell(row[0].row, titles[one.how.column])
            assert cell.fill.fgColor.rgb == "00FFE699", one.how
            cell.value = one.right
        workbook.save(path)
        assert import_workbook(world.session(), path, by="Training office").rows == rows


ONE = {"contact": [clean_row("contact", 1), {**clean_row("contact", 2), "Email": "kirsi(at)example.org"}]}


def only_entry(world: World) -> dict[str, Any]:
    [entry] = list_entries(world.session())
    return entry


def test_a_row_is_shown_with_its_bad_field_marked_and_without_what_the_mapping_ignores(courses: World) -> None:
    world = courses
    ignoring = FEEDS["contact"].model_copy(update={"ignored": ("Hetu",)})
    world.workspace = replace(world.workspace, mappings={"contact": ignoring})
    rows = [{**row, "Hetu": "131052-308T"} for row in ONE["contact"]]
    world.receive_bytes("contact", csv_bytes([*TITLES["contact"], "Hetu"], rows))
    take_in(world.session())
    shown = show_entry(world.session(), only_entry(world)["quarantine_id"])
    assert shown["bad_columns"] == ["Email"]
    assert shown["row"]["Email"] == "kirsi(at)example.org"
    assert "Hetu" not in shown["row"]


def test_a_mended_value_lies_encrypted_with_who_and_why_and_outlives_a_full_retry(courses: World) -> None:
    world = courses
    take(world, ONE)
    entry = only_entry(world)
    mend(world.session(), entry["quarantine_id"], column=None, value="kirsi@example.org", signature=ME)
    [(by, reason, sealed)] = world.query("select mended_by, reason, ciphertext from intake.mended_cell")
    assert (by, reason) == ME
    assert b"kirsi" not in bytes(sealed)
    retry(world.session(), entry["quarantine_id"])
    assert not list_entries(world.session())
    assert world.query("select 1 from intake.contact_point where address = 'kirsi@example.org'")
    shown = show_entry(world.session(), entry["quarantine_id"])
    assert shown["mended"][0]["mended_by"] == "Maija"


def test_a_wrong_mend_leaves_the_entry_open_and_a_fault_that_comes_back_is_opened_again(courses: World) -> None:
    world = courses
    take(world, ONE)
    number = only_entry(world)["quarantine_id"]
    assert mend(world.session(), number, column=None, value="kirsi@@example.org", signature=ME).still_open == 1
    assert mend(world.session(), number, column=None, value="kirsi@example.org", signature=ME).still_open == 0
    assert mend(world.session(), number, column="Email", value="nowhere", signature=ME).still_open == 1
    assert only_entry(world)["quarantine_id"] == number


def test_the_counts_of_a_single_retry_are_of_the_one_row(courses: World) -> None:
    world = courses
    take(world, ONE)
    session = world.session()
    mend(session, only_entry(world)["quarantine_id"], column=None, value="kirsi@example.org", signature=ME)
    [counted] = world.query("select rows_read, applied from intake.run_count where run_id = :id", id=session.run_id)
    assert tuple(counted) == (1, 1)


def test_a_feed_whose_mapping_is_gone_keeps_nobody_elses_entries_from_being_read_again(courses: World) -> None:
    world, (rows, done) = courses, broken_rows()
    take(world, rows)
    gone, left = sorted({broken.how.feed for broken in done})[:2]
    world.workspace = replace(world.workspace, mappings={name: one for name, one in FEEDS.items() if name != gone})
    assert left in {gated.batch.feed for gated in retry(world.session())}
    assert {entry["feed"] for entry in list_entries(world.session(), Filter())} >= {gone, left}


def test_under_another_mapping_the_whole_batch_is_read_again(courses: World) -> None:
    world = courses
    rows = [{**clean_row("contact", n), "Newsletter": "Monthly"} for n in range(3)] + [clean_row("contact", 9)]
    take(world, {"contact": rows})
    number = list_entries(world.session())[0]["quarantine_id"]
    consent = FEEDS["contact"].consents[0].model_copy(update={"grants": ("Yes", "Monthly")})
    mended = FEEDS["contact"].model_copy(update={"consents": (consent,)})
    world.workspace = replace(world.workspace, mappings={**FEEDS, "contact": mended})
    retry(world.session(), number)
    assert not list_entries(world.session())


@pytest.mark.parametrize("known_as", [None, "Aino", "Aino-Liisa"])
def test_a_decision_that_another_mapping_can_read_counts_whoever_is_known_at_the_address(
    courses: World, known_as: str | None
) -> None:
    """Of a row that gave ground for nothing: its content is the same, and what it says is not."""
    world = courses
    said = {**clean_row("contact", 1), "Answer me": "", "First": "Aino"}
    if known_as is not None:
        take(world, {"contact": [{**said, "Id": "90", "First": known_as, "Newsletter": "Yes"}]})
    take(world, {"contact": [{**said, "Newsletter": "Monthly"}, {**said, "Id": "2", "Newsletter": "Never"}]})
    assert len(list_entries(world.session())) == 2
    consent = FEEDS["contact"].consents[0].model_copy(update={"grants": ("Yes", "Monthly"), "refuses": ("No", "Never")})
    mended = FEEDS["contact"].model_copy(update={"consents": (consent,)})
    world.workspace = replace(world.workspace, mappings={**FEEDS, "contact": mended})
    retry(world.session())
    assert not list_entries(world.session())
    told = Counter(value for (value,) in world.query("select value from intake.consent_event"))
    assert told == {"grant": 1 if known_as is None else 2, "withdraw": 1}
    assert world.query("select state from intake.consent_state where topic = ''") == [("withdrawn",)]
    before = state_of(world)
    (events,) = world.query("select count(*) from intake.consent_event")
    take(world, {"contact": [{**said, "Newsletter": "Monthly"}, {**said, "Id": "2", "Newsletter": "Never"}]})
    assert state_of(world) == before and world.query("select count(*) from intake.consent_event") == [events]


def test_entries_are_found_by_source_feed_reason_owner_and_age(courses: World) -> None:
    world = courses
    rows, _ = broken_rows()
    take(world, rows)
    found = list_entries(world.session(), Filter(limit=100_000))
    by = {name: Counter(entry[name] for entry in found) for name in ("source", "feed", "fault", "owner")}

    def count(**asked: Any) -> int:
        return len(list_entries(world.session(), Filter(limit=100_000, **asked)))

    assert count(source="manual") == by["source"]["manual"] > 0
    assert count(feed="courses") == by["feed"]["courses"] > 0
    assert count(reason="phone_invalid") == by["fault"]["phone_invalid"] > 0
    assert count(owner="training office") == by["owner"]["Training office"] > 0
    assert count(older_than_days=0) == len(found)
    assert count(older_than_days=1) == 0
    assert sum(row["open"] for row in count_entries(world.session())) == len(found)


def test_status_names_whose_rows_wait_too_long_and_whose_are_about_to_go(courses: World) -> None:
    world = courses
    take(world, ONE)
    assert not [alarm for alarm in check_status(world.session()).alarms if "contact" in alarm and "quarantin" in alarm]
    world.at(world.now + timedelta(days=85))
    alarms = " ".join(check_status(world.session()).alarms)
    assert "85 days old: ask Communications to mend them" in alarms
    assert "leave the landing in 5 days" in alarms


def test_discarding_keeps_who_and_why_and_asks_for_both(courses: World) -> None:
    world = courses
    take(world, ONE)
    number = only_entry(world)["quarantine_id"]
    for by, reason in (("", "why"), ("Maija", " ")):
        with pytest.raises(ConfigurationError, match="--by"):
            discard(world.session(), number, by=by, reason=reason)
    discard(world.session(), number, by="Maija", reason="a test answer")
    [closed] = list_entries(world.session(), Filter(state="discarded"))
    assert (closed["closed_by"], closed["close_reason"]) == ("Maija", "a test answer")
    retry(world.session())
    assert not list_entries(world.session()), "a discarded entry stays so"


def test_a_workbook_holds_text_only_and_takes_in_only_what_was_changed(courses: World, tmp_path: Path) -> None:
    world = courses
    bad = {**clean_row("contact", 2), "Email": "=HYPERLINK(1)", "First": "=1+1"}
    take(world, {"contact": [clean_row("contact", 1), bad]})
    path = tmp_path / "out.xlsx"
    export_workbook(world.session(), "contact", path)
    sheet = load_workbook(path).worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None} == {"s"}
    assert import_workbook(world.session(), path, by="Maija").cells == 0
    assert not world.query("select 1 from intake.mended_cell")


def test_a_workbook_that_was_filled_in_is_not_written_over(courses: World, tmp_path: Path) -> None:
    take(courses, ONE)
    path = tmp_path / "out.xlsx"
    path.write_bytes(b"filled in")
    with pytest.raises(ConfigurationError, match="is there already"):
        export_workbook(courses.session(), "contact", path)
    assert path.read_bytes() == b"filled in"


def test_a_workbook_of_somebody_elses_or_of_another_store_is_refused(courses: World, tmp_path: Path) -> None:
    world = courses
    take(world, ONE)
    path = tmp_path / "out.xlsx"
    export_workbook(world.session(), "contact", path)
    world.reset().workspace = replace(world.workspace, mappings=FEEDS)
    with pytest.raises(ConfigurationError, match="not quarantined rows of feed"):
        import_workbook(world.session(), path, by="Maija")
    workbook = load_workbook(path)
    del workbook["As exported"]
    workbook.save(path)
    with pytest.raises(BatchRefused, match="Export it again"):
        import_workbook(world.session(), path, by="Maija")


def test_the_value_comes_on_standard_input_and_never_in_the_arguments(courses: World) -> None:
    world = courses
    take(world, ONE)
    number = str(only_entry(world)["quarantine_id"])
    environment = {
        "DATABASE_URL": world.address.url_psycopg,
        "INTAKE_DATA_DIR": str(world.settings.data_dir),
        "INTAKE_FIXED_NOW": str(world.now),
    }
    words = ("quarantine", "mend", number, "--by", "Maija", "--reason", "phoned", "--json")
    config = ("--config", str(world.settings.config_dir))
    result = CliRunner().invoke(APP, [*words, *config], input="kirsi@example.org\n", env=environment)
    assert result.exit_code == 0, result.output
    (read,) = world.query("select run_id from intake.reading where run_id not in (select run_id from intake.run)")
    told = {"cells": 1, "rows": 1, "still_open": 0, "run_id": str(read.run_id), "still_undone": 0}
    assert json.loads(result.stdout) == told
    assert "kirsi" not in result.output


def test_a_cell_that_was_mended_is_let_be_where_another_mapping_numbers_the_rows_otherwise(courses: World) -> None:
    world = courses
    take(world, {"contact": [clean_row("contact", 7), *ONE["contact"]]})
    entry = only_entry(world)
    mend(world.session(), entry["quarantine_id"], column=None, value="kirsi@example.org", signature=ME)
    received = read_rows(world.session(), entry["batch_id"], FEEDS["contact"], as_received=True)
    moved = received.iloc[1:]
    cells = [(entry["row_no"], "Email", "kirsi(at)example.org", "kirsi@example.org")]
    let_be = with_mended_cells(moved.reset_index(drop=True), cells, FEEDS["contact"])
    assert not let_be["Email"].eq("kirsi@example.org").any()

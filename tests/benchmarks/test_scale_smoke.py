"""The benchmarks of size at a small one, ours only: that they run, that their reports say what was asked, and one page of all."""

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks.__main__ import BENCHMARKS, NAMES, Benchmark
from benchmarks.asking import Ask
from benchmarks.identity_speed import cluster, falsely_merged, make_rows, split
from benchmarks.overview import line_of_report, table_of_all, write_overview
from benchmarks.report import Report, Summary, write_report
from benchmarks.reporting import is_goal_met
from benchmarks.unmet import IF_MISSED
from benchmarks.whole_intake import OURS

# The others have smoke tests of their own.
SMALL = ("B6", "B7", "B10", "B13")


@functools.cache
def measured(name: str) -> Report:
    with tempfile.TemporaryDirectory(prefix="crm-intake-bench-") as directory:
        return BENCHMARKS[name].run(Path(directory), Ask(BENCHMARKS[name].smoke, 1, 1, peers=False, tell=str))


@pytest.fixture(scope="module", params=SMALL)
def summary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    name, folder = request.param, tmp_path_factory.mktemp("results")
    write_report(measured(name), folder, cores=2, seed=1)
    assert "Machine: " in (folder / f"{name.lower()}.md").read_text()
    return {"name": name, **json.loads((folder / f"{name.lower()}.json").read_text())}


def test_what_was_measured_is_there(summary: dict[str, Any]) -> None:
    if summary["name"] == "B6":
        assert {one["falsely_merged"] for one in summary["found"]} == {0.0}
        assert all(0 <= one["split"] < 0.5 for one in summary["found"])
    elif summary["name"] == "B7":
        assert summary["events"] == BENCHMARKS["B7"].smoke
        assert min(summary["bulk_s"] + summary["keep_s"] + summary["one_person_ms"]["rule"]) > 0
    elif summary["name"] == "B10":
        assert [run["landed"] for run in summary["runs"]] == [BENCHMARKS["B10"].smoke]
        assert max(run["again"] for run in summary["runs"]) <= 100
    else:
        assert all(day["intents"] > 0 for days in summary["days"].values() for day in days)


def test_one_page_has_what_was_measured(tmp_path: Path) -> None:
    write_overview([line_of_report(name, measured(name)) for name in SMALL], tmp_path, cores=2)
    lines = json.loads((tmp_path / "overview.json").read_text())["benchmarks"]
    assert [line["name"] for line in lines] == list(SMALL)
    assert all(line["goal"] and line["ours"] and line["limit"] and line["ratio"] for line in lines)


def test_all_fourteen_are_on_the_list() -> None:
    assert [name for name in NAMES if name.startswith("B")] == [f"B{n}" for n in range(1, 15)]


def test_each_can_say_why_it_was_missed_and_what_to_try_next() -> None:
    assert set(IF_MISSED) == {name.lower() for name in NAMES}
    assert all(why.reason.endswith(".") and why.try_next.endswith(".") for why in IF_MISSED.values())


def report_of(name: str, *, is_met: bool | None) -> Report:
    summary = Summary("2 s", "peer 9 s", "1 s", "4.5 of 5", is_met)
    return Report(name, name.upper(), "5 times", ["", "s"], [["ours", "2"]], [], {}, summary)


def test_one_page_shows_them_all_and_below_only_what_was_missed(tmp_path: Path) -> None:
    ends = {"B1": False, "B2": True, "B3": None}
    lines = [line_of_report(name, report_of(name.lower(), is_met=met)) for name, met in ends.items()]
    page = write_overview(lines, tmp_path, cores=2).read_text()
    assert "| B1 | 5 times | 2 s | peer 9 s | 1 s | 4.5 of 5 | no |" in page
    why = IF_MISSED["b1"]
    assert page.partition("## Not met")[2].strip() == f"- B1: {why.reason} To try next: {why.try_next}"
    assert str(table_of_all(lines).caption) == f"B1: {why}"


def test_a_benchmark_run_by_itself_changes_its_own_line_of_the_page(tmp_path: Path) -> None:
    names = ("B2", "B10", "side_by_side", "B1")
    write_overview([line_of_report(name, report_of(name.lower(), is_met=False)) for name in names], tmp_path, cores=2)
    page = write_overview([line_of_report("B10", report_of("b10", is_met=True))], tmp_path, cores=2).read_text()
    rows = [row.split(" | ") for row in page.splitlines() if row.startswith("| ")][2:]
    assert [(row[0].strip("| "), row[6]) for row in rows] == [
        ("B1", "no"),
        ("B2", "no"),
        ("B10", "yes"),
        ("side_by_side", "no"),
    ]


def test_one_that_fails_is_told_and_the_others_are_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_directory: Path, _ask: Ask) -> Report:
        raise RuntimeError("not every row landed")

    runs = {"B1": fails, "B2": lambda _directory, _ask: report_of("b2", is_met=True)}
    monkeypatch.setattr(command, "pin_to_cores", lambda: 2)
    monkeypatch.setattr(command, "NAMES", list(runs))
    monkeypatch.setattr(command, "BENCHMARKS", {name: Benchmark(1, 1, run) for name, run in runs.items()})
    app = typer.Typer()
    app.command()(command.main)
    ended = CliRunner().invoke(app, ["--out", str(tmp_path)])
    assert ended.exit_code == 1
    assert "not in the table: B1" in ended.output
    assert [one["name"] for one in json.loads((tmp_path / "overview.json").read_text())["benchmarks"]] == ["B2"]


def test_a_report_says_why_where_it_missed_its_goal_only(tmp_path: Path) -> None:
    for is_met, told in ((False, True), (True, False), (None, False)):
        write_report(report_of("b1", is_met=is_met), tmp_path, cores=2, seed=1)
        assert (f"- Not met: {IF_MISSED['b1']}" in (tmp_path / "b1.md").read_text()) is told


@pytest.mark.parametrize(
    ("ratios", "megabytes", "is_met"),
    [([5.0, 5.1], 2048, True), ([5.1, 4.9], 600, False), ([6.0, 6.0], 2049, False), ([], 600, None), ([], 2049, False)],
)
def test_an_intake_is_held_to_both_peers_and_to_its_memory(
    ratios: list[float], megabytes: int, is_met: bool | None
) -> None:
    peers = {f"peer {n}": {"ratio": ratio} for n, ratio in enumerate(ratios)}
    assert is_goal_met({OURS: {"ratio": 1.0, "process_mb": megabytes}, **peers}) is is_met


def test_a_false_merge_would_be_seen() -> None:
    rows = make_rows(300, seed=3)
    assert falsely_merged(cluster(rows), rows["truth"]) == 0
    assert falsely_merged(rows["address_key"], rows["truth"]) > 0


def test_a_person_in_pieces_would_be_seen() -> None:
    rows = make_rows(300, seed=3)
    assert split(rows["truth"], rows["truth"]) == 0
    assert split(rows.index.to_series(), rows["truth"]) > 0

"""The benchmarks of size at a small one, ours only: that they run, that their reports say what was asked, and one page of all."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import BENCHMARKS, NAMES
from benchmarks.asking import Ask
from benchmarks.identity_speed import cluster, falsely_merged, make_rows
from benchmarks.overview import line_of_report, write_overview
from benchmarks.report import Report, Summary, write_report

# The others have smoke tests of their own; B12 installs an environment and B14 runs workers (tests/pipelines/test_cluster.py).
SMALL = ("B6", "B7", "B10", "B13")


@pytest.fixture(scope="module", params=SMALL)
def summary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    name, folder = request.param, tmp_path_factory.mktemp("results")
    with tempfile.TemporaryDirectory(prefix="crm-intake-bench-") as directory:
        report = BENCHMARKS[name].run(Path(directory), Ask(BENCHMARKS[name].smoke, 1, 1, peers=False, tell=str))
    write_report(report, folder, cores=2, seed=1)
    assert "Machine: " in (folder / f"{name.lower()}.md").read_text()
    return {"name": name, **json.loads((folder / f"{name.lower()}.json").read_text())}


def test_what_was_measured_is_there(summary: dict[str, Any]) -> None:
    if summary["name"] == "B6":
        assert {one["falsely_merged"] for one in summary["found"]} == {0.0}
    elif summary["name"] == "B7":
        assert summary["events"] == BENCHMARKS["B7"].smoke
        assert min(summary["bulk_s"] + summary["one_person_ms"]["rule"]) > 0
    elif summary["name"] == "B10":
        assert [run["landed"] for run in summary["runs"]] == [BENCHMARKS["B10"].smoke]
        assert max(run["again"] for run in summary["runs"]) <= 100
    else:
        assert all(day["intents"] > 0 for days in summary["days"].values() for day in days)


def test_all_fourteen_are_on_the_list() -> None:
    assert [name for name in NAMES if name.startswith("B")] == [f"B{n}" for n in range(1, 15)]


def test_one_page_shows_them_all(tmp_path: Path) -> None:
    summary = Summary("2 s", "peer 9 s", "1 s", "4.5 of 5", False)
    report = Report("b99", "B99", "5 times", ["", "s"], [["ours", "2"]], [], {}, summary)
    write_overview([line_of_report("B99", report)], tmp_path, cores=2)
    assert "| B99 | 5 times | 2 s | peer 9 s | 1 s | 4.5 of 5 | no |" in (tmp_path / "overview.md").read_text()


def test_a_false_merge_would_be_seen() -> None:
    rows = make_rows(300, seed=3)
    assert falsely_merged(cluster(rows), rows["truth"]) == 0
    assert falsely_merged(rows["address_key"], rows["truth"]) > 0

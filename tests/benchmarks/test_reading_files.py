"""B9 at a small size: both contestants read every row, and the report has its ratios and holds each file to the goal."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.door_and_files import report_reading
from benchmarks.limits import scanning
from benchmarks.reading_files import compare
from benchmarks.report import write_report


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return compare(tmp_path_factory.mktemp("files"), sizes={"csv": 0.2, "xlsx": 0.05}, repeat=1)


def test_both_read_all_rows_and_the_ratios_are_told(found: dict[str, Any]) -> None:
    assert set(found["times_faster"]) == {"csv", "xlsx", "both"}
    assert all(times > 0 for times in found["times_faster"].values())
    assert all(megabytes > 0 for megabytes in found["peak_memory_mb"].values())
    assert found["rows"]["csv"] >= 1000


@pytest.mark.parametrize(("csv", "xlsx", "is_met"), [(5.0, 5.0, True), (1.7, 10.9, False), (9.0, 4.9, False)])
def test_each_file_is_held_to_the_goal(
    found: dict[str, Any], tmp_path: Path, csv: float, xlsx: float, is_met: bool
) -> None:
    report = report_reading(
        {**found, "times_faster": {"csv": csv, "xlsx": xlsx, "both": 10.5}}, scanning([bytes(10**6)])
    )
    assert report.summary.is_met is is_met
    write_report(report, tmp_path, cores=2, seed=1)
    assert json.loads((tmp_path / "b9.json").read_text())["limit"]["value"] > 0
    assert ("- Not met: " in (tmp_path / "b9.md").read_text()) is not is_met

"""The whole-intake benchmark at a small size, ours only: that its state is right and its report is written."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ROWS = 500


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    options = ["--rows", str(ROWS), "--repeat", "1", "--no-peers", "--out", str(folder)]
    subprocess.run([sys.executable, "-m", "benchmarks", "B11", *options], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def summary(results: Path) -> dict[str, Any]:
    return json.loads((results / "b11.json").read_text())


def test_every_delivered_row_has_one_outcome(summary: dict[str, Any]) -> None:
    told = summary["contestants"]["crm-intake"]["runs"][0]["told"]
    assert told["rows"] == summary["rows"] >= ROWS
    assert sum(told["outcomes"].values()) == told["rows"]
    assert told["outcomes"]["applied"] > 0


def test_people_decisions_and_writes_come_of_the_rows(summary: dict[str, Any]) -> None:
    told = summary["contestants"]["crm-intake"]["runs"][0]["told"]
    assert 0 < told["contacts"] < told["rows"]
    assert told["events"] > 0
    assert told["plan"]["contacts:contact"] <= told["contacts"]
    assert sum(told["plan"].values()) == told["intents"]


def test_ours_is_told_beside_what_the_same_rows_cost_at_the_least(results: Path, summary: dict[str, Any]) -> None:
    copying, scanning = summary["limits"]
    assert 0 < scanning["value"] < copying["value"] < summary["contestants"]["crm-intake"]["seconds"]
    assert f"- Limit: {copying['what']}: " in (results / "b11.md").read_text()


def test_the_report_says_where_and_how_fast(results: Path, summary: dict[str, Any]) -> None:
    ours = summary["contestants"]["crm-intake"]
    assert ours["rows_per_s"] > 0
    assert ours["process_mb"] > 0
    assert ours["server_mb"] > 0
    assert f"| crm-intake | {ours['seconds']:.1f} (" in (results / "b11.md").read_text()
    assert {path.name for path in results.glob("*.png")} == {"time_by_size.png", "memory_by_size.png"}

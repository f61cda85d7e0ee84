"""The delivery benchmarks at a small size, ours only: that every good row lands and that their reports are written."""

import json
from pathlib import Path
from typing import Any

from benchmarks.__main__ import BENCHMARKS
from benchmarks.asking import Ask
from benchmarks.consenting import make_people
from benchmarks.deliveries import wanted
from benchmarks.poison import POISON_SHARE
from benchmarks.report import write_report


def run(name: str, rows: int, folder: Path) -> dict[str, Any]:
    report = BENCHMARKS[name].run(folder / "work", Ask(rows, 1, 1, peers=False, tell=str))
    write_report(report, folder, cores=2, seed=1)
    told = (folder / f"{name.lower()}.md").read_text()
    assert "Machine: " in told
    assert str(Path.home()) not in told
    summary: dict[str, Any] = json.loads((folder / f"{name.lower()}.json").read_text())
    return summary


def test_a_first_load_lands_every_row_by_way_of_the_outbox(tmp_path: Path) -> None:
    summary = run("B1", 200, tmp_path)
    [one] = summary["runs"]["crm-intake"]
    assert one["landed"] == 200
    assert one["told"]["outcomes"] == {"acknowledged": 300}
    assert one["counts"]["most_at_once"] <= 52
    # Few are sent to a slow CRM alone.
    [slow] = summary["by_latency"]
    assert (slow["latency_ms"], summary["rows_by_latency"]) == (200, 200)
    assert 0 < slow["rows_per_s"][0] < summary["limit"]["value"]


def test_of_known_people_the_changed_columns_of_the_changed_rows_are_written_and_no_others(tmp_path: Path) -> None:
    [one] = run("B2", 400, tmp_path)["runs"]["crm-intake"]
    assert (one["rows_written"], one["told"]["outcomes"]) == (2, {"acknowledged": 2})


def test_of_known_people_nothing_is_written_while_nothing_changes(tmp_path: Path) -> None:
    [one] = run("B3", 400, tmp_path)["runs"]
    assert (one["rows_written"], one["told"]["intents"], one["requests"]) == (0, 0, 0)


def test_a_limited_server_loses_no_row_and_is_left_alone_while_it_says_so(tmp_path: Path) -> None:
    summary = run("B4", 400, tmp_path)
    [one] = summary["runs"]
    assert one["landed"] == 400
    assert one["counts"]["refused_rows"] > 0
    assert one["counts"]["inside"] == 0
    assert 0 < summary["shares"][0] <= 1


def test_poison_rows_cost_no_good_row(tmp_path: Path) -> None:
    runs = run("B5", 400, tmp_path)["runs"]
    [clean], [poisoned] = runs["clean"], runs["1 % poison"]
    assert clean["landed"] == 400
    refused = poisoned["told"]["outcomes"]["refused"]
    assert refused > 0
    assert poisoned["landed"] == wanted(make_people(200, seed=1, poison_share=POISON_SHARE)) < 400


def test_ours_needs_nobody_after_lost_answers_throttling_and_poison(tmp_path: Path) -> None:
    ours = run("side_by_side", 400, tmp_path)["contestants"]["crm-intake"]
    assert ours["landed"] == ours["wanted"] > 380
    assert (ours["lost"], ours["unfinished"], ours["doubled"]) == (0, 0, 0)
    assert ours["requests"]["429"] > 0

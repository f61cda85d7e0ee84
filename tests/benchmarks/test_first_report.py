"""B12: by night a clone and its first report; else the same command in this very environment, which must find rows to read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest

from benchmarks.asking import Ask
from benchmarks.first_report import OPTIONS, drop_entries, report_of, rows_read, run_first_report
from benchmarks.report import Report, write_report
from benchmarks.servers import ROOT
from connectors.store.server import stop_server
from tests.sizes import sized


def reported_here(directory: Path) -> Report:
    drop_entries(directory / "drop")
    given = {"INTAKE_DATA_DIR": str(directory), "INTAKE_FAST_FOR_TESTS": "true"}
    command = [str(Path(sys.executable).with_name("crm-intake")), "plan", *OPTIONS]
    begun = perf_counter()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **given}, capture_output=True, text=True, check=True
        )
    finally:
        stop_server(directory / "postgres")
    assert rows_read(done.stdout) > 0
    return report_of([(perf_counter() - begun, 0.1)])


def test_the_first_report_has_something_to_say(tmp_path: Path) -> None:
    ask = Ask(0, 1, 1, peers=False, tell=str)
    report = run_first_report(tmp_path / "clones", ask) if sized(0, 1) else reported_here(tmp_path / "data")
    write_report(report, tmp_path, cores=2, seed=1)
    told = json.loads((tmp_path / "b12.json").read_text())
    assert 0 < told["limit"]["value"] < told["seconds"][0]
    assert "| git clone, make plan | " in (tmp_path / "b12.md").read_text()


@pytest.mark.parametrize(
    ("counted", "read"), [([], 0), ([{"rows_read": 0}], 0), ([{"rows_read": 5}, {"rows_read": 1}], 6)]
)
def test_rows_are_counted_behind_what_make_prints(counted: list[dict[str, int]], read: int) -> None:
    told = json.dumps({"counts": counted})
    assert rows_read(f"crm-intake plan --json\n{told}\nmake[1]: Leaving directory 'clone'\n") == read

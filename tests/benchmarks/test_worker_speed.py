"""B14 at a small size: one process alone takes a day in, by night workers too, and what the CRM then holds is the same."""

import json
from pathlib import Path

from benchmarks.__main__ import BENCHMARKS
from benchmarks.asking import Ask
from benchmarks.report import write_report
from benchmarks.worker_speed import CREWS, run_worker_speed
from tests.sizes import sized

# Crews at gate size are those of tests/pipelines/test_cluster.py.
MEASURED = CREWS if sized(0, 1) else ()


def test_every_crew_is_told_beside_one_process(tmp_path: Path) -> None:
    ask = Ask(BENCHMARKS["B14"].smoke, 1, 1, peers=False, tell=str)
    write_report(run_worker_speed(tmp_path / "work", ask, MEASURED), tmp_path, cores=2, seed=1)
    told = json.loads((tmp_path / "b14.json").read_text())
    assert list(told["seconds"]) == ["one process", *(f"{crew} workers" for crew in MEASURED)]
    assert min(told["seconds"].values()) > 0
    assert told["broker"]
    assert "| one process | " in (tmp_path / "b14.md").read_text()

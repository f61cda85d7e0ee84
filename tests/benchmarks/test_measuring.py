"""Whose memory is told: a process's own with what it started, and never that of whoever started it."""

import os
import subprocess
import sys
import time

import pytest

from benchmarks import measuring
from benchmarks.measuring import PeakWatch

HELD_MB = 150
_CHILD = f"import time; held = bytearray(b'x') * ({HELD_MB} << 20); time.sleep(1.5)"
_PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_CHILD!r}], check=True)"


def _peak_mb(program: str) -> float:
    with PeakWatch() as watch, subprocess.Popen([sys.executable, "-c", program]) as process:
        watch.pid = process.pid
        assert process.wait() == 0
    return watch.mb


def test_what_a_child_holds_is_its_parents_memory() -> None:
    assert HELD_MB < _peak_mb(_PARENT) < HELD_MB + 100


def test_what_the_measuring_process_holds_is_nobody_elses() -> None:
    held = bytearray(b"x") * (HELD_MB << 20)
    assert 0 < _peak_mb("import time; time.sleep(1)") < HELD_MB / 2 < len(held)


def test_asking_takes_a_fiftieth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def slowly(pid: int) -> float:
        asked.append(pid)
        time.sleep(0.1)
        return 1.0

    monkeypatch.setattr(measuring, "_high_water_mb", slowly)
    with PeakWatch() as watch:
        watch.pid = os.getpid()
        time.sleep(2)
    assert len(asked) == 1, "the next is asked five seconds after"

"""Measuring one run: a process of its own from start to end, its peak memory, and the database server's beside it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil

CORES = 2
_SAMPLE_S = 0.2
# So many times as long as an answer took nothing is asked.
_ASKED_SHARE = 50.0
_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Run:
    """One run: wall-clock seconds from the process's start to its end, seconds of processor time of process and server
    (which others on the machine disturb less), peak memory in MB of the process with what it started (a workbook is read
    in a process of its own) and of the server, and what it said of itself.
    """

    seconds: float
    process_cpu_s: float
    server_cpu_s: float
    process_mb: float
    server_mb: float
    told: dict[str, Any]


def measure(command: Sequence[str], *, postmaster: int, env: Mapping[str, str] | None = None, cwd: Path) -> Run:
    """Run a command that prints one JSON object as its last line. RuntimeError with its last words where it fails."""
    watch, peak = _ServerWatch(postmaster), PeakWatch()
    begun, worked = perf_counter(), watch.cpu_s()
    with (
        watch,
        peak,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            text=True,
        ) as process,
    ):
        peak.pid = process.pid
        out, err = _drained(process)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds, server_cpu_s = perf_counter() - begun, watch.cpu_s() - worked
    if process.returncode != 0:
        raise RuntimeError(f"{command[-2:]} failed ({process.returncode}): {err[-2000:]}")
    told = json.loads(out.strip().splitlines()[-1])
    cpu_s = usage.ru_utime + usage.ru_stime
    peak_mb = peak.mb or _peak_mb(usage.ru_maxrss)
    return Run(seconds, cpu_s, server_cpu_s, peak_mb, watch.peak_mb, told)


def _drained(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """All that it writes; stderr by a thread, so that neither pipe fills up."""
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.append(process.stderr.read() if process.stderr else ""))
    reader.start()
    out = process.stdout.read() if process.stdout else ""
    reader.join()
    return out, errors[0]


def _peak_mb(maxrss: int) -> float:
    # getrusage(2): kilobytes on Linux, bytes on macOS.
    return maxrss / (_MB if sys.platform == "darwin" else 1024)


def _moments(done: threading.Event) -> Iterator[None]:
    """When to ask: every fifth of a second, and more seldom where an answer takes long. To add up what many processes map of
    gigabytes of shared memory is work of the system's, which took a whole core from those that were measured.
    """
    pause = _SAMPLE_S
    while not done.wait(pause):
        begun = perf_counter()
        yield
        pause = max(_SAMPLE_S, _ASKED_SHARE * (perf_counter() - begun))


class PeakWatch:
    """Asks a process now and then for the most memory that it ever had, and for what it and all that it started have just
    then; `mb` is the largest answer, 0 where none is given.

    What the system says of an ended child (ru_maxrss) counts what its parent had when it was started, which here has
    made all the inputs.
    """

    def __init__(self) -> None:
        self.pid: int | None = None
        self.mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        for _ in _moments(self._done):
            if self.pid is not None:
                self.mb = max(self.mb, _high_water_mb(self.pid), _with_children_mb(self.pid))


def _high_water_mb(pid: int) -> float:
    """proc_pid_status(5): VmHWM, in kilobytes, is of the program that runs now."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def _with_children_mb(pid: int) -> float:
    try:
        process = psutil.Process(pid)
        own, children = process.memory_info().rss, process.children(recursive=True)
    except psutil.Error:
        return 0.0
    return (own + sum(map(_share, children))) / _MB


class _ServerWatch:
    """Samples the memory of a PostgreSQL server and its children; `peak_mb` is the largest sum seen.

    The proportional share (PSS) where the system tells it: resident sets would count the shared buffers once a child.
    """

    def __init__(self, postmaster: int) -> None:
        self._server = psutil.Process(postmaster)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak_mb = 0.0

    def __enter__(self) -> "_ServerWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def cpu_s(self) -> float:
        """Processor time of the server so far, its living and its ended children's included."""
        own = self._server.cpu_times()
        living = [times for child in self._server.children() if (times := _cpu_times(child))]
        ended = own.children_user + own.children_system
        return own.user + own.system + ended + sum(times.user + times.system for times in living)

    def _sample(self) -> None:
        for _ in _moments(self._done):
            processes = [self._server, *self._server.children(recursive=True)]
            self.peak_mb = max(self.peak_mb, sum(map(_share, processes)) / _MB)


def _cpu_times(process: psutil.Process) -> Any:
    try:
        return process.cpu_times()
    except psutil.Error:
        return None


def _share(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(memory, "pss", memory.rss))


def pin_to_cores() -> int:
    """Keep this process and what it starts to two cores, where the system can; returns how many it has."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    return len(cores)

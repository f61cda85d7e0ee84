"""Programs of ours and of Dagster's as processes beside this one: started together, and stopped with all they started."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
_STOP_S = 20


@contextmanager
def running(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str], *, log_dir: Path
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The programs of these commands while the block lasts; what each prints is in a file of its name in `log_dir`."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.extend(start(command, environment, log_dir=log_dir) for command in commands)
        yield processes
    finally:
        stop(processes)


def start(
    command: Sequence[str], environment: Mapping[str, str], *, log_dir: Path, log_name: str | None = None
) -> subprocess.Popen[bytes]:
    """A program beside this Python; its log holds what it printed from its last start on."""
    program = Path(sys.executable).with_name(command[0])
    with (log_dir / f"{log_name or command[0]}.log").open("wb") as log:
        return subprocess.Popen(
            [str(program), *command[1:]],
            env=dict(environment),
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask each and what it started to end, and end what does not."""
    members = [member for process in processes for member in family(process)]
    for member in members:
        with _gone_is_fine():
            member.terminate()
    for member in psutil.wait_procs(members, timeout=_STOP_S)[1]:
        with _gone_is_fine():
            member.kill()


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """A process and all that it started, as far as they live."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return

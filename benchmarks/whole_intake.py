"""B11, the whole intake: read, normalise, gate, store and plan of mixed submissions, beside pandas and dlt. No CRM.

Every contestant gets the same rows and an empty database of its own on one durable server, and is timed as a process
from start to end. What a peer leaves out is said in LEFT_OUT and printed beside its figures.
"""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.asking import postmaster_of
from benchmarks.inputs import Inputs, drop_database, fresh_database, make_inputs, row_texts
from benchmarks.limits import Limit, copying, scanning
from benchmarks.machine import PEERS, PEERS_PYTHON, require_peers
from benchmarks.measuring import Run, measure
from benchmarks.servers import ROOT
from connectors.store.address import ServerAddress
from connectors.store.migrate import upgrade
from connectors.store.server import ensure_server, stop_server

OURS, PANDAS, DLT = "crm-intake", "pandas to_sql", "dlt"
_LEFT = "consent and its evidence, identity, the gate, faults and quarantine, encrypted landing, the plan"
LEFT_OUT = {PANDAS: _LEFT, DLT: f"{_LEFT}; keeps its own load records instead"}
GOAL_RATIO, GOAL_MB = 5.0, 2048.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The runs of each contestant, ours first, over the same inputs; and what no intake of them can be faster than."""

    inputs: Inputs
    limits: list[Limit]
    runs: dict[str, list[Run]]


def run_whole_intake(
    directory: Path, *, rows: int, repeat: int, seed: int, peers: bool, tell: Callable[[str], None]
) -> Outcome:
    """Measure each contestant `repeat` times, in turn; RuntimeError where one fails or has not seen every row.

    What was read is left in the directory, for another run of as many rows; what it was read into is not.
    """
    if peers:
        require_peers()
    address = ensure_server(directory / "postgres")
    try:
        inputs = make_inputs(directory, address, rows=rows, seed=seed)
        tell(f"{inputs.rows} rows: " + ", ".join(f"{n} by {door}" for door, n in inputs.rows_by_door.items()))
        limits = _limits(address, inputs)
        contest = _Contest(directory, address, inputs)
        contestants = {OURS: contest.ours, **({PANDAS: contest.pandas, DLT: contest.dlt} if peers else {})}
        runs: dict[str, list[Run]] = {name: [] for name in contestants}
        for number in range(repeat):
            for name, start in contestants.items():
                run = start()
                _check(name, run, inputs)
                runs[name].append(run)
                tell(f"run {number + 1} of {repeat}, {name}: {run.seconds:.1f} s")
        for name in ("bench_ours", "bench_pandas", "bench_dlt"):
            drop_database(address, name)
    finally:
        stop_server(directory / "postgres")
    return Outcome(inputs, limits, runs)


def _limits(address: ServerAddress, inputs: Inputs) -> list[Limit]:
    texts = row_texts(inputs)
    limits = [copying(fresh_database(address, "bench_limit"), texts), scanning(texts)]
    drop_database(address, "bench_limit")
    return limits


def _check(name: str, run: Run, inputs: Inputs) -> None:
    if run.told["rows"] != inputs.rows:
        raise RuntimeError(f"{name} read {run.told['rows']} rows of {inputs.rows}: the runs cannot be compared.")


def measure_ours(
    directory: Path, address: ServerAddress, *, files: Path, register: ServerAddress, group_rows: int | None = None
) -> Run:
    """Our intake of a folder of files and a register, over a store of the server in `directory` that is migrated and empty;
    with `group_rows` in groups of so many rows, instead of as it ships.
    """
    store = fresh_database(address, "bench_ours")
    upgrade(store)
    for name in ("drop", "keys"):
        shutil.rmtree(directory / name, ignore_errors=True)
    shutil.copytree(files, directory / "drop")
    module = [sys.executable, "-m", "benchmarks.own_intake"]
    arguments = [str(directory), register.url_psycopg, store.database, *([str(group_rows)] if group_rows else [])]
    return measure([*module, *arguments], postmaster=postmaster_of(directory), cwd=ROOT)


class _Contest:
    """Starts each contestant on an empty database and, for ours, on a fresh copy of the files (it takes them away)."""

    def __init__(self, directory: Path, address: ServerAddress, inputs: Inputs) -> None:
        self._directory, self._address, self._inputs = directory, address, inputs
        self._postmaster = postmaster_of(directory)

    def ours(self) -> Run:
        """Our intake over a store that is migrated and empty."""
        inputs = self._inputs
        return measure_ours(self._directory, self._address, files=inputs.files, register=inputs.register)

    def pandas(self) -> Run:
        """The plain script."""
        store = fresh_database(self._address, "bench_pandas")
        arguments = [str(self._inputs.files), _psycopg2(self._inputs.register), _psycopg2(store)]
        return self._peer("pandas_intake.py", arguments)

    def dlt(self) -> Run:
        """The same with dlt, its working directory empty."""
        store = fresh_database(self._address, "bench_dlt")
        work = self._directory / "dlt"
        shutil.rmtree(work, ignore_errors=True)
        # dlt insists on a host and a password; libpq takes the socket's directory from the query.
        url = store.url.set(password="unused", host="localhost", port=5432)
        arguments = [str(self._inputs.files), _psycopg2(self._inputs.register)]
        return self._peer("dlt_intake.py", [*arguments, url.render_as_string(hide_password=False), str(work)])

    def _peer(self, script: str, arguments: list[str]) -> Run:
        quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
        return measure([str(PEERS_PYTHON), script, *arguments], postmaster=self._postmaster, env=quiet, cwd=PEERS)


def _psycopg2(address: ServerAddress) -> str:
    return address.url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)

"""Starting and stopping an emulator from a test, the demo or a benchmark, and steering it while it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3

from .identity import load_identity, with_default_client
from .options import EmulatorOptions
from .tls import make_certificates

_ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT_S = 20.0


class EmulatorFailed(RuntimeError):
    """The emulator did not start, or refused what it was told."""


@dataclass(frozen=True)
class ControlClient:
    """The control API. Rows are given and taken by entity set; `as_user` is `human`, `system` or a user's id.

    Its connection is kept, for a test makes many calls and each handshake takes longer than most of them.
    """

    base_url: str
    ca_path: Path | None = None
    _pool: urllib3.PoolManager = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pool = urllib3.PoolManager(ca_certs=str(self.ca_path) if self.ca_path else None)
        object.__setattr__(self, "_pool", pool)

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """Log entries after a sequence number, oldest first."""
        found: list[dict[str, Any]] = self.call("GET", f"requests?since={since}")["requests"]
        return found

    def last_sequence(self) -> int:
        return int(self.call("GET", f"requests?since={2**53}")["last"])

    def clear_requests(self) -> None:
        self.call("DELETE", "requests")

    def rows(self, set_name: str) -> list[dict[str, Any]]:
        """All rows of a set as the emulator keeps them: nulls left out, lookups as `_x_value`."""
        found: list[dict[str, Any]] = self.call("GET", f"tables/{set_name}")["rows"]
        return found

    def seed(self, rows: dict[str, list[dict[str, Any]]], *, as_user: str = "system") -> dict[str, list[str]]:
        """Creates or changes rows as another user; gives their ids by set."""
        ids: dict[str, list[str]] = self.call("POST", "seed", {"rows": rows, "as": as_user})["ids"]
        return ids

    def edit(self, set_name: str, row_id: str, values: dict[str, Any], *, as_user: str = "human") -> dict[str, Any]:
        """Changes a row as another user; gives the row."""
        given = {"set": set_name, "id": row_id, "values": values, "as": as_user}
        row: dict[str, Any] = self.call("POST", "edit", given)["row"]
        return row

    def remove(self, set_name: str, row_id: str, *, as_user: str = "human") -> None:
        self.call("POST", "remove", {"set": set_name, "id": row_id, "as": as_user})

    def faults(self, *orders: dict[str, Any]) -> list[int]:
        """Orders faults (the settings of `faults.Fault`); gives their ids."""
        ids: list[int] = self.call("POST", "faults", list(orders))["ids"]
        return ids

    def fault_hits(self) -> dict[int, int]:
        """How often each order has struck, by id."""
        return {fault["id"]: fault["hits"] for fault in self.call("GET", "faults")["faults"]}

    def clear_faults(self) -> None:
        self.call("DELETE", "faults")

    def limits(self, **limits: Any) -> None:
        """Changes limits and latency (those of EmulatorOptions) and forgets what was used."""
        self.call("POST", "limits", limits)

    def clock(self, **given: Any) -> str:
        """`set` (ISO) with `pinned`, `advance` (seconds) or `release`; gives the emulated time."""
        return str(self.call("POST", "clock", given)["now"])

    def reset(self) -> None:
        """Empties tables, log, faults, usage and clock; plants again what an environment starts with."""
        self.call("POST", "reset")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One control request; EmulatorFailed with the emulator's reason where it refuses."""
        answer = self._pool.request(method, f"{self.base_url}/_sandbox/{path}", json=body, timeout=60, retries=False)
        if answer.status >= 400:
            raise EmulatorFailed(f"{method} {path}: {answer.status} {answer.data.decode()}")
        return answer.json()


@dataclass
class RunningEmulator:
    """A started emulator. As a context manager it stops at the end; its directory can be started again."""

    directory: Path
    base_url: str
    tenant_id: str
    client_id: str
    client_secret: str
    ca_path: Path | None
    control: ControlClient
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def authority(self) -> str:
        """What msal takes as authority, with `instance_discovery=False`."""
        return f"{self.base_url}/{self.tenant_id}"

    @property
    def api_url(self) -> str:
        """The base of the Web API, with its closing slash."""
        return f"{self.base_url}/api/data/v9.2/"

    def stop(self) -> None:
        """Lets it finish, compact its journal, and end."""
        self._end(self.process.terminate)

    def kill(self) -> None:
        """Ends it as a crash would."""
        self._end(self.process.kill)

    def _end(self, signal: Any) -> None:
        if self.process.poll() is None:
            signal()
        self.process.wait(timeout=30)
        _close_streams(self.process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_emulator(
    directory: Path, *, port: int = 0, tls: bool = True, options: EmulatorOptions | None = None
) -> RunningEmulator:
    """Starts an emulator over a directory and waits until it answers.

    A directory used before keeps its rows, its certificate authority, its secret and (with `port` 0) its port.
    The process ends with its parent. EmulatorFailed with the tail of its output where it does not come up.
    """
    directory = directory.resolve()
    identity = load_identity(directory)
    chosen = with_default_client(options or EmulatorOptions(), identity)
    (directory / "options.json").write_text(json.dumps(chosen.to_json()))
    if tls:
        make_certificates(directory / "tls")
    process = _spawn(directory, port=port, tls=tls)
    ca_path = directory / "tls" / "ca.pem" if tls else None
    base_url = _announced_url(process, directory)
    control = ControlClient(base_url, ca_path)
    _wait_until_healthy(control, process, directory)
    client = chosen.clients[0]
    return RunningEmulator(
        directory, base_url, chosen.tenant_id, client.client_id, client.secret or "", ca_path, control, process
    )


def _spawn(directory: Path, *, port: int, tls: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sandbox.dataverse", "--dir", str(directory), "--port", str(port)]
    command += ["--options", str(directory / "options.json"), "--exit-with-parent", *([] if tls else ["--http"])]
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    with (directory / "emulator.log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": path},
        )


def _announced_url(process: subprocess.Popen[bytes], directory: Path) -> str:
    line = process.stdout.readline() if process.stdout else b""
    if not line:
        process.wait(timeout=10)
        _close_streams(process)
        raise EmulatorFailed(f"the emulator ended at its start: {_log_tail(directory)}")
    return str(json.loads(line)["base_url"])


def _wait_until_healthy(control: ControlClient, process: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            control.call("GET", "health")
            return
        except (urllib3.exceptions.HTTPError, EmulatorFailed):
            if process.poll() is not None:
                break
            time.sleep(0.05)
    process.kill()
    process.wait(timeout=10)
    _close_streams(process)
    raise EmulatorFailed(f"the emulator does not answer: {_log_tail(directory)}")


def _close_streams(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _log_tail(directory: Path) -> str:
    return (directory / "emulator.log").read_text(errors="replace")[-2000:]

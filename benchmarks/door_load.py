"""The people's door under load: the service in its own process, looks and acts at a steady rate, answers by status and time.

`python -m benchmarks.door_load` loads it at 200 requests a second for 60 s: one in ten leaves, the rest look, and asks
the consent provider; beside it the database scans and rewrites without a pause. `--restart` restarts the database in
the middle: 503 may be answered then, and no act that was answered 2xx may be lost.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import requests
import sqlalchemy as sa

from benchmarks.door_crowd import points_of, seed_crowd
from benchmarks.seeding import make_keys
from connectors.store.address import ServerAddress
from connectors.store.migrate import upgrade
from connectors.store.server import ensure_server, stop_server
from pipelines.transforms.preference_links import LinkKey, Scope, sign_token

ROOT = Path(__file__).parents[1]
PROVIDER = "provider-secret-of-the-load"
THREADS = 32


@dataclass
class Load:
    """What came of it: statuses, seconds an answer took, and the contact points whose act was answered 2xx."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    acted: list[UUID] = field(default_factory=list)
    late_s: float = 0.0
    lasted_s: float = 0.0

    def quantile(self, share: float) -> float:
        """Seconds within which that share of the answers came."""
        return statistics.quantiles(self.seconds, n=1000)[round(share * 1000) - 1]


@dataclass(frozen=True)
class DoorUnderLoad:
    """A running service over a store of its own."""

    url: str
    directory: Path
    address: ServerAddress
    points: Sequence[UUID]
    key: LinkKey
    is_durable: bool

    def token(self, number: int) -> str:
        """The link of one of the people."""
        return sign_token(Scope.WITHDRAW, self.points[number % len(self.points)], self.key)

    def lost(self, acted: Sequence[UUID]) -> int:
        """How many acts that were answered 2xx the ledger does not have."""
        engine = sa.create_engine(self.address.url_psycopg)
        statement = "select distinct contact_point_id from intake.consent_event where value = 'withdraw'"
        with engine.connect() as conn:
            kept = set(conn.execute(sa.text(statement)).scalars())
        engine.dispose()
        return len(set(acted) - kept)


@contextmanager
def door_under_load(directory: Path, people: int, *, is_durable: bool = True) -> Iterator[DoorUnderLoad]:
    """Seed a store with people and serve the door over it from a process of its own."""
    address = ensure_server(directory / "postgres", fast_for_tests=not is_durable)
    upgrade(address)
    seed_crowd(address, people)
    secrets = directory / "doors.json"
    secrets.touch(mode=0o600)
    secrets.write_text(json.dumps({"consent_provider": [PROVIDER]}))
    made = make_keys(directory / "keys").current("link")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "INTAKE_DATA_DIR": str(directory),
        "INTAKE_CONFIG_DIR": str(ROOT / "config"),
        "INTAKE_ENV_FILE": str(directory / "none.env"),
        "INTAKE_DOORS_PATH": str(secrets),
        "INTAKE_PREFERENCES_URL": f"http://127.0.0.1:{port}",
        "INTAKE_FAST_FOR_TESTS": str(not is_durable),
    }
    command = [
        sys.executable,
        "-c",
        "from pipelines.cli import main; main()",
        "preferences",
        "serve",
        "--port",
        str(port),
    ]
    with (directory / "door.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process)
        key, points = LinkKey(made.key_id, made.secret), points_of(address, people)
        yield DoorUnderLoad(url, directory, address, points, key, is_durable)
    finally:
        process.terminate()
        process.wait(20)
        stop_server(directory / "postgres")


# What a run does to the database beside the door: scans of the ledger, and many rows rewritten in one transaction.
_BUSY = (
    "select purpose, topic, value, count(*), max(effective_at) from intake.consent_event group by 1, 2, 3",
    """update intake.person set organisation = organisation
       where person_id in (select person_id from intake.person order by random() limit 1000)""",
)


@contextmanager
def busy_database(address: ServerAddress) -> Iterator[None]:
    """Keep one of the database's connections busy all the while."""
    stop, engine = threading.Event(), sa.create_engine(address.url_psycopg)

    def work() -> None:
        while not stop.is_set():
            try:
                with engine.begin() as conn:
                    for statement in _BUSY:
                        conn.execute(sa.text(statement))
            except sa.exc.OperationalError:
                # It is being restarted.
                time.sleep(0.1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        engine.dispose()


def load_door(door: DoorUnderLoad, *, per_second: int, seconds: int, restart_at_s: float | None = None) -> Load:
    """Ask at a steady rate, whatever the answers; each request begins at its own time, late or not."""
    load, sessions, lock = Load(), threading.local(), threading.Lock()
    began = time.monotonic() + 0.2

    def ask(number: int) -> None:
        due = began + number / per_second
        time.sleep(max(0.0, due - time.monotonic()))
        started = time.monotonic()
        if not hasattr(sessions, "http"):
            sessions.http = requests.Session()
        status = _ask(door, sessions.http, number)
        with lock:
            load.statuses[status] += 1
            load.seconds.append(time.monotonic() - started)
            load.late_s = max(load.late_s, started - due)
            if number % 10 == 0 and 200 <= status < 300:
                load.acted.append(door.points[number % len(door.points)])

    with busy_database(door.address), ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(ask, number) for number in range(per_second * seconds)]
        if restart_at_s is not None:
            time.sleep(max(0.0, began + restart_at_s - time.monotonic()))
            stop_server(door.directory / "postgres")
            ensure_server(door.directory / "postgres", fast_for_tests=not door.is_durable)
        for future in futures:
            future.result()
    load.lasted_s = time.monotonic() - began
    return load


def _ask(door: DoorUnderLoad, http: requests.Session, number: int) -> int:
    """One in ten leaves all, one in ten asks the provider, the rest look."""
    token = door.token(number)
    try:
        if number % 10 == 0:
            return http.post(f"{door.url}/p/{token}/leave", timeout=30).status_code
        if number % 10 == 5:
            body = {"contact_point": f"person{number % len(door.points) + 1}@example.org", "purpose": "marketing"}
            headers = {"Authorization": f"Bearer {PROVIDER}"}
            return http.post(f"{door.url}/consent/check", json=body, headers=headers, timeout=30).status_code
        return http.get(f"{door.url}/p/{token}", timeout=30).status_code
    except requests.RequestException:
        return 0


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{url}/ready", timeout=2).status_code == 200:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise RuntimeError("The service did not come up: see door.log beside its store.")


def main() -> None:
    """Load it and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--per-second", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--restart", action="store_true")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="crm-intake-door-") as folder,
        door_under_load(Path(folder), given.people) as door,
    ):
        restart_at_s = given.seconds / 2 if given.restart else None
        load = load_door(door, per_second=given.per_second, seconds=given.seconds, restart_at_s=restart_at_s)
        print(f"statuses {dict(load.statuses)}, acts kept {len(load.acted)}, lost {door.lost(load.acted)}")
        p50, p99 = load.quantile(0.5), load.quantile(0.99)
        rate = len(load.seconds) / load.lasted_s
        print(f"{rate:.0f}/s: p50 {1000 * p50:.1f} ms, p99 {1000 * p99:.1f} ms, begun at most {load.late_s:.1f} s late")


if __name__ == "__main__":
    main()

"""B8: from the click on a newsletter's link to its absence from the CRM, over real HTTP on both sides.

The service in a process of its own, the Dataverse emulator in another; `preferences sync` follows in this one. Each click
leaves all newsletters; it has arrived when the person's contact is shut in the CRM. The goal: p99 at most 60 s over 200.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests
from pydantic import SecretStr

from benchmarks.bare_limits import Limits
from benchmarks.door_load import DoorUnderLoad, door_under_load
from connectors.store import narrow_calls
from pipelines.operations.following import follow
from pipelines.operations.sessions import Session
from pipelines.operations.sync import sync_crm
from pipelines.operations.workspace import Workspace, dataverse_client, open_workspace
from pipelines.settings import load_settings
from sandbox.crm_seed import journey_rows, purpose_rows
from sandbox.dataverse.options import EmulatorOptions
from sandbox.dataverse.server import RunningEmulator, start_emulator
from schemas.tables import ConsentValue

ROOT = Path(__file__).parents[1]
_BARE = Limits()
AS_SLOW_AS_THE_BARE_CRM = EmulatorOptions(
    latency_ms_per_request=_BARE.latency_ms_per_request,
    latency_ms_per_row=_BARE.latency_ms_per_row,
    max_concurrent=_BARE.max_concurrent,
    dop_hint=_BARE.dop_hint,
)
# Requests that are timed by themselves before the clicks.
_SINGLE = 20


@dataclass(frozen=True)
class Clicks:
    """Seconds from each click to the CRM, those of the click's own answer, and those of single requests to the CRM."""

    to_crm: Sequence[float]
    answers: Sequence[float]
    requests: Sequence[float]

    def told(self) -> str:
        """One line."""
        p50, p99 = (_quantile(self.to_crm, share) for share in (0.5, 0.99))
        answered = _quantile(self.answers, 0.99)
        return f"{len(self.to_crm)} clicks: to the CRM p50 {p50:.2f} s, p99 {p99:.2f} s; answered p99 {answered:.3f} s"


def _quantile(seconds: Sequence[float], share: float) -> float:
    return sorted(seconds)[min(len(seconds) - 1, round(share * len(seconds)))]


def measure_clicks(door: DoorUnderLoad, *, clicks: int, per_second: float = 2.0) -> Clicks:
    """So many of the door's people leave, one after another, and the CRM is looked at until it knows of each."""
    (door.directory / "crm").mkdir()
    with start_emulator(door.directory / "crm", options=AS_SLOW_AS_THE_BARE_CRM) as emulator:
        workspace = _workspace(door, emulator)
        crm = dataverse_client(workspace.settings, workspace.policy)
        sync_crm(Session(workspace), crm)
        single = [_timed(crm.who_am_i) for _ in range(_SINGLE)]
        stop = threading.Event()
        follower = threading.Thread(target=follow, args=(workspace, crm), kwargs={"until": stop.is_set})
        follower.start()
        try:
            return _clicked(door, emulator, clicks, per_second, single)
        finally:
            stop.set()
            with workspace.transaction() as conn:
                narrow_calls.call(conn, [])
            follower.join(120)
            crm.close()
            workspace.engine.dispose()


def _workspace(door: DoorUnderLoad, emulator: RunningEmulator) -> Workspace:
    settings = load_settings(
        data_dir=door.directory,
        config_dir=ROOT / "config",
        fast_for_tests=not door.is_durable,
        blast_radius_rows=1_000_000,
        dataverse_url=emulator.base_url,
        dataverse_authority=emulator.base_url,
        dataverse_tenant=emulator.tenant_id,
        dataverse_client_id=emulator.client_id,
        dataverse_client_secret=SecretStr(emulator.client_secret),
        dataverse_ca_path=emulator.ca_path,
    )
    workspace = open_workspace(settings, address=door.address)
    emulator.control.seed(purpose_rows(workspace.policy))
    emulator.control.seed(journey_rows(workspace.policy))
    with workspace.transaction() as conn:
        conn.exec_driver_sql("update intake.contact_point set version = version + 1")
    return workspace


def _timed(ask: Callable[[], object]) -> float:
    began = time.monotonic()
    ask()
    return time.monotonic() - began


def _clicked(
    door: DoorUnderLoad, emulator: RunningEmulator, clicks: int, per_second: float, single: Sequence[float]
) -> Clicks:
    began: dict[str, float] = {}
    arrived: dict[str, float] = {}
    answers: list[float] = []

    def press() -> None:
        with requests.Session() as http:
            for number in range(clicks):
                address = f"person{number + 1}@example.org"
                began[address] = time.monotonic()
                http.post(f"{door.url}/p/{door.token(number)}/leave", timeout=30).raise_for_status()
                answers.append(time.monotonic() - began[address])
                time.sleep(max(0.0, 1 / per_second - answers[-1]))

    with ThreadPoolExecutor(1) as pool:
        pressing = pool.submit(press)
        deadline = time.monotonic() + clicks / per_second + 300
        while len(arrived) < clicks and time.monotonic() < deadline:
            if pressing.done():
                pressing.result()
            for address in _gone(emulator) & began.keys():
                arrived.setdefault(address, time.monotonic())
            time.sleep(0.05)
    if len(arrived) < clicks:
        raise RuntimeError(f"{clicks - len(arrived)} clicks never came to the CRM.")
    return Clicks([arrived[address] - began[address] for address in began], answers, single)


def _gone(emulator: RunningEmulator) -> set[str]:
    """Whose contact is shut, and of whom no consent row is a yes."""
    shut = {row["emailaddress1"] for row in emulator.control.rows("contacts") if row["donotbulkemail"]}
    consents = emulator.control.rows("msdynmkt_contactpointconsent4s")
    return shut - {
        row["msdynmkt_contactpointvalue"] for row in consents if row["msdynmkt_value"] == ConsentValue.OPTED_IN
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--per-second", type=float, default=2.0)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="crm-intake-clicks-") as folder,
        door_under_load(Path(folder), given.clicks) as door,
    ):
        print(measure_clicks(door, clicks=given.clicks, per_second=given.per_second).told())


if __name__ == "__main__":
    main()

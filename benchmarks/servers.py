"""Starting the bare CRM beside a benchmark, and asking it what it saw."""

import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.bare_limits import Limits
from benchmarks.bare_server import TENANT

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class CrmAccess:
    """How a contestant reaches a CRM: its address, an application user, and the authority's certificate."""

    base_url: str
    tenant: str
    client_id: str
    client_secret: str
    ca_path: str

    @property
    def authority(self) -> str:
        """What msal takes as authority, with `instance_discovery=False`."""
        return f"{self.base_url}/{self.tenant}"

    def as_json(self) -> str:
        """One line for a process's arguments."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class BareServer:
    """A running bare CRM."""

    access: CrmAccess

    def counts(self) -> dict[str, Any]:
        """What it admitted and refused so far, and its own seconds of processor time."""
        counted: dict[str, Any] = self._told("counts")
        return counted

    def rows(self, entity_set: str) -> dict[str, dict[str, Any]]:
        """Rows by key."""
        rows: dict[str, dict[str, Any]] = self._told(f"rows/{entity_set}")["rows"]
        return rows

    def written(self) -> list[tuple[str, str, list[str]]]:
        """Set, key and columns of every row written since it began with rows that it was given."""
        written = self._told("written")["written"]
        return [(set_name, key, columns) for set_name, key, columns in written]

    def _told(self, what: str) -> Any:
        context = ssl.create_default_context(cafile=self.access.ca_path)
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
        url = f"{self.access.base_url}/_bare/{what}"
        with urllib.request.build_opener(*handlers).open(url, timeout=60) as response:
            return json.load(response)


@contextmanager
def run_bare_server(directory: Path, limits: Limits, kept: Path | None = None) -> Iterator[BareServer]:
    """A bare CRM, empty or with `kept` rows, in a process of its own, ended at the end; its certificates stay there."""
    directory.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.bare_server", str(directory), json.dumps(asdict(limits))]
    command += [] if kept is None else [str(kept)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise RuntimeError("The bare CRM did not start.")
        access = CrmAccess(json.loads(line)["base_url"], TENANT, "bare", "bare", str(directory / "tls" / "ca.pem"))
        try:
            yield BareServer(access)
        finally:
            process.terminate()

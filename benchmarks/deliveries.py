"""Delivering to the bare CRM, by us and by a peer: each a process of its own against a server that starts empty."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bare_crm import REFUSED_CONSENT, REFUSED_CONTACT
from benchmarks.bare_limits import Limits
from benchmarks.consenting import NOW, ROWS_A_PERSON, Person, copy_database, seed_store, write_config, write_rows
from benchmarks.inputs import fresh_database
from benchmarks.known import make_known, rename
from benchmarks.limits import Limit, sending
from benchmarks.machine import PEERS, PEERS_PYTHON
from benchmarks.measuring import Run, measure
from benchmarks.servers import ROOT, BareServer, CrmAccess, run_bare_server
from connectors.store.address import ServerAddress
from connectors.store.server import ensure_server, stop_server
from pipelines.operations.workspace import open_workspace
from pipelines.settings import load_settings
from schemas.tables import CONSENT, CONTACT, ConsentValue

_QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a benchmark is asked for: how many people and runs, from which seed, with how many writers of ours (None: as
    the policy ships), with the peers or without, and whom to tell how it goes.
    """

    people: int
    repeat: int
    seed: int
    writers: int | None
    peers: bool
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivery: the process, what the server counted, and how many of the wanted rows it then holds as they should be."""

    run: Run
    counts: dict[str, Any]
    landed: int

    @property
    def seconds(self) -> float:
        """From the first row at hand (ours: planned and in the outbox) to the last answer, as the contestant tells it."""
        return float(self.run.told["seconds"])

    @property
    def rows_per_s(self) -> float:
        """Wanted rows that landed, a second."""
        return self.landed / self.seconds


class Deliveries:
    """Stores and rows of one benchmark, in a directory of its own with a database server."""

    def __init__(self, directory: Path, *, writers: int | None) -> None:
        self._directory = directory
        self._config = directory / "config"
        crm = write_config(ROOT / "config", self._config, writers=writers)
        self.purpose_id = str(crm["purposes"]["marketing"]["purpose_id"])
        self.pace = f"{crm['writers']} writers, {crm['chunk_rows']} rows a call at first"
        self.address: ServerAddress = ensure_server(directory / "postgres")
        pid = (directory / "postgres" / "pgdata" / "postmaster.pid").read_text().splitlines()[0]
        self._postmaster = int(pid)

    def seed(self, name: str, people: Sequence[Person]) -> None:
        """Keep people as a store to be copied for each of our runs, and as files of rows for the peers."""
        seed_store(fresh_database(self.address, name), people)
        write_rows(people, self._directory / "rows" / name, purpose_id=self.purpose_id)

    def make_known(self, name: str, kept: Path, *, changed: Sequence[Person] = ()) -> None:
        """Let a seeded store know that the CRM holds its people as they are (written to `kept` for the bare CRM to begin
        with); some then `changed` their names.
        """
        settings = load_settings(data_dir=self._directory, config_dir=self._config, fixed_now=NOW)
        workspace = open_workspace(settings, address=self.address.with_database(name))
        try:
            make_known(workspace, kept)
            rename(workspace, changed)
        finally:
            workspace.engine.dispose()

    def ours(self, name: str, people: Sequence[Person], limits: Limits) -> Delivered:
        """Our delivery of a seeded store."""
        with run_bare_server(self._directory / "crm", limits) as server:
            run = self.run_ours(name, server.access)
            return Delivered(run, server.counts(), landed(server, people))

    def limit(self, name: str) -> Limit:
        """What a loop over bare sockets sends of a seeded store's rows."""
        return sending(self._directory / "crm", self._directory / "rows" / name)

    def run_ours(self, name: str, access: CrmAccess) -> Run:
        """Our process over a fresh copy of a seeded store, against any CRM."""
        database = copy_database(self.address.with_database(name), "run").database
        module = [sys.executable, "-m", "benchmarks.own_delivery"]
        arguments = [str(self._directory), str(self._config), database, access.as_json()]
        return measure([*module, *arguments], postmaster=self._postmaster, cwd=ROOT)

    def peer(self, name: str, people: Sequence[Person], script: Sequence[str]) -> Delivered:
        """A peer's delivery of the same rows: a script of `peers/` and its arguments after the CRM and the rows."""
        with run_bare_server(self._directory / "crm", Limits()) as server:
            run = self.run_peer(name, server.access, script)
            return Delivered(run, server.counts(), landed(server, people))

    def run_peer(self, name: str, access: CrmAccess, script: Sequence[str]) -> Run:
        """A peer's process against any CRM; `WORK` among its arguments is an empty directory."""
        work = self._directory / "work"
        shutil.rmtree(work, ignore_errors=True)
        rows = str(self._directory / "rows" / name)
        arguments = [str(work) if argument == "WORK" else argument for argument in script[1:]]
        command = [str(PEERS_PYTHON), script[0], access.as_json(), rows, *arguments]
        return measure(command, postmaster=self._postmaster, env=_QUIET, cwd=PEERS)


@contextmanager
def open_deliveries(directory: Path, *, writers: int | None) -> Iterator[Deliveries]:
    """A database server for the benchmark, stopped at the end. Without `writers` ours has as many as the policy ships."""
    try:
        yield Deliveries(directory, writers=writers)
    finally:
        stop_server(directory / "postgres")


def wanted(people: Sequence[Person]) -> int:
    """Rows that can land: a contact and a consent row of each, but for the rows that the CRM refuses.

    A consent row of somebody whose contact is refused is not wanted: it would speak for nobody.
    """
    return sum(_wanted_of(address) for *_, address in people)


def _wanted_of(address: str) -> int:
    if address.startswith(REFUSED_CONTACT):
        return 0
    return ROWS_A_PERSON - address.startswith(REFUSED_CONSENT)


def landed(server: BareServer, people: Sequence[Person]) -> int:
    """How many wanted rows the bare CRM holds as they should be in the end."""
    contacts = {row.get("emailaddress1"): row for row in server.rows(CONTACT.entity_set).values()}
    consents = {row.get("msdynmkt_contactpointvalue"): row for row in server.rows(CONSENT.entity_set).values()}
    count = 0
    for _, _, given, family, address in people:
        shown = contacts.get(address, {})
        # A contact stays shut where its consent row was refused.
        is_open = not address.startswith(REFUSED_CONSENT)
        named = (shown.get("firstname"), shown.get("lastname")) == (given, family)
        count += named and (shown.get("donotbulkemail") is False or not is_open)
        value = consents.get(address, {}).get("msdynmkt_value")
        count += value == int(ConsentValue.OPTED_IN) and not address.startswith(REFUSED_CONTACT)
    return count


def described(delivered: Delivered) -> dict[str, Any]:
    """A delivery as plain data, without the keys of dead letters."""
    told = {name: value for name, value in delivered.run.told.items() if name != "dead_letters"}
    run = {name: getattr(delivered.run, name) for name in ("seconds", "process_cpu_s", "server_cpu_s", "process_mb")}
    data = {"rows_per_s": round(delivered.rows_per_s), "landed": delivered.landed, "told": told, "process": run}
    return json.loads(json.dumps({**data, "counts": delivered.counts}))

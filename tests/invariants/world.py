"""The world of a test: a store, a CRM behind TLS, a drop folder, a clock that stands; files go in, runs bring them on.

The pipeline is driven by `pipelines.operations` as the runs drive it: land, stage, merge, synchronise. What the CRM
then holds is read from the emulator itself and never through our client.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import yaml
from pydantic import SecretStr

from connectors.dataverse import DataverseClient
from connectors.store import batches, preference_tables, question_tables
from connectors.store.address import ServerAddress
from connectors.store.metadata import METADATA
from pipelines.operations.intake import Gated, merge_staged, stage_source
from pipelines.operations.landing import LandReport, land_feed
from pipelines.operations.sessions import Session
from pipelines.operations.sync import SyncReport, sync_crm
from pipelines.operations.workspace import dataverse_client, open_workspace, with_policy
from pipelines.settings import Settings, load_settings
from sandbox.crm_seed import purpose_rows
from sandbox.dataverse.server import RunningEmulator
from schemas.mappings import Mapping
from schemas.policy import Policy
from schemas.records import Window
from tests.feeds import with_notice
from tests.invariants.acts import NOW, RECEIVED, Act
from tests.invariants.feeds import COLUMNS, MAPPINGS
from tests.invariants.model import TOPICS, Crm

CONFIG = Path(__file__).parents[2] / "config"
FIRST_ON = date(2026, 1, 1)
OPTED_IN, OPTED_OUT = 534120001, 534120002
CONSENTS = "msdynmkt_contactpointconsent4s"
REGISTRATIONS = "msevtmgt_eventregistrations"
_COUNTERS_ANEW = """
select setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) from pg_sequences
where last_value is not null"""
SETS = ("contacts", CONSENTS, "msevtmgt_events", REGISTRATIONS)


@dataclass
class Ran:
    """What one run did: what was landed by feed, the gate's words, the synchronisation, where its requests began."""

    landed: dict[str, LandReport]
    gated: list[Gated]
    sync: SyncReport
    since: int

    def stops(self) -> Counter[str]:
        """Codes of what was stopped at the door or at the gate."""
        refused = [refusal.code for report in self.landed.values() for refusal in report.refused]
        return Counter([*refused, *(gated.stop[0] for gated in self.gated if gated.stop)])


@dataclass(repr=False)
class World:
    """One small organisation. `now` stands still until a test moves it."""

    directory: Path
    emulator: RunningEmulator
    address: ServerAddress
    now: datetime = NOW
    syncs: list[int] = field(default_factory=list)
    runs: list[UUID] = field(default_factory=list)
    _names: int = 0

    def __post_init__(self) -> None:
        write_config(self.directory / "config")
        self.settings = make_settings(self.directory, self.emulator)
        self.owner = sa.create_engine(self.address.url_psycopg)
        self.workspace = open_workspace(self.settings, address=self.address)
        self.plain = self.workspace
        self.crm: DataverseClient = dataverse_client(self.settings, self.workspace.policy)

    def close(self) -> None:
        """Let go of the store and of the CRM."""
        self.crm.close()
        self.workspace.engine.dispose()
        self.owner.dispose()

    @property
    def drop(self) -> Path:
        """The folder in which files are dropped."""
        return self.settings.dropped_files_dir()

    def reset(self) -> "World":
        """As if nothing had ever happened."""
        empty_store(self.owner)
        self.plain.journal.path.unlink(missing_ok=True)
        self.plain.journal.note_run(None)
        for path in self.drop.iterdir():
            path.unlink()
        self.emulator.control.reset()
        self.emulator.control.seed(purpose_rows(self.plain.policy))
        self.workspace, self.now = self.plain, NOW
        self.syncs, self.runs = [], []
        return self

    def at(self, now: datetime) -> "World":
        """Move the clock."""
        self.now = now
        settings = self.settings.model_copy(update={"fixed_now": now})
        self.workspace = replace(self.workspace, settings=settings)
        return self

    def with_policy(self, policy: Policy) -> "World":
        """Under another policy from now on, until the reset."""
        self.workspace = with_policy(self.workspace, policy)
        return self

    def with_mapping(self, feed: str, **changes: Any) -> "World":
        """With one mapping changed from now on, until the reset."""
        mapping = Mapping.model_validate({**MAPPINGS[feed], **changes})
        self.workspace = replace(self.workspace, mappings={**self.workspace.mappings, feed: mapping})
        return self

    def with_feeds(self, *feeds: str) -> "World":
        """With these feeds only, until the reset."""
        kept = {feed: self.workspace.mappings[feed] for feed in feeds}
        self.workspace = replace(self.workspace, mappings=kept)
        return self

    def receive(self, feed: str, rows: Sequence[dict[str, str]], *, at: datetime = RECEIVED) -> Path:
        """Drop a CSV of these rows that was last modified at that time."""
        columns = list(COLUMNS[feed]) + sorted({name for row in rows for name in row} - set(COLUMNS[feed]))
        return self.receive_bytes(feed, csv_bytes(columns, rows), at=at)

    def receive_bytes(self, feed: str, payload: bytes, *, at: datetime = RECEIVED) -> Path:
        """Drop a file of a feed, whatever is in it."""
        self._names += 1
        path = self.drop / f"{feed}_{self._names:06d}.csv"
        path.write_bytes(payload)
        os.utime(path, (at.timestamp(), at.timestamp()))
        return path

    def perform(self, acts: Iterable[Act], *, at: datetime = RECEIVED) -> None:
        """Drop one file a feed with the rows of these acts, in the order given."""
        by_feed: dict[str, list[dict[str, str]]] = {}
        for act in acts:
            by_feed.setdefault(act.feed, []).append(act.row)
        for feed, rows in by_feed.items():
            self.receive(feed, rows, at=at)

    def session(self) -> Session:
        """A run's session, its record opened."""
        session = Session(self.workspace)
        with session.transaction() as conn:
            batches.start_run(conn, session.run_id, "run", at=session.now)
        return session

    def run(self) -> Ran:
        """Land every feed, stage and merge every source, synchronise the CRM."""
        session = self.session()
        since = self.emulator.control.last_sequence()
        self.syncs.append(since)
        self.runs.append(session.run_id)
        landed, gated, report = whole_run(session, self.crm)
        return Ran(landed, gated, report, since)

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The emulator's log of requests to the Web API."""
        return self.emulator.control.requests(since)

    def writes(self, since: int = 0) -> list[dict[str, Any]]:
        """The requests that were not reads."""
        return [entry for entry in self.requests(since) if entry["method"] != "GET" and not _only_reads(entry)]

    def rows(self, set_name: str) -> list[dict[str, Any]]:
        """A table of the CRM as the emulator keeps it."""
        return self.emulator.control.rows(set_name)

    def holds(self) -> Crm:
        """What the CRM holds, in the model's words; an address with two rows for one thing is an AssertionError."""
        return read_crm({name: self.rows(name) for name in (*SETS,)}, self.workspace.policy)

    def query(self, statement: str, **values: Any) -> Sequence[Any]:
        """Rows of the store, read as its owner."""
        with self.owner.connect() as conn:
            return conn.execute(sa.text(statement), values).all()

    def counts(self) -> dict[str, int]:
        """How many rows each table of every schema of ours has."""
        with self.owner.connect() as conn:
            return {name: conn.execute(sa.text(f"select count(*) from {name}")).scalar_one() for name in tables(conn)}


def lose_locks(world: World) -> None:
    """What the server does to sessions whose machine slept: it ends them, and their locks are free."""
    with world.owner.begin() as conn:
        conn.execute(
            sa.text(
                "select pg_terminate_backend(l.pid) from pg_locks l join pg_database d on d.oid = l.database"
                " where l.locktype = 'advisory' and d.datname = current_database()"
            )
        )


def whole_run(
    session: Session, crm: DataverseClient, window: Window | None = None
) -> tuple[dict[str, LandReport], list[Gated], SyncReport]:
    """One run as the schedules make it: the sources, then the CRM."""
    landed, gated = take_in(session, window)
    return landed, gated, sync_crm(session, crm)


def take_in(session: Session, window: Window | None = None) -> tuple[dict[str, LandReport], list[Gated]]:
    """Land every feed, then stage and merge every source."""
    window = window or Window(FIRST_ON, session.now.date())
    mappings = session.workspace.mappings
    landed = {feed: land_feed(session, mapping, window) for feed, mapping in mappings.items()}
    gated: list[Gated] = []
    for source in sorted({str(mapping.source) for mapping in mappings.values()}):
        gated += stage_source(session, source)
        merge_staged(session, source)
    return landed, gated


def make_settings(directory: Path, emulator: RunningEmulator) -> Settings:
    """Settings for a store, keys, configuration and drop folder under `directory`, and for that CRM."""
    return load_settings(
        data_dir=directory,
        config_dir=directory / "config",
        fixed_now=NOW,
        fast_for_tests=True,
        settle_s=0.0,
        blast_radius_rows=100_000,
        dataverse_url=emulator.base_url,
        dataverse_authority=emulator.base_url,
        dataverse_tenant=emulator.tenant_id,
        dataverse_client_id=emulator.client_id,
        dataverse_client_secret=SecretStr(emulator.client_secret),
        dataverse_ca_path=emulator.ca_path,
    )


def write_config(directory: Path) -> None:
    """The first organisation's policy with the tests' own feeds."""
    (directory / "sources").mkdir(parents=True, exist_ok=True)
    written = with_notice(yaml.safe_load((CONFIG / "intake.yaml").read_text("utf-8")))
    (directory / "intake.yaml").write_text(yaml.safe_dump(written, allow_unicode=True, sort_keys=False), "utf-8")
    for feed, mapping in MAPPINGS.items():
        (directory / "sources" / f"{feed}.yaml").write_text(yaml.safe_dump(mapping, allow_unicode=True), "utf-8")


def csv_bytes(columns: Sequence[str], rows: Iterable[dict[str, str]]) -> bytes:
    """Rows as a CSV file in UTF-8."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, delimiter=";", lineterminator="\r\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def tables(conn: sa.Connection) -> list[str]:
    """Qualified names of all tables of ours."""
    found = conn.execute(
        sa.text(
            "select schemaname || '.' || tablename from pg_tables"
            " where schemaname !~ '^(pg_|information_schema)' order by 1"
        )
    )
    return list(found.scalars())


def empty_store(owner: sa.Engine) -> None:
    """Take every row out of every table, let the counters begin anew, and every staging table away.

    Rows are deleted, and only where there are any: to truncate is a new file for each table and index, a fifth of a second.
    """
    assert preference_tables.NARROW_CALL.metadata is question_tables.QUESTION_MAP.metadata is METADATA
    names = [table.fullname for table in METADATA.sorted_tables]
    full = " union all ".join(f"select '{name}' where exists (select from {name})" for name in names)
    with owner.begin() as conn:
        # Neither foreign keys nor the guards of what is only ever added to.
        conn.execute(sa.text("set local session_replication_role = replica"))
        for name in conn.execute(sa.text(full)).scalars().all():
            conn.execute(sa.text(f"delete from {name}"))
        conn.execute(sa.text(_COUNTERS_ANEW))
        for name in tables(conn):
            if name.startswith("staging."):
                conn.execute(sa.text(f"drop table {name}"))


def _only_reads(entry: dict[str, Any]) -> bool:
    return bool(entry.get("operations")) and all(part["method"] == "GET" for part in entry["operations"])


def read_crm(rows: dict[str, list[dict[str, Any]]], policy: Policy) -> Crm:
    """Rows of the CRM in the model's words."""
    crm = Crm()
    owners: dict[str, tuple[str, str]] = {}
    for row in rows["contacts"]:
        person = (str(row["emailaddress1"]).lower(), str(row.get("firstname", "")).lower())
        assert person not in crm.contacts, "one person has two contacts"
        owners[row["contactid"]] = person
        shown = ("firstname", "lastname", "mobilephone", "donotbulkemail", "followemail")
        crm.contacts[person] = {name: row[name] for name in shown if name in row}
    for row in rows[CONSENTS]:
        key = (str(row["msdynmkt_contactpointvalue"]).lower(), *_purpose_of(row, policy))
        assert key not in crm.consents, "one purpose of one address has two rows"
        assert row["msdynmkt_value"] in (OPTED_IN, OPTED_OUT), "a consent row is explicit"
        crm.consents[key] = row["msdynmkt_value"] == OPTED_IN
    names = {row["msevtmgt_eventid"]: row["msevtmgt_name"] for row in rows["msevtmgt_events"]}
    for number, row in enumerate(rows[REGISTRATIONS]):
        status = row["msevtmgt_registrationstatus"]
        assert row["msevtmgt_iscanceled"] is (status == "cancelled")
        person = owners[row["_msevtmgt_contactid_value"]]
        crm.registrations[str(number)] = (person, names[row["_msevtmgt_eventid_value"]], status)
    return crm


def _purpose_of(row: dict[str, Any], policy: Policy) -> tuple[str, str]:
    targets = policy.crm.purposes
    purpose = next(name for name, t in targets.items() if str(t.purpose_id) == row["_msdynmkt_purposeid_value"])
    topic_id = row.get("_msdynmkt_topicid_value")
    topics = {str(found): name for name, found in targets[purpose].topics.items()}
    assert set(topics.values()) <= set(TOPICS)
    return purpose, topics[topic_id] if topic_id else ""


MISNOTED = """
select count(*) from intake.contact_point c full join intake.dirty_address d using (contact_point_id)
where (d.contact_point_id is not null) is distinct from coalesce(c.version > c.acked_version, false)
"""


def assert_holds(world: World, wanted: Crm) -> None:
    """The CRM holds exactly what the model says, and the store knows exactly whom it is behind of.

    The AssertionError lists what differs, held before wanted.
    """
    held = world.holds()
    ((misnoted,),) = world.query(MISNOTED)
    found = [f"{misnoted} addresses are noted as dirty and are not, or the other way round"] if misnoted else []
    found += [*_differing(held.consents, wanted.consents), *_differing(held.contacts, wanted.contacts)]
    registered = [(person, f"Course {occasion}", status) for person, occasion, status in wanted.registrations.values()]
    if sorted(held.registrations.values()) != sorted(registered):
        found.append(f"registrations: {sorted(held.registrations.values())} instead of {sorted(registered)}")
    if found:
        raise AssertionError("the CRM differs from the model:\n" + "\n".join(found))


def _differing(held: AnyMapping[Any, Any], wanted: AnyMapping[Any, Any]) -> list[str]:
    keys = sorted({key for key in (*held, *wanted) if held.get(key) != wanted.get(key)})
    return [f"{key}: {held.get(key)} instead of {wanted.get(key)}" for key in keys]


@contextmanager
def opened(directory: Path, emulator: RunningEmulator, address: ServerAddress) -> Iterator[World]:
    """A world that is closed again."""
    world = World(directory, emulator, address)
    try:
        yield world
    finally:
        world.close()

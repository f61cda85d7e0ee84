"""A course feed with columns of finance's, landed in a store of its own; finance beside it under its own role."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from connectors.store.address import ServerAddress
from pipelines.operations.finance.office import FinanceOffice, open_office
from pipelines.operations.finance.taking import Taken, take_landed
from pipelines.operations.intake import merge_staged, stage_source
from pipelines.operations.landing import land_feed
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace, open_workspace
from pipelines.settings import load_settings
from schemas.records import Window
from tests.invariants.world import csv_bytes

CONFIG = Path(__file__).parents[2] / "config"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
IBAN, OTHER_IBAN = "FI2112345600000785", "FI4250001510000023"
OVT = "003790000003LASKU"
FEED: dict[str, Any] = {
    "source": "webropol",
    "feed": "courses",
    "title": "Courses",
    "kind": "course_registration",
    "owner": "Courses",
    "file": {"type": "csv", "pattern": "courses_*.csv"},
    "key": ["Id"],
    "submitted_at": {"column": "Time", "formats": ["iso"]},
    "fields": {"email": {"column": "Email"}, "given_name": {"column": "First"}, "family_name": {"column": "Last"}},
    "occasion": {
        "id": {"constant": "c1"},
        "name": {"constant": "Course 1"},
        "starts_at": {"constant": "2026-12-01T09:00:00+02:00"},
        "ends_at": {"constant": "2026-12-02T09:00:00+02:00"},
    },
    "finance": {
        "kind": "fee",
        "amount": "Price",
        "payer": {"name": "Last", "iban": "Account"},
        "invoice_recipient": {"name": "Company", "einvoice_address": "Invoice to", "vat_id": "VAT"},
    },
}
COLUMNS = ("Id", "Time", "Email", "First", "Last", "Price", "Account", "Company", "Invoice to", "VAT")


def make_row(number: int, **changes: str) -> dict[str, str]:
    """A registration paid by the registrant."""
    plain = {
        "Id": f"r{number}",
        "Time": "2026-03-02T12:00:00",
        "Email": f"person{number}@example.org",
        "First": "Aino",
        "Last": "Esimerkki",
        "Price": "120,00",
        "Account": IBAN,
    }
    return {**plain, **changes}


@dataclass
class Bursar:
    """The intake and finance of one small organisation."""

    workspace: Workspace
    office: FinanceOffice
    owner: sa.Engine
    _files: int = 0

    def take(self, *rows: dict[str, str]) -> Taken:
        """Drop a file of these rows, take it in, and let finance take its own of it."""
        self.land(rows)
        session = Session(self.workspace)
        stage_source(session, "webropol")
        merge_staged(session, "webropol")
        [taken] = take_landed(session, self.office)
        return taken

    def land(self, rows: Sequence[dict[str, str]]) -> None:
        self._files += 1
        path = self.workspace.settings.dropped_files_dir() / f"courses_{self._files}.csv"
        path.write_bytes(csv_bytes(COLUMNS, rows))
        os.utime(path, (NOW.timestamp() + self._files, NOW.timestamp() + self._files))
        land_feed(Session(self.workspace), self.workspace.mappings["courses"], Window(date(2026, 1, 1), NOW.date()))

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Read as the owner of the tables."""
        with self.owner.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(statement), values)]

    def entry(self, record: str) -> str:
        [(entry_id,)] = self.rows("select entry_id from finance.entry where record_id = :r", r=f"courses:{record}")
        return str(entry_id)


@pytest.fixture(scope="module")
def bursar(store: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bursar]:
    directory = tmp_path_factory.mktemp("bursar")
    (directory / "config" / "sources").mkdir(parents=True)
    shutil.copy(CONFIG / "intake.yaml", directory / "config")
    shutil.copytree(CONFIG / "finance", directory / "config" / "finance")
    (directory / "config" / "sources" / "courses.yaml").write_text(yaml.safe_dump(FEED))
    settings = load_settings(data_dir=directory, config_dir=directory / "config", fixed_now=NOW, settle_s=0.0)
    workspace = open_workspace(settings, address=store)
    owner = sa.create_engine(store.url_psycopg)
    with open_office(settings, address=store) as office:
        yield Bursar(workspace, office, owner)
    workspace.engine.dispose()
    owner.dispose()

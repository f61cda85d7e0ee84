"""The office: finance's own connection to the store, under its own role, with the policy and its own feeds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from connectors.finance.merging import FINANCE_ROLE
from connectors.mappings import load_finance_feeds, load_policy
from connectors.store.address import ServerAddress
from connectors.store.engine import create_store_engine
from connectors.store.migrate import upgrade
from pipelines.operations.workspace import server_address
from pipelines.settings import Settings
from schemas.mappings import Mapping
from schemas.policy import Policy


@dataclass(frozen=True)
class FinanceOffice:
    """One opened connection of finance's; it can read and write the schema `finance` and nothing of the intake."""

    settings: Settings
    address: ServerAddress
    engine: Engine
    policy: Policy
    feeds: dict[str, Mapping]

    def now(self) -> datetime:
        """The time, UTC."""
        return self.settings.now()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction of finance's role."""
        with self.engine.begin() as conn:
            yield conn


@contextmanager
def open_office(settings: Settings, *, address: ServerAddress | None = None) -> Iterator[FinanceOffice]:
    """The office, its connections closed at the end. Needs a login that may act as `intake_finance`, and no more."""
    address = address or server_address(settings)
    upgrade(address)
    engine = create_store_engine(address, role=FINANCE_ROLE, pool_size=2)
    try:
        policy, feeds = load_policy(settings.config_dir), load_finance_feeds(settings.config_dir)
        yield FinanceOffice(settings, address, engine, policy, feeds)
    finally:
        engine.dispose()

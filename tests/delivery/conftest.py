"""A workspace on a store of the test module's own, a CRM in memory, and an intent for it."""

from collections.abc import Iterator

import pytest

from connectors.store.address import ServerAddress
from pipelines.operations.workspace import Workspace, open_workspace
from pipelines.settings import load_settings
from schemas.intents import Intent, Method, Phase
from tests.delivery.memory_crm import MemoryCrm, chunked
from tests.feeds import CONFIG
from tests.merging import close_engines
from tests.outboxing import NOW, execute, make_address, make_intent


@pytest.fixture(scope="module")
def workspace(store: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("delivery"), config_dir=CONFIG, fixed_now=NOW)
    opened = open_workspace(settings, address=store)
    # One writer, so that what goes together is told beforehand.
    yield chunked(opened, 100)
    opened.engine.dispose()
    close_engines()


@pytest.fixture
def crm() -> MemoryCrm:
    return MemoryCrm()


@pytest.fixture
def intent(store: ServerAddress) -> Intent:
    """A new contact."""
    execute(store, "update intake.outbox_intent set state = 'superseded' where state in ('pending', 'claimed')")
    return make_intent(make_address(store), phase=Phase.CONTACTS, method=Method.UPSERT)

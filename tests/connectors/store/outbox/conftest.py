"""An intent of an address of its own, and the engines closed when a module's tests are done."""

import pytest

from connectors.store.address import ServerAddress
from schemas.intents import Intent
from tests.outboxing import make_address, make_intent


@pytest.fixture(scope="module", autouse=True)
def closed(engines: None) -> None:
    """For every module here."""


@pytest.fixture
def intent(store: ServerAddress) -> Intent:
    """A correction of a contact, of an address of its own."""
    return make_intent(make_address(store))

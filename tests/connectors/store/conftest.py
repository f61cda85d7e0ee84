"""Fixtures of the store's tests: an archive to put rows into, of which nothing is left afterwards."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from connectors.store.address import ServerAddress
from tests.archiving import Archive
from tests.merging import acting, close_engines


@pytest.fixture(scope="module")
def owner(store: ServerAddress) -> Iterator[Connection]:
    with acting(store, role=None) as conn:
        yield conn
    close_engines()


@pytest.fixture
def archive(owner: Connection) -> Iterator[Archive]:
    with owner.begin_nested() as savepoint:
        yield Archive(owner)
        savepoint.rollback()

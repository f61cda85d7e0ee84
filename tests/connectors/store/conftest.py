"""Fixtures of the store's tests.

`engines`  for modules that use `tests.merging.acting`: what it has opened is closed when the module is done
`email`    an address of a test's own
`archive`  tables to put rows into, of which nothing is left afterwards
"""

import itertools
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from connectors.store.address import ServerAddress
from tests.archiving import Archive
from tests.merging import acting, close_engines

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def engines(store: ServerAddress) -> Iterator[None]:
    yield
    close_engines()


@pytest.fixture
def email() -> str:
    return f"person{next(NUMBERS)}@example.org"


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

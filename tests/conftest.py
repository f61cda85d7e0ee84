"""Fixtures that more than one folder of tests needs: a real PostgreSQL, and a fresh migrated database on it.

`store_address`  the embedded server of this worker, its database `intake` migrated; shared, so leave it as it is
`store`          a fresh migrated database on it for each test module
`each_store`     the same, once on the embedded server and once on 127.0.0.1:5432 where one answers there
"""

import functools
import os
from collections.abc import Callable, Iterator

import psycopg
import pytest

from connectors.store.address import ServerAddress
from connectors.store.migrate import upgrade
from connectors.store.server import ensure_server, external_server
from tests.throwaway import drop_database, fresh_database, server_directory

EXTERNAL_URL = "postgresql://postgres@127.0.0.1:5432/postgres"


@functools.cache
def server_names() -> list[str]:
    """The servers that tests can be run against here, found once at collection."""
    try:
        psycopg.connect(EXTERNAL_URL, connect_timeout=2).close()
    except psycopg.OperationalError:
        return ["embedded"]
    return ["embedded", "external"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "each_store" in metafunc.fixturenames:
        metafunc.parametrize("each_store", server_names(), indirect=True, scope="module")


@pytest.fixture(scope="session")
def store_address() -> Iterator[ServerAddress]:
    with server_directory() as directory:
        address = ensure_server(directory, fast_for_tests=True)
        upgrade(address)
        yield address


@pytest.fixture(scope="module")
def store(store_address: ServerAddress) -> Iterator[ServerAddress]:
    with fresh_database(store_address, template=store_address.database) as address:
        yield address


@pytest.fixture(scope="session")
def external_template() -> Iterator[Callable[[], ServerAddress]]:
    """Makes the migrated template on the server at 127.0.0.1 when first asked, and drops it at the end."""
    made: list[ServerAddress] = []

    def template() -> ServerAddress:
        if not made:
            name = f"crm_intake_test_{os.getpid()}"
            made.append(external_server(EXTERNAL_URL, dagster_database=name).dagster)
            upgrade(made[0])
        return made[0]

    yield template
    for address in made:
        drop_database(address)


@pytest.fixture(scope="module")
def each_store(request: pytest.FixtureRequest) -> Iterator[ServerAddress]:
    if request.param == "embedded":
        yield request.getfixturevalue("store")
        return
    template = request.getfixturevalue("external_template")()
    with fresh_database(template, template=template.database) as address:
        yield address

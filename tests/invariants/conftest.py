"""Fixtures of the invariants: one emulator and one world a session, emptied before each test.

Hypothesis runs derandomised; with INVARIANTS_SEED set it is random from that seed, which the header prints.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.store.address import ServerAddress
from sandbox.dataverse.server import RunningEmulator, start_emulator
from tests.invariants.world import World, opened
from tests.throwaway import fresh_database


def pytest_report_header() -> str:
    return f"invariants: seed {os.environ.get('INVARIANTS_SEED', 'derandomised')}"


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    with start_emulator(tmp_path_factory.mktemp("dataverse")) as running:
        yield running


@pytest.fixture(scope="session")
def one_world(
    store_address: ServerAddress, emulator: RunningEmulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    directory: Path = tmp_path_factory.mktemp("world")
    with (
        fresh_database(store_address, template=store_address.database) as address,
        opened(directory, emulator, address) as w,
    ):
        yield w


@pytest.fixture
def world(one_world: World) -> World:
    """The one world, as if nothing had ever happened."""
    return one_world.reset()

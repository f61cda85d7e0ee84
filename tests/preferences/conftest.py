"""Fixtures of the door: one emulator, one world and one running service for all its tests."""

from collections.abc import Iterator

import pytest

from connectors.store.address import ServerAddress
from sandbox.dataverse.server import RunningEmulator, start_emulator
from tests.invariants.world import opened
from tests.preferences.people import House, opened_house
from tests.throwaway import fresh_database


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    with start_emulator(tmp_path_factory.mktemp("dataverse")) as running:
        yield running


@pytest.fixture(scope="session")
def one_house(
    store_address: ServerAddress, emulator: RunningEmulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    with (
        fresh_database(store_address, template=store_address.database) as address,
        opened(directory, emulator, address) as world,
        opened_house(world, address) as house,
    ):
        yield house


@pytest.fixture
def house(one_house: House) -> House:
    """The one house, as if nothing had ever happened."""
    return one_house.reset()

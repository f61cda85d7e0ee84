"""One emulator per test session, emptied before each test that asks for it, and a small client that knows no rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import requests

from sandbox.dataverse.options import ClientOptions, EmulatorOptions
from sandbox.dataverse.server import ControlClient, RunningEmulator, start_emulator

SECOND_CLIENT = ClientOptions("5a4d0000-0000-4000-8000-0000000000c2", "second-secret")
STRANGER = ClientOptions("5a4d0000-0000-4000-8000-0000000000c3", "third-secret", is_member=False)
FIRST_CLIENT = ClientOptions("5a4d0000-0000-4000-8000-0000000000c1", "first-secret")


@dataclass
class Api:
    """Sends requests to the Web API as the first application user and gives the raw responses."""

    emulator: RunningEmulator
    session: requests.Session

    @property
    def control(self) -> ControlClient:
        return self.emulator.control

    @property
    def base(self) -> str:
        return self.emulator.api_url

    def send(self, method: str, path: str, json: Any = None, **headers: str) -> requests.Response:
        url = path if path.startswith("http") else self.base + path
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.request(method, url, json=json, headers=named, timeout=30)

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.send("GET", path, **headers)

    def bulk(self, message: str, set_name: str, rows: list[dict[str, Any]], kind: str = "contact") -> requests.Response:
        targets = [{"@odata.type": f"Microsoft.Dynamics.CRM.{kind}", **row} for row in rows]
        return self.send("POST", f"{set_name}/Microsoft.Dynamics.CRM.{message}", {"Targets": targets})

    def contact(self, **columns: Any) -> str:
        """A contact made through the API; gives its id."""
        row_id = str(uuid4())
        response = self.send("PATCH", f"contacts({row_id})", {"firstname": "Aino", "lastname": "Example", **columns})
        assert response.status_code == 204, response.text
        return row_id

    def row(self, set_name: str, row_id: str) -> dict[str, Any]:
        return next(row for row in self.control.rows(set_name) if row_id in row.values())


def fetch_token(emulator: RunningEmulator, client: ClientOptions) -> str:
    """A token for a client by its secret, by plain HTTP."""
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.secret}
    form["scope"] = f"{emulator.base_url}/.default"
    session = plain_session(emulator)
    response = session.post(f"{emulator.authority}/oauth2/v2.0/token", data=form, timeout=30)
    return str(response.json()["access_token"])


def plain_session(emulator: RunningEmulator) -> requests.Session:
    """A session that trusts the emulator, whatever the environment says."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(emulator.ca_path) if emulator.ca_path else True
    return session


def connect(emulator: RunningEmulator, client: ClientOptions) -> Api:
    session = plain_session(emulator)
    session.headers["Authorization"] = f"Bearer {fetch_token(emulator, client)}"
    return Api(emulator, session)


@pytest.fixture(scope="session")
def dataverse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    options = EmulatorOptions(clients=(FIRST_CLIENT, SECOND_CLIENT, STRANGER))
    with start_emulator(tmp_path_factory.mktemp("dataverse"), options=options) as running:
        yield running


@pytest.fixture(scope="session")
def connected(dataverse: RunningEmulator) -> Api:
    return connect(dataverse, FIRST_CLIENT)


@pytest.fixture
def api(connected: Api) -> Api:
    """The API over an environment as it is at its start."""
    connected.control.reset()
    return connected


@pytest.fixture(scope="session")
def connect_to() -> Callable[..., Api]:
    """Connects to another emulator, by default as its default client."""

    def connect_as(emulator: RunningEmulator, client: ClientOptions | None = None) -> Api:
        return connect(emulator, client or ClientOptions(emulator.client_id, emulator.client_secret))

    return connect_as


@pytest.fixture(scope="session")
def session_to() -> Callable[[RunningEmulator], requests.Session]:
    """A session without a token that trusts an emulator."""
    return plain_session


@pytest.fixture(scope="session")
def finnish_api(tmp_path_factory: pytest.TempPathFactory, connect_to: Callable[..., Api]) -> Iterator[Api]:
    """An environment with Finnish as its base language (accents count), over plain http; shared, never emptied."""
    options = EmulatorOptions(collation="CI_AS", language_code=1035)
    with start_emulator(tmp_path_factory.mktemp("finnish"), options=options, tls=False) as running:
        yield connect_to(running)


@pytest.fixture
def second_api(api: Api) -> Api:
    """The same environment as another application user."""
    return connect(api.emulator, SECOND_CLIENT)


@pytest.fixture
def strange_api(api: Api) -> Api:
    """An application without an application user."""
    return connect(api.emulator, STRANGER)

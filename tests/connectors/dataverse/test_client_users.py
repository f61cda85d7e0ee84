"""Application users from a file, and a managed identity from the endpoint of a machine, over real sockets."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.dataverse import (
    ApplicationUser,
    ClientCertificate,
    ClientSecret,
    DataverseSettings,
    ManagedIdentity,
    TokenSource,
    load_users,
)
from schemas.errors import ConfigurationError, CrmMisconfigured, CrmUnavailable

CRM = "https://org.crm4.dynamics.com"


def written(folder: Path, content: object) -> Path:
    path = folder / "users.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_each_way_to_prove_a_client_is_read_and_paths_are_of_the_files_folder(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        [
            {"client_id": "a", "client_secret": "hidden"},
            {"client_id": "b", "private_key_path": "key.pem", "certificate_path": "c.pem", "passphrase": "hidden"},
            {"client_id": "c", "private_key_path": "/etc/both.pem"},
            {"client_id": "d", "managed_identity": True},
        ],
    )
    users = load_users(path)
    assert users == (
        ApplicationUser("a", ClientSecret("hidden")),
        ApplicationUser("b", ClientCertificate(tmp_path / "key.pem", tmp_path / "c.pem", "hidden")),
        ApplicationUser("c", ClientCertificate(Path("/etc/both.pem"))),
        ApplicationUser("d", ManagedIdentity("d")),
    )
    assert "hidden" not in repr(users)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("[", "file"),
        ({"client_id": "a"}, "file"),
        ([{"client_id": "a"}], "0"),
        ([{"client_secret": "hidden"}], "0.client_id"),
        ([{"client_id": "a", "client_secret": "hidden", "managed_identity": True}], "0"),
        ([{"client_id": "a", "client_secret": "hidden"}, {"client_id": "b", "secret": "hidden"}], "1.secret"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place_and_without_a_secret(
    tmp_path: Path, content: object, place: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_users(written(tmp_path, content))
    assert f": {place}: " in str(caught.value)
    assert "hidden" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="INTAKE_DATAVERSE_USERS_PATH"):
        load_users(tmp_path / "absent.json")


@dataclass
class Machine:
    """A stand-in of the endpoint that gives a virtual machine its tokens; `answers` are given in turn, then tokens."""

    asked: list[dict[str, str]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    state = Machine()

    class Endpoint(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            state.asked.append({"path": parts.path, "metadata": self.headers.get("Metadata", ""), **query})
            token = {"access_token": f"token-{len(state.asked)}", "expires_in": "3599", "resource": query["resource"]}
            status, content = state.answers.pop(0) if state.answers else (200, token)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    # The variable by which msal finds the endpoint elsewhere than at 169.254.169.254.
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    yield state
    server.shutdown()
    server.server_close()


def source(client_id: str | None = None) -> TokenSource:
    return TokenSource(DataverseSettings(f"{CRM}/", "tenant", client_id or "", ManagedIdentity(client_id)))


def test_a_machine_gets_a_token_for_the_crm_and_keeps_it(machine: Machine) -> None:
    tokens = source()
    assert tokens.token() == tokens.token() == "token-1"
    (asked,) = machine.asked
    assert (asked["path"], asked["metadata"], asked["resource"]) == ("/metadata/identity/oauth2/token", "true", CRM)
    assert "client_id" not in asked


def test_a_user_assigned_identity_is_asked_for_by_its_client_id(machine: Machine) -> None:
    source("5a4d0000-0000-4000-8000-00000000000a").token()
    assert machine.asked[0]["client_id"] == "5a4d0000-0000-4000-8000-00000000000a"


def test_a_rejected_token_of_a_machine_is_replaced(machine: Machine) -> None:
    tokens = source()
    assert tokens.refresh(tokens.token()) == tokens.token() == "token-2"
    assert tokens.refresh("token-1") == "token-2"


@pytest.mark.parametrize("status", [404, 410, 429, 500, 503])
def test_a_machine_whose_endpoint_is_not_ready_is_unavailable_and_asked_again(machine: Machine, status: int) -> None:
    machine.answers.append((status, {"error": "x"}))
    tokens = source()
    with pytest.raises(CrmUnavailable):
        tokens.token()
    assert tokens.token() == "token-2"


def test_a_machine_without_an_identity_is_a_misconfiguration(machine: Machine) -> None:
    machine.answers.append((400, {"error": "invalid_request", "error_description": "Identity not found"}))
    with pytest.raises(CrmMisconfigured) as caught:
        source().token()
    assert (caught.value.code, "Identity not found" in str(caught.value)) == ("invalid_request", False)

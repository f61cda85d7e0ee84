"""Tokens and trust: real msal against the sandbox's authority, over TLS with a CA of its own."""

import ssl
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from connectors.dataverse import (
    ClientCertificate,
    ClientSecret,
    DataverseClient,
    DataverseSettings,
    TokenSource,
)
from sandbox.dataverse.server import RunningEmulator
from schemas.errors import ConfigurationError, CrmMisconfigured, CrmUnavailable


def test_a_secret_gets_a_token_and_names_the_user(crm: DataverseClient) -> None:
    who = crm.who_am_i()
    assert who.user_id and who.organization_id
    assert who.dop_hint == 8


def test_a_certificate_gets_a_token(
    settings: DataverseSettings, certificate: tuple[ClientCertificate, str], crm: DataverseClient, kit: Any
) -> None:
    by_certificate = DataverseClient(replace(settings, client_id=kit.by_certificate, credential=certificate[0]))
    assert by_certificate.who_am_i().organization_id == crm.who_am_i().organization_id


@pytest.mark.parametrize(
    "changes", [{"credential": ClientSecret("wrong")}, {"client_id": "5a4d0000-0000-4000-8000-000000000009"}]
)
def test_a_wrong_credential_is_a_misconfiguration(settings: DataverseSettings, changes: dict[str, Any]) -> None:
    with pytest.raises(CrmMisconfigured) as caught:
        DataverseClient(replace(settings, **changes)).who_am_i()
    assert "wrong" not in str(caught.value)


def test_a_wrong_passphrase_is_a_misconfiguration(
    settings: DataverseSettings, certificate: tuple[ClientCertificate, str], kit: Any
) -> None:
    credential = replace(certificate[0], passphrase="not this one")
    with pytest.raises(CrmMisconfigured):
        DataverseClient(replace(settings, client_id=kit.by_certificate, credential=credential)).who_am_i()


def test_an_application_that_is_no_member_is_a_misconfiguration(settings: DataverseSettings, kit: Any) -> None:
    with pytest.raises(CrmMisconfigured) as caught:
        DataverseClient(replace(settings, client_id=kit.stranger)).who_am_i()
    assert caught.value.status == 403


def test_our_trust_wins_over_the_environments_bundle(
    crm: DataverseClient, monkeypatch: pytest.MonkeyPatch, certificate: tuple[ClientCertificate, str]
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0].certificate_path))
    assert crm.who_am_i().user_id


def test_nothing_is_written_to_a_server_that_is_not_trusted(
    settings: DataverseSettings,
    emulator: RunningEmulator,
    certificate: tuple[ClientCertificate, str],
    manual_clock: Any,
    kit: Any,
) -> None:
    untrusting = replace(settings, ca_path=certificate[0].certificate_path)
    seen_before = emulator.control.last_sequence()
    for tokens in (TokenSource(untrusting), TokenSource(settings)):
        client = DataverseClient(untrusting, tokens=tokens, clock=manual_clock, sleep=manual_clock.sleep)
        with pytest.raises(CrmUnavailable):
            client.upsert_many(kit.contacts, [kit.row(1)])
    paths = [seen["path"] for seen in emulator.control.requests(seen_before)]
    assert all("token" in path or "openid" in path for path in paths)


def test_one_token_serves_all_threads(settings: DataverseSettings, emulator: RunningEmulator) -> None:
    source, found = TokenSource(settings), []
    threads = [threading.Thread(target=lambda: found.append(source.token())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8 and len(set(found)) == 1
    fresh = source.refresh(found[0])
    assert source.refresh(found[0]) == fresh == source.token()


@pytest.mark.parametrize("status", [429, 503])
def test_an_authority_that_is_down_is_unavailable_and_not_misconfigured(
    settings: DataverseSettings, emulator: RunningEmulator, status: int
) -> None:
    class Down(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_error(status)

    server = HTTPServer(("127.0.0.1", 0), Down)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(emulator.directory / "tls" / "server.pem", emulator.directory / "tls" / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    with pytest.raises(CrmUnavailable):
        TokenSource(replace(settings, authority=f"https://127.0.0.1:{server.server_port}/tenant")).token()
    server.shutdown()
    server.server_close()


def test_an_authority_that_cannot_be_reached_is_unavailable(settings: DataverseSettings) -> None:
    with pytest.raises(CrmUnavailable):
        TokenSource(replace(settings, authority="https://127.0.0.1:1/tenant")).token()


def test_a_certificate_that_cannot_be_read_is_named_as_such(settings: DataverseSettings, tmp_path: Path) -> None:
    credential = ClientCertificate(tmp_path / "absent.pem")
    with pytest.raises(ConfigurationError):
        TokenSource(replace(settings, credential=credential)).token()

"""Mails are handed to the server that its certificate names, and to no other."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from connectors.mail import SmtpSettings, make_message, submit
from sandbox.dataverse.tls import make_certificates
from sandbox.mailbox import Mailbox


@pytest.fixture(params=["tls", "starttls"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SmtpSettings, Mailbox]]:
    make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    kept, is_tls = Mailbox(), request.param == "tls"
    secured = {"ssl_context": context} if is_tls else {"tls_context": context, "require_starttls": True}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(kept, hostname="127.0.0.1", port=port, **secured)
    controller.start()
    try:
        yield SmtpSettings("localhost", port, "news@example.org", security=request.param), kept
    finally:
        controller.stop()


def test_a_server_that_nobody_vouches_for_gets_no_mail(served: tuple[SmtpSettings, Mailbox]) -> None:
    settings, kept = served
    with pytest.raises(ssl.SSLCertVerificationError):
        submit(settings, make_message(settings, "aino@example.org", "Subject", "Body"))
    assert kept.messages() == []


def test_the_server_that_its_certificate_names_gets_it(
    served: tuple[SmtpSettings, Mailbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, kept = served
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    submit(settings, make_message(settings, "aino@example.org", "Subject", "Body"))
    assert [mail["To"] for mail in kept.messages()] == ["aino@example.org"]

"""Tokens of the emulator: real msal by secret and by certificate, and what a bad token gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from sandbox.dataverse.options import ClientOptions, EmulatorOptions
from sandbox.dataverse.server import RunningEmulator, start_emulator

CERTIFIED_ID = "5a4d0000-0000-4000-8000-0000000000c9"


def sign_in(emulator: RunningEmulator, credential: Any, http: Any, client_id: str | None = None) -> dict[str, Any]:
    app = msal.ConfidentialClientApplication(
        client_id or emulator.client_id,
        authority=emulator.authority,
        client_credential=credential,
        instance_discovery=False,
        http_client=http,
    )
    answer: dict[str, Any] = app.acquire_token_for_client([f"{emulator.base_url}/.default"])
    return answer


def make_certificate() -> tuple[str, str]:
    """A key and a self-signed certificate, both PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "intake")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def test_msal_signs_in_with_the_secret(api, dataverse):
    answer = sign_in(dataverse, dataverse.client_secret, api.session)
    assert answer["expires_in"] == 3600
    who = api.session.get(
        f"{api.base}WhoAmI", headers={"Authorization": f"Bearer {answer['access_token']}"}, timeout=30
    )
    assert who.status_code == 200


def test_msal_with_a_wrong_secret_gets_invalid_client(api, dataverse):
    assert sign_in(dataverse, "not the secret", api.session)["error"] == "invalid_client"


def test_unknown_client_gets_unauthorized_client(api, dataverse):
    assert sign_in(dataverse, "x", api.session, client_id="nobody")["error"] == "unauthorized_client"


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory):
    key, certificate = make_certificate()
    options = EmulatorOptions(clients=(ClientOptions(CERTIFIED_ID, certificate_pem=certificate),), token_lifetime_s=120)
    with start_emulator(tmp_path_factory.mktemp("certified"), options=options) as running:
        yield running, key, certificate


def test_msal_signs_in_with_the_registered_certificate(certified, session_to):
    emulator, key, certificate = certified
    answer = sign_in(emulator, {"private_key": key, "public_certificate": certificate}, session_to(emulator))
    assert answer["expires_in"] == 120


def test_certificate_that_is_not_registered_is_refused(certified, session_to):
    emulator, _, _ = certified
    key, certificate = make_certificate()
    answer = sign_in(emulator, {"private_key": key, "public_certificate": certificate}, session_to(emulator))
    assert answer["error"] == "invalid_client"


def test_other_key_under_the_registered_certificates_name_is_refused(certified, session_to):
    emulator, _, certificate = certified
    key, _ = make_certificate()
    answer = sign_in(emulator, {"private_key": key, "public_certificate": certificate}, session_to(emulator))
    assert answer["error"] == "invalid_client"


def test_client_without_a_secret_cannot_use_one(certified, session_to):
    emulator, _, _ = certified
    assert sign_in(emulator, "anything", session_to(emulator))["error"] == "invalid_client"


def test_both_openid_configurations_name_the_token_endpoint(api, dataverse):
    for path in ("/v2.0/.well-known/openid-configuration", "/.well-known/openid-configuration"):
        found = api.session.get(dataverse.authority + path, timeout=30).json()
        assert found["token_endpoint"] == f"{dataverse.authority}/oauth2/v2.0/token"


def test_expired_token_gets_401_with_a_challenge_and_no_body(api):
    assert api.get("WhoAmI").status_code == 200
    api.control.clock(advance=3601)
    response = api.get("WhoAmI")
    assert response.status_code == 401
    assert response.content == b""
    assert "authorization_uri=" in response.headers["WWW-Authenticate"]


def test_request_without_or_with_a_forged_token_gets_401(api):
    for value in ("", "Bearer x.y", "Bearer eyJhcHBpZCI6InEifQ." + "0" * 64):
        assert api.get("WhoAmI", Authorization=value).status_code == 401


def test_application_that_is_no_user_of_the_environment_gets_403(strange_api):
    response = strange_api.get("WhoAmI")
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "0x80072560"


def test_who_am_i_differs_by_application_user_and_hints_at_parallelism(api, second_api):
    first, second = api.get("WhoAmI"), second_api.get("WhoAmI")
    assert first.json()["UserId"] != second.json()["UserId"]
    assert first.headers["x-ms-dop-hint"] == "5"

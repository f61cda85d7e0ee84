"""The token endpoint: client credentials by secret or by signed assertion, and the tokens the Web API then takes.

Tokens are signed with a key of this environment, so that they outlive a restart but not their time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import parse_qs

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from .clock import Clock
from .messages import Answer
from .options import ClientOptions, EmulatorOptions

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PADDINGS = {
    "RS256": padding.PKCS1v15(),
    "PS256": padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH),
}


class TokenRefusedError(Exception):
    """A token request that is answered with an OAuth error."""

    def __init__(self, error: str, code: int, description: str) -> None:
        super().__init__(description)
        self.body = {"error": error, "error_description": f"AADSTS{code}: {description}", "error_codes": [code]}


class Authority:
    """One tenant: who may have a token, and whose token this is."""

    def __init__(self, options: EmulatorOptions, clock: Clock, key: bytes) -> None:
        self.tenant_id = options.tenant_id
        self.lifetime_s = options.token_lifetime_s
        self.clients = {client.client_id: client for client in options.clients}
        self._clock = clock
        self._key = key

    def answer(self, method: str, path: str, body: bytes, origin: str) -> Answer | None:
        """The answer to a request of the authority's endpoints; None where the path is not one of them."""
        if not path.startswith(f"/{self.tenant_id}/"):
            return None
        tail = path.removeprefix(f"/{self.tenant_id}")
        if tail in ("/v2.0/.well-known/openid-configuration", "/.well-known/openid-configuration"):
            return _json(self._configuration(origin))
        if tail == "/oauth2/v2.0/token" and method == "POST":
            return self._token(body, f"{origin}{path}")
        if tail == "/discovery/v2.0/keys":
            return _json({"keys": []})
        return None

    def client_of(self, authorization: str) -> ClientOptions | None:
        """The client whose valid token an Authorization header carries."""
        payload, _, signature = authorization.removeprefix("Bearer ").partition(".")
        if not hmac.compare_digest(signature, self._signature(payload)):
            return None
        claims = orjson.loads(_decoded(payload))
        return self.clients.get(claims["appid"]) if claims["exp"] > self._clock.seconds() else None

    def _configuration(self, origin: str) -> dict[str, Any]:
        base = f"{origin}/{self.tenant_id}"
        return {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def _token(self, body: bytes, endpoint: str) -> Answer:
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        try:
            if form.get("grant_type") != "client_credentials":
                raise TokenRefusedError("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
            if not form.get("scope", "").endswith("/.default"):
                raise TokenRefusedError(
                    "invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid."
                )
            client = self._authenticated(form, endpoint)
        except TokenRefusedError as refusal:
            return _json(refusal.body, 401 if refusal.body["error"] == "invalid_client" else 400)
        token = self._issue(client.client_id)
        return _json(
            {
                "token_type": "Bearer",
                "expires_in": self.lifetime_s,
                "ext_expires_in": self.lifetime_s,
                "access_token": token,
            }
        )

    def _authenticated(self, form: dict[str, str], endpoint: str) -> ClientOptions:
        client = self.clients.get(form.get("client_id", ""))
        if client is None:
            raise TokenRefusedError("unauthorized_client", 700016, "The application was not found in the directory.")
        if form.get("client_assertion_type") == _ASSERTION_TYPE:
            check_assertion(client, form.get("client_assertion", ""), endpoint)
        elif client.secret is None or not hmac.compare_digest(form.get("client_secret", ""), client.secret):
            raise TokenRefusedError("invalid_client", 7000215, "Invalid client secret provided.")
        return client

    def _issue(self, client_id: str) -> str:
        claims = {"appid": client_id, "exp": self._clock.seconds() + self.lifetime_s, "jti": time.time_ns()}
        payload = base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=")
        return f"{payload}.{self._signature(payload)}"

    def _signature(self, payload: str) -> str:
        return hmac.new(self._key, payload.encode(), hashlib.sha256).hexdigest()


def check_assertion(client: ClientOptions, assertion: str, endpoint: str) -> None:
    """Refuses an assertion not signed by the client's certificate, or for another endpoint, client or time."""
    if client.certificate_pem is None or assertion.count(".") != 2:
        raise TokenRefusedError(
            "invalid_client", 700027, "The certificate used to sign the client assertion is not registered."
        )
    signed, _, signature = assertion.rpartition(".")
    header, claims = (orjson.loads(_decoded(part)) for part in signed.split("."))
    certificate = x509.load_pem_x509_certificate(client.certificate_pem.encode())
    if not _is_signed(certificate, header, signed.encode(), _decoded(signature)):
        raise TokenRefusedError("invalid_client", 700027, "Client assertion failed signature validation.")
    if claims.get("aud") != endpoint or claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        raise TokenRefusedError(
            "invalid_client", 700023, "Client assertion audience, issuer or subject does not match."
        )
    if not claims.get("exp", 0) > time.time():
        raise TokenRefusedError("invalid_client", 700024, "Client assertion is not within its valid time range.")


def _is_signed(certificate: x509.Certificate, header: dict[str, Any], signed: bytes, signature: bytes) -> bool:
    key, scheme = certificate.public_key(), _PADDINGS.get(header.get("alg", ""))
    thumbprints = {
        base64.urlsafe_b64encode(certificate.fingerprint(digest)).decode().rstrip("=")
        for digest in (hashes.SHA1(), hashes.SHA256())
    }
    named = str(header.get("x5t#S256") or header.get("x5t") or "").rstrip("=")
    if scheme is None or not isinstance(key, RSAPublicKey) or named not in thumbprints:
        return False
    try:
        key.verify(signature, signed, scheme, hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json; charset=utf-8"}, orjson.dumps(value))

"""Access tokens of an application user, through msal: by secret, by certificate, or as the machine that we run on.

One `TokenSource` per process and application user.
https://learn.microsoft.com/power-apps/developer/data-platform/authenticate-oauth
"""

import threading
from typing import Any, Protocol

import msal
import requests

from connectors.dataverse.odata import normalise_code
from connectors.dataverse.settings import ClientCertificate, ClientSecret, DataverseSettings, ManagedIdentity
from schemas.errors import ConfigurationError, CrmMisconfigured, CrmUnavailable

_TRANSIENT_ERRORS = frozenset({"temporarily_unavailable", "server_error", "service_unavailable"})
# A machine's endpoint says so while it is being updated, or when its identity was assigned a moment ago.
_MACHINE_NOT_READY = frozenset({404, 410})


class Tokens(Protocol):
    """Where the client takes its bearer tokens from; thread-safe."""

    def token(self) -> str:
        """A token that is valid now, from a cache where there is one."""

    def refresh(self, rejected: str | None = None) -> str:
        """A new token instead of `rejected`, which the server answered with 401."""


class TokenSource:
    """Tokens of one application, kept until shortly before they expire.

    `CrmMisconfigured` when the authority refuses the credential, `CrmUnavailable` when it cannot be reached,
    `ConfigurationError` when the certificate cannot be read.
    """

    def __init__(self, settings: DataverseSettings) -> None:
        self._settings = settings
        self._identity: _Application | _Machine | None = None
        self._last: str | None = None
        self._lock = threading.Lock()

    def token(self) -> str:
        """The cached token, or a new one when it is about to expire."""
        with self._lock:
            return self._acquire()

    def refresh(self, rejected: str | None = None) -> str:
        """A new token, unless another thread has already replaced the rejected one."""
        with self._lock:
            if rejected is not None and self._last is not None and rejected != self._last:
                return self._acquire()
            if self._identity is not None:
                self._identity.forget()
            return self._acquire()

    def _acquire(self) -> str:
        try:
            if self._identity is None:
                self._identity = _identity_of(self._settings)
            result = self._identity.ask()
        except (requests.RequestException, AuthorityDown):
            raise CrmUnavailable("The token endpoint cannot be reached. Remedy: check authority and network.") from None
        except ValueError:
            raise _unusable_authority() from None
        self._last = _token_in(result)
        return self._last


class _Application:
    """An application that proves itself by a secret or a certificate."""

    def __init__(self, settings: DataverseSettings, credential: ClientSecret | ClientCertificate) -> None:
        self._scope = settings.scope
        self._app = msal.ConfidentialClientApplication(
            settings.client_id,
            authority=settings.authority_url,
            client_credential=_msal_credential(credential),
            http_client=TrustingHttp(settings),
            # An authority of one's own is unknown to Microsoft's discovery, which msal would ask otherwise.
            instance_discovery=None if settings.has_microsoft_authority else False,
        )

    def ask(self) -> dict[str, Any]:
        result: dict[str, Any] = self._app.acquire_token_for_client(scopes=[self._scope])
        return result

    def forget(self) -> None:
        self._app.remove_tokens_for_client()


class _Machine:
    """The managed identity of a virtual machine, App Service or Arc host; msal finds out which.

    Not on Service Fabric, for which msal must have a plain session, with trust from the environment.
    """

    def __init__(self, settings: DataverseSettings, credential: ManagedIdentity) -> None:
        self._resource = settings.base_url.rstrip("/")
        self._http = MachineHttp(settings)
        user_id = credential.client_id
        self._identity = (
            msal.UserAssignedManagedIdentity(client_id=user_id) if user_id else msal.SystemAssignedManagedIdentity()
        )
        self.forget()

    def ask(self) -> dict[str, Any]:
        result: dict[str, Any] = self._client.acquire_token_for_client(resource=self._resource)
        return result

    def forget(self) -> None:
        # msal cannot drop one token of a machine; a new client has no cache.
        self._client = msal.ManagedIdentityClient(self._identity, http_client=self._http)


def _identity_of(settings: DataverseSettings) -> _Application | _Machine:
    if isinstance(settings.credential, ManagedIdentity):
        return _Machine(settings, settings.credential)
    return _Application(settings, settings.credential)


class AuthorityDown(Exception):
    """The authority answered 429 or 5xx; stays inside this module."""


class TrustingHttp:
    """The http client that msal uses: trust is passed per request.

    A `REQUESTS_CA_BUNDLE` in the environment would win over a session's `verify`, and over msal's own.
    """

    def __init__(self, settings: DataverseSettings) -> None:
        self._session = requests.Session()
        self._verify = str(settings.ca_path) if settings.ca_path else None
        self._timeout = (settings.connect_timeout_s, settings.connect_timeout_s * 3)

    def get(self, url: str, **arguments: Any) -> requests.Response:
        """GET as msal asks for it."""
        return self._send("GET", url, **arguments)

    def post(self, url: str, **arguments: Any) -> requests.Response:
        """POST as msal asks for it."""
        return self._send("POST", url, **arguments)

    def close(self) -> None:
        """Closes pooled connections."""
        self._session.close()

    def _send(self, method: str, url: str, **arguments: Any) -> requests.Response:
        arguments |= {"verify": self._verify, "timeout": self._timeout, "allow_redirects": False}
        response = self._session.request(method, url, **arguments)
        if response.status_code == 429 or response.status_code >= 500:
            raise AuthorityDown
        return response


class MachineHttp(TrustingHttp):
    """The http client for a machine's own endpoint: link-local and plain, so never through a proxy.

    https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
    """

    def __init__(self, settings: DataverseSettings) -> None:
        super().__init__(settings)
        self._session.trust_env = False

    def _send(self, method: str, url: str, **arguments: Any) -> requests.Response:
        response = super()._send(method, url, **arguments)
        if response.status_code in _MACHINE_NOT_READY:
            raise AuthorityDown
        return response


def _msal_credential(credential: ClientSecret | ClientCertificate) -> str | dict[str, str]:
    if isinstance(credential, ClientSecret):
        return credential.value
    certificate_path = credential.certificate_path or credential.private_key_path
    try:
        content = {
            "private_key": credential.private_key_path.read_text("ascii"),
            "public_certificate": certificate_path.read_text("ascii"),
        }
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError("The client certificate cannot be read. Remedy: check its PEM paths.") from None
    # msal computes the SHA-256 thumbprint from the certificate where no thumbprint is given.
    return content | ({"passphrase": credential.passphrase} if credential.passphrase else {})


def _token_in(result: dict[str, Any]) -> str:
    token = result.get("access_token")
    if isinstance(token, str):
        return token
    error = normalise_code(result.get("error") or "no_token")
    if error in _TRANSIENT_ERRORS:
        raise CrmUnavailable(f"The token endpoint is not serving ({error}). Remedy: run again later.")
    raise CrmMisconfigured(
        "The token endpoint refused the application. Remedy: check tenant, client id and that the credential is valid.",
        code=error,
        request_id=result.get("correlation_id"),
    )


def _unusable_authority() -> CrmMisconfigured:
    return CrmMisconfigured(
        "No token can be asked for. Remedy: check authority and tenant, and private key and passphrase of the certificate,"
        " or that this machine has a managed identity."
    )

"""Settings of one Dataverse environment and the application users that write to it.

Values are passed in; nothing here reads the environment or a file, except that a certificate's
PEM files are opened by tokens.py when the first token is asked for.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import ConfigurationError

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_BYPASSABLE = frozenset({"CustomSync", "CustomAsync"})

MICROSOFT_AUTHORITY_HOSTS = frozenset(
    {
        "login.microsoftonline.com",
        "login.microsoft.com",
        "login.windows.net",
        "sts.windows.net",
        "login.microsoftonline.us",
        "login.chinacloudapi.cn",
        "login.partner.microsoftonline.cn",
    }
)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A client secret of the application."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate of the application: PEM files of the private key and of the certificate (one file may hold both)."""

    private_key_path: Path
    certificate_path: Path | None = None
    passphrase: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    """The identity of the machine that we run on: no secret to keep. `client_id` only for a user-assigned one."""

    client_id: str | None = None


Credential = ClientSecret | ClientCertificate | ManagedIdentity


@dataclass(frozen=True, slots=True)
class ApplicationUser:
    """An application and how it proves itself."""

    client_id: str
    credential: Credential


@dataclass(frozen=True, slots=True)
class DataverseSettings:
    """One environment, one application user, and others that share its work.

    Times are seconds. `deadline_s` bounds one call of the client with all its waits; `retry_after_cap_s` bounds what a
    server may ask for (the limits' window is 300 s, so more is a mistake). `max_parallelism` bounds requests in flight
    for each application user; the server's own hint may lower it. `chunk_rows` is what a chunk starts with, `chunk_bytes`
    what it may grow to. With `other_users` each chunk goes by whoever has room. `suppress_flows` and `bypass_logic` need
    privileges and the CRM owner's consent: https://learn.microsoft.com/power-apps/developer/data-platform/bypass-custom-business-logic
    """

    base_url: str
    tenant: str
    client_id: str
    credential: Credential
    other_users: tuple[ApplicationUser, ...] = ()
    authority: str = "https://login.microsoftonline.com"
    ca_path: Path | None = None
    connect_timeout_s: float = 10.0
    # A plug-in may run for two minutes before the server gives it up.
    read_timeout_s: float = 130.0
    deadline_s: float = 900.0
    retry_after_cap_s: float = 600.0
    attempts: int = 5
    chunk_rows: int = 100
    chunk_bytes: int = 4 << 20
    max_parallelism: int = 52
    suppress_flows: bool = False
    bypass_logic: tuple[str, ...] = ()
    detect_duplicates: bool = False
    api_version: str = "v9.2"

    def __post_init__(self) -> None:
        for name in ("base_url", "authority"):
            _require_https(name, getattr(self, name))
        if not 1 <= self.chunk_rows <= 1000:
            raise ConfigurationError("chunk_rows must be 1 to 1000: a $batch takes no more than 1000 requests.")
        if self.max_parallelism < 1 or self.attempts < 1:
            raise ConfigurationError("max_parallelism and attempts must be at least 1.")
        if len({user.client_id for user in self.users}) < len(self.users):
            raise ConfigurationError("An application user comes twice; each has one quota, so give each once.")
        if not set(self.bypass_logic) <= _BYPASSABLE:
            raise ConfigurationError("bypass_logic may hold only CustomSync and CustomAsync.")

    @property
    def users(self) -> tuple[ApplicationUser, ...]:
        """All application users, the first one first."""
        return (ApplicationUser(self.client_id, self.credential), *self.other_users)

    def for_user(self, user: ApplicationUser) -> "DataverseSettings":
        """The same environment as one application user sees it."""
        return replace(self, client_id=user.client_id, credential=user.credential, other_users=())

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a link must begin with before a token is sent to it."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def api_path(self) -> str:
        """The path of the service root, with a slash at both ends."""
        return f"{urlsplit(self.base_url).path.rstrip('/')}/api/data/{self.api_version}/"

    @property
    def scope(self) -> str:
        """The scope of a confidential client."""
        return f"{self.base_url.rstrip('/')}/.default"

    @property
    def authority_url(self) -> str:
        """The authority with its tenant; an authority that already has a path is taken as it is."""
        authority = self.authority.rstrip("/")
        return authority if urlsplit(authority).path else f"{authority}/{self.tenant}"

    @property
    def has_microsoft_authority(self) -> bool:
        """Whether the authority is one that Microsoft's instance discovery knows."""
        return urlsplit(self.authority).hostname in MICROSOFT_AUTHORITY_HOSTS

    @property
    def write_headers(self) -> tuple[tuple[str, str], ...]:
        """Headers that belong on every single write, inside a $batch on each of its parts."""
        headers = []
        if self.suppress_flows:
            headers.append(("MSCRM.SuppressCallbackRegistrationExpanderJob", "true"))
        if self.bypass_logic:
            headers.append(("MSCRM.BypassBusinessLogicExecution", ",".join(self.bypass_logic)))
        if self.detect_duplicates:
            headers.append(("MSCRM.SuppressDuplicateDetection", "false"))
        return tuple(headers)


def _require_https(name: str, url: str) -> None:
    """Tokens and persons travel by TLS; plain http is for this machine only."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS):
        return
    raise ConfigurationError(f"{name} must be an https URL (http only on this machine).")

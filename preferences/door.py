"""The door: everything that the pages need, opened once: the store under its own narrow role, keys, mails, limits."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from connectors.mappings import load_mappings, load_policy
from connectors.store.address import ServerAddress
from connectors.store.engine import create_store_engine
from connectors.store.keys import KeyRing
from connectors.store.lost_keys import refuse_lost
from connectors.store.mailbox_proofs import Mailbox, find_mailbox
from connectors.store.migrate import PREFERENCES_ROLE
from pipelines.operations.workspace import Workspace, server_address, source_settings
from pipelines.settings import Settings
from pipelines.transforms.preference_links import Claim, LinkKey, Scope, keys_by_mark, read_token
from preferences.limits import Limiter
from preferences.mailing import Mailer, smtp_settings
from preferences.secrets_file import DoorSecrets, load_door_secrets
from schemas.errors import ConfigurationError

POOL = 12
_KEYS_FOR_S = 30.0


@dataclass
class LinkKeys:
    """The ring's signing keys; a key that was rotated in is known within half a minute."""

    ring: KeyRing
    _known: Mapping[bytes, LinkKey] = field(default_factory=dict)
    _read_at: float = float("-inf")

    def known(self) -> Mapping[bytes, LinkKey]:
        """Every key, by its mark. Read again by time and never because of a token, which would tell tokens apart."""
        if time.monotonic() - self._read_at > _KEYS_FOR_S:
            self.current()
            self._known = keys_by_mark([LinkKey(key.key_id, key.secret) for key in self.ring.all_keys("link")])
            self._read_at = time.monotonic()
        return self._known

    def current(self) -> LinkKey:
        """The key that signs; what it signs is known at once, also where the key was rotated in just now."""
        found = self.ring.current("link")
        key = LinkKey(found.key_id, found.secret)
        if key.mark not in self._known:
            self._read_at = float("-inf")
        return key


@dataclass
class Door:
    """The opened door. `refusals` limits clients whose links are refused, `mails` those who ask for mails."""

    workspace: Workspace
    base_url: str
    keys: LinkKeys
    mailer: Mailer
    secrets: DoorSecrets
    refusals: Limiter
    mails: Limiter

    @property
    def is_https(self) -> bool:
        """Whether people reach the page over HTTPS; anything else is for this machine only."""
        return self.base_url.startswith("https:")

    @property
    def cookie(self) -> str:
        """The session's cookie: over HTTPS one that no other host of the domain can set (RFC 6265bis, 4.1.3.2)."""
        return "__Host-door" if self.is_https else "door"

    @property
    def origin(self) -> str:
        """The page's own origin, as browsers send it."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"

    def now(self) -> datetime:
        """The time, UTC."""
        return self.workspace.now()

    def local(self, at: datetime) -> datetime:
        """An instant in the organisation's own time."""
        return at.astimezone(ZoneInfo(self.workspace.policy.organisation.timezone))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction of the door's role."""
        with self.workspace.transaction() as conn:
            yield conn

    def mailbox_of(self, token: str, scope: Scope) -> Mailbox | None:
        """The contact point that a token is good for; None for every token that is not, by one path and one query."""
        claim: Claim = read_token(token, scope, self.keys.known(), now=self.now())
        with self.transaction() as conn:
            found = find_mailbox(conn, claim.contact_point_id, token, now=self.now())
        return found if claim.is_good else None

    def close(self) -> None:
        """Wait for mails on their way; let go of the store."""
        self.mailer.close()
        self.workspace.engine.dispose()


@dataclass(frozen=True)
class Limits:
    """How often one client may be refused, and ask for mails, a minute."""

    refusals_per_minute: float = 120
    mails_per_minute: float = 5


def open_door(settings: Settings, *, address: ServerAddress | None = None, limits: Limits | None = None) -> Door:
    """Open the door on a store that is migrated already; ConfigurationError names what is missing."""
    workspace = open_narrow_workspace(settings, address=address)
    limits = limits or Limits()
    _require_notice(workspace)
    return Door(
        workspace,
        base_url=public_url(workspace),
        keys=LinkKeys(workspace.keys),
        mailer=Mailer(smtp_settings(workspace)),
        secrets=load_door_secrets(settings.doors_path, workspace.mappings),
        refusals=Limiter(per_minute=limits.refusals_per_minute, burst=int(limits.refusals_per_minute)),
        mails=Limiter(per_minute=limits.mails_per_minute, burst=max(1, int(limits.mails_per_minute))),
    )


def open_narrow_workspace(settings: Settings, *, address: ServerAddress | None = None) -> Workspace:
    """A workspace whose every session acts as the door's role; it migrates nothing."""
    policy = load_policy(settings.config_dir)
    address = address or server_address(settings)
    engine = create_store_engine(address, role=PREFERENCES_ROLE, pool_size=POOL)
    return Workspace(
        settings=settings,
        address=address,
        engine=engine,
        keys=KeyRing(settings.keys_dir(), before_first=partial(refuse_lost, engine)),
        policy=policy,
        mappings=load_mappings(settings.config_dir),
        sources=replace(source_settings(settings, policy.organisation.timezone), webropol=None, web_forms=None),
    )


def _require_notice(workspace: Workspace) -> None:
    """Grants of the page name the notice that was shown; the policy asks for it only where it names the page itself."""
    if workspace.policy.preference_notice_url is None:
        raise ConfigurationError("The page leads to no privacy notice: set crm.preference_notice in the policy.")


def public_url(workspace: Workspace) -> str:
    """The page's public address, without a slash at its end."""
    url: Any = workspace.settings.preferences_url or workspace.policy.crm.preference_page
    if not url:
        raise ConfigurationError("The page has no public address: set crm.preference_page in the policy.")
    return str(url).rstrip("/")

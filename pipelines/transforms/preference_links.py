"""Preference links: signed, for one purpose each, with the id of the key that signed them; no personal data in them. Pure.

A token is base64url of: scope (1 byte), key (4 bytes of its fingerprint), contact point (16), for whatever expires an
instant (4) and a nonce (12), and 16 bytes of HMAC-SHA256 over all of it. It names the contact point, not the address,
so letter case and spelling do not matter, and it stays good for as long as its key is in the ring.

RFC 8058 https://www.rfc-editor.org/rfc/rfc8058 asks of an unsubscribe link that it can neither be guessed nor forged.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

_DOMAIN = b"crm-intake preference link\x00"
_MAC_BYTES, _KEY_BYTES, _ID_BYTES, _TIME_BYTES, NONCE_BYTES = 16, 4, 16, 4, 12
_PLAIN = 1 + _KEY_BYTES + _ID_BYTES
_EXPIRING = _PLAIN + _TIME_BYTES + NONCE_BYTES
# No token is longer: what is is not even decoded.
_MOST_CHARACTERS = 128
NOBODY = UUID(int=0)


class Scope(StrEnum):
    """What a token is good for, and nothing else. Only `withdraw` never expires.

    `confirm` names, in place of a contact point, the sign-up whose double opt-in it completes.
    """

    WITHDRAW = "w"
    PROVE = "p"
    MOVE = "m"
    SESSION = "s"
    FORM = "f"
    CONFIRM = "c"


@dataclass(frozen=True, slots=True)
class LinkKey:
    """A signing key: the ring's id of it (its last eight digits are the fingerprint) and the secret."""

    key_id: str
    secret: bytes = field(repr=False)

    @property
    def mark(self) -> bytes:
        """The four bytes that tokens name the key by."""
        return bytes.fromhex(self.key_id[-2 * _KEY_BYTES :])


@dataclass(frozen=True, slots=True)
class Expiry:
    """Until when a token is good, and what makes it unlike every other one."""

    at: datetime
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """What a token says. A token that is no good claims NOBODY, so that it can be looked up like any other."""

    contact_point_id: UUID
    is_good: bool


def sign_token(scope: Scope, contact_point_id: UUID, key: LinkKey, *, expiry: Expiry | None = None) -> str:
    """A token; without `expiry` it is good for ever, which only withdrawals may be (ValueError)."""
    if (expiry is None) is not (scope is Scope.WITHDRAW):
        raise ValueError(f"a token of scope {scope.name} {'needs' if expiry is None else 'has no'} expiry")
    body = scope.encode() + key.mark + contact_point_id.bytes
    if expiry is not None:
        body += int(expiry.at.timestamp()).to_bytes(_TIME_BYTES, "big") + expiry.nonce
    return base64.urlsafe_b64encode(body + _mac(body, key)).decode().rstrip("=")


def read_token(token: str, scope: Scope, keys: Mapping[bytes, LinkKey], *, now: datetime) -> Claim:
    """What a token claims, good for this scope now. Every token that is not costs the same work."""
    body, mac = _parts(token, _PLAIN if scope is Scope.WITHDRAW else _EXPIRING)
    known = keys.get(body[1 : 1 + _KEY_BYTES])
    key = known or LinkKey("0" * 8, b"\x00" * 32)
    is_signed = hmac.compare_digest(mac, _mac(body, key)) and known is not None
    is_good = is_signed and body[:1] == scope.encode() and (scope is Scope.WITHDRAW or _until(body) > now)
    return Claim(UUID(bytes=body[1 + _KEY_BYTES : _PLAIN]) if is_good else NOBODY, is_good)


def keys_by_mark(keys: Sequence[LinkKey]) -> dict[bytes, LinkKey]:
    """The ring's signing keys, old ones too, as tokens name them."""
    return {key.mark: key for key in keys}


def page_link(base_url: str, token: str) -> str:
    """The address of the page behind a newsletter's link."""
    return f"{base_url.rstrip('/')}/p/{token}"


def token_in(link: str) -> str:
    """The token at the end of a link."""
    return link.rpartition("/")[2]


def withdraws_for(token: str, keys: Mapping[bytes, LinkKey]) -> UUID | None:
    """The contact point that a withdraw-only token is good for; None where it is none, or its key is gone."""
    claim = read_token(token, Scope.WITHDRAW, keys, now=datetime.min.replace(tzinfo=UTC))
    return claim.contact_point_id if claim.is_good else None


def list_unsubscribe_headers(base_url: str, token: str) -> dict[str, str]:
    """The header fields of a message that carries the link, to be covered by its DKIM signature (RFC 8058, 3.1)."""
    return {
        "List-Unsubscribe": f"<{base_url.rstrip('/')}/one-click/{token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _mac(body: bytes, key: LinkKey) -> bytes:
    return hmac.new(key.secret, _DOMAIN + body, sha256).digest()[:_MAC_BYTES]


def _parts(token: str, length: int) -> tuple[bytes, bytes]:
    """Body and signature; of what has not the right length, as many zeros."""
    raw = b""
    if len(token) <= _MOST_CHARACTERS and token.isascii():
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
    # More than one text decodes to the same bytes; one of them is the token.
    is_one = len(raw) == length + _MAC_BYTES and base64.urlsafe_b64encode(raw).decode().rstrip("=") == token
    whole = raw if is_one else bytes(length + _MAC_BYTES)
    return whole[:length], whole[length:]


def _until(body: bytes) -> datetime:
    return datetime.fromtimestamp(int.from_bytes(body[_PLAIN : _PLAIN + _TIME_BYTES], "big"), UTC)

"""The ledger's integrity: a head signed each day, and the check that names the first link that is broken.

Whoever can write to the database could write the chain anew; they could not sign it. The signing key lies in the key
ring, outside the database: keep a copy of the signed heads, or of the key's public half, elsewhere.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection

from connectors.store import ledger_chain
from connectors.store.keys import Key
from connectors.store.ledger_chain import Broken, SignedHead, place_of
from pipelines.operations.sessions import Session
from pipelines.transforms.wordings import is_as_kept
from schemas.errors import ConfigurationError

KEY_NAME = "ledger_head"

_SAID = {
    "event_changed": "an event is not what was written",
    "event_of_no_group": "an event was added past the chain",
    "event_missing": "an event that was written is not there",
    "events_not_as_written": "the events of a group are not those that were written",
    "void_changed": "a voiding is not what was written",
    "void_of_no_group": "a voiding was added past the chain",
    "void_missing": "a voiding that was written is not there",
    "voids_not_as_written": "the voidings of a group are not those that were written",
    "group_missing_before": "a group before this one is not there",
    "group_out_of_order": "a group does not stand on the one before it",
    "head_changed": "a group is not what was written",
    "evidence_changed": "the evidence is not what the event committed to",
    "wording_changed": "text, language or version are not what its hash was made of",
    "signature_wrong": "the signed head bears no true signature",
    "signed_head_differs": "the chain's head is not the one that was signed",
    "signing_key_missing": "the key that signed this head is not in the ring",
}


@dataclass
class Verified:
    """What was checked, and what is broken, first link first. `unsigned_groups` came after the last signed head."""

    counts: dict[str, int]
    signed_heads: int
    unsigned_groups: int
    last_signed_at: datetime | None
    public_key: str
    broken: list[Broken] = field(default_factory=list)

    def said(self) -> list[str]:
        """Each broken link in words."""
        return [_in_words(one) for one in self.broken]


def sign_head(session: Session, *, at_once: bool = False) -> SignedHead | None:
    """Sign the chain's head, once a day of the organisation's; None where it was signed today or has not moved."""
    with session.transaction() as conn:
        group, last = ledger_chain.last_group(conn), ledger_chain.last_head(conn)
        if group is None or (
            last is not None and (last[0] == group[0] or (not at_once and _is_today(session, last[1])))
        ):
            return None
        key = session.workspace.keys.current(KEY_NAME)
        signature = _private(key).sign(_message(group[0], group[1], session.now))
        head = SignedHead(group[0], group[1], session.now, key.key_id, signature, group[1])
        ledger_chain.add_head(conn, head)
    return head


def verify(session: Session) -> Verified:
    """Compute every link, group, head and hash of a wording anew, and compare; check every signature."""
    with session.transaction() as conn:
        found = [*ledger_chain.find_broken(conn), *_changed_wordings(conn)]
        heads = ledger_chain.signed_heads(conn)
        group = ledger_chain.last_group(conn)
        counts = ledger_chain.counts(conn)
    last = heads[-1] if heads else None
    broken = [*found, *(one for head in heads for one in _check_head(session, head))]
    return Verified(
        counts=counts,
        signed_heads=len(heads),
        unsigned_groups=(group[0] if group else 0) - (last.group_no if last else 0),
        last_signed_at=last.signed_at if last else None,
        public_key=public_key(session.workspace.keys.current(KEY_NAME)),
        broken=sorted(broken, key=place_of),
    )


def public_key(key: Key) -> str:
    """The public half of a signing key, in hexadecimal: to keep elsewhere, and to check signatures with."""
    return _private(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign_text(session: Session, told: str) -> dict[str, str]:
    """A signature over a text (`key_id`, `signature` in hexadecimal) by the key that signs the ledger's heads."""
    key = session.workspace.keys.current(KEY_NAME)
    return {"key_id": key.key_id, "signature": _private(key).sign(told.encode()).hex()}


def is_signed(session: Session, told: str, seal: Mapping[str, str]) -> bool:
    """Whether a key of the ring made this signature over the text."""
    try:
        key = session.workspace.keys.by_id(KEY_NAME, seal["key_id"])
        _private(key).public_key().verify(bytes.fromhex(seal["signature"]), told.encode())
    except (ConfigurationError, InvalidSignature):
        return False
    return True


def _check_head(session: Session, head: SignedHead) -> list[Broken]:
    try:
        key = session.workspace.keys.by_id(KEY_NAME, head.key_id)
        _private(key).public_key().verify(head.signature, _message(head.group_no, head.head, head.signed_at))
    except ConfigurationError:
        return [Broken("signing_key_missing", head.group_no)]
    except InvalidSignature:
        return [Broken("signature_wrong", head.group_no)]
    return [] if head.head_now == head.head else [Broken("signed_head_differs", head.group_no)]


def _changed_wordings(conn: Connection) -> Iterator[Broken]:
    for kept in ledger_chain.iter_wordings(conn):
        if not is_as_kept(dict(kept)):
            yield Broken("wording_changed", None, row_id=kept["wording_hash"])


def _private(key: Key) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.secret)


def _message(group_no: int, head: bytes, signed_at: datetime) -> bytes:
    told = {"ledger": "crm-intake", "group_no": group_no, "head": head.hex(), "signed_at": signed_at.timestamp()}
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)


def _is_today(session: Session, at: datetime) -> bool:
    zone = ZoneInfo(session.workspace.policy.organisation.timezone)
    return at.astimezone(zone).date() == session.now.astimezone(zone).date()


def _in_words(broken: Broken) -> str:
    is_wording = broken.what == "wording_changed"
    place = "the wording" if is_wording else "in no group" if broken.group_no is None else f"group {broken.group_no}"
    place += f", row {broken.row_no}" if broken.row_no is not None else ""
    named = f" ({broken.row_id})" if broken.row_id else ""
    return f"{place}{named}: {_SAID[broken.what]}."


def as_facts(verified: Verified) -> dict[str, Any]:
    """The outcome as data."""
    return {
        "intact": not verified.broken,
        "first_broken": verified.said()[0] if verified.broken else None,
        **verified.counts,
        "signed_heads": verified.signed_heads,
        "unsigned_groups": verified.unsigned_groups,
        "last_signed_at": verified.last_signed_at,
        "public_key": verified.public_key,
        "broken": verified.broken,
    }

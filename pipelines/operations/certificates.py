"""Certificates: what a run of retention deleted, signed, so that it can be shown later and to others. No person is in it.

Ed25519 (RFC 8032) under the ring's `certificate` key. The public half stands in the certificate, for whoever
has no ring; we verify by the ring's key, for anybody can sign with one of their own.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.store.keys import Key
from pipelines.operations.retention import Retained, rules_of
from pipelines.operations.sessions import Session
from schemas.errors import ConfigurationError

KEY_NAME = "certificate"


def certify(session: Session, done: Retained) -> Path:
    """Write and sign the certificate of a run; returns its file."""
    policy = session.workspace.policy
    key = session.workspace.keys.current(KEY_NAME)
    told: dict[str, Any] = {
        "what": "Deletion by retention period (GDPR Art. 5(1)(e))",
        "controller": policy.organisation.name,
        "certified_at": session.now.isoformat(),
        "run_id": str(session.run_id),
        "policy_version": policy.version,
        "rules": [{**rule, "deleted": done.deleted.get(rule["rule"], 0)} for rule in rules_of(policy)],
        "crm": {"removed": dict(done.crm_removed), "absent": done.crm_absent, "still_there": done.crm_still_there},
        "left_overdue": {rule: rows for rule, rows in done.left.items() if rows},
        "legal_holds": done.holds,
        "waits": done.waits,
        "crm_failed": done.failed and str(done.failed),
        "key_id": key.key_id,
        "public_key": _private(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex(),
    }
    signed = {**told, "signature": _private(key).sign(_message(told)).hex()}
    directory = session.workspace.settings.certificates_dir()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"retention-{session.now:%Y%m%dT%H%M%SZ}-{str(session.run_id)[:8]}.json"
    path.write_bytes(orjson.dumps(signed, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    return path


def verify_certificate(session: Session, path: Path) -> dict[str, Any]:
    """The certificate of a file, if it is as we signed it; ConfigurationError where a byte of it differs."""
    try:
        content = path.read_bytes()
        told = orjson.loads(content)
        signature = bytes.fromhex(told.pop("signature"))
        key = session.workspace.keys.by_id(KEY_NAME, told["key_id"])
        _private(key).public_key().verify(signature, _message(told))
        whole = {**told, "signature": signature.hex()}
        is_as_written = content == orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
    except OSError:
        raise ConfigurationError(f"There is no certificate at {path}.") from None
    except (orjson.JSONDecodeError, InvalidSignature, AttributeError, KeyError, TypeError, ValueError):
        is_as_written = False
    if not is_as_written:
        raise ConfigurationError(f"{path} is not as it was signed: it was changed, or is not a certificate of ours.")
    return dict(told)


def as_told(done: Retained) -> dict[str, Any]:
    """What a run did, as plain values."""
    told = asdict(replace(done, failed=None))
    return {**told, "crm_removed": dict(done.crm_removed), "failed": done.failed and str(done.failed)}


def _private(key: Key) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.secret)


def _message(told: dict[str, Any]) -> bytes:
    return b"crm-intake retention certificate\n" + orjson.dumps(told, option=orjson.OPT_SORT_KEYS)

"""Manifests beside dropped files, which prove a file whole: `F.sha256`, or `F.manifest.json` with rows and sha256."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from connectors.decoders import decode_rows
from connectors.json_documents import parse_json
from schemas.errors import BatchRefused
from schemas.mappings import Mapping

SUFFIXES = (".sha256", ".manifest.json")
LARGEST = 1 << 16  # bytes of a manifest that are read


def is_manifest(name: str) -> bool:
    """Whether the file is itself a manifest, and so no delivery."""
    return name.endswith(SUFFIXES)


def manifests_of(path: str) -> list[str]:
    """Where the manifests of a file may lie, as SUFFIXES are ordered."""
    return [path + suffix for suffix in SUFFIXES]


def lacks_proof(manifests: Iterable[bytes | None], payload: bytes, *, media_type: str, mapping: Mapping) -> str | None:
    """Why the manifest that the mapping asks for does not prove the file whole; None where it does or none is asked.

    `manifests` are what lies at `manifests_of` the file, None for what does not; read only where one is asked.
    """
    asked = mapping.file.manifest if mapping.file else "none"
    if asked == "none":
        return None
    claims = _claims(*manifests)
    if claims.get(asked) is None:
        return f"a manifest that states its {asked} is missing"
    if claims.get("sha256") not in (None, hashlib.sha256(payload).hexdigest()):
        return "its SHA-256 is not that of its manifest"
    if asked == "rows" and claims["rows"] != _rows(media_type, payload, mapping):
        return "it has not the number of rows that its manifest states"
    return None


def _claims(checksum: bytes | None, document: bytes | None) -> dict[str, Any]:
    claims = _parsed(document) if document else {}
    if checksum and (stated := re.match(rb"[0-9A-Fa-f]{64}\b", checksum)):
        claims["sha256"] = stated[0].decode()
    if isinstance(claims.get("sha256"), str):
        claims["sha256"] = claims["sha256"].lower()
    return claims


def _parsed(document: bytes) -> dict[str, Any]:
    try:
        claims = parse_json(document)
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _rows(media_type: str, payload: bytes, mapping: Mapping) -> int | None:
    try:
        return len(decode_rows(media_type, payload, mapping))
    except BatchRefused:
        return None

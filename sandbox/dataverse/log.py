"""The log of requests: what came, what was answered, whether it was kept. Bodies are parsed when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

_HEADERS_KEPT = (
    "prefer",
    "content-type",
    "if-match",
    "if-none-match",
    "user-agent",
    "cookie",
    "consistency",
    "callerobjectid",
)
_PREFIXES_KEPT = ("mscrm", "x-ms-", "odata-")


class RequestLog:
    """Entries in the order in which requests were taken up; `sequence` goes on after a clear, not after a restart."""

    def __init__(self, path: Path | None = None) -> None:
        self.sequence = 0
        self._entries: list[dict[str, Any]] = []
        self._path = path

    def begin(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Takes an entry in as the request arrives, so that one that never ends is seen too."""
        self.sequence += 1
        entry["sequence"] = self.sequence
        entry["headers"] = kept_headers(entry["headers"])
        self._entries.append(entry)
        return entry

    def end(self, entry: dict[str, Any], **outcome: Any) -> None:
        entry.update(outcome)
        if self._path is not None:
            with self._path.open("ab") as out:
                out.write(orjson.dumps(readable(entry)) + b"\n")

    def since(self, sequence: int) -> list[dict[str, Any]]:
        """Entries after a sequence number, with bodies as JSON where they are JSON."""
        return [readable(entry) for entry in self._entries if entry["sequence"] > sequence]

    def clear(self) -> None:
        self._entries.clear()


def kept_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers worth asserting on; never the token."""
    return {name: value for name, value in headers.items() if name in _HEADERS_KEPT or name.startswith(_PREFIXES_KEPT)}


def readable(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry as JSON can carry it."""
    shown = {**entry, "body": _parsed(entry["body"], entry.get("headers", {}))}
    if "operations" in entry:
        shown["operations"] = [
            {**readable(operation), "headers": kept_headers(operation["headers"])} for operation in entry["operations"]
        ]
    return shown


def _parsed(body: bytes, headers: dict[str, str]) -> Any:
    if not body or headers.get("content-type", "").startswith("multipart/"):
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")

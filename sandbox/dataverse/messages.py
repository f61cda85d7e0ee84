"""What goes in and comes out of the core: a call and its answer, and the few header readings that all share."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from .columns import SYSTEM_USER
from .refusals import Refused, payload_error

_ETAG = re.compile(r'^(?:W/)?"(\d+)"$')


@dataclass(frozen=True)
class Caller:
    """Who asks: the user whose name rows carry, and the one that acted for them, if any.

    One that is trusted needs no privileges; one that detects duplicates is refused a row that a published rule finds.
    """

    user_id: str = SYSTEM_USER
    acting_user_id: str | None = None
    trusted: bool = False
    detects_duplicates: bool = False


@dataclass
class Call:
    """One request to the Web API. `path` is below the base path, percent-encoded; header names are lower case."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    caller: Caller = field(default_factory=Caller)
    base_url: str = ""
    is_inner: bool = False

    def json(self) -> dict[str, Any]:
        """The body as an object; Refused when it is not one."""
        try:
            parsed = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise payload_error("the JSON could not be parsed") from None
        if not isinstance(parsed, dict):
            raise payload_error("a JSON object is expected")
        return parsed

    @property
    def prefer(self) -> str:
        return self.headers.get("prefer", "")

    @property
    def wants_representation(self) -> bool:
        return "return=representation" in self.prefer

    @property
    def annotations(self) -> str:
        """The annotations asked for: `*`, a comma-separated list, or nothing."""
        found = re.search(r'odata\.include-annotations\s*=\s*(?:"([^"]*)"|([^,;\s]+))', self.prefer)
        return (found.group(1) or found.group(2) or "") if found else ""

    def precondition(self, header: str) -> str | int | None:
        """`*`, a version number, or None where the header is absent or the literal `null`."""
        value = self.headers.get(header, "").strip()
        if value in ("", "null"):
            return None
        if value == "*":
            return value
        found = _ETAG.match(value)
        if not found:
            raise Refused(400, "0x80060881", f"The value of the {header} header is not a valid ETag.")
        return int(found.group(1))


@dataclass
class Answer:
    """The response: `inner` lists the operations of a batch, `rows` is what the latency model charges for."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    code: str | None = None
    rows: int = 1
    committed: bool = False
    inner: list[dict[str, Any]] = field(default_factory=list)


JSON = "application/json; odata.metadata=minimal; odata.streaming=true"


def answer_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, {"Content-Type": JSON, **(headers or {})}, orjson.dumps(value))


def answer_refused(refused: Refused, call: Call) -> Answer:
    answer = answer_json(refused.body(bool(call.annotations)), refused.status)
    answer.code = refused.code
    return answer

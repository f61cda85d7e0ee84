"""The multipart/mixed form of a batch: taking it apart strictly, putting an answer together. No execution here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus

from .messages import Answer
from .refusals import Refused, invalid

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


@dataclass
class Part:
    """One part: its own headers (lower-case names) and its content."""

    headers: dict[str, str]
    content: bytes


@dataclass
class InnerRequest:
    """The HTTP request inside a part."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_id: str | None = None


def unreadable() -> Refused:
    return invalid("Stream was not readable.", "0x80048d19")


def boundary_of(content_type: str) -> str | None:
    """The boundary where the type is multipart/mixed, else None."""
    if not content_type.lower().startswith("multipart/mixed"):
        return None
    found = _BOUNDARY.search(content_type)
    return (found.group(1) or found.group(2)) if found else None


def split_parts(body: bytes, boundary: str) -> list[Part]:
    """The parts between boundaries; Refused where a structural line does not end in CRLF or the end is missing."""
    delimiter = b"\r\n--" + boundary.encode()
    pieces = (b"\r\n" + body).split(delimiter)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--\r\n"):
        raise unreadable()
    return [_part(piece) for piece in pieces[1:-1]]


def read_request(part: Part) -> InnerRequest:
    """The request line, headers and body of an application/http part."""
    if not part.headers.get("content-type", "").lower().startswith("application/http"):
        raise unreadable()
    line, _, rest = part.content.partition(b"\r\n")
    words = line.decode("latin-1").split(" ")
    if b"\n" in line or len(words) != 3 or not words[2].startswith("HTTP/"):
        raise unreadable()
    headers, body = _headers_and_rest(rest)
    return InnerRequest(words[0], words[1], headers, body, part.headers.get("content-id"))


def write_response(answer: Answer, content_id: str | None, request_id: str) -> bytes:
    """One application/http part of an answer."""
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        lines.append(f"Content-ID: {content_id}")
    reason = HTTPStatus(answer.status).phrase
    headers = {**answer.headers, "OData-Version": "4.0"}
    if answer.status >= 400:
        headers["REQ_ID"] = request_id
    lines += [
        "",
        f"HTTP/1.1 {answer.status} {reason}",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + answer.body


def join_parts(parts: list[bytes], boundary: str) -> bytes:
    delimiter = f"--{boundary}".encode()
    return b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts) + delimiter + b"--\r\n"


def _part(piece: bytes) -> Part:
    if not piece.startswith(b"\r\n"):
        raise unreadable()
    headers, content = _headers_and_rest(piece[2:])
    return Part(headers, content)


def _headers_and_rest(text: bytes) -> tuple[dict[str, str], bytes]:
    if text.startswith(b"\r\n"):
        return {}, text[2:]
    head, _, rest = text.partition(b"\r\n\r\n")
    headers = {}
    for line in head.removesuffix(b"\r\n").split(b"\r\n") if head else ():
        name, colon, value = line.partition(b":")
        if not colon or b"\n" in line:
            raise unreadable()
        headers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
    return headers, rest

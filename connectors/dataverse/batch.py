"""The multipart bodies of `$batch`, without I/O: builds the request, takes the answer apart.

Operations are independent (`Prefer: odata.continue-on-error`), one answer each, in order.
https://learn.microsoft.com/power-apps/developer/data-platform/webapi/execute-batch-operations-using-web-api
"""

import itertools
import re
from collections.abc import Sequence

from connectors.dataverse.odata import Answer, Request

CRLF = b"\r\n"
MAX_OPERATIONS = 1000

_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})\b[^\r\n]*")
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


def build_batch(operations: Sequence[Request], *, api_path: str, boundary: str, label: str) -> Request:
    """One `$batch` of up to 1000 operations; `api_path` is the absolute path of the service root.

    Every line ends in CRLF, the last one too: the server refuses the whole batch otherwise (0x80048d19).
    """
    if not 1 <= len(operations) <= MAX_OPERATIONS:
        raise ValueError("A $batch takes 1 to 1000 operations.")
    lines: list[bytes] = []
    for operation in operations:
        lines += [b"--" + boundary.encode("ascii"), *_part_lines(operation, api_path)]
    lines += [b"--" + boundary.encode("ascii") + b"--", b""]
    headers = (
        ("Content-Type", f'multipart/mixed; boundary="{boundary}"'),
        ("Prefer", "odata.continue-on-error"),
    )
    return Request("POST", "$batch", label, headers, CRLF.join(lines))


def parse_batch(answer: Answer) -> list[Answer | None]:
    """The answers of a batch in the order of its operations.

    None stands for a part that cannot be read. A part that no delimiter follows was cut and is left out, with all that
    would have come after it; an answer that is no multipart has no parts. Whoever has no answer is unresolved.
    """
    boundary = _boundary(answer.header("Content-Type"))
    if boundary is None:
        return []
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    marks = list(delimiter.finditer(answer.body))
    parts: list[Answer | None] = []
    for mark, following in itertools.pairwise(marks):
        if mark.group(1):
            break
        parts.append(_parse_part(answer.body[mark.end() : following.start()]))
    return parts


def _part_lines(operation: Request, api_path: str) -> list[bytes]:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary", ""]
    lines.append(f"{operation.method} {api_path}{operation.target} HTTP/1.1")
    lines += [f"{name}: {value}" for name, value in operation.headers]
    return [*(line.encode("ascii") for line in lines), b"", operation.body or b""]


def _boundary(content_type: str | None) -> bytes | None:
    found = _BOUNDARY.search(content_type or "")
    if found is None or not (content_type or "").lower().lstrip().startswith("multipart/mixed"):
        return None
    return (found.group(1) or found.group(2)).encode("latin-1", "replace")


def _parse_part(part: bytes) -> Answer | None:
    _, _, message = _split_head(part.lstrip(b"\r\n"))
    head, has_end, body = _split_head(message.lstrip(b"\r\n"))
    lines = head.splitlines()
    status = _STATUS_LINE.fullmatch(lines[0].strip()) if lines else None
    if status is None or not has_end:
        return None
    pairs = (line.partition(b":") for line in lines[1:])
    headers = {name.strip().decode("latin-1"): value.strip().decode("latin-1") for name, _, value in pairs}
    return Answer(int(status.group(1)), headers, body.strip(b"\r\n"))


def _split_head(message: bytes) -> tuple[bytes, bool, bytes]:
    """Head, whether a blank line ended it, and the rest."""
    found = re.search(rb"\r?\n\r?\n", message)
    if found is None:
        # An answer without headers or body may end right after its last line.
        return message, message.endswith(b"\n") or bool(_STATUS_LINE.fullmatch(message.strip())), b""
    return message[: found.start()], True, message[found.end() :]

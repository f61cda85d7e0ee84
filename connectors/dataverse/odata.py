"""The OData protocol of the Dataverse Web API, without I/O: builds requests and deciphers answers.

No sending (wire.py), no retrying (sender.py), no judging of errors (classify.py), no multipart (batch.py).
Vendor's reference: https://learn.microsoft.com/power-apps/developer/data-platform/webapi/overview
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import quote

import orjson

from connectors.dataverse.contract import Row, TableName, canonical_id
from schemas.errors import CrmRowRefused

Headers = tuple[tuple[str, str], ...]

CONSTANT_HEADERS: Headers = (
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip"),
    ("OData-MaxVersion", "4.0"),
    ("OData-Version", "4.0"),
    ("User-Agent", "crm-intake"),
)
JSON_CONTENT: Headers = (("Content-Type", "application/json"),)
# The literal word: "do not answer from a cache". It is not a precondition.
NO_CACHE: Headers = (("If-None-Match", "null"),)
MAX_PAGE_ROWS = 5000
UNREADABLE_CODE = "unreadable"

_PLAIN = frozenset({str, int, bool, type(None)})
_DECIMAL = re.compile(r"-?[0-9]{1,10}")
_CODE = re.compile(r"[0-9a-z_-]{0,40}")


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `target` is relative to the service root, or a whole link that the server gave.

    `label` names it in logs and messages: no key, no query, no value.
    """

    method: str
    target: str
    label: str
    headers: Headers = ()
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, whole; header names are matched without regard to case. `elapsed_s`: since its request was sent."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    elapsed_s: float = field(default=0.0, compare=False)

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        if (value := self.headers.get(name)) is not None:
            return value
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)

    @property
    def request_id(self) -> str | None:
        """The server's name for the request, else the one we gave it."""
        names = ("x-ms-service-request-id", "REQ_ID", "x-ms-client-request-id")
        return next((value for name in names if (value := self.header(name))), None)

    @property
    def error_code(self) -> str | None:
        """The error code as lower-case hexadecimal, `""` as such, None where the body holds none (HTML, empty, cut)."""
        try:
            error = orjson.loads(self.body)["error"]
            return normalise_code(error["code"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None

    @property
    def dop_hint(self) -> int | None:
        """The degree of parallelism that the server recommends, or None."""
        value = self.header("x-ms-dop-hint") or ""
        return max(1, int(value)) if value.isascii() and value.isdigit() else None


class UnreadableAnswer(Exception):
    """A successful status with a body that cannot be read (cut or not JSON); stays inside this package."""


def normalise_code(code: object) -> str:
    """`0x80044150` for `0x80044150`, `"-2147204784"` and -2147204784 alike; other single words in lower case.

    Codes are stored and logged, so whatever is no short word, a message for instance, is not handed on.
    """
    text = str(code).strip().lower()
    if _DECIMAL.fullmatch(text):
        return f"0x{int(text) & 0xFFFFFFFF:x}"
    return text if _CODE.fullmatch(text) else UNREADABLE_CODE


def read_object(answer: Answer) -> dict[str, object]:
    """The JSON object of a successful answer; `UnreadableAnswer` otherwise."""
    try:
        content = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise UnreadableAnswer from None
    if not isinstance(content, dict):
        raise UnreadableAnswer
    return content


def read_rows(content: Mapping[str, object]) -> list[dict[str, object]]:
    """The `value` array of a collection; `UnreadableAnswer` where there is none."""
    rows = content.get("value")
    if not isinstance(rows, list):
        raise UnreadableAnswer
    return rows


def encode_body(content: Mapping[str, object]) -> bytes:
    """JSON as the server takes it: times to the second with their offset, decimals exact, False and 0 kept.

    `CrmRowRefused` for what JSON cannot carry: NaN would become null and clear a column, a lone surrogate has no UTF-8.
    """
    if _has_non_finite(content):
        raise CrmRowRefused(
            "A row holds a number that is not finite. Remedy: leave the column out, or clear it with None."
        )
    options = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
    try:
        return orjson.dumps(content, default=_exact_decimal, option=options)
    except TypeError:
        raise CrmRowRefused(
            "A row holds a value that JSON cannot carry. Remedy: validate rows before sending."
        ) from None


def entity_path(table: TableName, row_id: str) -> str:
    """`contacts(00000000-...)`: addressed by primary key, so no address or name is ever in a URL."""
    return f"{table.entity_set}({row_id})"


def upsert_target(table: TableName, row: Row) -> bytes:
    """One row as a target of UpsertMultiple, by primary key.

    The key stands in `@odata.id` only: with the column in the body too, the server's create path fails.
    """
    target: dict[str, object] = {column: value for column, value in row.items() if column != table.primary_key}
    target["@odata.type"] = f"Microsoft.Dynamics.CRM.{table.logical_name}"
    target["@odata.id"] = entity_path(table, canonical_id(row.get(table.primary_key)))
    return encode_body(target)


def upsert_multiple(table: TableName, targets: Sequence[bytes], *, headers: Headers = ()) -> Request:
    """UpsertMultiple of targets, all or nothing."""
    return Request(
        "POST",
        f"{table.entity_set}/Microsoft.Dynamics.CRM.UpsertMultiple",
        f"UpsertMultiple {table.entity_set}",
        JSON_CONTENT + headers,
        b'{"Targets":[' + b",".join(targets) + b"]}",
    )


def member_target(contact_id: str) -> bytes:
    """A contact as a member of AddListMembersList."""
    return encode_body({"contactid": contact_id, "@odata.type": "Microsoft.Dynamics.CRM.contact"})


def add_list_members(list_id: str, members: Sequence[bytes], *, headers: Headers = ()) -> Request:
    """AddListMembersList: contacts onto a static list; to be repeated at will."""
    named = encode_body({"listid": list_id, "@odata.type": "Microsoft.Dynamics.CRM.list"})
    body = b'{"List":' + named + b',"Members":[' + b",".join(members) + b"]}"
    return Request("POST", "AddListMembersList", "AddListMembersList", JSON_CONTENT + headers, body)


def upsert(table: TableName, row: Row, *, headers: Headers = ()) -> Request:
    """PATCH without a precondition: creates the row or overwrites its columns."""
    body = {column: value for column, value in row.items() if column != table.primary_key}
    path = entity_path(table, canonical_id(row.get(table.primary_key)))
    return Request("PATCH", path, f"PATCH {table.entity_set}", JSON_CONTENT + headers, encode_body(body))


def update(table: TableName, row: Row, *, if_match: str, headers: Headers = ()) -> Request:
    """PATCH of an existing row; `if_match` is its ETag, or `*` for whatever version is there."""
    if not if_match or not if_match.isascii() or not if_match.isprintable():
        raise CrmRowRefused("An update has no usable ETag. Remedy: read the row first.")
    return upsert(table, row, headers=(("If-Match", if_match), *headers))


def delete(table: TableName, row_id: str, *, headers: Headers = ()) -> Request:
    """DELETE of one row."""
    return Request("DELETE", entity_path(table, row_id), f"DELETE {table.entity_set}", headers)


def delete_change_history(table: TableName, row_id: str) -> Request:
    """DeleteRecordChangeHistory of one row; to be repeated at will, for a second time it finds nothing."""
    target = {"@odata.type": f"Microsoft.Dynamics.CRM.{table.logical_name}", table.primary_key: canonical_id(row_id)}
    body = encode_body({"Target": target})
    return Request("POST", "DeleteRecordChangeHistory", "DeleteRecordChangeHistory", JSON_CONTENT, body)


def read(path: str, query: Mapping[str, str], *, prefer: Sequence[str] = (), label: str) -> Request:
    """GET with system query options; the values are percent-encoded here, once."""
    options = "&".join(f"{name}={quote(value, safe=',')}" for name, value in query.items())
    return Request("GET", f"{path}?{options}" if options else path, label, NO_CACHE + _prefer(prefer))


def follow(link: str, *, prefer: Sequence[str] = (), label: str) -> Request:
    """GET of a nextLink or deltaLink as it stands: decoding and encoding it again breaks the paging cookie.

    urllib3 still writes the hexadecimal digits of an escape in upper case (`%2f` as `%2F`), which means the same.
    """
    return Request("GET", link, label, NO_CACHE + _prefer(prefer))


def in_filter(column: str, values: Iterable[str]) -> str:
    """`Microsoft.Dynamics.CRM.In(...)`, which has no limit of 500 conditions as a chain of `or` has."""
    listed = ",".join(string_literal(value) for value in values)
    return f"Microsoft.Dynamics.CRM.In(PropertyName='{column}',PropertyValues=[{listed}])"


def string_literal(value: str) -> str:
    """An OData string literal: single quotes, doubled inside."""
    return "'" + value.replace("'", "''") + "'"


def _prefer(preferences: Sequence[str]) -> Headers:
    return (("Prefer", ",".join(preferences)),) if preferences else ()


def _has_non_finite(content: Mapping[str, object]) -> bool:
    # Plain types first: this is asked of every value that is sent.
    for value in content.values():
        if type(value) in _PLAIN:
            continue
        if isinstance(value, Mapping):
            inner: Mapping[str, object] = value
        elif isinstance(value, list | tuple):
            inner = dict(enumerate(value))  # type: ignore[arg-type]
        elif isinstance(value, float) and not math.isfinite(value):
            return True
        else:
            continue
        if _has_non_finite(inner):
            return True
    return False


def _exact_decimal(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format(value, "f"))
    raise TypeError

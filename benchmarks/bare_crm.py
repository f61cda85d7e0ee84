"""What a bare CRM does with requests: keeps rows in dicts, knows bulk upserts, batches and reads by key. No network, no rules.

It has the wire form of the Web API and none of its validation, so that its own time hides nobody's: the emulator
(sandbox.dataverse) checks every row and would be the limit of a fast client.
"""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import orjson

from sandbox.dataverse.messages import Answer, answer_json
from sandbox.dataverse.multipart import boundary_of, join_parts, read_request, split_parts, write_response

API = "/api/data/v9.2/"
REFUSED_CONTACT, REFUSED_CONSENT = "refused.contact.", "refused.consent."
_POISON = {"contacts": ("emailaddress1", REFUSED_CONTACT)} | {
    "msdynmkt_contactpointconsent4s": ("msdynmkt_contactpointvalue", REFUSED_CONSENT)
}
_ORGANISATION = "00000000-0000-0000-0000-0000000000b1"
_TARGET = re.compile(r"(\w+)\((.+)\)")
_VALUES = re.compile(r"PropertyValues=\[(.*)\]")
_BOUND = re.compile(r"\(([^()]+)\)")
_LOGICAL = re.compile(r"LogicalName\s*eq\s*'(\w+)'")


@dataclass(frozen=True, slots=True)
class Work:
    """A request as it came; `path` is decoded, `query` is not."""

    method: str
    path: str
    query: str
    content_type: str
    body: bytes


@dataclass
class BareCrm:
    """Rows by entity set and key. A row whose address begins with REFUSED_CONTACT or REFUSED_CONSENT is refused in its
    own table, and with it the whole bulk call that it comes in. What is written is listed in `written`, by set, key and
    columns, once `keep` has given it rows to begin with.
    """

    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    written: list[tuple[str, str, list[str]]] | None = None
    _versions: itertools.count = field(default_factory=lambda: itertools.count(1000))

    def keep(self, rows: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
        """Hold rows from the start: set, key, columns."""
        for set_name, key, columns in rows:
            self._put(set_name, key, columns)
        self.written = []

    def answer(self, work: Work) -> Answer:
        """The answer to a request, with `rows` the number of rows it had."""
        path = work.path.removeprefix(API)
        if work.method == "POST" and path == "$batch":
            return self._batch(work)
        if work.method == "POST" and path.endswith(".UpsertMultiple"):
            return self._upsert(path.partition("/")[0], orjson.loads(work.body)["Targets"])
        if work.method == "GET":
            return self._read(path, parse_qs(work.query))
        return _refusal(501, "0x80040800")

    def _upsert(self, set_name: str, targets: list[dict[str, Any]]) -> Answer:
        """All of the targets or none."""
        if any(_is_refused(set_name, target) for target in targets):
            answer = _refusal(400, "0x80040265")
        else:
            for target in targets:
                self._put(set_name, _key_of(target["@odata.id"]), target)
            answer = Answer(204)
        answer.rows = len(targets)
        return answer

    def _put(self, set_name: str, key: str, columns: dict[str, Any]) -> None:
        row = self.rows.setdefault(set_name, {}).setdefault(key, {})
        row.update(_as_kept(name, value) for name, value in columns.items() if name[0] != "@")
        row["@odata.etag"] = f'W/"{next(self._versions)}"'
        if self.written is not None:
            self.written.append((set_name, key, sorted(name for name in columns if name[0] != "@")))

    def _batch(self, work: Work) -> Answer:
        """Independent operations, each with an answer of its own."""
        parts = split_parts(work.body, boundary_of(work.content_type) or "")
        boundary = f"batchresponse_{uuid4()}"
        answers = [write_response(self._operation(read_request(part)), None, boundary) for part in parts]
        headers = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
        answer = Answer(200, headers, join_parts(answers, boundary))
        answer.rows = len(parts)
        return answer

    def _operation(self, request: Any) -> Answer:
        """A PATCH of one row: with If-Match only of the version named, without it an upsert."""
        found = _TARGET.fullmatch(request.url.rpartition(API)[2])
        if request.method != "PATCH" or found is None:
            return _refusal(501, "0x80040800")
        set_name, key = found.group(1), found.group(2).lower()
        columns, condition = orjson.loads(request.body), request.headers.get("if-match")
        row = self.rows.get(set_name, {}).get(key)
        if condition is not None and row is None:
            return _refusal(404, "0x80040217")
        if condition not in (None, "*") and row is not None and row["@odata.etag"] != condition:
            return _refusal(412, "0x80060882")
        if _is_refused(set_name, columns):
            return _refusal(400, "0x80040265")
        self._put(set_name, key, columns)
        return Answer(204)

    def _read(self, path: str, query: dict[str, list[str]]) -> Answer:
        if path == "EntityDefinitions":
            return answer_json({"value": [_definition(_LOGICAL.search(query["$filter"][0]))]})
        if path.startswith("EntityDefinitions"):
            return answer_json({"value": []})
        if path == "WhoAmI":
            return answer_json({"UserId": str(uuid4()), "OrganizationId": _ORGANISATION})
        listed = _VALUES.search(query.get("$filter", [""])[0])
        keys = [key.strip("'").lower() for key in listed.group(1).split(",")] if listed else []
        columns = query.get("$select", [""])[0].split(",")
        found = [(key, row) for key in keys if (row := self.rows.get(path, {}).get(key))]
        answer = answer_json({"value": [_shown(path, key, row, columns) for key, row in found]})
        answer.rows = len(found)
        return answer


def _shown(set_name: str, key: str, row: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    values = {name: row.get(name) for name in columns}
    return {**values, f"{set_name[:-1]}id": key, "@odata.etag": row["@odata.etag"]}


def _definition(found: re.Match[str] | None) -> dict[str, str]:
    name = found.group(1) if found else ""
    return {"LogicalName": name, "EntitySetName": f"{name}s", "PrimaryIdAttribute": f"{name}id", "MetadataId": name}


def _key_of(reference: str) -> str:
    found = _TARGET.search(reference)
    return (found.group(2) if found else reference).lower()


def _as_kept(name: str, value: Any) -> tuple[str, Any]:
    """A column as it is read back: a bind becomes the bound row's id."""
    navigation, bind, _ = name.partition("@odata.bind")
    if not bind:
        return name, value
    bound = _BOUND.search(str(value))
    return f"_{navigation.lower()}_value", bound.group(1).lower() if bound else None


def _is_refused(set_name: str, columns: dict[str, Any]) -> bool:
    column, beginning = _POISON.get(set_name, ("", ""))
    return str(columns.get(column, "")).startswith(beginning) if column else False


def _refusal(status: int, code: str) -> Answer:
    return answer_json({"error": {"code": code, "message": "Refused."}}, status)

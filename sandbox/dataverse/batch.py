"""Running a `$batch`: its requests in order, its change sets as one transaction each."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from .messages import Answer, Call, answer_refused
from .multipart import (
    InnerRequest,
    Part,
    boundary_of,
    join_parts,
    read_request,
    split_parts,
    unreadable,
    write_response,
)
from .refusals import Refused, invalid
from .state import Store
from .urls import BASE_PATH

MOST_REQUESTS = 1000
_REFERENCE = re.compile(r"\$(\d+)")
Handle = Callable[[Call], Answer]


class _FailedError(Exception):
    """A request of a change set failed: the set rolls back and answers with this alone."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class Batch:
    """One `$batch` call: `run` gives the outer answer, with all inner operations listed for the log."""

    def __init__(self, store: Store, call: Call, handle: Handle) -> None:
        self.store = store
        self.call = call
        self.handle = handle
        self.operations: list[dict[str, Any]] = []
        self.rows = 0

    def run(self) -> Answer:
        boundary = boundary_of(self.call.headers.get("content-type", ""))
        if boundary is None:
            raise invalid("A batch needs a multipart/mixed content type with a boundary.", "0x80048d19")
        units = [_unit(part) for part in split_parts(self.call.body, boundary)]
        if sum(len(unit) if isinstance(unit, list) else 1 for unit in units) > MOST_REQUESTS:
            raise invalid(f"The batch exceeds the limit of {MOST_REQUESTS} requests.", "0x80060888")
        go_on = "odata.continue-on-error" in self.call.prefer
        parts, status = [], 200
        for unit in units:
            part, failed = self._run_set(unit) if isinstance(unit, list) else self._run_one(unit)
            parts.append(part)
            if failed and not go_on:
                status = failed
                break
        return self._answer(parts, status)

    def _answer(self, parts: list[bytes], status: int) -> Answer:
        boundary = f"batchresponse_{uuid4()}"
        content_type = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
        code = next((operation["code"] for operation in self.operations if operation["code"]), None)
        return Answer(status, content_type, join_parts(parts, boundary), code, self.rows, inner=self.operations)

    def _run_one(self, request: InnerRequest) -> tuple[bytes, int]:
        answer = self._execute(request, {}, None)
        return write_response(answer, request.content_id, str(uuid4())), answer.status if answer.status >= 400 else 0

    def _run_set(self, requests: list[InnerRequest]) -> tuple[bytes, int]:
        set_id, parts = str(uuid4()), []
        references: dict[str, str] = {}
        begun = len(self.operations)
        try:
            with self.store.transaction():
                for request in requests:
                    answer = self._execute(request, references, set_id)
                    if answer.status >= 400:
                        raise _FailedError(answer)
                    if request.content_id is not None:
                        references[f"${request.content_id}"] = answer.headers.get("OData-EntityId", "")
                    parts.append(write_response(answer, request.content_id, str(uuid4())))
        except _FailedError as failed:
            for operation in self.operations[begun:]:
                operation["committed"] = False
            return write_response(failed.answer, None, str(uuid4())), failed.answer.status
        boundary = f"changesetresponse_{set_id}"
        head = f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode()
        return head + join_parts(parts, boundary), 0

    def _execute(self, request: InnerRequest, references: dict[str, str], set_id: str | None) -> Answer:
        before = self.store.version
        try:
            call = self._inner_call(request, references)
        except Refused as refused:
            answer = answer_refused(refused, self.call)
            call = Call(request.method, request.url, headers=request.headers, body=request.body)
        else:
            answer = self.handle(call)
        self.rows += answer.rows
        entry = {"method": call.method, "path": call.path, "query": call.query, "headers": call.headers}
        outcome = {"status": answer.status, "code": answer.code, "change_set": set_id}
        committed = answer.status < 400 and self.store.version > before
        self.operations.append({**entry, "body": call.body, **outcome, "committed": committed})
        return answer

    def _inner_call(self, request: InnerRequest, references: dict[str, str]) -> Call:
        path, query = _relative(_referenced(request.url, references))
        if path.startswith("$batch"):
            raise invalid("A batch request cannot contain another batch request.", "0x80048d19")
        body = request.body
        if b"$" in body and b"@odata." in body:
            body = _referenced_body(body, references)
        caller, base_url = self.call.caller, self.call.base_url
        return Call(request.method, path, query, request.headers, body, caller, base_url, is_inner=True)


def _unit(part: Part) -> InnerRequest | list[InnerRequest]:
    """A single request, or the requests of a change set; Refused for a GET or another set inside a set."""
    boundary = boundary_of(part.headers.get("content-type", ""))
    if boundary is None:
        return read_request(part)
    requests = [read_request(inner) for inner in split_parts(part.content + b"\r\n", boundary)]
    if any(request.method == "GET" for request in requests):
        raise invalid("A GET request is not allowed in a change set.", "0x80048d19")
    if any(request.content_id is None for request in requests):
        raise unreadable()
    return requests


def _relative(url: str) -> tuple[str, str]:
    """Path below the base path, and query, of an absolute or relative inner URL."""
    parts = urlsplit(url)
    return parts.path.removeprefix(BASE_PATH).lstrip("/"), parts.query


def _referenced(url: str, references: dict[str, str]) -> str:
    found = _REFERENCE.match(url.lstrip("/"))
    return _target(found.group(0), references) + url.lstrip("/")[found.end() :] if found else url


def _referenced_body(body: bytes, references: dict[str, str]) -> bytes:
    """Binds such as `"x@odata.bind": "$1"` with the row that the request made."""
    return re.sub(
        rb'(@odata\.(?:bind|id)"\s*:\s*")/?(\$\d+)"',
        lambda found: found.group(1) + _target(found.group(2).decode(), references).encode() + b'"',
        body,
    )


def _target(reference: str, references: dict[str, str]) -> str:
    if not references.get(reference):
        message = f"Content-ID Reference: '{reference}' does not exist in the batch context."
        raise invalid(message, "0x80060888")
    return references[reference]

"""The ASGI shell: bytes to calls and answers to bytes, tokens, limits, faults and the log around the pure service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from .control import PREFIX, answer_control
from .environment import user_id_of
from .faults import Fault, struck_answer
from .messages import Answer, Call, Caller, answer_json
from .options import ClientOptions
from .sandbox import Sandbox
from .urls import BASE_PATH

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_NOT_A_MEMBER = {"error": {"code": "0x80072560", "message": "The user is not a member of the organization."}}
_UNKNOWN_CALLER = {"error": {"code": "0x80040217", "message": "The user to act on behalf of does not exist."}}


class Application:
    """The ASGI application of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _read_body(receive)
        path = scope["raw_path"].decode("latin-1")
        if path.startswith(BASE_PATH):
            await _Exchange(self.sandbox, scope, receive, send).run(body)
        else:
            await self._answer_other(scope, receive, send, body)

    async def _answer_other(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        """The control API, and the authority with the faults that are ordered for it."""
        path = scope["raw_path"].decode("latin-1")
        strike, method = self.sandbox.faults.strike, scope["method"]
        fault = None if path.startswith(PREFIX) else strike(method, path, body, target="authority")
        if fault is not None and fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault is not None and fault.kind == "cut":
            await _cut(receive)
        elif fault is not None and fault.kind != "slow":
            await _send(send, struck_answer(fault, ""))
        else:
            await _send(send, self._other(scope, path, body))

    def _other(self, scope: Scope, path: str, body: bytes) -> Answer:
        """The control API and the authority."""
        method, query = scope["method"], scope["query_string"].decode("latin-1")
        if path.startswith(PREFIX):
            if (scope.get("client") or ("",))[0] not in _LOOPBACK:
                return Answer(403)
            return answer_control(self.sandbox, method, path, query, body)
        headers = _headers(scope)
        answer = self.sandbox.authority.answer(method, path, body, f"{scope['scheme']}://{headers.get('host', '')}")
        return answer or answer_json({"error": {"code": "", "message": "Not found."}}, 404)


class _Exchange:
    """One request to the Web API, from its bytes to the answer on the socket."""

    def __init__(self, sandbox: Sandbox, scope: Scope, receive: Receive, send: Send) -> None:
        self.sandbox = sandbox
        self.scope = scope
        self.receive = receive
        self.send = send
        self.headers = _headers(scope)
        self.origin = f"{scope['scheme']}://{self.headers.get('host', '')}"
        self.path = scope["raw_path"].decode("latin-1").removeprefix(BASE_PATH)
        self.client: ClientOptions | None = None
        self.request_id = str(uuid4())

    async def run(self, body: bytes) -> None:
        method, query = self.scope["method"], self.scope["query_string"].decode("latin-1")
        self.client = self.sandbox.authority.client_of(self.headers.get("authorization", ""))
        call = Call(method, self.path, query, self.headers, body, base_url=f"{self.origin}{BASE_PATH}")
        entry = self.sandbox.log.begin(self._entry(call))
        fault = self.sandbox.faults.strike(method, self.path, body)
        if fault is not None and not fault.after_commit:
            await asyncio.sleep(fault.delay_ms / 1000)
        answer = await self._answer(call, fault)
        outcome: dict[str, Any] = {
            "status": answer.status,
            "code": answer.code,
            "committed": answer.committed,
            "rows": answer.rows,
        }
        if answer.inner:
            outcome["operations"] = answer.inner
        self.sandbox.log.end(entry, **outcome, fault=fault.kind if fault else None)
        if fault is not None and fault.after_commit:
            await asyncio.sleep(fault.delay_ms / 1000)
        await self._deliver(answer, fault)

    async def _answer(self, call: Call, fault: Fault | None) -> Answer:
        """The true answer, or what a fault puts in its place before or after the work."""
        if fault is not None and not fault.after_commit and fault.kind not in ("slow", "truncate", "cut_mid_body"):
            return struck_answer(fault, self._challenge())
        answer = await self._admitted(call)
        if fault is not None and fault.after_commit and fault.kind not in ("slow", "cut"):
            struck = struck_answer(fault, self._challenge())
            struck.committed, struck.inner, struck.rows = answer.committed, answer.inner, answer.rows
            return struck
        return answer

    async def _admitted(self, call: Call) -> Answer:
        if self.client is None:
            return Answer(401, {"WWW-Authenticate": self._challenge()})
        if not self._is_member(self.client):
            return answer_json(_NOT_A_MEMBER, 403)
        limit = self.sandbox.options.max_body_bytes
        if limit is not None and len(call.body) > limit:
            return Answer(413)
        caller = self._caller(self.client)
        if caller is None:
            return answer_json(_UNKNOWN_CALLER, 403)
        call.caller = caller
        return await self._within_limits(call, self.client.client_id)

    async def _within_limits(self, call: Call, user: str) -> Answer:
        sandbox, options = self.sandbox, self.sandbox.options
        server = sandbox.throttle.server_for(self.headers.get("cookie", ""))
        refused = sandbox.throttle.admit(user, server)
        if refused is not None:
            return refused
        worked_ms = options.latency_ms_per_request
        try:
            answer = sandbox.service.handle(call)
            worked_ms += options.latency_ms_per_row * answer.rows
            if worked_ms:
                await asyncio.sleep(worked_ms / 1000)
        finally:
            remaining = sandbox.throttle.finish(user, server, worked_ms)
        answer.headers.update(remaining)
        answer.headers["Set-Cookie"] = f"ARRAffinity=server-{server}; path=/; HttpOnly"
        answer.headers["x-ms-dop-hint"] = str(options.dop_hint)
        return answer

    def _is_member(self, client: ClientOptions) -> bool:
        """Whether the client has an application user here that is not disabled."""
        user = self.sandbox.store.data["systemuser"].rows.get(user_id_of(client.client_id))
        return client.is_member and user is not None and not user.get("isdisabled")

    def _caller(self, client: ClientOptions) -> Caller | None:
        """The application user, or the user it acts for; None where there is no such user."""
        own = user_id_of(client.client_id)
        wanted = self.headers.get("callerobjectid") or self.headers.get("mscrmcallerid")
        if not wanted:
            return Caller(own)
        known = wanted.lower() in self.sandbox.store.data["systemuser"].rows
        return Caller(wanted.lower(), own) if known else None

    async def _deliver(self, answer: Answer, fault: Fault | None) -> None:
        if fault is not None and fault.kind == "cut":
            await _cut(self.receive)
            return
        answer.headers.update({"OData-Version": "4.0", "x-ms-service-request-id": self.request_id})
        if fault is not None and fault.kind == "cut_mid_body":
            await _send(self.send, answer, part=len(answer.body) // 2)
            await asyncio.sleep(0.05)
            await _cut(self.receive)
            return
        if fault is not None and fault.kind == "truncate":
            answer.body = answer.body[: len(answer.body) * 2 // 3]
        await _send(self.send, answer)

    def _challenge(self) -> str:
        tenant = self.sandbox.options.tenant_id
        return f"Bearer authorization_uri={self.origin}/{tenant}/oauth2/authorize, resource_id={self.origin}/"

    def _entry(self, call: Call) -> dict[str, Any]:
        return {
            "received_at": datetime.now(UTC).isoformat(),
            "request_id": self.request_id,
            "clock_at": self.sandbox.clock.now().isoformat(),
            "client_id": self.client.client_id if self.client else None,
            "method": call.method,
            "path": call.path,
            "query": call.query,
            "headers": call.headers,
            "body": call.body,
            "status": None,
            "code": None,
            "committed": False,
        }


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body"):
        return bytes(message.get("body", b""))
    chunks = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        chunks.append(message.get("body", b""))
    return b"".join(chunks)


async def _send(send: Send, answer: Answer, *, part: int | None = None) -> None:
    """Sends an answer; with `part`, promises all of the body but sends only that many bytes of it."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = answer.body if part is None else answer.body[:part]
    await send({"type": "http.response.body", "body": body, "more_body": part is not None})


async def _cut(receive: Receive) -> None:
    """Closes the socket under the client. The server's request cycle holds the transport; ASGI has no word for it."""
    receive.__self__.transport.abort()  # type: ignore[attr-defined]
    while (await receive())["type"] != "http.disconnect":
        pass

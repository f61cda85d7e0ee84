"""The bare CRM's process: `python -m benchmarks.bare_server DIR LIMITS_JSON [ROWS]`.

TLS, a token endpoint, latency, limits, counts. Prints its address as one JSON line and ends with its standard input.
`/_bare/counts`, `/_bare/rows/SET` and `/_bare/written` are for the benchmark only.
"""

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from benchmarks.bare_crm import API, BareCrm, Work
from benchmarks.bare_limits import Admission, Limits
from sandbox.dataverse.messages import Answer, answer_json
from sandbox.dataverse.tls import make_certificates

TENANT = "00000000-0000-4000-8000-0000000000d1"
_CONFIGURATION = "/.well-known/openid-configuration"
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Application:
    """The ASGI application over one bare CRM."""

    def __init__(self, limits: Limits, kept: Path | None = None) -> None:
        self._crm = BareCrm()
        if kept is not None:
            with kept.open("rb") as lines:
                self._crm.keep(orjson.loads(line) for line in lines)
        self._admission = Admission(limits)
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        work = await _read(scope, receive)
        if work.path.startswith(API):
            answer = await self._serve(work)
        elif work.path.startswith("/_bare/"):
            answer = self._tell(work.path.removeprefix("/_bare/"))
        else:
            answer = _authority(scope, work.path)
        await _send(send, answer)

    async def _serve(self, work: Work) -> Answer:
        """A request is executed as it arrives, if it is admitted, and answered after the time that its rows take."""
        rows = _rows_written(work)
        retry_after = self._admission.admit(rows, time.monotonic())
        if retry_after is not None:
            refusal = {"error": {"code": "0x80072322", "message": "Too many."}}
            answer = answer_json(refusal, 429)
            answer.headers["Retry-After"] = str(retry_after)
            return answer
        answer = self._crm.answer(work)
        await asyncio.sleep(self._limits.work_s(answer.rows))
        self._admission.finish(rows if answer.status < 300 else 0, time.monotonic())
        answer.headers["x-ms-dop-hint"] = str(self._limits.dop_hint)
        return answer

    def _tell(self, asked: str) -> Answer:
        if asked == "counts":
            return answer_json({**self._admission.counted.as_json(), "cpu_s": time.process_time()})
        if asked == "written":
            return answer_json({"written": self._crm.written})
        return answer_json({"rows": self._crm.rows.get(asked.removeprefix("rows/"), {})})


def _rows_written(work: Work) -> int:
    """How many rows a request would write, without taking it apart twice."""
    if work.method != "POST":
        return 0
    return work.body.count(b'"@odata.type"') or work.body.count(b"HTTP/1.1\r\n")


def _authority(scope: Scope, path: str) -> Answer:
    host = dict(scope["headers"]).get(b"host", b"").decode()
    base = f"{scope['scheme']}://{host}/{TENANT}"
    if path.endswith(_CONFIGURATION):
        return answer_json(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            }
        )
    return answer_json({"token_type": "Bearer", "expires_in": 3600, "access_token": "bare"})


async def _read(scope: Scope, receive: Receive) -> Work:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    content_type = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
    return Work(scope["method"], scope["path"], scope["query_string"].decode(), content_type, b"".join(chunks))


async def _send(send: Send, answer: Answer) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def main(directory: Path, limits: Limits, kept: Path | None = None) -> None:
    """Serve until standard input ends; `kept` has rows to begin with, one JSON list (set, key, columns) a line."""
    make_certificates(directory / "tls")
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("127.0.0.1", 0))
    # Whoever reads the address may connect at once.
    listening.listen(128)
    config = uvicorn.Config(
        Application(limits, kept),
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
        ssl_certfile=str(directory / "tls" / "server.pem"),
        ssl_keyfile=str(directory / "tls" / "server.key"),
    )
    server = uvicorn.Server(config)

    def stop_at_end_of_input() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    sys.stdout.write(json.dumps({"base_url": f"https://127.0.0.1:{listening.getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Limits(**json.loads(sys.argv[2])), *map(Path, sys.argv[3:]))

"""What the machine could do at best: each measured in the run that it is told of, at a small size, in about a second.

A pass over the bytes at memory speed, COPY alone, a question to the store, and what a loop over bare TLS sockets sends to
the bare CRM. Nobody reaches these; they say how far away we are.
"""

import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

import numpy as np
import orjson
import psycopg

from benchmarks.bare_crm import API
from benchmarks.bare_limits import Limits
from benchmarks.servers import CrmAccess, run_bare_server
from connectors.store.address import ServerAddress
from schemas.tables import CONSENT, CONTACT

ROWS_A_CALL = 100
# Four for each connection: enough to have all of them busy most of the time, and over in a second or two.
_MOST_CALLS = 4 * Limits().dop_hint
_QUESTIONS = 50


@dataclass(frozen=True, slots=True)
class Limit:
    """A time (unit "s") or a rate, and of what."""

    what: str
    value: float
    unit: str

    def beside(self, ours: float) -> str:
        """In words, with how many times of it ours is: the time as a multiple, the rate as a share."""
        return f"{self.what}: {_told(self.value)} {self.unit}; ours is {_told(ours / self.value)} times the limit"


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"


def scanning(blocks: Sequence[bytes]) -> Limit:
    """One pass over bytes that are in memory, by one core."""
    begun = perf_counter()
    for block in blocks:
        np.frombuffer(block, np.uint8).max(initial=0)
    return Limit("one pass over their bytes in memory", perf_counter() - begun, "s")


def copying(address: ServerAddress, blocks: Sequence[bytes]) -> Limit:
    """COPY of rows, as texts in its own text format, into a bare table of one column: no key, no index, one commit."""
    with psycopg.connect(address.uri_adbc) as conn:
        conn.execute("create table rows_alone (row text)")
        begun = perf_counter()
        with conn.cursor().copy("copy rows_alone from stdin") as copy:
            for block in blocks:
                copy.write(block)
        conn.commit()
        seconds = perf_counter() - begun
        conn.execute("drop table rows_alone")
    return Limit("COPY alone of the same rows", seconds, "s")


def asking(address: ServerAddress) -> Limit:
    """One question to the store and its answer, with nothing looked up; the median of some."""
    with psycopg.connect(address.uri_adbc, autocommit=True) as conn:
        return Limit("one question to the store", median(_asked(conn) for _ in range(_QUESTIONS)), "s")


def _asked(conn: psycopg.Connection) -> float:
    begun = perf_counter()
    conn.execute("select 1").fetchone()
    return perf_counter() - begun


def sending(directory: Path, rows: Path) -> Limit:
    """Bulk upserts of rows that `consenting.write_rows` wrote, ready in memory, to a bare CRM without a limit of rows.

    Over as many kept connections as the CRM hints at, a thread each, that write and read bytes and nothing else.
    """
    calls = [call for table in (CONTACT, CONSENT) for call in _calls(rows, table.logical_name, table.entity_set)]
    calls = calls[:: max(1, len(calls) // _MOST_CALLS)]
    connections = min(Limits().dop_hint, len(calls))
    with run_bare_server(directory, Limits()) as server:
        seconds = _sent(server.access, calls, connections)
        written = int(server.counts()["rows_written"])
    what = f"a loop over {connections} bare TLS sockets, {ROWS_A_CALL} rows a call"
    return Limit(what, written / seconds, "rows/s")


def _calls(rows: Path, table: str, entity_set: str) -> list[bytes]:
    """Whole requests, head and body."""
    lines = (rows / f"{table}.jsonl").read_bytes().splitlines()
    made = []
    for first in range(0, len(lines), ROWS_A_CALL):
        targets = [_target(orjson.loads(line), table, entity_set) for line in lines[first : first + ROWS_A_CALL]]
        body = orjson.dumps({"Targets": targets})
        head = f"POST {API}{entity_set}/Microsoft.Dynamics.CRM.UpsertMultiple HTTP/1.1\r\nHost: bare\r\n"
        made.append(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return made


def _target(row: dict[str, object], table: str, entity_set: str) -> dict[str, object]:
    key = row.pop("key")
    return {"@odata.type": f"Microsoft.Dynamics.CRM.{table}", "@odata.id": f"{entity_set}({key})", **row}


def _sent(access: CrmAccess, calls: Sequence[bytes], connections: int) -> float:
    """Seconds from when all are connected to the last answer; RuntimeError where a call was not taken."""
    shares = [calls[nth::connections] for nth in range(connections)]
    with ExitStack() as stack, ThreadPoolExecutor(connections) as threads:
        sockets = [stack.enter_context(_connected(access)) for _ in shares]
        begun = perf_counter()
        statuses = [one for share in threads.map(_loop, sockets, shares) for one in share]
        seconds = perf_counter() - begun
    if refused := [one for one in statuses if one != b"204"]:
        raise RuntimeError(f"The bare CRM answered {refused[0].decode()} to {len(refused)} of {len(calls)} bare calls.")
    return seconds


def _connected(access: CrmAccess) -> ssl.SSLSocket:
    url, context = urlsplit(access.base_url), ssl.create_default_context(cafile=access.ca_path)
    plain = socket.create_connection((url.hostname, url.port), timeout=60)
    return context.wrap_socket(plain, server_hostname=url.hostname)


def _loop(secured: ssl.SSLSocket, calls: Sequence[bytes]) -> list[bytes]:
    return [_status(secured, call) for call in calls]


def _status(secured: ssl.SSLSocket, call: bytes) -> bytes:
    """Send one request and read its answer, which has no body where it is what was asked for."""
    secured.sendall(call)
    answer = b""
    while b"\r\n\r\n" not in answer:
        if not (received := secured.recv(65536)):
            return b"nothing"
        answer += received
    return answer.split(b" ", 2)[1]

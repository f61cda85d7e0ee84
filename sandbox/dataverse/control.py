"""The control API under `/_sandbox/`: what a test or the demo may see and do that no client of the Web API can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import orjson

from .environment import edit, plant, raw_rows, remove
from .messages import Answer, answer_json
from .refusals import Refused
from .sandbox import Sandbox

PREFIX = "/_sandbox/"
_LIMITS = {
    "token_lifetime_s",
    "max_requests",
    "max_execution_ms",
    "max_concurrent",
    "max_bulk_rows",
    "max_body_bytes",
    "max_message_ms",
    "message_timeout_status",
    "window_s",
    "servers",
    "dop_hint",
    "latency_ms_per_request",
    "latency_ms_per_row",
    "key_delay_s",
    "metadata_delay_s",
    "job_delay_s",
    "restricted_key_status",
    "duplicate_rule_status",
    "sql_reads",
    "messages",
}


@dataclass(frozen=True)
class Asked:
    """A control request: the body as JSON, the query's options, and the path's last segment as `argument`."""

    sandbox: Sandbox
    given: Any
    arguments: dict[str, str]


def answer_control(sandbox: Sandbox, method: str, path: str, query: str, body: bytes) -> Answer:
    """Answers one control request; 404 for an unknown one, 400 with the reason for one that cannot be done."""
    name, _, argument = path.removeprefix(PREFIX).partition("/")
    route = _ROUTES.get((method, name))
    if route is None:
        return answer_json({"error": f"no control {method} {name}"}, 404)
    try:
        given = orjson.loads(body) if body else {}
        arguments = {key: values[0] for key, values in parse_qs(query).items()}
        result = route(Asked(sandbox, given, {**arguments, "argument": argument}))
    except Refused as refused:
        return answer_json(refused.body(), 400)
    except (ValueError, KeyError, TypeError) as error:
        return answer_json({"error": str(error)}, 400)
    return answer_json(result)


def _health(asked: Asked) -> Any:
    return {"status": "ok", "now": asked.sandbox.clock.now().isoformat(), "version": asked.sandbox.store.version}


def _requests(asked: Asked) -> Any:
    return {
        "requests": asked.sandbox.log.since(int(asked.arguments.get("since", "0"))),
        "last": asked.sandbox.log.sequence,
    }


def _forget_requests(asked: Asked) -> Any:
    asked.sandbox.log.clear()
    return {"last": asked.sandbox.log.sequence}


def _faults(asked: Asked) -> Any:
    return {"faults": [fault.described() for fault in asked.sandbox.faults.orders]}


def _add_faults(asked: Asked) -> Any:
    orders = asked.given if isinstance(asked.given, list) else [asked.given]
    return {"ids": [asked.sandbox.faults.add(order).id for order in orders]}


def _clear_faults(asked: Asked) -> Any:
    asked.sandbox.faults.clear()
    return {}


def _tables(asked: Asked) -> Any:
    asked.sandbox.service.settle()
    return {"rows": raw_rows(asked.sandbox.store, asked.arguments["argument"])}


def _seed(asked: Asked) -> Any:
    """`{"rows": {set: [payload, ...]}, "as": "human" | "system" | user id}`; all or nothing."""
    author = asked.given.get("as", "system")
    with asked.sandbox.unpoisoned(), asked.sandbox.store.transaction():
        ids = {
            name: [plant(asked.sandbox.store, name, row, author) for row in rows]
            for name, rows in asked.given["rows"].items()
        }
    return {"ids": ids}


def _edit(asked: Asked) -> Any:
    with asked.sandbox.unpoisoned():
        row = edit(
            asked.sandbox.store,
            asked.given["set"],
            asked.given["id"],
            asked.given["values"],
            asked.given.get("as", "human"),
        )
    return {"row": row}


def _remove(asked: Asked) -> Any:
    remove(asked.sandbox.store, asked.given["set"], asked.given["id"], asked.given.get("as", "human"))
    return {}


def _clock(asked: Asked) -> Any:
    """`{"set": ISO time, "pinned": bool}`, `{"advance": seconds}` or `{"release": true}`; gives the time then."""
    if asked.given.get("release"):
        asked.sandbox.clock.release()
    if "set" in asked.given:
        asked.sandbox.clock.set(datetime.fromisoformat(asked.given["set"]), pinned=bool(asked.given.get("pinned")))
    asked.sandbox.clock.advance(float(asked.given.get("advance", 0)))
    return {"now": asked.sandbox.clock.now().isoformat()}


def _limits(asked: Asked) -> Any:
    """Changes limits, latency and delays while running; what was used so far is forgotten."""
    unknown = set(asked.given) - _LIMITS
    if unknown:
        raise ValueError(f"unknown limits: {', '.join(sorted(unknown))}")
    asked.sandbox.limit(replace(asked.sandbox.options, **asked.given))
    return {}


def _reset(asked: Asked) -> Any:
    asked.sandbox.reset()
    return {}


_ROUTES: dict[tuple[str, str], Callable[[Asked], Any]] = {
    ("GET", "health"): _health,
    ("GET", "requests"): _requests,
    ("DELETE", "requests"): _forget_requests,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "tables"): _tables,
    ("POST", "seed"): _seed,
    ("POST", "edit"): _edit,
    ("POST", "remove"): _remove,
    ("POST", "clock"): _clock,
    ("POST", "limits"): _limits,
    ("POST", "reset"): _reset,
}

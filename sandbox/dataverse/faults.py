"""Faults to order: which requests they strike, how often, what they do. The shell does what touches a socket."""

from __future__ import annotations

import random
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .columns import Row
from .messages import Answer, answer_json
from .refusals import Refused

KINDS = ("cut", "cut_mid_body", "throttle", "error", "unauthorized", "truncate", "slow", "deadlock", "poison")
_HTML = "<!DOCTYPE html><html><body><h2>Our services aren't available right now</h2></body></html>"


@dataclass
class Fault:
    """One order. It strikes requests whose method, path and body match the patterns, after passing over `skip` of them.

    `times` None means for ever; `probability` is drawn with `seed`. `after_commit` lets the request do its work first,
    before a delay too.
    `retry_after` is sent as it is (None: no header). For `poison`, a write to `table` with `column` equal to `value`
    is refused with `status` and `code`, wherever it is in a batch or bulk call. Paths are those below the Web API's
    base path; with `target` "authority" the fault strikes the token endpoint instead, by its whole path.
    """

    kind: str
    method: str = ""
    path: str = ""
    body: str = ""
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    after_commit: bool = False
    status: int = 0
    code: str = ""
    message: str = ""
    html: bool = False
    retry_after: str | None = None
    delay_ms: float = 0.0
    target: str = "api"
    table: str = ""
    column: str = ""
    value: Any = None
    id: int = 0
    hits: int = 0
    _draw: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"fault kind {self.kind!r} is none of {', '.join(KINDS)}")
        self._draw = random.Random(self.seed)

    def strikes(self, method: str, path: str, body: bytes) -> bool:
        """Whether this request is struck; counts and draws as it decides."""
        if self.times is not None and self.hits >= self.times:
            return False
        if not re.search(self.method, method) or not re.search(self.path, path):
            return False
        if self.body and not re.search(self.body, body.decode("utf-8", "replace")):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self._draw.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def poisons(self, logical: str, row: Row) -> bool:
        """Whether a write of this row is to be refused."""
        if self.kind != "poison" or self.table != logical or row.get(self.column) != self.value:
            return False
        return self.times is None or self.hits < self.times

    def described(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}


class Faults:
    """The orders in force."""

    def __init__(self) -> None:
        self.orders: list[Fault] = []
        self._next_id = 1

    def add(self, order: dict[str, Any]) -> Fault:
        """Adds an order; ValueError for an unknown kind or setting."""
        known = {each.name for each in fields(Fault) if not each.name.startswith("_")} - {"id", "hits"}
        unknown = set(order) - known
        if unknown:
            raise ValueError(f"unknown fault settings: {', '.join(sorted(unknown))}")
        fault = Fault(**order)
        fault.id, self._next_id = self._next_id, self._next_id + 1
        self.orders.append(fault)
        return fault

    def clear(self) -> None:
        self.orders.clear()

    def strike(self, method: str, path: str, body: bytes, *, target: str = "api") -> Fault | None:
        """The first order that strikes this request."""
        orders = (fault for fault in self.orders if fault.kind != "poison" and fault.target == target)
        return next((fault for fault in orders if fault.strikes(method, path, body)), None)

    def inspect(self, logical: str, row: Row) -> None:
        """Refuses a poisoned row; called before each row is written."""
        for fault in self.orders:
            if fault.poisons(logical, row):
                fault.hits += 1
                message = fault.message or "A plug-in refused the row."
                raise Refused(fault.status or 400, fault.code or "0x80040265", message)


def struck_answer(fault: Fault, token_hint: str) -> Answer:
    """What a fault says in place of the true answer."""
    if fault.kind == "unauthorized":
        return Answer(401, {"WWW-Authenticate": token_hint})
    if fault.kind == "throttle":
        answer = _error(429, fault.code or "0x80072322", fault.message or "Number of requests exceeded the limit.")
    elif fault.kind == "deadlock":
        message = (
            "Generic SQL error. Sql error: Transaction was deadlocked. Sql ErrorCode: -2146232060 Sql Number: 1205"
        )
        answer = _error(fault.status or 500, "0x80044150", message)
    elif fault.html:
        answer = Answer(fault.status or 503, {"Content-Type": "text/html"}, _HTML.encode())
    else:
        answer = _error(fault.status or 503, fault.code, fault.message or "The service is unavailable.")
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = fault.retry_after
    return answer


def _error(status: int, code: str, message: str) -> Answer:
    answer = answer_json({"error": {"code": code, "message": message}}, status)
    answer.code = code
    return answer

"""Service protection: three limits per application user and web server, over a sliding window of the emulated clock."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from .clock import Clock
from .messages import Answer, answer_json
from .options import EmulatorOptions


@dataclass
class _Usage:
    """What one user has used of one server: times of requests, times and durations of work, requests under way."""

    requests: deque[float] = field(default_factory=deque)
    work: deque[tuple[float, float]] = field(default_factory=deque)
    spent_ms: float = 0.0
    running: int = 0
    blocked_until: float = 0.0
    pushes: int = 0


class Throttle:
    """Admits or refuses requests. A refused one that comes before its time makes the wait longer."""

    def __init__(self, options: EmulatorOptions, clock: Clock) -> None:
        self.options = options
        self._clock = clock
        self._usage: dict[tuple[str, int], _Usage] = {}
        self._turn = 0

    def server_for(self, cookie: str) -> int:
        """The server that an affinity cookie names, else the next one in turn."""
        named = cookie.partition("ARRAffinity=server-")[2].partition(";")[0]
        if named.isdigit() and int(named) < self.options.servers:
            return int(named)
        self._turn = (self._turn + 1) % self.options.servers
        return self._turn

    def admit(self, user: str, server: int) -> Answer | None:
        """None where the request may run (then `finish` must follow), else the 429."""
        usage, now, limits = self._of(user, server), self._clock.seconds(), self.options
        self._forget_old(usage, now)
        if limits.max_concurrent is not None and usage.running >= limits.max_concurrent:
            message = f"Number of concurrent requests exceeded the limit of {limits.max_concurrent}."
            return self._refuse("0x80072326", message, 1 + usage.pushes)
        if now < usage.blocked_until:
            usage.pushes += 1
            usage.blocked_until = min(usage.blocked_until + usage.pushes, now + limits.window_s)
            return self._refuse(*self._reason(usage), math.ceil(usage.blocked_until - now))
        if self._is_spent(usage):
            usage.blocked_until = now + self._until_free(usage, now)
            return self._refuse(*self._reason(usage), math.ceil(usage.blocked_until - now))
        usage.pushes = 0
        usage.requests.append(now)
        usage.running += 1
        return None

    def finish(self, user: str, server: int, worked_ms: float) -> dict[str, str]:
        """Books the work of an admitted request; gives the headers about what remains."""
        usage, limits = self._of(user, server), self.options
        usage.running -= 1
        usage.spent_ms += worked_ms
        usage.work.append((self._clock.seconds(), worked_ms))
        requests = (limits.max_requests or 6000) - len(usage.requests)
        remaining_ms = (limits.max_execution_ms or 1_200_000) - usage.spent_ms
        return {
            "x-ms-ratelimit-burst-remaining-xrm-requests": str(max(0, requests)),
            "x-ms-ratelimit-time-remaining-xrm-requests": f"{max(0.0, remaining_ms) / 1000:.2f}",
        }

    def clear(self) -> None:
        self._usage.clear()

    def _of(self, user: str, server: int) -> _Usage:
        return self._usage.setdefault((user, server), _Usage())

    def _forget_old(self, usage: _Usage, now: float) -> None:
        start = now - self.options.window_s
        while usage.requests and usage.requests[0] <= start:
            usage.requests.popleft()
        while usage.work and usage.work[0][0] <= start:
            usage.spent_ms -= usage.work.popleft()[1]

    def _is_spent(self, usage: _Usage) -> bool:
        limits = self.options
        too_many = limits.max_requests is not None and len(usage.requests) >= limits.max_requests
        return too_many or (limits.max_execution_ms is not None and usage.spent_ms >= limits.max_execution_ms)

    def _until_free(self, usage: _Usage, now: float) -> float:
        oldest = min([*list(usage.requests)[:1], *[at for at, _ in list(usage.work)[:1]]], default=now)
        return max(1.0, oldest + self.options.window_s - now)

    def _reason(self, usage: _Usage) -> tuple[str, str]:
        limits = self.options
        window = f"over time window of {limits.window_s} seconds"
        if limits.max_execution_ms is not None and usage.spent_ms >= limits.max_execution_ms:
            limit = f"{limits.max_execution_ms:,} milliseconds"
            return "0x80072321", f"Combined execution time of incoming requests exceeded limit of {limit} {window}."
        return "0x80072322", f"Number of requests exceeded the limit of {limits.max_requests} {window}."

    def _refuse(self, code: str, message: str, wait_s: int) -> Answer:
        answer = answer_json({"error": {"code": code, "message": message}}, 429)
        answer.headers["Retry-After"] = str(wait_s)
        answer.code = code
        return answer

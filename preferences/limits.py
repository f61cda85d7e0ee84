"""Rate limits: how often one client may be refused, or have mails sent, in a window. Withdrawing is never limited.

In memory, per process, and of a keyed hash of the client's address, so that no address is kept.
"""

import hashlib
import secrets
import threading
import time
from collections import OrderedDict

_MOST_CLIENTS = 50_000


class Limiter:
    """Admits `burst` events per client, and `per_minute` from then on (a token bucket)."""

    def __init__(self, *, per_minute: float, burst: int) -> None:
        self._rate, self._burst = per_minute / 60, float(burst)
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._salt = secrets.token_bytes(16)
        self._lock = threading.Lock()

    def admits(self, client: str) -> bool:
        """Whether one more event of this client is admitted; counts it."""
        key = hashlib.blake2b(client.encode(), key=self._salt, digest_size=16).digest()
        at = time.monotonic()
        with self._lock:
            left, since = self._left.pop(key, (self._burst, at))
            left = min(self._burst, left + (at - since) * self._rate)
            admitted = left >= 1
            self._left[key] = (left - 1 if admitted else left, at)
            if len(self._left) > _MOST_CLIENTS:
                self._left.popitem(last=False)
        return admitted

"""The name of a plan: the same set of writes has the same name, whenever and in whatever order it was planned.

The writes of a first load are millions, and an approval is for exactly these: so no digest of each is kept to be sorted,
but a sum, which has no order. A plain sum of 256 bits could be steered by whoever may choose many writes (Wagner, "A
Generalized Birthday Problem", 2002); in one of 1,024 bits the best known search for another set of the same sum takes
some 2^64 steps (Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing", 1997: AdHash), more than to try
names of 48 bits one by one. Ids of rows are made under a secret salt besides, so digests are not known outside.
"""

import hashlib
from collections.abc import Iterable

import orjson

from schemas.intents import Intent, Phase

_BITS = 1024
_SORTED = orjson.OPT_SORT_KEYS


class PlanName:
    """Names the writes that were added; lowerings, which wait for nothing, are no part of the name."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, intents: Iterable[Intent]) -> None:
        """Take some more writes in."""
        self._sum += sum(_number(intent) for intent in intents if intent.phase is not Phase.LOWERING)

    def __str__(self) -> str:
        total = self._sum % (1 << _BITS)
        return hashlib.sha256(total.to_bytes(_BITS // 8, "big")).hexdigest()[:12]


def plan_id(intents: Iterable[Intent]) -> str:
    """A name for exactly these writes."""
    name = PlanName()
    name.add(intents)
    return str(name)


def _number(intent: Intent) -> int:
    """A write as a number of 1,024 bits that nobody can choose."""
    write = [intent.phase, intent.method, intent.table_name, intent.row_id, intent.columns]
    digest = hashlib.blake2b(orjson.dumps(write, str, _SORTED)).digest()
    return int.from_bytes(digest + hashlib.blake2b(digest).digest(), "big")

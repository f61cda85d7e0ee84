"""How the environment compares strings: always without regard to case, with or without regard to accents."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_EXPANSIONS = str.maketrans({"æ": "ae", "œ": "oe", "ß": "ss"})


class Collation:
    """`CI_AI` (as of an English environment) or `CI_AS` (Finnish, Swedish): trailing blanks never count."""

    def __init__(self, name: str = "CI_AI") -> None:
        if name not in ("CI_AI", "CI_AS"):
            raise ValueError(f"collation {name!r} is neither CI_AI nor CI_AS")
        self.name = name
        self._accents = name == "CI_AS"

    def fold(self, value: str) -> str:
        """Two strings are equal to the server if and only if they fold to the same."""
        if value.isascii():
            return value.lower().rstrip(" ")
        return _fold(value, self._accents)


@lru_cache(maxsize=100_000)
def _fold(value: str, accents: bool) -> str:
    folded = unicodedata.normalize("NFKC", value).casefold().translate(_EXPANSIONS).rstrip(" ")
    if accents:
        return unicodedata.normalize("NFC", folded)
    decomposed = unicodedata.normalize("NFD", folded)
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))

"""Proposals: which known people at different addresses may be one human being, for people to judge. Nothing is decided.

Identity itself is decided by address and name alone (pipelines.transforms.identity), and knows nothing of this.
"""

import re
import unicodedata
from collections.abc import Callable

import pandas as pd

from pipelines.transforms.likeness import COMPARED, likely_pairs
from pipelines.transforms.names import name_key

_WORDS = dict(zip(COMPARED, ("given name", "family name", "local part", "domain", "phone"), strict=True))
_NAMES = ("given", "family")
_FOUND = ["first", "second", "weight", "probability", "agrees", "differs"]
_ROWS = ["given", "initial", "family", "beginning", "handle", "domain", "phone"]
_BETWEEN = re.compile(r"[\s-]+")
_SAYS_NOTHING = re.compile(r"[^a-z0-9]")


def propose_links(people: pd.DataFrame, *, above: float) -> pd.DataFrame:
    """Pairs of people at different addresses with a match probability of at least `above`, the likeliest first.

    Columns in: person_id, contact_point_id, contact_id (their row in the CRM), address_key, given_name, family_name,
    phone (None: unknown, or not to be used); one row per person. Who shares a contact was merged there by somebody.
    Columns out: first, second (numbers of rows of `people`, from 0), weight (bits), probability, agrees, differs (words).
    Raises ConfigurationError where Splink is not installed, or fails.
    """
    if len(people) < 2:
        return pd.DataFrame(columns=_FOUND)
    pairs = likely_pairs(comparable_rows(people), above=above)
    numbers = pairs[["row_l", "row_r"]].astype("int64")
    found = pd.DataFrame(
        {
            "first": numbers.min(axis=1),
            "second": numbers.max(axis=1),
            "weight": pairs["match_weight"],
            "probability": pairs["match_probability"],
            "agrees": _words(pairs, lambda level: level > 0),
            "differs": _words(pairs, lambda level: level == 0),
        }
    )
    undecided = found[~_is_decided(people, found)]
    return undecided.sort_values(["weight", "first", "second"], ascending=[False, True, True], ignore_index=True)


def comparable_rows(people: pd.DataFrame) -> pd.DataFrame:
    """What of people is compared, all `str`: row (its number), given (folded first given name; an initial alone is none),
    initial, family, beginning (of the family name), handle, domain, phone. None says nothing."""
    texts = people[["given_name", "family_name", "address_key", "phone"]].astype(object)
    rows = [_comparable(*row) for row in texts.where(texts.notna(), None).itertuples(index=False)]
    frame = pd.DataFrame(rows, columns=_ROWS, dtype="str")
    frame.insert(0, "row", pd.Series(range(len(frame))).astype("str"))
    return frame


def handle_of(local: str, given_name: str | None, family_name: str | None) -> str | None:
    """What a local part says beside the person's names: all of it, in plain letters and digits, without a sub-address.

    None where it is made of the names and their initials alone, for then it agrees wherever the names do.
    """
    rest = whole = _plain(local.partition("+")[0])
    words = [_plain(word) for word in _BETWEEN.split(f"{given_name or ''} {family_name or ''}")]
    for word in sorted((word for word in words if len(word) > 1), key=len, reverse=True):
        rest = rest.replace(word, "", 1)
    initials = {word[:1] for word in words}
    is_named = len(rest) <= len(initials) and set(rest) <= initials
    return None if is_named else whole


def _comparable(given_name: str | None, family_name: str | None, key: str, phone: str | None) -> tuple[str | None, ...]:
    name = name_key(given_name, family_name)
    local, _, domain = key.rpartition("@")
    given = name.given if len(name.given) > 1 else None
    beginning = name.family[:3] or None
    return (
        given,
        name.given[:1] or None,
        name.family or None,
        beginning,
        handle_of(local, given_name, family_name),
        domain,
        phone,
    )


def _plain(text: str) -> str:
    return _SAYS_NOTHING.sub("", unicodedata.normalize("NFKD", text.casefold()))


def _is_decided(people: pd.DataFrame, found: pd.DataFrame) -> pd.Series:
    """Who is who at one address is decided there, and who shares a contact in the CRM was merged there."""
    decided = pd.Series(False, index=found.index)
    for column in ("contact_point_id", "contact_id"):
        values = people[column].to_numpy()
        decided |= values[found["first"]] == values[found["second"]]
    return decided


def _words(pairs: pd.DataFrame, is_said: Callable[[int], bool]) -> list[str]:
    rows = pairs[[f"gamma_{column}" for column in COMPARED]].itertuples(index=False)
    return [
        ", ".join(_word(c, level) for c, level in zip(COMPARED, row, strict=True) if is_said(level)) for row in rows
    ]


def _word(column: str, level: int) -> str:
    return f"{_WORDS[column]} (nearly)" if column in _NAMES and level == 1 else _WORDS[column]

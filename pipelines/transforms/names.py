"""Personal names: a careful tidying of what people wrote, the parts of a full name, and the key that compares them.

A name is changed only where a machine or a caps lock surely wrote it: letter case is mended in names all in capitals or
all in small letters, and nothing is guessed about titles, initials or the order of names.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.transforms.text import damage, is_anonymised, is_blank, tidy
from pipelines.transforms.values import (
    ABSENT,
    NormalisedColumn,
    Value,
    normalise_column,
    over_distinct,
    refused,
    settle,
)
from schemas.faults import FAULTS

# https://learn.microsoft.com/power-apps/developer/data-platform/reference/entities/contact: firstname and lastname.
MAX_LENGTH = 50

_PARTICLE_WORDS = "af al av d' da das de del della den der des di do dos du el la le los van von zu zum zur"
PARTICLES = frozenset(_PARTICLE_WORDS.split())

NameOrder = Literal["given_family", "family_given"]

_PART = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f])*")
_NEVER_IN_NAMES = re.compile(r"[0-9<>{}\[\]|\\^~=@#$%&*_+!?:;/]")
_NORDIC = frozenset("åäö")
_PUNCTUATION = re.compile(r"[.'’`´\"]")

# Capitalised words joined by single spaces or hyphens, in letters that NFC keeps: nothing is left to mend in these,
# unless a word is one capital letter alone (the whole may then be all capitals).
_PLAIN = r"^[A-ZÅÄÖ][a-zåäöéü]+(?:[ -][A-ZÅÄÖ][a-zåäöéü]+)*$"


@dataclass(frozen=True, slots=True)
class FullName:
    """A full name in its two columns, or the fault; `family` is None when there is only one word."""

    given: str | None
    family: str | None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class NameKey:
    """What is left of a name to compare: folded first given name and folded family name; empty when unknown."""

    given: str
    family: str


def normalise_name(text: str) -> Value:
    """One name column's text (given or family names): NFC, single spaces, letter case mended if it is all one case.

    Faults: `name_unreadable` (no letter; digits or symbols), `too_long` (over 50), `anonymised`, and damage.
    """
    tidied = tidy(text)
    if is_blank(tidied):
        return ABSENT
    if code := _name_fault(text, tidied):
        return refused(code)
    mended = _mend_case(tidied)
    return refused("too_long") if len(mended) > MAX_LENGTH else Value(mended)


def normalise_names(column: pd.Series) -> NormalisedColumn:
    """`normalise_name` over a `str` column."""
    return normalise_column(column, normalise_name, plain=_plain_names)


def split_full_name(text: str, *, order: NameOrder) -> FullName:
    """The two parts of a full name written in the order that the mapping declares; `Family, Given` is always read so.

    One word alone is the given name. Particles (von, de la) belong to the family name. Faults as `normalise_name`.
    """
    tidied = tidy(text)
    if is_blank(tidied.strip(", ")):
        return FullName(None, None)
    if code := _name_fault(text, tidied) or (None if tidied.count(",") <= 1 else "name_unreadable"):
        return FullName(None, None, FAULTS[code].code)
    given, family = _parts(_mend_case(tidied), order)
    if len(given) > MAX_LENGTH or len(family) > MAX_LENGTH:
        return FullName(None, None, FAULTS["too_long"].code)
    return FullName(given or None, family or None)


def split_full_names(column: pd.Series, *, order: NameOrder) -> pd.DataFrame:
    """`split_full_name` over a `str` column: columns `given`, `family`, `fault` (all `str`), indexed as the input."""

    def rule(text: str) -> tuple[str | None, str | None, str | None]:
        name = split_full_name(text, order=order)
        return name.given, name.family, name.fault

    def decide(texts: pa.Array) -> pd.DataFrame:
        return settle(texts, _plain_full_names(texts, order), rule=rule)

    return over_distinct(column, decide)


def name_key(given: str | None, family: str | None) -> NameKey:
    """The key by which two records' names are compatible or not; hyphens in family names count as spaces.

    Accents do not matter, except å, ä and ö, which are letters of their own in Finnish and Swedish.
    """
    return NameKey(given_name_key(given), _folded(family).replace("-", " "))


def given_name_key(text: str | None) -> str:
    """The folded first given name (`Anna-Liisa Maria` is `anna-liisa`); empty for None or blank."""
    return _folded(text).partition(" ")[0]


def _name_fault(text: str, tidied: str) -> str | None:
    if is_anonymised(tidied):
        return "anonymised"
    if code := damage(text):
        return code
    has_letter = any(character.isalpha() for character in tidied)
    return "name_unreadable" if not has_letter or _NEVER_IN_NAMES.search(tidied) else None


def _mend_case(name: str) -> str:
    if not (name.isupper() or name.islower()):
        return name
    words = name.split(" ")
    mended = [
        word.lower() if word.lower() in PARTICLES and place < len(words) - 1 else _PART.sub(_capitalised, word)
        for place, word in enumerate(words)
    ]
    return unicodedata.normalize("NFC", " ".join(mended))


def _capitalised(part: re.Match[str]) -> str:
    return part[0].capitalize()


def _parts(name: str, order: NameOrder) -> tuple[str, str]:
    if "," in name:
        family, _, given = (part.strip() for part in name.partition(","))
        return given, family
    words = name.split(" ")
    if len(words) == 1:
        return name, ""
    if order == "family_given":
        place = next((place for place, word in enumerate(words[:-1], 1) if word not in PARTICLES), len(words) - 1)
        return " ".join(words[place:]), " ".join(words[:place])
    place = next((place for place, word in enumerate(words[1:-1], 1) if word in PARTICLES), len(words) - 1)
    return " ".join(words[:place]), " ".join(words[place:])


def _folded(text: str | None) -> str:
    if text is None:
        return ""
    composed = unicodedata.normalize("NFC", tidy(text).casefold())
    bare = "".join(letter if letter in _NORDIC else _without_accents(letter) for letter in composed)
    return " ".join(_PUNCTUATION.sub("", bare).split())


def _without_accents(letter: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part)).casefold()


def _plain_names(texts: pa.Array) -> pa.Array:
    is_plain = pc.and_(
        pc.match_substring_regex(texts, pattern=_PLAIN), pc.less_equal(pc.utf8_length(texts), MAX_LENGTH)
    )
    return pc.if_else(is_plain, texts, pa.scalar(None, texts.type))


def _plain_full_names(texts: pa.Array, order: NameOrder) -> dict[str, pa.Array]:
    """Two capitalised words: the order says which is which."""
    word = "[A-ZÅÄÖ][a-zåäöéü]+(?:-[A-ZÅÄÖ][a-zåäöéü]+)*"
    words = pc.extract_regex(_short(texts), pattern=f"^(?P<first>{word}) (?P<last>{word})$")
    first, last = pc.struct_field(words, "first"), pc.struct_field(words, "last")
    given, family = (first, last) if order == "given_family" else (last, first)
    return {"given": given, "family": family, "fault": pa.nulls(len(texts), pa.large_string())}


def _short(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.less_equal(pc.utf8_length(texts), MAX_LENGTH), texts, pa.scalar(None, texts.type))

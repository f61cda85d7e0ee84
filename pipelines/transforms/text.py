"""Text as such: invisible characters, white space, Unicode form, and the damage that a wrong encoding leaves.

Every normaliser tidies its text here first. What a text means is no concern of this module.
"""

import re
import unicodedata
from functools import partial

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.transforms.values import ABSENT, NormalisedColumn, Value, normalise_column, refused

# Finnish and Swedish letters in UTF-8 read as cp1252 or Latin-1 begin with Ã; no-break space and quotation marks with Â
# and â€; š and ž with Å. Only these leads are taken: Ö or Ä before a dash is a common sight in Finnish capitals.
_CONTINUATION = "\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_DOUBLE_ENCODED = re.compile(f"Ã[{_CONTINUATION}]|Â[\u00a0-\u00bf]|â€[{_CONTINUATION}]|Å[¡¾½]")
_LOST = re.compile("[\ufffd\x00\ud800-\udfff]")
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SPACES = re.compile(r"[^\S\n]+")
_DASHES_ONLY = re.compile(r"[-‐‑‒–—]+")

# Space-separated words of ASCII and the Nordic letters, which NFC leaves alone and no damage begins with. A word needs
# a letter or digit somewhere, so that a lone dash, which some exports write for an empty cell, is left to the rule.
_PLAIN = r"^[!-~åäöÄÖéüø]+(?: [!-~åäöÄÖéüø]+)*$"


def strip_format(text: str) -> str:
    """The text without format characters (Unicode Cf: zero-width spaces, direction marks, soft hyphens)."""
    if text.isascii():
        return text
    return "".join(character for character in text if unicodedata.category(character) != "Cf")


def tidy(text: str) -> str:
    """One line in NFC without format characters, each run of white space (also no-break) made one space."""
    return " ".join(unicodedata.normalize("NFC", strip_format(text)).split())


def is_blank(text: str) -> bool:
    """Whether a tidied text says nothing: empty, or only dashes, which several exports write for an empty cell."""
    return not text or _DASHES_ONLY.fullmatch(text) is not None


def is_anonymised(text: str) -> bool:
    """Whether a tidied text is the marker that an erasing source leaves instead of a value.

    `<DELETED>`: City-of-Helsinki/linkedevents, registrations, `anonymize_past_signups`.
    """
    return text.casefold() == "<deleted>"


def is_mojibake(text: str) -> bool:
    """Whether a wrong encoding damaged the text: U+FFFD, NUL, lone surrogates, or UTF-8 read as an 8-bit code page."""
    return _LOST.search(text) is not None or _DOUBLE_ENCODED.search(text) is not None


def has_control_characters(text: str) -> bool:
    """Whether the text holds control characters other than tab, line feed and carriage return."""
    return _CONTROL.search(text) is not None


def damage(text: str) -> str | None:
    """The code of the damage that makes any text unusable, `mojibake` or `control_characters`; None for a sound one."""
    if is_mojibake(text):
        return "mojibake"
    return "control_characters" if has_control_characters(text) else None


def normalise_text(text: str, *, max_length: int | None = None) -> Value:
    """Free text in NFC, each line trimmed and its spaces collapsed, line ends as LF; `max_length` in characters."""
    if code := damage(text):
        return refused(code)
    unified = unicodedata.normalize("NFC", strip_format(text)).replace("\r\n", "\n").replace("\r", "\n")
    cleaned = "\n".join(_SPACES.sub(" ", line).strip() for line in unified.split("\n")).strip("\n")
    if is_blank(cleaned):
        return ABSENT
    if max_length is not None and len(cleaned) > max_length:
        return refused("too_long")
    return Value(cleaned)


def clean_text(column: pd.Series, *, max_length: int | None = None) -> NormalisedColumn:
    """`normalise_text` over a column."""
    rule = partial(normalise_text, max_length=max_length)
    return normalise_column(column, rule, plain=partial(_plain_texts, max_length=max_length))


def _plain_texts(texts: pa.Array, *, max_length: int | None) -> pa.Array:
    is_plain = pc.and_(
        pc.match_substring_regex(texts, pattern=_PLAIN),
        pc.match_substring_regex(texts, pattern=r"[^ -]"),
    )
    if max_length is not None:
        is_plain = pc.and_(is_plain, pc.less_equal(pc.utf8_length(texts), max_length))
    return pc.if_else(is_plain, texts, pa.scalar(None, texts.type))

"""Wordings as they are kept: the words that were shown, with their language and version, under a hash of all three. Pure."""

from hashlib import blake2b

_SEPARATOR = "\x1f"


def wording_hash(text: str, *, language: str, version: str) -> str:
    """The id of a wording: BLAKE2b of 16 bytes over language, version and text, in hexadecimal.

    The same words under another version are another wording, so that evidence tells under which one they were shown.
    """
    return _hash(_SEPARATOR.join((language, version, text)))


def wording_row(text: str, *, language: str, version: str) -> dict[str, str]:
    """A wording as it is kept: wording_hash, text, language, version."""
    kept_under = wording_hash(text, language=language, version=version)
    return {"wording_hash": kept_under, "text": text, "language": language, "version": version}


def is_as_kept(row: dict[str, str]) -> bool:
    """Whether a kept wording is what its hash was made of; of an older one that is the text alone."""
    as_now = wording_hash(row["text"], language=row["language"], version=row["version"])
    return row["wording_hash"] in (as_now, _hash(row["text"]))


def _hash(told: str) -> str:
    return blake2b(told.encode(), digest_size=16).hexdigest()

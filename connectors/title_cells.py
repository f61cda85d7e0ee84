"""Whether a cell where a title should stand is an answer: whoever reads a title, in a message or an alarm, reads it then.

Titles are told in refusals and kept as a feed's questions. A row of answers taken for the titles would so tell of people.
"""

import re

from stdnum.fi import hetu

# An address that the cell begins or ends with; a title may name one as an example in its course.
_ADDRESS = re.compile(
    r"(?:mailto:)?<?[^\s@<>(),;:]+@[^\s@<>(),;:]+\.[^\s@<>(),;:]+(?![^\s>,;])|.*<[^\s@<>]+@[^\s@<>]+>", re.IGNORECASE
)
# Day, month, year; the century's mark; number and check character (https://dvv.fi/en/reform-of-personal-identity-code).
_IDENTITY_CODE = re.compile(
    r"(?<![0-9A-Za-z])(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])[0-9]{2} ?[-+A-FU-Y\u2010-\u2015\u2212] ?"
    r"[0-9]{3}[0-9A-FHJ-NPR-Y](?![0-9A-Za-z])",
    re.IGNORECASE,
)
_DATE = r"(?:[0-9]{1,2}[./-][0-9]{1,2}[./-](?:[0-9]{2}){1,2}|[0-9]{4}-[0-9]{2}-[0-9]{2})"
_DATED = re.compile(rf"{_DATE}(?:[T ]+(?:klo )?[0-9]{{1,2}}[.:][0-9]{{2}}[0-9:.]*(?:Z|[+-][0-9:]+)?)?", re.IGNORECASE)
_PHONE = re.compile(r"\(?(?:\+|00?(?=[1-9]))(?:[ ()-]*[0-9]){6,14}[ )]*")
# A spreadsheet drops the zero that a telephone number began with.
_NINE_DIGITS = re.compile(r"(?:[ ()-]*[0-9]){9,15}[ )]*")
_DASHES = re.compile(r"[\u2010-\u2015\u2212]")


def is_answer(cell: str) -> bool:
    """Whether a cell can be no title: it holds an identity code, begins or ends with an e-mail address, or is nothing but a
    telephone number.
    """
    text = _tidied(cell)
    return bool(
        any(_checks_out(code) for code in _IDENTITY_CODE.findall(text))
        or _ADDRESS.match(text)
        or (_PHONE.fullmatch(text) and not _IDENTITY_CODE.fullmatch(text) and not _is_range(text))
    )


def may_be_answer(cell: str) -> bool:
    """Whether a cell looks like an answer, and like an odd title too: a date, nine digits, a code with a typing error."""
    text = _tidied(cell)
    shapes = (_DATED.fullmatch(text), _NINE_DIGITS.fullmatch(text), _PHONE.fullmatch(text), _IDENTITY_CODE.search(text))
    return is_answer(cell) or any(shapes)


def _tidied(cell: str) -> str:
    return " ".join(cell.split())


def _checks_out(code: str) -> bool:
    """Whether the check character is right; numbers of accounts and of slots are written alike, and are no telephone's either."""
    return bool(hetu.is_valid(_DASHES.sub("-", code.replace(" ", "")), allow_temporary=True))


def _is_range(text: str) -> bool:
    """Whether two numbers are the ends of a class, of hours or of postcodes: `0900 - 1200`, `00100-00990`."""
    first, hyphen, last = text.partition("-")
    is_pair = bool(hyphen) and "-" not in last and "+" not in first
    return is_pair and ((first[-1:], last[:1]) == (" ", " ") or _digits(first) == _digits(last))


def _digits(text: str) -> int:
    return sum(character.isdecimal() for character in text)

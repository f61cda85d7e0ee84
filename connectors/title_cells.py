"""Whether a cell where a title should stand is an answer: whoever reads a title, in a message or an alarm, reads it then.

Titles are told in refusals and kept as a feed's questions. A row of answers taken for the titles would so tell of people.
"""

import re

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
_PHONE = re.compile(r"(?:\+|00?(?=[1-9])|(?=(?:[ ()-]*[0-9]){9}))(?:[ ()-]*[0-9]){6,14}[ )]*")


def is_answer(cell: str, *, may_be_date: bool = False) -> bool:
    """Whether a cell can be no title: it holds an identity code, begins or ends with an e-mail address, or is nothing but a
    date or a telephone number. The title of an option `may_be_date`.
    """
    text = " ".join(cell.split())
    return bool(
        _IDENTITY_CODE.search(text)
        or _ADDRESS.match(text)
        or _PHONE.fullmatch(text)
        or (not may_be_date and _DATED.fullmatch(text))
    )

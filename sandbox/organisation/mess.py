"""How people and spreadsheets write right values wrongly, and what they write that nobody can read.

Each function takes the right value and a generator and gives a cell. `write_` results can be read back to the right
value; `unreadable_` results cannot, by anyone.
"""

import unicodedata
from random import Random

_NBSP = "\xa0"
_ZERO_WIDTH = "\u200b"


def write_email(rng: Random, address: str) -> str:
    """The address with other letter case, white space, invisible characters or a `mailto:`."""
    roll = rng.random()
    if roll < 0.70:
        return address
    if roll < 0.78:
        return address.upper()
    if roll < 0.88:
        return address.title() if "'" not in address else address.capitalize()
    if roll < 0.93:
        return f"  {address} "
    if roll < 0.96:
        return f"{address}{_NBSP}"
    return f"{_ZERO_WIDTH}{address}" if roll < 0.98 else f"mailto:{address}"


def unreadable_email(rng: Random, address: str) -> str:
    """No address, half of one, or two in one cell."""
    local, _, domain = address.partition("@")
    return rng.choice(
        (f"{local}(at){domain}", f"{local}@", f"{local} {domain}", "ei sähköpostia", f"{address}; toinen.{address}")
    )


def write_name(rng: Random, name: str) -> str:
    """The name in capitals or small letters, with loose white space, or with its letters decomposed."""
    roll = rng.random()
    if roll < 0.82:
        return name
    if roll < 0.88:
        return name.upper()
    if roll < 0.92:
        return name.lower()
    if roll < 0.97:
        return f" {name} "
    return unicodedata.normalize("NFD", name) if roll < 0.985 else f"{name}{_NBSP}"


def write_phone(rng: Random, number: str) -> str:
    """A British E.164 number with spaces, prefixes and remarks."""
    area, first, last = number[3:7], number[7:10], number[10:]
    forms = (
        number,
        number,
        f"+44 {area} {first}{last}",
        f"0044 {area} {first} {last}",
        f"+44 (0){area} {first}{last}",
        f"+44 {area} {first} {last} (työ)",
        f"puh. +44 {area} {first}{last}",
        f"+44{area}-{first}{last}{_NBSP}",
    )
    return rng.choice(forms)


def unreadable_phone(rng: Random, number: str) -> str:
    """A number that a spreadsheet recounted, a piece of one, or words."""
    digits = number.lstrip("+")
    return rng.choice((f"{digits}.0", f"{float(digits):.5E}", digits[:4], "ei ole", "kysy vaihteesta", "12345"))


def write_yes_no(rng: Random, answer: str) -> str:
    """`yes`, `no`, `unreadable` or '' as a Finnish source writes them."""
    if answer == "unreadable":
        return rng.choice(("ehkä", "?", "K/E", "kysytään"))
    word = {"yes": "Kyllä", "no": "Ei", "": ""}[answer]
    return word if rng.random() < 0.95 else word.upper()


def impossible_time(rng: Random) -> str:
    """Times as found in real exports that no calendar or clock shows."""
    return rng.choice(("1.15.2022 10.61", "31.2.2026 12.00", "0.0.2026 9.30", "eilen"))

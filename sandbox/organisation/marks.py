"""Values planted where the sources keep what the CRM must never see: identity codes, accounts, diets, home addresses.

Each is made from the person's number alone, so that a test can name it and look for it downstream. Identity codes have
the temporary serials 900-999, which are given to nobody for life; accounts lie in a bank code that is not in use.
"""

from datetime import date

_CHECK_CHARACTERS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_DIETS = ("keliakia", "laktoositon", "vegaani", "pähkinäallergia", "halal", "kosher")
_CENTURY_MARKS = {19: "-YXWVU", 20: "ABCDEF"}


def identity_code(person_no: int, born_on: date) -> str:
    """A Finnish personal identity code with a valid check character and a temporary serial."""
    serial = 900 + person_no % 100
    digits = f"{born_on:%d%m%y}{serial}"
    marks = _CENTURY_MARKS[born_on.year // 100]
    mark = marks[person_no // 100 % len(marks)]
    return f"{digits[:6]}{mark}{serial}{_CHECK_CHARACTERS[int(digits) % 31]}"


def account_number(person_no: int) -> str:
    """A Finnish IBAN with valid check digits in the unassigned bank code 999."""
    national = f"999{person_no:011d}"
    check = 98 - int(national + "151800") % 97
    return f"FI{check:02d}{national}"


def diet(person_no: int) -> str:
    """A diet with its mark: health or religion, special categories of GDPR Art. 9."""
    return f"{_DIETS[person_no % len(_DIETS)]} (merkki D{person_no:07d}Z)"


def access_need(person_no: int) -> str:
    """An accessibility need with its mark."""
    return f"induktiosilmukka (merkki E{person_no:07d}Z)"


def home_address(person_no: int, street: str) -> str:
    """A street address that exists nowhere, with its mark for a door."""
    return f"{street} {person_no % 90 + 1} ovi H{person_no:07d}Z"


def invoice_address(person_no: int) -> str:
    """An electronic invoice address: a valid OVT code of a business id in the nine millions, which are not in use.

    There are 333,000 of these; beyond, the free end of the code tells people apart.
    """
    times, nth = divmod(person_no, 333_000)
    number = next(n for n in range(9_000_000 + 3 * nth, 9_999_999) if _check_digit(n) is not None)
    return f"0037{number}{_check_digit(number)}{f'LAS{times:02d}' if times else 'LASKU'}"


def _check_digit(number: int) -> int | None:
    """The last digit of a Finnish business id; None where the number has none and is given to nobody."""
    rest = sum(int(digit) * weight for digit, weight in zip(str(number), (7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
    return None if rest == 1 else (11 - rest) % 11


def form_token(person_no: int, number: int) -> str:
    """The token of a website submission, which opens it to whoever holds it."""
    return f"tok{person_no:07d}x{number:09d}Z"


def network_address(person_no: int) -> str:
    """An IPv6 address in the documentation prefix (RFC 3849)."""
    return f"2001:db8:{person_no >> 16:x}:{person_no & 0xFFFF:x}::beef"

"""Phone numbers in E.164, read with Finnish habits: a number without a country code is a Finnish one.

A number is taken only if a person may be behind it (mobile, fixed, VoIP), and only if the cell holds one number that
no spreadsheet has recounted: the library reads `0401234567.0` as a valid number with one digit too many.
"""

import re
from functools import cache

import pandas as pd
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import PhoneMetadata, PhoneNumberFormat, PhoneNumberType

from pipelines.transforms.text import damage, is_anonymised, is_blank, tidy
from pipelines.transforms.values import ABSENT, NormalisedColumn, Value, normalise_column, refused

HOME_REGION = "FI"

_PERSONAL = {
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP,
}

# Numbers that Ofcom keeps for drama, which the library's plan leaves out: nobody can ever have one, so that examples and
# demonstrations may hold them. https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama
_DRAMA = re.compile(r"\+44(?:7700900|2079460|1632960)[0-9]{3}")

_EXPONENT = re.compile(r"[0-9][eE][+-]?[0-9]")
_DECIMALS = re.compile(r"[^.]*[0-9]\.[0-9]+|[^,]*[0-9],[0-9]{1,2}")
_NOTE_AT_END = re.compile(r"\s*\([^()0-9]*\)$")
_SEPARATORS = re.compile(r"[/,;|&\n]|\b(?:tai|ja|eller|och|or|and)\b", re.IGNORECASE)
_LABEL = re.compile(r"^(?:(?:matka)?puh(?:elin)?|p|gsm|mobiili|mobile?|tel(?:efon)?|tfn|phone)\b[.:\s]*", re.IGNORECASE)
_EXTENSION = re.compile(r"\s*(?:;ext=|ext\.?|x|#|ankn\.?|alanumero|alanro\.?)\s*[0-9]{1,6}$", re.IGNORECASE)

_PLAIN = r"^\s*\+?[0-9]+(?:[ -][0-9]+)*\s*$"


def normalise_phone(text: str) -> Value:
    """The number in E.164 (`+358...`); extensions and a note in brackets at the end are dropped.

    Faults: `phone_float`, `phone_several`, `phone_invalid`, `phone_premium`, `phone_service_number`, and damage.
    """
    tidied = tidy(text.replace("\n", ";"))
    if is_blank(tidied.strip(";, ")):
        return ABSENT
    if is_anonymised(tidied):
        return refused("anonymised")
    if code := damage(text):
        return refused(code)
    if _is_recounted(tidied):
        return refused("phone_float")
    readings = {_one_number(part) for part in _parts(tidied)}
    if len(readings) > 1:
        return refused("phone_several")
    return readings.pop() if readings else refused("phone_invalid")


def normalise_phones(column: pd.Series) -> NormalisedColumn:
    """`normalise_phone` over a `str` column."""
    return normalise_column(column, normalise_phone, plain=_plain_numbers)


def _is_recounted(tidied: str) -> bool:
    compact = tidied.replace(" ", "")
    return _EXPONENT.search(compact) is not None or _DECIMALS.fullmatch(compact) is not None


def _parts(tidied: str) -> list[str]:
    without_extension = _EXTENSION.sub("", tidied)
    parts = (_NOTE_AT_END.sub("", part.strip()) for part in _SEPARATORS.split(without_extension))
    return [part for part in parts if part]


def _one_number(part: str) -> Value:
    digits = _LABEL.sub("", part)
    # The library reads letters as the keys that they stand on (`040123abc` would be a valid number), and digits in
    # brackets at the end as more of the number.
    if digits.endswith(")") or any(character.isalpha() for character in digits):
        return refused("phone_invalid")
    try:
        number = phonenumbers.parse(digits, HOME_REGION)
    except phonenumbers.NumberParseException:
        return refused("phone_invalid")
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if _DRAMA.fullmatch(written):
        return Value(written)
    return _of_a_person(number, written) if phonenumbers.is_valid_number(number) else refused("phone_invalid")


def _of_a_person(number: phonenumbers.PhoneNumber, written: str) -> Value:
    kind = phonenumbers.number_type(number)
    if kind in _PERSONAL:
        return Value(written)
    return refused("phone_premium" if kind == PhoneNumberType.PREMIUM_RATE else "phone_service_number")


def _plain_numbers(texts: pa.Array) -> pa.Array:
    """Finnish mobile numbers, and the British mobile numbers for drama, with at most single spaces or hyphens between."""
    compact = pc.replace_substring_regex(texts, pattern=r"[\s-]", replacement="")
    is_plain = pc.match_substring_regex(texts, pattern=_PLAIN)
    finnish = _national(compact, _finnish_mobile())
    drama = _national(compact, r"^(?:\+|00)44(?P<national>7700900[0-9]{3})$")
    found = pc.coalesce(_prefixed("+358", finnish), _prefixed("+44", drama))
    return pc.if_else(is_plain, found, pa.scalar(None, found.type))


def _national(compact: pa.Array, pattern: str) -> pa.Array:
    # Not `.field()`: it forgets that the row as a whole did not match.
    return pc.struct_field(pc.extract_regex(compact, pattern=pattern), "national")


def _prefixed(country_code: str, national: pa.Array) -> pa.Array:
    text = pa.large_string()
    return pc.binary_join_element_wise(pa.scalar(country_code, text), pc.cast(national, text), pa.scalar("", text))


@cache
def _finnish_mobile() -> str:
    metadata = PhoneMetadata.metadata_for_region(HOME_REGION)
    mobile = metadata.mobile if metadata else None
    national = mobile.national_number_pattern if mobile else r"[^\s\S]"
    return rf"^(?:\+358|00358|0)?(?P<national>{national})$"

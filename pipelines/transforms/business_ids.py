"""Identifiers of organisations: the Finnish business id (Y-tunnus) and VAT numbers, by their check digits.

Identity codes of people are no business of this module: see `pipelines.transforms.identity_codes`.
"""

import re

import pandas as pd
from stdnum import exceptions as stdnum_errors
from stdnum.eu import vat
from stdnum.fi import alv, ytunnus

from pipelines.transforms.text import damage, is_blank, tidy
from pipelines.transforms.values import ABSENT, NormalisedColumn, Value, normalise_column, refused

_DASHES = re.compile("[‐‑‒–—−]")
# Six digits before the check digit are an id from before 2001, or one whose leading zero a spreadsheet took.
_BUSINESS_ID = re.compile(r"(?:FI)?([0-9]{6,7})-?([0-9])")


def normalise_business_id(text: str) -> Value:
    """The Finnish business id as `1234567-1`, also from its VAT number or without its leading zero."""
    compact = _compact(text)
    if is_blank(compact):
        return ABSENT
    if code := damage(text):
        return refused(code)
    matched = _BUSINESS_ID.fullmatch(compact)
    if not matched:
        return refused("business_id_invalid")
    digits = matched[1].zfill(7) + matched[2]
    return Value(ytunnus.format(digits)) if ytunnus.is_valid(digits) else refused("business_id_invalid")


def normalise_business_ids(column: pd.Series) -> NormalisedColumn:
    """`normalise_business_id` over a `str` column."""
    return normalise_column(column, normalise_business_id)


def normalise_vat_id(text: str) -> Value:
    """The VAT number of an EU country with its two letters, compact (`FI12345671`); not looked up anywhere."""
    compact = _compact(text)
    if is_blank(compact):
        return ABSENT
    if code := damage(text):
        return refused(code)
    try:
        return Value(_vat(compact))
    except stdnum_errors.ValidationError:
        return refused("vat_id_invalid")


def _vat(compact: str) -> str:
    if compact.startswith("FI"):
        return f"FI{alv.validate(compact)}"
    return str(vat.validate(compact))


def _compact(text: str) -> str:
    return _DASHES.sub("-", tidy(text)).replace(" ", "").upper()

"""What the values of a column look like as a whole: addresses, times, phone numbers, codes, or a few answers."""

import re
from dataclasses import dataclass

import pandas as pd

from pipelines.transforms.dates import normalise_timestamps
from pipelines.transforms.identity_codes import redact_free_text
from schemas.mappings import TimeFormat

SAMPLE = 500
MOST_OPTIONS = 4
MOST_OPTION_LENGTH = 300
_MOSTLY = 0.9
_TIMES = (
    TimeFormat.ISO,
    TimeFormat.DRUPAL,
    TimeFormat.FI_DATETIME,
    TimeFormat.FI_DATE,
    TimeFormat.SV_DATETIME,
    TimeFormat.UNIX,
    TimeFormat.EXCEL_SERIAL,
)
_NUMERIC = frozenset({TimeFormat.UNIX, TimeFormat.EXCEL_SERIAL})
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+?[\d\s()/-]{6,20}")
_POSTAL = re.compile(r"(?:FI-?)?\d{5}")


@dataclass(frozen=True, slots=True)
class ValueShape:
    """Of the present values of a column: how many of a sample, are they all different, what do they look like.

    `options` are the distinct answers where they are so few and so often given that they are choices of the form and
    nobody's own words; `times` the formats that read them all. `is_special`: identity codes or account numbers occur.
    """

    count: int
    is_unique: bool
    is_email: bool
    is_phone: bool
    is_postal_code: bool
    is_long: bool
    is_special: bool
    options: tuple[str, ...]
    times: tuple[str, ...]


def value_shape(column: "pd.Series[str]", *, may_be_number: bool) -> ValueShape:
    """The shape of a column of text; `may_be_number` lets plain numbers be times, where the title says it is a time."""
    values = column.dropna().str.strip()
    sample = values[values != ""].head(SAMPLE)
    return ValueShape(
        count=len(sample),
        is_unique=len(sample) > 0 and bool(sample.is_unique) and len(sample) == len(column.head(SAMPLE)),
        is_email=_mostly(sample, _EMAIL),
        is_phone=_mostly(sample, _PHONE),
        is_postal_code=_mostly(sample, _POSTAL),
        is_long=bool(sample.str.len().gt(60).mean() > 0.3) if len(sample) else False,
        is_special=_has_special(sample),
        options=_options(sample),
        times=_times(sample, may_be_number=may_be_number),
    )


def _mostly(sample: "pd.Series[str]", pattern: re.Pattern[str]) -> bool:
    return len(sample) > 0 and sample.map(lambda text: pattern.fullmatch(text) is not None).mean() >= _MOSTLY


def _options(sample: "pd.Series[str]") -> tuple[str, ...]:
    distinct = [str(text) for text in sample.unique()]
    is_few = 0 < len(distinct) <= MOST_OPTIONS and len(sample) >= 2 * len(distinct)
    return tuple(sorted(distinct)) if is_few and max(map(len, distinct)) <= MOST_OPTION_LENGTH else ()


def _has_special(sample: "pd.Series[str]") -> bool:
    """Whether what may not pass the landing stands in some of the values, other than by chance."""
    if not len(sample):
        return False
    redacted = redact_free_text(sample.astype("str")).values
    return bool((redacted != sample).mean() > 0.2)


def _times(sample: "pd.Series[str]", *, may_be_number: bool) -> tuple[str, ...]:
    if not len(sample):
        return ()
    texts = sample.astype("str").reset_index(drop=True)
    tried = [each for each in _TIMES if may_be_number or each not in _NUMERIC]
    read = {
        str(each): normalise_timestamps(texts, formats=(str(each),), timezone="UTC")["fault"].isna() for each in tried
    }
    whole = [name for name, is_read in read.items() if is_read.mean() >= _MOSTLY]
    if whole:
        return (whole[0],)
    pair = (str(TimeFormat.FI_DATETIME), str(TimeFormat.FI_DATE))
    return pair if (read[pair[0]] | read[pair[1]]).mean() >= _MOSTLY else ()

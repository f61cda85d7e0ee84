"""Countries as ISO 3166-1 codes, and postal codes in the form of their country. Streets and towns stay as written."""

import gettext
import re
from functools import cache, partial

import pandas as pd
import pycountry

from pipelines.transforms.text import damage, is_blank, tidy
from pipelines.transforms.values import ABSENT, NormalisedColumn, Value, normalise_column, refused

# https://learn.microsoft.com/power-apps/developer/data-platform/reference/entities/contact: address1_postalcode.
MAX_POSTAL_CODE = 20

# What people write beside the names of ISO 3166 in English, Finnish and Swedish.
COUNTRY_ALIASES = {
    "suomi": "FI", "suomen tasavalta": "FI", "finska": "FI", "republic of finland": "FI",
    "ruotsi": "SE", "sverige": "SE", "norja": "NO", "norge": "NO", "tanska": "DK", "danmark": "DK", "islanti": "IS",
    "island": "IS", "viro": "EE", "eesti": "EE", "estland": "EE", "latvija": "LV", "lietuva": "LT",
    "saksa": "DE", "deutschland": "DE", "tyskland": "DE", "itävalta": "AT", "österreich": "AT", "sveitsi": "CH",
    "schweiz": "CH", "suisse": "CH", "alankomaat": "NL", "hollanti": "NL", "holland": "NL", "nederland": "NL",
    "the netherlands": "NL", "ranska": "FR", "frankrike": "FR", "espanja": "ES", "españa": "ES", "italia": "IT",
    "puola": "PL", "polska": "PL", "tšekki": "CZ", "czech republic": "CZ", "kreikka": "GR", "el": "GR",
    "iso-britannia": "GB", "britannia": "GB", "englanti": "GB", "skotlanti": "GB", "wales": "GB", "england": "GB",
    "scotland": "GB", "northern ireland": "GB", "great britain": "GB", "uk": "GB", "u.k.": "GB",
    "storbritannien": "GB", "yhdistynyt kuningaskunta": "GB", "irlanti": "IE",
    "yhdysvallat": "US", "usa": "US", "u.s.a.": "US", "u.s.": "US", "united states of america": "US", "amerikka": "US",
    "venäjä": "RU", "russia": "RU", "ryssland": "RU", "ukraina": "UA", "turkki": "TR", "turkey": "TR",
    "kiina": "CN", "kina": "CN", "intia": "IN", "japani": "JP", "etelä-korea": "KR", "south korea": "KR",
    "vietnam": "VN", "iran": "IR", "syyria": "SY", "syria": "SY", "ahvenanmaa": "AX", "åland": "AX",
}  # fmt: skip

_FINNISH_POSTAL = re.compile(r"(?:FI(?:N)?\s*-?\s*)?([0-9]{1,5})", re.IGNORECASE)
_OTHER_POSTAL = re.compile(r"[A-Z0-9](?:[A-Z0-9 -]*[A-Z0-9])?")
_SEVERAL_NAMES = re.compile(r"\s*[/,(]\s*|\s+-\s+")


def normalise_country(text: str) -> Value:
    """The two-letter ISO 3166-1 code of a country named or coded in Finnish, Swedish or English (`Finland/Suomi`).

    Several names in one cell are one country only if all of them say so.
    """
    tidied = tidy(text)
    if is_blank(tidied):
        return ABSENT
    if code := damage(text):
        return refused(code)
    codes = {_country_code(tidied)} - {None} or {_country_code(name) for name in _names_within(tidied)}
    agreed = codes.pop() if len(codes) == 1 else None
    return Value(agreed) if agreed else refused("country_unknown")


def normalise_countries(column: pd.Series) -> NormalisedColumn:
    """`normalise_country` over a `str` column."""
    return normalise_column(column, normalise_country)


def normalise_postal_code(text: str, *, country: str) -> Value:
    """The postal code in its country's form; `country` is an ISO 3166-1 code.

    A Finnish code loses its `FI-` and regains the leading zeros that a spreadsheet took (`100` is `00100`). Of other
    countries only the alphabet and the length (20) are checked.
    """
    tidied = tidy(text).upper()
    if is_blank(tidied):
        return ABSENT
    if code := damage(text):
        return refused(code)
    if country == "FI":
        matched = _FINNISH_POSTAL.fullmatch(tidied)
        return Value(matched[1].zfill(5)) if matched and int(matched[1]) else refused("postal_code_invalid")
    is_code = len(tidied) <= MAX_POSTAL_CODE and _OTHER_POSTAL.fullmatch(tidied) is not None
    return Value(tidied) if is_code else refused("postal_code_invalid")


def normalise_postal_codes(
    column: pd.Series, *, countries: pd.Series | None = None, default_country: str = "FI"
) -> NormalisedColumn:
    """`normalise_postal_code` over a `str` column; `countries` holds ISO codes on the same index, missing as default."""
    if countries is None:
        return normalise_column(column, partial(normalise_postal_code, country=default_country))
    known = countries.fillna(default_country)
    by_country = [
        normalise_column(cells, partial(normalise_postal_code, country=str(country)))
        for country, cells in column.reset_index(drop=True).groupby(known.to_numpy())
    ]
    empty = pd.Series([], dtype="str")
    values = pd.concat([empty, *(part.values for part in by_country)]).sort_index()
    faults = pd.concat([empty, *(part.faults for part in by_country)]).sort_index()
    return NormalisedColumn(values.set_axis(column.index), faults.set_axis(column.index))


def _names_within(tidied: str) -> list[str]:
    names = [name.rstrip(") ") for name in _SEVERAL_NAMES.split(tidied)]
    return [name for name in names if name] if len(names) > 1 else []


def _country_code(name: str) -> str | None:
    return _country_names().get(name.casefold())


@cache
def _country_names() -> dict[str, str]:
    """Folded names and codes in English, Finnish and Swedish, from pycountry's own translations, and the aliases."""
    names: dict[str, str] = {}
    translations = [
        gettext.translation("iso3166-1", str(pycountry.LOCALES_DIR), languages=[language], fallback=True)
        for language in ("fi", "sv")
    ]
    for country in pycountry.countries:
        own = {country.name, country.alpha_2, country.alpha_3}
        own |= {name for kind in ("common_name", "official_name") if (name := getattr(country, kind, None))}
        own |= {translation.gettext(name) for translation in translations for name in tuple(own) if len(name) > 3}
        names |= {name.casefold(): country.alpha_2 for name in own}
    return names | COUNTRY_ALIASES

"""The person in each row: address, names, phone, organisation and place, each by its normaliser, with its faults.

Where the source says that the person was erased there, no value of theirs is read.
"""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.transforms.business_ids import normalise_business_ids
from pipelines.transforms.emails import ROLE_LOCAL_PARTS, is_role_address, normalise_emails
from pipelines.transforms.identity_codes import without_codes
from pipelines.transforms.names import given_name_key, name_key, normalise_names, split_full_names
from pipelines.transforms.phones import normalise_phones
from pipelines.transforms.places import normalise_countries, normalise_postal_codes
from pipelines.transforms.readings import Reading, each_text
from pipelines.transforms.text import clean_text
from pipelines.transforms.values import NormalisedColumn, arrow_texts
from schemas.errors import MappingError
from schemas.mappings import ColumnRef, FieldMap, Mapping

# https://learn.microsoft.com/power-apps/developer/data-platform/reference/entities/contact: the lengths of its columns.
_LONGEST = {"organisation": 100, "city": 80}

_DAMAGED = frozenset({"mojibake", "control_characters"})


def read_person_fields(reading: Reading, mapping: Mapping, *, erased: pd.Series, home: str) -> pd.DataFrame:
    """Columns `address`, `address_key`, `given_name`, `family_name`, `given_key`, `family_key`, `phone`,
    `organisation`, `country`, `postal_code`, `city` (`str`), `is_role_address`, `has_no_address` (blank, not
    faulty) and `is_deleted` (`bool`).

    `erased` are the rows that the source has erased; `home` is the country of postal codes without one (ISO 3166).
    Raises MappingError where the feed needs a person and no column holds an address.
    """
    fields = mapping.fields
    if mapping.needs_person and fields.email is None:
        raise MappingError(f"Feed {mapping.feed}: map fields.email, or set needs_person to false.")
    texts = {name: reading.texts(getattr(fields, name)).mask(erased) for name in FieldMap.model_fields}
    columns = {
        **_address(reading, fields.email, texts["email"]),
        **_names(reading, fields, texts),
        **_contact_details(reading, fields, texts, home=home),
    }
    return pd.DataFrame({**columns, "is_deleted": erased}, index=reading.index)


def is_role(keys: pd.Series) -> pd.Series:
    """`is_role_address` over canonical keys; False where there is none."""
    locals_ = pc.struct_field(pc.extract_regex(arrow_texts(keys), pattern=r"^(?P<local>[^@+]*)"), "local")
    is_listed = pc.is_in(locals_, pa.array(sorted(ROLE_LOCAL_PARTS), locals_.type)).to_numpy(zero_copy_only=False)
    is_plain = pc.string_is_ascii(locals_).fill_null(True).to_numpy(zero_copy_only=False)
    beyond_ascii = {key: is_role_address(key) for key in keys[~is_plain].unique()}
    return pd.Series(is_listed, index=keys.index) | keys.isin([key for key, is_one in beyond_ascii.items() if is_one])


def _address(reading: Reading, ref: ColumnRef | None, texts: pd.Series) -> dict[str, pd.Series]:
    emails = normalise_emails(texts)
    reading.note("email", ref, emails["fault"], blocks="row")
    return {
        "address": emails["address"],
        "address_key": emails["key"],
        "is_role_address": is_role(emails["key"]),
        "has_no_address": emails["address"].isna() & emails["fault"].isna(),
    }


def _names(reading: Reading, fields: FieldMap, texts: dict[str, pd.Series]) -> dict[str, pd.Series]:
    given = _noted(reading, "given_name", fields.given_name, normalise_names(texts["given_name"]))
    family = _noted(reading, "family_name", fields.family_name, normalise_names(texts["family_name"]))
    if fields.full_name is not None:
        split = split_full_names(texts["full_name"], order=fields.full_name.order)
        _note_name(reading, "full_name", fields.full_name, split["fault"])
        given, family = given.fillna(split["given"]), family.fillna(split["family"])
    return {
        "given_name": given,
        "family_name": family,
        "given_key": each_text(given, given_name_key).fillna(""),
        "family_key": each_text(family, lambda name: name_key(None, name).family).fillna(""),
    }


def _noted(reading: Reading, name: str, ref: ColumnRef | None, column: NormalisedColumn) -> pd.Series:
    _note_name(reading, name, ref, column.faults)
    return column.values


def _note_name(reading: Reading, name: str, ref: ColumnRef | None, codes: pd.Series) -> None:
    """A damaged name bars the row: it tells that the whole row was. Other faults only cost the name."""
    is_damaged = codes.isin(_DAMAGED)
    reading.note(name, ref, codes.where(is_damaged), blocks="row")
    reading.note(name, ref, codes.mask(is_damaged), blocks="field")


def _contact_details(
    reading: Reading, fields: FieldMap, texts: dict[str, pd.Series], *, home: str
) -> dict[str, pd.Series]:
    countries = normalise_countries(texts["country"])
    read = {
        "phone": normalise_phones(texts["phone"]),
        "country": countries,
        "postal_code": normalise_postal_codes(texts["postal_code"], countries=countries.values, default_country=home),
        **{name: without_codes(clean_text(texts[name], max_length=longest)) for name, longest in _LONGEST.items()},
    }
    business_ids = normalise_business_ids(texts["business_id"])
    for name, column in {**read, "business_id": business_ids}.items():
        reading.note(name, getattr(fields, name), column.faults, blocks="field")
    return {name: column.values for name, column in read.items()}

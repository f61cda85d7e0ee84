"""Children: nobody younger than the policy's age is marketed to, and on a children's course nobody whose age is unknown.

The age is read to decide this and is kept nowhere. The Finnish Act 1050/2018 section 5: a child's own consent counts
from 13 (GDPR Art. 8); a guardian's tick does not make marketing to a younger child lawful here.
"""

import pandas as pd

from pipelines.transforms.readings import Reading, Span, each_text
from schemas.consent import Actor, Value
from schemas.mappings import Mapping
from schemas.policy import Policy
from schemas.purposes import Basis
from schemas.records import PENDING

MARKETING_BASES = (Basis.CONSENT, Basis.SOFT_OPT_IN)


def of_children(reading: Reading, mapping: Mapping, submitted: Span, policy: Policy) -> pd.Series:
    """Rows (`boolean`) of somebody too young to be marketed to when they submitted, or who may be, on a children's form.

    A date of birth decides where it can be read, else a stated age; a year of birth counts as its last day. NA where
    nothing is told of an age, on a form that is not for children.
    """
    fields = mapping.fields
    unknown = pd.Series(True if mapping.for_children else pd.NA, index=reading.index, dtype="boolean")
    if fields.birth_date is None and fields.age is None:
        return unknown
    age = _age_by_birth(reading, mapping, submitted).fillna(_stated_age(reading, mapping))
    return (age < policy.marketing_age).astype("boolean").fillna(unknown)


def without_marketing(reading: Reading, decisions: pd.DataFrame, is_child: pd.Series, policy: Policy) -> pd.DataFrame:
    """The decisions without what was given for marketing by children, or by a guardian for somebody of unknown age.

    Each is let go by rule; what lowers stays.
    """
    names = [name for name, purpose in policy.purposes.items() if purpose.basis in MARKETING_BASES]
    raises = decisions["value"].isin([Value.GRANT, PENDING]) & decisions["purpose"].isin(names)
    is_by_guardian = (decisions["actor"] == Actor.GUARDIAN).fillna(False).astype(bool)
    may_be = decisions["row_no"].isin(is_child.index[is_child.fillna(True)] + 1)
    is_barred = raises & (
        decisions["row_no"].isin(is_child.index[is_child.fillna(False)] + 1) | (is_by_guardian & may_be)
    )
    for purpose, barred in decisions[is_barred].groupby("purpose"):
        rows = pd.Series((reading.index + 1).isin(barred["row_no"]), index=reading.index)
        reading.note_rows(f"consents.{purpose}", None, "child", rows=rows, blocks="rule")
    return decisions[~is_barred].reset_index(drop=True)


def _age_by_birth(reading: Reading, mapping: Mapping, submitted: Span) -> pd.Series:
    """Whole years by the latest day of birth that is meant; NA where it cannot be read, or lies ahead."""
    born = reading.span("birth_date", mapping.fields.birth_date, blocks="field").latest
    at = submitted.earliest.fillna(reading.received_at)
    zone = mapping.submitted_at.timezone
    # The latest instant of a date is the midnight that ends it.
    day, now = (born - pd.Timedelta(seconds=1)).dt.tz_convert(zone), at.dt.tz_convert(zone)
    has_had_birthday = (now.dt.month * 100 + now.dt.day) >= (day.dt.month * 100 + day.dt.day)
    years = now.dt.year - day.dt.year - (~has_had_birthday).astype("int64")
    return years.where(born.notna() & (years >= 0)).astype("Float64")


def _stated_age(reading: Reading, mapping: Mapping) -> pd.Series:
    told = each_text(reading.texts(mapping.fields.age), lambda text: text.strip() if text.strip().isdecimal() else None)
    return pd.to_numeric(told, errors="coerce").astype("Float64")

"""The courses and events that a batch registers people for, and the state of each registration.

A registration's end of life follows from the end of its occasion: an occasion that tells no end ends with its start,
and one that tells neither is a fault.
"""

from dataclasses import dataclass

import pandas as pd

from pipelines.transforms.parts import is_registering
from pipelines.transforms.readings import Reading, conform
from pipelines.transforms.text import clean_text
from schemas.mappings import ChoiceRef, Mapping, OccasionMap, SubmissionKind
from schemas.records import OCCASION_COLUMNS

STATUSES = ("active", "waitlisted", "cancelled", "deleted")
YES_OR_NO = ("yes", "no")
REGISTERING = (SubmissionKind.COURSE_REGISTRATION, SubmissionKind.EVENT_REGISTRATION)

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Registrations:
    """By row: the occasion and the state of its registration (`str`, NA = none), sale, payer, notice (`bool`)."""

    occasion_id: pd.Series
    status: pd.Series
    is_sale: pd.Series
    is_payer: pd.Series
    notice_shown: pd.Series


def read_registrations(reading: Reading, mapping: Mapping) -> Registrations:
    """What each row registers for. A status of an unknown word is a fault and no registration."""
    occasion = mapping.occasion
    if occasion is None:
        nothing, never = reading.repeated(None), reading.never()
        return Registrations(nothing, nothing, never, never, never)
    registers = is_registering(reading, mapping)
    occasion_id = reading.texts(occasion.id).str.strip().where(registers)
    if mapping.kind in REGISTERING:
        is_lost = registers & occasion_id.isna()
        reading.note_rows("occasion.id", occasion.id, "occasion_missing", rows=is_lost, blocks="row")
    payer = mapping.registration.is_payer if mapping.registration else None
    return Registrations(
        occasion_id=occasion_id,
        status=_statuses(reading, mapping).where(occasion_id.notna()),
        is_sale=_is_yes(reading, "is_sale", occasion.is_sale),
        is_payer=_is_yes(reading, "is_payer", payer),
        notice_shown=occasion_id.notna() & occasion.notice_shown,
    )


def read_occasions(reading: Reading, mapping: Mapping, *, version_at: pd.Series) -> pd.DataFrame:
    """The occasions frame: one row per id, as its newest row (by `version_at`, then order) tells it."""
    occasion = mapping.occasion
    if occasion is None:
        return conform(pd.DataFrame(), OCCASION_COLUMNS)
    frame = pd.DataFrame({**_told(reading, occasion), "kind": str(mapping.kind), "version_at": version_at})
    return conform(newest_of_each(frame[frame["occasion_id"].notna()]), OCCASION_COLUMNS)


def newest_of_each(occasions: pd.DataFrame) -> pd.DataFrame:
    """One row per `occasion_id`, the newest by `version_at`, then by order; the rows that stay keep their order."""
    by_age = occasions.sort_values("version_at", kind="stable", na_position="first")
    return by_age.drop_duplicates("occasion_id", keep="last").sort_index().reset_index(drop=True)


def _told(reading: Reading, occasion: OccasionMap) -> dict[str, pd.Series]:
    starts = reading.span("occasion.starts_at", occasion.starts_at, blocks="field")
    ends = reading.span("occasion.ends_at", occasion.ends_at, blocks="field")
    occasion_id = reading.texts(occasion.id).str.strip()
    ends_at = ends.latest.fillna(starts.latest)
    endless = occasion_id.notna() & ends_at.isna()
    reading.note_rows("occasion.ends_at", occasion.ends_at, "occasion_endless", rows=endless, blocks="effect")
    return {
        "occasion_id": occasion_id,
        "name": clean_text(reading.texts(occasion.name), max_length=_LONGEST).values.fillna(occasion_id),
        "starts_at": starts.earliest,
        "ends_at": ends_at,
        "field": clean_text(reading.texts(occasion.field), max_length=_LONGEST).values,
        "organiser_unit": reading.repeated(occasion.organiser_unit),
        "organiser_contact": reading.repeated(occasion.organiser_contact),
    }


def _statuses(reading: Reading, mapping: Mapping) -> pd.Series:
    """`active` where no column tells; NA for a blank or unknown word, and where nothing is registered."""
    if mapping.kind not in REGISTERING and mapping.registration is None and mapping.spoken is None:
        return reading.repeated(None)
    ref = mapping.registration.status if mapping.registration else None
    if ref is None:
        return reading.repeated("active")
    statuses = reading.choice("status", ref, allowed=STATUSES, code="unknown_status", blocks="effect")
    is_blank = reading.texts(ref).str.strip().fillna("") == ""
    reading.note_rows("status", ref, "unknown_status", rows=is_blank & statuses.isna(), blocks="effect")
    return statuses


def _is_yes(reading: Reading, name: str, ref: ChoiceRef | None) -> pd.Series:
    return reading.choice(name, ref, allowed=YES_OR_NO, code="unknown_answer", blocks="effect") == "yes"

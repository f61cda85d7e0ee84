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
from schemas.records import OCCASION_COLUMNS, UTC_TIME

STATUSES = ("active", "waitlisted", "cancelled", "deleted")
YES_OR_NO = ("yes", "no")
REGISTERING = (SubmissionKind.COURSE_REGISTRATION, SubmissionKind.EVENT_REGISTRATION)

_LONGEST = 300
# The columns of each part of an occasion, of which the first is there where the part was told, by what bears its version.
_PARTS = {
    "name_version_at": ("name",),
    "starts_version_at": ("starts_at", "starts_to", "starts_told_at"),
    "ends_version_at": ("told_ends_at",),
    "field_version_at": ("field",),
}


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
    """What each row that names an occasion tells of it, by the rows' index; `newest_of_each` makes the occasions frame of it."""
    occasion = mapping.occasion
    if occasion is None:
        return conform(pd.DataFrame(), OCCASION_COLUMNS)
    told = pd.DataFrame({**_told(reading, occasion), "kind": _kind(mapping), "version_at": version_at})
    never = pd.Series(pd.NaT, index=reading.index, dtype=UTC_TIME)
    told = told.assign(
        starts_told_at=version_at if occasion.starts_at.column else never,
        earlier_ended_at=never,
        **{version: version_at.where(told[columns[0]].notna()) for version, columns in _PARTS.items()},
    )
    return conform(told[told["occasion_id"].notna()], OCCASION_COLUMNS)


def newest_of_each(occasions: pd.DataFrame) -> pd.DataFrame:
    """The occasions frame: one row per `occasion_id` in the order in which they come first, each part as the newest row that
    tells it has it (by its version, then by order).

    A row that tells nothing of a part takes nothing away: one blank cell of one registration is no news of the event.
    """
    if occasions.empty:
        return occasions
    whole = _newest(occasions, "version_at")
    for version, columns in _PARTS.items():
        newest = _newest(occasions[occasions[columns[0]].notna()], version)
        whole = whole.assign(**{name: newest[name] for name in (version, *columns)})
    whole = whole.assign(ends_at=_ends(whole), earlier_ended_at=_earlier_ends(occasions))
    in_order = whole.loc[occasions["occasion_id"].unique()]
    return conform(in_order.rename_axis("occasion_id").reset_index(), OCCASION_COLUMNS)


def _newest(occasions: pd.DataFrame, version: str) -> pd.DataFrame:
    by_age = occasions.sort_values(version, kind="stable", na_position="first")
    return by_age.drop_duplicates("occasion_id", keep="last").set_index("occasion_id")


def _ends(occasions: pd.DataFrame) -> pd.Series:
    """When each is over: at the end that was told, else with its start; not before a start that was told after that end."""
    told, start = occasions["told_ends_at"], occasions["starts_to"]
    versions = occasions["starts_version_at"], occasions["ends_version_at"]
    is_later = (versions[0] > versions[1]) | (versions[0].notna() & versions[1].isna())
    return told.mask(is_later & (start > told), start).fillna(start)


def _earlier_ends(occasions: pd.DataFrame) -> pd.Series:
    """By id the last end that had passed when the next row told a start after it; NaT where none had."""
    dated = occasions[occasions["starts_at"].notna()]
    dated = dated.sort_values("starts_version_at", kind="stable", na_position="first")
    before = dated.groupby("occasion_id")["ends_at"].shift()
    is_again = (before <= dated["starts_told_at"]) & (before < dated["starts_at"])
    ended = pd.concat([occasions["earlier_ended_at"], before[is_again]])
    return ended.groupby(occasions["occasion_id"].loc[ended.index].to_numpy()).max()


def _kind(mapping: Mapping) -> str:
    """What people register for by the feed: a course, where it says so; else an event, whatever else they do by it."""
    is_course = mapping.kind is SubmissionKind.COURSE_REGISTRATION
    return str(SubmissionKind.COURSE_REGISTRATION if is_course else SubmissionKind.EVENT_REGISTRATION)


def _told(reading: Reading, occasion: OccasionMap) -> dict[str, pd.Series]:
    starts = reading.span("occasion.starts_at", occasion.starts_at, blocks="field")
    ends = reading.span("occasion.ends_at", occasion.ends_at, blocks="field")
    occasion_id = reading.texts(occasion.id).str.strip()
    ends_at = ends.latest.fillna(starts.latest)
    endless = occasion_id.notna() & ends_at.isna()
    reading.note_rows("occasion.ends_at", occasion.ends_at, "occasion_endless", rows=endless, blocks="effect")
    return {
        "occasion_id": occasion_id,
        "name": clean_text(reading.texts(occasion.name), max_length=_LONGEST).values,
        "starts_at": starts.earliest,
        "starts_to": starts.latest,
        "told_ends_at": ends.latest,
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

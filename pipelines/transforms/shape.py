"""Shaping: a raw frame and its mapping make the frames that the store takes. The one way in for every source.

Each row of the raw frame is one row of `submissions`, whatever is wrong with it; what is wrong is in `faults`, by the
kind of value and never by the value. What the mapping ignores is gone before anything is read.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import pandas as pd

from pipelines.transforms.children import of_children, without_marketing
from pipelines.transforms.columns import FittedColumns, fit_columns, force_columns
from pipelines.transforms.decisions import Times, in_order, read_decisions, wordings_of
from pipelines.transforms.fingerprints import content_hashes, submission_ids
from pipelines.transforms.kept_answers import read_answers
from pipelines.transforms.occasions import YES_OR_NO, newest_of_each, read_occasions, read_registrations
from pipelines.transforms.parts import note_unlisted
from pipelines.transforms.person_fields import read_person_fields
from pipelines.transforms.readings import Reading, Span, conform
from pipelines.transforms.row_rules import blanked, is_erased, is_of_other_form, read_erasures, set_aside
from pipelines.transforms.spoken import is_refusal, read_spoken
from schemas.mappings import BATCH_ID, RECEIVED_AT, SUBMISSION_ID, Mapping, SubmissionKind
from schemas.policy import Policy
from schemas.records import SUBMISSION_COLUMNS, UTC_TIME

# Of a batch with more rows, so many are shaped at a time.
PART_ROWS = 50_000
DRAFT, ROLE_ADDRESS = "draft", "role_address"


@dataclass(frozen=True, slots=True)
class StagedBatch:
    """The frames of one batch, columns and dtypes as declared in `schemas.records`, each in the order of the rows.

    `wordings`: wording_hash, text, language, version of each wording that a decision refers to.
    `dropped`: by column, how many cells or answers were let go.
    """

    submissions: pd.DataFrame
    decisions: pd.DataFrame
    faults: pd.DataFrame
    occasions: pd.DataFrame
    answers: pd.DataFrame
    wordings: list[dict[str, str]]
    dropped: dict[str, int]


def shape_batch(raw: pd.DataFrame, mapping: Mapping, *, received_at: datetime, policy: Policy) -> StagedBatch:
    """The staged batch of a raw frame (`str` columns by the source's titles; NA is blank).

    `received_at` (aware) is the batch's; a pulled row's own, in `schemas.mappings.RECEIVED_AT`, goes before it.
    Raises BatchRefused (`missing_column`, `unmapped_column`) and MappingError.
    """
    return _in_parts(fit_columns(raw, mapping), raw, mapping=mapping, received_at=received_at, policy=policy)


def shape_lowering(raw: pd.DataFrame, mapping: Mapping, *, received_at: datetime, policy: Policy) -> StagedBatch:
    """As `shape_batch` for a batch that was refused for its columns: the unmapped are dropped, the missing are blank.

    To be merged for its lowering effects only: a withdrawal that can be read is never held back.
    """
    return _in_parts(force_columns(raw, mapping), raw, mapping=mapping, received_at=received_at, policy=policy)


def _in_parts(
    fitted: FittedColumns, raw: pd.DataFrame, *, mapping: Mapping, received_at: datetime, policy: Policy
) -> StagedBatch:
    """As `_shaped`, of at most PART_ROWS rows at a time: what is made on the way does not grow with the batch."""
    shape = partial(_shaped, mapping=mapping, received_at=received_at, policy=policy)
    if len(raw) <= PART_ROWS:
        return shape(fitted, raw, seen=None)
    seen: Counter[str] = Counter()
    parts = []
    for start in range(0, len(raw), PART_ROWS):
        rows = slice(start, start + PART_ROWS)
        part = shape(FittedColumns(fitted.frame.iloc[rows], fitted.dropped), raw.iloc[rows], seen=seen)
        parts.append(_moved(part, start))
    return _together(parts, fitted.dropped)


def _moved(part: StagedBatch, rows: int) -> StagedBatch:
    numbered = (part.submissions, part.decisions, part.faults, part.answers)
    submissions, decisions, faults, answers = (one.assign(row_no=one["row_no"] + rows) for one in numbered)
    return replace(part, submissions=submissions, decisions=decisions, faults=faults, answers=answers)


def _together(parts: list[StagedBatch], ignored: dict[str, int]) -> StagedBatch:
    def joined(name: str) -> pd.DataFrame:
        return pd.concat([getattr(part, name) for part in parts], ignore_index=True)

    special: Counter[str] = Counter()
    for part in parts:
        special.update({name: count for name, count in part.dropped.items() if name not in ignored})
    return StagedBatch(
        submissions=joined("submissions"),
        decisions=joined("decisions"),
        faults=joined("faults"),
        occasions=newest_of_each(joined("occasions")),
        answers=joined("answers"),
        wordings=_distinct([wording for part in parts for wording in part.wordings]),
        dropped={**ignored, **special},
    )


def _shaped(
    fitted: FittedColumns,
    raw: pd.DataFrame,
    *,
    mapping: Mapping,
    received_at: datetime,
    policy: Policy,
    seen: Counter[str] | None,
) -> StagedBatch:
    reading = Reading(blanked(fitted.frame.reset_index(drop=True), mapping.blanks), _received_at(raw, received_at))
    times = Times(
        submitted=reading.span("submitted_at", mapping.submitted_at, blocks="effect"),
        changed=reading.span("changed_at", mapping.changed_at, blocks="field"),
    )
    version_at = times.changed.earliest.fillna(times.submitted.earliest)
    aside, erased = _set_aside(reading, mapping), is_erased(reading, mapping)
    is_child = of_children(reading, mapping, times.submitted, policy)
    said, wordings = _said(reading, mapping, policy=policy, times=times, erased=erased)
    said = without_marketing(reading, said, is_child, policy)
    told = read_occasions(reading, mapping, version_at=version_at)
    answers, special = read_answers(reading, mapping)
    submissions = _submissions(reading, mapping, policy=policy, is_aside=aside.notna(), erased=erased)
    submissions = submissions.assign(
        notice_shown=submissions["notice_shown"] & ~is_child.fillna(False).astype(bool),
        is_child=is_child.mask(aside.notna() | erased),
        submission_id=_submission_ids(reading.cells, raw, mapping, seen),
        **_row_times(times.submitted, version_at, reading.received_at),
    )
    is_other = is_of_other_form(reading, mapping)
    faults = _of_submitted(reading.found_faults(), aside.notna(), but="form")
    return StagedBatch(
        submissions=conform(_judged(submissions, faults, mapping=mapping, aside=aside), SUBMISSION_COLUMNS),
        decisions=_of_submitted(said, aside.notna() | is_other),
        faults=faults,
        occasions=newest_of_each(told[~(aside.notna() | is_other).loc[told.index]]),
        answers=_of_submitted(answers, aside.notna() | is_other | erased),
        wordings=wordings,
        dropped={**fitted.dropped, **special},
    )


def _said(
    reading: Reading, mapping: Mapping, *, policy: Policy, times: Times, erased: pd.Series
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """The decisions of a batch and the wordings they refer to; of what the source erased only that it did."""
    note_unlisted(reading, mapping)
    decisions = read_decisions(reading, mapping, policy=policy, times=times)
    spoken, spoken_wordings = read_spoken(reading, mapping, policy=policy)
    own = _of_submitted(in_order([decisions, spoken]), erased)
    erasures = read_erasures(reading, mapping, erased=erased, times=times)
    return in_order([own, erasures]), _distinct([*wordings_of(mapping), *spoken_wordings])


def _submission_ids(cells: pd.DataFrame, raw: pd.DataFrame, mapping: Mapping, seen: Counter[str] | None) -> pd.Series:
    """The ids of the rows; a mended row without a key keeps the one that it had before."""
    known = {name: raw[name].reset_index(drop=True) for name in (BATCH_ID, SUBMISSION_ID) if name in raw.columns}
    ids = submission_ids(cells, mapping, batch_ids=known.get(BATCH_ID), seen=seen)
    return known[SUBMISSION_ID].fillna(ids) if SUBMISSION_ID in known else ids


def _received_at(raw: pd.DataFrame, received_at: datetime) -> pd.Series:
    index = pd.RangeIndex(len(raw))
    batch = pd.Series(pd.Timestamp(received_at).tz_convert("UTC"), index=index, dtype=UTC_TIME)
    if RECEIVED_AT not in raw.columns:
        return batch
    own = pd.to_datetime(raw[RECEIVED_AT].reset_index(drop=True), format="ISO8601", utc=True, errors="coerce")
    return own.dt.as_unit("us").fillna(batch)


def _set_aside(reading: Reading, mapping: Mapping) -> pd.Series:
    """By row why it is nobody's submission (`str`, NA = it is one); a word for drafts that is not listed bars the row."""
    states = reading.choice("drafts", mapping.drafts, allowed=(DRAFT, "final"), code="unknown_answer", blocks="row")
    return states.where(states == DRAFT).fillna(set_aside(reading, mapping))


def _is_enquiry(reading: Reading, mapping: Mapping) -> pd.Series:
    """Rows that want an answer: those that say so, and without such a question all of an enquiry form."""
    if mapping.wants_contact is None:
        return reading.never() | (mapping.kind is SubmissionKind.ENQUIRY)
    wish = reading.choice(
        "wants_contact", mapping.wants_contact, allowed=YES_OR_NO, code="unknown_answer", blocks="effect"
    )
    return wish == "yes"


def _submissions(
    reading: Reading, mapping: Mapping, *, policy: Policy, is_aside: pd.Series, erased: pd.Series
) -> pd.DataFrame:
    registrations = read_registrations(reading, mapping)
    status = registrations.status.mask(is_aside | is_refusal(reading, mapping))
    person = read_person_fields(reading, mapping, erased=erased, home=policy.organisation.default_country)
    is_silent = person["has_no_address"] & ~erased & ~is_aside & mapping.needs_person
    reading.note_rows("email", mapping.fields.email, "email_missing", rows=is_silent, blocks="row")
    return person.assign(
        row_no=reading.index + 1,
        content_hash=content_hashes(reading.cells),
        occasion_id=registrations.occasion_id,
        registration_status=status.mask(erased & registrations.status.notna(), "deleted"),
        is_sale=registrations.is_sale,
        is_payer=registrations.is_payer,
        notice_shown=registrations.notice_shown,
        is_enquiry=_is_enquiry(reading, mapping) & ~is_aside & ~erased,
    )


def _row_times(submitted: Span, version_at: pd.Series, received_at: pd.Series) -> dict[str, pd.Series]:
    return {
        "version_at": version_at,
        "submitted_from": submitted.earliest,
        "submitted_to": submitted.latest,
        "received_at": received_at,
    }


def _judged(submissions: pd.DataFrame, faults: pd.DataFrame, *, mapping: Mapping, aside: pd.Series) -> pd.DataFrame:
    """The submissions with `withheld` (the rule that withholds the row) and `is_usable`."""
    is_role = submissions["is_role_address"] & (not mapping.legal_persons)
    withheld = aside.fillna(pd.Series(None, index=submissions.index, dtype="str").mask(is_role, ROLE_ADDRESS))
    is_blocked = submissions["row_no"].isin(faults.loc[faults["blocks"] == "row", "row_no"])
    is_usable = ~is_blocked & withheld.isna() & ~submissions["is_deleted"]
    return submissions.assign(withheld=withheld, is_usable=is_usable)


def _of_submitted(frame: pd.DataFrame, is_aside: pd.Series, *, but: str | None = None) -> pd.DataFrame:
    """Without what rows say that are set aside, as nobody has said it; `but` is a field whose faults stay."""
    kept = ~frame["row_no"].isin(is_aside.index[is_aside] + 1)
    return frame[kept | (frame["field"] == but) if but else kept].reset_index(drop=True)


def _distinct(wordings: list[dict[str, str]]) -> list[dict[str, str]]:
    return list({wording["wording_hash"]: wording for wording in wordings}.values())

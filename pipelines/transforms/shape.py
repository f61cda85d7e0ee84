"""Shaping: a raw frame and its mapping make the frames that the store takes. The one way in for every source.

Each row of the raw frame is one row of `submissions`, whatever is wrong with it; what is wrong is in `faults`, by the
kind of value and never by the value. What the mapping ignores is gone before anything is read.
"""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from pipelines.transforms.columns import FittedColumns, fit_columns, force_columns
from pipelines.transforms.decisions import Times, in_order, read_decisions, wordings_of
from pipelines.transforms.fingerprints import content_hashes, submission_ids
from pipelines.transforms.kept_answers import read_answers
from pipelines.transforms.occasions import YES_OR_NO, Registrations, read_occasions, read_registrations
from pipelines.transforms.parts import note_unlisted
from pipelines.transforms.person_fields import read_person_fields
from pipelines.transforms.readings import Reading, Span, conform
from pipelines.transforms.spoken import read_spoken
from schemas.mappings import BATCH_ID, RECEIVED_AT, SUBMISSION_ID, Mapping, SubmissionKind
from schemas.policy import Policy
from schemas.records import SUBMISSION_COLUMNS, UTC_TIME

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
    return _shaped(fit_columns(raw, mapping), raw, mapping=mapping, received_at=received_at, policy=policy)


def shape_lowering(raw: pd.DataFrame, mapping: Mapping, *, received_at: datetime, policy: Policy) -> StagedBatch:
    """As `shape_batch` for a batch that was refused for its columns: the unmapped are dropped, the missing are blank.

    To be merged for its lowering effects only: a withdrawal that can be read is never held back.
    """
    return _shaped(force_columns(raw, mapping), raw, mapping=mapping, received_at=received_at, policy=policy)


def _shaped(
    fitted: FittedColumns, raw: pd.DataFrame, *, mapping: Mapping, received_at: datetime, policy: Policy
) -> StagedBatch:
    cells = fitted.frame.reset_index(drop=True)
    reading = Reading(cells, _received_at(raw, received_at))
    times = Times(
        submitted=reading.span("submitted_at", mapping.submitted_at, blocks="effect"),
        changed=reading.span("changed_at", mapping.changed_at, blocks="field"),
    )
    version_at = times.changed.earliest.fillna(times.submitted.earliest)
    is_draft = _is_draft(reading, mapping)
    note_unlisted(reading, mapping)
    decisions = read_decisions(reading, mapping, policy=policy, times=times)
    spoken, spoken_wordings = read_spoken(reading, mapping, policy=policy)
    registrations = read_registrations(reading, mapping)
    occasions = read_occasions(reading, mapping, version_at=version_at)
    answers, special = read_answers(reading, mapping)
    person = read_person_fields(reading, mapping, home=policy.organisation.default_country)
    submissions = _submissions(reading, mapping, person=person, is_draft=is_draft, registrations=registrations)
    submissions = submissions.assign(
        submission_id=_submission_ids(reading.cells, raw, mapping),
        **_row_times(times.submitted, version_at, reading.received_at),
    )
    faults = reading.found_faults()
    return StagedBatch(
        submissions=conform(_judged(submissions, faults, mapping=mapping, is_draft=is_draft), SUBMISSION_COLUMNS),
        decisions=_of_submitted(in_order([decisions, spoken]), is_draft),
        faults=_of_submitted(faults, is_draft),
        occasions=occasions,
        answers=_of_submitted(answers, is_draft),
        wordings=_distinct([*wordings_of(mapping), *spoken_wordings]),
        dropped={**fitted.dropped, **special},
    )


def _submission_ids(cells: pd.DataFrame, raw: pd.DataFrame, mapping: Mapping) -> pd.Series:
    """The ids of the rows; a mended row without a key keeps the one that it had before."""
    known = {name: raw[name].reset_index(drop=True) for name in (BATCH_ID, SUBMISSION_ID) if name in raw.columns}
    ids = submission_ids(cells, mapping, batch_ids=known.get(BATCH_ID))
    return known[SUBMISSION_ID].fillna(ids) if SUBMISSION_ID in known else ids


def _received_at(raw: pd.DataFrame, received_at: datetime) -> pd.Series:
    index = pd.RangeIndex(len(raw))
    batch = pd.Series(pd.Timestamp(received_at).tz_convert("UTC"), index=index, dtype=UTC_TIME)
    if RECEIVED_AT not in raw.columns:
        return batch
    own = pd.to_datetime(raw[RECEIVED_AT].reset_index(drop=True), format="ISO8601", utc=True, errors="coerce")
    return own.dt.as_unit("us").fillna(batch)


def _is_draft(reading: Reading, mapping: Mapping) -> pd.Series:
    """Rows that nobody submitted yet; a word that the mapping does not list bars the row."""
    states = reading.choice("drafts", mapping.drafts, allowed=(DRAFT, "final"), code="unknown_answer", blocks="row")
    return states == DRAFT


def _is_enquiry(reading: Reading, mapping: Mapping) -> pd.Series:
    """Rows that want an answer: those that say so, and without such a question all of an enquiry form."""
    if mapping.wants_contact is None:
        return reading.never() | (mapping.kind is SubmissionKind.ENQUIRY)
    wish = reading.choice(
        "wants_contact", mapping.wants_contact, allowed=YES_OR_NO, code="unknown_answer", blocks="effect"
    )
    return wish == "yes"


def _submissions(
    reading: Reading,
    mapping: Mapping,
    *,
    person: pd.DataFrame,
    is_draft: pd.Series,
    registrations: Registrations,
) -> pd.DataFrame:
    is_silent = person["has_no_address"] & ~person["is_deleted"] & ~is_draft & mapping.needs_person
    reading.note_rows("email", mapping.fields.email, "email_missing", rows=is_silent, blocks="row")
    return person.assign(
        row_no=reading.index + 1,
        content_hash=content_hashes(reading.cells),
        occasion_id=registrations.occasion_id,
        registration_status=registrations.status.mask(is_draft),
        is_sale=registrations.is_sale,
        is_payer=registrations.is_payer,
        notice_shown=registrations.notice_shown,
        is_enquiry=_is_enquiry(reading, mapping) & ~is_draft & ~person["is_deleted"],
    )


def _row_times(submitted: Span, version_at: pd.Series, received_at: pd.Series) -> dict[str, pd.Series]:
    return {
        "version_at": version_at,
        "submitted_from": submitted.earliest,
        "submitted_to": submitted.latest,
        "received_at": received_at,
    }


def _judged(submissions: pd.DataFrame, faults: pd.DataFrame, *, mapping: Mapping, is_draft: pd.Series) -> pd.DataFrame:
    """The submissions with `withheld` (the rule that withholds the row) and `is_usable`."""
    is_role = submissions["is_role_address"] & (not mapping.legal_persons)
    withheld = pd.Series(None, index=submissions.index, dtype="str").mask(is_role, ROLE_ADDRESS).mask(is_draft, DRAFT)
    is_blocked = submissions["row_no"].isin(faults.loc[faults["blocks"] == "row", "row_no"])
    is_usable = ~is_blocked & withheld.isna() & ~submissions["is_deleted"]
    return submissions.assign(withheld=withheld, is_usable=is_usable)


def _of_submitted(frame: pd.DataFrame, is_draft: pd.Series) -> pd.DataFrame:
    """Without what drafts say: nobody has said it yet."""
    drafts = is_draft.index[is_draft] + 1
    return frame[~frame["row_no"].isin(drafts)].reset_index(drop=True)


def _distinct(wordings: list[dict[str, str]]) -> list[dict[str, str]]:
    return list({wording["wording_hash"]: wording for wording in wordings}.values())

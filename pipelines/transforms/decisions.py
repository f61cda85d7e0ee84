"""Decisions about purposes that the answers of a form make: zero or more per row, dated by the rules of the fold.

What is no decision: a blank, a prohibition answered no, a booker's tick for somebody else, an answer that the mapping
does not list, a yes without a readable time. GDPR Art. 7(1), 21(3); recital 32 (silence is no consent).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pipelines.transforms.allow_list import has_other_label
from pipelines.transforms.answers import normalise_answers, without_silence
from pipelines.transforms.readings import Reading, Span, conform
from pipelines.transforms.wordings import wording_hash, wording_row
from schemas.arrangements import PART
from schemas.consent import Actor, Value
from schemas.errors import MappingError
from schemas.mappings import ConsentMap, Mapping, Polarity
from schemas.policy import Policy
from schemas.records import DECISION_COLUMNS, LIFTED, PENDING, UNTICKED

MARKETING, RELATED_EVENTS = "marketing", "related_events"
REFUSED, PROHIBITION, OBJECTION = "refused", "prohibition", "objection"
# The source itself does not deliver to the address any more: a bounce, or an opt-out that was made there.
BLOCKED = "blocked_by_provider"


@dataclass(frozen=True, slots=True)
class Times:
    """When the rows' forms were submitted and when the rows last changed."""

    submitted: Span
    changed: Span


def read_decisions(reading: Reading, mapping: Mapping, *, policy: Policy, times: Times) -> pd.DataFrame:
    """The decisions frame, by row. Raises MappingError for a purpose or topic that the policy does not have."""
    found = [
        decision
        for consent in mapping.consents
        for decision in _of_question(reading, mapping, consent=_known(consent, mapping, policy), times=times)
    ]
    objections = [_objection(decided) for decided in found if RELATED_EVENTS in policy.purposes and not decided.empty]
    return in_order([*found, *objections])


def in_order(found: list[pd.DataFrame]) -> pd.DataFrame:
    """One decisions frame of several, by row."""
    frames = [frame for frame in found if not frame.empty]
    if not frames:
        return conform(pd.DataFrame(), DECISION_COLUMNS)
    return conform(pd.concat(frames, ignore_index=True), DECISION_COLUMNS).sort_values(
        "row_no", kind="stable", ignore_index=True
    )


def dated(value: str, span: Span, received_at: pd.Series) -> pd.DataFrame:
    """`occurred_at`, `precision_s` and `effective_at` of decisions (`schemas.consent.effective_at`, over columns).

    A grant counts at its earliest instant, a withdrawal at its latest, neither after `received_at`. A withdrawal
    without a time counts at `received_at`; a grant without one is not to be given here.
    """
    instant = span.earliest if value == Value.GRANT else span.latest.fillna(received_at)
    precision = (span.latest - span.earliest).dt.total_seconds().fillna(0).round().astype("int64")
    effective_at = instant.where(instant <= received_at, received_at)
    return pd.DataFrame({"occurred_at": span.earliest, "precision_s": precision, "effective_at": effective_at})


def wordings_of(mapping: Mapping) -> list[dict[str, str]]:
    """The wordings that the form shows: wording_hash, text, language, version."""
    return [wording_row(**consent.wording.model_dump()) for consent in mapping.consents if consent.wording]


def _known(consent: ConsentMap, mapping: Mapping, policy: Policy) -> ConsentMap:
    refuse_unknown(mapping, consent.purpose, consent.topic, policy=policy)
    refuse_unknown_notice(mapping, consent.notice_version, policy=policy)
    return consent


def refuse_unknown(mapping: Mapping, purpose: str, topic: str | None, *, policy: Policy) -> None:
    """Raises MappingError for a purpose or topic that the policy does not have."""
    known = policy.purposes.get(purpose)
    if known is None:
        raise MappingError(
            f"Feed {mapping.feed}: the policy has no purpose {purpose!r}. Add it to intake.yaml, or correct it."
        )
    if topic is not None and topic not in known.topics:
        raise MappingError(
            f"Feed {mapping.feed}: purpose {purpose} has no topic {topic!r}. It has {', '.join(known.topics)}."
        )


def refuse_unknown_notice(mapping: Mapping, version: str | None, *, policy: Policy) -> None:
    """Raises MappingError for a version of the privacy notice that the policy does not have."""
    if version is not None and version not in policy.notices:
        raise MappingError(
            f"Feed {mapping.feed}: the policy has no privacy notice {version!r}. Add it under notices in intake.yaml with"
            " its address, or correct notice_version."
        )


def _of_question(reading: Reading, mapping: Mapping, *, consent: ConsentMap, times: Times) -> Iterator[pd.DataFrame]:
    is_yes, is_no = _answers(reading, consent)
    is_other = _is_of_somebody_else(reading, mapping, consent)
    reading.note_rows(_field(consent), consent.column, "not_the_subject", rows=is_yes & is_other, blocks="rule")
    is_yes, is_no = is_yes & ~is_other, is_no & ~is_other
    span = _moment(reading, consent, times)
    if consent.polarity is Polarity.PROHIBITION:
        reason = BLOCKED if consent.stated_by == "provider" else PROHIBITION
        yield _decided(reading, mapping, consent=consent, rows=is_yes, made=(Value.WITHDRAW, reason, span))
        if consent.states_current_value:
            yield _decided(reading, mapping, consent=consent, rows=~is_yes & ~is_other, made=(LIFTED, reason, span))
        return
    is_reworded = is_yes & has_other_label(reading, consent)
    reading.note_rows(_field(consent), consent.column, "label_changed", rows=is_reworded, blocks="effect")
    is_dated = span.earliest.notna()
    reading.note_rows(_field(consent), consent.column, "grant_without_time", rows=is_yes & ~is_dated, blocks="effect")
    grants = is_yes & is_dated & ~is_reworded
    granted = _decided(reading, mapping, consent=consent, rows=grants, made=(Value.GRANT, None, span))
    yield granted.assign(value=PENDING) if consent.double_opt_in else granted
    yield _decided(reading, mapping, consent=consent, rows=is_no, made=(Value.WITHDRAW, REFUSED, span))
    is_unticked = _is_silent(reading, consent) & ~is_other
    yield _decided(reading, mapping, consent=consent, rows=is_unticked, made=(UNTICKED, REFUSED, span))


def _is_of_somebody_else(reading: Reading, mapping: Mapping, consent: ConsentMap) -> pd.Series:
    """Rows whose person is not the one who ticked: nobody consents for somebody else."""
    if consent.given_by in ("subject", "guardian"):
        return reading.never()
    if any(block.id == consent.given_by for block in mapping.arrangement.blocks):
        return reading.column(PART) != consent.given_by
    return ~reading.never()


def _answers(reading: Reading, consent: ConsentMap) -> tuple[pd.Series, pd.Series]:
    if consent.column is None:
        return ~reading.never(), reading.never()
    told = without_silence(reading.column(consent.column), consent.silent)
    answers = normalise_answers(told, yes=consent.grants, no=consent.refuses)
    reading.note(_field(consent), consent.column, answers.faults, blocks="effect")
    return answers.values == "yes", answers.values == "no"


def _is_silent(reading: Reading, consent: ConsentMap) -> pd.Series:
    """Rows with an answer that says nothing, and not just a blank."""
    if consent.column is None or not consent.silent:
        return reading.never()
    told = reading.column(consent.column)
    return told.notna() & without_silence(told, consent.silent).isna()


def _moment(reading: Reading, consent: ConsentMap, times: Times) -> Span:
    """When the answer was given: its own time, else some time between the submission and the row's last change.

    A grant so counts at the submission, and cannot overtake a withdrawal made elsewhere in between; a withdrawal counts
    at the change, as it may have been made by editing. One that the ledger has is not dated anew by a further change, nor
    back by an earlier version that comes late, which would raise: order of arrival errs towards lowering here.
    """
    sent, changed = times.submitted, times.changed.latest.fillna(times.submitted.latest)
    span = Span(sent.earliest, changed.where(~(changed < sent.latest), sent.latest), sent.is_unreadable)
    if consent.changed_at is None:
        return span
    own = reading.span(f"{_field(consent)}.changed_at", consent.changed_at, blocks="effect")
    is_silent = own.earliest.isna() & ~own.is_unreadable
    return Span(
        own.earliest.where(~is_silent, span.earliest), own.latest.where(~is_silent, span.latest), own.is_unreadable
    )


def _decided(
    reading: Reading,
    mapping: Mapping,
    *,
    consent: ConsentMap,
    rows: pd.Series,
    made: tuple[str, str | None, Span],
) -> pd.DataFrame:
    value, reason, span = made
    if not rows.any():
        return conform(pd.DataFrame(), DECISION_COLUMNS)
    constants = {
        "purpose": consent.purpose,
        "topic": consent.topic,
        "value": str(value),
        "actor": str(_actor(consent)),
        "clock": str(mapping.source),
        "states_current_value": consent.states_current_value,
        "reason": reason,
        "channel": str(mapping.kind),
        "wording_hash": wording_hash(**consent.wording.model_dump()) if consent.wording else None,
        "notice_version": consent.notice_version,
    }
    frame = dated(value, span, reading.received_at).assign(row_no=reading.index + 1, **constants)
    return conform(frame[rows], DECISION_COLUMNS)


def _actor(consent: ConsentMap) -> Actor:
    if consent.stated_by == "provider":
        return Actor.IMPORT
    return Actor.GUARDIAN if consent.given_by == "guardian" else Actor.SUBJECT


def _objection(decided: pd.DataFrame) -> pd.DataFrame:
    """The objection to news of similar events that forbidding marketing as a whole is too; refusing consent is none.

    A provider's block stops those news as well, and keeps its reason: it is no objection of anybody's.
    """
    is_whole = (decided["purpose"] == MARKETING) & decided["topic"].isna()
    blocked = decided[is_whole & (decided["reason"] == BLOCKED)].assign(purpose=RELATED_EVENTS)
    return in_order([as_objections(decided[is_whole & (decided["reason"] == PROHIBITION)]), blocked])


def as_objections(withdrawals: pd.DataFrame) -> pd.DataFrame:
    """The same withdrawals as objections to related events."""
    return withdrawals.assign(purpose=RELATED_EVENTS, reason=OBJECTION)


def _field(consent: ConsentMap) -> str:
    return f"consents.{consent.purpose}" + (f".{consent.topic}" if consent.topic else "")

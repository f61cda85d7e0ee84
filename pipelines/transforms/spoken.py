"""Decisions that staff took down from an e-mail, a call or a meeting.

A yes counts only with evidence of the person's own act: who took it down, how, when it was said, and the words. A no
needs nothing but the address (invariant: whoever is not the subject only restricts). GDPR Art. 7(1).
"""

import pandas as pd

from pipelines.transforms.decisions import (
    MARKETING,
    RELATED_EVENTS,
    as_objections,
    dated,
    in_order,
    refuse_unknown_notice,
)
from pipelines.transforms.identity_codes import redact_free_text, without_codes
from pipelines.transforms.readings import Reading, conform, each_text, folded
from pipelines.transforms.text import clean_text
from pipelines.transforms.wordings import wording_hash, wording_row
from schemas.consent import Actor, Value
from schemas.mappings import ColumnRef, Mapping, SpokenMap, TimeRef
from schemas.policy import Policy
from schemas.records import DECISION_COLUMNS

SPOKEN = "spoken"
_NO_LANGUAGE = "und"
_EVIDENCE = ("collected_by", "method", "wording")


def read_spoken(reading: Reading, mapping: Mapping, *, policy: Policy) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """The decisions frame and the wordings (wording_hash, text, language, version); both empty for other feeds."""
    spoken = mapping.spoken
    if spoken is None:
        return conform(pd.DataFrame(), DECISION_COLUMNS), []
    refuse_unknown_notice(mapping, spoken.notice_version, policy=policy)
    purpose, topic = _purposes(reading, mapping, spoken=spoken, policy=policy)
    is_bare = names_nothing_to_refuse(reading, mapping) & (MARKETING in policy.purposes)
    reading.note_rows("spoken.purpose", spoken.purpose, "refusal_without_purpose", rows=is_bare, blocks="effect")
    purpose, topic = purpose.mask(is_bare, MARKETING), topic.mask(is_bare)
    value = _values(reading, spoken, purpose=purpose)
    evidence = _evidence(reading, spoken)
    stated = evidence.assign(purpose=purpose, topic=topic, value=value, notice_version=spoken.notice_version)
    span = reading.span("spoken.said_at", spoken.said_at, blocks="effect")
    is_grant = (value == Value.GRANT) & _is_complete(reading, spoken, stated, is_dated=span.earliest.notna())
    common = {"actor": str(Actor.STAFF_ON_BEHALF), "clock": str(mapping.source), "channel": str(mapping.kind)}
    frames = [
        _frame(reading, stated.assign(**common, **dated(made, span, reading.received_at)), rows)
        for made, rows in ((Value.GRANT, is_grant), (Value.WITHDRAW, value == Value.WITHDRAW))
    ]
    return in_order([*frames, *_objections(frames[1], policy)]), _wordings(stated[is_grant])


def names_nothing_to_refuse(reading: Reading, mapping: Mapping) -> pd.Series:
    """Rows in which somebody refuses and no purpose is named: of marketing as a whole, and registering for nothing."""
    spoken = mapping.spoken
    if spoken is None:
        return reading.never()
    return reading.column(spoken.purpose).isna() & (_decisions(reading, spoken) == Value.WITHDRAW)


def is_refusal(reading: Reading, mapping: Mapping) -> pd.Series:
    """Rows in which somebody refuses something, of whatever purpose: nobody is registered by a refusal."""
    return reading.never() if mapping.spoken is None else _decisions(reading, mapping.spoken) == Value.WITHDRAW


def _decisions(reading: Reading, spoken: SpokenMap) -> pd.Series:
    listed = {folded(written): value for written, value in spoken.decisions.items()}
    return each_text(reading.column(spoken.decision), lambda text: listed.get(folded(text)))


def _purposes(reading: Reading, mapping: Mapping, *, spoken: SpokenMap, policy: Policy) -> tuple[pd.Series, pd.Series]:
    """Purpose and topic by row in the policy's own words; NA where blank or unknown, the unknown written down."""
    names = {folded(name): name for name in policy.purposes}
    told = reading.column(spoken.purpose)
    purpose = each_text(told, lambda text: names.get(folded(text)))
    reading.note_rows(
        "spoken.purpose", spoken.purpose, "unknown_purpose", rows=told.notna() & purpose.isna(), blocks="effect"
    )
    topics = reading.column(spoken.topic)
    pairs = {(p, t) for p, t in zip(purpose.dropna(), topics[purpose.notna()].fillna(""), strict=True) if t}
    known = {(p, t): _topic(p, t, policy) for p, t in pairs}
    read = [known.get((p, t)) for p, t in zip(purpose, topics.fillna(""), strict=True)]
    topic = pd.Series(read, index=reading.index, dtype="str")
    is_unknown = purpose.notna() & topics.notna() & topic.isna()
    reading.note_rows("spoken.topic", spoken.topic, "unknown_purpose", rows=is_unknown, blocks="effect")
    event = reading.texts(mapping.occasion.id if mapping.occasion else None)
    is_idle = told.isna() & event.isna() & ~names_nothing_to_refuse(reading, mapping)
    reading.note_rows("spoken.purpose", spoken.purpose, "names_no_purpose", rows=is_idle, blocks="row")
    return purpose.mask(is_unknown), topic


def _topic(purpose: str, written: str, policy: Policy) -> str | None:
    return next((topic for topic in policy.purposes[purpose].topics if folded(topic) == folded(written)), None)


def _values(reading: Reading, spoken: SpokenMap, *, purpose: pd.Series) -> pd.Series:
    """`grant` or `withdraw` where a purpose is named; a decision that is blank or unknown is written down."""
    told, value = reading.column(spoken.decision), _decisions(reading, spoken)
    reading.note_rows(
        "spoken.decision", spoken.decision, "unknown_answer", rows=told.notna() & value.isna(), blocks="effect"
    )
    is_open = purpose.notna() & told.isna()
    reading.note_rows("spoken.decision", spoken.decision, "spoken_incomplete", rows=is_open, blocks="effect")
    return value.where(purpose.notna())


def _evidence(reading: Reading, spoken: SpokenMap) -> pd.DataFrame:
    """`collected_by`, `method`, `wording` and its hash; identity codes and the like are cut out of the words.

    Who took it down, or how, with such a code in it is let go, and the fault written down.
    """
    read = {"wording": redact_free_text(clean_text(reading.column(spoken.wording)).values).values}
    for name in ("collected_by", "method"):
        column = without_codes(clean_text(reading.column(getattr(spoken, name))))
        reading.note(f"spoken.{name}", getattr(spoken, name), column.faults, blocks="field")
        read[name] = column.values
    return pd.DataFrame({**read, "wording_hash": each_text(read["wording"], _hash_of)}, index=reading.index)


def _is_complete(reading: Reading, spoken: SpokenMap, stated: pd.DataFrame, *, is_dated: pd.Series) -> pd.Series:
    """Whether a yes has all its evidence; each part that is missing is written down."""
    is_grant = stated["value"] == Value.GRANT
    has = {**{name: stated[name].notna() for name in (*_EVIDENCE, "notice_version")}, "said_at": is_dated}
    refs: dict[str, str | TimeRef | ColumnRef | None] = {
        name: None if name == "notice_version" else getattr(spoken, name) for name in has
    }
    for name, is_there in has.items():
        reading.note_rows(f"spoken.{name}", refs[name], "spoken_incomplete", rows=is_grant & ~is_there, blocks="effect")
    return pd.DataFrame(has).all(axis=1)


def _frame(reading: Reading, stated: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    frame = stated.assign(row_no=reading.index + 1, states_current_value=False, reason=SPOKEN)
    return conform(frame[rows.fillna(False)], DECISION_COLUMNS)


def _objections(withdrawals: pd.DataFrame, policy: Policy) -> list[pd.DataFrame]:
    is_whole = (withdrawals["purpose"] == MARKETING) & withdrawals["topic"].isna()
    return [as_objections(withdrawals[is_whole])] if RELATED_EVENTS in policy.purposes else []


def _wordings(granted: pd.DataFrame) -> list[dict[str, str]]:
    texts = [str(text) for text in granted["wording"].unique()]
    return [wording_row(text, language=_NO_LANGUAGE, version=SPOKEN) for text in texts]


def _hash_of(text: str) -> str:
    return wording_hash(text, language=_NO_LANGUAGE, version=SPOKEN)

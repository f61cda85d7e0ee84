"""The rules of a mapping for whole rows: rows of other forms, rows that are nobody's submission, erased ones."""

import pandas as pd

from pipelines.transforms.decisions import Times, dated, in_order
from pipelines.transforms.readings import Reading, conform, folded
from schemas.consent import Actor, Value
from schemas.mappings import FieldMap, Mapping
from schemas.records import DECISION_COLUMNS

ERASED = "deleted_at_source"


def blanked(cells: pd.DataFrame, blanks: tuple[str, ...]) -> pd.DataFrame:
    """The cells, those of the written forms that stand for an empty one missing."""
    words = {folded(word) for word in blanks}
    if not words:
        return cells
    return cells.apply(lambda c: c.mask(c.isin([text for text in c.dropna().unique() if folded(text) in words])))


def is_of_other_form(reading: Reading, mapping: Mapping) -> pd.Series:
    """Rows of another form than the mapping's, or of none that is told: written down, and nothing is read of them."""
    if mapping.form is None:
        return reading.never()
    is_other = ~_is_any_of(reading.column(mapping.form.column), mapping.form.values)
    reading.note_rows("form", mapping.form.column, "other_form", rows=is_other, blocks="row")
    return is_other


def set_aside(reading: Reading, mapping: Mapping) -> pd.Series:
    """By row the rule that sets it aside (`str`; NA = none does), the first that applies."""
    rules = reading.repeated(None)
    for each in mapping.set_aside:
        rules = rules.fillna(reading.repeated(each.rule).where(_is_any_of(reading.column(each.column), each.values)))
    return rules


def is_erased(reading: Reading, mapping: Mapping) -> pd.Series:
    """Rows that the source has erased: a marker of erasure in a field of the person, or its own word for it."""
    markers = [marker.strip().lower() for marker in mapping.deleted_values]
    erased = reading.never()
    for name in FieldMap.model_fields:
        if name != "message" and (ref := getattr(mapping.fields, name)) is not None:
            erased |= reading.texts(ref).str.strip().str.lower().isin(markers)
    if mapping.erased is not None:
        told = reading.column(mapping.erased.column)
        erased |= _is_any_of(told, mapping.erased.values) if mapping.erased.values else told.notna()
    return erased


def read_erasures(reading: Reading, mapping: Mapping, *, erased: pd.Series, times: Times) -> pd.DataFrame:
    """What an erasure at the source withdraws: each purpose that the form asks about. Nobody's act, so it only lowers.

    It counts when the row last changed, or when it was received.
    """
    if mapping.erasure_means != "erasure" or not erased.any():
        return conform(pd.DataFrame(), DECISION_COLUMNS)
    asked = dict.fromkeys((consent.purpose, consent.topic) for consent in mapping.consents)
    told = dated(Value.WITHDRAW, times.changed, reading.received_at).assign(row_no=reading.index + 1)
    constants = {"value": str(Value.WITHDRAW), "actor": str(Actor.IMPORT), "clock": str(mapping.source)}
    constants |= {"reason": ERASED, "channel": str(mapping.kind)}
    frames = [
        conform(
            told.assign(purpose=purpose, topic=topic, states_current_value=False, **constants)[erased], DECISION_COLUMNS
        )
        for purpose, topic in asked
    ]
    return in_order(frames)


def _is_any_of(cells: pd.Series, values: tuple[str, ...]) -> pd.Series:
    words = {folded(value) for value in values}
    return cells.isin([text for text in cells.dropna().unique() if folded(text) in words])

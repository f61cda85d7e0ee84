"""What people wrote in their own words: kept in the store where the mapping lists it, cut of what must not be kept.

Identity codes, accounts and cards are cut out; an answer that tells of health is dropped whole (GDPR Art. 9).
"""

import pandas as pd

from pipelines.transforms.identity_codes import redact_free_text
from pipelines.transforms.readings import Reading, conform
from pipelines.transforms.text import clean_text
from schemas.mappings import Mapping
from schemas.records import ANSWER_COLUMNS

MESSAGE = "message"


def read_answers(reading: Reading, mapping: Mapping) -> tuple[pd.DataFrame, dict[str, int]]:
    """The answers frame by row, and how many answers were dropped by column. Of a message only sentences are cut."""
    frames: list[pd.DataFrame] = []
    dropped: dict[str, int] = {}
    if mapping.fields.message is not None:
        frames.append(_frame(MESSAGE, redact_free_text(_texts(reading.texts(mapping.fields.message))).values))
    for column, question in mapping.answers.items():
        redacted = redact_free_text(_texts(reading.column(column)))
        is_special = redacted.kinds.str.contains("health", regex=False).fillna(False).astype(bool)
        frames.append(_frame(question, redacted.values.mask(is_special)))
        dropped |= {column: int(is_special.sum())} if is_special.any() else {}
    together = conform(pd.concat(frames) if frames else pd.DataFrame(), ANSWER_COLUMNS)
    return together.sort_values("row_no", kind="stable", ignore_index=True), dropped


def _texts(column: pd.Series) -> pd.Series:
    return clean_text(column).values


def _frame(question: str, answers: pd.Series) -> pd.DataFrame:
    given = answers.dropna()
    return pd.DataFrame({"row_no": given.index + 1, "question": question, "answer": given})

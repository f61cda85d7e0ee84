"""The allow-list of questions that may raise: by form, key and the label that was shown when a person mapped it.

A question whose label changed may ask something else under the same key: its yes is held back, row by row, until
somebody has looked; its no and every other effect go on. (Seen in life: one key, two meanings, in two forms of a site.)
"""

import pandas as pd

from pipelines.transforms.readings import Reading
from schemas.labels import LABEL_OF, label_hash
from schemas.mappings import ConsentMap


def has_other_label(reading: Reading, consent: ConsentMap) -> pd.Series:
    """Rows in which the question is not known to have been shown as it was mapped."""
    if consent.label_hash is None:
        return reading.never()
    shown = _shown(reading, consent)
    known = [text for text in shown.dropna().unique() if consent.label_hash in (text.strip().lower(), label_hash(text))]
    return ~shown.isin(known)


def _shown(reading: Reading, consent: ConsentMap) -> pd.Series:
    by_form = f"{LABEL_OF}{consent.column}"
    if consent.label_column is not None:
        return reading.column(consent.label_column)
    return reading.column(by_form) if by_form in reading.cells.columns else reading.repeated(None)

"""What a row that was taken apart tells of itself: whether its part registers anybody, and what no option list knows."""

import pandas as pd

from pipelines.transforms.readings import Reading
from schemas.arrangements import REGISTERS, UNLISTED
from schemas.mappings import Mapping


def is_registering(reading: Reading, mapping: Mapping) -> pd.Series:
    """Rows whose person is registered; a booker who booked for others is not."""
    if mapping.arrangement.blocks:
        return reading.column(REGISTERS) != "no"
    return ~reading.never()


def note_unlisted(reading: Reading, mapping: Mapping) -> None:
    """Write down, by the list's own title, each row whose list of options holds one that the mapping does not know."""
    for listed in mapping.arrangement.options:
        beyond = reading.column(f"{listed.column}:{UNLISTED}")
        reading.note_rows("options", listed.column, "unknown_option", rows=beyond.notna(), blocks="effect")

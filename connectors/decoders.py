"""From a batch as received to its raw frame: one decoder per media type. Pure: the same bytes give the same frame."""

from enum import StrEnum
from typing import Any

import pandas as pd
import pyarrow as pa

from connectors.arranging import arranged
from connectors.csv_files import decode_csv
from connectors.day_order import without_unsure_days
from connectors.json_documents import (
    flat_row,
    frame_of_rows,
    parse_json,
    submissions_frame,
    with_received_at,
)
from connectors.json_files import decode_json_file
from connectors.json_records import with_pairs
from connectors.pushed_forms import PushedType, pushed_row
from connectors.raw_frames import blank_to_missing, refuse_too_large
from connectors.text_encoding import cut_short
from connectors.webropol_answers import responses_frame
from connectors.xlsx_files import decode_xlsx
from schemas.errors import BatchRefused
from schemas.mappings import FileShape, Mapping, Source


class MediaType(StrEnum):
    """What a landed payload is."""

    CSV = "text/csv"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    JSON = "application/json"
    PULLED_JSON = "application/vnd.crm-intake.pulled+json"
    REST_JSON = "application/vnd.crm-intake.rest+json"
    ARROW = "application/vnd.apache.arrow.file"
    OWED_ARROW = "application/vnd.crm-intake.owed-to-finance+arrow"


def decode(media_type: str, payload: bytes, mapping: Mapping) -> pd.DataFrame:
    """The raw frame (see `connectors.raw_frames`): `str` columns by the source's titles, rows in order, empty is NA.

    Rows of several submissions are taken apart as the mapping says, and days whose order the delivery leaves open are told
    apart from the others (`connectors.day_order`). Pulled batches have the column `__received_at`
    (ISO 8601). Raises BatchRefused, whose code says why.
    """
    return without_unsure_days(arranged(decode_rows(media_type, payload, mapping), mapping.arrangement), mapping)


def decode_rows(media_type: str, payload: bytes, mapping: Mapping) -> pd.DataFrame:
    """As `decode`, each row as delivered."""
    match media_type:
        case MediaType.CSV:
            return decode_csv(payload, _shape(mapping), known=_titles(mapping))
        case MediaType.XLSX:
            return decode_xlsx(payload, _shape(mapping), known=_titles(mapping))
        case MediaType.JSON:
            return decode_json_file(payload, mapping)
        case MediaType.PULLED_JSON | MediaType.REST_JSON:
            return _decode_pulled(media_type, payload, mapping)
        case MediaType.ARROW | MediaType.OWED_ARROW:
            return _decode_arrow(payload)
        case PushedType.DRUPAL_FORM | PushedType.DRUPAL_JSON | PushedType.TYPEFORM:
            return submissions_frame([pushed_row(media_type, payload)], mapping)
    remedy = "Replay it with the version of this software that received it."
    raise BatchRefused("unknown_media_type", f"No decoder for {media_type!r}.", remedy=remedy)


def questions_in(media_type: str, payload: bytes, raw: pd.DataFrame, mapping: Mapping) -> list[list[str | None]]:
    """The questions that a delivery shows, [id, title] in their order; none where it shows only what was answered.

    `raw` is the delivery's frame, decoded: a table's titles are its questions, and have no ids.
    """
    if media_type in (MediaType.CSV, MediaType.XLSX):
        derived = mapping.arrangement.derived()
        return [[None, str(title)] for title in raw.columns if title not in derived]
    if media_type == MediaType.PULLED_JSON and mapping.source is Source.WEBROPOL:
        return [[question_id, title] for question_id, title in _envelope(payload)[1]]
    return []


def _shape(mapping: Mapping) -> FileShape:
    """How the feed's files look; a feed that was pulled when it was mapped so falls back to the defaults."""
    return mapping.file or FileShape(type="csv", pattern="*")


def _titles(mapping: Mapping) -> frozenset[str]:
    """The titles that a mapping names, what it reads and what it ignores."""
    return mapping.read_columns() | set(mapping.ignored)


def _decode_pulled(media_type: str, payload: bytes, mapping: Mapping) -> pd.DataFrame:
    rows, titles, received_at = _envelope(payload)
    if media_type == MediaType.REST_JSON:
        pairs = mapping.arrangement.pairs
        frame = frame_of_rows([flat_row(with_pairs(row, pairs)) for row in rows])
    elif mapping.source is Source.WEBROPOL:
        frame = responses_frame(rows, mapping, titles=titles)
    else:
        frame = submissions_frame(rows, mapping, titles=titles)
    if len(frame) != len(received_at):
        raise cut_short("The pulled batch has rows that say nothing.")
    return with_received_at(frame, received_at)


def _envelope(payload: bytes) -> tuple[list[dict[str, Any]], list[Any], list[str]]:
    """The rows of a pull, the titles that came with them and when each row counts as received."""
    try:
        envelope = parse_json(payload)
        rows, titles, received_at = (list(envelope[name]) for name in ("rows", "titles", "received_at"))
    except (ValueError, KeyError, TypeError):
        raise cut_short("The pulled batch is not whole.") from None
    are_whole = all(isinstance(row, dict) for row in rows) and all(isinstance(at, str) for at in received_at)
    if len(rows) != len(received_at) or not are_whole or not all(_is_title(title) for title in titles):
        raise cut_short("The pulled batch is not whole.")
    return rows, titles, received_at


def _is_title(title: Any) -> bool:
    """Whether it is what a connector writes down of a question: its key, or [id or key, title or label]."""
    if not isinstance(title, list):
        return isinstance(title, str)
    return len(title) == 2 and all(part is None or isinstance(part, str) for part in title)


def _decode_arrow(payload: bytes) -> pd.DataFrame:
    try:
        with pa.ipc.open_file(pa.BufferReader(payload)) as reader:
            table = reader.read_all()
        table.validate(full=True)
        is_text = all(pa.types.is_string(field.type) or pa.types.is_large_string(field.type) for field in table.schema)
        is_sound = is_text and len(set(table.column_names)) == table.num_columns
    except (ValueError, pa.ArrowException, OSError):
        is_sound = False
    if not is_sound:
        raise cut_short("The pulled table is not whole.")
    refuse_too_large(table.num_rows, table.num_columns)
    frame = table.to_pandas().astype("str")
    return frame.apply(blank_to_missing) if len(frame.columns) else frame

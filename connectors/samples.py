"""A sample of what a feed delivers, saved as a file by hand, read as the delivery itself would be."""

from datetime import datetime

import pandas as pd

from connectors.decoders import MediaType, decode, questions_in
from connectors.files import media_type_of
from connectors.json_documents import parse_json, pulled_payload
from connectors.rest_pages import records_in
from connectors.unknown_files import look_at
from schemas.errors import BatchRefused, MappingError
from schemas.mappings import FileShape, Mapping, Source
from schemas.rest import RestShape


def decode_sample(payload: bytes, mapping: Mapping, *, at: datetime) -> tuple[pd.DataFrame, list[list[str | None]]]:
    """The raw frame of a sample, and the questions that it shows (none where it shows only what was answered).

    A file as it is dropped; a CSV or workbook of rows of the table; an answer of the REST service; submissions of a
    website's form as its exporter or its API gives them. `at` is when they count as received. Raises BatchRefused where
    it cannot be read, MappingError for a survey that is pulled: its answers are understood only with its questions.
    """
    if mapping.rest is not None:
        landed = _answered(payload, mapping.rest, at)
        return decode(MediaType.REST_JSON, landed, mapping), []
    if mapping.table is not None:
        shape = FileShape.model_validate({**look_at(payload).shape, "pattern": "*"})
        mapping = mapping.model_copy(update={"file": shape})
    if mapping.file is not None:
        media_type = media_type_of(mapping)
        raw = decode(media_type, payload, mapping)
        return raw, questions_in(media_type, payload, raw, mapping) if mapping.table is None else []
    if mapping.source is Source.WEB_FORMS:
        return decode(MediaType.JSON, payload, mapping), []
    raise MappingError(
        f"Feed {mapping.feed} is a survey that is pulled: see `crm-intake plan` for what would become of it."
    )


def _answered(payload: bytes, shape: RestShape, at: datetime) -> bytes:
    """An answer of the service as it is landed."""
    try:
        rows = records_in(shape, parse_json(payload))
    except ValueError:
        remedy = "Save one answer of the service as it is."
        raise BatchRefused("unreadable_table", "The sample is no JSON document.", remedy=remedy) from None
    return pulled_payload(rows, [at] * len(rows), titles=[])

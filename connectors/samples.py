"""A sample of what a feed delivers, saved as a file by hand, read as the delivery itself would be."""

from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from connectors.decoders import MediaType, decode, questions_in
from connectors.files import media_type_of
from connectors.json_documents import parse_json, pulled_payload
from connectors.rest_pages import records_in
from connectors.unknown_files import look_at
from connectors.webropol_samples import Questions, sample_questions, sample_responses, shown_questions
from schemas.errors import BatchRefused, MappingError
from schemas.mappings import FileShape, Mapping, Source
from schemas.rest import RestShape


@dataclass(frozen=True, slots=True)
class Sample:
    """The raw frame, and the questions that the sample shows, [id, title] (none where it shows only what was answered).

    `is_partial` where questions that nobody answered in it cannot be told from those that are gone.
    """

    raw: pd.DataFrame
    questions: Questions = field(default_factory=list)
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a pulled survey beside a sample of its responses: the saved answer about its questions, if
    there is one, and the questions that were last taken in."""

    listed: bytes | None = None
    known: Questions = field(default_factory=list)


def decode_sample(payload: bytes, mapping: Mapping, *, at: datetime, survey: Survey) -> Sample:
    """A sample of what the feed delivers.

    A file as it is dropped; a CSV or workbook of rows of the table; an answer of the REST service or of Webropol's API;
    submissions of a website's form as its exporter or its API gives them. `at` is when they count as received. Raises
    BatchRefused where it cannot be read, MappingError for a source that has no such way of delivery.
    """
    if mapping.rest is not None:
        landed = _answered(payload, mapping.rest, at)
        return Sample(decode(MediaType.REST_JSON, landed, mapping))
    if mapping.table is not None:
        shape = FileShape.model_validate({**look_at(payload).shape, "pattern": "*"})
        mapping = mapping.model_copy(update={"file": shape, "table": None})
        return Sample(decode(media_type_of(mapping), payload, mapping))
    if mapping.file is not None:
        media_type = media_type_of(mapping)
        raw = decode(media_type, payload, mapping)
        return Sample(raw, questions_in(media_type, payload, raw, mapping))
    if mapping.source is Source.WEB_FORMS:
        return Sample(decode(MediaType.JSON, payload, mapping))
    if mapping.api is not None and mapping.source is Source.WEBROPOL:
        return _survey(payload, mapping, at=at, survey=survey)
    raise MappingError(f"Feed {mapping.feed}: source {mapping.source} has no api to pull from. Correct the mapping.")


def _survey(payload: bytes, mapping: Mapping, *, at: datetime, survey: Survey) -> Sample:
    name = mapping.api.resource if mapping.api else ""
    responses, listed = sample_responses(payload, name), survey.listed
    questions = shown_questions(responses, survey.known) if listed is None else sample_questions(listed, name)
    landed = pulled_payload(responses, [at] * len(responses), titles=questions)
    return Sample(decode(MediaType.PULLED_JSON, landed, mapping), questions, is_partial=listed is None)


def _answered(payload: bytes, shape: RestShape, at: datetime) -> bytes:
    """An answer of the service as it is landed."""
    try:
        rows = records_in(shape, parse_json(payload))
    except ValueError:
        remedy = "Save one answer of the service as it is."
        raise BatchRefused("unreadable_table", "The sample is not a JSON document.", remedy=remedy) from None
    return pulled_payload(rows, [at] * len(rows), titles=[])

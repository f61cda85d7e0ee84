"""The port of the sources, and which connector serves a feed. What all sources promise is written here only.

What a source delivers is landed as received; `connectors.decoders.decode` makes a raw frame of it, then or later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connectors.files import DroppedFiles, FileSettings
from connectors.rest_feeds import RestRecords, RestSettings
from connectors.short_courses import ShortCourseRegistrations, ShortCoursesSettings
from connectors.web_forms import WebFormsSettings, WebFormSubmissions
from connectors.webropol import WebropolResponses, WebropolSettings
from schemas.errors import ConfigurationError
from schemas.mappings import Mapping, Source
from schemas.records import ReceivedBatch, Window


class SourceConnector(Protocol):
    """A source of batches. Running a window again gives the same rows, as far as the source still has them."""

    def iter_batches(self, mapping: Mapping, window: Window, *, now: datetime) -> Iterator[ReceivedBatch]:
        """The batches of one feed received within the window; `now` is aware. A pull with no row gives none.

        Raises SourceUnavailable (transient), SourceError, MappingError, and BatchRefused after the last good file.
        """
        ...

    def acknowledge(self, batch: ReceivedBatch) -> None:
        """To be called once the batch is durable: the source may forget it. A second call does nothing."""
        ...


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """The settings of the doors that are in use; None for one that is not."""

    files: FileSettings | None = None
    webropol: WebropolSettings | None = None
    web_forms: WebFormsSettings | None = None
    short_courses: ShortCoursesSettings | None = None
    rest: RestSettings | None = None


def connector_for(mapping: Mapping, settings: SourceSettings) -> SourceConnector:
    """The connector that serves the feed, by how its mapping says that it is delivered.

    Raises ConfigurationError where the source has no such door, or the door has no settings.
    """
    if mapping.file is not None and settings.files is not None:
        return DroppedFiles(settings.files)
    if mapping.table is not None and mapping.source is Source.SHORT_COURSES and settings.short_courses is not None:
        return ShortCourseRegistrations(settings.short_courses)
    if mapping.api is not None and mapping.source is Source.WEBROPOL and settings.webropol is not None:
        return WebropolResponses(settings.webropol)
    if mapping.api is not None and mapping.source is Source.WEB_FORMS and settings.web_forms is not None:
        return WebFormSubmissions(settings.web_forms)
    if mapping.rest is not None and settings.rest is not None:
        return RestRecords(settings.rest)
    delivery = "file" if mapping.file else "table" if mapping.table else "rest" if mapping.rest else "api"
    raise ConfigurationError(
        f"Feed {mapping.feed}: no settings for {mapping.source} delivered by {delivery}. "
        "Give them, or correct the mapping (file and rest: all sources; api: webropol, web_forms; table: short_courses)."
    )

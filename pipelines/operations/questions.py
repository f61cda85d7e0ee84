"""The questions of each feed against those that are known: what changed in a form, told where it stops a delivery."""

from collections.abc import Sequence
from typing import Any

from connectors.store.questions import Questions, keep_questions, read_question_maps
from pipelines.operations.sessions import Session
from pipelines.transforms.question_drift import Drift, drift_of, stops
from schemas.mappings import Mapping

Stop = tuple[str, str, str]

_REMEDY = "Look at the form; correct the mapping if a title means something else now. Then replay the batch."
_COLUMNS = ("missing_column", "unmapped_column")


def known_questions(session: Session, mapping: Mapping) -> Questions:
    """The feed's questions as they were last taken in; none while nothing was."""
    with session.transaction() as conn:
        found = read_question_maps(conn, mapping.feed)
    return found[0].known if found else []


def feed_drifts(session: Session, mapping: Mapping, shown: Sequence[Questions]) -> list[Drift]:
    """By delivery how its questions differ from those known of the feed; nothing differs while none are."""
    known = known_questions(session, mapping) if shown else []
    return [drift_of(known, questions) for questions in shown]


def with_drift(stop: Stop | None, drift: Drift, mapping: Mapping) -> Stop | None:
    """A gate's stop with the diff in its reason; a stop of its own where a title belongs to another question now."""
    if stop is not None:
        code, reason, remedy = stop
        return (code, f"{reason} {drift.sentence()}", remedy) if drift and code in _COLUMNS else stop
    if taken := stops(drift, mapping.mapped_columns()):
        titles = ", ".join(repr(title) for title in taken)
        reason = f"Feed {mapping.feed} reads titles that are other questions now: {titles}. {drift.sentence()}"
        return "questions_changed", reason, _REMEDY
    return None


def keep_shown(session: Session, mapping: Mapping, shown: Sequence[Questions], *, is_taken_in: bool) -> None:
    """Keep what the newest of some deliveries shows; only what was taken in is known from now on."""
    newest = next((questions for questions in reversed(shown) if questions), None)
    if newest is not None:
        with session.transaction() as conn:
            keep_questions(conn, str(mapping.source), mapping.feed, newest, at=session.now, is_taken_in=is_taken_in)


def changed_feeds(session: Session) -> list[dict[str, Any]]:
    """The feeds whose newest delivery shows other questions than are known, with the diff."""
    with session.transaction() as conn:
        maps = read_question_maps(conn)
    drifts = [(each, drift_of(each.known, each.shown)) for each in maps]
    return [
        {"source": each.source, "feed": each.feed, "shown_at": each.shown_at, "diff": drift.lines()}
        for each, drift in drifts
        if drift
    ]

"""Copies of what a reading overwrote: their answers and messages go when those that they are copies of would go."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from connectors.store.retention import COURSE_KIND, EVENT_KIND
from tests.archiving import JUST, NOW, Archive, ago


def imaged(archive: Archive, of: SimpleNamespace, submission: str, table: str = "submission", **told: Any) -> str:
    """An image of a row of somebody's; its row is what is told but for reading, source and address."""
    place = {"reading": 1, "source": "s", "point": of.point}
    place |= {name: told.pop(name) for name in place if name in told}
    row = {"answers": ["an answer"], **told} if table == "submission" else told
    where = {"source": place["source"], "submission_id": submission, "contact_point_id": place["point"]}
    archive.add("row_image", reading_id=UUID(int=place["reading"]), table_name=table, rows=[row], kept_at=NOW, **where)
    return submission


def copied(archive: Archive) -> set[str]:
    """Of which submissions answers are left in an image."""
    query = "select submission_id from intake.row_image where jsonb_array_length(rows -> 0 -> 'answers') > 0"
    return set(archive.conn.execute(sa.text(query)).scalars())


def image_of(occasion: UUID, at: datetime = NOW) -> dict[str, str]:
    """A registration as an image has it."""
    return {"occasion_pk": str(occasion), "registered_at": at.isoformat()}


@pytest.mark.parametrize(("kind", "days"), [(EVENT_KIND, 30), (COURSE_KIND, 730)])
def test_copies_of_answers_go_with_the_days_of_what_they_were_given_for(archive: Archive, kind: str, days: int) -> None:
    of, held, other = archive.somebody(), archive.somebody(), COURSE_KIND if kind == EVENT_KIND else EVENT_KIND
    archive.held(person_id=held.person)
    ended = archive.occasion(kind, ends_at=ago(days=days))
    goes_on, undated = archive.occasion(kind, ends_at=ago(days=days) + JUST), archive.occasion(kind)

    def registered(occasion: UUID, whose: SimpleNamespace = of, **image: Any) -> str:
        return imaged(archive, whose, archive.registered(whose, occasion), **image)

    now_elsewhere, only_imaged = registered(goes_on), imaged(archive, of, archive.submitted(of))
    long_registered = registered(undated)
    for submission, occasion, at in (
        (now_elsewhere, ended, NOW), (only_imaged, ended, NOW), (long_registered, undated, ago(days=days)),
    ):  # fmt: skip
        imaged(archive, of, submission, "registration", **image_of(occasion, at))
    goes = {registered(ended), now_elsewhere, only_imaged, long_registered}
    in_another_reading, in_another_source, lately_registered = (registered(goes_on) for _ in range(3))
    imaged(archive, of, in_another_reading, "registration", reading=2, **image_of(ended))
    imaged(archive, of, in_another_source, "registration", source="other", **image_of(ended))
    imaged(archive, of, lately_registered, "registration", **image_of(undated, ago(days=days) + JUST))
    moved_on = registered(ended)
    imaged(archive, of, moved_on, "registration", **image_of(goes_on))
    of_another_kind = registered(archive.occasion(other, ends_at=NOW))
    of_nothing, anothers = imaged(archive, of, archive.submitted(of)), registered(ended, source="other")
    imaged(archive, of, registered(goes_on, held), "stated_value", answers=["no answer"])
    no_submission = archive.registered(of, ended)
    imaged(archive, of, no_submission, "stated_value", answers=["no answer"])
    archive.overdue()
    assert goes & copied(archive) == set()
    assert copied(archive) >= {
        in_another_reading, in_another_source, lately_registered, moved_on, of_another_kind, of_nothing, anothers,
        no_submission,
    }  # fmt: skip
    kept = imaged(archive, held, archive.registered(held, archive.occasion(kind, ends_at=ago(days=9999))))
    assert archive.overdue() == {}
    assert kept in copied(archive)


def test_an_image_without_answers_is_none_that_something_went_of(archive: Archive) -> None:
    of = archive.somebody()
    imaged(archive, of, archive.registered(of, archive.occasion(ends_at=ago(days=30))), answers=[])
    imaged(archive, of, archive.registered(of, archive.occasion(ends_at=ago(days=30))))
    assert archive.overdue() == {"event_answers": 3, "event_registrations": 2}


def test_copies_of_messages_go_half_a_year_after_they_were_written(archive: Archive) -> None:
    of, over = archive.somebody(), ago(days=183)

    def message(at: datetime | None = over, received_at: datetime = NOW, **told: Any) -> str:
        told = {"is_enquiry": True, "received_at": received_at.isoformat(), **told}
        archive.number += 1
        return imaged(archive, of, f"m{archive.number}", submitted_from=at and at.isoformat(), **told)

    goes = {message(), message(None, over), (same_id := message()), message(source="other")}
    stays = {message(over + JUST, over), message(None, over + JUST), message(is_enquiry=False)}
    both, at = message(), archive.occasion(ends_at=NOW)
    for source, submission in (("s", both), ("elsewhere", same_id)):
        of_whom = {"contact_point_id": of.point, "subject_id": of.subject, "occasion_pk": at, "status": "active"}
        archive.add("registration", registration_id=uuid4(), source=source, submission_id=submission, **of_whom)
    held = archive.somebody()
    archive.held(person_id=held.person)
    kept = message(point=held.point)
    assert archive.overdue() == {"enquiry_messages": len(goes)}
    assert copied(archive) == stays | {both, kept}

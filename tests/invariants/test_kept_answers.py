"""Answers are kept for a registration or an enquiry, by the days of that, and for nothing else."""

from datetime import datetime, timedelta

import pytest

from schemas.purposes import Begin
from tests.feeds import make_policy
from tests.invariants.acts import NOW, T0, Who, answer, ask, register
from tests.invariants.test_retention import count, retained, with_answers
from tests.invariants.test_undo import undo
from tests.invariants.world import World

AINO = Who("aino@example.org", "aino")
TICKED = {"marketing": "Yes", "marketing_at": T0}


def test_answers_of_a_form_that_was_first_seen_cancelled_are_not_kept(world: World) -> None:
    with_answers(world, "event_registration").perform([register(1, AINO, T0, status="out", **TICKED)])
    world.run()
    assert (count(world, "person"), count(world, "answer")) == (1, 0), "she wants the newsletter"


def test_answers_of_a_registration_that_is_cancelled_later_go_with_its_event(world: World) -> None:
    with_answers(world, "event_registration").perform([register(1, AINO, T0, **TICKED)])
    world.run()
    world.perform([register(1, AINO, T0, status="out", changed_at=T0 + timedelta(days=1), **TICKED)])
    world.run()
    ends = T0 + timedelta(days=90)
    assert retained(world, ends - timedelta(seconds=1)).deleted["event_answers"] == 0 < count(world, "answer")
    assert retained(world, ends).deleted["event_answers"] == 1 and count(world, "answer") == 0


def test_answers_of_a_survey_are_not_kept(world: World) -> None:
    world.with_mapping("survey", answers={"Rdi": "Research"})
    world.perform([answer(1, AINO, T0, feed="survey", newsletter="Yes", rdi="Yes")])
    world.run()
    assert (count(world, "person"), count(world, "answer")) == (1, 0)


def test_a_message_goes_once_its_writer_wants_no_answer(world: World) -> None:
    world.with_mapping("contact", answers={"Newsletter": "Message"}).perform([ask(1, AINO, T0, newsletter="Yes")])
    world.run()
    assert retained(world, NOW).deleted["groundless_answers"] == 0 and count(world, "answer") == 1
    world.perform([ask(1, AINO, T0, newsletter="Yes", answer_me="No")])
    world.run()
    done = retained(world, NOW)
    assert (done.deleted["groundless_answers"], count(world, "answer"), count(world, "person")) == (1, 0, 1)


def test_a_purpose_without_days_keeps_answers_and_one_that_there_is_not_keeps_none(world: World) -> None:
    for begins, kept in ((Begin.NEVER, 0), (Begin.ENQUIRY, 1)):
        world.reset().with_mapping("contact", answers={"Answer me": "Message"})
        policy = make_policy()
        changed = policy.purposes["enquiry"].model_copy(update={"begins": begins, "lives_after_days": None})
        world.with_policy(policy.model_copy(update={"purposes": {**policy.purposes, "enquiry": changed}}))
        world.perform([ask(1, AINO, T0, newsletter="Yes")])
        world.run()
        assert (count(world, "person"), count(world, "answer")) == (1, kept)


@pytest.mark.parametrize(
    ("kind", "at"), [("event_registration", T0 + timedelta(days=90)), ("course_registration", T0 + timedelta(days=790))]
)
def test_answers_that_a_later_version_overwrote_go_with_the_others_and_no_undo_brings_them_back(
    world: World, kind: str, at: datetime
) -> None:
    with_answers(world, kind).perform([register(1, AINO, T0, **TICKED)])
    world.run()
    changed_at = at - timedelta(days=10)
    world.perform([register(1, AINO, T0, changed_at=changed_at, charge="paid", **TICKED)], at=changed_at)
    world.at(changed_at).run()
    rule = f"{kind.removesuffix('_registration')}_answers"
    assert retained(world, at - timedelta(seconds=1)).deleted[rule] == 0 < len(imaged(world))
    assert retained(world, at).deleted[rule] == 2 and imaged(world) == []
    undo(world, world.runs[-1])
    assert count(world, "answer") == 0 and not any(retained(world, at).left.values())


def test_a_message_that_a_later_version_overwrote_goes_with_its_enquiry(world: World) -> None:
    world.with_mapping("contact", answers={"Newsletter": "Message"}).perform([ask(1, AINO, T0, newsletter="Yes")])
    world.run()
    at = T0 + timedelta(days=183)
    world.perform([ask(1, AINO, T0, newsletter="No")], at=at - timedelta(days=10))
    world.at(at - timedelta(days=10)).run()
    assert retained(world, at - timedelta(seconds=1)).deleted["enquiry_messages"] == 0 < len(imaged(world))
    assert retained(world, at).deleted["enquiry_messages"] == 2 and imaged(world) == []


def imaged(world: World) -> list[str]:
    """The answers that images of readings hold."""
    query = "select a ->> 'answer' from intake.row_image, jsonb_array_elements(rows -> 0 -> 'answers') a"
    return [row[0] for row in world.query(query)]

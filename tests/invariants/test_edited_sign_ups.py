"""Submissions with double opt-in that are edited: a no takes back what the link gave, and a link that nobody followed yet."""

from datetime import timedelta
from typing import Any

import pytest

from pipelines.operations.double_opt_in import confirm, confirmations_to_mail
from schemas.errors import ActRefused
from tests.invariants.acts import T0, Act, answer, sign_up
from tests.invariants.feeds import MAPPINGS, TIME
from tests.invariants.test_edited_answers import AINO, DAY, NO, SIGNED_UP, WRITTEN, YES, coarse, is_granted, version
from tests.invariants.world import World

HOUR = timedelta(hours=1)
EMPTY = {"newsletter": "0"}
STOP = {"stop": "Yes"}


@pytest.fixture
def asked(world: World) -> World:
    """A form that asks by mail whether the newsletter is wanted, and whose empty box is a 0."""
    newsletter, *others = MAPPINGS["answers"]["consents"]
    consents = [{**newsletter, "silent": ["0"], "double_opt_in": True}, *others]
    world.with_mapping("answers", consents=consents)
    return world


@pytest.fixture
def dated(asked: World) -> World:
    """The same form where it tells when an answer was changed."""
    consents = [consent.model_dump() for consent in asked.workspace.mappings["answers"].consents]
    asked.with_mapping("answers", consents=consents, changed_at={**TIME, "column": "Changed"})
    return asked


def receive(world: World, after: timedelta, *acts: Act) -> None:
    """Acts received so long after T0, and a run."""
    world.at(T0 + after).perform(acts, at=T0 + after)
    world.run()


def link(world: World) -> str:
    """The token in the mail that is to be sent."""
    (waiting,) = confirmations_to_mail(world.session())
    return waiting.token


def follow(world: World, after: timedelta) -> None:
    """The link of the one who waits is followed so long after T0."""
    token = link(world)
    world.at(T0 + after)
    confirm(world.session(), token)
    assert is_granted(world)


def is_on_again(world: World, after: timedelta) -> bool:
    """Whether signing up then, on another form, is a new yes."""
    receive(world, after + HOUR, sign_up(9, AINO, T0 + after))
    return is_granted(world)


@pytest.mark.parametrize("told", [True, False])
def test_a_box_that_is_no_longer_ticked_takes_back_what_its_link_gave(dated: World, told: bool) -> None:
    receive(dated, HOUR, version(T0, **YES))
    follow(dated, 2 * HOUR)
    receive(dated, 4 * HOUR, version(T0 + 3 * HOUR if told else T0, **EMPTY))
    assert not is_granted(dated)
    assert is_on_again(dated, 5 * HOUR)


@pytest.mark.parametrize("lowering", [NO, STOP, EMPTY])
@pytest.mark.parametrize("written", ["2026-11-10T10:00:00Z", *WRITTEN])
@pytest.mark.parametrize("received", [2 * DAY, 9 * DAY])
def test_a_yes_that_was_confirmed_and_turned_counts_as_of_receipt_where_no_change_is_told(
    asked: World, lowering: dict[str, Any], written: str, received: timedelta
) -> None:
    receive(asked, HOUR, coarse(written, **YES))
    follow(asked, 2 * HOUR)
    receive(asked, received, SIGNED_UP, coarse(written, **lowering))
    assert not is_granted(asked)
    assert is_on_again(asked, received + HOUR)


def test_a_no_that_was_told_before_the_link_was_followed_does_not_take_it_back(dated: World) -> None:
    receive(dated, HOUR, version(T0, **YES))
    token = link(dated)
    dated.at(T0 + 3 * HOUR)
    confirm(dated.session(), token)
    receive(dated, 4 * HOUR, version(T0 + 2 * HOUR, **NO))
    assert is_granted(dated), "the link is the person's later word"


@pytest.mark.parametrize(
    "edited", [answer(1, AINO, T0, **NO), answer(1, AINO, T0, **YES, **STOP), answer(1, AINO, T0, **EMPTY)]
)
def test_a_sign_up_that_was_edited_to_a_no_waits_for_its_link_no_more(asked: World, edited: Act) -> None:
    receive(asked, HOUR, answer(1, AINO, T0, **YES))
    token = link(asked)
    receive(asked, 2 * HOUR, edited)
    assert not confirmations_to_mail(asked.session())
    with pytest.raises(ActRefused):
        confirm(asked.session(), token)
    receive(asked, 3 * HOUR, answer(1, AINO, T0, **YES, training="No"))
    follow(asked, 4 * HOUR)


def test_a_sign_up_that_was_deleted_at_the_source_waits_for_its_link_no_more(asked: World) -> None:
    receive(asked, HOUR, answer(1, AINO, T0, **YES))
    receive(asked, 2 * HOUR, answer(1, AINO, T0, **YES).written(Email="<DELETED>"))
    assert not confirmations_to_mail(asked.session())


def test_a_sign_up_whose_other_boxes_are_empty_waits_for_its_link(asked: World) -> None:
    newsletter, training, *others = MAPPINGS["answers"]["consents"]
    boxes = [{**newsletter, "silent": ["0"]}, {**training, "double_opt_in": True}]
    asked.with_mapping("answers", consents=[*boxes, *others])
    receive(asked, HOUR, answer(1, AINO, T0, **EMPTY, training="Yes"))
    receive(asked, 2 * HOUR, answer(1, AINO, T0, **EMPTY, training="Yes", rdi="No"))
    assert link(asked)


@pytest.mark.parametrize("in_one_file", [True, False])
def test_a_yes_that_nobody_confirmed_and_turned_counts_as_of_receipt(asked: World, in_one_file: bool) -> None:
    yes, no = answer(1, AINO, T0, **YES), answer(1, AINO, T0, **NO)
    if not in_one_file:
        receive(asked, HOUR, yes)
    receive(asked, 3 * HOUR, *([yes] if in_one_file else []), no, sign_up(2, AINO, T0 + 2 * HOUR))
    assert not is_granted(asked)


def test_a_yes_beside_a_prohibition_waits_for_no_link_and_did_not_turn(asked: World) -> None:
    both = answer(1, AINO, T0, **YES, **STOP)
    receive(asked, 3 * HOUR, both, both, sign_up(2, AINO, T0 + 2 * HOUR))
    assert not confirmations_to_mail(asked.session())
    assert is_granted(asked)

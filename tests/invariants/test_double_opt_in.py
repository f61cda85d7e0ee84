"""Double opt-in: a sign-up is nothing until its person follows the link, and staff cannot follow it (I19)."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.operations.acts import record_acts
from pipelines.operations.double_opt_in import confirm, confirmations_to_mail, forget_expired, mail_confirmation
from pipelines.operations.retention import retain
from pipelines.operations.sessions import Session
from pipelines.transforms.preference_links import LinkKey, Scope, sign_token
from schemas.consent import Actor
from schemas.errors import ActRefused
from tests.invariants.acts import NOW, T0, Who, answer, sign_up, speak
from tests.invariants.feeds import MAPPINGS
from tests.invariants.histories import address_of, examples
from tests.invariants.model import MARKETING
from tests.invariants.test_acts import AINO, make_act, states
from tests.invariants.test_consent_commands import say
from tests.invariants.wire import check_wire
from tests.invariants.world import World

DOUBLE = [{**consent, "double_opt_in": True} for consent in MAPPINGS["newsletter"]["consents"]]
WEEK = timedelta(days=7)


@pytest.fixture
def waiting(world: World) -> World:
    """A sign-up of Aino's that waits for its link."""
    world.with_mapping("newsletter", consents=DOUBLE).perform([sign_up(1, AINO, T0)])
    world.run()
    return world


def token(world: World) -> str:
    (one,) = confirmations_to_mail(world.session())
    return one.token


def test_a_sign_up_is_nothing_until_the_link_is_followed(waiting: World) -> None:
    assert not waiting.rows("contacts")
    assert not waiting.query("select 1 from intake.consent_event")
    assert not waiting.query("select 1 from intake.person")
    outcome = waiting.query("select state, reason, effects from intake.row_outcome")
    assert [tuple(row) for row in outcome] == [("withheld", "awaiting_confirmation", ["pending:marketing"])]
    found = confirm(waiting.session(), token(waiting))
    assert (found.purposes, found.is_new) == ((MARKETING,), True)
    waiting.run()
    held = waiting.holds()
    assert held.consents[AINO.key, MARKETING, ""]
    assert held.contacts[AINO.key, "aino"]["lastname"] == "Virtanen"
    check_wire(waiting)


def test_following_the_link_again_changes_nothing_and_the_sign_up_keeps_no_address(waiting: World) -> None:
    link = token(waiting)
    confirm(waiting.session(), link)
    assert not confirm(waiting.session(), link).is_new
    assert len(waiting.query("select 1 from intake.consent_event")) == 1
    left = waiting.query("select address, address_key, given_name, family_name, given_key from intake.pending_grant")
    assert [tuple(row) for row in left] == [(None,) * 5]


def test_the_evidence_of_a_confirmed_sign_up_is_the_forms_and_the_links(waiting: World) -> None:
    confirm(waiting.session(), token(waiting))
    (row,) = waiting.query(
        "select clock, actor, method, channel, notice_version, wording_hash, occurred_at from intake.consent_event"
        " join intake.consent_evidence using (event_key)"
    )
    assert (row.clock, row.actor, row.method, row.channel) == (
        "double_opt_in",
        "subject",
        "double_opt_in",
        "mailing_list",
    )
    assert (row.notice_version, row.occurred_at) == ("2026-01", NOW)
    assert row.wording_hash


def test_a_link_is_mailed_once_and_reading_the_file_again_mails_no_other(waiting: World) -> None:
    (one,) = confirmations_to_mail(waiting.session())
    assert (one.address, one.language) == (AINO.address, "en")
    assert mail_confirmation(waiting.session(), one.confirmation_id, lambda: True)
    assert not mail_confirmation(waiting.session(), one.confirmation_id, lambda: True)
    waiting.perform([sign_up(1, AINO, T0)])
    waiting.run()
    assert not confirmations_to_mail(waiting.session())
    assert confirm(waiting.session(), one.token).is_new


def test_a_link_expires_and_its_sign_up_is_forgotten(waiting: World) -> None:
    link = token(waiting)
    waiting.at(NOW + WEEK)
    with pytest.raises(ActRefused):
        confirm(waiting.session(), link)
    assert forget_expired(waiting.session()) == 1
    assert not waiting.query("select 1 from intake.pending_grant")


def test_a_sign_up_that_nobody_confirmed_is_not_asked_again_when_its_submission_is_forgotten(waiting: World) -> None:
    waiting.at(NOW + WEEK)
    assert forget_expired(waiting.session()) == 1
    waiting.at(NOW + timedelta(days=91))
    assert retain(Session(waiting.workspace), waiting.crm).deleted["groundless_submissions"] == 1
    waiting.perform([sign_up(1, AINO, T0), sign_up(2, Who("kalle@example.org", "kalle"), waiting.now)], at=waiting.now)
    waiting.run()
    (one,) = confirmations_to_mail(waiting.session())
    assert one.address == "kalle@example.org", "who signed up just now"
    outcomes = waiting.query("select distinct state, reason from intake.row_outcome")
    assert [tuple(row) for row in outcomes] == [("withheld", "awaiting_confirmation")]


@pytest.mark.parametrize(("age", "asked"), [(timedelta(days=90, seconds=-1), 1), (timedelta(days=90), 0)])
def test_a_sign_up_that_is_first_read_late_is_asked_as_long_as_it_would_be_known_again(
    world: World, age: timedelta, asked: int
) -> None:
    world.with_mapping("newsletter", consents=DOUBLE).perform([sign_up(1, AINO, world.now - age)])
    world.run()
    assert len(confirmations_to_mail(world.session())) == asked


def test_a_later_withdrawal_stands_against_a_link_followed_before(waiting: World) -> None:
    confirm(waiting.session(), token(waiting))
    waiting.at(NOW + timedelta(days=1))
    record_acts(waiting.session(), None, [make_act("withdraw", occurred_at=NOW + timedelta(hours=1))])
    assert states(waiting)[MARKETING, ""] == "withdrawn"


@pytest.mark.parametrize("forged", ["", "x", "AAAA" * 16, "other_scope", "other_key", "turned"])
def test_a_forged_link_is_refused(waiting: World, forged: str) -> None:
    real = token(waiting)
    key = waiting.workspace.keys.current("link")
    (row,) = waiting.query("select confirmation_id from intake.pending_grant")
    made = {
        "other_scope": sign_token(Scope.WITHDRAW, row.confirmation_id, LinkKey(key.key_id, key.secret)),
        "other_key": sign_token(Scope.WITHDRAW, row.confirmation_id, LinkKey(key.key_id, b"x" * 32)),
        "turned": real[::-1],
    }
    with pytest.raises(ActRefused) as refused:
        confirm(waiting.session(), made.get(forged, forged))
    assert refused.value.code == "confirmation_unknown"
    assert not waiting.query("select 1 from intake.consent_event")


def test_i19_a_guardians_tick_on_another_form_does_not_complete_it(waiting: World) -> None:
    told = {**MAPPINGS["answers"]["consents"][0], "given_by": "guardian"}
    fields = {**MAPPINGS["answers"]["fields"], "age": {"column": "Age"}}
    waiting.with_mapping("answers", consents=[told], fields=fields, ignored=["Training", "Rdi", "Stop"])
    waiting.perform([answer(2, AINO, T0, newsletter="Yes").written(Age="14")])
    waiting.run()
    assert not waiting.query("select 1 from intake.consent_event")
    assert ["withheld:awaiting_confirmation"] in [
        r.effects for r in waiting.query("select effects from intake.row_outcome")
    ]


@examples(2)
@given(houses=st.integers(3, 8), data=st.data())
def test_i19_staff_cannot_complete_a_double_opt_in(one_world: World, houses: int, data: st.DataObject) -> None:
    """Whatever staff enter, by file, command or act, a sign-up that waits stays closed; the person's link opens it."""
    world = one_world.reset().with_mapping("newsletter", consents=DOUBLE)
    whos = [Who(address_of(n), "aino") for n in range(houses)]
    world.perform([sign_up(n, who, T0) for n, who in enumerate(whos)])
    world.run()
    entries = []
    for n, who in enumerate(whos):
        topic = data.draw(st.sampled_from(["", "training"]))
        entries.append(speak(who, T0 + timedelta(days=2, seconds=n), decision="yes", topic=topic))
        actor = data.draw(st.sampled_from([Actor.STAFF_ON_BEHALF, Actor.STAFF, Actor.IMPORT, Actor.GUARDIAN]))
        act = make_act(address=who.address, actor=actor, evidence={"collected_by": "Desk", "method": "phone"})
        with pytest.raises(ActRefused):
            record_acts(world.session(), None, [act])
        words: tuple[Any, ...] = ("record", "-", "--deed", "grant", "--purpose", MARKETING, "--said-at", "15.11.2026")
        say(world, *words, "--by", "D", "--method", "p", "--notice", "n", typed=f"{who.address}\nYes.", code=2)
    world.perform(data.draw(st.permutations(entries)))
    world.run()
    assert not world.query("select 1 from intake.consent_event where value = 'grant'")
    assert not world.rows("contacts")
    reasons = world.query(
        "select effects from intake.row_outcome where 'withheld:awaiting_confirmation' = any(effects)"
    )
    assert len(reasons) == houses
    opened = [one for one in confirmations_to_mail(world.session()) if data.draw(st.booleans())]
    for one in opened:
        confirm(world.session(), one.token)
    world.run()
    on = {key for (key, purpose, topic), is_on in world.holds().consents.items() if is_on and not topic}
    assert on == {one.address.lower() for one in opened}
    check_wire(world)

"""No marketing to a child whatever the door: a form without an age, staff, a guardian, a page, a waiting sign-up, the CRM."""

from datetime import timedelta
from typing import Any

import pytest

from pipelines.operations.acts import record_acts
from pipelines.operations.double_opt_in import confirmations_to_mail
from pipelines.operations.undo import undo_run
from schemas.consent import Actor
from schemas.errors import ActRefused
from tests.invariants.acts import NOW, T0, Act, Who, answer, register, sign_up, speak
from tests.invariants.crm_hands import CENTRE, OPTED_IN, consents_of, edit_consent, set_crm_clock
from tests.invariants.erasing import erase
from tests.invariants.feeds import MAPPINGS
from tests.invariants.model import MARKETING, RELATED
from tests.invariants.test_acts import make_act, states
from tests.invariants.test_consent_commands import say
from tests.invariants.test_double_opt_in import DOUBLE
from tests.invariants.test_readback import register_wording
from tests.invariants.wire import check_wire
from tests.invariants.world import World

AINO, MAIJA = Who("aino@example.org", "aino"), Who("aino@example.org", "maija")
CHILD, GROWN = "2015-05-01", "1990-05-01"
HOUR = timedelta(hours=1)
LATER, LAST = T0 + timedelta(days=1), T0 + timedelta(days=2)
SPOKEN = {"collected_by": "Desk", "method": "phone"}


@pytest.fixture
def asking(world: World) -> World:
    """The form of the courses asks for the date of birth."""
    born = {"column": "Born", "formats": ["iso"]}
    return world.with_mapping("courses", fields={**MAPPINGS["courses"]["fields"], "birth_date": born})


def born(day: str, no: int = 1, who: Who = AINO, **told: Any) -> Act:
    return register(no, who, T0, **told).written(Born=day)


def run(world: World, *acts: Act) -> None:
    world.perform(acts)
    world.run()


def child(world: World) -> World:
    run(world, born(CHILD))
    return world


def is_mailed(world: World, address: str = AINO.key) -> bool:
    return any(on for (key, _, _), on in world.holds().consents.items() if key == address)


def test_a_date_of_birth_that_is_set_right_later_ends_what_was_given(asking: World) -> None:
    run(asking, born(GROWN, charge="paid", marketing="Yes"))
    assert is_mailed(asking) and states(asking)[MARKETING, "training"] == "granted"
    check_wire(asking)
    run(asking, born(CHILD, charge="paid", marketing="Yes", changed_at=LATER))
    assert not is_mailed(asking) and states(asking)[MARKETING, "training"] == "withdrawn"
    events = asking.query("select value, actor, reason from intake.consent_event order by recorded_at")
    assert [tuple(one) for one in events][1:] == [("withdraw", "import", "child")]
    assert {row[0] for row in asking.query("select purpose from intake.person_purpose")} == {"course_delivery"}
    assert len(asking.holds().registrations) == 1, "the course goes on"
    run(asking, born(CHILD, charge="paid", marketing="Yes", changed_at=LAST))
    assert not is_mailed(asking)


def test_a_child_who_had_signed_up_before_is_not_mailed_any_more(asking: World) -> None:
    run(asking, sign_up(2, AINO, T0))
    assert is_mailed(asking)
    child(asking)
    assert not is_mailed(asking) and states(asking)[MARKETING, ""] == "withdrawn"


def test_a_sign_up_and_a_registration_in_one_run_end_the_same(asking: World) -> None:
    run(asking, born(CHILD), sign_up(2, AINO, T0), answer(3, AINO, T0, training="Yes"))
    assert not is_mailed(asking)


@pytest.mark.parametrize("entry", [sign_up(2, AINO, LATER), speak(AINO, LATER, decision="yes"),
                                   sign_up(2, Who(AINO.address), LATER)], ids=["form", "staff", "no name"])  # fmt: skip
def test_a_known_childs_yes_by_a_form_without_an_age_is_let_go_by_rule(asking: World, entry: Act) -> None:
    run(child(asking), entry)
    assert not asking.query("select from intake.consent_event") and not is_mailed(asking)
    told = asking.query(
        "select effects from intake.row_outcome join intake.batch using (batch_id) where feed <> 'courses'"
    )
    assert [one.effects for one in told] == [["withheld:child"]]


def test_a_no_of_a_child_counts(asking: World) -> None:
    run(child(asking), answer(2, AINO, LATER, newsletter="No"))
    assert states(asking)[MARKETING, ""] == "withdrawn"


def test_another_at_the_address_may_have_the_newsletter(asking: World) -> None:
    run(child(asking), sign_up(2, MAIJA, LATER))
    assert is_mailed(asking)
    assert record_acts(asking.session(), None, [make_act(given_name="Maija")])
    assert record_acts(asking.session(), None, [make_act()]), "whoever reads the address may be Maija"


@pytest.mark.parametrize(
    "told",
    [{}, {"given_name": "Aino"}, {"actor": Actor.STAFF_ON_BEHALF, "evidence": SPOKEN}, {"topics": ("training",)}],
    ids=["page", "name", "staff", "topic"],
)
def test_no_act_of_a_known_child_begins_marketing(asking: World, told: dict[str, Any]) -> None:
    child(asking)
    for purpose in (MARKETING,) if "topics" in told else (MARKETING, RELATED):
        with pytest.raises(ActRefused, match="younger than 13") as refused:
            record_acts(asking.session(), None, [make_act(purposes=(purpose,), **told)])
        assert refused.value.code == "child"
    (person,) = asking.query("select person_id from intake.person")
    with pytest.raises(ActRefused, match="younger than 13"):
        record_acts(asking.session(), None, [make_act(person_id=person.person_id)])
    assert record_acts(asking.session(), None, [make_act("withdraw", evidence={"wording": None})])


def test_a_guardians_yes_needs_a_word_of_the_age(world: World) -> None:
    told: dict[str, Any] = {"actor": Actor.GUARDIAN, "evidence": SPOKEN}
    with pytest.raises(ActRefused, match="younger than 13"):
        record_acts(world.session(), None, [make_act(**told)])
    assert record_acts(world.session(), None, [make_act(**told, is_of_age=True)])


def test_the_command_takes_down_that_the_person_is_old_enough(asking: World) -> None:
    words = ("record", "-", "--deed", "grant", "--purpose", "marketing", "--said-at", "2026-11-19", "--by", "Desk",
             "--method", "phone", "--notice", "2026-01")  # fmt: skip
    typed = f"{AINO.address}\nI want it."
    child(asking)
    say(asking, *words, typed=typed, code=2)
    say(asking, *words, "--of-age", typed=typed)
    assert states(asking)[MARKETING, ""] == "granted"


def test_who_was_said_to_be_old_enough_decides_from_then_on(asking: World) -> None:
    child(asking)
    (person,) = asking.query("select person_id from intake.person")
    spoken = make_act(person_id=person.person_id, actor=Actor.STAFF_ON_BEHALF, is_of_age=True, evidence=SPOKEN)
    record_acts(asking.session(), None, [spoken])
    assert record_acts(asking.session(), None, [make_act(topics=("rdi",))])
    run(asking, born(CHILD, changed_at=spoken.occurred_at + timedelta(days=1)))
    assert not is_mailed(asking), "a form has told of a child since"


@pytest.mark.parametrize("given", ["aino", "a", ""])
def test_what_waits_for_its_link_is_forgotten(asking: World, given: str) -> None:
    run(asking.with_mapping("newsletter", consents=DOUBLE), sign_up(2, Who(AINO.address, given), T0))
    assert len(confirmations_to_mail(asking.session())) == 1
    child(asking)
    assert not confirmations_to_mail(asking.session())
    run(asking, sign_up(3, AINO, LATER))
    assert not confirmations_to_mail(asking.session()), "nor does one begin to wait"


def test_news_of_similar_events_do_not_begin_on_another_form_either(asking: World) -> None:
    run(asking, born("", 2, charge="paid"))
    assert is_mailed(asking)
    child(asking)
    assert not is_mailed(asking)


def test_an_opt_in_made_in_the_crms_own_centre_is_lowered_again(asking: World) -> None:
    run(asking, sign_up(2, AINO, T0))
    child(asking)
    assert not is_mailed(asking) and consents_of(asking, AINO.key)
    register_wording(asking.at(NOW + 2 * HOUR))
    set_crm_clock(asking, NOW + HOUR)
    told = {"msdynmkt_value": OPTED_IN, "msdynmkt_source": CENTRE}
    edit_consent(asking, AINO.key, **told)
    asking.run()
    assert not is_mailed(asking)
    assert not asking.query("select from intake.crm_finding where kind = 'unregistered_opt_in'")


@pytest.mark.parametrize("days", [(GROWN, CHILD), (CHILD, GROWN)])
def test_what_was_told_last_counts_in_whatever_order_it_arrives(asking: World, days: tuple[str, str]) -> None:
    first, last = born(days[0], 1), register(2, AINO, LATER, course="LK2").written(Born=days[1])
    run(asking, last)
    run(asking, first)
    run(asking, sign_up(3, AINO, LAST))
    assert is_mailed(asking) is (days[1] == GROWN)
    kept = asking.query("select string_agg(s::text, ' ') from intake.subject s")[0][0]
    assert "2015" not in kept and "1990" not in kept


def test_people_of_unknown_age_are_no_children(asking: World) -> None:
    run(asking, born(""), sign_up(2, AINO, LATER))
    assert is_mailed(asking)


def ages(world: World) -> set[bool | None]:
    return {row.is_child for row in world.query("select is_child from intake.subject")}


def test_an_age_that_was_misread_is_taken_back_with_its_run(asking: World) -> None:
    run(asking, sign_up(2, AINO, T0))
    run(asking.at(NOW + HOUR), born(CHILD))
    assert not is_mailed(asking) and ages(asking) == {True}
    undo_run(asking.session(), asking.runs[-1], by="Officer")
    assert ages(asking) == {None}
    run(asking.at(NOW + 2 * HOUR))
    assert is_mailed(asking), "the sign-up before counts again"
    assert record_acts(asking.session(), None, [make_act(topics=("rdi",))])


def test_a_child_who_was_misread_as_grown_is_a_child_again(asking: World) -> None:
    run(asking, born(CHILD))
    run(asking.at(NOW + HOUR), born(GROWN, changed_at=LATER, marketing="Yes"))
    assert is_mailed(asking)
    undo_run(asking.session(), asking.runs[-1], by="Officer")
    assert ages(asking) == {True}
    with pytest.raises(ActRefused, match="younger than 13"):
        record_acts(asking.session(), None, [make_act()])
    run(asking.at(NOW + 2 * HOUR))
    assert not is_mailed(asking)


def test_what_was_said_of_an_age_since_outlives_the_undo(asking: World) -> None:
    child(asking)
    (person,) = asking.query("select person_id from intake.person")
    spoken = make_act(person_id=person.person_id, actor=Actor.STAFF_ON_BEHALF, is_of_age=True, evidence=SPOKEN)
    record_acts(asking.session(), None, [spoken])
    undo_run(asking.session(), asking.runs[-1], by="Officer")
    assert ages(asking) == {False}


def test_what_an_undo_would_put_back_goes_with_the_erased(asking: World) -> None:
    run(asking, born(CHILD), born(CHILD, 2, MAIJA))
    images = "select submission_id from intake.row_image where table_name = 'subject'"
    person_of = {
        row.given_key: row for row in asking.query("select given_key, subject_id, person_id from intake.subject")
    }
    assert len(asking.query(images)) == 2
    erase(asking, person=str(person_of["aino"].person_id))
    assert [row.submission_id for row in asking.query(images)] == [str(person_of["maija"].subject_id)]
    erase(asking, AINO.address)
    assert not asking.query(images)

"""Single acts of persons and staff: the one way in which they become consent events, through a real store and CRM."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from pipelines.operations.acts import Act, ActEvidence, Deed, ShownWording, record_acts
from pipelines.operations.sessions import Session
from schemas.consent import Actor
from schemas.errors import ActRefused
from tests.invariants.acts import NOW, T0, Who, register, sign_up
from tests.invariants.model import MARKETING, RELATED
from tests.invariants.wire import check_wire
from tests.invariants.world import World

AINO = Who("aino@example.org", "aino")
WORDS = ShownWording("Send me the newsletter.", "3", "en")
LATER = T0 + timedelta(days=8)


def make_evidence(**changes: Any) -> ActEvidence:
    plain = {"request_reference": uuid4().hex, "channel": "page", "wording": WORDS, "notice_version": "2026-01"}
    return ActEvidence(**{**plain, **changes})


def make_act(deed: str = "grant", **changes: Any) -> Act:
    """A complete act of whoever reads Aino's address, about marketing as a whole."""
    evidence = make_evidence(**changes.pop("evidence", {}))
    plain = {
        "deed": Deed(deed),
        "purposes": (MARKETING,),
        "actor": Actor.SUBJECT,
        "clock": "preference_page",
        "occurred_at": LATER,
        "address": AINO.address,
        "evidence": evidence,
    }
    return Act(**{**plain, **changes})


def states(world: World, address: str = AINO.key) -> dict[tuple[str, str], str]:
    rows = world.query(
        "select purpose, topic, state from intake.consent_state join intake.contact_point using (contact_point_id)"
        " where address_key = :address",
        address=address,
    )
    return {(row.purpose, row.topic): row.state for row in rows}


def test_a_withdrawal_on_the_page_is_in_the_crm_with_the_next_run(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), register(2, AINO, T0, charge="paid")])
    world.run()
    assert world.holds().consents[AINO.key, MARKETING, ""]
    ids = record_acts(world.session(), None, [make_act("withdraw", evidence={"wording": None})])
    assert len(ids) == 2
    assert states(world)[MARKETING, ""] == states(world)[RELATED, ""] == "withdrawn"
    world.run()
    held = world.holds()
    assert not any(on for (_, purpose, _), on in held.consents.items() if purpose in (MARKETING, RELATED))
    assert held.contacts[AINO.key, "aino"]["donotbulkemail"] is True
    assert len(held.registrations) == 1
    check_wire(world)


def test_an_act_told_again_is_the_same_event(world: World) -> None:
    act = make_act()
    first = record_acts(world.session(), None, [act])
    version = world.query("select version from intake.contact_point")
    assert record_acts(world.session(), None, [act]) == first
    assert world.query("select version from intake.contact_point") == version
    assert len(world.query("select 1 from intake.consent_event")) == 1


def test_a_grant_from_an_address_nobody_knew_makes_a_nameless_person(world: World) -> None:
    record_acts(world.session(), None, [make_act()])
    world.run()
    assert [tuple(row) for row in world.query("select given_name, family_name from intake.person")] == [(None, None)]
    assert world.holds().consents[AINO.key, MARKETING, ""]


def test_a_withdrawal_from_an_address_nobody_knew_is_kept_without_a_person(world: World) -> None:
    record_acts(world.session(), None, [make_act("withdraw")])
    assert not world.query("select 1 from intake.person")
    assert states(world)[MARKETING, ""] == "withdrawn"
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    assert not world.holds().consents[AINO.key, MARKETING, ""], "an older sign-up raises nothing"


def test_switching_off_and_on_again_on_one_page_is_on(world: World) -> None:
    off = make_act("withdraw", occurred_at=LATER)
    on = make_act("grant", occurred_at=LATER + timedelta(seconds=20))
    record_acts(world.session(), None, [on])
    record_acts(world.session(), None, [off])
    assert states(world)[MARKETING, ""] == "granted"


def test_topics_are_states_of_their_own(world: World) -> None:
    record_acts(world.session(), None, [make_act(), make_act("withdraw", topics=("rdi", "events"))])
    held = states(world)
    assert held[MARKETING, ""] == held[MARKETING, "training"] == "granted"
    assert held[MARKETING, "rdi"] == held[MARKETING, "events"] == "withdrawn"
    assert (RELATED, "") not in held, "leaving topics is no objection to news of similar events"


def test_objecting_to_similar_events_leaves_consent_alone(world: World) -> None:
    record_acts(world.session(), None, [make_act(), make_act("object", purposes=(RELATED,))])
    assert states(world)[MARKETING, ""] == "granted"
    assert states(world)[RELATED, ""] == "withdrawn"
    reasons = world.query("select reason from intake.consent_event where purpose = 'related_events'")
    assert [row.reason for row in reasons] == ["objection"]


def test_an_act_of_a_named_person_is_hers_alone(world: World) -> None:
    maija = Who(AINO.address, "maija")
    world.perform([sign_up(1, AINO, T0), sign_up(2, maija, T0)])
    world.run()
    (aino,) = world.query("select person_id from intake.person where given_name = 'Aino'")
    record_acts(world.session(), None, [make_act("withdraw", address=None, person_id=aino.person_id)])
    by_person = world.query(
        "select given_name, state from intake.person_consent join intake.person using (person_id)"
        " where purpose = 'marketing' and topic = '' order by 1"
    )
    assert [tuple(row) for row in by_person] == [("Aino", "withdrawn"), ("Maija", "granted")]
    assert states(world)[MARKETING, ""] == "withdrawn", "the address is granted only where both are"


def test_unsent_raises_are_superseded_in_the_same_transaction(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    with world.owner.begin() as conn:
        conn.exec_driver_sql("update intake.outbox_intent set state = 'pending', finished_at = null where is_raising")
    record_acts(world.session(), None, [make_act("withdraw")])
    assert {row.state for row in world.query("select state from intake.outbox_intent where is_raising")} == {
        "superseded"
    }


REFUSED = {
    "incomplete_record": {"evidence": {"wording": None}},
    "incomplete_record ": {"evidence": {"notice_version": None}},
    "incomplete_record  ": {"actor": Actor.STAFF_ON_BEHALF},
    "incomplete_record   ": {"actor": Actor.GUARDIAN},
    "not_the_person": {"actor": Actor.STAFF},
    "not_by_consent": {"purposes": ("course_delivery",)},
    "no_such_right": {"deed": "withdraw", "purposes": ("course_delivery",)},
    "unknown_purpose": {"purposes": ("astrology",)},
    "unknown_purpose ": {"topics": ("astrology",)},
    "no_purpose": {"purposes": ()},
    "no_purpose ": {"purposes": (MARKETING, RELATED), "topics": ("rdi",)},
    "no_address": {"address": "not an address"},
    "unknown_person": {"address": None, "person_id": UUID(int=1)},
    "unknown_person ": {"address": None, "contact_point_id": UUID(int=1)},
    "role_address": {"address": "info@example.org"},
    "incomplete_act": {"occurred_at": T0.replace(tzinfo=None)},
    "incomplete_act ": {"evidence": {"request_reference": ""}},
    "unknown_notice": {"evidence": {"notice_version": "1999"}},
    "unknown_wording": {"evidence": {"wording": None, "wording_hash": "0" * 32}},
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_is_no_full_act_is_refused_and_nothing_is_kept(world: World, code: str) -> None:
    with pytest.raises(ActRefused) as refused:
        record_acts(world.session(), None, [make_act("withdraw"), make_act(**{"deed": "grant", **REFUSED[code]})])
    assert refused.value.code == code.strip()
    assert "@" not in str(refused.value)
    assert not world.query("select 1 from intake.consent_event")


def test_a_person_of_another_address_is_refused(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), sign_up(2, Who("maija@example.org", "maija"), T0)])
    world.run()
    (maija,) = world.query("select person_id from intake.person where given_name = 'Maija'")
    with pytest.raises(ActRefused) as refused:
        record_acts(world.session(), None, [make_act(person_id=maija.person_id)])
    assert refused.value.code == "not_clear_whose"


def test_acts_at_the_same_time_on_one_address_all_count(world: World) -> None:
    topics = ("training", "rdi", "services", "events")
    record_acts(world.session(), None, [make_act()])
    session = Session(world.workspace)
    acts = [make_act("withdraw", topics=(topic,)) for topic in topics * 3]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda act: record_acts(session, None, [act]), acts))
    held = states(world)
    assert {held[MARKETING, topic] for topic in topics} == {"withdrawn"}
    assert len(world.query("select 1 from intake.consent_event")) == 13


def test_the_time_of_an_act_is_never_after_it_was_received(world: World) -> None:
    record_acts(world.session(), None, [make_act(occurred_at=NOW + timedelta(days=400))])
    (event,) = world.query("select effective_at, received_at from intake.consent_event")
    assert event.effective_at == event.received_at == NOW.astimezone(UTC)

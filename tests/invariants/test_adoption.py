"""Contacts that the CRM has by itself: matched or put up for decision, never doubled, never raised without evidence."""

from datetime import timedelta
from typing import Any

import pytest

from pipelines.commands.running import predict
from pipelines.operations import reviews
from pipelines.operations.adoption import adopt_all
from pipelines.operations.reconciliation import reconcile
from pipelines.operations.sessions import Session
from schemas.errors import ConfigurationError
from schemas.records import Window
from schemas.tables import ConsentValue
from tests.invariants.acts import T0, Who, answer, ask, register, sign_up, speak
from tests.invariants.wire import CONSENTS, sent_rows
from tests.invariants.world import FIRST_ON, World, take_in

AINO = Who("aino@example.org", "aino")
NOT_SET, IN, OUT = (int(value) for value in ConsentValue)
PAGE = 534120001


def contact(given: str | None = "Aino", family: str | None = "Virtanen", **changes: Any) -> dict[str, Any]:
    """A contact as staff make one: mail is allowed by default."""
    plain = {"firstname": given, "lastname": family, "emailaddress1": "aino@example.org"}
    return {name: value for name, value in {**plain, **changes}.items() if value is not None}


def consent(world: World, value: int, *, topic: str | None = None, **changes: Any) -> dict[str, Any]:
    target = world.workspace.policy.crm.purposes["marketing"]
    plain = {
        "msdynmkt_contactpointvalue": "aino@example.org",
        "msdynmkt_contactpointtype": 534120000,
        "msdynmkt_contactpointconsenttype": 534120001 if topic else 534120000,
        "msdynmkt_value": value,
        "msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({target.purpose_id})",
        "msdynmkt_source": 534120000,
        "msdynmkt_logicalreason": 534119999,
    }
    bind = {"msdynmkt_topicId@odata.bind": f"/msdynmkt_topics({target.topics[topic]})"} if topic else {}
    return {**plain, **bind, **changes}


def seed(world: World, *contacts: dict[str, Any], consents: tuple[dict[str, Any], ...] = ()) -> list[str]:
    """Rows that staff made long before; gives the ids of the contacts."""
    world.emulator.control.clock(set="2026-05-04T08:00:00+00:00")
    ids = world.emulator.control.seed({"contacts": list(contacts), CONSENTS: list(consents)}, as_user="human")
    world.emulator.control.clock(release=True)
    return ids["contacts"]


def contacts(world: World) -> dict[str, dict[str, Any]]:
    return {row["contactid"]: row for row in world.rows("contacts")}


def with_pilot(world: World, *addresses: str) -> None:
    policy = world.workspace.policy
    world.with_policy(policy.model_copy(update={"crm": policy.crm.model_copy(update={"allow_list": addresses})}))


def test_a_pilot_makes_no_rows_of_the_opt_outs_that_were_adopted(world: World) -> None:
    seed(world, contact(donotbulkemail=True))
    adopt_all(world.session(), world.crm)
    with_pilot(world, "maija@example.org")
    since = world.run().since
    assert not list(sent_rows(world.requests(since))) and world.rows(CONSENTS) == []
    world.workspace = world.plain
    world.run()
    assert {row["msdynmkt_value"] for row in world.rows(CONSENTS)} == {OUT}


def test_who_withdraws_off_the_pilots_list_is_lowered_in_what_the_crm_had_by_itself(world: World) -> None:
    seed(world, contact(), consents=(consent(world, IN),))
    with_pilot(world, "maija@example.org")
    world.perform([answer(1, AINO, T0, stop="Yes")])
    world.run()
    ((row,), (held,)) = world.rows("contacts"), world.rows(CONSENTS)
    assert (row["donotbulkemail"], held["msdynmkt_value"]) == (True, OUT)


def doubts(world: World) -> list[str]:
    return [row["reason"] for row in reviews.list_reviews(world.session())]


def in_order(world: World) -> None:
    """Nothing differs without a reason, a run more writes nothing, and no request broke the rules."""
    assert reconcile(Session(world.workspace), world.crm).unexplained == []
    since = world.run().since
    assert world.writes(since) == []


def test_the_contact_that_staff_made_is_updated_and_no_second_one_is_made(world: World) -> None:
    [known] = seed(world, contact(family="Virtanen-Vanha", emailaddress1="AINO@example.org", jobtitle="Teacher"))
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    held = contacts(world)
    assert list(held) == [known]
    assert (held[known]["lastname"], held[known]["jobtitle"]) == ("Virtanen", "Teacher")
    assert held[known]["emailaddress1"] == "AINO@example.org"
    assert held[known]["donotbulkemail"] is False
    assert world.query("select state from intake.crm_link") == [("adopted",)]
    in_order(world)


def test_no_address_is_in_a_url_when_addresses_are_looked_up(world: World) -> None:
    seed(world, contact())
    world.perform([sign_up(1, AINO, T0)])
    since = world.run().since
    urls = [f"{entry['path']} {entry.get('query')}" for entry in world.requests(since)]
    assert any("$batch" in url for url in urls)
    assert not [url for url in urls if "example.org" in url]


def test_registrations_are_of_the_adopted_contact(world: World) -> None:
    [known] = seed(world, contact())
    world.perform([register(1, AINO, T0)])
    world.run()
    assert [row["_msevtmgt_contactid_value"] for row in world.rows("msevtmgt_eventregistrations")] == [known]
    in_order(world)


def test_a_contact_made_between_two_runs_is_found_too(world: World) -> None:
    world.run()
    [known] = seed(world, contact())
    world.perform([ask(1, AINO, T0)])
    world.run()
    assert list(contacts(world)) == [known]


def test_a_plan_that_is_only_rehearsed_adopts_as_the_run_does(world: World) -> None:
    seed(world, contact(), contact("Maija", "Lahti"), contact("Aino", None, emailaddress1="other@example.org"))
    world.perform([sign_up(1, AINO, T0), sign_up(2, Who("other@example.org", "kalle"), T0)])
    before = world.counts()
    _, planned = predict(world.session(), ["web_forms"], Window(FIRST_ON, world.now.date()))
    assert {**world.counts(), "intake.run": 0} == {**before, "intake.run": 0}
    assert world.run().sync.plan.plan_id == planned.plan_id


def test_an_opt_in_without_evidence_is_left_as_it_is_and_counted_apart(world: World) -> None:
    [known] = seed(world, contact(), consents=(consent(world, IN),))
    world.perform([register(1, AINO, T0)])
    world.run()
    assert contacts(world)[known]["donotbulkemail"] is False
    assert [row["msdynmkt_value"] for row in world.rows(CONSENTS) if row["msdynmkt_source"] == 534120000] == [IN]
    assert world.query("select count(*) from intake.consent_event") == [(0,)]
    in_order(world)


def test_an_opt_in_without_evidence_is_lowered_when_the_person_withdraws(world: World) -> None:
    ids = seed(world, contact(), contact("Maija", "Lahti"), consents=(consent(world, IN), consent(world, IN)))
    world.perform([speak(AINO, T0, decision="no")])
    world.run()
    assert {row["donotbulkemail"] for row in contacts(world).values()} == {True}
    assert set(contacts(world)) == set(ids)
    assert {row["msdynmkt_value"] for row in world.rows(CONSENTS)} == {OUT}
    in_order(world)


@pytest.mark.parametrize("flag", ["donotbulkemail", "donotemail"])
def test_an_opt_out_in_the_crm_is_an_event_before_the_first_write(world: World, flag: str) -> None:
    seed(world, contact(**{flag: True}))
    world.perform([sign_up(1, AINO, T0 - timedelta(days=300))])
    world.run()
    assert all(row["donotbulkemail"] for row in world.rows("contacts"))
    assert IN not in {row["msdynmkt_value"] for row in world.rows(CONSENTS)}
    assert world.query(
        "select distinct actor, effective_at::date::text from intake.consent_event where value = 'withdraw'"
    ) == [("staff", "2026-05-04")]
    in_order(world)


def test_a_later_grant_of_the_person_opens_what_staff_had_shut(world: World) -> None:
    [known] = seed(
        world, contact(donotbulkemail=True, donotemail=True), consents=(consent(world, OUT, msdynmkt_source=PAGE),)
    )
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    assert contacts(world)[known]["donotbulkemail"] is False
    purposes = [row for row in world.rows(CONSENTS) if not row.get("_msdynmkt_topicid_value")]
    marketing = str(world.workspace.policy.crm.purposes["marketing"].purpose_id)
    assert [r["msdynmkt_value"] for r in purposes if r["_msdynmkt_purposeid_value"] == marketing] == [IN]
    in_order(world)


def test_every_duplicate_of_a_consent_row_says_the_same_and_none_is_added(world: World) -> None:
    seed(world, contact(), consents=(consent(world, OUT), consent(world, IN), consent(world, NOT_SET, topic="rdi")))
    world.perform([sign_up(1, AINO, T0 - timedelta(days=300))])
    world.run()
    marketing = str(world.workspace.policy.crm.purposes["marketing"].purpose_id)
    rows = [row for row in world.rows(CONSENTS) if row["_msdynmkt_purposeid_value"] == marketing]
    assert len(rows) == 2 + 4
    assert {row["msdynmkt_value"] for row in rows} == {OUT}
    in_order(world)


DOUBTS: list[tuple[str, list[dict[str, Any]]]] = [
    ("several_contacts", [contact(), contact()]),
    ("other_name", [contact("Maija", "Lahti")]),
    ("inactive", [contact(statecode=1, statuscode=2)]),
    ("collation", [contact(emailaddress1="aïno@example.org")]),
]


@pytest.mark.parametrize(("doubt", "made"), DOUBTS, ids=[doubt for doubt, _ in DOUBTS])
def test_what_is_in_doubt_is_put_up_for_decision_and_only_lowering_goes(
    world: World, doubt: str, made: list[dict[str, Any]]
) -> None:
    known = seed(world, *made)
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    assert doubts(world) == [doubt] * len(made)
    assert set(contacts(world)) == set(known)
    assert IN not in {row["msdynmkt_value"] for row in world.rows(CONSENTS)}
    in_order(world)
    world.perform([speak(AINO, T0 + timedelta(days=1), decision="no")])
    world.run()
    assert {row["msdynmkt_value"] for row in world.rows(CONSENTS)} == {OUT}
    here = [row for row in world.rows("contacts") if row["emailaddress1"] == "aino@example.org"]
    assert all(row["donotbulkemail"] for row in here)


def test_a_contact_without_a_name_may_be_either_of_two_persons(world: World) -> None:
    seed(world, contact(None, None))
    world.perform([sign_up(1, AINO, T0), sign_up(2, Who("aino@example.org", "maija"), T0)])
    world.run()
    assert doubts(world) == ["several_persons"]
    assert len(contacts(world)) == 1


def test_two_persons_at_one_address_are_matched_by_name(world: World) -> None:
    known = seed(world, contact(), contact("Maija", "Lahti"))
    world.perform([sign_up(1, AINO, T0), sign_up(2, Who("aino@example.org", "maija"), T0)])
    world.run()
    assert (doubts(world), set(contacts(world))) == ([], set(known))
    in_order(world)


def test_what_was_merged_away_is_its_master(world: World) -> None:
    [master] = seed(world, contact())
    seed(world, contact(statecode=1, statuscode=2, merged=True, _masterid_value=master))
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    assert doubts(world) == []
    assert world.query("select row_id::text from intake.crm_link") == [(master,)]


def test_a_decision_links_a_contact_and_settles_the_other_doubts(world: World) -> None:
    first, second = seed(world, contact(), contact())
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    session = world.session()
    entry = next(row for row in reviews.list_reviews(session) if str(row["row_id"]) == second)
    reviews.decide_link(session, world.crm, entry["review_id"], person=entry["persons"][0], by="Reviewer")
    assert doubts(world) == []
    world.run()
    held = contacts(world)
    assert set(held) == {first, second}
    assert held[second]["donotbulkemail"] is False
    assert world.query("select decided_by from intake.crm_review where state = 'linked'") == [("Reviewer",)]
    in_order(world)


def test_a_decision_that_the_contact_is_somebody_else_makes_a_new_one(world: World) -> None:
    [known] = seed(world, contact("Maija", "Lahti"))
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    session = world.session()
    [entry] = reviews.list_reviews(session)
    reviews.decide_new(session, entry["review_id"], by="Reviewer")
    world.run()
    made = [row for row in world.rows("contacts") if row["contactid"] != known]
    assert [row["firstname"] for row in made] == ["Aino"]
    assert doubts(world) == []
    in_order(world)


def test_what_is_ignored_stays_as_it_is(world: World) -> None:
    [known] = seed(world, contact("Maija", "Lahti"))
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    session = world.session()
    [entry] = reviews.list_reviews(session)
    reviews.decide_ignore(session, entry["review_id"], by="Reviewer")
    world.run()
    assert (doubts(world), list(contacts(world))) == ([], [known])
    in_order(world)
    with pytest.raises(ConfigurationError, match="not about person"):
        reviews.decide_link(session, world.crm, entry["review_id"], person=entry["row_id"], by="Reviewer")


def test_i20_of_an_adopted_contact_only_what_we_wrote_is_cleared_and_nothing_deleted(world: World) -> None:
    [known] = seed(world, contact(mobilephone="+358 40 1"))
    world.perform([register(1, AINO, T0)])
    world.run()
    assert contacts(world)[known]["mobilephone"] == "+447700900111"
    world.at(T0 + timedelta(days=1000))
    world.run()
    left = contacts(world)[known]
    assert "mobilephone" not in left
    assert (left["firstname"], left["lastname"], left["donotbulkemail"]) == ("Aino", "Virtanen", False)
    assert not [
        part
        for e in world.requests()
        for part in e.get("operations", [])
        if part["method"] == "DELETE" and part["path"].startswith("contacts(")
    ]
    in_order(world)


def test_adopting_the_whole_crm_brings_in_every_opt_out_and_keeps_no_stranger(world: World) -> None:
    seed(
        world,
        contact(),
        contact("Maija", None, emailaddress1="maija@example.org", donotbulkemail=True),
        contact("Kalle", None, emailaddress1="kalle@example.org"),
        contact("No", "Address", emailaddress1=None),
        consents=(consent(world, IN, msdynmkt_contactpointvalue="kalle@example.org"),),
    )
    world.perform([register(1, AINO, T0)])
    session = world.session()
    take_in(session)
    outcome = adopt_all(session, world.crm)
    assert (outcome.contacts, outcome.unaddressed, outcome.opt_outs, outcome.linked) == (4, 1, 1, 1)
    assert dict(outcome.without_evidence) == {"contact": 2, "msdynmkt_contactpointconsent4": 1}
    assert world.query("select address from intake.contact_point order by 1") == [
        ("aino@example.org",),
        ("maija@example.org",),
    ]
    assert adopt_all(world.session(), world.crm).opt_outs == 0
    world.run()
    assert len(contacts(world)) == 4
    in_order(world)


def beside(**changes: Any) -> dict[str, Any]:
    """A contact with another main address, and ours beside it."""
    return contact(emailaddress1="desk@example.org", emailaddress2="Aino@example.org", **changes)


def test_a_contact_with_the_address_beside_its_main_one_is_up_for_decision_and_its_main_one_stays(world: World) -> None:
    [known] = seed(world, beside())
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    assert list(contacts(world)) == [known], "no second contact is made meanwhile"
    [review] = reviews.list_reviews(world.session())
    assert review["reason"] == "other_address"
    reviews.decide_link(world.session(), world.crm, review["review_id"], person=review["persons"][0], by="Reviewer")
    world.run()
    held = contacts(world)[known]
    assert (held["emailaddress1"], held["emailaddress2"]) == ("desk@example.org", "Aino@example.org")
    assert held["firstname"] == "Aino"
    in_order(world)
    world.perform([speak(AINO, T0 + timedelta(days=1), decision="no")])
    world.run()
    assert contacts(world)[known]["donotbulkemail"] is True, "a withdrawal lowers it all the same"
    in_order(world)


@pytest.mark.parametrize("flags", [{"donotbulkemail": True}, {"donotemail": True}])
def test_an_opt_out_of_a_contact_holds_for_the_address_beside_its_main_one(world: World, flags: dict[str, Any]) -> None:
    seed(world, beside(firstname="Maija", lastname="Lahti", **flags))
    world.perform([register(1, AINO, T0), ask(2, AINO, T0.replace(month=4), newsletter="Yes")])
    world.run()
    assert world.holds().consents["aino@example.org", "marketing", ""] is False
    in_order(world)

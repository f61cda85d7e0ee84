"""The plan: only what differs, lowering first, raising last, and nothing more once it has been done."""

import dataclasses
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.transforms.minimise import AddressView, AdoptedRow, PersonView, RowKey, minimise_address
from pipelines.transforms.plan import is_guarded, plan_address, plan_occasion
from pipelines.transforms.plan_name import plan_id
from schemas.intents import Intent, Method, Phase
from schemas.tables import CONSENT, CONTACT, REGISTRATION, ConsentValue
from tests.views import NOW, PAST, SOON, id_of, make_person, make_policy, make_registration, make_view

POLICY = make_policy()
CRM = dict[RowKey, dict[str, Any]]
AINO: RowKey = (CONTACT.logical_name, id_of("aino"))


def plan(view: AddressView, crm: Mapping[RowKey, Mapping[str, Any]] | None = None) -> list[Intent]:
    return plan_address(view, crm or {}, POLICY, now=NOW)


def applied(crm: CRM, intents: Sequence[Intent]) -> CRM:
    """What the CRM acknowledges once the intents are sent in their order; a cleared column is not there any more."""
    after = {key: dict(columns) for key, columns in crm.items()}
    for intent in intents:
        key = (intent.table_name, intent.row_id)
        if intent.method is Method.DELETE:
            del after[key]
            continue
        assert (key in after) or intent.method is Method.UPSERT, "only an upsert makes a row"
        merged = {**after.get(key, {}), **intent.columns}
        after[key] = {name: value for name, value in merged.items() if value is not None}
    return after


def synced(view: AddressView) -> CRM:
    return applied({}, plan(view))


def steps(intents: Sequence[Intent], table: str = CONTACT.logical_name) -> list[tuple[Phase, dict[str, Any]]]:
    return [(intent.phase, intent.columns) for intent in intents if intent.table_name == table]


SUBSCRIBER = make_view(make_person("marketing"), marketing="granted")
STUDENT = make_view(make_person("course_delivery"))


def test_a_new_contact_is_made_shut_and_opened_last() -> None:
    intents = plan(SUBSCRIBER)
    made, opened = steps(intents)
    assert made[0] is Phase.CONTACTS
    assert made[1] | {"donotbulkemail": True, "followemail": False} == made[1]
    assert opened == (Phase.FLAGS, {"donotbulkemail": False})
    opt_ins = [i.phase for i in intents if i.columns.get("msdynmkt_value") == ConsentValue.OPTED_IN]
    assert opt_ins == [Phase.CONSENTS] * 5
    assert intents[-1].phase is Phase.FLAGS


def test_a_contact_that_may_not_be_mailed_is_never_opened() -> None:
    assert [phase for phase, _ in steps(plan(STUDENT))] == [Phase.CONTACTS]


def test_an_unknown_address_that_withdrew_gets_opted_out_rows_first_and_no_contact() -> None:
    intents = plan(make_view(marketing="withdrawn"))
    assert {(i.phase, i.table_name, i.is_raising) for i in intents} == {(Phase.LOWERING, CONSENT.logical_name, False)}
    assert {i.columns["msdynmkt_value"] for i in intents} == {ConsentValue.OPTED_OUT}
    assert len(intents) == 5


def test_a_withdrawal_lowers_rows_and_flag_before_anything_else() -> None:
    withdrawn = make_view(make_person("course_delivery"), marketing="withdrawn")
    intents = plan(withdrawn, synced(SUBSCRIBER))
    lowering = [i for i in intents if i.phase is Phase.LOWERING]
    assert intents[: len(lowering)] == lowering
    assert {i.columns.get("msdynmkt_value") for i in lowering} == {ConsentValue.OPTED_OUT, None}
    assert (Phase.LOWERING, {"donotbulkemail": True}) in steps(intents)


def test_a_contact_that_goes_is_lowered_first_and_its_opted_out_rows_stay() -> None:
    intents = plan(make_view(make_person(), marketing="withdrawn"), synced(SUBSCRIBER))
    assert steps(intents) == [(Phase.LOWERING, {"donotbulkemail": True}), (Phase.REMOVE_CONTACTS, {})]
    kept = applied(synced(SUBSCRIBER), intents)
    assert {columns["msdynmkt_value"] for columns in kept.values()} == {ConsentValue.OPTED_OUT}
    assert len(kept) == 5


def test_what_is_shut_already_is_not_lowered_again_before_it_goes() -> None:
    shut = {**synced(SUBSCRIBER), AINO: {**synced(SUBSCRIBER)[AINO], "donotbulkemail": True}}
    shut = {
        key: {**columns, "msdynmkt_value": int(ConsentValue.OPTED_OUT)} if key[0] == CONSENT.logical_name else columns
        for key, columns in shut.items()
    }
    intents = plan(make_view(make_person()), shut)
    assert {intent.method for intent in intents} == {Method.DELETE}
    assert len(intents) == 7


def test_each_open_row_that_goes_is_shut_first_in_the_column_that_opens_it() -> None:
    lowered = [(i.table_name, i.columns) for i in plan(make_view(make_person()), synced(SUBSCRIBER)) if i.columns]
    opted_out = (CONSENT.logical_name, {"msdynmkt_value": int(ConsentValue.OPTED_OUT)})
    assert lowered == [(CONTACT.logical_name, {"donotbulkemail": True}), *[opted_out] * 5]


def test_a_flag_of_which_nothing_is_known_is_raised_and_shut_like_any_other() -> None:
    crm = synced(SUBSCRIBER)
    unknown = {name: value for name, value in crm[AINO].items() if name not in ("donotbulkemail", "followemail")}
    assert steps(plan(SUBSCRIBER, {**crm, AINO: unknown})) == [
        (Phase.LOWERING, {"followemail": False}),
        (Phase.FLAGS, {"donotbulkemail": False}),
    ]
    assert (Phase.LOWERING, {"donotbulkemail": True, "followemail": False}) in steps(
        plan(STUDENT, {**synced(STUDENT), AINO: {"firstname": "Aino", "lastname": "Esimerkki"}})
    )


def test_a_write_is_named_by_twelve_letters_and_numbers_that_lowerings_do_not_change() -> None:
    assert len(plan_id(plan(SUBSCRIBER))) == 12
    assert plan_id(plan(SUBSCRIBER)).isalnum()


def from_store(crm: CRM) -> CRM:
    """As it comes back from the store: equal, and no part of it the same object."""
    return {key: orjson.loads(orjson.dumps(columns)) for key, columns in crm.items()}


def test_what_comes_back_equal_from_the_store_is_not_written_again() -> None:
    person = make_person("marketing", "event_delivery")
    view = make_view(person, marketing="granted", registrations=(make_registration(),))
    assert plan(view, from_store(synced(view))) == []
    gone = plan(make_view(make_person()), from_store(synced(view)))
    assert sum(intent.phase is Phase.LOWERING for intent in gone) == 6
    columns = {"msevtmgt_name": "Seminar", "msevtmgt_eventtype": 100000002}
    assert plan_occasion(id_of("occasion"), columns, orjson.loads(orjson.dumps(columns)), version=2) == []


@pytest.mark.parametrize(("before", "after"), [("active", "waitlisted"), ("waitlisted", "active")])
def test_a_registration_is_corrected_in_what_changed_whichever_way(before: str, after: str) -> None:
    person = make_person("event_delivery")
    crm = synced(make_view(person, registrations=(make_registration(status=before),)))
    intents = plan(make_view(person, registrations=(make_registration(status=after),)), crm)
    written = [(i.phase, i.method, i.is_raising, i.columns) for i in intents]
    assert written == [(Phase.REGISTRATIONS, Method.PATCH, True, {"msevtmgt_registrationstatus": after})]


@pytest.mark.parametrize("name", ["Autumn", "Winter"])
def test_an_occasion_is_corrected_whichever_way_its_name_goes(name: str) -> None:
    (moved,) = plan_occasion(id_of("occasion"), {"msevtmgt_name": name}, {"msevtmgt_name": "Seminar"}, version=3)
    assert (moved.columns, moved.planned_version, moved.occasion_pk) == ({"msevtmgt_name": name}, 3, id_of("occasion"))


def test_registrations_go_before_their_contact() -> None:
    before = make_view(make_person("event_delivery"), registrations=(make_registration(),))
    phases = [i.phase for i in plan(make_view(make_person()), synced(before)) if i.method is Method.DELETE]
    assert phases == [Phase.REMOVE_REGISTRATIONS, Phase.REMOVE_CONSENTS, Phase.REMOVE_CONTACTS]


def test_a_cancellation_is_a_lowering() -> None:
    person = make_person("event_delivery")
    crm = synced(make_view(person, registrations=(make_registration(),)))
    cancelled = make_view(person, registrations=(make_registration(status="cancelled"),))
    assert [phase for phase, _ in steps(plan(cancelled, crm), REGISTRATION.logical_name)] == [Phase.LOWERING]


def test_a_cancellation_carries_nothing_that_may_not_be_there_yet() -> None:
    aino, heir = make_person("event_delivery"), make_person("event_delivery", contact_id=id_of("maija"))
    crm = synced(make_view(aino, registrations=(make_registration(),)))
    handed = make_view(aino, heir, registrations=(make_registration(status="cancelled", contact_id=id_of("maija")),))
    assert steps(plan(handed, crm), REGISTRATION.logical_name) == [
        (Phase.LOWERING, {"msevtmgt_iscanceled": True, "msevtmgt_registrationstatus": "cancelled"}),
        (Phase.REGISTRATIONS, {"msevtmgt_ContactId@odata.bind": f"/contacts({id_of('maija')})"}),
    ]


@pytest.mark.parametrize(("status", "lowered"), [("cancelled", True), ("deleted", True), ("active", False)])
def test_a_registration_that_goes_is_cancelled_first_where_it_was_called_off_and_not_where_it_is_over(
    status: str, lowered: bool
) -> None:
    crm = synced(make_view(make_person("event_delivery"), registrations=(make_registration(),)))
    gone = make_view(make_person(), registrations=(make_registration(status=status),))
    phases = [phase for phase, _ in steps(plan(gone, crm), REGISTRATION.logical_name)]
    assert phases == [*([Phase.LOWERING] if lowered else []), Phase.REMOVE_REGISTRATIONS]


def test_an_unknown_value_erases_nothing() -> None:
    unknown = make_view(make_person("course_delivery", given_name=None, phone=None))
    assert plan(unknown, synced(STUDENT)) == []


def test_a_column_whose_purpose_ended_is_cleared() -> None:
    enquirer = make_view(make_person("enquiry", ends={"course_delivery": PAST}))
    assert steps(plan(enquirer, synced(STUDENT))) == [(Phase.CLEARS, {"mobilephone": None})]


def test_a_column_whose_purpose_ended_is_cleared_though_its_value_is_unknown_by_now() -> None:
    enquirer = make_view(make_person("enquiry", phone=None))
    assert steps(plan(enquirer, synced(STUDENT))) == [(Phase.CLEARS, {"mobilephone": None})]


def test_only_what_differs_is_written() -> None:
    renamed = make_view(make_person("course_delivery", family_name="Toinen"))
    assert steps(plan(renamed, synced(STUDENT))) == [(Phase.CORRECTIONS, {"lastname": "Toinen"})]


def test_intents_carry_the_version_they_were_planned_from_and_the_earliest_end() -> None:
    view = make_view(make_person("marketing", ends={"course_delivery": SOON, "enquiry": PAST}), marketing="granted")
    assert {(i.planned_version, i.valid_until, i.contact_point_id) for i in plan(view)} == {
        (3, SOON, view.contact_point_id)
    }


@pytest.mark.parametrize(
    ("phase", "raises", "guarded"),
    [(0, False, False), (6, True, True), (6, False, False), *((phase, False, True) for phase in (7, 8, 9, 10))],
)
def test_raising_clearing_and_deleting_are_guarded_and_lowering_is_not(phase: int, raises: bool, guarded: bool) -> None:
    intent = Intent(Phase(phase), Method.PATCH, CONTACT.logical_name, id_of("aino"), {}, raises)
    assert is_guarded(intent) is guarded


def test_an_occasion_is_made_once_and_then_only_corrected() -> None:
    columns = {"msevtmgt_name": "Seminar", "msevtmgt_eventtype": 100000002}
    made = plan_occasion(id_of("occasion"), columns, None, version=2)
    assert [(i.method, i.columns) for i in made] == [(Method.UPSERT, columns)]
    assert plan_occasion(id_of("occasion"), columns, columns, version=2) == []
    moved = plan_occasion(id_of("occasion"), {**columns, "msevtmgt_name": "Fair"}, columns, version=3)
    assert [(i.method, i.columns) for i in moved] == [(Method.PATCH, {"msevtmgt_name": "Fair"})]


# What holds of every address, from whatever the CRM shows of it.

PURPOSES = st.dictionaries(
    st.sampled_from(["marketing", "course_delivery", "event_delivery", "related_events", "enquiry"]),
    st.sampled_from([None, SOON, PAST]),
)
TEXTS = st.sampled_from([None, "Aino", "Bo"])


@st.composite
def views(draw: st.DrawFn) -> AddressView:
    """Any address that the merge could leave: marketing lives for somebody exactly where the address is granted."""
    persons = tuple(
        _person(name, draw(PURPOSES), draw(TEXTS), draw(TEXTS)) for name in draw(st.sampled_from(["", "a", "ab"]))
    )
    state = draw(st.sampled_from(["", "granted", "withdrawn"]))
    topics = ["", *POLICY.purposes["marketing"].topics]
    consents = {("marketing", topic): draw(st.sampled_from(["granted", "withdrawn"])) for topic in topics if state}
    if state:
        consents["marketing", ""] = state
    if state != "granted":
        persons = tuple(_without_marketing(person) for person in persons)
    registrations = tuple(
        make_registration(
            registration_id=id_of(f"registration {number}"),
            contact_id=draw(st.sampled_from([person.contact_id for person in persons])),
            status=draw(st.sampled_from(["active", "waitlisted", "cancelled", "deleted"])),
            ends_at=draw(st.sampled_from([SOON, PAST])),
        )
        for number in range(draw(st.integers(0, 2)) if persons else 0)
    )
    return make_view(*persons, consents=consents, registrations=registrations)


def _person(name: str, purposes: dict[str, datetime | None], given: str | None, phone: str | None) -> PersonView:
    return make_person(contact_id=id_of(name), ends=purposes, given_name=given, phone=phone)


def _without_marketing(person: PersonView) -> PersonView:
    ends = {name: end for name, end in person.purposes.items() if name != "marketing"}
    return make_person(contact_id=person.contact_id, ends=ends, given_name=person.given_name, phone=person.phone)


@given(views(), views())
def test_once_done_there_is_nothing_more_to_do(before: AddressView, after: AddressView) -> None:
    crm = synced(before)
    done = applied(crm, plan(after, crm))
    assert plan(after, done) == []


@given(views(), views())
def test_once_done_the_crm_holds_what_it_should_and_of_our_rows_no_other(
    before: AddressView, after: AddressView
) -> None:
    crm = synced(before)
    done = applied(crm, plan(after, crm))
    desired = minimise_address(after, POLICY, now=NOW)
    assert set(done) == set(desired)
    assert all(done[key] | columns == done[key] for key, columns in desired.items())


@given(views(), views())
def test_nothing_is_raised_before_all_lowering_and_no_lowering_raises(before: AddressView, after: AddressView) -> None:
    intents = plan(after, synced(before))
    phases = [intent.phase for intent in intents]
    assert phases == sorted(phases)
    for intent in intents:
        opens = intent.columns.get("donotbulkemail") is False
        opts_in = intent.columns.get("msdynmkt_value") == ConsentValue.OPTED_IN
        if opens or opts_in:
            assert intent.is_raising
            assert intent.phase in (Phase.FLAGS, Phase.CONSENTS)


RAISING = {Phase.CONTACTS, Phase.CONSENTS, Phase.REGISTRATIONS, Phase.CORRECTIONS, Phase.FLAGS}


def is_raising_as_its_phase_says(intent: Intent) -> bool:
    return intent.is_raising is (intent.phase in RAISING)


def test_what_raises_is_told_by_its_phase() -> None:
    """Of each kind of write that there is."""
    person = make_person("marketing", "event_delivery")
    full = make_view(person, marketing="granted", registrations=(make_registration(),))
    renamed = make_view(
        make_person("enquiry", family_name="Toinen"),
        marketing="withdrawn",
        registrations=(make_registration(status="cancelled"),),
    )
    cancelled = make_view(person, marketing="granted", registrations=(make_registration(status="cancelled"),))
    intents = [*plan(full), *plan(renamed, synced(full)), *plan(cancelled, synced(full))]
    intents += [*plan(make_view(make_person()), synced(full)), *plan(full, synced(cancelled))]
    assert {intent.phase for intent in intents} == set(Phase) - {Phase.OCCASIONS}
    assert all(map(is_raising_as_its_phase_says, intents))


@given(views(), views())
def test_at_no_step_is_an_address_open_whose_consent_is_not_granted(before: AddressView, after: AddressView) -> None:
    crm = synced(before)
    withdrawn = after.consents.get(("marketing", "")) == "withdrawn"
    for intent in plan(after, crm):
        if intent.phase > Phase.LOWERING and withdrawn:
            open_flags = [row for key, row in crm.items() if key[0] == "contact" and not row["donotbulkemail"]]
            assert open_flags == []
        crm = applied(crm, [intent])


@settings(max_examples=50)
@given(views(), st.randoms(use_true_random=False))
def test_the_id_of_a_plan_names_its_writes_whatever_their_order(view: AddressView, rng: random.Random) -> None:
    intents = plan(view)
    assert plan_id(rng.sample(intents, len(intents))) == plan_id(intents)


def test_the_id_of_a_plan_changes_with_any_write_that_is_not_a_lowering() -> None:
    other = make_view(make_person("marketing", given_name="Bo"), marketing="granted")
    assert plan_id(plan(SUBSCRIBER)) != plan_id(plan(other))
    assert plan_id([*plan(SUBSCRIBER), *plan(make_view(marketing="withdrawn"))]) == plan_id(plan(SUBSCRIBER))
    assert AINO in synced(SUBSCRIBER)


@pytest.mark.parametrize(
    ("living", "phase"), [((), Phase.REMOVE_CONTACTS), (("enquiry",), Phase.CLEARS), ((), Phase.REMOVE_REGISTRATIONS)]
)
def test_of_what_is_held_nothing_is_cleared_or_deleted_and_lowering_goes(living: tuple[str, ...], phase: Phase) -> None:
    person = make_person("marketing", "event_delivery")
    before = synced(make_view(person, marketing="granted", registrations=(make_registration(),)))
    over = make_view(make_person(*living), marketing="withdrawn")
    intents = plan(over, before)
    assert {Phase.LOWERING, phase} <= {intent.phase for intent in intents}
    kept = plan(dataclasses.replace(over, is_held=True), before)
    assert kept == [intent for intent in intents if intent.phase < Phase.CLEARS]
    assert {intent.phase for intent in kept} == {Phase.LOWERING}


def adopted(columns: dict[str, Any], **written: Any) -> dict[RowKey, AdoptedRow]:
    return {AINO: AdoptedRow(columns, written)}


HERS = {"firstname": "Aino", "lastname": "Vanha", "emailaddress1": "Aino@example.org", "donotbulkemail": False}


def test_an_adopted_contact_is_updated_in_place_and_its_open_flag_is_left_alone() -> None:
    view = dataclasses.replace(STUDENT, adopted=adopted(HERS))
    contact = [i for i in plan(view, {AINO: HERS}) if i.table_name == CONTACT.logical_name]
    assert [(i.phase, i.method, i.columns) for i in contact] == [
        (Phase.CORRECTIONS, Method.PATCH, {"lastname": "Esimerkki", "mobilephone": "+447700900123"})
    ]


def test_nothing_is_raised_at_an_address_in_review_and_lowering_goes() -> None:
    withdrawn = make_view(make_person(), marketing="withdrawn", is_in_review=True, adopted=adopted(HERS))
    assert {i.phase for i in plan(withdrawn, {AINO: HERS})} == {Phase.LOWERING}
    granted = dataclasses.replace(SUBSCRIBER, is_in_review=True)
    assert not [i for i in plan(granted) if i.is_raising or i.phase is Phase.CONTACTS]


def test_i20_of_an_adopted_contact_only_what_we_wrote_is_taken_back_and_it_is_never_deleted() -> None:
    columns = {**HERS, "mobilephone": "1"}
    view = make_view(make_person(), adopted=adopted(columns, mobilephone="1", lastname="Other", donotbulkemail=False))
    intents = plan(view, {AINO: columns})
    assert [(i.phase, i.columns) for i in intents] == [
        (Phase.LOWERING, {"donotbulkemail": True}),
        (Phase.CLEARS, {"mobilephone": None}),
    ]


def test_a_stranger_at_a_suppressed_address_is_shut_and_at_another_left_alone() -> None:
    stranger: RowKey = (CONTACT.logical_name, id_of("stranger"))
    kept = {"emailaddress1": "aino@example.org", "donotbulkemail": False}
    for marketing, shut in (("withdrawn", [{"donotbulkemail": True}]), ("granted", []), ("", [])):
        view = make_view(make_person(), marketing=marketing, adopted={stranger: AdoptedRow(kept, {})})
        assert [i.columns for i in plan(view, {stranger: kept}) if i.row_id == stranger[1]] == shut

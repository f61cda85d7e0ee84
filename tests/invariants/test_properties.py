"""The invariants by number: random histories through the real pipeline, against the emulator's rows and its log.

One example holds many addresses, because a run costs by its batches and not by its rows.
"""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.invariants.acts import (
    NOW,
    PHONE,
    RECEIVED,
    T0,
    Act,
    Who,
    answer,
    ask,
    facts_of,
    prohibit,
    register,
    sign_up,
    speak,
)
from tests.invariants.histories import address_of, examples, households, times
from tests.invariants.model import MARKETING, RELATED, TOPICS, expected
from tests.invariants.wire import CONSENTS, OPTED_IN, check_wire, sent_rows
from tests.invariants.world import World, assert_holds

HOUSES = st.integers(6, 14)
LATER = timedelta(days=1)


def ran(world: World, *waves: Sequence[Act]) -> int:
    """Run once for each wave of acts, each time comparing the CRM with the model; returns where the last began."""
    seen: list[Act] = []
    since = 0
    for wave in waves:
        world.perform(wave)
        seen += wave
        since = world.run().since
        assert_holds(world, expected(facts_of(seen), now=world.now))
    check_wire(world)
    return since


def lowered(draw: st.DataObject, who: Who, no: int) -> Act:
    """One of the ways in which a person lowers marketing as a whole."""
    at = T0 + LATER
    ways = [
        answer(no, who, at, stop="Yes"),
        answer(no, who, at, feed="survey", newsletter="No"),
        speak(who, at + timedelta(seconds=no), decision="no"),
        prohibit(no, who, at),
    ]
    return draw.draw(st.sampled_from(ways))


def opted_in(world: World, since: int) -> set[str]:
    """The addresses for which anything of marketing was opted in after a point of the log."""
    ids = {one.row_id for one in sent_rows(world.requests(since)) if one.columns.get("msdynmkt_value") == OPTED_IN}
    marketing = str(world.workspace.policy.crm.purposes[MARKETING].purpose_id)
    rows = world.rows(CONSENTS)
    return {
        str(row["msdynmkt_contactpointvalue"]).lower()
        for row in rows
        if row["msdynmkt_contactpointconsent4id"] in ids and row["_msdynmkt_purposeid_value"] == marketing
    }


@examples(2)
@given(houses=HOUSES, data=st.data())
def test_i01_an_import_never_raises_what_the_person_lowered(one_world: World, houses: int, data: st.DataObject) -> None:
    world = one_world.reset()
    whos = [Who(address_of(number), "aino") for number in range(houses)]
    before = [act for n, who in enumerate(whos) for act in (sign_up(n, who, T0), lowered(data, who, 1000 + n))]
    imports = []
    for n, who in enumerate(whos):
        old = data.draw(times.filter(lambda at: at < T0 + LATER - timedelta(minutes=10)))
        imports += [
            sign_up(2000 + n, who, old),
            answer(3000 + n, who, old, feed="survey", newsletter="Yes", training="Yes"),
            speak(who, T0 + 3 * LATER, decision="yes", has_evidence=False),
            register(4000 + n, who, T0 + 3 * LATER),
        ]
    since = ran(world, before, data.draw(st.permutations(imports)))
    assert not opted_in(world, since)
    assert all(world.holds().contacts[who.key, "aino"]["donotbulkemail"] for who in whos)


@examples(2)
@given(together=st.booleans())
def test_i01_forbidding_again_after_lifting_is_a_new_withdrawal(one_world: World, together: bool) -> None:
    world = one_world.reset()
    whos = {lifted: Who(f"again{n}@example.org", "aino") for n, lifted in enumerate(("No", "", "Yes"))}
    rows: list[list[Act]] = [[], [], []]
    for n, (lifted, who) in enumerate(whos.items()):
        for nth, shown in enumerate(("Yes", lifted, "Yes")):
            rows[nth].append(prohibit(n, who, T0, prohibited=shown, changed_at=T0 + 2 * nth * LATER))
        rows[0].append(sign_up(n, who, T0 + 3 * LATER))
    for nth, wave in enumerate(rows):
        world.perform(wave, at=RECEIVED + nth * timedelta(hours=1))
        if not together:
            world.run()
    world.run()
    held = world.holds().consents
    # Where it forbade all along, its last word is its first, and the sign-up came after that.
    assert {key: held[who.key, MARKETING, ""] for key, who in whos.items()} == {"No": False, "": False, "Yes": True}
    check_wire(world)


@examples(2)
@given(houses=HOUSES, data=st.data())
def test_i04_absence_is_no_event(one_world: World, houses: int, data: st.DataObject) -> None:
    world = one_world.reset()
    whos = [Who(address_of(number), "aino") for number in range(houses)]
    start = [answer(n, who, T0, newsletter=data.draw(st.sampled_from(["Yes", "No"]))) for n, who in enumerate(whos)]
    silent = []
    for n, who in enumerate(whos):
        silent += [
            answer(1000 + n, who, T0 + LATER),
            answer(2000 + n, who, T0 + LATER, feed="survey", stop="No"),
            register(3000 + n, who, T0 + LATER, marketing=data.draw(st.sampled_from(["", "No"]))),
            prohibit(4000 + n, who, T0 + LATER, prohibited=data.draw(st.sampled_from(["", "No"]))),
            ask(5000 + n, who, T0 + LATER),
        ]
    stranger = answer(9000, Who("stranger@example.org", "kalle"), T0)
    ran(world, start)
    events = world.query("select count(*) from intake.consent_event")
    held = {key: on for key, on in world.holds().consents.items() if key[1] == MARKETING}
    ran(world, [*start, *silent, stranger])
    assert world.query("select count(*) from intake.consent_event") == events
    assert {key: on for key, on in world.holds().consents.items() if key[1] == MARKETING} == held
    assert not any("stranger" in address for address, _ in world.holds().contacts)


@examples(2)
@given(houses=HOUSES, data=st.data())
def test_i05_an_unreadable_value_is_quarantined_and_an_unchanged_answer_is_no_new_evidence(
    one_world: World, houses: int, data: st.DataObject
) -> None:
    world = one_world.reset()
    acts, bad = [], 0
    for n in range(houses):
        act = answer(
            n, Who(address_of(n), "aino"), T0, newsletter=data.draw(st.sampled_from(["Yes", "No", ""])), rdi="Yes"
        )
        if data.draw(st.booleans()):
            act, bad = act.written(Training="Perhaps"), bad + 1
        acts.append(act)
    ran(world, acts)
    faults = world.query("select field, fault, blocks from intake.quarantine")
    assert [tuple(row) for row in faults] == [("consents.marketing.training", "unknown_answer", "effect")] * bad
    events = world.query("select event_key, received_at, recorded_at from intake.consent_event order by 1")
    world.receive("answers", [act.row for act in reversed(acts)], at=RECEIVED + timedelta(hours=1))
    again = world.run()
    assert world.query("select event_key, received_at, recorded_at from intake.consent_event order by 1") == events
    assert not world.writes(again.since)


@examples(2)
@given(history=households(most=10), data=st.data())
def test_i06_the_fold_is_free_of_order_inside_one_file(
    one_world: World, history: list[list[Act]], data: st.DataObject
) -> None:
    world = one_world.reset()
    acts = [act for household in history for act in household if act.feed in ("answers", "survey", "courses")]
    ran(world, data.draw(st.permutations(acts)))


@examples(4)
@given(houses=HOUSES, data=st.data())
def test_i06_versions_of_one_record_count_the_same_together_or_apart(
    one_world: World, houses: int, data: st.DataObject
) -> None:
    world = one_world.reset()
    versions: list[list[Act]] = [[], [], []]
    for n in range(houses):
        who, last = Who(address_of(n), "aino"), ""
        for nth in range(3):
            shown = data.draw(st.sampled_from(["Yes", "No", ""]))
            at = T0 + nth * LATER
            status = (
                data.draw(st.sampled_from(["in", "queue"])) if nth < 2 else data.draw(st.sampled_from(["in", "out"]))
            )
            versions[nth].append(
                register(n, who, T0, changed_at=at, status=status, marketing=shown, marketing_at=at, last_flag=last)
            )
            last = shown or last
    if data.draw(st.booleans()):
        ran(world, *versions)
        return
    # Together: one that was cancelled before it was ever seen standing is no registration.
    for nth, wave in enumerate(versions):
        world.perform(wave, at=RECEIVED + nth * timedelta(hours=1))
    world.run()
    whole = facts_of([act for wave in versions for act in wave])
    whole.did = [did for did in whole.did if did.status != "cancelled"]
    assert_holds(world, expected(whole, now=world.now))
    check_wire(world)


@examples(2)
@given(houses=HOUSES, data=st.data())
def test_i08_a_later_grant_by_the_person_wins(one_world: World, houses: int, data: st.DataObject) -> None:
    world = one_world.reset()
    whos = [Who(address_of(number), "aino") for number in range(houses)]
    before = [lowered(data, who, n) for n, who in enumerate(whos)]
    after = []
    for n, who in enumerate(whos):
        at = T0 + LATER + timedelta(minutes=10, days=data.draw(st.integers(0, 2)))
        grants = [
            sign_up(n, who, at),
            answer(1000 + n, who, at, feed="survey", newsletter="Yes"),
            speak(who, at, decision="yes"),
        ]
        after.append(data.draw(st.sampled_from(grants)))
    ran(world, before, after)
    held = world.holds()
    assert all(held.consents[who.key, MARKETING, ""] for who in whos)
    assert not any(held.contacts[who.key, "aino"]["donotbulkemail"] for who in whos)


@examples(2)
@given(houses=HOUSES, data=st.data())
def test_i10_the_decision_holds_for_the_contact_point(one_world: World, houses: int, data: st.DataObject) -> None:
    world = one_world.reset()
    pairs = [(Who(address_of(n), "aino"), Who(address_of(n), "maija")) for n in range(houses)]
    granted = [
        act for n, pair in enumerate(pairs) for act in (sign_up(2 * n, pair[0], T0), sign_up(2 * n + 1, pair[1], T0))
    ]
    withdrawn = [
        lowered(data, data.draw(st.sampled_from([*pair, Who(pair[0].address)])), 1000 + n)
        for n, pair in enumerate(pairs)
    ]
    bought = [register(2000 + n, pair[1], T0) for n, pair in enumerate(pairs)]
    ran(world, [*granted, *bought], withdrawn)
    held = world.holds()
    assert not any(on for (_, purpose, _), on in held.consents.items() if purpose == MARKETING)
    assert all(columns["donotbulkemail"] for columns in held.contacts.values())


@examples(2)
@given(houses=HOUSES, data=st.data())
def test_i12_no_letter_case_or_space_slips_past(one_world: World, houses: int, data: st.DataObject) -> None:
    world = one_world.reset()
    written = [
        str.upper,
        str.title,
        str.swapcase,
        lambda a: f" {a}\u00a0",
        lambda a: f"\u200b{a}",
        lambda a: f"<{a}>",
        lambda a: f"mailto:{a}",
    ]
    whos = [Who(f"first.last{n}+x@example.org", "aino") for n in range(houses)]
    granted = [
        sign_up(n, who, T0).written(Email=data.draw(st.sampled_from(written[:4]))(who.address))
        for n, who in enumerate(whos)
    ]
    withdrawn = [
        lowered(data, who, 1000 + n).written(Email=data.draw(st.sampled_from(written))(who.address))
        for n, who in enumerate(whos)
    ]
    ran(world, granted, withdrawn)
    assert len(world.query("select 1 from intake.contact_point")) == houses
    assert not world.holds().contacts


@examples(2)
@given(history=households(least=4, most=8, acts=4), data=st.data())
def test_i15_a_second_run_with_nothing_new_writes_nothing(
    one_world: World, history: list[list[Act]], data: st.DataObject
) -> None:
    world = one_world.reset()
    acts = [act for household in history for act in household]
    ran(world, acts)
    before = {name: world.rows(name) for name in ("contacts", CONSENTS)}
    assert not world.writes(world.run().since), "the same again, without any file"
    world.perform(acts)
    assert not world.writes(world.run().since), "the same files under other names"
    world.perform(data.draw(st.permutations(acts)), at=NOW)
    assert not world.writes(world.run().since), "the same rows in another order"
    assert {name: world.rows(name) for name in before} == before


@examples(2)
@given(houses=HOUSES, data=st.data())
def test_i17_course_notices_go_on_after_a_marketing_withdrawal(
    one_world: World, houses: int, data: st.DataObject
) -> None:
    world = one_world.reset()
    whos = [Who(address_of(number), "aino") for number in range(houses)]
    bought = [register(n, who, T0, charge=data.draw(st.sampled_from(["paid", "free"]))) for n, who in enumerate(whos)]
    granted = [sign_up(1000 + n, who, T0) for n, who in enumerate(whos)]
    ran(world, [*bought, *granted], [lowered(data, who, 2000 + n) for n, who in enumerate(whos)])
    held = world.holds()
    assert len(held.registrations) == houses
    for who in whos:
        assert held.contacts[who.key, "aino"]["mobilephone"] == PHONE["aino"]
        assert held.contacts[who.key, "aino"]["donotbulkemail"] is True
    assert not any("donotemail" in one.columns for one in sent_rows(world.requests()))


@examples(2)
@given(houses=HOUSES, data=st.data())
def test_i20_null_erases_nothing_and_an_ended_column_is_cleared_only_where_it_is_ours(
    one_world: World, houses: int, data: st.DataObject
) -> None:
    world = one_world.reset()
    whos = [Who(address_of(number), "aino") for number in range(houses)]
    start = [act for n, who in enumerate(whos) for act in (register(n, who, T0), sign_up(1000 + n, who, T0))]
    silent = [answer(2000 + n, Who(who.address), T0 + LATER, newsletter="Yes") for n, who in enumerate(whos)]
    ran(world, start, silent)
    edited = {who.key for who in whos if data.draw(st.booleans())}
    for row in world.rows("contacts"):
        if row["emailaddress1"].lower() in edited:
            world.emulator.control.edit("contacts", row["contactid"], {"mobilephone": "+447700900999"})
    world.at(NOW + timedelta(days=900))
    cleared = [one for one in sent_rows(world.requests(world.run().since)) if "mobilephone" in one.columns]
    assert all(one.columns["mobilephone"] is None for one in cleared)
    for (address, _), columns in world.holds().contacts.items():
        assert columns.get("mobilephone") == ("+447700900999" if address in edited else None)
        assert columns["firstname"] == "Aino"
    assert {key[2] for key, on in world.holds().consents.items() if key[1] == MARKETING and on} == {"", *TOPICS}
    assert not any(purpose == RELATED for _, purpose, _ in world.holds().consents)

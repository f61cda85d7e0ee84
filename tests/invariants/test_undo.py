"""Undo (I2): a run is taken back to what it found, never beyond the ledger, and nobody's own act or edit is lost."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given

from pipelines.operations.explain import explain
from pipelines.operations.sessions import Session
from pipelines.operations.undo import UndoReport, rehearse_undo, undo_run
from schemas.errors import ConfigurationError
from tests.invariants.acts import NOW, RECEIVED, T0, Act, Who, answer, facts_of, register, sign_up, speak
from tests.invariants.crm_hands import contact_of, is_opted_in, merge_contacts, set_crm_clock
from tests.invariants.feeds import MAPPINGS
from tests.invariants.histories import address_of, examples, households
from tests.invariants.model import expected
from tests.invariants.test_guard import reversed_by_mistake
from tests.invariants.world import CONSENTS, OPTED_OUT, World, assert_holds

LATER = T0 + timedelta(days=1)
BY = "Maija Johtaja"
AINO = Who("aino@example.org", "aino")


def run_on(world: World, hours: int) -> UUID:
    """A run so many hours later; its id."""
    world.at(NOW + timedelta(hours=hours)).run()
    (found,) = world.query("select run_id from intake.run where started_at = :at", at=world.now)
    return UUID(str(found[0]))


def undo(world: World, run_id: UUID, **changes: Any) -> UndoReport:
    return undo_run(Session(world.workspace), run_id, by=BY, **changes)


def mend(world: World, *feeds: str) -> None:
    """The mappings as they should be, told apart from the ones before by their titles."""
    for feed in feeds or tuple(MAPPINGS):
        world.with_mapping(feed, title=f"{feed}, mended")


def assert_right(world: World, acts: Sequence[Act]) -> None:
    assert_holds(world, expected(facts_of(acts), now=world.now))


@pytest.fixture
def misread(world: World) -> tuple[World, list[Act], list[Act], UUID]:
    """Six subscribers; then a run under reversed polarity, over four of them and twenty strangers who forbid."""
    before = [answer(n, Who(address_of(n), "aino"), T0, newsletter="Yes") for n in range(6)]
    world.perform(before)
    run_on(world, 0)
    world.with_mapping("answers", **reversed_by_mistake())
    bad = [answer(500 + n, Who(address_of(n), "aino"), LATER, newsletter="Yes") for n in range(4)]
    bad += [answer(n, Who(address_of(n), "aino"), LATER, stop="Yes") for n in range(100, 120)]
    world.perform(bad)
    return world, before, bad, run_on(world, 1)


Misread = tuple[World, list[Act], list[Act], UUID]


def test_i2_a_run_under_reversed_polarity_is_taken_back_to_what_was(misread: Misread) -> None:
    world, before, _, run_id = misread
    assert len(world.holds().contacts) == 2 + 20, "strangers who forbade are in, four subscribers are out"
    since = world.emulator.control.last_sequence()
    report = undo(world, run_id)
    assert world.emulator.control.last_sequence() == since, "undo itself sends nothing"
    assert report.undone.voided["answers", "grant"] == 20
    assert report.undone.voided["answers", "withdraw"] == 2 * 4
    assert (report.undone.raised, report.undone.lowered) == (4, 20)
    run_on(world, 2)
    assert_right(world, before)
    assert not world.writes(world.run().since)


def test_i2_the_ledger_itself_is_left_as_it_was(misread: Misread) -> None:
    world, _, _, run_id = misread
    ledger = world.query("select * from intake.consent_event order by event_key")
    undo(world, run_id)
    assert world.query("select * from intake.consent_event order by event_key") == ledger


def test_the_crm_is_told_at_once_of_whom_the_mended_mapping_withdraws(misread: Misread) -> None:
    world, _, bad, run_id = misread
    mend(world, "answers")
    assert undo(world, run_id).read_again
    called = world.query(
        "select c.address_key from intake.narrow_call join intake.contact_point c using (contact_point_id)"
    )
    assert {address for (address,) in called} == {act.row["Email"].lower() for act in bad if act.row["Stop"]}


def test_i2_undoing_an_undone_run_does_nothing(misread: Misread) -> None:
    world, _, _, run_id = misread
    undo(world, run_id)
    counts, versions = (
        world.counts(),
        world.query("select contact_point_id, version from intake.contact_point order by 1"),
    )
    again = undo(world, run_id)
    assert again.is_nothing
    counts["intake.run"] += 1
    assert world.counts() == counts
    assert world.query("select contact_point_id, version from intake.contact_point order by 1") == versions


def test_i2_the_same_file_under_the_same_mapping_stays_undone_and_a_mended_one_reads_it(misread: Misread) -> None:
    world, before, bad, run_id = misread
    undo(world, run_id)
    world.perform(bad)
    run_on(world, 2)
    assert_right(world, before)
    mend(world, "answers")
    run_on(world, 3)
    assert_right(world, [*before, *bad])


def test_i2_a_mapping_mended_before_reads_the_batches_again_at_once(misread: Misread) -> None:
    world, before, bad, run_id = misread
    mend(world, "answers")
    report = undo(world, run_id)
    assert [gated.stop for gated in report.read_again] == [None]
    assert report.counts()["batches_waiting_for_a_mended_mapping"] == 0
    run_on(world, 2)
    assert_right(world, [*before, *bad])


def test_i2_a_file_that_was_read_anew_before_the_undo_loses_nothing_that_was_right(misread: Misread) -> None:
    world, before, bad, run_id = misread
    mend(world, "answers")
    world.perform(bad)
    run_on(world, 2)
    undo(world, run_id)
    run_on(world, 3)
    assert_right(world, [*before, *bad])


def test_i2_what_the_same_mapping_reads_elsewhere_lowers_and_does_not_raise(world: World) -> None:
    acts = [answer(1, AINO, T0, newsletter="Yes"), answer(2, Who("bo@example.org", "bo"), T0, stop="Yes")]
    world.perform(acts)
    undo(world, run_on(world, 0))
    # The same rows beside a new one: another file, so another batch.
    world.perform([*acts, answer(3, Who("maija@example.org", "maija"), T0, newsletter="Yes")])
    run_on(world, 1)
    assert {address for address, _ in world.holds().contacts} == {"maija@example.org"}
    assert not world.holds().consents["bo@example.org", "marketing", ""]


def test_i2_acts_in_the_crm_and_spoken_ones_of_the_same_run_stand(world: World) -> None:
    bo, maija = Who("bo@example.org", "bo"), Who("maija@example.org", "maija")
    before = [sign_up(n, who, T0) for n, who in enumerate((AINO, bo, maija))]
    world.perform(before)
    run_on(world, 0)
    rows = [r for r in world.rows(CONSENTS) if r["msdynmkt_contactpointvalue"] == "aino@example.org"]
    world.emulator.control.edit(
        CONSENTS,
        rows[0]["msdynmkt_contactpointconsent4id"],
        {"msdynmkt_value": OPTED_OUT, "msdynmkt_source": 534120001},
    )
    spoken = [speak(bo, LATER, decision="no"), speak(Who("kalle@example.org", "kalle"), LATER, decision="yes")]
    world.perform([*spoken, answer(9, maija, LATER, stop="Yes")])
    run_id = run_on(world, 1)
    held = world.holds()
    undo(world, run_id)
    run_on(world, 2)
    assert world.holds().consents["bo@example.org", "marketing", ""] is False
    assert world.holds().contacts["kalle@example.org", "kalle"]["firstname"] == "Kalle"
    assert world.holds().consents["maija@example.org", "marketing", ""] is True
    aino = {key: on for key, on in world.holds().consents.items() if key[0] == "aino@example.org"}
    assert aino == {key: on for key, on in held.consents.items() if key[0] == "aino@example.org"}


def test_i2_a_voided_withdrawal_lifts_no_other_one(world: World) -> None:
    acts = [sign_up(1, AINO, T0), speak(AINO, LATER, decision="no")]
    world.perform(acts)
    run_on(world, 0)
    world.perform([answer(2, AINO, LATER + timedelta(hours=1), newsletter="No")])
    report = undo(world, run_on(world, 1))
    assert report.undone.raised == 0
    run_on(world, 2)
    assert_right(world, acts)


def test_i2_a_voided_withdrawal_does_not_go_along_with_a_merge(world: World) -> None:
    kalle = Who("kalle@example.org", "kalle")
    world.perform([sign_up(1, AINO, T0), sign_up(2, kalle, T0)])
    run_on(world, 0)
    world.perform([answer(3, AINO, LATER, newsletter="No")])
    undo(world, run_on(world, 1))
    run_on(world, 2)
    master, loser = (str(contact_of(world, who.key)["contactid"]) for who in (kalle, AINO))
    set_crm_clock(world, NOW + timedelta(hours=2))
    merge_contacts(world, master=master, loser=loser)
    run_on(world, 3)
    assert is_opted_in(world, kalle.key)


def test_i2_names_and_registrations_go_back_to_the_version_before(world: World) -> None:
    before = [register(1, AINO, T0), register(2, Who("bo@example.org", "maija"), T0, course="LK2")]
    world.perform(before)
    run_on(world, 0)
    exchanged = {**MAPPINGS["courses"]["fields"], "given_name": {"column": "Last"}, "family_name": {"column": "First"}}
    world.with_mapping("courses", fields=exchanged)
    after = [
        register(1, AINO, T0, changed_at=LATER, status="out"),
        register(3, Who("new@example.org", "kalle"), LATER, course="LK3"),
    ]
    world.perform(after)
    run_id = run_on(world, 1)
    undo(world, run_id)
    run_on(world, 2)
    assert_right(world, before)
    mend(world, "courses")
    run_on(world, 3)
    assert_right(world, [*before, *after])


def test_i2_runs_are_undone_in_any_order(world: World) -> None:
    versions = [register(1, AINO, T0 + timedelta(hours=n), changed_at=T0 + timedelta(hours=n)) for n in range(3)]
    told = [replace(act, row={**act.row, "Last": name}) for act, name in zip(versions, "ABC", strict=True)]
    runs = []
    for number, act in enumerate(told):
        world.perform([act], at=RECEIVED + timedelta(minutes=number))
        runs.append(run_on(world, number))
    names = []
    for number, run_id in enumerate((runs[1], runs[2], runs[0])):
        undo(world, run_id)
        run_on(world, 10 + number)
        names.append([row["lastname"] for row in world.rows("contacts")])
    assert names == [["C"], ["A"], []]


def test_i2_an_edit_by_staff_is_kept(misread: Misread) -> None:
    world, _, _, run_id = misread
    contact = next(row for row in world.rows("contacts") if row["emailaddress1"] == address_of(4))
    world.emulator.control.edit("contacts", contact["contactid"], {"lastname": "Staff-Edit"})
    undo(world, run_id)
    run_on(world, 2)
    kept = next(row for row in world.rows("contacts") if row["contactid"] == contact["contactid"])
    assert kept["lastname"] == "Staff-Edit"


def test_i2_only_the_feed_named_is_undone(world: World) -> None:
    acts = [sign_up(1, AINO, T0), answer(2, Who("bo@example.org", "maija"), T0, newsletter="Yes")]
    world.perform(acts)
    run_id = run_on(world, 0)
    undo(world, run_id, feeds=["answers"])
    run_on(world, 1)
    assert_right(world, acts[:1])
    undo(world, run_id)
    run_on(world, 2)
    assert_right(world, [])


def test_i2_a_rehearsed_undo_foretells_it_and_keeps_nothing(misread: Misread) -> None:
    world, _, _, run_id = misread
    mend(world, "answers")
    counts = world.counts()
    foretold = rehearse_undo(Session(world.workspace), run_id, by=BY)
    assert world.counts() == counts
    done = undo(world, run_id)
    assert {**foretold.counts()} == {**done.counts()}
    world.at(NOW + timedelta(hours=2))
    assert world.run().sync.plan.counts() == foretold.writes


def test_i2_an_undo_is_a_run_with_a_record_and_shows_in_the_history_of_a_person(misread: Misread) -> None:
    world, _, _, run_id = misread
    report = undo(world, run_id)
    (record,) = world.query("select kind, state, counts from intake.run where run_id = :id", id=report.undo_run_id)
    assert (record.kind, record.state) == ("undo", "done")
    assert (record.counts["undone_run"], record.counts["by"]) == (str(run_id), BY)
    told = explain(Session(world.workspace), address=address_of(0))
    voided = [event for event in told["consent_events"] if event["voided_at"]]
    assert {event["value"] for event in voided} == {"withdraw"}
    assert {event["undo_run_id"] for event in voided} == {report.undo_run_id}
    stranger = explain(Session(world.workspace), address=address_of(100))
    assert [(row["undone_by"], row["undone_run_id"], row["feed"]) for row in stranger["undone"]] == [
        (BY, run_id, "answers")
    ]


def test_an_unknown_run_or_feed_is_named_with_what_there_is(misread: Misread) -> None:
    world, _, _, run_id = misread
    unknown = uuid4()
    with pytest.raises(ConfigurationError, match=str(unknown)):
        undo(world, unknown)
    with pytest.raises(ConfigurationError, match="nothing of survey; it read answers"):
        undo(world, run_id, feeds=["survey"])


@examples(2)
@given(history=households(least=4, most=8))
def test_i2_for_any_history_undoing_the_second_half_leaves_the_first_and_reading_it_anew_the_whole(
    one_world: World, history: list[list[Act]]
) -> None:
    world = one_world.reset()
    first, second = ([act for household in history for act in household[half::2]] for half in (0, 1))
    world.perform(first)
    run_on(world, 0)
    world.perform(second)
    undo(world, run_on(world, 1))
    run_on(world, 2)
    assert_holds(world, expected(facts_of([*first, *(a for a in second if a.feed == "manual")]), now=world.now))
    mend(world)
    run_on(world, 3)
    assert_holds(world, expected(facts_of([*first, *second]), now=world.now))


def test_i2_names_and_times_of_courses_that_a_run_spoilt_are_put_back(world: World) -> None:
    first = [register(n, Who(address_of(n), "aino"), T0, course=f"LK{n}") for n in range(2)]
    world.perform(first)
    run_on(world, 0)
    before = courses(world)
    spoilt = [register(n, Who(address_of(n), "aino"), T0, changed_at=LATER, course=f"LK{n}") for n in range(3)]
    ended = (T0 - timedelta(days=900)).isoformat()
    world.perform([one.written(**{"Course name": "Excel 2021", "Ends": ended}) for one in spoilt])
    bad = run_on(world, 1)
    assert {name for name, _, _ in courses(world)} == {"Excel 2021"}
    assert world.rows("contacts") == [], "as far as that is to be believed, all of it is over"
    world.at(NOW + timedelta(hours=2))
    counts = undo(world, bad).counts()
    assert counts["by_feed"]["courses"]["occasion"] == 2
    world.run()
    assert courses(world)[:2] == before
    assert {row["emailaddress1"] for row in world.rows("contacts")} == {address_of(0), address_of(1)}
    assert undo(world, bad).is_nothing


def courses(world: World) -> list[tuple[str, str, str]]:
    """Names and times that the CRM shows, the oldest course first."""
    rows = world.rows("msevtmgt_events")
    shown = ("msevtmgt_name", "msevtmgt_eventstartdate", "msevtmgt_eventenddate")
    return [tuple(row[name] for name in shown) for row in sorted(rows, key=lambda row: str(row["createdon"]))]  # type: ignore[misc]

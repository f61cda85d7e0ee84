"""Undo (I2) beside what else reads: retries and mended rows, sign-ups that wait for their link, later deliveries of the same."""

import json
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from pipelines.cli import APP
from pipelines.operations.double_opt_in import confirm, confirmations_to_mail
from pipelines.operations.explain import explain
from pipelines.operations.mending import mend as mend_cell
from pipelines.operations.quarantine import left_out, list_entries, retry
from pipelines.operations.sessions import Session
from pipelines.operations.undo import rehearse_undo
from schemas.errors import ActRefused
from tests.invariants.acts import NOW, T0, Act, Who, answer, register, sign_up
from tests.invariants.histories import address_of
from tests.invariants.test_adopting_commands import Says
from tests.invariants.test_double_opt_in import DOUBLE
from tests.invariants.test_undo import AINO, BY, run_on, undo
from tests.invariants.world import World

BO, MAIJA = Who("bo@example.org", "maija"), Who("maija@example.org", "maija")
ME = ("Maija", "asked the person")
STANDING = """
select c.address_key, e.value from intake.consent_event e join intake.contact_point c using (contact_point_id)
where not exists (select from intake.consent_void v where v.event_key = e.event_key) and e.purpose = 'marketing'
order by 1, 2"""


def session(world: World) -> Session:
    """A session without a record of its run, as those have that read outside a run."""
    return Session(world.workspace)


def standing(world: World) -> list[tuple[str, str]]:
    """Whose decisions about marketing count."""
    return [tuple(row) for row in world.query(STANDING)]


def registered(world: World) -> list[str]:
    """The addresses that are registered for something."""
    return list(
        world.query(
            "select c.address_key from intake.registration join intake.contact_point c using (contact_point_id) order by 1"
        )
    )


def batch_states(world: World) -> list[str]:
    return [state for (state,) in world.query("select state from intake.batch order by landed_at, received_at")]


def broken(act: Act) -> Act:
    """The same row with an address that is none."""
    return act.written(Email="nowhere")


# Retries.


@pytest.fixture
def undone(world: World) -> World:
    """A file of thirty registrations with one that cannot be read, which was undone."""
    acts = [register(n, Who(address_of(n), "aino"), T0) for n in range(30)]
    world.perform([*acts, broken(register(30, BO, T0))])
    undo(world, run_on(world, 0))
    assert not registered(world) and len(list_entries(session(world))) == 1
    return world.at(NOW + timedelta(hours=1))


def test_i2_a_retry_reads_nothing_of_what_was_undone(undone: World) -> None:
    (entry,) = list_entries(session(undone))
    number = entry["quarantine_id"]
    for asked in (None, number):
        assert retry(session(undone), asked) == []
        assert left_out(session(undone), asked) == ["courses"]
    mended = mend_cell(session(undone), number, column=None, value=BO.address, signature=ME)
    assert (mended.rows, mended.still_open, mended.still_undone) == (1, 1, 1)
    assert not registered(undone)
    assert batch_states(undone) == ["undone"]


def test_whoever_retries_is_told_what_was_left_out_and_by_which_run_the_rest_was_read(undone: World) -> None:
    acts = [answer(n, Who(address_of(n), "aino"), T0, newsletter="Yes") for n in range(30)]
    undone.perform([*acts, broken(answer(30, BO, T0, newsletter="Yes"))])
    run_on(undone, 2)
    environment = Says(undone).environment
    told = CliRunner().invoke(APP, ["quarantine", "retry"], env=environment)
    assert "1 batches of courses were undone" in " ".join(told.output.split())
    told = CliRunner().invoke(APP, ["quarantine", "retry", "--json"], env=environment)
    retried = json.loads(told.stdout)
    assert (retried["batches"], retried["still_undone"]) == (1, 1)
    assert undone.query("select feed from intake.reading where run_id = :id", id=retried["run_id"]) == [("answers",)]


def test_i2_a_retry_reads_what_was_undone_once_its_mapping_is_mended(undone: World) -> None:
    (entry,) = list_entries(session(undone))
    mend_cell(session(undone), entry["quarantine_id"], column=None, value=BO.address, signature=ME)
    undone.with_mapping("courses", title="courses, mended")
    assert left_out(session(undone)) == []
    assert [one.stop for one in retry(session(undone))] == [None]
    assert len(registered(undone)) == 31 and not list_entries(session(undone))
    assert batch_states(undone) == ["applied"]


def test_i2_a_retry_reads_no_stopped_batch_whose_lowering_was_undone(world: World) -> None:
    world.perform([answer(1, AINO, T0, stop="Yes"), *(broken(answer(n, BO, T0, stop="Yes")) for n in range(2, 30))])
    run_id = run_on(world, 0)
    assert batch_states(world) == ["stopped"] and standing(world) == [(AINO.key, "withdraw")]
    undo(world, run_id)
    assert retry(session(world)) == []
    assert batch_states(world) == ["undone"] and standing(world) == []


# Rows that were read again by themselves, outside a run.


def test_i2_a_row_that_was_mended_wrongly_is_undone_by_itself_and_can_be_mended_again(world: World) -> None:
    acts = [answer(n, Who(address_of(n), "aino"), T0, newsletter="Yes") for n in range(30)]
    world.perform([*acts, broken(answer(30, BO, T0, newsletter="Yes"))])
    run_on(world, 0)
    (entry,) = list_entries(session(world))
    number = entry["quarantine_id"]
    world.at(NOW + timedelta(hours=1))
    wrong = mend_cell(session(world), number, column=None, value="other@example.org", signature=ME)
    assert not list_entries(session(world))
    told = explain(session(world), address="other@example.org")
    assert {event["run_id"] for event in told["consent_events"]} == {wrong.run_id}
    world.at(NOW + timedelta(hours=2))
    counts = undo(world, wrong.run_id).counts()
    assert (counts["rows_as_received"], counts["by_feed"]) == (1, {"answers": {"grant": 1, "submission": 1}})
    assert len(standing(world)) == 30 and batch_states(world) == ["applied"]
    assert [one["quarantine_id"] for one in list_entries(session(world))] == [number]
    (row,) = world.query("select state, reason from intake.row_outcome where row_no = 31")
    assert tuple(row) == ("quarantined", "email: email_invalid")
    retry(session(world))
    assert [one["quarantine_id"] for one in list_entries(session(world))] == [number], "the mended value does not count"
    assert len(standing(world)) == 30
    assert mend_cell(session(world), number, column=None, value=BO.address, signature=ME).still_open == 0
    assert (BO.key, "grant") in standing(world) and len(standing(world)) == 31


def test_i2_what_was_mended_again_since_stands_when_the_wrong_one_is_undone(world: World) -> None:
    acts = [answer(n, Who(address_of(n), "aino"), T0, newsletter="Yes") for n in range(30)]
    world.perform([*acts, broken(answer(30, BO, T0, newsletter="Yes"))])
    run_on(world, 0)
    number = list_entries(session(world))[0]["quarantine_id"]
    world.at(NOW + timedelta(hours=1))
    wrong = mend_cell(session(world), number, column="Email", value="other@example.org", signature=ME)
    world.at(NOW + timedelta(hours=2))
    mend_cell(session(world), number, column="Email", value=BO.address, signature=ME)
    world.at(NOW + timedelta(hours=3))
    assert undo(world, wrong.run_id).counts()["rows_as_received"] == 0
    assert not list_entries(session(world))
    retry(session(world))
    assert (BO.key, "grant") in standing(world) and len(standing(world)) == 31


# Sign-ups that wait.


@pytest.fixture
def waiting(world: World) -> tuple[World, UUID, str]:
    """A sign-up of Aino's that waits for its link; the run that read it, and the link's token."""
    world.with_mapping("newsletter", consents=DOUBLE).perform([sign_up(1, AINO, T0)])
    run_id = run_on(world, 0)
    (one,) = confirmations_to_mail(session(world))
    return world, run_id, one.token


Waiting = tuple[World, UUID, str]


def test_i2_a_sign_up_that_waits_is_not_asked_any_more(waiting: Waiting) -> None:
    world, run_id, token = waiting
    assert undo(world, run_id).counts()["by_feed"]["newsletter"]["sign_up"] == 1
    assert confirmations_to_mail(session(world)) == []
    with pytest.raises(ActRefused):
        confirm(session(world), token)
    assert standing(world) == []
    assert world.query("select reason from intake.row_outcome") == [("undone",)]


def test_i2_the_same_mapping_does_not_ask_again_from_another_batch(waiting: Waiting) -> None:
    world, run_id, token = waiting
    undo(world, run_id)
    world.perform([sign_up(1, AINO, T0), sign_up(2, MAIJA, T0)])
    run_on(world, 1)
    assert [one.address for one in confirmations_to_mail(session(world))] == [MAIJA.address]
    with pytest.raises(ActRefused):
        confirm(session(world), token)


def test_i18_a_sign_up_that_is_read_again_by_a_mended_mapping_has_its_wording(waiting: Waiting) -> None:
    world, run_id, _ = waiting
    words = {"text": "Send me the newsletter of the campus.", "language": "en", "version": "2"}
    world.with_mapping("newsletter", consents=[{**consent, "wording": words} for consent in DOUBLE])
    undo(world, run_id)
    (one,) = confirmations_to_mail(session(world))
    confirm(session(world), one.token)
    (found,) = world.query("select text from intake.consent_evidence join intake.consent_wording using (wording_hash)")
    assert found.text == words["text"]


def test_i2_what_somebody_confirmed_is_their_own_act(waiting: Waiting) -> None:
    world, run_id, token = waiting
    confirm(session(world), token)
    undo(world, run_id)
    assert standing(world) == [(AINO.key, "grant")]
    assert not confirm(session(world), token).is_new


# Later deliveries of the same.


EARLIER = [answer(1, AINO, T0, stop="Yes"), answer(2, MAIJA, T0, newsletter="Yes"), register(3, BO, T0)]
LATER = [answer(4, Who(address_of(4), "aino"), T0, stop="Yes"), register(5, Who(address_of(5), "aino"), T0)]


@pytest.fixture
def exported(world: World) -> tuple[World, UUID, UUID]:
    """Two full exports of two feeds, the second with what the first has and more; the runs that read them."""
    world.perform(EARLIER)
    first = run_on(world, 0)
    world.perform([*EARLIER, *LATER])
    return world, first, run_on(world, 1)


Exported = tuple[World, UUID, UUID]
LOWERED = [(AINO.key, "withdraw"), (address_of(4), "withdraw")]


def test_i2_what_a_later_export_told_as_well_is_read_from_it(exported: Exported) -> None:
    world, first, _ = exported
    world.at(NOW + timedelta(hours=2))
    foretold = rehearse_undo(session(world), first, by=BY)
    report = undo(world, first)
    assert foretold.counts() == report.counts()
    assert standing(world) == sorted(LOWERED), "a no that was told there too, and no yes by the same mapping"
    assert [address for (address,) in registered(world)] == sorted([BO.key, address_of(5)])
    assert sorted(batch_states(world)) == ["applied", "applied", "undone", "undone"]
    run_on(world, 3)
    assert not world.holds().consents[AINO.key, "marketing", ""]


def test_i2_a_later_export_that_is_undone_too_takes_along_what_was_read_from_it_again(exported: Exported) -> None:
    world, first, second = exported
    for hours, run_id in ((2, first), (3, second)):
        undo(world.at(NOW + timedelta(hours=hours)), run_id)
    assert standing(world) == [] and registered(world) == []
    assert set(batch_states(world)) == {"undone"}
    assert undo(world, second).is_nothing


def test_i2_a_later_export_that_left_the_landing_is_read_when_it_comes_again(exported: Exported) -> None:
    world, first, _ = exported
    forget_payloads(world)
    world.at(NOW + timedelta(hours=2))
    assert undo(world, first).counts()["batches_read_when_they_come_again"] == 2
    assert standing(world) == LOWERED[1:] and len(registered(world)) == 1
    for hours, landed in ((3, 1), (4, 0)):
        world.perform([*EARLIER, *LATER])
        ran = world.at(NOW + timedelta(hours=hours)).run()
        assert {feed: len(ran.landed[feed].landed) for feed in ("answers", "courses")} == {
            "answers": landed,
            "courses": landed,
        }
        assert standing(world) == sorted(LOWERED) and len(registered(world)) == 2


def forget_payloads(world: World) -> None:
    """As when the landing's time is over."""
    with world.owner.begin() as conn:
        for table in ("landing_payload", "landing_key"):
            conn.execute(text(f"delete from intake.{table}"))


def test_i2_a_mended_mapping_reads_the_later_export_at_once(exported: Exported) -> None:
    world, first, _ = exported
    world.with_mapping("answers", title="answers, mended").with_mapping("courses", title="courses, mended")
    undo(world.at(NOW + timedelta(hours=2)), first)
    assert standing(world) == sorted([*LOWERED, (MAIJA.key, "grant")])
    assert len(registered(world)) == 2

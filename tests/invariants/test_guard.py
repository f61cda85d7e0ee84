"""The guard: a plan larger than the blast radius waits for a named person, lowering does not; a pilot's allow list."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from connectors.store.narrow_calls import call
from pipelines.cli import APP
from pipelines.operations.narrow_sync import serve_calls
from pipelines.operations.planning import approve_plan
from pipelines.operations.reconciliation import reconcile
from pipelines.operations.status import check_status
from schemas.policy import BlastRadius, Policy
from tests.invariants.acts import NOW, T0, Act, Who, answer, facts_of, register, sign_up
from tests.invariants.feeds import WORDING
from tests.invariants.histories import address_of
from tests.invariants.model import expected
from tests.invariants.test_adopting_commands import Says
from tests.invariants.wire import check_wire, sent_rows
from tests.invariants.world import FIRST_ON, OPTED_OUT, World, assert_holds, take_in

LATER = T0 + timedelta(days=1)


def with_crm(policy: Policy, **changes: Any) -> Policy:
    return policy.model_copy(update={"crm": policy.crm.model_copy(update=changes)})


def with_radius(world: World, rows: int) -> None:
    world.with_policy(with_crm(world.workspace.policy, blast_radius=BlastRadius(rows=rows, share=0)))


def reversed_by_mistake() -> dict[str, Any]:
    """The questions of the form with the two polarities exchanged."""
    readable = {"purpose": "marketing", "grants": ["Yes"], "refuses": ["No"]}
    return {
        "consents": [
            {**readable, "column": "Newsletter", "polarity": "prohibition"},
            {**readable, "column": "Stop", "wording": WORDING, "notice_version": "2026-01"},
        ],
        "ignored": ["Training", "Rdi"],
    }


def approve(world: World, plan_id: str) -> bool:
    session = world.session()
    with session.transaction() as conn:
        return approve_plan(conn, plan_id, by="Maija Johtaja", session=session)


def many(first: int, count: int, **answers: Any) -> list[Act]:
    return [answer(n, Who(address_of(n), "aino"), LATER, **answers) for n in range(first, first + count)]


def test_a_mapping_with_its_polarity_reversed_waits_and_only_lowers(world: World) -> None:
    subscribers = [answer(n, Who(address_of(n), "aino"), T0, newsletter="Yes") for n in range(6)]
    world.perform(subscribers)
    world.run()
    world.with_mapping("answers", **reversed_by_mistake())
    with_radius(world, 5)
    # Four of them say yes once more, which is read as a no; twenty strangers forbid, which is read as a yes.
    world.perform([answer(500 + n, Who(address_of(n), "aino"), LATER, newsletter="Yes") for n in range(4)])
    world.perform(many(100, 20, stop="Yes"))
    ran = world.run()
    sent = list(sent_rows(world.requests(ran.since)))
    assert ran.sync.plan.waits
    assert ran.sync.plan.guarded > ran.sync.plan.limit == 5
    assert sent
    assert all(one.is_lowering for one in sent), "what waits is not sent"
    assert not {address for address, _ in world.holds().contacts} & {address_of(n).lower() for n in range(100, 120)}
    opted_out = {one.row_id for one in sent if one.columns.get("msdynmkt_value") == OPTED_OUT}
    assert len(opted_out) >= 4 * 5, "marketing and its topics are lowered for each of the four"
    states = world.query(
        "select distinct phase = 0, state from intake.outbox_intent where run_id = :run", run=run_of(world)
    )
    assert {tuple(row) for row in states} == {(True, "acknowledged"), (False, "waiting")}


def run_of(world: World) -> Any:
    return world.query("select run_id from intake.outbox_intent order by intent_id desc limit 1")[0][0]


def test_an_approval_lets_exactly_that_plan_through(world: World) -> None:
    with_radius(world, 5)
    acts = many(0, 12, newsletter="Yes")
    world.perform(acts)
    waiting = world.run()
    assert waiting.sync.plan.waits
    assert not world.writes(waiting.since) or all(one.is_lowering for one in sent_rows(world.requests(waiting.since)))
    assert world.run().sync.plan.plan_id == waiting.sync.plan.plan_id, "the same writes have the same name"
    assert not approve(world, "another plan")
    assert approve(world, waiting.sync.plan.plan_id)
    world.run()
    assert_holds(world, expected(facts_of(acts), now=world.now))
    more = many(20, 12, newsletter="Yes")
    world.perform(more)
    other = world.run()
    assert other.sync.plan.waits
    assert other.sync.plan.plan_id != waiting.sync.plan.plan_id
    assert not any(one.is_raising for one in sent_rows(world.requests(other.since)))
    check_wire(world)


def test_a_plan_that_would_wait_is_told_in_words_and_as_data_and_nothing_waits_for_it_yet(world: World) -> None:
    world.perform(many(0, 12, newsletter="Yes"))
    environment = Says(world).environment | {"INTAKE_BLAST_RADIUS_ROWS": "5"}
    words = ("plan", "--from", str(FIRST_ON), "--to", str(NOW.date()))
    plain, as_json = (CliRunner().invoke(APP, [*words, *more], env=environment) for more in ((), ("--json",)))
    assert (plain.exit_code, as_json.exit_code) == (0, 0), plain.output
    told = json.loads(as_json.stdout)
    assert told["waits"]
    text = " ".join(plain.output.split())
    assert f"larger than the blast radius ({told['guarded']} rows; the limit is 5)" in text
    assert "a run sends its lowerings; the rest waits for `crm-intake run --approve ID --by NAME`" in text
    assert not world.query("select from intake.plan")


def test_the_alarm_of_a_waiting_plan_has_the_whole_command_that_approves_it(world: World) -> None:
    with_radius(world, 5)
    world.perform(many(0, 12, newsletter="Yes"))
    plan_id = world.run().sync.plan.plan_id
    alarms = "\n".join(check_status(world.session()).alarms)
    assert f"`crm-intake run --approve {plan_id} --by NAME`" in alarms


def test_an_approved_plan_that_has_changed_meanwhile_waits_again(world: World) -> None:
    with_radius(world, 5)
    world.perform(many(0, 12, newsletter="Yes"))
    waiting = world.run()
    assert approve(world, waiting.sync.plan.plan_id)
    world.perform(many(12, 1, newsletter="Yes"))
    changed = world.run()
    assert changed.sync.plan.waits
    assert not any(one.is_raising for one in sent_rows(world.requests(changed.since)))


def test_a_withdrawal_is_never_held_by_a_waiting_plan(world: World) -> None:
    subscribers = [answer(n, Who(address_of(n), "aino"), T0, newsletter="Yes") for n in range(3)]
    world.perform(subscribers)
    world.run()
    with_radius(world, 0)
    leaving = [answer(50 + n, Who(address_of(n), "aino"), LATER, stop="Yes") for n in range(3)]
    world.perform([*leaving, *many(100, 10, newsletter="Yes")])
    assert world.run().sync.plan.waits
    assert not any(on for (address, _, _), on in world.holds().consents.items())
    assert all(columns["donotbulkemail"] for columns in world.holds().contacts.values())


def test_the_allow_list_limits_writes_to_its_addresses(world: World) -> None:
    allowed = (address_of(1), address_of(2))
    world.with_policy(with_crm(world.workspace.policy, allow_list=allowed))
    acts = many(0, 6, newsletter="Yes")
    world.perform(acts)
    world.run()
    assert {address for address, _ in world.holds().contacts} == set(allowed)
    bodies = str([one.columns for one in sent_rows(world.requests())])
    assert not any(address_of(n).lower() in bodies.lower() for n in (0, 3, 4, 5))
    world.workspace = world.plain
    world.run()
    assert_holds(world, expected(facts_of(acts), now=world.now))


@pytest.mark.parametrize("narrow", [False, True], ids=["by a run", "by a call"])
def test_a_withdrawal_off_the_allow_list_is_lowered_and_the_rest_written_once_it_is_listed(
    world: World, narrow: bool
) -> None:
    leaving, staying = (Who(address_of(n), "aino") for n in (1, 2))
    acts = [sign_up(1, leaving, T0), register(2, leaving, T0), sign_up(3, staying, T0)]
    world.perform(acts)
    world.run()
    world.with_policy(with_crm(world.workspace.policy, allow_list=(staying.key,)))
    stranger = answer(6, Who(address_of(3), "aino"), LATER, stop="Yes")
    turning = [
        answer(7, Who(address_of(4), "aino"), T0, newsletter="No"),
        answer(8, Who(address_of(4), "aino"), LATER, newsletter="Yes"),
    ]
    later = [
        answer(4, leaving, LATER, training="Yes", stop="Yes"),
        register(2, leaving, T0, status="out", changed_at=LATER),
        register(5, leaving, LATER, course="LK2"),
        stranger,
        *turning,
    ]
    before = world.holds()
    world.perform(later)
    if narrow:
        take_in(world.session())
        session = world.session()
        with session.transaction() as conn:
            call(conn, list(conn.execute(sa.text("select contact_point_id from intake.contact_point")).scalars()))
        assert serve_calls(world.workspace, world.crm).served == 4
        assert not world.holds().consents[leaving.key, "marketing", ""]
    ran = world.run()
    held = world.holds()
    assert held.consents.keys() == before.consents.keys()
    assert not held.consents[leaving.key, "marketing", ""]
    assert held.contacts.keys() == before.contacts.keys()
    assert held.contacts[leaving.key, "aino"]["donotbulkemail"] is True
    assert [status for _, _, status in held.registrations.values()] == ["cancelled"]
    outcome = reconcile(world.session(), world.crm)
    assert set(outcome.rules) == {"allow_list"} and outcome.unexplained == []
    again = world.run()
    assert not list(sent_rows(world.requests(again.since))), "once is enough"
    assert ran.sync.plan.guarded == 0
    assert check_status(world.session()).facts["withdrawals_unplanned"]["open"] == 0
    world.workspace = world.plain
    world.run()
    assert_holds(world, expected(facts_of([*acts, *later]), now=world.now))


def test_a_cancellation_is_told_though_the_removal_of_what_it_leaves_waits(world: World) -> None:
    cancelled, deleted = (Who(address_of(n), "aino") for n in (1, 2))
    world.perform([register(1, cancelled, T0), register(2, deleted, T0)])
    world.run()
    with_radius(world, 0)
    world.perform(
        [
            register(1, cancelled, T0, status="out", changed_at=LATER),
            register(2, deleted, T0, status="gone", changed_at=LATER),
        ]
    )
    assert world.run().sync.plan.waits
    assert [status for _, _, status in world.holds().registrations.values()] == ["cancelled", "cancelled"]


def test_an_approval_is_good_for_a_week_and_can_be_given_again(world: World) -> None:
    with_radius(world, 5)
    acts = many(0, 12, newsletter="Yes")
    world.perform(acts)
    plan_id = world.run().sync.plan.plan_id
    assert approve(world, plan_id)
    start = world.now
    late = world.at(start + timedelta(days=7)).run()
    assert (late.sync.plan.plan_id, late.sync.plan.waits) == (plan_id, True)
    assert not any(one.is_raising for one in sent_rows(world.requests(late.since)))
    assert approve(world, plan_id)
    in_time = world.at(start + timedelta(days=14, seconds=-1)).run()
    assert not in_time.sync.plan.waits
    assert_holds(world, expected(facts_of(acts), now=world.now))

"""What was done and nearly got lost: between a write and its lost answer, before an erasure, in a late file, in one that came
back as it was, or told to staff.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from connectors.dataverse import RowResult
from pipelines.operations.acts import record_acts
from pipelines.operations.erasure import alone, find_person
from pipelines.operations.ledger_copies import export_ledger, import_ledger
from pipelines.operations.narrow_sync import serve_calls
from pipelines.operations.quarantine import retry
from pipelines.operations.restores import replay
from pipelines.operations.rights import lift, restrict
from pipelines.operations.sessions import Session
from pipelines.operations.sync import sync_crm
from schemas.errors import ActRefused
from schemas.tables import CONSENT, CONTACT
from tests.invariants.acts import NOW, T0, Who, answer, iso, register, sign_up
from tests.invariants.crm_hands import (
    OPTED_IN,
    OPTED_OUT,
    PREFERENCE_PAGE,
    consents_of,
    edit_consent,
    edit_contact,
    set_crm_clock,
)
from tests.invariants.erasing import erase, traces
from tests.invariants.feeds import MAPPINGS
from tests.invariants.test_acts import make_act, states
from tests.invariants.world import World, empty_store, take_in

AINO, MAIJA = Who("aino@example.org", "aino"), Who("aino@example.org", "maija")
DAY = timedelta(days=1)


class LosingCrm:
    """The CRM's client, which loses the answer that a consent to marketing was made; something happens before it is looked up."""

    def __init__(self, crm: Any, between: Callable[[], bool]) -> None:
        self._crm, self._between, self.lost = crm, between, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crm, name)

    def upsert_many(self, table: Any, rows: Sequence[Any]) -> Any:
        results = self._crm.upsert_many(table, rows)
        if table.logical_name != CONSENT.logical_name or self.lost or not self._between():
            return results
        self.lost += 1
        return [replace(result, outcome="unresolved") for result in results]


class LateCrm(LosingCrm):
    """The answer that a consent to marketing was made does not come, and the server makes it long after."""

    late: list[Any]

    def upsert_many(self, table: Any, rows: Sequence[Any]) -> Any:
        if self.lost or not any(row.get("msdynmkt_value") == OPTED_IN for row in rows):
            return self._crm.upsert_many(table, rows)
        self.lost += 1
        self.late = [table, list(rows)]
        self._between()
        return [RowResult(str(row[table.primary_key]), "unresolved", None, None, None) for row in rows]

    def carry_out(self) -> None:
        """What the server does at last."""
        self._crm.upsert_many(*self.late)


class LosingCorrections(LosingCrm):
    """It loses the answer that a contact was opened, which was done or (with `refused`) was not."""

    def __init__(self, crm: Any, between: Callable[[], bool], *, refused: bool = False) -> None:
        super().__init__(crm, between)
        self._refused = refused

    def upsert_many(self, table: Any, rows: Sequence[Any]) -> Any:
        return self._crm.upsert_many(table, rows)

    def update_if_match(self, table: Any, rows: Sequence[Any]) -> Any:
        opens = table.logical_name == CONTACT.logical_name and any(
            row.get("donotbulkemail") is False for row, _ in rows
        )
        if self.lost or not opens:
            return self._crm.update_if_match(table, rows)
        self.lost += 1
        if not self._refused:
            self._crm.update_if_match(table, rows)
        self._between()
        return [RowResult(str(row["contactid"]), "unresolved") for row, _ in rows]


def is_open(world: World) -> bool:
    (contact,) = (row for row in world.rows("contacts") if row["emailaddress1"] == AINO.address)
    return contact["donotbulkemail"] is False


def comes_back(world: World) -> Session:
    """Somebody who had left, in the CRM too, and has signed up again since."""
    world.perform([sign_up(1, AINO, T0), register(1, AINO, T0)])
    world.run()
    world.perform([answer(2, AINO, T0 + DAY, stop="Yes")])
    world.run()
    assert not is_open(world)
    world.perform([sign_up(3, AINO, T0 + 2 * DAY)])
    session = world.session()
    take_in(session)
    return session


def test_who_shuts_a_contact_in_the_crm_before_a_lost_correction_is_looked_up_keeps_it_shut(world: World) -> None:
    def shut() -> bool:
        set_crm_clock(world, T0 + 3 * DAY)
        assert is_open(world)
        edit_contact(world, AINO.address, donotbulkemail=True)
        return True

    session = comes_back(world)
    crm = LosingCorrections(world.crm, shut)
    sync_crm(session, crm)  # type: ignore[arg-type]
    assert crm.lost == 1
    for _ in range(2):
        world.run()
        assert not is_open(world)
    assert states(world)["marketing", ""] == "withdrawn"


def test_a_correction_that_was_never_made_is_made_after_its_answer_was_lost(world: World) -> None:
    session = comes_back(world)
    crm = LosingCorrections(world.crm, lambda: True, refused=True)
    sync_crm(session, crm)  # type: ignore[arg-type]
    assert crm.lost == 1 and is_open(world)
    assert states(world)["marketing", ""] == "granted"


def test_who_opts_out_in_the_crm_before_a_lost_answer_is_looked_up_is_not_opted_in_again(world: World) -> None:
    def opt_out() -> bool:
        if "" not in consents_of(world, AINO.address):
            return False
        set_crm_clock(world, T0 + 2 * DAY)
        edit_consent(world, AINO.address, msdynmkt_value=OPTED_OUT, msdynmkt_source=PREFERENCE_PAGE)
        return True

    world.perform([sign_up(1, AINO, T0)])
    session = world.session()
    take_in(session)
    crm = LosingCrm(world.crm, opt_out)
    sync_crm(session, crm)  # type: ignore[arg-type]
    assert crm.lost == 1
    assert not world.holds().consents[AINO.key, "marketing", ""]
    world.run()
    assert not world.holds().consents[AINO.key, "marketing", ""]
    assert states(world)["marketing", ""] == "withdrawn"


@pytest.mark.parametrize("by_run", [False, True])
def test_an_opt_in_that_the_server_makes_long_after_its_answer_was_lost_is_lowered_soon(
    world: World, by_run: bool
) -> None:
    def withdraw() -> bool:
        record_acts(world.session(), None, [make_act("withdraw", evidence={"wording": None})])
        return True

    world.perform([sign_up(1, AINO, T0)])
    take_in(world.session())
    crm = LateCrm(world.crm, withdraw)
    sync_crm(world.session(), crm)  # type: ignore[arg-type]
    if by_run:
        world.run()
    assert serve_calls(world.workspace, world.crm).served == 1
    assert not world.holds().consents[AINO.key, "marketing", ""]
    crm.carry_out()
    assert world.holds().consents[AINO.key, "marketing", ""]
    assert serve_calls(world.workspace, world.crm).taken == 0
    ((wait,),) = world.query("select due_at - clock_timestamp() from intake.narrow_call")
    assert timedelta(minutes=9) < wait <= timedelta(minutes=10)
    with world.owner.begin() as conn:
        conn.exec_driver_sql("update intake.narrow_call set due_at = clock_timestamp()")
        conn.exec_driver_sql("update intake.outbox_intent set lost_at = lost_at - interval '10 minutes'")
    assert serve_calls(world.workspace, world.crm).served == 1
    assert not world.holds().consents[AINO.key, "marketing", ""]
    assert world.query("select count(*) from intake.narrow_call") == [(0,)]


def test_whoever_is_erased_after_an_answer_was_lost_is_not_looked_at_again(world: World) -> None:
    def withdraw() -> bool:
        record_acts(world.session(), None, [make_act("withdraw", evidence={"wording": None})])
        return True

    world.perform([sign_up(1, AINO, T0)])
    take_in(world.session())
    sync_crm(world.session(), LateCrm(world.crm, withdraw))  # type: ignore[arg-type]
    serve_calls(world.workspace, world.crm)
    erase(world, AINO.address)
    world.run()
    assert world.query("select count(*) from intake.narrow_call") == [(0,)]


def flag(value: str, changed_at: Any) -> dict[str, str]:
    return {"Id": "p1", "Time": iso(T0), "Changed": iso(changed_at), **AINO.cells(), "Prohibited": value}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_prohibition_that_was_lifted_at_the_source_withdraws_in_whichever_order_it_comes(
    world: World, order: tuple[int, int]
) -> None:
    world.perform([sign_up(1, AINO, T0)])
    take_in(world.session())
    versions = [[flag("Yes", T0 + DAY)], [flag("", T0 + 2 * DAY)]]
    for number in order:
        world.receive("prohibitions", versions[number])
        take_in(world.session())
    assert states(world)["marketing", ""] == "withdrawn"
    world.perform([sign_up(2, AINO, T0 + 3 * DAY)])
    world.receive("prohibitions", [*versions[0], flag("Yes", T0 + timedelta(hours=30))])
    take_in(world.session())
    assert states(world)["marketing", ""] == "granted", "what is known is no news"


def test_a_flag_that_was_no_news_in_its_time_is_none_when_its_file_is_read_again(world: World) -> None:
    noise = {**flag("Perhaps", T0), "Id": "p2"}
    world.receive("prohibitions", [flag("Yes", T0 + DAY)])
    take_in(world.session())
    world.perform([sign_up(1, AINO, T0 + timedelta(hours=36))])
    world.receive("prohibitions", [{**flag("Yes", T0 + 2 * DAY), "Last": "Edited"}, noise])
    take_in(world.session())
    world.receive("prohibitions", [flag("", T0 + 3 * DAY)])
    take_in(world.session())
    assert states(world)["marketing", ""] == "granted"
    retry(world.session())
    assert states(world)["marketing", ""] == "granted"


def test_a_late_flag_is_not_what_one_in_time_is_compared_with(world: World) -> None:
    unheard = flag("Forbidden", T0 + 4 * DAY)
    world.receive("prohibitions", [flag("Yes", T0 + DAY), {**flag("Perhaps", T0), "Id": "p2"}])
    take_in(world.session())
    world.receive("prohibitions", [flag("", T0 + 2 * DAY)])
    take_in(world.session())
    world.perform([sign_up(1, AINO, T0 + 3 * DAY)])
    world.receive("prohibitions", [unheard])
    take_in(world.session())
    assert states(world)["marketing", ""] == "granted"
    consent = {**MAPPINGS["prohibitions"]["consents"][0], "grants": ["Yes", "Forbidden"]}
    world.with_mapping("prohibitions", consents=[consent])
    retry(world.session())
    assert states(world)["marketing", ""] == "withdrawn"


def test_a_registration_that_is_cancelled_again_by_the_same_export_as_before_is_cancelled(world: World) -> None:
    world.with_mapping("courses", changed_at=None, consents=[], ignored=["Changed", "Marketing", "Marketing changed"])
    rows = [[register(1, AINO, T0, status=status).row, register(2, MAIJA, T0).row] for status in ("out", "in")]
    found = []
    for day, which in enumerate((1, 0, 1, 0, 0)):
        world.at(NOW + day * DAY)
        world.receive("courses", rows[which], at=NOW + day * DAY)
        take_in(world.session())
        found += world.query("select status from intake.registration where submission_id like '%1'")
    assert [status for (status,) in found] == ["active", "cancelled", "active", "cancelled", "cancelled"]


def test_an_act_from_before_an_erasure_counts_for_nobody_who_came_back(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    erase(world, AINO.address)
    world.at(NOW + DAY)
    world.perform([register(1, AINO, NOW + timedelta(hours=1))], at=NOW + timedelta(hours=2))
    world.run()
    with pytest.raises(ActRefused) as refused:
        record_acts(world.session(), None, [make_act(occurred_at=T0 + DAY)])
    assert refused.value.code == "erased"
    assert record_acts(world.session(), None, [make_act("withdraw", occurred_at=T0 + DAY, evidence={"wording": None})])
    assert record_acts(world.session(), None, [make_act(occurred_at=NOW + timedelta(hours=3))])
    assert states(world)["marketing", ""] == "granted"


def test_whoever_was_erased_at_a_shared_address_does_not_come_back_by_an_old_act_or_copy(
    world: World, tmp_path: Any
) -> None:
    world.perform([sign_up(1, AINO, T0), sign_up(2, MAIJA, T0)])
    world.run()
    export_ledger(world.session(), tmp_path / "ledger")
    ((aino,),) = world.query("select person_id from intake.person where given_name = 'Aino'")
    erase(world, person=str(aino))
    world.at(NOW + DAY)
    with pytest.raises(ActRefused) as refused:
        record_acts(world.session(), None, [make_act(occurred_at=T0 + DAY, given_name="Aino")])
    assert refused.value.code == "erased"
    import_ledger(world.session(), tmp_path / "ledger")
    assert world.query("select given_name from intake.person") == [("Maija",)]


def test_whoever_was_erased_at_a_shared_address_does_not_come_back_by_a_copy_in_a_new_store(
    world: World, tmp_path: Any
) -> None:
    world.perform([sign_up(1, AINO, T0), sign_up(2, MAIJA, T0), answer(3, AINO, T0 + DAY, stop="Yes")])
    world.run()
    export_ledger(world.session(), tmp_path / "ledger")
    ((aino,),) = world.query("select person_id from intake.person where given_name = 'Aino'")
    erase(world, person=str(aino))
    left = states(world)
    empty_store(world.owner)
    with alone(session := Session(world.workspace)):
        replay(session)
    assert import_ledger(world.session(), tmp_path / "ledger") == {"known": 0, "erased": 3, "added": 1}
    assert traces(world, "virtanen") == set()
    assert world.query("select distinct given_key from intake.subject") == [("maija",)]
    assert states(world) == left
    assert left["marketing", ""] == "granted", "Maija's"


def test_what_staff_take_down_is_told_to_the_crm_at_once(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), register(1, AINO, T0)])
    world.run()
    assert world.holds().consents[AINO.key, "marketing", ""]
    told = make_act("withdraw", clock="spoken", evidence={"wording": None, "request_reference": uuid4().hex})
    record_acts(world.session(), None, [told])
    assert serve_calls(world.workspace, world.crm).served == 1
    assert not world.holds().consents[AINO.key, "marketing", ""]


def test_a_restriction_and_its_end_are_told_to_the_crm_at_once(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), register(1, AINO, T0)])
    world.run()

    def forbids() -> bool:
        return bool(world.holds().contacts[AINO.key, "aino"]["donotbulkemail"])

    session = world.session()
    with session.transaction() as conn:
        scope = find_person(conn, address=AINO.address)
    assert not forbids()
    restrict(session, scope, reason="accuracy contested", by="Tiina Tietosuoja")
    assert serve_calls(world.workspace, world.crm).served == 1 and forbids()
    lift(session, scope)
    assert serve_calls(world.workspace, world.crm).served == 1 and not forbids()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_withdrawal_that_quarantine_gives_back_is_told_to_the_crm_at_once(world: World, at_once: bool) -> None:
    world.perform([sign_up(1, AINO, T0), answer(2, AINO, T0 + DAY).written(Stop="Never")])
    world.run()
    assert world.holds().consents[AINO.key, "marketing", ""]
    stop = {**MAPPINGS["answers"]["consents"][-1], "grants": ["Yes", "Never"]}
    world.with_mapping("answers", consents=[*MAPPINGS["answers"]["consents"][:-1], stop])
    ((entry,),) = world.query("select quarantine_id from intake.quarantine where state = 'open'")
    retry(world.session(), None if at_once else entry)
    assert serve_calls(world.workspace, world.crm).served == 1
    assert not world.holds().consents[AINO.key, "marketing", ""]

"""What people change in the CRM is in the ledger before the next plan, and no older file undoes it (I13, rule 10)."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
import sqlalchemy as sa

from connectors.store import narrow_calls
from pipelines.operations.narrow_sync import serve_calls
from pipelines.operations.planning import make_plan
from pipelines.operations.readback import read_back
from pipelines.operations.sessions import rehearse
from pipelines.operations.status import check_status
from schemas.errors import StoreError
from schemas.intents import Intent
from schemas.policy import RegisteredProfile
from schemas.tables import ConsentValue
from tests.invariants.acts import NOW, T0, Act, Who, answer, register, sign_up
from tests.invariants.crm_hands import (
    CENTRE,
    INACTIVE,
    INTERNAL,
    LIST_UNSUBSCRIBE,
    OPTED_IN,
    OPTED_OUT,
    PREFERENCE_PAGE,
    assert_settled,
    consents_of,
    contact_of,
    delete_consent,
    edit_consent,
    edit_contact,
    events_at,
    is_opted_in,
    new_consent,
    new_contact,
    set_crm_clock,
)
from tests.invariants.test_plan import predicted, written
from tests.invariants.world import CONSENTS, World, take_in

NOT_SET = int(ConsentValue.NOT_SET)
DAY = timedelta(days=1)
PROFILE = "9a4d2f10-0000-4000-8000-00000000000c"


def address(name: str) -> str:
    return f"{name}@example.org"


def subscribe(world: World, *names: str) -> list[Act]:
    """Everybody signs up, the CRM has it, and dates what comes after as of two days later."""
    acts = [sign_up(n, Who(address(name), "aino"), T0) for n, name in enumerate(names)]
    world.perform(acts)
    world.run()
    assert all(is_opted_in(world, address(name)) for name in names)
    set_crm_clock(world, T0 + 2 * DAY)
    return acts


def delta_links(world: World) -> dict[str, str]:
    return dict(world.query("select table_name, delta_link from intake.crm_cursor"))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("https://[^/]+/", "https://old.example.org/"),
        ("deltatoken=.*", "deltatoken=nonsense"),
        ("/contacts", "/people"),
    ],
)
def test_a_kept_link_that_leads_nowhere_means_a_full_reading_and_holds_back_no_withdrawal(
    world: World, caplog: pytest.LogCaptureFixture, was: str, becomes: str
) -> None:
    subscribe(world, "here", "there")
    links = delta_links(world)
    with world.owner.begin() as conn:
        change = sa.text("update intake.crm_cursor set delta_link = regexp_replace(delta_link, :was, :becomes)")
        conn.execute(change, {"was": was, "becomes": becomes})
    edit_contact(world, address("there"), donotbulkemail=True)
    world.perform([answer(9, Who(address("here"), "aino"), T0 + DAY, stop="Yes")])
    world.run()
    assert not is_opted_in(world, address("here")) and not is_opted_in(world, address("there"))
    assert delta_links(world).keys() == links.keys()
    assert becomes not in " ".join(delta_links(world).values())
    assert "contact is read in full" in caplog.text


def test_i13_what_is_withdrawn_in_the_crm_is_in_the_ledger_and_no_older_file_undoes_it(world: World) -> None:
    names = ["flag", "page", "oneclick", "nomail", "inactive", "deleted", "topic", "unrelated"]
    acts = subscribe(world, *names)
    edit_contact(world, address("flag"), donotbulkemail=True)
    edit_consent(world, address("page"), msdynmkt_value=OPTED_OUT, msdynmkt_source=PREFERENCE_PAGE)
    edit_consent(world, address("oneclick"), msdynmkt_value=OPTED_OUT, msdynmkt_source=LIST_UNSUBSCRIBE)
    edit_contact(world, address("nomail"), donotemail=True)
    edit_consent(world, address("inactive"), **INACTIVE)
    delete_consent(world, address("deleted"))
    edit_consent(world, address("topic"), "rdi", msdynmkt_value=OPTED_OUT)
    edit_contact(world, address("unrelated"), jobtitle="Planner")
    edit_consent(world, address("unrelated"), msdynmkt_reason="seen by the desk")
    world.run()
    whole, related = ("marketing", "", "withdraw"), ("related_events", "", "withdraw")
    assert events_at(world, address("flag")) == [(*whole, "staff")]
    assert events_at(world, address("page")) == [(*whole, "subject"), (*related, "subject")]
    assert events_at(world, address("oneclick")) == [(*whole, "subject"), (*related, "subject")]
    assert events_at(world, address("nomail")) == [(*whole, "staff"), (*related, "staff")]
    assert events_at(world, address("inactive")) == events_at(world, address("deleted")) == [(*whole, "staff")]
    assert events_at(world, address("topic")) == [("marketing", "rdi", "withdraw", "staff")]
    assert events_at(world, address("unrelated")) == []
    dates = {at for (at,) in world.query("select occurred_at from intake.consent_event where source = 'dataverse'")}
    assert {at.date() for at in dates} <= {(T0 + 2 * DAY).date(), NOW.date()}
    assert consents_of(world, address("page"))[""]["msdynmkt_source"] == PREFERENCE_PAGE
    world.perform([*acts, *(sign_up(50 + n, Who(address(name), "aino"), T0 + DAY) for n, name in enumerate(names))])
    world.run()
    assert [name for name in names if is_opted_in(world, address(name))] == ["topic", "unrelated"]
    assert consents_of(world, address("topic"))["rdi"]["msdynmkt_value"] == OPTED_OUT
    assert consents_of(world, address("deleted"))[""]["msdynmkt_value"] == OPTED_OUT
    assert_settled(world)


def test_a_delta_link_is_kept_byte_for_byte_and_followed_and_when_too_old_all_is_compared(world: World) -> None:
    subscribe(world, "flag", "deleted", "kept")
    world.run()
    first = delta_links(world)
    since = world.emulator.control.last_sequence()
    world.run()
    followed = [entry for entry in world.requests(since) if "deltatoken" in str(entry)]
    assert {link.partition("/api/data/v9.2/")[2].partition("?")[0] for link in first.values()} == {
        entry["path"] for entry in followed
    }
    assert not world.query("select from intake.consent_event where source = 'dataverse'"), "our own is no event"
    edit_contact(world, address("flag"), donotbulkemail=True)
    delete_consent(world, address("deleted"))
    set_crm_clock(world, T0 + 100 * DAY)
    world.run()
    assert events_at(world, address("flag")) == events_at(world, address("deleted"))
    assert [is_opted_in(world, address(name)) for name in ("flag", "deleted", "kept")] == [False, False, True]
    assert_settled(world)


def test_a_rehearsal_reads_the_same_and_moves_no_cursor_nor_does_a_reading_that_is_not_kept(world: World) -> None:
    subscribe(world, "flag")
    edit_contact(world, address("flag"), donotbulkemail=True)
    links, counts = delta_links(world), world.counts()
    with rehearse(world.workspace) as session:
        assert read_back(session, world.crm) == 1
        with session.transaction() as conn:
            assert {table for _, table in make_plan(session, conn).tally} == {
                "msdynmkt_contactpointconsent4",
                "contact",
            }
    assert (delta_links(world), world.counts()) == (links, counts)
    with world.owner.begin() as conn:
        conn.exec_driver_sql("alter table intake.crm_cursor add constraint ck_stuck check (false) not valid")
    try:
        with pytest.raises(StoreError):
            read_back(world.session(), world.crm)
    finally:
        with world.owner.begin() as conn:
            conn.exec_driver_sql("alter table intake.crm_cursor drop constraint ck_stuck")
    assert events_at(world, address("flag")) == []
    world.run()
    assert not is_opted_in(world, address("flag"))


def test_an_opt_in_made_in_the_crm_is_a_grant_only_by_the_subject_under_a_registered_wording(world: World) -> None:
    world.perform([register(n, Who(address(name), "aino"), T0) for n, name in enumerate(["staff", "centre", "topic"])])
    world.run()
    out = [new_consent(world, address("elsewhere"), value=OPTED_OUT, source=INTERNAL)]
    world.run()
    new_consent(world, address("staff"), value=OPTED_IN, source=INTERNAL)
    unregistered = new_consent(world, address("centre"), value=OPTED_IN, source=CENTRE)
    world.emulator.control.edit(CONSENTS, out[0], {"msdynmkt_value": OPTED_IN})
    world.run()
    assert value_of(world, unregistered) == value_of(world, out[0]) == OPTED_OUT, "lowered again"
    assert events_at(world, address("centre")) == []
    findings = world.query("select kind, detail from intake.crm_finding order by kind, row_id")
    assert {tuple(one) for one in findings} == {("staff_opt_in", ""), ("unregistered_opt_in", "no profile")}
    assert any("registered_profiles" in alarm for alarm in check_status(world.session()).alarms)
    register_wording(world)
    new_consent(world, address("topic"), value=OPTED_IN, source=CENTRE)
    world.run()
    assert events_at(world, address("topic")) == [("marketing", "", "grant", "subject")]
    evidence = (
        "select w.text, v.notice_version, v.channel from intake.consent_evidence v"
        " join intake.consent_wording w using (wording_hash) where v.channel = 'crm'"
    )
    assert world.query(evidence) == [("I want your newsletter.", "2026-05", "crm")]
    assert contact_of(world, address("topic"))["donotbulkemail"] is False


def value_of(world: World, row_id: str) -> int:
    """What a consent row says."""
    (row,) = (row for row in world.rows(CONSENTS) if row["msdynmkt_contactpointconsent4id"] == row_id)
    return int(row["msdynmkt_value"])


def opt_in_by_staff(world: World, row_id: str) -> None:
    """Staff, an import or a flow open a consent row."""
    world.emulator.control.edit(CONSENTS, row_id, {"msdynmkt_value": OPTED_IN, "msdynmkt_source": INTERNAL})


@pytest.fixture
def left(world: World) -> str:
    """Somebody left of whom the CRM had a consent row by itself; gives the row, which is lowered."""
    row_id = new_consent(world, address("left"), value=OPTED_IN, source=INTERNAL)
    world.perform([sign_up(1, Who(address("left"), "aino"), T0)])
    world.run()
    world.perform([answer(2, Who(address("left"), "aino"), T0 + DAY, stop="Yes")])
    world.run()
    assert value_of(world, row_id) == OPTED_OUT
    return row_id


def test_a_row_that_the_crm_had_by_itself_is_lowered_again_when_staff_open_it(world: World, left: str) -> None:
    opt_in_by_staff(world, left)
    world.run()
    assert value_of(world, left) == OPTED_OUT
    assert_settled(world)
    world.emulator.control.edit(CONSENTS, left, {"msdynmkt_value": NOT_SET})
    world.run()
    assert value_of(world, left) == OPTED_OUT
    assert_settled(world)


def test_whoever_leaves_again_closes_the_row_that_staff_opened_at_once(world: World, left: str) -> None:
    opt_in_by_staff(world, left)
    world.perform([answer(3, Who(address("left"), "aino"), T0 + 2 * DAY, stop="Yes")])
    take_in(world.session())
    with world.workspace.transaction() as conn:
        found = conn.execute(sa.text("select contact_point_id from intake.contact_point")).scalars()
        narrow_calls.call(conn, list(found))
    assert serve_calls(world.workspace, world.crm).served == 1
    assert value_of(world, left) == OPTED_OUT
    assert_settled(world)


@pytest.mark.usefixtures("left")
def test_a_row_that_staff_make_where_somebody_left_is_lowered_and_elsewhere_it_is_left(world: World) -> None:
    made = [new_consent(world, address(name), value=OPTED_IN, source=INTERNAL) for name in ("left", "nobody")]
    world.run()
    assert [value_of(world, one) for one in made] == [OPTED_OUT, OPTED_IN]
    assert_settled(world)
    world.perform([answer(3, Who(address("nobody"), "aino"), T0 + 2 * DAY, stop="Yes")])
    world.run()
    assert value_of(world, made[1]) == OPTED_OUT, "it was known before its address was"
    assert_settled(world)


def register_wording(world: World) -> None:
    """The CRM's own centre shows a wording that the policy knows, so that an opt-in made there is a grant."""
    purpose = world.workspace.policy.crm.purposes["marketing"].purpose_id
    profile = RegisteredProfile(wording="I want your newsletter.", language="en", version="3", notice_version="2026-05")
    policy = world.workspace.policy
    crm = policy.crm.model_copy(update={"registered_profiles": {UUID(PROFILE): profile}})
    world.with_policy(policy.model_copy(update={"crm": crm}))
    settings = {"msdynmkt_compliancesettings4id": PROFILE, "msdynmkt_name": "Newsletter"}
    world.emulator.control.seed({"msdynmkt_compliancesettings4s": [settings]})
    values = {"_msdynmkt_uionlycomplianceprofilelookup_value": PROFILE}
    world.emulator.control.edit("msdynmkt_purposes", str(purpose), values)


def test_what_staff_open_of_a_row_last_written_by_unsubscribing_is_no_grant_of_the_subject(world: World) -> None:
    register_wording(world)
    world.perform([sign_up(1, Who(address("left"), "aino"), T0)])
    world.run()
    edit_consent(world, address("left"), msdynmkt_value=OPTED_OUT, msdynmkt_source=LIST_UNSUBSCRIBE)
    world.run()
    edit_consent(world, address("left"), msdynmkt_value=OPTED_IN)
    world.run()
    assert {value for _, _, value, _ in events_at(world, address("left"))} == {"withdraw"}
    assert not is_opted_in(world, address("left"))
    assert_settled(world)


class WhileConsentsAreRead:
    """The CRM's client, where somebody makes a consent row once the delta link of that table was given."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self._name = world, name
        self.made: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.crm, name)

    def iter_changes(self, table: Any, *arguments: Any) -> Iterator[Any]:
        yield from list(self._world.crm.iter_changes(table, *arguments))
        if table.entity_set == CONSENTS:
            self.made.append(new_consent(self._world, address(self._name), value=OPTED_IN, source=CENTRE))
            time.sleep(1.1)  # The CRM tells whole seconds.


@pytest.mark.parametrize("is_registered", [True, False])
def test_an_opt_in_made_while_the_crm_is_read_is_told_by_the_next_reading(world: World, is_registered: bool) -> None:
    world.with_policy(world.workspace.policy.model_copy(update={"clock_skew_s": 0}))
    if is_registered:
        register_wording(world)
    world.perform([register(1, Who(address("centre"), "aino"), T0)])
    world.run()
    crm = WhileConsentsAreRead(world, "centre")
    read_back(world.session(), crm)
    assert events_at(world, address("centre")) == []
    world.run()
    granted = [("marketing", "", "grant", "subject")]
    assert events_at(world, address("centre")) == (granted if is_registered else [])
    assert value_of(world, crm.made[0]) == (OPTED_IN if is_registered else OPTED_OUT)


def test_an_opt_in_is_new_in_a_crm_whose_clock_is_a_little_behind(world: World) -> None:
    register_wording(world)
    world.perform([register(1, Who(address("centre"), "aino"), T0)])
    world.run()
    set_crm_clock(world, datetime.now(UTC) - timedelta(minutes=2))
    new_consent(world, address("centre"), value=OPTED_IN, source=CENTRE)
    world.run()
    assert events_at(world, address("centre")) == [("marketing", "", "grant", "subject")]


def test_a_suppressed_address_is_suppressed_on_every_contact_of_the_crm_and_only_lowered(world: World) -> None:
    subscribe(world, "gone", "stays")
    first = new_contact(world, emailaddress1="Gone@Example.org", donotbulkemail=False, firstname="Somebody")
    second = new_contact(world, emailaddress1=address("other"), emailaddress3="gone@example.ORG")
    apart = new_contact(world, emailaddress1=address("apart"), donotbulkemail=False)
    edit_consent(world, address("gone"), msdynmkt_value=OPTED_OUT, msdynmkt_source=LIST_UNSUBSCRIBE)
    before = written(world)
    with rehearse(world.workspace) as session:
        read_back(session, world.crm)
        with session.transaction() as conn:
            intents: list[Intent] = []
            make_plan(session, conn, each=intents.append)
    plan = sorted((int(i.phase), str(i.row_id)) for i in intents)
    world.run()
    after = written(world)
    for row in before:
        after.remove(row)
    assert sorted((row[0], row[3]) for row in after) == plan, "the plan had every lowering"
    flags = {row["contactid"]: row["donotbulkemail"] for row in world.rows("contacts")}
    assert (flags[first], flags[second], flags[apart]) == (True, True, False)
    late = new_contact(world, emailaddress2=address("gone"), emailaddress1=address("late"))
    world.emulator.control.edit("contacts", first, {"donotbulkemail": False})
    world.run()
    flags = {row["contactid"]: row["donotbulkemail"] for row in world.rows("contacts")}
    assert (flags[first], flags[late]) == (True, True), "whoever bears it later, or lifts the flag"
    assert_settled(world)
    world.perform([sign_up(70, Who(address("gone"), "aino"), NOW - timedelta(hours=1))])
    world.run()
    flags = {row["contactid"]: row["donotbulkemail"] for row in world.rows("contacts")}
    assert contact_of(world, address("stays"))["donotbulkemail"] is False
    assert (flags[first], flags[second], flags[late]) == (True, True, True), "never raised by us"
    assert world.query("select count(*) from intake.crm_row where table_name = 'contact' and not is_ours") == [(3,)]
    assert not predicted(world)
    urls = [unquote(str(request["path"]) + str(request["query"])) for request in world.emulator.control.requests()]
    assert urls
    assert not [url for url in urls if "example." in url.lower()], "an address in a URL ends in somebody's log"


@pytest.mark.parametrize("later", [False, True])
def test_a_stranger_filed_under_one_address_is_shut_by_the_withdrawal_at_another_that_it_bears(
    world: World, later: bool
) -> None:
    anna, zoe = Who("anna@example.org", "aino"), Who("zoe@example.org", "maija")
    second = {} if later else {"emailaddress2": zoe.address}
    stranger = new_contact(world, emailaddress1=anna.address, firstname="Olli", donotbulkemail=False, **second)
    world.perform([register(1, anna, T0), sign_up(2, zoe, T0)])
    world.run()
    world.perform([answer(3, zoe, T0 + timedelta(days=1), stop="Yes")])
    world.run()
    if later:
        set_crm_clock(world, T0 + timedelta(days=2))
        world.emulator.control.edit("contacts", stranger, {"emailaddress3": zoe.address})
        world.run()
    (found,) = (row for row in world.rows("contacts") if row["contactid"] == stranger)
    assert found["donotbulkemail"] is True
    assert world.run().sync.plan.counts() == {}

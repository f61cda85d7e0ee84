"""Withdrawals that people make in the CRM are in the ledger before the next plan, and no older file undoes them (I13)."""

from datetime import timedelta

from schemas.tables import ConsentValue
from tests.invariants.acts import T0, Who, sign_up
from tests.invariants.wire import CONSENTS
from tests.invariants.world import World

PREFERENCE_PAGE = 534120001


def _signed_up(world: World) -> Who:
    who = Who("aino@example.org", "aino")
    world.perform([sign_up(1, who, T0)])
    world.run()
    assert [row["donotbulkemail"] for row in world.rows("contacts")] == [False]
    return who


def _purpose_row(world: World) -> dict[str, object]:
    marketing = str(world.workspace.policy.crm.purposes["marketing"].purpose_id)
    rows = world.rows(CONSENTS)
    return next(r for r in rows if r["_msdynmkt_purposeid_value"] == marketing and not r.get("_msdynmkt_topicid_value"))


def _opted_in(world: World) -> list[object]:
    return [row for row in world.rows(CONSENTS) if row["msdynmkt_value"] == ConsentValue.OPTED_IN]


def test_i13_a_flag_set_by_staff_in_the_crm_withdraws_and_an_older_file_does_not_undo_it(world: World) -> None:
    who = _signed_up(world)
    contact = world.rows("contacts")[0]
    world.emulator.control.edit("contacts", str(contact["contactid"]), {"donotbulkemail": True})
    world.run()
    assert world.query("select actor from intake.consent_event where source = 'dataverse'") == [("staff",)]
    assert not _opted_in(world)
    world.perform([sign_up(2, who, T0 - timedelta(days=3))])
    world.run()
    assert not _opted_in(world)
    assert all(row["donotbulkemail"] for row in world.rows("contacts"))


def test_i13_an_opt_out_on_the_preference_page_of_the_crm_is_the_subjects_own(world: World) -> None:
    _signed_up(world)
    row = _purpose_row(world)
    out = {"msdynmkt_value": int(ConsentValue.OPTED_OUT), "msdynmkt_source": PREFERENCE_PAGE}
    world.emulator.control.edit(CONSENTS, str(row["msdynmkt_contactpointconsent4id"]), out)
    world.run()
    told = "select purpose, actor, reason from intake.consent_event where source = 'dataverse' order by purpose"
    assert world.query(told) == [("marketing", "subject", "crm"), ("related_events", "subject", "crm")]
    assert not _opted_in(world)
    assert _purpose_row(world)["msdynmkt_source"] == PREFERENCE_PAGE


def test_i13_what_we_wrote_ourselves_is_no_event_when_it_is_read_back(world: World) -> None:
    _signed_up(world)
    world.run()
    assert world.query("select count(*) from intake.consent_event where source = 'dataverse'") == [(0,)]

"""Opt-ins that the CRM had before: left alone until there is evidence of them, or until somebody cuts over by name."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.operations import cutover
from pipelines.operations.evidence import bring_evidence
from pipelines.operations.reconciliation import reconcile
from pipelines.operations.sessions import Session
from schemas.errors import ApprovalRequired, BatchRefused
from tests.invariants.acts import T0, register, sign_up
from tests.invariants.test_adoption import AINO, IN, OUT, consent, contact, contacts, in_order, seed
from tests.invariants.wire import CONSENTS
from tests.invariants.world import World

TITLES = "address,given_name,family_name,given_at,method,wording,version,collected_by"
FULL = "aino@example.org,Aino,Virtanen,2026-05-02T10:00:00Z,paper form,I want the newsletter.,2024-1,Desk 1"


def listed(world: World, *rows: str, titles: str = TITLES) -> Path:
    path = world.directory / "evidence.csv"
    path.write_text("\n".join([titles, *rows, ""]), encoding="utf-8")
    return path


def kalle(**changes: Any) -> dict[str, Any]:
    return contact("Kalle", None, **{"emailaddress1": "kalle@example.org", **changes})


def test_a_full_record_makes_a_grant_and_the_contact_is_the_persons(world: World) -> None:
    [known] = seed(world, contact(), consents=(consent(world, IN),))
    outcome = bring_evidence(world.session(), listed(world, FULL))
    assert (outcome.rows, outcome.grants, outcome.refused) == (1, 1, [])
    world.run()
    assert list(contacts(world)) == [known]
    assert contacts(world)[known]["donotbulkemail"] is False
    event = world.query(
        "select e.value, e.actor, e.occurred_at::text, v.notice_version, v.collected_by, v.method, w.text, w.version"
        " from intake.consent_event e join intake.consent_evidence v using (event_key)"
        " join intake.consent_wording w using (wording_hash)"
    )
    evidence = ("2024-1", "Desk 1", "paper form", "I want the newsletter.", "2024-1")
    assert event == [("grant", "staff_on_behalf", "2026-05-02 10:00:00+00", *evidence)]
    in_order(world)


def test_evidence_undoes_no_later_opt_out_of_the_crm(world: World) -> None:
    seed(world, contact(donotbulkemail=True))
    bring_evidence(world.session(), listed(world, FULL))
    world.run()
    assert all(row["donotbulkemail"] for row in world.rows("contacts"))
    assert IN not in {row["msdynmkt_value"] for row in world.rows(CONSENTS)}


def test_the_same_list_twice_is_the_list_once(world: World) -> None:
    for _ in range(2):
        bring_evidence(world.session(), listed(world, FULL))
    assert world.query("select count(*) from intake.consent_event") == [(1,)]


@pytest.mark.parametrize(
    ("removed", "column", "reason"),
    [
        ("aino@example.org", "email", "email_missing"),
        ("2026-05-02T10:00:00Z", "spoken.said_at", "spoken_incomplete"),
        ("paper form", "spoken.method", "spoken_incomplete"),
        ("I want the newsletter.", "spoken.wording", "spoken_incomplete"),
        ("2024-1", "version", "spoken_incomplete"),
        ("Desk 1", "spoken.collected_by", "spoken_incomplete"),
    ],
)
def test_i18_a_row_without_its_full_record_is_refused_with_the_reason(
    world: World, removed: str, column: str, reason: str
) -> None:
    outcome = bring_evidence(world.session(), listed(world, FULL, FULL.replace(removed, "")))
    assert outcome.grants == 1
    assert outcome.refused == [{"row_no": 2, "column": column, "reason": reason}]


def test_i18_evidence_under_a_notice_that_the_policy_does_not_have_is_refused(world: World) -> None:
    outcome = bring_evidence(world.session(), listed(world, FULL.replace("2024-1", "2019"), FULL))
    assert outcome.grants == 1
    assert outcome.refused == [{"row_no": 1, "column": "version", "reason": "unknown_notice"}]


def test_a_role_address_and_an_unknown_purpose_are_refused(world: World) -> None:
    titles = f"{TITLES},purpose"
    rows = [f"{FULL.replace('aino@', 'info@')},marketing", f"{FULL},banquets"]
    outcome = bring_evidence(world.session(), listed(world, *rows, titles=titles))
    assert [(r["row_no"], r["reason"]) for r in outcome.refused] == [(1, "role_address"), (2, "unknown_purpose")]
    assert world.query("select count(*) from intake.consent_event") == [(0,)]


def test_a_list_without_its_columns_is_refused_whole(world: World) -> None:
    with pytest.raises(BatchRefused, match="wording"):
        bring_evidence(world.session(), listed(world, "a@example.org", titles="address"))


def test_the_cut_over_opts_out_what_has_no_evidence_and_nothing_else(world: World) -> None:
    known = seed(
        world, contact(), kalle(), consents=(consent(world, IN, msdynmkt_contactpointvalue="kalle@example.org"),)
    )
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    proposal = cutover.propose(world.session(), world.crm)
    assert proposal.counts == {"contact": 1, "msdynmkt_contactpointconsent4": 1}
    assert contacts(world)[known[1]]["donotbulkemail"] is False
    cutover.cut_over(world.session(), world.crm, proposal.cutover_id, by="Data Protection Officer")
    world.run()
    assert [contacts(world)[row_id]["donotbulkemail"] for row_id in known] == [False, True]
    his = [r for r in world.rows(CONSENTS) if r["msdynmkt_contactpointvalue"] == "kalle@example.org"]
    assert {row["msdynmkt_value"] for row in his} == {OUT}
    assert world.query("select approved_by from intake.crm_cutover") == [("Data Protection Officer",)]
    assert cutover.propose(world.session(), world.crm).counts == {}
    in_order(world)


def test_only_the_very_dry_run_that_somebody_saw_is_approved(world: World) -> None:
    seed(world, kalle())
    proposal = cutover.propose(world.session(), world.crm)
    seed(world, kalle(emailaddress1="maija@example.org"))
    with pytest.raises(ApprovalRequired, match="not what the CRM holds now"):
        cutover.cut_over(world.session(), world.crm, proposal.cutover_id, by="Officer")
    with pytest.raises(ApprovalRequired):
        cutover.cut_over(world.session(), world.crm, "0" * 12, by="Officer")
    assert world.query("select count(*) from intake.consent_event") == [(0,)]


def test_after_the_cut_over_an_open_contact_without_a_decision_is_lowered_too(world: World) -> None:
    proposal = cutover.propose(world.session(), world.crm)
    cutover.cut_over(world.session(), world.crm, proposal.cutover_id, by="Officer")
    [known] = seed(world, contact(), consents=(consent(world, IN),))
    world.perform([register(1, AINO, T0)])
    world.run()
    assert contacts(world)[known]["donotbulkemail"] is True
    assert IN not in {row["msdynmkt_value"] for row in world.rows(CONSENTS)}
    in_order(world)


def test_after_the_cut_over_an_opt_in_of_a_stranger_is_a_difference(world: World) -> None:
    seed(world, kalle())
    assert reconcile(Session(world.workspace), world.crm).unexplained == []
    proposal = cutover.propose(world.session(), world.crm)
    cutover.cut_over(world.session(), world.crm, proposal.cutover_id, by="Officer")
    world.run()
    seed(world, kalle(emailaddress1="new@example.org"))
    [(table, _, kind)] = reconcile(Session(world.workspace), world.crm).unexplained
    assert (table, kind) == ("contact", "without_evidence")

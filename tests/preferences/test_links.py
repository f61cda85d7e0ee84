"""Links of a mailing and of the CRM's column: withdraw-only, without an address, the same after a rotation."""

import csv
import json
from pathlib import Path

import dagster as dg
from typer.testing import CliRunner

from connectors.store import narrow_calls
from pipelines.cli import APP
from pipelines.definitions import build_definitions
from pipelines.operations.preference_links import fill_links, mailing_links
from pipelines.operations.reconciliation import reconcile
from pipelines.operations.rotation import USES
from pipelines.operations.sessions import Session
from pipelines.resources import LentWorkspace
from pipelines.transforms.preference_links import LinkKey, Scope, keys_by_mark, sign_token, token_in, withdraws_for
from tests.invariants.acts import Who
from tests.invariants.erasing import erase
from tests.invariants.test_adopting_commands import Says
from tests.preferences.people import AINO, House, paid_course, subscribed

MAIJA = Who("maija@example.org", "maija")
COLUMN = "crmi_preferencelink"
PAGE = "https://preferences.example.org"


def test_each_contact_carries_its_link_and_a_mailing_gets_the_same(house: House) -> None:
    house.reset(*subscribed(AINO, MAIJA), in_crm=True)
    held = {row["emailaddress1"]: row[COLUMN] for row in house.world.rows("contacts")}
    assert held[AINO.address] == f"{PAGE}/p/{house.token()}"
    made = mailing_links(Session(house.world.workspace), house.world.crm, purpose="marketing", topic="events")
    assert {row["link"] for row in made.rows} == set(held.values()) and not made.left_out
    assert not any("@" in value for row in made.rows for value in row.values())
    (mine,) = [row for row in made.rows if row["link"] == held[AINO.address]]
    assert mine["List-Unsubscribe"] == f"<{PAGE}/one-click/{house.token()}>"
    assert mine["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert house.get(f"/p/{token_in(mine['link'])}").status_code == 200
    house.post(f"/p/{house.token()}/topic", data={"topic": "events"})
    later = mailing_links(Session(house.world.workspace), house.world.crm, purpose="marketing", topic="events")
    assert len(later.rows) == 1 and later.left_out == {"not_agreed": 1}


def test_the_commands_make_a_file_of_links_and_follow_the_door(house: House, tmp_path: Path) -> None:
    house.reset(*subscribed(AINO, MAIJA), in_crm=True)
    environment = Says(house.world).environment

    def said(*words: str) -> str:
        result = CliRunner().invoke(APP, ["preferences", *words], env=environment)
        assert result.exit_code == 0, result.output
        return str(result.output)

    path = tmp_path / "links.csv"
    assert "2 links. Contacts left out: none." in said("links", "--topic", "events", "-o", str(path))
    rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
    assert list(rows[0]) == ["contactid", "link", "List-Unsubscribe", "List-Unsubscribe-Post"]
    assert f"{PAGE}/p/{house.token()}" in {row["link"] for row in rows} and "@" not in path.read_text("utf-8")
    for taken in (path, tmp_path / "nowhere" / "links.csv"):
        again = CliRunner().invoke(APP, ["preferences", "links", "-o", str(taken)], env=environment)
        assert (again.exit_code, "--output" in again.output) == (2, True), again.output
    assert list(csv.DictReader(path.open(encoding="utf-8", newline=""))) == rows
    assert said("links", "--topic", "events").startswith(",".join(rows[0]))
    house.post(f"/p/{house.token()}/leave")
    assert json.loads(said("sync", "--once", "--json"))["calls_served"] == 1
    assert {row["donotbulkemail"] for row in house.world.rows("contacts")} == {True, False}
    left = json.loads(said("links", "--json"))
    assert len(left["links"]) == 1 and left["left_out"] == {"not_agreed": 1}


def test_an_old_link_of_somebody_who_was_erased_is_refused_like_any_other(house: House) -> None:
    house.reset(*subscribed(AINO, MAIJA), in_crm=True)
    old = house.token()
    erase(house.world, AINO.address)
    nobody = house.get("/p/none?lang=en")
    for answer in (house.get(f"/p/{old}?lang=en"), house.post(f"/p/{old}/leave?lang=en")):
        assert (answer.status_code, answer.content) == (404, nobody.content)
    assert house.events() == []


def test_rotating_the_key_breaks_no_link_and_rewrites_none(house: House) -> None:
    house.reset(*subscribed(AINO), in_crm=True)
    (before,) = [row[COLUMN] for row in house.world.rows("contacts")]
    house.world.workspace.keys.rotate("link")
    with house.world.owner.begin() as conn:
        conn.exec_driver_sql("update intake.contact_point set version = version + 1")
    assert house.world.run().sync.plan.counts() == {}
    assert [row[COLUMN] for row in house.world.rows("contacts")] == [before]
    assert house.get(f"/p/{token_in(before)}").status_code == 200
    assert reconcile(Session(house.world.workspace), house.world.crm).unexplained == []


def test_a_lost_key_takes_one_click_with_it_and_the_list_of_keys_says_so(house: House) -> None:
    house.reset(*subscribed(AINO), in_crm=True)
    ring = [LinkKey(key.key_id, key.secret) for key in house.world.workspace.keys.all_keys("link")]
    mailbox = withdraws_for(house.token(), keys_by_mark(ring))
    assert mailbox is not None
    before = house.events()
    lost = sign_token(Scope.WITHDRAW, mailbox, LinkKey("link-0000-0badc0de", b"lost" * 8))
    for answer in (
        house.get(f"/p/{lost}"),
        house.post(f"/p/{lost}/leave"),
        house.post(f"/one-click/{lost}", data={"List-Unsubscribe": "One-Click"}),
    ):
        assert answer.status_code == 404
    assert house.events() == before
    assert "neither the page nor one-click" in USES["link"].loss


def test_the_link_goes_when_no_newsletter_lives_any_more(house: House) -> None:

    house.reset(*subscribed(AINO), paid_course(), in_crm=True)
    assert all(COLUMN in row for row in house.world.rows("contacts"))
    house.post(f"/p/{house.token()}/leave")
    house.narrow()
    house.world.run()
    assert [COLUMN in row for row in house.world.rows("contacts")] == [False]


def test_contacts_from_before_get_their_link_when_asked(house: House) -> None:
    policy = house.reset().world.workspace.policy
    house.world.with_policy(
        policy.model_copy(update={"crm": policy.crm.model_copy(update={"preference_link_column": None})})
    )
    house.world.perform(subscribed(AINO))
    house.world.run()
    assert not any(COLUMN in row for row in house.world.rows("contacts"))
    house.world.with_policy(policy)
    assert reconcile(Session(house.world.workspace), house.world.crm).unexplained == []
    assert fill_links(Session(house.world.workspace)) == 1
    house.world.run()
    assert all(COLUMN in row for row in house.world.rows("contacts"))


def test_the_sensor_asks_for_a_narrow_synchronisation_where_somebody_waits(house: House) -> None:
    house.reset(*subscribed(AINO), in_crm=True)
    lent = LentWorkspace(house.world.workspace)
    definitions = build_definitions(house.world.settings, workspace=lent)
    sensor = definitions.resolve_sensor_def("calls_waiting")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance, resources={"workspace": lent}, repository_def=definitions.get_repository_def()
        )
        assert not sensor.evaluate_tick(context).run_requests
        house.post(f"/p/{house.token()}/leave")
        assert len(sensor.evaluate_tick(context).run_requests or []) == 1
        result = definitions.resolve_job_def("crm_calls").execute_in_process(instance=instance)
        assert result.success
    assert not any(house.world.holds().consents.values())
    with house.world.workspace.transaction() as conn:
        assert narrow_calls.awaited(conn).since is None

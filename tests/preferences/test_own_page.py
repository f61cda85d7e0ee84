"""The own page: only after a fresh proof of the mailbox; what it shows, and what its forms do."""

import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests
import sqlalchemy as sa
import yaml

from connectors.store.data_requests import answer_requests, list_requests
from pipelines.operations import corrections
from pipelines.operations.deliveries import sweep
from pipelines.operations.disclosing import to_tell
from pipelines.operations.erasure import find_person
from pipelines.operations.person_export import gather
from pipelines.operations.rights import lift, restrict, take_request
from preferences.door import open_door
from schemas.errors import ActRefused, ConfigurationError
from tests.invariants.acts import T0, Who, answer, prohibit, register
from tests.invariants.world import take_in
from tests.preferences.people import AINO, House, link_in, paid_course, served, subscribed

CONFIG = Path(__file__).parents[2] / "config"


def test_a_link_in_a_mail_is_used_once_and_not_by_a_scanner(house: House) -> None:
    house.reset(*subscribed(AINO))
    assert house.post(f"/p/{house.token()}/manage").status_code == 200
    path = link_in(house.mail.wait_for(1, AINO.address)[0])
    for _ in range(3):
        assert house.get(path).status_code == 200
    assert house.get("/own").status_code == 404
    assert house.post(path).status_code == 200
    assert house.get("/own").status_code == 200
    assert house.post(path).status_code == 404 and house.get(path).status_code == 404
    house.tick(minutes=31)
    assert house.get("/own").status_code == 404


def test_it_shows_what_is_held_and_why_and_whom_to_ask(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course())
    house.enter()
    html = house.get("/own?lang=en").text
    for words in ("Aino Virtanen", "aino@example.org", "Newsletters", "Courses that you registered for", "Course LK1"):
        assert words in html
    assert "privacy@example.org" in html and "You agreed to it" in html
    assert '<a href="https://www.example.org/privacy/customers">Privacy notice</a>' in html
    for language, words in (("fi", "Mitä tietoja meillä on"), ("sv", "Vilka uppgifter vi har om dig")):
        assert words in house.get(f"/own?lang={language}").text
    assert "10.11.2026 alkaen, 8.1.2029 saakka" in house.get("/own?lang=fi").text


def test_topics_are_chosen_with_a_full_record_and_reach_the_crm(house: House) -> None:
    house.reset(*subscribed(AINO))
    house.post(f"/p/{house.token()}/leave")
    house.tick(minutes=1)
    house.enter()
    answer = house.post("/own/topics?lang=en", data={"form": house.form(), "topic": ["rdi", "events"]})
    assert answer.status_code == 200 and "Saved" in answer.text
    grants = [event for event in house.events() if event.value == "grant"]
    assert {(event.topic, event.actor, bool(event.wording_hash), event.notice_version) for event in grants} == {
        ("rdi", "subject", True, "asiakasrekisteri-2026-01"),
        ("events", "subject", True, "asiakasrekisteri-2026-01"),
    }
    (words,) = house.world.query(
        "select text, language from intake.consent_wording where wording_hash = :hash",
        hash=next(event.wording_hash for event in grants if event.topic == "rdi"),
    )
    assert words.language == "en" and "Research, development and innovation" in words.text
    house.narrow()
    held = house.world.holds().consents
    on = {topic for (_, purpose, topic), value in held.items() if value and purpose == "marketing"}
    assert on == {"", "rdi", "events"}
    house.post("/own/topics", data={"form": house.form(), "topic": ["events"]})
    house.narrow()
    assert house.world.holds().consents["aino@example.org", "marketing", "rdi"] is False


@pytest.mark.parametrize(("language", "words"), [("en", "Not switched on"), ("fi", "Emme"), ("sv", "Vi kunde inte")])
def test_a_topic_is_switched_off_also_where_the_same_form_asks_for_one_that_is_refused(
    house: House, language: str, words: str
) -> None:
    """Lowering waits for nothing: an address of a whole office can withdraw, and grant nothing by itself."""
    office = Who("info@example.org")
    house.reset().world.with_mapping("newsletter", legal_persons=True)
    house.world.perform(subscribed(office))
    take_in(house.world.session())
    house.post(f"/p/{house.token(office.address)}/topic", data={"topic": "rdi"})
    house.tick(minutes=1)
    house.enter(office.address)
    asked = {"form": house.form(), "topic": ["rdi", "services", "events"]}
    answer = house.post(f"/own/topics?lang={language}", data=asked)
    assert {(event.topic, event.value) for event in house.events()} == {("rdi", "withdraw"), ("training", "withdraw")}
    assert answer.status_code == 200 and words in answer.text


def test_a_page_that_stood_open_takes_back_no_withdrawal_by_a_box_that_nobody_touched(house: House) -> None:
    """12:00 the page is opened, 12:05 one click elsewhere withdraws all, 12:06 one box more is ticked on the open page."""
    house.reset(*subscribed(AINO))
    house.post(f"/p/{house.token()}/topic", data={"topic": "rdi"})
    house.tick(minutes=1)
    house.enter()
    stale = house.form()
    house.tick(minutes=5)
    house.post(f"/one-click/{house.token()}", data="List-Unsubscribe=One-Click")
    house.tick(minutes=1)
    ticked = ["training", "rdi", "services", "events"]
    answer = house.post("/own/topics?lang=en", data={"form": stale, "topic": ticked})
    assert answer.status_code == 200 and "Saved" in answer.text
    assert [event.topic for event in house.events() if event.value == "grant"] == ["rdi"]
    assert boxes(answer.text) == {"training": False, "rdi": True, "services": False, "events": False}


def test_a_page_that_stood_open_withdraws_nothing_by_a_box_that_nobody_touched(house: House) -> None:
    house.reset(*subscribed(AINO))
    house.post(f"/p/{house.token()}/topic", data={"topic": "rdi"})
    house.tick(minutes=1)
    house.enter()
    stale = house.form()
    house.post("/own/topics", data={"form": stale, "topic": ["training", "rdi", "services", "events"]})
    house.tick(minutes=1)
    answer = house.post("/own/topics?lang=en", data={"form": stale, "topic": ["training", "services"]})
    withdrawn = [event.topic for event in house.events() if event.value == "withdraw"]
    assert withdrawn == ["rdi", "events"], "rdi was unticked when the page was made"
    assert boxes(answer.text) == {"training": True, "rdi": True, "services": True, "events": False}


def test_a_topic_that_stays_off_is_told_where_another_reader_of_the_address_said_no(house: House) -> None:
    other = Who(AINO.address, "maija")
    house.reset(*subscribed(AINO), answer(2, other, T0, newsletter="No"))
    house.enter()
    told = house.post("/own/topics?lang=en", data={"form": house.form(), "topic": ["events"]})
    assert "Not switched on: Events." in told.text and "Saved" not in told.text
    assert not any(boxes(told.text).values())
    house.narrow()
    assert not any(house.world.holds().consents.values())


def test_a_topic_that_stays_off_is_told_where_a_form_said_no_just_now(house: House) -> None:
    """Within the clock-skew window a withdrawal by another clock wins."""
    house.reset(*subscribed(AINO))
    now = house.world.now
    house.world.perform([answer(2, AINO, now, newsletter="No")], at=now)
    house.tick(minutes=2)
    take_in(house.world.session())
    house.enter()
    told = house.post("/own/topics?lang=en", data={"form": house.form(), "topic": ["events"]})
    assert "Not switched on: Events." in told.text and "Saved" not in told.text
    house.tick(minutes=4)
    told = house.post("/own/topics?lang=en", data={"form": house.form(), "topic": ["events"]})
    assert "Saved" in told.text and "Not switched on" not in told.text


def boxes(html: str) -> dict[str, bool]:
    """Which topics the page shows ticked."""
    found = re.findall(r'<input type="checkbox"[^>]* value="([a-z]+)"( checked)?>', html)
    return {topic: bool(ticked) for topic, ticked in found}


def test_without_a_privacy_notice_the_page_is_not_served(house: House, tmp_path: Path) -> None:
    """Its public address can come from the settings alone, beside a policy that names neither address nor notice."""
    settings = house.door.workspace.settings.model_copy(
        update={"config_dir": tmp_path, "preferences_url": "http://127.0.0.1:1", "smtp_host": "127.0.0.1"}
    )
    shutil.copytree(CONFIG, tmp_path, dirs_exist_ok=True)
    policy = yaml.safe_load((CONFIG / "intake.yaml").read_text("utf-8"))
    del policy["crm"]["preference_page"], policy["crm"]["preference_notice"]
    (tmp_path / "intake.yaml").write_text(yaml.safe_dump(policy), "utf-8")
    with pytest.raises(ConfigurationError, match="preference_notice"):
        open_door(settings, address=house.door.workspace.address)


def test_a_form_from_elsewhere_or_of_somebody_else_does_nothing(house: House) -> None:
    maija = Who("maija@example.org", "maija")
    house.reset(*subscribed(AINO, maija))
    house.enter()
    form = house.form()
    assert house.post("/own/leave").status_code == 404
    assert house.post("/own/leave", data={"form": "x"}).status_code == 404
    elsewhere = {"Origin": "https://elsewhere.example.com"}
    assert house.post("/own/leave", data={"form": form}, headers=elsewhere).status_code == 404
    house.http.cookies.clear()
    house.enter(maija.address)
    assert house.post("/own/leave", data={"form": form}).status_code == 404
    assert house.events() == []


def test_no_other_site_opens_a_page_for_somebody(house: House) -> None:
    """Whoever entered a page that another opened for them would write into the other's data (login CSRF)."""
    house.reset(*subscribed(AINO))
    house.post(f"/p/{house.token()}/manage")
    path = link_in(house.mail.wait_for(1, AINO.address)[0])
    for headers in ({"Origin": "https://elsewhere.example.com"}, {"Origin": "null", "Sec-Fetch-Site": "cross-site"}):
        assert house.post(path, headers=headers).status_code == 404
    assert house.post(path, headers={"Origin": "null", "Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_over_https_the_cookie_is_this_hosts_alone(house: House) -> None:
    house.reset(*subscribed(AINO))
    house.post(f"/p/{house.token()}/manage")
    path = link_in(house.mail.wait_for(1, AINO.address)[0])
    with served(replace(house.door, base_url="https://preferences.example.org")) as url:
        answer = requests.post(url + path, allow_redirects=False, timeout=30)
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    assert answer.headers["Location"].startswith("/own?")
    cookie, *said = answer.headers["Set-Cookie"].split("; ")
    assert cookie.startswith("__Host-door=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=strict"} <= set(said)
    assert not any(one.startswith("Domain") for one in said)


def test_the_mail_says_until_when_in_the_organisations_own_time(house: House) -> None:
    house.reset(*subscribed(AINO))
    house.post(f"/p/{house.token()}/manage?lang=fi")
    (mail,) = house.mail.wait_for(1, AINO.address)
    until = house.world.now.astimezone(ZoneInfo("Europe/Helsinki")) + timedelta(hours=1)
    assert f"kello {until:%H.%M} saakka" in mail.get_content()
    assert mail["Subject"] == "Linkki tietoihisi" and house.url in mail.get_content()


def test_a_name_is_set_right_here_and_in_the_crm(house: House) -> None:
    house.reset(*subscribed(AINO), in_crm=True)
    house.enter()
    data = {"form": house.form(), "given_name": "Aino Maria", "family_name": "Lahti"}
    assert "Aino Maria" in house.post("/own/name", data=data).text
    house.narrow()
    (contact,) = house.world.rows("contacts")
    assert (contact["firstname"], contact["lastname"]) == ("Aino Maria", "Lahti")
    assert house.post("/own/name", data={**data, "given_name": "<b>", "family_name": ""}).status_code == 400


def test_a_new_address_is_proven_carries_what_was_forbidden_and_no_grant(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course(), in_crm=True)
    house.post(f"/p/{house.token()}/topic", data={"topic": "training"})
    house.narrow()
    house.tick(minutes=1)
    house.enter()
    house.post("/own/address", data={"form": house.form(), "new_address": "aino.new@example.org"})
    assert house.world.query("select from intake.person_request") == []
    path = link_in(house.mail.wait_for(1, "aino.new@example.org")[0])
    assert house.get(path).status_code == 200
    assert house.post(path).status_code == 200
    assert house.follow().moves == 1
    held = house.world.holds()
    assert held.contacts.keys() == {("aino.new@example.org", "aino")}
    assert held.contacts["aino.new@example.org", "aino"]["donotbulkemail"] is True
    assert held.consents["aino.new@example.org", "marketing", "training"] is False
    assert held.consents["aino@example.org", "marketing", ""] is False
    assert not any(on for (at, purpose, _), on in held.consents.items() if purpose == "marketing"), "no grant moves"
    ((person, _, status),) = held.registrations.values()
    assert (person, status) == (("aino.new@example.org", "aino"), "active")


def test_a_new_address_without_anything_forbidden_takes_the_person_along(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course(), in_crm=True)
    move(house, "aino.new@example.org")
    held = house.world.holds()
    assert held.contacts.keys() == {("aino.new@example.org", "aino")}
    assert not any(on for (at, purpose, _), on in held.consents.items() if purpose == "marketing"), "no grant moves"
    ((person, _, status),) = held.registrations.values()
    assert (person, status) == (("aino.new@example.org", "aino"), "active")
    house.world.run()
    assert house.world.run().sync.plan.counts() == {}


def test_an_old_link_of_somebody_who_moved_speaks_for_the_old_mailbox_alone(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course(), in_crm=True)
    old = house.token()
    move(house, "aino.new@example.org")
    house.tick(minutes=10)
    house.http.cookies.clear()
    house.enter("aino.new@example.org")
    house.post("/own/topics", data={"form": house.form(), "topic": ["rdi"]})
    house.tick(minutes=10)
    assert house.post(f"/p/{old}/leave").status_code == 200
    house.follow()
    consents = house.world.holds().consents
    assert consents["aino.new@example.org", "marketing", "rdi"] is True
    assert consents["aino@example.org", "marketing", ""] is False


def test_an_address_that_several_people_read_shows_each_no_more_than_all_may_know(house: House) -> None:
    both = Who(AINO.address, "maija")
    house.reset(*subscribed(AINO, both), paid_course())
    house.enter()
    html = house.get("/own?lang=en").text
    assert "Several people use this e-mail address" in html and "Newsletters" in html
    for words in ("Virtanen", "Maija", "+44", "Course LK1", 'name="new_address"', 'name="given_name"'):
        assert words not in html
    form = {"form": house.form()}
    assert house.post("/own/address", data={**form, "new_address": "new@example.org"}).status_code == 400
    assert house.post("/own/name", data={**form, "given_name": "Aino"}).status_code == 400
    assert house.mail.messages("new@example.org") == []


def cancelled(house: House, *whos: Who) -> House:
    """The house with a registration of each of these people, which they cancelled a day later."""
    for number, who in enumerate(whos, 11):
        house.world.perform([register(number, who, T0, course="LK9")])
    take_in(house.world.session())
    for number, who in enumerate(whos, 11):
        house.world.perform([register(number, who, T0, course="LK9", status="out", changed_at=T0 + timedelta(days=1))])
    take_in(house.world.session())
    return house


def test_whoever_has_cancelled_all_reads_the_address_still(house: House) -> None:
    both = Who(AINO.address, "maija")
    cancelled(house.reset(paid_course()), both)
    purposes = house.world.query(
        "select given_name, purpose from intake.person join intake.person_purpose using (person_id)"
    )
    assert {row.given_name for row in purposes} == {"Aino"}, "no purpose lives for the other"
    house.enter()
    html = house.get("/own?lang=en").text
    assert "Several people use this e-mail address" in html and "We have nothing" not in html
    for words in ("Virtanen", "Maija", "+44", "Course LK", 'name="new_address"', 'name="given_name"'):
        assert words not in html
    form = {"form": house.form()}
    assert house.post("/own/address", data={**form, "new_address": "new@example.org"}).status_code == 400
    assert house.post("/own/name", data={**form, "given_name": "Aino"}).status_code == 400
    assert house.mail.messages("new@example.org") == []


def test_whoever_has_cancelled_all_is_shown_what_is_held(house: House) -> None:
    cancelled(house.reset(), AINO)
    house.enter()
    html = house.get("/own?lang=en").text
    for words in ("Aino Virtanen", "Course LK9", "(cancelled)"):
        assert words in html
    assert "We have nothing" not in html


def test_of_whom_nothing_is_held_but_the_address_the_page_says_so(house: House) -> None:
    house.reset(prohibit(1, AINO, T0))
    house.enter()
    assert "We have nothing of you but this e-mail address." in house.get("/own?lang=en").text


def test_a_proven_move_that_cannot_be_carried_out_is_open_for_staff(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else came to read the address between the asking and the proof."""
    house.reset(*subscribed(AINO), paid_course())
    house.enter()
    house.post("/own/address", data={"form": house.form(), "new_address": "aino.new@example.org"})
    house.world.perform([register(2, Who(AINO.address, "maija"), T0)])
    take_in(house.world.session())
    assert house.post(link_in(house.mail.wait_for(1, "aino.new@example.org")[0])).status_code == 200
    assert house.follow().moves == 1 and house.follow().moves == 0
    ((state, asked_at, request_id),) = house.world.query(
        "select state, asked_at, request_id from intake.person_request"
    )
    assert state == "refused"
    with house.world.session().transaction() as conn:
        (left,) = list_requests(conn, now=house.world.now)
    assert (left["request_id"], left["kind"], left["asked_at"]) == (request_id, "rectification", asked_at)
    assert "A change of address was refused" in caplog.text and "example.org" not in caplog.text
    assert house.world.query("select from intake.contact_point where address_key = 'aino.new@example.org'") == []


def test_the_same_address_is_no_new_one(house: House) -> None:
    house.reset(*subscribed(AINO))
    house.enter()
    answer = house.post("/own/address", data={"form": house.form(), "new_address": AINO.address.upper()})
    assert answer.status_code == 400
    assert len(house.mail.messages()) == 1


def move(house: House, address: str) -> None:
    """Change the address, and have it carried out."""
    house.enter()
    house.post("/own/address", data={"form": house.form(), "new_address": address})
    assert house.post(link_in(house.mail.wait_for(1, address)[0])).status_code == 200
    assert house.follow().moves == 1


def test_a_change_of_address_that_is_refused_keeps_nobody_elses_call_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Who("maija@example.org", "maija")
    house.reset(*subscribed(AINO, other), in_crm=True)
    house.enter()
    house.post("/own/address", data={"form": house.form(), "new_address": "aino.new@example.org"})
    assert house.post(link_in(house.mail.wait_for(1, "aino.new@example.org")[0])).status_code == 200
    house.post(f"/p/{house.token(other.address)}/leave")

    def refuse(*_: object) -> None:
        raise ActRefused("unknown_purpose", "The policy has no such purpose.")

    monkeypatch.setattr(corrections, "record_acts", refuse)
    followed = house.follow()
    assert followed.moves == 1 and followed.calls.served == 1
    assert house.world.query("select state from intake.person_request") == [("refused",)]
    assert house.world.holds().consents["maija@example.org", "marketing", ""] is False


@pytest.mark.parametrize("is_known_there", [False, True])
def test_whoever_is_restricted_is_so_at_the_new_address_too(house: House, is_known_there: bool) -> None:
    """To set the address right is their own right (GDPR Art. 16), and lifts nothing (Art. 18)."""
    new = Who("aino.new@example.org", "aino")
    house.reset(*subscribed(AINO, new) if is_known_there else subscribed(AINO), paid_course(), in_crm=True)
    session = house.world.session()
    with session.transaction() as conn:
        scope = find_person(conn, address=AINO.address)
    restrict(session, scope, reason="accuracy contested", by="Tiina Tietosuoja")
    house.narrow()
    move(house, new.address)
    house.world.run()
    contacts = house.world.holds().contacts.values()
    assert all(contact["donotbulkemail"] for contact in contacts), "no mail while it is contested"
    restricted = {row.contact_point_id for row in house.world.query("select contact_point_id from intake.restriction")}
    assert house.id_of(new.address) in restricted
    session = house.world.session()
    with session.transaction() as conn:
        scope = find_person(conn, address=new.address)
    assert lift(session, scope) == 1
    house.tick(minutes=1)
    house.world.run()
    assert (new.key, "aino") in house.world.holds().contacts


@pytest.mark.parametrize("is_known_there", [False, True])
def test_what_somebody_asked_for_before_they_moved_is_found_and_answered_at_the_new_address(
    house: House, is_known_there: bool
) -> None:
    new = Who("aino.new@example.org", "aino")
    house.reset(*subscribed(AINO, new) if is_known_there else subscribed(AINO), paid_course())
    session = house.world.session()
    with session.transaction() as conn:
        theirs = find_person(conn, address=AINO.address)
    for scope, kind in ((theirs, "rectification"), (replace(theirs, person_ids=()), "objection")):
        take_request(session, scope, kind=kind, asked_at=None, by="Tiina Tietosuoja")
    house.enter()
    house.post("/own/export", data={"form": house.form()})
    house.http.cookies.clear()
    move(house, new.address)
    session = house.world.session()
    with session.transaction() as conn:
        scope = find_person(conn, address=new.address)
        found = gather(session, scope, crm=None)["data"]
        assert {row["kind"] for row in found["requests"]} == {"rectification", "objection"}
        assert [row["state"] for row in found["requests_on_your_page"]] == ["open"]
        answered = {"by": "Tiina Tietosuoja", "at": session.now, "outcome": "done"}
        one = replace(scope, is_whole=False)
        assert answer_requests(conn, one, ["rectification", "objection"], **answered) == 2, "they name the person"
        answer_requests(conn, scope, ["access"], **answered)
        assert list_requests(conn, now=session.now) == []


def test_a_move_takes_the_record_of_disclosures_along(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course(), in_crm=True)
    with house.world.owner.begin() as conn:
        conn.execute(
            sa.text(
                "with d as (insert into intake.disclosure (disclosure_id, source, occasion_id, recipient, purpose, columns,"
                " people, reason, disclosed_by, disclosed_at, file_hash) values (gen_random_uuid(), 'short_courses', 'LK1',"
                " 'catering', 'disclosure:catering', '{email}', 1, 'meals', 'Olli', now(), 'h') returning disclosure_id)"
                " insert into intake.disclosure_subject (disclosure_id, reference, source, submission_id, subject_id,"
                " contact_point_id, content_hash) select disclosure_id, 'AB', g.source, g.submission_id, g.subject_id,"
                " g.contact_point_id, s.content_hash from d, intake.registration g join intake.submission s"
                " using (source, submission_id)"
            )
        )
    move(house, "aino.new@example.org")
    session = house.world.session()
    with session.transaction() as conn:
        scope = find_person(conn, address="aino.new@example.org")
    assert [row["recipient"] for row in gather(session, scope, crm=None)["data"]["disclosures"]] == ["catering"]
    assert [row["of"] for row in to_tell(session)] == ["rectified"], "the recipient has the old address"


@pytest.mark.parametrize(("form", "kind"), [("export", "export"), ("erase", "erasure")])
def test_rights_are_asked_for_once(house: House, form: str, kind: str) -> None:
    house.reset(*subscribed(AINO))
    house.enter()
    for _ in range(2):
        assert house.post(f"/own/{form}", data={"form": house.form()}).status_code == 200
    assert [row.kind for row in house.world.query("select kind from intake.person_request")] == [kind]


def test_asking_for_a_link_tells_nobody_who_is_known(house: House) -> None:
    house.reset(*subscribed(AINO))
    answers = [
        house.post("/ask?lang=en", data={"address": address}).content
        for address in (AINO.address, AINO.address.upper(), "nobody@example.org", "no address", "")
    ]
    assert len(set(answers)) == 1
    house.mail.wait_for(2)
    assert {mail["To"] for mail in house.mail.messages()} == {AINO.address}


def test_links_that_expired_are_forgotten_with_the_addresses_they_were_to_prove(house: House) -> None:
    house.reset(*subscribed(AINO))
    house.enter()
    house.post("/own/address", data={"form": house.form(), "new_address": "aino.new@example.org"})
    sweep(house.world.session())
    assert len(house.world.query("select from intake.mailbox_proof")) == 2
    house.tick(days=2)
    sweep(house.world.session())
    assert house.world.query("select from intake.mailbox_proof") == []

"""The page behind a newsletter's link: who has it may lower, at once, in two clicks; a look changes nothing."""

import pytest

from tests.invariants.world import CONSENTS, OPTED_OUT
from tests.preferences.people import AINO, House, paid_course, subscribed
from tests.sizes import sized


def test_leaving_all_is_one_event_for_each_purpose_and_reaches_the_crm(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course(), in_crm=True)
    assert house.world.holds().contacts["aino@example.org", "aino"]["donotbulkemail"] is False
    house.tick(minutes=1)
    answer = house.post(f"/p/{house.token()}/leave")
    assert answer.status_code == 200 and "no more newsletters" in house.post(f"/p/{house.token()}/leave?lang=en").text
    assert [(e.purpose, e.topic, e.value, e.actor, e.channel) for e in house.events()] == [
        ("marketing", "", "withdraw", "subject", "preference_page"),
        ("related_events", "", "withdraw", "subject", "preference_page"),
    ]
    assert house.events()[0].address == AINO.address
    report = house.narrow()
    assert (report.taken, report.served) == (1, 1)
    held = house.world.holds()
    assert held.contacts["aino@example.org", "aino"]["donotbulkemail"] is True
    assert held.consents["aino@example.org", "marketing", ""] is False
    assert held.consents["aino@example.org", "related_events", ""] is False
    rows = [row for row in house.world.rows(CONSENTS) if row["msdynmkt_contactpointvalue"] == AINO.address]
    assert {row["msdynmkt_value"] for row in rows} == {OPTED_OUT}
    assert held.registrations, "notices of a course go on"
    assert house.narrow().taken == 0
    assert house.world.run().sync.plan.counts() == {"clears:contact": 1}, "the link goes with the last newsletter"
    assert house.world.run().sync.plan.counts() == {}


def test_objecting_to_similar_events_leaves_newsletters_alone(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course())
    house.post(f"/p/{house.token()}/object")
    house.narrow()
    held = house.world.holds().consents
    assert held["aino@example.org", "related_events", ""] is False
    assert held["aino@example.org", "marketing", ""] is True
    assert [(e.purpose, e.reason) for e in house.events()] == [("related_events", "objection")]


def test_one_topic_goes_and_the_others_stay(house: House) -> None:
    house.reset(*subscribed(AINO))
    house.post(f"/p/{house.token()}/topic", data={"topic": "training"})
    house.narrow()
    held = house.world.holds().consents
    assert held["aino@example.org", "marketing", "training"] is False
    assert held["aino@example.org", "marketing", "rdi"] is True
    assert house.post(f"/p/{house.token()}/topic", data={"topic": "none of ours"}).status_code == 400


def test_i16_no_look_makes_an_event(house: House) -> None:
    """Scanners, prefetchers and previews follow links by GET and HEAD, with every header they like."""
    house.reset(*subscribed(AINO))
    token, before = house.token(), house.world.counts()
    looks = ({}, {"Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}, {"User-Agent": "LinkScanner/1.0"})
    paths = (f"/p/{token}", f"/one-click/{token}", f"/p/{token}?lang=fi")
    for number in range(sized(400, 10_000)):
        path, headers = paths[number % 3], looks[number % 4]
        answer = house.http.request("HEAD" if number % 5 == 0 else "GET", house.url + path, headers=headers, timeout=30)
        assert answer.status_code == 200
    for path in (f"/p/{token}/leave", f"/p/{token}/object", f"/p/{token}/topic", f"/p/{token}/manage"):
        assert house.get(path).status_code == 405
    assert house.world.counts() == before
    assert house.mail.messages() == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (
            '--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
    ],
)
def test_one_click_is_one_event_however_often_it_is_repeated(house: House, body: str, kind: str) -> None:
    house.reset(*subscribed(AINO))
    token = house.token()
    for second in range(20):
        house.tick(seconds=second % 2)
        answer = house.post(f"/one-click/{token}", data=body, headers={"Content-Type": kind})
        assert answer.status_code == 200 and not answer.history and not answer.cookies
    assert [(e.purpose, e.channel) for e in house.events()] == [
        ("marketing", "one_click"),
        ("related_events", "one_click"),
    ]


def test_one_click_counts_again_after_the_person_came_back(house: House) -> None:
    house.reset(*subscribed(AINO))
    post = {"data": "List-Unsubscribe=One-Click", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    house.post(f"/one-click/{house.token()}", **post)
    house.tick(seconds=5)
    house.enter()
    house.post("/own/topics", data={"form": house.form(), "topic": ["training"]})
    house.narrow()
    assert house.world.holds().consents["aino@example.org", "marketing", "training"] is True
    house.tick(seconds=5)
    house.post(f"/one-click/{house.token()}", **post)
    house.narrow()
    assert house.world.holds().consents["aino@example.org", "marketing", "training"] is False


def test_a_post_that_is_not_one_click_lowers_nothing(house: House) -> None:
    house.reset(*subscribed(AINO))
    assert house.post(f"/one-click/{house.token()}", data="something=else").status_code == 400
    assert house.events() == []


def test_every_answer_is_shut_to_scripts_frames_caches_and_referrers(house: House) -> None:
    house.reset(*subscribed(AINO))
    for answer in (
        house.get(f"/p/{house.token()}"),
        house.get("/p/none"),
        house.get("/health"),
        house.get("/static/page.css"),
    ):
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "script" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"
    assert house.get(f"/p/{house.token()}").headers["Cache-Control"] == "no-store"


def test_the_link_shows_nobody_their_data(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course())
    html = house.get(f"/p/{house.token()}").text
    assert "aino" not in html.lower().replace(house.token().lower(), "") and "Virtanen" not in html

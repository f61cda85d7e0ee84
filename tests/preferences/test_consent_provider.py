"""The live consent provider answers from the ledger at the moment of sending, and fails closed."""

from typing import Any

from pipelines.operations.erasure import find_person
from pipelines.operations.rights import lift, restrict
from preferences.secrets_file import DoorSecrets
from tests.preferences.people import AINO, House, paid_course, subscribed

SECRET, OLD = "provider-secret-new", "provider-secret-old"


def ask(
    house: House, purpose: str, topic: str | None = None, *, address: str = AINO.address, secret: str = SECRET
) -> Any:
    house.door.secrets = DoorSecrets.model_validate({"consent_provider": [SECRET, OLD]})
    body = {"contact_point": address, "purpose": purpose, "topic": topic}
    answer = house.post("/consent/check", json=body, headers={"Authorization": f"Bearer {secret}"})
    return answer.json() if answer.status_code == 200 else answer.status_code


def test_it_says_what_the_ledger_says_at_once(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course())
    crm = house.world.workspace.policy.crm.purposes["marketing"]
    assert ask(house, "marketing") == {"allowed": True, "reason": None}
    assert ask(house, str(crm.purpose_id), str(crm.topics["training"]))["allowed"]
    assert ask(house, "marketing", address="AINO@Example.ORG", secret=OLD)["allowed"]
    assert ask(house, "related_events")["allowed"] and ask(house, "course_delivery")["allowed"]
    house.post(f"/p/{house.token()}/topic", data={"topic": "training"})
    assert ask(house, "marketing")["allowed"]
    assert ask(house, "marketing", "training") == {"allowed": False, "reason": "no_grant"}
    house.tick(minutes=1)
    house.post(f"/p/{house.token()}/leave")
    for purpose in ("marketing", "related_events"):
        assert not ask(house, purpose)["allowed"]
    assert ask(house, "course_delivery")["allowed"], "notices of a course go on"


def test_whoever_is_restricted_gets_what_was_registered_for_and_nothing_else(house: House) -> None:
    house.reset(*subscribed(AINO), paid_course())
    session = house.world.session()
    with session.transaction() as conn:
        scope = find_person(conn, address=AINO.address)
    restrict(session, scope, reason="accuracy contested", by="Tiina Tietosuoja")
    for purpose in ("marketing", "related_events"):
        assert ask(house, purpose) == {"allowed": False, "reason": "restricted"}
    assert ask(house, "course_delivery")["allowed"]
    lift(session, scope)
    assert ask(house, "marketing")["allowed"] and ask(house, "related_events")["allowed"]


def test_a_grant_that_has_ended_by_the_policy_is_none(house: House) -> None:
    house.reset(*subscribed(AINO))
    assert ask(house, "marketing")["allowed"]
    with house.world.owner.begin() as conn:
        conn.exec_driver_sql("update intake.person_purpose set ends_at = '2026-01-01' where purpose = 'marketing'")
    assert ask(house, "marketing") == {"allowed": False, "reason": "no_grant"}


def test_it_fails_closed(house: House) -> None:
    house.reset(*subscribed(AINO))
    assert ask(house, "marketing", address="nobody@example.org") == {"allowed": False, "reason": "no_grant"}
    assert ask(house, "marketing", address="no address")["reason"] == "no_address"
    assert ask(house, "marketing", "knitting")["reason"] == "unknown_purpose"
    assert ask(house, "tracking")["allowed"] is False
    assert ask(house, "marketing", secret="somebody else's secret") == 401
    nonsense = {"contact_point": ["nobody@example.org"], "purpose": 1}
    wrong = house.post("/consent/check", json=nonsense, headers={"Authorization": f"Bearer {SECRET}"})
    assert wrong.status_code == 422 and "nobody" not in wrong.text
    large = house.post("/consent/check", data=b"x" * 9000, headers={"Authorization": f"Bearer {SECRET}"})
    assert large.status_code == 413
    assert house.post("/consent/check", data=b"x" * 9000).status_code == 401, "nothing is read of a stranger's"
    house.door.secrets = DoorSecrets()
    closed = house.post("/consent/check", json={"contact_point": AINO.address, "purpose": "marketing"})
    assert closed.status_code == 401

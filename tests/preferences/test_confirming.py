"""Double opt-in: the mail goes to the mailbox alone, and only a press on the page behind it subscribes."""

from preferences.confirming import ConfirmationMails
from tests.invariants.acts import T0, Who, sign_up
from tests.invariants.feeds import MAPPINGS
from tests.invariants.world import take_in
from tests.preferences.people import House, link_in

NEW = Who("new@example.org", "aino")


def test_only_a_press_in_the_mailbox_subscribes(house: House) -> None:
    consent = {**MAPPINGS["newsletter"]["consents"][0], "double_opt_in": True}
    house.world.with_mapping("newsletter", consents=[consent])
    house.world.perform([sign_up(1, NEW, T0)])
    take_in(house.world.session())
    mails = ConfirmationMails(house.door)
    # The service looks by itself, too: whoever is first, there is one mail.
    assert mails.mail_once() + mails.mail_once() <= 1
    path = link_in(house.mail.wait_for(1, NEW.address)[0])
    for _ in range(3):
        assert house.get(path).status_code == 200
    assert house.world.query("select from intake.consent_event") == []
    assert house.post(path[:-3] + "AAA").status_code == 404
    assert house.post(path).status_code == 200
    assert len(house.mail.messages()) == 1
    house.narrow()
    assert house.world.holds().consents[NEW.address, "marketing", ""] is True
    assert house.post(path).status_code == 200
    assert len(house.world.query("select from intake.consent_event where value = 'grant'")) == 1

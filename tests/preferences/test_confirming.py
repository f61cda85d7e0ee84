"""Double opt-in: the mail goes to the mailbox alone, and only a press on the page behind it subscribes."""

import socket
import threading
import time
from collections.abc import Collection

import pytest

from connectors.mail import SmtpSettings
from preferences.confirming import ConfirmationMails
from preferences.mailing import Mailer
from schemas.errors import SourceUnavailable
from tests.invariants.acts import T0, Who, sign_up
from tests.invariants.feeds import MAPPINGS
from tests.invariants.world import take_in
from tests.preferences.people import House, link_in

NEW = Who("new@example.org", "aino")


def waiting(house: House, *whos: Who) -> House:
    """The house with a sign-up of each of these people that waits for its link."""
    consent = {**MAPPINGS["newsletter"]["consents"][0], "double_opt_in": True}
    house.world.with_mapping("newsletter", consents=[consent])
    house.world.perform([sign_up(number, who, T0) for number, who in enumerate(whos, 1)])
    take_in(house.world.session())
    return house


def unmailed(house: House) -> set[str]:
    """The addresses of the sign-ups whose link counts as not mailed."""
    return {
        row.address for row in house.world.query("select address from intake.pending_grant where mailed_at is null")
    }


def wait_until_mailed(house: House, *, but: Collection[str] = ()) -> None:
    """Until every link but those to some addresses counts as mailed: what a mail is known by arrives before that."""
    deadline = time.monotonic() + 10
    while unmailed(house) != set(but) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert unmailed(house) == set(but)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_only_a_press_in_the_mailbox_subscribes(house: House) -> None:
    waiting(house, NEW)
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


@pytest.mark.parametrize("is_set", [True, False])
def test_what_no_server_took_waits_and_is_mailed_once_when_one_does(
    house: House, is_set: bool, caplog: pytest.LogCaptureFixture
) -> None:
    away = SmtpSettings("127.0.0.1", closed_port(), "news@example.org", security="none")
    kept, house.door.mailer = house.door.mailer, Mailer(away if is_set else None)
    try:
        mails = ConfirmationMails(waiting(house, NEW).door)
        for _ in range(2):
            with pytest.raises(SourceUnavailable, match="INTAKE_SMTP_"):
                mails.mail_once()
        assert unmailed(house) == {NEW.address}
    finally:
        house.door.mailer = kept
    # The service looks by itself, too: whoever is first, there is one mail.
    assert mails.mail_once() + mails.mail_once() <= 1
    house.mail.wait_for(1, NEW.address)
    wait_until_mailed(house)
    assert mails.mail_once() == 0 and len(house.mail.messages()) == 1
    assert NEW.address not in caplog.text


def test_one_that_the_server_refuses_keeps_nobody_else_waiting(house: House) -> None:
    others = [Who("refused@example.org", "aino"), Who("maija@example.org", "maija")]
    house.mail.refuses.add(others[0].address)
    mails = ConfirmationMails(waiting(house, *others).door)
    mails.mail_once()
    house.mail.wait_for(1, others[1].address)
    wait_until_mailed(house, but={others[0].address})
    house.mail.refuses.clear()
    assert mails.mail_once() == 0, "it is tried again later"


def test_of_several_services_one_mails(house: House) -> None:
    waiting(house, NEW)
    together, mailed = threading.Barrier(4), []

    def look() -> None:
        together.wait()
        mailed.append(ConfirmationMails(house.door).mail_once())

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    house.mail.wait_for(1, NEW.address)
    assert len(house.mail.messages()) == 1 and sum(mailed) <= 1

"""The world of the door's tests: a store with people, a CRM, a mail server, and the service on a real socket."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import requests

from connectors.store.address import ServerAddress
from pipelines.operations.following import Followed, follow_once
from pipelines.operations.narrow_sync import NarrowReport, serve_calls
from pipelines.transforms.preference_links import Scope, sign_token
from preferences.app import make_app
from preferences.door import Door, Limits, open_door
from preferences.mailing import Mailer, smtp_settings
from preferences.serving import server_of
from sandbox.mailbox import Mailbox
from tests.invariants.acts import NOW, T0, Who, register, sign_up
from tests.invariants.world import World, take_in

NO_LIMITS = Limits(refusals_per_minute=10_000_000, mails_per_minute=10_000_000)
AINO = Who("aino@example.org", "aino")


@dataclass
class House:
    """A running door with the world behind it."""

    world: World
    door: Door
    mail: Mailbox
    url: str
    http: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self._plain, self._secrets = self.door.workspace, self.door.secrets

    def reset(self, *acts: Any, in_crm: bool = False) -> "House":
        """As if nothing had ever happened but these acts, which the store has, or the CRM as well."""
        # A mail of an earlier test that is still on its way would be taken for one of this test.
        self.door.mailer.close()
        self.door.mailer = Mailer(smtp_settings(self._plain))
        self.door.workspace, self.door.secrets = self._plain, self._secrets
        self.world.reset()
        self.mail.clear()
        self.http.cookies.clear()
        if acts:
            self.world.perform(acts)
            self.world.run() if in_crm else take_in(self.world.session())
        self.tick()
        return self

    def tick(self, **by: float) -> None:
        """Let time go by, for the door and the world alike."""
        now = self.world.now + timedelta(**by)
        self.world.at(now)
        settings = self.world.settings.model_copy(update={"fixed_now": now})
        self.door.workspace = replace(self.door.workspace, settings=settings)

    def id_of(self, address: str) -> UUID:
        """The contact point of an address."""
        (row,) = self.world.query(
            "select contact_point_id from intake.contact_point where address_key = :key", key=address.lower()
        )
        return row.contact_point_id

    def token(self, address: str = AINO.address) -> str:
        """The withdraw-only token of an address."""
        return sign_token(Scope.WITHDRAW, self.id_of(address), self.door.keys.current())

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return self.http.get(self.url + path, timeout=30, **kwargs)

    def post(self, path: str, **kwargs: Any) -> requests.Response:
        return self.http.post(self.url + path, timeout=30, **kwargs)

    def enter(self, address: str = AINO.address) -> None:
        """Prove the mailbox: ask for the link, open the mail, press the button."""
        before = len(self.mail.messages(address))
        assert self.post("/ask", data={"address": address}).status_code == 200
        mail = self.mail.wait_for(before + 1, address)[-1]
        assert self.post(link_in(mail)).status_code == 200

    def form(self) -> str:
        """The form token of the own page."""
        html = self.get("/own").text
        return html.split('name="form" value="')[1].split('"')[0]

    def narrow(self) -> NarrowReport:
        """One narrow synchronisation."""
        return serve_calls(self.world.workspace, self.world.crm)

    def follow(self) -> Followed:
        """One round of following: pushed forms, changes of address, calls."""
        return follow_once(self.world.workspace, self.world.crm)

    def events(self) -> list[Any]:
        """The events made at the door."""
        return list(
            self.world.query(
                "select e.*, v.channel, v.notice_version, v.wording_hash, v.address from intake.consent_event e"
                " left join intake.consent_evidence v using (event_key) where e.source = 'preference_page'"
                " order by e.recorded_at, e.purpose, e.topic"
            )
        )


def link_in(mail: Any) -> str:
    """The path of the link in a mail, without the page's own address."""
    line = next(line for line in mail.get_content().splitlines() if line.startswith("http"))
    return "/" + line.split("/", 3)[3].split("?")[0]


def subscribed(*whos: Who) -> list[Any]:
    """Sign-ups of these people, ten days ago."""
    return [sign_up(number, who, T0) for number, who in enumerate(whos, 1)]


def paid_course(who: Who = AINO, number: int = 1) -> Any:
    """A paid course with its notice, which begins news of similar events, too."""
    return register(number, who, T0, charge="paid")


@contextmanager
def opened_house(world: World, address: ServerAddress, *, limits: Limits = NO_LIMITS) -> Iterator[House]:
    """The service on a free port over the world's store, as its own narrow role."""
    with Mailbox() as mail:
        settings = world.settings.model_copy(
            update={
                "smtp_host": "127.0.0.1",
                "smtp_port": mail.port,
                "smtp_security": "none",
                "fixed_now": NOW,
                "preferences_url": "http://127.0.0.1:1",
            }
        )
        door = open_door(settings, address=address, limits=limits)
        with served(door) as url:
            door.base_url = url
            house = House(world, door, mail, url)
            yield house
            house.http.close()


@contextmanager
def served(door: Door) -> Iterator[str]:
    """The service in a thread; its address."""
    server = server_of(make_app(door), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.started, "the service did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def screenshots() -> Path:
    """Where the documentation's pictures stand."""
    return Path(__file__).parents[2] / "docs" / "preferences"

"""What the forms of the own page do: topics, leaving, a name, an address, a wish for a copy or for erasure.

A switched-on topic is a grant with its full record: the very words that stood beside the box, and their version.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from connectors.store.corrections import Names
from connectors.store.mailbox_proofs import Mailbox
from connectors.store.own_data import read_own_data
from connectors.store.person_requests import add_request
from pipelines.operations.corrections import correct_name
from pipelines.operations.sessions import Session
from pipelines.transforms.emails import canonical_address
from pipelines.transforms.names import normalise_name
from preferences import recording
from preferences.answers import FormRefused, client_of, mail_answer, mail_proof, too_many
from preferences.door import Door
from preferences.own_view import wording_of
from preferences.rendering import Pages

Form = dict[str, list[str]]


@dataclass(frozen=True)
class Asked:
    """A form that was posted from the own page, whose mailbox is proven; `shown` are the topics that it showed ticked."""

    door: Door
    pages: Pages
    request: Request
    mailbox: Mailbox
    form: Form
    shown: frozenset[str]


# Does what the form asks for; returns what to say, or an answer of its own.
Deed = Callable[[Asked], str | Response]


def _topics(asked: Asked) -> str:
    """Switch on what was ticked and off what was unticked. What stands as it was shown is no act: a page that stood open
    neither takes back what was withdrawn elsewhere since, nor withdraws what was switched on there.
    """
    policy, t = asked.door.workspace.policy, asked.pages.texts(asked.request)
    known, wanted = policy.purposes[recording.MARKETING].topics, set(asked.form.get("topic", []))
    if not wanted <= set(known):
        raise FormRefused
    on = [topic for topic in known if topic in wanted - asked.shown]
    off = [topic for topic in known if topic in asked.shown - wanted]
    language, notice = asked.pages.language(asked.request), policy.crm.preference_notice
    worded = [(topic, wording_of(t, topic, language)) for topic in on]
    recording.choose_topics(asked.door, asked.mailbox.contact_point_id, worded, off, notice=notice)
    return _saved(asked, on, off)


def _saved(asked: Asked, on: Sequence[str], off: Sequence[str]) -> str:
    """What became of it: a topic that was ticked is off still where the address can grant nothing, where somebody else who
    reads it said no, or where another door was told so just now.
    """
    with asked.door.transaction() as conn:
        held = read_own_data(conn, asked.mailbox.contact_point_id, now=asked.door.now())
    t = asked.pages.texts(asked.request)
    not_on = [topic for topic in on if not held.is_on(recording.MARKETING, topic)]
    is_nothing_new = bool(on) and not_on == on and not off
    said = [] if is_nothing_new else [t["own"]["saved"], t["done"]["when"]]
    if not_on:
        names = ", ".join(t["topics"].get(topic, topic) for topic in not_on)
        said.append(t["own"]["not_on"].format(topics=names, contact=asked.pages.contact))
    return " ".join(said)


def _leave(asked: Asked) -> str:
    recording.leave_all(asked.door, asked.mailbox.contact_point_id, channel=recording.CLOCK)
    t = asked.pages.texts(asked.request)["done"]
    return f"{t['left']} {t['when']}"


def _object(asked: Asked) -> str:
    recording.object_to_related(asked.door, asked.mailbox.contact_point_id, channel=recording.CLOCK)
    t = asked.pages.texts(asked.request)["done"]
    return f"{t['objected']} {t['when']}"


def _name(asked: Asked) -> str:
    given, family = (normalise_name(asked.form.get(name, [""])[0]) for name in ("given_name", "family_name"))
    if given.fault or family.fault or not (given.value or family.value):
        raise FormRefused
    with asked.door.transaction() as conn:
        data = read_own_data(conn, asked.mailbox.contact_point_id, now=asked.door.now())
    if len(data.persons) != 1:
        raise FormRefused
    names, person_id = Names(given.value, family.value), data.persons[0]["person_id"]
    session = Session(asked.door.workspace)
    recording.again(
        asked.door, lambda conn: correct_name(session, conn, asked.mailbox.contact_point_id, person_id, names)
    )
    return str(asked.pages.texts(asked.request)["own"]["saved"])


def _address(asked: Asked) -> str | Response:
    typed = canonical_address(asked.form.get("new_address", [""])[0][:200])
    with asked.door.transaction() as conn:
        persons = read_own_data(conn, asked.mailbox.contact_point_id, now=asked.door.now()).persons
    if typed.address is None or typed.key == canonical_address(asked.mailbox.address).key or len(persons) > 1:
        raise FormRefused
    if not asked.door.mails.admits(client_of(asked.request)):
        return too_many(asked.pages, asked.request)
    to, texts = (asked.mailbox.contact_point_id, asked.mailbox.address), asked.pages.texts(asked.request)
    mail_proof(asked.door, texts, asked.pages.language(asked.request), to, new_address=typed.address)
    return mail_answer(asked.door, asked.pages, asked.request)


def _ask_for(kind: str, words: str) -> Deed:
    def ask(asked: Asked) -> str:
        recording.again(asked.door, lambda conn: add_request(conn, asked.mailbox.contact_point_id, kind))
        return str(asked.pages.texts(asked.request)["own"][words])

    return ask


def _close(asked: Asked) -> Response:
    answer = RedirectResponse(f"/?lang={asked.pages.language(asked.request)}", status_code=303)
    answer.delete_cookie(asked.door.cookie, secure=asked.door.is_https, httponly=True, samesite="strict")
    return answer


DEEDS: dict[str, Deed] = {
    "topics": _topics,
    "leave": _leave,
    "object": _object,
    "name": _name,
    "address": _address,
    "export": _ask_for("export", "asked_export"),
    "erase": _ask_for("erasure", "asked_erase"),
    "close": _close,
}

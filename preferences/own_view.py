"""What the own page says: rows of the store in plain words of one language. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping

from connectors.store.own_data import OwnData
from preferences.languages import Texts
from schemas.acts import ShownWording
from schemas.policy import Basis, Policy

MARKETING = "marketing"


def own_view(data: OwnData, policy: Policy, t: Texts) -> dict[str, Any]:
    """The values of the template `own.html`.

    Where several people read the address, each is shown what holds for the address and nobody's own data (GDPR 15(4)).
    """
    is_shared = len(data.persons) > 1
    return {
        "is_shared": is_shared,
        "person": None if is_shared or not data.persons else _person(data.persons[0]),
        "purposes": _purposes(data.persons, policy, t),
        "is_unknown": not data.persons and not data.registrations,
        "is_suppressed": data.states.get((MARKETING, "")) == "withdrawn",
        "topics": [
            {"name": topic, "wording": _words(t, topic), "is_on": data.is_on(MARKETING, topic)}
            for topic in policy.purposes[MARKETING].topics
        ],
        "registrations": [] if is_shared else [_registration(row, policy) for row in data.registrations],
        "choices": [
            {
                "at": _day(row["at"], policy),
                "purpose": _purpose(row["purpose"], policy, t),
                "topic": t["topics"].get(row["topic"], row["topic"]),
                "is_grant": row["value"] == "grant",
            }
            for row in data.choices
        ],
    }


def form_field(token: str, view: Mapping[str, Any]) -> str:
    """The field `form` of each form: the token, and which boxes the page showed ticked.

    What somebody leaves as it was shown is no act of theirs, however late the form comes.
    """
    return f"{token}.{','.join(quote(topic['name'], safe='') for topic in view['topics'] if topic['is_on'])}"


def read_form_field(value: str) -> tuple[str, frozenset[str]]:
    """The token, and the topics that were shown ticked; whoever alters these alters their own choices alone."""
    token, _, shown = value.partition(".")
    return token, frozenset(unquote(name) for name in shown.split(",") if name)


def wording_of(t: Texts, topic: str, language: str) -> ShownWording:
    """The very words beside a topic's box."""
    return ShownWording(text=_words(t, topic), version=str(t["wording"]["version"]), language=language)


def _words(t: Texts, topic: str) -> str:
    return str(t["wording"]["topic"].format(topic=t["topics"].get(topic, topic)))


def _person(row: RowMapping) -> dict[str, Any]:
    shown = ("given_name", "family_name", "phone", "organisation")
    name = " ".join(filter(None, (row["given_name"], row["family_name"])))
    return {"name": name, **{column: row[column] for column in shown}}


def _purposes(persons: Sequence[RowMapping], policy: Policy, t: Texts) -> list[dict[str, Any]]:
    """Each living purpose of the address once: since the first, and until the last end (none: without an end)."""
    spans: dict[str, list[tuple[datetime, datetime | None]]] = {}
    for one in (one for row in persons for one in row["purposes"] if one["purpose"] in policy.purposes):
        ends_at = datetime.fromisoformat(one["ends_at"]) if one["ends_at"] else None
        spans.setdefault(one["purpose"], []).append((datetime.fromisoformat(one["begins_at"]), ends_at))
    return [
        {
            "name": _purpose(name, policy, t),
            "span": _span(min(begin for begin, _ in span), [end for _, end in span], name, policy, t),
            "why": t["explanations"].get(name, policy.purposes[name].description),
        }
        for name, span in spans.items()
    ]


def _span(begins_at: datetime, ends: Sequence[datetime | None], purpose: str, policy: Policy, t: Texts) -> str:
    ended = [end for end in ends if end is not None]
    since = t["own"]["since"].format(day=_day(begins_at, policy))
    if len(ended) == len(ends):
        return f"{since}, {t['own']['until'].format(day=_day(max(ended), policy))}"
    is_consent = policy.purposes[purpose].basis is Basis.CONSENT
    return f"{since}, {t['own']['until_withdrawn' if is_consent else 'open_end']}"


def _registration(row: RowMapping, policy: Policy) -> dict[str, Any]:
    """A course or event, and whom to ask: its organiser, else the organisation."""
    organiser = ", ".join(filter(None, (row["organiser_unit"], row["organiser_contact"])))
    return {
        "name": row["name"] or "–",
        "at": _day(row["starts_at"], policy) if row["starts_at"] else "",
        "is_cancelled": row["status"] == "cancelled",
        "ask": organiser or policy.organisation.contact,
    }


def _purpose(name: str, policy: Policy, t: Texts) -> str:
    known = policy.purposes.get(name)
    return str(t["purposes"].get(name, (known.description if known else "") or name))


def _day(at: datetime, policy: Policy) -> str:
    local = at.astimezone(ZoneInfo(policy.organisation.timezone))
    return f"{local.day}.{local.month}.{local.year}"

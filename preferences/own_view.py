"""What the own page says: rows of the store in plain words of one language. Pure."""

from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from connectors.store.own_data import OwnData
from preferences.languages import Texts
from schemas.acts import ShownWording
from schemas.policy import Policy

MARKETING = "marketing"


def own_view(data: OwnData, policy: Policy, t: Texts) -> dict[str, Any]:
    """The values of the template `own.html`."""
    return {
        "persons": [_person(row, policy, t) for row in data.persons],
        "is_suppressed": data.states.get((MARKETING, "")) == "withdrawn",
        "topics": [
            {
                "name": topic,
                "wording": _words(t, topic),
                "is_on": data.states.get((MARKETING, topic)) == "granted",
            }
            for topic in policy.purposes[MARKETING].topics
        ],
        "registrations": [_registration(row, policy) for row in data.registrations],
        "choices": [
            {
                "at": _day(row["at"]),
                "purpose": _purpose(row["purpose"], policy, t),
                "topic": t["topics"].get(row["topic"], row["topic"]),
                "is_grant": row["value"] == "grant",
            }
            for row in data.choices
        ],
    }


def wording_of(t: Texts, topic: str, language: str) -> ShownWording:
    """The very words beside a topic's box."""
    return ShownWording(text=_words(t, topic), version=str(t["wording"]["version"]), language=language)


def _words(t: Texts, topic: str) -> str:
    return str(t["wording"]["topic"].format(topic=t["topics"].get(topic, topic)))


def _person(row: RowMapping, policy: Policy, t: Texts) -> dict[str, Any]:
    return {
        "name": " ".join(filter(None, (row["given_name"], row["family_name"]))),
        "given_name": row["given_name"],
        "family_name": row["family_name"],
        "phone": row["phone"],
        "organisation": row["organisation"],
        "purposes": [
            {
                "name": _purpose(one["purpose"], policy, t),
                "since": _day(datetime.fromisoformat(one["begins_at"])),
                "until": _day(datetime.fromisoformat(one["ends_at"])) if one["ends_at"] else None,
                "why": t["explanations"].get(one["purpose"], policy.purposes[one["purpose"]].description),
            }
            for one in row["purposes"]
            if one["purpose"] in policy.purposes
        ],
    }


def _registration(row: RowMapping, policy: Policy) -> dict[str, Any]:
    """A course or event, and whom to ask: its organiser, else the organisation."""
    organiser = ", ".join(filter(None, (row["organiser_unit"], row["organiser_contact"])))
    return {
        "name": row["name"] or "–",
        "at": _day(row["starts_at"]) if row["starts_at"] else "",
        "is_cancelled": row["status"] == "cancelled",
        "ask": organiser or policy.organisation.contact,
    }


def _purpose(name: str, policy: Policy, t: Texts) -> str:
    known = policy.purposes.get(name)
    return str(t["purposes"].get(name, (known.description if known else "") or name))


def _day(at: datetime) -> str:
    return f"{at.day}.{at.month}.{at.year}"

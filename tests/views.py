"""Builders of what minimisation and the plan take: an address, its people, their registrations."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from connectors.mappings import load_policy
from pipelines.transforms.minimise import AddressView, PersonView, RegistrationView
from schemas.policy import Policy
from tests.feeds import CONFIG

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
SOON = NOW + timedelta(days=20)
PAST = NOW - timedelta(seconds=1)
ADDRESS = UUID("5b6f1f0e-8a0a-4a57-9d2e-3f6f5a6f0000")


@functools.cache
def make_policy() -> Policy:
    return load_policy(CONFIG)


def id_of(name: str) -> UUID:
    return uuid5(ADDRESS, name)


def make_person(*living: str, **changes: Any) -> PersonView:
    """A person with those purposes alive; `ends` (name to instant) ends some of them."""
    ends: dict[str, datetime | None] = changes.pop("ends", {})
    plain: dict[str, Any] = {
        "contact_id": id_of("aino"),
        "given_name": "Aino",
        "family_name": "Esimerkki",
        "phone": "+447700900123",
        "purposes": {**dict.fromkeys(living), **ends},
    }
    return PersonView(**{**plain, **changes})


def make_registration(**changes: Any) -> RegistrationView:
    plain: dict[str, Any] = {
        "registration_id": id_of("registration"),
        "contact_id": id_of("aino"),
        "occasion_pk": id_of("occasion"),
        "status": "active",
        "registered_at": NOW - timedelta(days=9),
        "ends_at": SOON,
    }
    return RegistrationView(**{**plain, **changes})


def make_view(*persons: PersonView, **changes: Any) -> AddressView:
    """An address; `marketing` is its state ('' = nobody decided)."""
    marketing: str = changes.pop("marketing", "")
    topics = make_policy().purposes["marketing"].topics
    consents = {("marketing", topic): marketing for topic in ("", *topics)} if marketing else {}
    plain: dict[str, Any] = {
        "contact_point_id": ADDRESS,
        "address": "aino@example.org",
        "version": 3,
        "persons": persons,
        "consents": consents,
        "registrations": (),
    }
    return AddressView(**{**plain, **changes})

"""Suggestions: what a column of an unknown form seems to be, and the word that only a human can replace.

A suggestion is no decision: everything about consent is left as `TODO`, and a mapping with a `TODO` is not valid.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

TODO = "TODO"


class Role(StrEnum):
    """What a column is taken for. The fields of a person have their names in `schemas.mappings.FieldMap`."""

    EMAIL = "email"
    GIVEN_NAME = "given_name"
    FAMILY_NAME = "family_name"
    FULL_NAME = "full_name"
    PHONE = "phone"
    ORGANISATION = "organisation"
    COUNTRY = "country"
    POSTAL_CODE = "postal_code"
    CITY = "city"
    BUSINESS_ID = "business_id"
    MESSAGE = "message"
    SUBMITTED_AT = "submitted_at"
    CHANGED_AT = "changed_at"
    KEY = "key"
    OCCASION_ID = "occasion_id"
    OCCASION_NAME = "occasion_name"
    STARTS_AT = "starts_at"
    ENDS_AT = "ends_at"
    STATUS = "status"
    DRAFTS = "drafts"
    CONSENT = "consent"
    CONTACT_ME = "contact_me"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a form as its definition tells it: the column that it becomes, its text, its type, its options."""

    column: str
    text: str
    type: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a column is taken for, and why. `values` are written answers that may be shown: options, never people's."""

    column: str
    role: Role
    why: str
    text: str = ""
    values: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()


def todo_paths(node: object, path: str = "") -> Iterator[str]:
    """Where in a document a human still has to decide: the paths of each `TODO`, as value or as key."""
    if isinstance(node, dict):
        for key, value in node.items():
            here = f"{path}.{key}" if path else str(key)
            yield from [here] if key == TODO else todo_paths(value, here)
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            yield from todo_paths(value, f"{path}[{number}]")
    elif isinstance(node, str) and (node == TODO or node.startswith(f"{TODO} ")):
        yield path

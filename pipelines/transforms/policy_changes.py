"""What changed between two policies, and whether each change widens what may be done with people's data. Pure.

Widening is: more may be shown, disclosed, to more recipients, for longer, on another ground, from an earlier age, in smaller
cells. What only rewords, or concerns how the CRM is written, is told and widens nothing.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.policy import Policy

# Where more is more, where more is less, and where any change counts as a wider one.
_MORE = frozenset({"lives_after_days", "contact_columns", "topics", "recipients", "discloses", "personal_data"})
_LESS = frozenset({"smallest_cell", "clock_skew_s", "marketing_age", "ends"})
_OTHER = frozenset({"basis", "begins", "purpose_id", "kind"})
_DAYS = "_days"


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One setting that changed: where, from what to what (None: it was, or is, not there), and whether that widens."""

    where: str
    before: Any
    after: Any
    widens: bool


def policy_body(policy: Policy) -> dict[str, Any]:
    """What of a policy decides about people: purposes and their places in the CRM, recipients, retention, age, clocks."""
    told = policy.model_dump(mode="json")
    kept = ("purposes", "recipients", "notices", "retention", "clock_skew_s", "marketing_age", "confirmation_days")
    return {**{name: told[name] for name in kept}, "crm": {"purposes": told["crm"]["purposes"]}}


def policy_hash(policy: Policy) -> str:
    """A name for exactly this policy."""
    return hashlib.sha256(orjson.dumps(policy_body(policy), option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def compare_policies(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[PolicyChange]:
    """The changes from one body (as `policy_body`) to another, in the order of their places."""
    return sorted(_changes("", before, after), key=lambda change: change.where)


def _changes(where: str, before: Any, after: Any) -> Iterator[PolicyChange]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in {*before, *after}:
            yield from _changes(f"{where}.{name}".lstrip("."), before.get(name), after.get(name))
    else:
        yield PolicyChange(where, before, after, _widens(where, before, after))


def _widens(where: str, before: Any, after: Any) -> bool:
    name = where.rpartition(".")[2]
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        return before is None and where.startswith(("purposes.", "crm.purposes."))
    if name in _OTHER or ".topics." in where:
        return after not in (None, "never")
    if name in _LESS:
        return _exceeds(before, after)
    return (name in _MORE or name.endswith(_DAYS)) and _exceeds(after, before)


def _exceeds(one: Any, other: Any) -> bool:
    """Whether one allows something that the other does not; no number of days is for ever."""
    if isinstance(one, list) or isinstance(other, list):
        return bool(set(one or ()) - set(other or ()))
    if one is None or other is None:
        return one is None and other is not None
    return bool(one > other)

"""D4: cloud flows that turn a contact's flags into opt-ins whenever the contact is edited.

Microsoft's own guide for such a flow sets Opted In where both flags allow, which they do by default: one edit of a
contact by anybody then opts in a person who never agreed.
https://learn.microsoft.com/dynamics365/customer-insights/journeys/consent-record-creation
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pipelines.transforms.diagnosis.facts import Setup
from pipelines.transforms.diagnosis.findings import Finding, Row, endangers, listed, of_rows, ok, unknown, warning
from schemas.policy import Policy
from schemas.tables import CONSENT, CONTACT, ConsentValue

_CONSENTS = CONSENT.logical_name.rstrip("4")
_CONTACT_NAMES = frozenset({CONTACT.logical_name, CONTACT.entity_set})


def flows_from_flags(setup: Setup, _policy: Policy) -> list[Finding]:
    """No activated flow that a contact starts writes consent rows; one that can opt in holds a run back."""
    return of_rows(setup.of("flows"), _of_flows)


def _of_flows(rows: Sequence[Row]) -> Iterator[Finding]:
    opting_in: list[object] = []
    writing: list[object] = []
    closed: list[object] = []
    for row in rows:
        definition = _definition(row.get("clientdata"))
        makes = None if definition is None else makes_consents(definition)
        if definition is None or makes is None:
            closed.append(row["workflowid"])
        elif makes:
            (opting_in if names_opt_in(definition) else writing).append(row["workflowid"])
    if opting_in:
        yield endangers(f"Flows that opt in when a contact is edited: {listed(opting_in)}.")
    if writing:
        yield warning(f"Flows that write consent rows when a contact is edited: {listed(writing)}.")
    if closed:
        yield unknown(f"Flows whose definition cannot be read: {listed(closed)}.")
    if not (opting_in or writing or closed):
        yield from ok(f"None of {len(rows)} activated cloud flows makes consent rows of contacts.")


def _definition(text: object) -> dict[str, Any] | None:
    """The flow's definition, None where there is none that can be read."""
    try:
        definition = json.loads(str(text))["properties"]["definition"]
        parts = definition["triggers"], definition["actions"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return None
    return definition if all(isinstance(part, dict) for part in parts) else None


def makes_consents(definition: dict[str, Any]) -> bool | None:
    """Whether a change of a contact's row starts the flow, and the flow writes contact point consents.

    None where it may, but a table is given by an expression (`@parameters('table')`) that only a run of it tells.
    """
    parts = is_started_by_contacts(definition), writes_consents(definition)
    return False if False in parts else None if None in parts else True


def is_started_by_contacts(definition: dict[str, Any]) -> bool | None:
    """Whether a trigger of the flow is a change of a contact's row."""
    return _is_any(_values(definition["triggers"], "entityname"), lambda name: name in _CONTACT_NAMES)


def writes_consents(definition: dict[str, Any]) -> bool | None:
    """Whether an action of the flow creates or updates contact point consents, of any generation."""
    steps = (one for one in objects(definition["actions"]) if isinstance(one.get("host"), dict))
    tables = (name for step in steps if _is_write(step) for name in _values(step.get("parameters"), "entityname"))
    return _is_any(tables, lambda name: name.startswith(_CONSENTS))


def _is_any(tables: Iterable[str], wanted: Callable[[str], bool]) -> bool | None:
    names = set(tables)
    if any(map(wanted, names)):
        return True
    return None if any(name.startswith("@") for name in names) else False


def _is_write(step: dict[str, Any]) -> bool:
    return str(step["host"].get("operationId", "")).startswith(("Create", "Update", "Upsert"))


def names_opt_in(definition: dict[str, Any]) -> bool:
    """Whether the value Opted In stands anywhere in the flow."""
    return str(int(ConsentValue.OPTED_IN)) in json.dumps(definition)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value, the outer ones first."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


def _values(value: Any, ending: str) -> Iterator[str]:
    """The strings under keys that end so (`entityName`, `subscriptionRequest/entityname`), wherever they stand."""
    for one in objects(value):
        for key, inner in one.items():
            if key.lower().endswith(ending) and isinstance(inner, str):
                yield inner.lower()

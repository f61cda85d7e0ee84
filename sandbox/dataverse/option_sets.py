"""Global option sets: made, read by name or id, taken away. A choice that binds one copies its options."""

from __future__ import annotations

from uuid import uuid4

from .columns import Row
from .definitions import options_of
from .descriptions import describe_options
from .messages import Answer, Call, answer_json
from .privileges import demand_named
from .provisioning import OPTION_SET_TABLE
from .refusals import Refused, invalid, payload_error, wrong_verb
from .state import Store
from .urls import Resource, parse_key, unquote_literal


def answer_option_sets(store: Store, call: Call, resource: Resource) -> Answer:
    """Answers a request under GlobalOptionSetDefinitions."""
    if resource.rest:
        raise wrong_verb(call.method)
    if call.method != "GET":
        demand_named(store, call.caller, "prvCreateOptionSet")
    if resource.key is None:
        return _listed(store, call) if call.method == "GET" else _made(store, call)
    set_id = _named(store, resource.key)
    if call.method == "GET":
        return answer_json(_described(set_id, store.data[OPTION_SET_TABLE].rows[set_id]))
    if call.method != "DELETE":
        raise wrong_verb(call.method)
    with store.transaction():
        store.remove(OPTION_SET_TABLE, set_id)
    return Answer(204)


def _listed(store: Store, call: Call) -> Answer:
    sets = [_described(set_id, row) for set_id, row in store.data[OPTION_SET_TABLE].rows.items()]
    return answer_json({"@odata.context": f"{call.base_url}$metadata#GlobalOptionSetDefinitions", "value": sets})


def _made(store: Store, call: Call) -> Answer:
    if call.method != "POST":
        raise wrong_verb(call.method)
    body = call.json()
    name, set_id = str(body.get("Name") or "").lower(), str(uuid4())
    if "_" not in name or not options_of(body):
        raise payload_error("a global option set needs a Name with a publisher's prefix, and Options")
    if any(row["name"] == name for row in store.data[OPTION_SET_TABLE].rows.values()):
        raise invalid(f"An OptionSet with Name={name} already exists.", "0x80048403")
    with store.transaction():
        store.put(OPTION_SET_TABLE, set_id, {"name": name, "options": options_of(body)})
    return Answer(204, {"OData-EntityId": f"{call.base_url}GlobalOptionSetDefinitions({set_id})"})


def _named(store: Store, key: str) -> str:
    parsed = parse_key(key)
    name = "" if isinstance(parsed, str) else unquote_literal(parsed.get("Name", "''")).lower()
    for set_id, row in store.data[OPTION_SET_TABLE].rows.items():
        if parsed == set_id or row["name"] == name:
            return set_id
    raise Refused(404, "0x80048401", "Could not find an OptionSet with the specified name or id.")


def _described(set_id: str, row: Row) -> Row:
    options = describe_options(set_id, row["name"], [(value, label) for value, label in row["options"]])
    return {"@odata.type": "#Microsoft.Dynamics.CRM.OptionSetMetadata", **options, "IsGlobal": True}

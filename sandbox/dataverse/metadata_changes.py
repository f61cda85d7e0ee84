"""RetrieveMetadataChanges: definitions and columns by an EntityQueryExpression, as far as the vendor's SDK asks it.

Conditions are `LogicalName Equals`; there is no stamp of a client's earlier answer, so every answer is whole.
"""

from __future__ import annotations

from typing import Any

import orjson

from .columns import Row
from .descriptions import describe_columns, describe_table
from .messages import Answer, Call, answer_json
from .refusals import invalid, payload_error
from .state import Store
from .urls import parse_path, parse_query


def retrieve_metadata_changes(store: Store, call: Call) -> Answer:
    query = _query(call)
    described = [describe_table(rows.table) for rows in store.by_set.values()]
    chosen = [item for item in described if _fits(item, query)]
    found = []
    for item in chosen:
        attributes = query.get("AttributeQuery") or {}
        columns = describe_columns(store, store.data[item["LogicalName"]].table)
        listed = [_projected(column, attributes) for column in columns if _fits(column, attributes)]
        found.append({**_projected(item, query), **({"Attributes": listed} if _wants(query, "Attributes") else {})})
    context = f"{call.base_url}$metadata#Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse"
    return answer_json({"@odata.context": context, "EntityMetadata": found, "ServerVersionStamp": str(store.version)})


def _query(call: Call) -> Row:
    options = parse_query(call.query)
    argument = (parse_path(call.path).key or "").partition("=")[2]
    try:
        query = orjson.loads(options.get(argument, argument))
    except orjson.JSONDecodeError:
        raise payload_error("RetrieveMetadataChanges needs an EntityQueryExpression as JSON") from None
    if not isinstance(query, dict):
        raise payload_error("RetrieveMetadataChanges needs an EntityQueryExpression")
    return query


def _fits(item: Row, query: Row) -> bool:
    for condition in (query.get("Criteria") or {}).get("Conditions") or []:
        if condition.get("ConditionOperator") != "Equals":
            raise invalid("The condition of a metadata query is not supported.")
        if item.get(condition.get("PropertyName")) != (condition.get("Value") or {}).get("Value"):
            return False
    return True


def _projected(item: Row, query: Row) -> Row:
    names: Any = (query.get("Properties") or {}).get("PropertyNames")
    kept = {"MetadataId", "LogicalName", "@odata.type", *(names or item)}
    return {name: value for name, value in item.items() if name in kept}


def _wants(query: Row, name: str) -> bool:
    properties = query.get("Properties") or {}
    return bool(properties.get("AllProperties")) or name in (properties.get("PropertyNames") or [])

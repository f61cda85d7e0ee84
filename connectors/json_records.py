"""The records of a JSON document, wherever it keeps them, and their lists of named values as plain keys. Pure."""

from collections.abc import Iterator
from typing import Any

from schemas.arrangements import Arrangement, PairList


def records_of(document: Any, arrangement: Arrangement) -> list[Any]:
    """The records, each with its pairs as keys `list.name`; without a path a list's members, or the document itself."""
    path = arrangement.records.split(".") if arrangement.records else []
    found = list(_at(document, path, {})) if path else document if isinstance(document, list) else [document]
    return [_with_pairs(record, arrangement.pairs) for record in found]


def value_at(node: Any, path: str) -> Any:
    """What stands at a path of keys joined by dots; None where nothing does."""
    for key in path.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _at(node: Any, path: list[str], keys: dict[str, str]) -> Iterator[Any]:
    if not path:
        yield from (_keyed(member, keys) for member in (node if isinstance(node, list) else [node]))
    elif path[0] == "*" and isinstance(node, dict):
        for key, member in node.items():
            yield from _at(member, path[1:], {**keys, "*" * (len(keys) + 1): key})
    elif path[0] == "*" and isinstance(node, list):
        for member in node:
            yield from _at(member, path[1:], keys)
    elif isinstance(node, dict) and path[0] in node:
        yield from _at(node[path[0]], path[1:], keys)


def _keyed(record: Any, keys: dict[str, str]) -> Any:
    return {**record, **keys} if isinstance(record, dict) else record


def _with_pairs(record: Any, pairs: tuple[PairList, ...]) -> Any:
    for pair in pairs if isinstance(record, dict) else ():
        listed = value_at(record, pair.list)
        if isinstance(listed, list):
            record = {**_without(record, pair.list.split(".")), **_named(listed, pair)}
    return record


def _named(listed: list[Any], pair: PairList) -> dict[str, Any]:
    named = {}
    for item in listed:
        name = value_at(item, pair.name)
        values = [value for path in pair.values if (value := value_at(item, path)) is not None]
        if name is not None:
            named[f"{pair.list}.{name}"] = values[0] if values else None
    return named


def _without(record: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """The record without what stands at the path; what was not touched is the same object."""
    if len(path) == 1:
        return {key: value for key, value in record.items() if key != path[0]}
    return {**record, path[0]: _without(record[path[0]], path[1:])}

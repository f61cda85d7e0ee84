"""The records of a JSON document, wherever it keeps them, and their lists of named values as plain keys. Pure."""

from typing import Any

import jmespath
import jmespath.exceptions

from schemas.arrangements import Arrangement, PairList
from schemas.errors import MappingError


def records_of(document: Any, arrangement: Arrangement) -> list[Any]:
    """The records, each with its pairs; without a path a list's members, or the document itself. Raises MappingError."""
    found = _at(arrangement.records, document) if arrangement.records else document
    records = found if isinstance(found, list) else [] if found is None else [found]
    return [with_pairs(record, arrangement.pairs) for record in records]


def with_pairs(record: Any, pairs: tuple[PairList, ...]) -> Any:
    """A record in which each list of named values has become keys `list.name`."""
    for pair in pairs if isinstance(record, dict) else ():
        listed = value_at(record, pair.list)
        if isinstance(listed, list):
            record = {**_without(record, pair.list.split(".")), **_named(listed, pair)}
    return record


def value_at(node: Any, path: str) -> Any:
    """What stands at a path of keys joined by dots; None where nothing does."""
    for key in path.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _at(path: str, document: Any) -> Any:
    try:
        return jmespath.search(path, document)
    except jmespath.exceptions.JMESPathError:
        raise MappingError(f"arrangement.records: {path!r} is not a path (https://jmespath.org). Correct it.") from None


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

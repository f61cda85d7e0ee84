"""Reading URLs: the resource a path names, its key, and the options of a query."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, unquote_plus

from .columns import Row
from .refusals import invalid, missing_row, query_syntax, unknown_segment
from .state import Store, TableRows

BASE_PATH = "/api/data/v9.2/"
GUID = re.compile(r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")
_SEGMENT = re.compile(r"^([A-Za-z_$][\w.$]*)(?:\((.*)\))?$", re.DOTALL)
_KEY_PART = re.compile(r"\s*(\w+)\s*=\s*('(?:[^']|'')*'|[^,']+)\s*(?:,|$)")
_KNOWN_OPTIONS = {
    "$select",
    "$filter",
    "$orderby",
    "$top",
    "$count",
    "$expand",
    "$skiptoken",
    "$deltatoken",
    "$format",
    "$id",
}
LONGEST_URL = 32_768


@dataclass
class Resource:
    """A path taken apart: the first segment's name, the text between its parentheses, and the segments after it."""

    name: str
    key: str | None = None
    rest: list[str] = field(default_factory=list)


def parse_path(path: str) -> Resource:
    """Decodes a path once and splits it; Refused where it is not a resource path."""
    segments = [part for part in unquote(path.strip("/")).split("/") if part]
    found = _SEGMENT.match(segments[0]) if segments else None
    if not found:
        raise query_syntax()
    return Resource(found.group(1), found.group(2), segments[1:])


def parse_query(query: str) -> dict[str, str]:
    """Options by name, form-decoded (`+` is a blank); Refused for a system option that the server does not know."""
    options = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        name = unquote_plus(name)
        if name.startswith("$") and name not in _KNOWN_OPTIONS:
            raise invalid(f"The query parameter {name} is not supported")
        options[name] = unquote_plus(value)
    return options


def parse_key(text: str) -> dict[str, str] | str:
    """A guid in lower case, or the parts of a key by column; Refused for anything else."""
    if GUID.match(text):
        return text.lower()
    parts, position = {}, 0
    while position < len(text):
        found = _KEY_PART.match(text, position)
        if not found:
            raise query_syntax()
        parts[found.group(1)] = found.group(2)
        position = found.end()
    if not parts:
        raise query_syntax()
    return parts


def split_outside(text: str, separator: str) -> list[str]:
    """The parts of a text between separators, those inside parentheses or quotes left alone; blank parts dropped."""
    parts, depth, quoted, begun = [], 0, False, 0
    for position, sign in enumerate(text):
        quoted ^= sign == "'"
        depth += (sign == "(") - (sign == ")") if not quoted else 0
        if sign == separator and depth == 0 and not quoted:
            parts.append(text[begun:position])
            begun = position + 1
    return [part.strip() for part in [*parts, text[begun:]] if part.strip()]


def options_within(text: str) -> tuple[str, dict[str, str]]:
    """`Name($select=a,b;$filter=...)` of an `$expand` as the name and its options."""
    name, _, inner = text.partition("(")
    pairs = (part.partition("=") for part in split_outside(inner.removesuffix(")"), ";"))
    return name.strip(), {option.strip(): value for option, _, value in pairs}


def unquote_literal(literal: str) -> str:
    return literal[1:-1].replace("''", "'") if literal.startswith("'") else literal


def rows_of(store: Store, set_name: str) -> TableRows:
    """The table behind an entity set; names are case-sensitive."""
    rows = store.by_set.get(set_name)
    if rows is None:
        raise unknown_segment(set_name)
    return rows


def existing(rows: TableRows, row_id: str) -> Row:
    row = rows.rows.get(row_id)
    if row is None:
        raise missing_row(rows.table.logical, row_id)
    return row

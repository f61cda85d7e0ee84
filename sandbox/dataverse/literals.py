"""The words of the `$filter` language: tokens, and literals as the values that columns hold."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from .clock import stamp_of
from .refusals import Refused, invalid

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<guid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
    r"|(?P<moment>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?)|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>@?[A-Za-z_][\w./]*)|(?P<double>\"[^\"]*\")|(?P<sign>[(),=\[\]]))"
)


def tokens_of(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found or found.lastgroup is None:
            raise syntax_error()
        tokens.append((found.lastgroup, found.group(found.lastgroup)))
        position = found.end()
    return tokens


def literal_of(token_kind: str, text: str, kind: str) -> Any:
    """A literal as the value a column of that kind holds; Refused where the types do not go together."""
    if token_kind == "name":
        constants = {"null": None, "true": True, "false": False}
        if text not in constants or (text != "null" and kind != "Boolean"):
            raise types_differ()
        return constants[text]
    fits = {
        "string": kind in ("String", "Memo"),
        "guid": kind in ("Uniqueidentifier", "Lookup"),
        "number": kind in ("Integer", "BigInt", "Decimal", "Double", "Picklist", "State", "Status"),
        "moment": kind in ("DateTime", "DateOnly"),
    }
    if not fits.get(token_kind):
        raise types_differ()
    return converted(unquoted(text), kind)


def converted(text: str, kind: str) -> Any:
    try:
        if kind in ("Integer", "BigInt", "Picklist", "State", "Status"):
            return int(text)
        if kind in ("Decimal", "Double"):
            return float(text)
        if kind == "DateTime":
            return stamp_of(datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00Z"))
    except ValueError:
        raise types_differ() from None
    return text.lower() if kind in ("Uniqueidentifier", "Lookup") else text


def unquoted(text: str) -> str:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return text[1:-1] if text.startswith('"') else text


def syntax_error() -> Refused:
    return invalid("Syntax error in the $filter expression.", "0x80060888")


def raise_syntax() -> Any:
    raise syntax_error()


def types_differ() -> Refused:
    return invalid("A binary operator with incompatible types was detected.", "0x80060888")

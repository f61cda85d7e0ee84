"""`?sql=`: one SELECT over one table, turned into the options of a read.

Known: TOP, columns by name, WHERE with comparisons, IN, LIKE, IS NULL, AND, OR, NOT and parentheses, ORDER BY. Joins,
aliases and aggregates are refused. An environment may refuse all of it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

from .columns import Column, Table
from .fetchxml import like_filter
from .messages import Answer, Call
from .paging import Pages
from .reads import read_rows
from .refusals import Refused, invalid
from .state import Store, TableRows

_SELECT = re.compile(
    r"^\s*SELECT\s+(?:TOP\s+(?P<top>\d+)\s+)?(?P<columns>[\w\s,]+?)\s+FROM\s+(?P<table>\w+)"
    r"(?:\s+WHERE\s+(?P<where>.+?))?(?:\s+ORDER\s+BY\s+(?P<order>[\w\s,]+?))?\s*;?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|<>|!=|>=|<=|[=<>(),]|-?\d+(?:\.\d+)?|[A-Za-z_]\w*)")
_SIGNS = {"=": "eq", "<>": "ne", "!=": "ne", ">": "gt", ">=": "ge", "<": "lt", "<=": "le"}
_WORDS = ("and", "or", "not")


def read_sql(store: Store, pages: Pages, call: Call, rows: TableRows, text: str) -> Answer:
    """The rows of a SELECT, at most 5000 of them a page."""
    if not store.options.sql_reads:
        raise invalid("SQL queries are not enabled for this environment.", "0x80040203")
    found = _SELECT.match(text)
    if not found or found["table"].lower() != rows.table.logical:
        raise _bad("one SELECT of columns of one table is expected")
    options = {"$select": _names(rows.table, found["columns"]), "$top": found["top"]}
    options["$filter"] = _Where(rows.table, found["where"]).text() if found["where"] else None
    options["$orderby"] = _ordering(rows.table, found["order"]) if found["order"] else None
    query = "&".join(f"{name}={quote(value)}" for name, value in options.items() if value)
    return read_rows(store, pages, replace(call, query=query), rows)


class _Where:
    """A WHERE clause from left to right; what its parentheses hold stays between them."""

    def __init__(self, table: Table, text: str) -> None:
        self.table = table
        self.tokens = _tokens(text)
        self.written: list[str] = []

    def text(self) -> str:
        """The clause as $filter text; Refused for what it does not understand."""
        while self.tokens:
            token = self.tokens.pop(0)
            if token in "()":
                self.written.append(token)
            elif token.lower() in _WORDS:
                self.written.append(token.lower())
            else:
                self.written.append(self._comparison(_column(self.table, token)))
        return " ".join(self.written)

    def _comparison(self, column: Column) -> str:
        operator, name = self._next().lower(), column.property_name
        if operator == "is":
            negated = self._accept("not")
            self._expect("null")
            return f"{name} {'ne' if negated else 'eq'} null"
        if operator == "not":
            return f"not {self._comparison_by(column, self._next().lower())}"
        return self._comparison_by(column, operator)

    def _comparison_by(self, column: Column, operator: str) -> str:
        name = column.property_name
        if operator == "in":
            return f"Microsoft.Dynamics.CRM.In(PropertyName='{name}',PropertyValues=[{','.join(self._listed())}])"
        if operator == "like":
            return like_filter(name, _unquoted(self._next()))
        if operator not in _SIGNS:
            raise _bad(f"the operator {operator} is not known to the emulator")
        return f"{name} {_SIGNS[operator]} {_literal(column, self._next())}"

    def _listed(self) -> list[str]:
        self._expect("(")
        values = []
        while not self._accept(")"):
            values.append("'" + _unquoted(self._next()).replace("'", "''") + "'")
            self._accept(",")
        return values

    def _next(self) -> str:
        if not self.tokens:
            raise _bad("the WHERE clause ends too early")
        return self.tokens.pop(0)

    def _accept(self, word: str) -> bool:
        if self.tokens and self.tokens[0].lower() == word:
            self.tokens.pop(0)
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise _bad(f"{word} is expected")


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if not found:
            raise _bad("the WHERE clause could not be read")
        tokens.append(found.group(1))
        position = found.end()
    return tokens


def _names(table: Table, text: str) -> str:
    return ",".join(_column(table, name.strip()).property_name for name in text.split(","))


def _ordering(table: Table, text: str) -> str:
    parts = (part.split() for part in text.split(","))
    return ",".join(
        " ".join([_column(table, name).property_name, *(way.lower() for way in ways)]) for name, *ways in parts
    )


def _column(table: Table, name: str) -> Column:
    column = table.columns.get(name.lower())
    if column is None:
        raise invalid(f"'{table.logical}' entity doesn't contain attribute with Name = '{name}'.", "0x80041103")
    return column


def _literal(column: Column, token: str) -> str:
    if column.kind == "Boolean":
        return {"1": "true", "true": "true"}.get(token.lower(), "false")
    return token if column.kind in ("String", "Memo") else _unquoted(token)


def _unquoted(token: str) -> str:
    return token[1:-1].replace("''", "'") if token.startswith("'") else token


def _bad(message: str) -> Refused:
    return invalid(f"Invalid SQL: {message}.", "0x80040203")

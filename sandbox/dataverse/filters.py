"""The `$filter` language: from its text to a predicate over rows, with the ids an index can narrow it to.

Strings compare by the environment's collation. `ne` holds for a null, as the server's own SQL has it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .collation import Collation
from .columns import Row
from .literals import converted, literal_of, raise_syntax, syntax_error, tokens_of, unquoted
from .refusals import invalid

Predicate = Callable[[Row], bool]
MOST_CONDITIONS = 500

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_TEXT_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_IN = "Microsoft.Dynamics.CRM.In"


@dataclass
class Condition:
    """A predicate; `equals`, where it is known, lists (property, values) of which a row must have one to satisfy it."""

    holds: Predicate
    equals: list[tuple[str, list[Any]]] | None = None


def parse_filter(
    text: str,
    kinds: Mapping[str, str],
    collation: Collation,
    *,
    aliases: Mapping[str, str] | None = None,
    type_name: str = "",
) -> Condition:
    """Parses a filter over properties of the given kinds; Refused for bad syntax, unknown names, too much of it."""
    return _Parser(text, kinds, collation, aliases or {}, type_name).parse()


class _Parser:
    """Recursive descent: or < and < not < comparison, function or parentheses."""

    def __init__(
        self, text: str, kinds: Mapping[str, str], collation: Collation, aliases: Mapping[str, str], type_name: str
    ) -> None:
        self.tokens = tokens_of(text)
        self.position = 0
        self.conditions = 0
        self.kinds = kinds
        self.fold = collation.fold
        self.aliases = aliases
        self.type_name = type_name

    def parse(self) -> Condition:
        condition = self._either()
        if self.position != len(self.tokens):
            raise syntax_error()
        if self.conditions > MOST_CONDITIONS:
            raise invalid("Number of conditions in query exceeded maximum limit.", "0x8004430c")
        return condition

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._accept("or"):
            parts.append(self._both())
        return (
            parts[0] if len(parts) == 1 else Condition(_any_of([part.holds for part in parts]), _either_equals(parts))
        )

    def _both(self) -> Condition:
        parts = [self._negated()]
        while self._accept("and"):
            parts.append(self._negated())
        if len(parts) == 1:
            return parts[0]
        narrowing = next((part.equals for part in parts if part.equals), None)
        return Condition(_all_of([part.holds for part in parts]), narrowing)

    def _negated(self) -> Condition:
        if not self._accept("not"):
            return self._term()
        inner = self._negated().holds
        return Condition(lambda row: not inner(row))

    def _term(self) -> Condition:
        if self._accept("("):
            condition = self._either()
            self._expect(")")
            return condition
        self.conditions += 1
        kind, name = self._next()
        if kind != "name":
            raise syntax_error()
        if name == _IN:
            return self._in()
        if name in _TEXT_FUNCTIONS:
            return self._text_function(name)
        if "." in name:
            raise invalid(f"The query function '{name}' is not supported.")
        return self._comparison(name)

    def _comparison(self, name: str) -> Condition:
        value_kind = self._kind_of(name)
        _, sign = self._next()
        compare = _OPERATORS.get(sign)
        if compare is None:
            raise syntax_error()
        value = self._value(value_kind)
        if value is None:
            if sign not in ("eq", "ne"):
                raise invalid("A null can be compared by eq and ne only.")
            return Condition(lambda row: (row.get(name) is None) == (sign == "eq"))
        holds = self._compared(name, compare, value, null_holds=sign == "ne")
        return Condition(holds, [(name, [value])] if sign == "eq" else None)

    def _compared(self, name: str, compare: Callable[[Any, Any], bool], value: Any, *, null_holds: bool) -> Predicate:
        fold = self.fold
        if isinstance(value, str):
            folded = fold(value)

            def holds_text(row: Row) -> bool:
                found = row.get(name)
                return null_holds if found is None else compare(fold(found), folded)

            return holds_text

        def holds(row: Row) -> bool:
            found = row.get(name)
            return null_holds if found is None else compare(found, value)

        return holds

    def _text_function(self, function: str) -> Condition:
        self._expect("(")
        _, name = self._next()
        if self._kind_of(name) not in ("String", "Memo"):
            raise invalid(f"No function signature for the function with name '{function}' matches.")
        self._expect(",")
        part = self.fold(str(self._value("String")))
        self._expect(")")
        test, fold = _TEXT_FUNCTIONS[function], self.fold
        return Condition(lambda row: row.get(name) is not None and test(fold(row[name]), part))

    def _in(self) -> Condition:
        for expected in ("(", "PropertyName", "="):
            self._expect(expected)
        name = unquoted(self._next()[1])
        kind = self._kind_of(name)
        for expected in (",", "PropertyValues", "=", "["):
            self._expect(expected)
        values = self._listed(kind)
        self._expect(")")
        folded = {self.fold(value) if isinstance(value, str) else value for value in values}
        fold = self.fold

        def holds(row: Row) -> bool:
            found = row.get(name)
            return (fold(found) if isinstance(found, str) else found) in folded

        return Condition(holds, [(name, values)])

    def _listed(self, kind: str) -> list[Any]:
        values = []
        while not self._accept("]"):
            token_kind, text = self._next()
            values.append(converted(unquoted(text), kind) if token_kind != "sign" else raise_syntax())
            self._accept(",")
        return values

    def _value(self, kind: str) -> Any:
        token_kind, text = self._next()
        if token_kind == "name" and text.startswith("@"):
            tokens = tokens_of(self.aliases.get(text, ""))
            if len(tokens) != 1:
                raise syntax_error()
            token_kind, text = tokens[0]
        return literal_of(token_kind, text, kind)

    def _kind_of(self, name: str) -> str:
        kind = self.kinds.get(name)
        if kind is None:
            raise invalid(
                f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{self.type_name}'."
            )
        return kind

    def _next(self) -> tuple[str, str]:
        if self.position >= len(self.tokens):
            raise syntax_error()
        self.position += 1
        return self.tokens[self.position - 1]

    def _accept(self, text: str) -> bool:
        found = self.position < len(self.tokens) and self.tokens[self.position] in (("sign", text), ("name", text))
        self.position += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise syntax_error()


def _either_equals(parts: list[Condition]) -> list[tuple[str, list[Any]]] | None:
    """The alternatives of all parts, by property; None where any part may hold for other rows."""
    merged: dict[str, list[Any]] = {}
    for part in parts:
        if part.equals is None:
            return None
        for name, values in part.equals:
            merged.setdefault(name, []).extend(values)
    return list(merged.items())


def _any_of(parts: list[Predicate]) -> Predicate:
    return lambda row: any(part(row) for part in parts)


def _all_of(parts: list[Predicate]) -> Predicate:
    return lambda row: all(part(row) for part in parts)

"""`$expand` over lookups: the row that a lookup points at, inside the row that has it.

Only single-valued navigation properties are known; a collection in `$expand` is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .columns import Column, Row, Table
from .messages import Caller
from .privileges import demand
from .refusals import invalid
from .rendering import row_renderer
from .state import Store
from .urls import options_within, split_outside
from .values import type_property

Render = Callable[[Row], Row]


@dataclass(frozen=True)
class _Expansion:
    navigation: str
    column: Column
    logical: str
    render: Render


def expanding_renderer(store: Store, table: Table, options: dict[str, str], annotations: str, caller: Caller) -> Render:
    """How a row is written with what `$select` and `$expand` ask for; Refused for what cannot be expanded."""
    render = row_renderer(store, table, options.get("$select"), annotations)
    text = options.get("$expand")
    if not text:
        return render
    expansions = [_expansion(store, table, part, annotations, caller) for part in split_outside(text, ",")]

    def render_expanded(row: Row) -> Row:
        rendered = render(row)
        for expansion in expansions:
            rendered[expansion.navigation] = _expanded(store, expansion, row)
        return rendered

    return render_expanded


def _expansion(store: Store, table: Table, text: str, annotations: str, caller: Caller) -> _Expansion:
    navigation, nested = options_within(text)
    pair = table.navigations.get(navigation)
    if pair is None or set(nested) - {"$select", "$expand"}:
        kind = f"Microsoft.Dynamics.CRM.{table.logical}"
        raise invalid(f"Could not find a property named '{navigation}' on type '{kind}', or not one to expand so.")
    column, target = pair
    other = store.data[target.table].table
    demand(store, caller, "Read", other)
    render = expanding_renderer(store, other, nested, annotations, caller)
    return _Expansion(navigation, column, target.table, render)


def _expanded(store: Store, expansion: _Expansion, row: Row) -> Any:
    """The other row, or null where the lookup is empty or points at another table."""
    if row.get(type_property(expansion.column), expansion.logical) != expansion.logical:
        return None
    other = store.data[expansion.logical].rows.get(row.get(expansion.column.property_name, ""))
    return None if other is None else expansion.render(other)

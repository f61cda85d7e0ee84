"""Duplicate detection rules: published, they refuse a row like another one, to who asks for it by a header.

A rule is a row of duplicaterule with its conditions; all of them must hold. A blank value matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .columns import Row, Table
from .refusals import Refused
from .state import Store, TableRows

_EXACT, _FIRST, _LAST = 0, 1, 2


def check_duplicates(store: Store, table: Table, row_id: str, row: Row) -> None:
    """Refused with 0x80040333 where a published rule finds another row like this one."""
    for rule_id, rule in store.data["duplicaterule"].rows.items():
        if rule["statecode"] != 1 or rule.get("baseentityname") != table.logical:
            continue
        others = store.data.get(rule.get("matchingentityname", ""))
        conditions = list(_conditions(store, rule_id))
        if others is not None and conditions and _found(others, conditions, row, besides=row_id):
            message = "A record was not created or updated because a duplicate of the current record already exists."
            raise Refused(store.options.duplicate_rule_status, "0x80040333", message)


def _conditions(store: Store, rule_id: str) -> Iterator[Row]:
    rows = store.data["duplicaterulecondition"]
    return (rows.rows[each] for each in rows.ids_where("_regardingobjectid_value", [rule_id]))


def _found(others: TableRows, conditions: list[Row], row: Row, *, besides: str) -> bool:
    wanted = [
        (condition, _code(others, condition, row.get(condition["baseattributename"]))) for condition in conditions
    ]
    if any(code is None for _, code in wanted):
        return False
    return any(
        all(_code(others, each, other.get(each["matchingattributename"])) == code for each, code in wanted)
        for other_id, other in others.rows.items()
        if other_id != besides
    )


def _code(others: TableRows, condition: Row, value: Any) -> Any:
    """What a condition compares of a value, as a matchcode would keep it; None for a blank."""
    if not isinstance(value, str):
        return value
    folded, length = others.collation.fold(value), condition.get("operatorparam") or None
    operator = condition.get("operatorcode", _EXACT)
    if operator == _FIRST:
        return folded[:length] or None
    if operator == _LAST:
        return folded[-(length or 0) :] or None
    return folded or None

"""`?fetchXml=`: a query of one table as XML, turned into the filter, order and page that reads.py knows.

Links to other tables and aggregates are not known here, and refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from .columns import Column, Row, Table
from .filters import parse_filter
from .messages import Answer, Call, answer_json
from .paging import MOST_ROWS
from .privileges import demand
from .reads import matching_ids
from .refusals import Refused, invalid
from .rendering import row_renderer
from .state import Store, TableRows

_OPERATORS = {"eq": "eq", "ne": "ne", "neq": "ne", "gt": "gt", "ge": "ge", "lt": "lt", "le": "le"}
_TEXT = ("String", "Memo")
_PREFIX = "@Microsoft.Dynamics.CRM."


@dataclass(frozen=True)
class _Fetch:
    """A query read: `filter` as $filter text, `order` as $orderby, `select` None for all columns."""

    filter: str
    order: str
    select: str | None
    size: int
    page: int
    has_total: bool
    is_limited: bool


def read_fetch(store: Store, call: Call, rows: TableRows, xml: str) -> Answer:
    """A page of rows; whether there are more, and the cookie that goes into the next query, in annotations."""
    demand(store, call.caller, "Read", rows.table)
    fetch = _parsed(rows.table, xml)
    kinds = {name: column.kind for name, column in rows.table.readable.items()}
    condition = parse_filter(fetch.filter or f"{rows.table.id_column} ne null", kinds, store.collation)
    ids = matching_ids(rows, condition, fetch.order)
    start = (fetch.page - 1) * fetch.size
    render = row_renderer(store, rows.table, fetch.select, call.annotations)
    value = [render(rows.rows[row_id]) for row_id in ids[start : start + fetch.size]]
    body: Row = {"@odata.context": f"{call.base_url}$metadata#{rows.table.set_name}"}
    if fetch.has_total:
        body[f"{_PREFIX}totalrecordcount"] = min(len(ids), MOST_ROWS)
        body[f"{_PREFIX}totalrecordcountlimitexceeded"] = len(ids) > MOST_ROWS
    if not fetch.is_limited:
        body.update(_place(ids, start + fetch.size, fetch))
    answer = answer_json({**body, "value": value})
    answer.rows = len(value)
    return answer


def _place(ids: list[str], end: int, fetch: _Fetch) -> Row:
    """The annotations about what follows: a cookie encoded twice inside, as the server's is."""
    more = end < len(ids)
    if not more:
        return {f"{_PREFIX}morerecords": False}
    inner = (
        f"%253ccookie%2520page%253d%2522{fetch.page}%2522%253e%253clast%2520id%253d%2522{ids[end - 1]}%2522%252f%253e"
    )
    cookie = f'<cookie pagenumber="{fetch.page + 1}" pagingcookie="{inner}%253c%252fcookie%253e" istracking="False" />'
    return {f"{_PREFIX}morerecords": True, f"{_PREFIX}fetchxmlpagingcookie": cookie}


def _parsed(table: Table, xml: str) -> _Fetch:
    root = _root(xml)
    entity = root.find("entity")
    if root.tag != "fetch" or entity is None or entity.get("name") != table.logical:
        raise _bad(f"a fetch of the entity {table.logical} is expected")
    if root.get("aggregate") == "true" or entity.find("link-entity") is not None:
        raise _bad("the emulator knows neither aggregates nor link-entity")
    filters = [text for each in entity.findall("filter") if (text := _filter(table, each))]
    orders = [f"{_column(table, o).property_name} {_direction(o)}" for o in entity.findall("order")]
    names = [_column(table, each, "name").property_name for each in entity.findall("attribute")]
    top = root.get("top")
    return _Fetch(
        filter=" and ".join(filters),
        order=",".join(orders),
        select=None if entity.find("all-attributes") is not None else ",".join(names) or table.id_column,
        size=min(int(top or root.get("count") or MOST_ROWS), MOST_ROWS),
        page=1 if top else int(root.get("page") or 1),
        has_total=root.get("returntotalrecordcount") == "true",
        is_limited=top is not None,
    )


def _root(xml: str) -> ElementTree.Element:
    """The document; Refused for what is no XML, or declares entities of its own."""
    if "<!" in xml:
        raise _bad("declarations are not allowed")
    try:
        return ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        raise _bad("the XML could not be parsed") from None


def _filter(table: Table, element: ElementTree.Element) -> str:
    parts = [
        _condition(table, child) if child.tag == "condition" else f"({text})"
        for child in element
        if child.tag == "condition" or (child.tag == "filter" and (text := _filter(table, child)))
    ]
    return "(" + f" {element.get('type', 'and')} ".join(parts) + ")" if parts else ""


def _condition(table: Table, element: ElementTree.Element) -> str:
    column, operator = _column(table, element), element.get("operator", "")
    name, value = column.property_name, element.get("value") or ""
    if operator in ("null", "not-null"):
        return f"{name} {'eq' if operator == 'null' else 'ne'} null"
    if operator in ("in", "not-in"):
        listed = ",".join(f"'{_doubled(each.text or '')}'" for each in element.findall("value"))
        text = f"Microsoft.Dynamics.CRM.In(PropertyName='{name}',PropertyValues=[{listed}])"
        return text if operator == "in" else f"not {text}"
    if operator in ("like", "not-like"):
        text = like_filter(name, value)
        return text if operator == "like" else f"not {text}"
    if operator not in _OPERATORS:
        raise _bad(f"the operator {operator} is not known to the emulator")
    return f"{name} {_OPERATORS[operator]} {_literal(column, value)}"


def like_filter(name: str, pattern: str) -> str:
    """A LIKE pattern with wildcards at its ends as a filter; Refused for one inside."""
    inner = pattern.strip("%")
    if "%" in inner or "_" in inner or "[" in inner:
        raise _bad("the emulator knows wildcards at the ends of a pattern only")
    function = {(True, True): "contains", (True, False): "endswith", (False, True): "startswith"}.get(
        (pattern.startswith("%"), pattern.endswith("%"))
    )
    return f"{function}({name},'{_doubled(inner)}')" if function else f"{name} eq '{_doubled(inner)}'"


def _literal(column: Column, value: str) -> str:
    if column.kind == "Boolean":
        return {"1": "true", "true": "true"}.get(value.lower(), "false")
    return f"'{_doubled(value)}'" if column.kind in _TEXT else value.strip("{}")


def _column(table: Table, element: ElementTree.Element, attribute: str = "attribute") -> Column:
    column = table.columns.get(element.get(attribute, ""))
    if column is None:
        raise invalid(
            f"'{table.logical}' entity doesn't contain attribute with Name = '{element.get(attribute)}'.", "0x80041103"
        )
    return column


def _direction(order: ElementTree.Element) -> str:
    return "desc" if order.get("descending") == "true" else "asc"


def _doubled(text: str) -> str:
    return text.replace("'", "''")


def _bad(message: str) -> Refused:
    return invalid(f"Invalid FetchXml: {message}.", "0x80040201")

"""The language in which tables are defined: columns, lookups, states. No rows and no rules live here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Row = dict[str, Any]
States = Mapping[int, tuple[str, Mapping[int, str]]]

ACTIVE_OR_INACTIVE: States = {0: ("Active", {1: "Active"}), 1: ("Inactive", {2: "Inactive"})}
SYSTEM_USER = "00000000-0000-0000-0000-000000000001"
BUSINESS_UNIT = "00000000-0000-0000-0000-0000000000b1"
ORGANIZATION = "00000000-0000-0000-0000-0000000000a1"


@dataclass(frozen=True)
class Target:
    """One table that a lookup may point at, with the case-sensitive navigation property that binds it."""

    navigation: str
    table: str


@dataclass(frozen=True)
class Column:
    """One column. `kind` is the metadata's AttributeType, with DateOnly told apart from DateTime."""

    name: str
    kind: str
    max_length: int | None = None
    options: Mapping[int, str] | None = None
    required: bool = False
    default: Any = None
    on_create: bool = True
    on_update: bool = True
    targets: tuple[Target, ...] = ()
    on_delete: str = "remove_link"
    schema_name: str = ""

    @property
    def property_name(self) -> str:
        """The name under which a row is read: `_x_value` for a lookup, the column's own name otherwise."""
        return f"_{self.name}_value" if self.kind == "Lookup" else self.name


@dataclass(frozen=True)
class Table:
    """One table with its columns by name; `states` maps each statecode to its label and status reasons."""

    logical: str
    set_name: str
    primary_name: str
    columns: Mapping[str, Column]
    primary_id: str = ""
    states: States = field(default_factory=lambda: ACTIVE_OR_INACTIVE)
    change_tracking: bool = True
    optimistic_concurrency: bool = True
    bulk: bool = True
    elastic: bool = False
    mergeable: bool = False
    starts_in_default_state: bool = False
    type_code: int = 10000
    internal: bool = False
    schema_name: str = ""
    privilege_noun: str = ""
    part_of: str = ""

    @cached_property
    def id_column(self) -> str:
        return self.primary_id or f"{self.logical}id"

    @cached_property
    def noun(self) -> str:
        """The table in the names of its privileges: `prvRead` and this."""
        return self.privilege_noun or self.schema_name or self.logical

    @cached_property
    def readable(self) -> dict[str, Column]:
        """Columns by the property name of a read."""
        return {column.property_name: column for column in self.columns.values()}

    @cached_property
    def navigations(self) -> dict[str, tuple[Column, Target]]:
        """Lookups by navigation property."""
        return {t.navigation: (column, t) for column in self.columns.values() for t in column.targets}

    @cached_property
    def defaults(self) -> Row:
        """What a new row has before its payload is applied."""
        return {c.property_name: c.default for c in self.columns.values() if c.default is not None}

    @cached_property
    def state_of_status(self) -> dict[int, int]:
        return {status: state for state, (_, reasons) in self.states.items() for status in reasons}


def text(name: str, max_length: int = 100, **more: Any) -> Column:
    return Column(name, "String", max_length=max_length, **more)


def memo(name: str, max_length: int = 2000, **more: Any) -> Column:
    return Column(name, "Memo", max_length=max_length, **more)


def flag(name: str, default: bool = False, **more: Any) -> Column:
    return Column(name, "Boolean", default=default, **more)


def whole(name: str, **more: Any) -> Column:
    return Column(name, "Integer", **more)


def moment(name: str, **more: Any) -> Column:
    return Column(name, "DateTime", **more)


def day(name: str, **more: Any) -> Column:
    return Column(name, "DateOnly", **more)


def choice(name: str, options: Mapping[int, str], **more: Any) -> Column:
    return Column(name, "Picklist", options=options, **more)


def lookup(name: str, *targets: tuple[str, str], **more: Any) -> Column:
    """A lookup over (navigation property, logical table) pairs."""
    return Column(name, "Lookup", targets=tuple(Target(*pair) for pair in targets), **more)


def numbered(first: int, *labels: str) -> dict[int, str]:
    """Options with consecutive values, as publishers hand them out."""
    return dict(enumerate(labels, start=first))


def read_only(column: Column) -> Column:
    """The same column, kept by the server: what a payload says about it is ignored."""
    return Column(**{**column.__dict__, "on_create": False, "on_update": False})


def table(logical: str, set_name: str, primary_name: str, *columns: Column, **more: Any) -> Table:
    """A table with the columns every table has, then its own."""
    states: States = more.get("states", ACTIVE_OR_INACTIVE)
    id_column = more.get("primary_id") or f"{logical}id"
    own = [Column(id_column, "Uniqueidentifier", on_update=False), *columns]
    everything = [*own, *_system_columns(states)]
    return Table(logical, set_name, primary_name, {c.name: c for c in everything}, **more)


def _system_columns(states: States) -> list[Column]:
    labels = {state: label for state, (label, _) in states.items()}
    reasons = {value: label for _, (_, pairs) in states.items() for value, label in pairs.items()}
    people = [(name, lookup(name, (name, "systemuser"))) for name in ("createdby", "modifiedby")]
    delegates = [(name, lookup(name, (name, "systemuser"))) for name in ("createdonbehalfby", "modifiedonbehalfby")]
    return [
        Column("statecode", "State", options=labels),
        Column("statuscode", "Status", options=reasons),
        moment("overriddencreatedon", on_update=False),
        whole("importsequencenumber", on_update=False),
        lookup("ownerid", ("ownerid", "systemuser")),
        read_only(moment("createdon")),
        read_only(moment("modifiedon")),
        read_only(Column("versionnumber", "BigInt")),
        *(read_only(column) for _, column in people + delegates),
    ]

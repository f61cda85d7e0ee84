"""The environment as it is before any client: organisation, users, and rows that somebody else put or edits there."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

from .columns import BUSINESS_UNIT, ORGANIZATION, SYSTEM_USER, Row
from .messages import Caller
from .options import EmulatorOptions
from .provisioning import drop_columns, flag_tables, settle_schema
from .refusals import unknown_property
from .roles import plant_roles
from .state import Store, TableRows
from .urls import existing, rows_of
from .writes import create_row, delete_row, update_row

HUMAN_USER = "00000000-0000-0000-0000-0000000000e1"
_NAMED_USERS = {"system": SYSTEM_USER, "human": HUMAN_USER}


def user_id_of(client_id: str) -> str:
    """The application user of a client, the same in every environment."""
    return str(uuid5(NAMESPACE_OID, f"sandbox.dataverse.user.{client_id}"))


def prepare(store: Store, options: EmulatorOptions) -> None:
    """Makes sure of the organisation, the users and the configured rows; leaves what is there."""
    store.options = options
    _shape(store, options)
    organisation = {
        "organizationid": ORGANIZATION,
        "name": "sandbox",
        "languagecode": options.language_code,
        "expirechangetrackingindays": options.change_tracking_days,
    }
    users = [_user(SYSTEM_USER, "SYSTEM"), _user(HUMAN_USER, "Human Editor")]
    for number, client in enumerate(options.clients, start=1):
        users.append({**_user(user_id_of(client.client_id), f"# Intake {number}"), "applicationid": client.client_id})
    unit: Row = {"businessunitid": BUSINESS_UNIT, "name": "sandbox"}
    planted: dict[str, list[Row]] = {
        "organizations": [organisation],
        "businessunits": [unit],
        "systemusers": users,
        **options.seed_rows,
    }
    with store.transaction():
        plant_roles(store, {HUMAN_USER: None, **{user_id_of(each.client_id): each for each in options.clients}})
        for set_name, rows in planted.items():
            for row in rows:
                _plant_unless_there(store, set_name, row)


def _shape(store: Store, options: EmulatorOptions) -> None:
    """Tables and columns as this environment is said to have them, and as clients have changed them since."""
    drop_columns(store, options.missing_columns)
    flag_tables(store, options.elastic_tables, elastic=True)
    flag_tables(store, options.untracked_tables, change_tracking=False)
    flag_tables(store, options.unversioned_tables, optimistic_concurrency=False)
    flag_tables(store, options.single_row_tables, bulk=False)
    settle_schema(store, strong=True)


def plant(store: Store, set_name: str, payload: Row, author: str) -> str:
    """Creates or changes a row as another user would, past the API's required columns; gives its id.

    The payload may use binds, `_x_value`, and columns that only the server writes.
    """
    rows = rows_of(store, set_name)
    caller = _author(author)
    kept, raw = _split(rows, payload)
    row_id = str(payload.get(rows.table.id_column) or uuid4()).lower()
    with store.transaction():
        if row_id in rows.rows:
            update_row(store, rows.table, row_id, kept, caller)
        else:
            create_row(store, rows.table, {**kept, rows.table.id_column: row_id}, caller, complete=False)
        if raw:
            changed = {**rows.rows[row_id], **raw}
            store.put(rows.table.logical, row_id, {name: value for name, value in changed.items() if value is not None})
    return row_id


def edit(store: Store, set_name: str, row_id: str, values: Row, author: str) -> Row:
    """Changes a row that is there as another user would; gives the row as it now is."""
    rows = rows_of(store, set_name)
    existing(rows, row_id.lower())
    plant(store, set_name, {**values, rows.table.id_column: row_id}, author)
    return rows.rows[row_id.lower()]


def remove(store: Store, set_name: str, row_id: str, author: str) -> None:
    rows = rows_of(store, set_name)
    with store.transaction():
        delete_row(store, rows.table, row_id.lower(), _author(author))


def raw_rows(store: Store, set_name: str) -> list[dict[str, Any]]:
    """All rows of a set as they are kept, nulls left out."""
    return list(rows_of(store, set_name).rows.values())


def _author(author: str) -> Caller:
    return Caller(_NAMED_USERS.get(author, author), trusted=True)


def _user(user_id: str, name: str) -> Row:
    return {"systemuserid": user_id, "fullname": name, "azureactivedirectoryobjectid": user_id}


def _plant_unless_there(store: Store, set_name: str, row: Row) -> None:
    rows = rows_of(store, set_name)
    if str(row.get(rows.table.id_column)) not in rows.rows:
        plant(store, set_name, row, "system")


def _split(rows: TableRows, payload: Row) -> tuple[Row, Row]:
    """What goes the way of every write, and what only the server could have written."""
    kept, raw = {}, {}
    for name, value in payload.items():
        column = rows.table.readable.get(name)
        if column is not None and (column.kind == "Lookup" or not (column.on_create or column.on_update)):
            raw[name] = value
        elif column is None and "@" not in name:
            raise unknown_property(rows.table.logical, name)
        else:
            kept[name] = value
    return kept, raw

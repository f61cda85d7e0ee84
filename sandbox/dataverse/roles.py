"""The roles an environment starts with: the administrator's, and one for each client whose privileges are named."""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5

from .columns import BUSINESS_UNIT, Row
from .options import ClientOptions
from .privileges import ADMINISTRATOR, keep_privileges, privilege_id
from .state import Store


def plant_roles(store: Store, users: dict[str, ClientOptions | None]) -> None:
    """Gives users (by id) their roles; None is an administrator. A user of before keeps what they were left with.

    ValueError for a privilege that no table has. Callers open the transaction.
    """
    keep_privileges(store)
    known = set(store.data["systemuser"].rows) if ADMINISTRATOR in store.data["role"].rows else set()
    _plant(store, "role", ADMINISTRATOR, {"name": "System Administrator", "_businessunitid_value": BUSINESS_UNIT})
    for user_id, client in users.items():
        named = None if client is None else client.privileges
        role_id = ADMINISTRATOR if named is None else _id(f"role.{user_id}")
        if named is not None and role_id not in store.data["role"].rows:
            _plant(store, "role", role_id, {"name": f"Role of {user_id}", "_businessunitid_value": BUSINESS_UNIT})
            _grant(store, role_id, named)
        if user_id not in known:
            link = {"_systemuserid_value": user_id, "_roleid_value": role_id}
            _plant(store, "systemuserroles", _id(f"link.{user_id}"), link)


def _grant(store: Store, role_id: str, names: tuple[str, ...]) -> None:
    for name in names:
        granted = privilege_id(name)
        if granted not in store.data["privilege"].rows:
            raise ValueError(f"there is no privilege {name}")
        link = {"_roleid_value": role_id, "_privilegeid_value": granted, "privilegedepthmask": 8}
        _plant(store, "roleprivileges", _id(f"{role_id}.{granted}"), link)


def _plant(store: Store, logical: str, row_id: str, row: Row) -> None:
    rows = store.data[logical]
    if row_id not in rows.rows:
        stamped = {rows.table.id_column: row_id, **row, "createdon": store.clock.stamp()}
        store.put(logical, row_id, stamped)


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, f"sandbox.dataverse.{name}"))

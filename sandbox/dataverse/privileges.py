"""What a user may do: privileges by name, from the roles that they have, and the refusal of what is missing.

Only organisation-wide privileges count: a row's owner and business unit make no difference here.
"""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5

from .columns import SYSTEM_USER, Row, Table
from .messages import Caller
from .refusals import Refused
from .state import Store

ADMINISTRATOR = "00000000-0000-0000-0000-0000000000ad"
ACCESS = {"Create": 32, "Read": 1, "Write": 2, "Delete": 65536, "Append": 4, "AppendTo": 16, "Assign": 524288}
OTHERS = (
    "prvActOnBehalfOfAnotherUser",
    "prvBulkDelete",
    "prvBypassCustomBusinessLogic",
    "prvBypassCustomPlugins",
    "prvCreateAttribute",
    "prvCreateEntity",
    "prvCreateOptionSet",
    "prvDeleteRecordChangeHistory",
    "prvMerge",
    "prvPublishDuplicateRule",
)
_TABLES = ("systemuserroles", "roleprivileges", "privilege")


def privilege_id(name: str) -> str:
    """The id of a privilege, the same in every environment; names are compared without regard to case."""
    return str(uuid5(NAMESPACE_OID, f"sandbox.dataverse.privilege.{name.lower()}"))


def known_privileges(store: Store) -> dict[str, int]:
    """Every privilege of the environment by name, with its access right (0 where it is not about a table)."""
    tables = [rows.table for rows in store.by_set.values() if not rows.table.part_of]
    named = {f"prv{access}{table.noun}": right for table in tables for access, right in ACCESS.items()}
    return {**named, **dict.fromkeys(OTHERS, 0)}


def keep_privileges(store: Store) -> None:
    """Adds the rows of privileges that have none yet. Callers open the transaction."""
    present = store.data["privilege"].rows
    for name, right in known_privileges(store).items():
        row_id = privilege_id(name)
        if row_id not in present:
            row = {"privilegeid": row_id, "name": name, "accessright": right, "createdon": store.clock.stamp()}
            store.put("privilege", row_id, row)


def demand(store: Store, caller: Caller, access: str, table: Table) -> None:
    """Refused with 403 where the caller, or whoever acts for them, lacks an access to a table."""
    if table.part_of:
        # [U] members have no privileges of their own: who may write the list may change who is on it.
        access, table = "Read" if access == "Read" else "Write", store.data[table.part_of].table
    demand_named(store, caller, f"prv{access}{table.noun}", table)


def demand_lookups(store: Store, caller: Caller, table: Table, changes: Row) -> None:
    """Setting a lookup takes Append on the row and AppendTo on the one it points at."""
    for name, value in changes.items():
        column = table.readable.get(name)
        if value is not None and column is not None and column.kind == "Lookup":
            pointed_at = changes.get(f"{name}@type", column.targets[0].table)
            demand(store, caller, "Append", table)
            demand(store, caller, "AppendTo", store.data[pointed_at].table)


def demand_named(store: Store, caller: Caller, name: str, table: Table | None = None) -> None:
    if caller.trusted:
        return
    for user_id in filter(None, (caller.user_id, caller.acting_user_id)):
        granted = granted_to(store, user_id)
        if granted is not None and name.lower() not in granted:
            raise _missing(user_id, name, table)


def granted_to(store: Store, user_id: str) -> frozenset[str] | None:
    """The names (lower case) of the privileges that a user has through their roles; None for all of them."""
    if user_id == SYSTEM_USER:
        return None
    state = tuple(store.data[name].changes for name in _TABLES)
    kept = store.grants.get(user_id)
    if kept is None or kept[0] != state:
        kept = store.grants[user_id] = (state, _granted(store, user_id))
    return kept[1]


def roles_of(store: Store, user_id: str) -> list[str]:
    """The ids of a user's roles."""
    rows = store.data["systemuserroles"]
    return [rows.rows[row_id]["_roleid_value"] for row_id in rows.ids_where("_systemuserid_value", [user_id])]


def privileges_of_role(store: Store, role_id: str) -> list[str]:
    """The ids of a role's privileges; an administrator's are all there are."""
    if role_id == ADMINISTRATOR:
        return list(store.data["privilege"].rows)
    rows = store.data["roleprivileges"]
    return [rows.rows[row_id]["_privilegeid_value"] for row_id in rows.ids_where("_roleid_value", [role_id])]


def _granted(store: Store, user_id: str) -> frozenset[str] | None:
    roles = roles_of(store, user_id)
    if ADMINISTRATOR in roles:
        return None
    names = store.data["privilege"].rows
    return frozenset(
        names[each]["name"].lower() for role in roles for each in privileges_of_role(store, role) if each in names
    )


def _missing(user_id: str, name: str, table: Table | None) -> Refused:
    about = "" if table is None else f" on OTC={table.type_code} for entity '{table.logical}'"
    message = f"Principal user (Id={user_id}, type=8) is missing {name} privilege (Id={privilege_id(name)}){about}."
    return Refused(403, "0x80040220", message)

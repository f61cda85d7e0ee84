"""Roles and privileges as requests see them: a user's and a role's privileges, and which roles a user has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .columns import BUSINESS_UNIT, Row
from .messages import Answer, Call, answer_json
from .privileges import demand, privileges_of_role, roles_of
from .refusals import invalid, payload_error
from .rendering import row_renderer
from .state import Store
from .urls import existing, parse_path, parse_query
from .writes import create_row

_DEPTHS = {"Basic": 1, "Local": 2, "Deep": 4, "Global": 8}
Bound = Callable[[Store, Call, str], Answer]


def retrieve_user_privileges(store: Store, call: Call, user_id: str) -> Answer:
    """The privileges that a user has through their roles, each once."""
    found = dict.fromkeys(each for role in roles_of(store, user_id) for each in privileges_of_role(store, role))
    return _privileges(store, call, "RetrieveUserPrivilegesResponse", list(found))


def retrieve_role_privileges(store: Store, call: Call) -> Answer:
    """The unbound RetrieveRolePrivilegesRole(RoleId=...)."""
    options = parse_query(call.query)
    argument = (parse_path(call.path).key or "").partition("=")[2]
    role_id = options.get(argument, argument).lower()
    existing(store.data["role"], role_id)
    return _privileges(store, call, "RetrieveRolePrivilegesRoleResponse", privileges_of_role(store, role_id))


def add_privileges(store: Store, call: Call, role_id: str) -> Answer:
    """AddPrivilegesRole: those that the role has already stay."""
    return _grant(store, call, role_id, replace=False)


def replace_privileges(store: Store, call: Call, role_id: str) -> Answer:
    """ReplacePrivilegesRole: the role has these and no others."""
    return _grant(store, call, role_id, replace=True)


def associate_role(store: Store, call: Call, user_id: str, named: str | None) -> Answer:
    """POST or DELETE of `systemuserroles_association/$ref`: gives a user a role, or takes the one named."""
    role_id = named or _referred(call)
    existing(store.data["role"], role_id)
    demand(store, call.caller, "Assign", store.data["role"].table)
    rows = store.data["systemuserroles"]
    held = {rows.rows[each]["_roleid_value"]: each for each in rows.ids_where("_systemuserid_value", [user_id])}
    with store.transaction():
        if call.method == "DELETE" and role_id in held:
            store.remove("systemuserroles", held[role_id])
        elif call.method == "POST" and role_id not in held:
            link = {"systemuserid@odata.bind": f"/systemusers({user_id})", "roleid@odata.bind": f"/roles({role_id})"}
            create_row(store, rows.table, link, call.caller)
    return Answer(204)


def list_roles(store: Store, call: Call, user_id: str) -> Answer:
    """GET of `systemuserroles_association`: a user's roles."""
    return _related(store, call, "role", roles_of(store, user_id))


def list_privileges(store: Store, call: Call, role_id: str) -> Answer:
    """GET of `roleprivileges_association`: a role's privileges."""
    return _related(store, call, "privilege", privileges_of_role(store, role_id))


def _privileges(store: Store, call: Call, kind: str, ids: list[str]) -> Answer:
    rows = store.data["privilege"].rows
    listed = [
        {
            "Depth": "Global",
            "PrivilegeId": each,
            "BusinessUnitId": BUSINESS_UNIT,
            "PrivilegeName": rows[each]["name"],
            "RecordFilterId": "00000000-0000-0000-0000-000000000000",
            "RecordFilterUniqueName": "",
        }
        for each in ids
    ]
    return answer_json(
        {"@odata.context": f"{call.base_url}$metadata#Microsoft.Dynamics.CRM.{kind}", "RolePrivileges": listed}
    )


def _grant(store: Store, call: Call, role_id: str, *, replace: bool) -> Answer:
    wanted = {_privilege_in(store, given) for given in call.json().get("Privileges") or []}
    demand(store, call.caller, "Write", store.data["role"].table)
    rows = store.data["roleprivileges"]
    present = {rows.rows[each]["_privilegeid_value"]: each for each in rows.ids_where("_roleid_value", [role_id])}
    with store.transaction():
        for each in set(present) - wanted if replace else ():
            store.remove("roleprivileges", present[each])
        for each in sorted(wanted - set(present)):
            link = {"roleid@odata.bind": f"/roles({role_id})", "privilegeid@odata.bind": f"/privileges({each})"}
            create_row(store, rows.table, {**link, "privilegedepthmask": _DEPTHS["Global"]}, call.caller)
    return Answer(204)


def _privilege_in(store: Store, given: Any) -> str:
    """The id in a RolePrivilege; Refused for a depth other than Global: no other is modelled."""
    privilege = str(given.get("PrivilegeId", "")).lower() if isinstance(given, dict) else ""
    if privilege not in store.data["privilege"].rows:
        raise payload_error("a RolePrivilege needs the PrivilegeId of a privilege that exists")
    if given.get("Depth") not in ("Global", "3", 3):
        raise invalid("The emulator knows privileges at organisation level (Depth Global) only.")
    return privilege


def _referred(call: Call) -> str:
    reference = call.json().get("@odata.id") if call.method == "POST" else parse_query(call.query).get("$id")
    key = parse_path(str(reference or "").rpartition("/")[2] or "x").key
    if key is None:
        raise payload_error("a reference needs the @odata.id of a role")
    return key.lower()


def _related(store: Store, call: Call, logical: str, ids: list[str]) -> Answer:
    rows = store.data[logical]
    demand(store, call.caller, "Read", rows.table)
    render = row_renderer(store, rows.table, parse_query(call.query).get("$select"), call.annotations)
    value: list[Row] = [render(rows.rows[each]) for each in ids]
    return answer_json({"@odata.context": f"{call.base_url}$metadata#{rows.table.set_name}", "value": value})


BOUND_FUNCTIONS: dict[tuple[str, str], Bound] = {("systemuser", "RetrieveUserPrivileges"): retrieve_user_privileges}
BOUND_ACTIONS: dict[tuple[str, str], Bound] = {
    ("role", "AddPrivilegesRole"): add_privileges,
    ("role", "ReplacePrivilegesRole"): replace_privileges,
}
ASSOCIATIONS: dict[tuple[str, str], Bound] = {
    ("systemuser", "systemuserroles_association"): list_roles,
    ("role", "roleprivileges_association"): list_privileges,
}

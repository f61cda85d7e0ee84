"""The tables of who may do what: users, roles, privileges, and the two tables between them."""

from __future__ import annotations

from .columns import Column, choice, flag, lookup, numbered, table, text, whole

USER = table(
    "systemuser",
    "systemusers",
    "fullname",
    text("fullname", 200),
    text("internalemailaddress", 100),
    text("domainname", 1024),
    Column("applicationid", "Uniqueidentifier"),
    Column("azureactivedirectoryobjectid", "Uniqueidentifier"),
    choice("accessmode", numbered(0, "Read-Write", "Administrative", "Read", "Support User", "Non-interactive")),
    lookup("businessunitid", ("businessunitid", "businessunit")),
    flag("isdisabled"),
    bulk=False,
    schema_name="SystemUser",
    privilege_noun="User",
    type_code=8,
)

BUSINESS_UNIT = table(
    "businessunit",
    "businessunits",
    "name",
    text("name", 160),
    bulk=False,
    schema_name="BusinessUnit",
    type_code=10,
)

ROLE = table(
    "role",
    "roles",
    "name",
    text("name", 100),
    lookup("businessunitid", ("businessunitid", "businessunit")),
    bulk=False,
    schema_name="Role",
    type_code=1036,
)

PRIVILEGE = table(
    "privilege",
    "privileges",
    "name",
    text("name", 100),
    whole("accessright"),
    bulk=False,
    schema_name="Privilege",
    type_code=1023,
)

ROLE_PRIVILEGE = table(
    "roleprivileges",
    "roleprivilegescollection",
    "roleprivilegeid",
    lookup("roleid", ("roleid", "role"), on_delete="cascade"),
    lookup("privilegeid", ("privilegeid", "privilege"), on_delete="cascade"),
    whole("privilegedepthmask"),
    primary_id="roleprivilegeid",
    bulk=False,
    schema_name="RolePrivileges",
    type_code=12,
)

USER_ROLE = table(
    "systemuserroles",
    "systemuserrolescollection",
    "systemuserroleid",
    lookup("systemuserid", ("systemuserid", "systemuser"), on_delete="cascade"),
    lookup("roleid", ("roleid", "role"), on_delete="cascade"),
    primary_id="systemuserroleid",
    bulk=False,
    schema_name="SystemUserRoles",
    type_code=15,
)

SECURITY_TABLES = (BUSINESS_UNIT, USER, PRIVILEGE, ROLE, ROLE_PRIVILEGE, USER_ROLE)

"""Logins of the deployment's parts: made and brought to what this version gives them, by whoever owns the store.

Each is a member of the roles that its part acts as, owns nothing, and may make nothing. A person's login is made by `access`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from connectors.store.address import ServerAddress
from connectors.store.migrate import PIPELINE_ROLE, PREFERENCES_ROLE, RETENTION_ROLE, ROLES
from connectors.store.refusals import INSUFFICIENT_PRIVILEGE, store_errors
from connectors.store.roles import exists, has_powers, password_verifier
from schemas.errors import ConfigurationError, StoreError


@dataclass(frozen=True, slots=True)
class ServiceLogin:
    """One login: the roles of the store it may act as, and what it may do with the tables of Dagster's own database."""

    user: str
    roles: tuple[str, ...]
    in_dagster: tuple[str, ...] = ()


_WRITE = ("SELECT", "INSERT", "UPDATE", "DELETE")
# By the name of the variable with its password: INTAKE_DB_<NAME>_PASSWORD.
SERVICE_LOGINS = {
    # Runs, retention and erasure, payments for finance.
    "service": ServiceLogin("intake_service", (PIPELINE_ROLE, RETENTION_ROLE, "intake_finance"), _WRITE),
    # Dagster's own processes where they run no code of ours, as its chart has them: nothing of the store.
    "dagster": ServiceLogin("intake_dagster", (), _WRITE),
    # Dagster's pages for whoever looks: nothing of the store, and no change but to what the pages keep for themselves.
    "viewer": ServiceLogin("intake_viewer", (), ("SELECT",)),
    # The people's page.
    "page": ServiceLogin("intake_page", (PREFERENCES_ROLE,)),
}
_HELD = """
select r.rolname from pg_auth_members m join pg_roles u on u.oid = m.member join pg_roles r on r.oid = m.roleid
where u.rolname = %s and r.rolname = any(%s)
"""


def bring_logins(address: ServerAddress, passwords: Mapping[str, str]) -> list[str]:
    """Make the logins of which a password is given, by their names in SERVICE_LOGINS, give each this password and exactly
    its rights; the users, in that order. The store and Dagster's tables are there already, and are the caller's own.

    A password reaches the server as a SCRAM verifier only. Once a login is made nobody else gets into Dagster's database.
    ConfigurationError where the caller may not make roles, or where such a login has powers over the whole server.
    """
    logins = {name: SERVICE_LOGINS[name] for name in SERVICE_LOGINS if name in passwords}
    if not logins:
        return []
    try:
        with store_errors(), psycopg.connect(address.uri_adbc) as conn:
            for name, login in logins.items():
                _bring(conn, login, passwords[name])
        with store_errors(), psycopg.connect(address.dagster.uri_adbc) as conn:
            _open_dagster(conn, address.dagster_database, list(logins.values()))
    except StoreError as refused:
        if refused.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        raise ConfigurationError(
            "This login may not make the logins of the parts: they are made by who owns the store and Dagster's database,"
            " with CREATEROLE, and our roles with ADMIN OPTION."
        ) from None
    return [login.user for login in logins.values()]


def _bring(conn: psycopg.Connection[Any], login: ServiceLogin, password: str) -> None:
    user = sql.Identifier(login.user)
    if not exists(conn, login.user):
        conn.execute(sql.SQL("CREATE ROLE {}").format(user))
    elif has_powers(conn, login.user):
        raise ConfigurationError(f"{login.user} has powers over the whole server: take them from it, then try again.")
    verifier = password_verifier(conn, login.user, password)
    conn.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(user, sql.Literal(verifier)))
    held = {role for (role,) in conn.execute(_HELD, (login.user, list(ROLES)))}
    for role in sorted(held - set(login.roles)):
        conn.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), user))
    for role in login.roles:
        conn.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), user))


def _open_dagster(conn: psycopg.Connection[Any], database: str, logins: list[ServiceLogin]) -> None:
    """To these logins and nobody else, the tables of today and those that its next version makes."""
    name = sql.Identifier(database)
    conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    for login in logins:
        user = sql.Identifier(login.user)
        if not login.in_dagster:
            continue
        rights = sql.SQL(", ").join(sql.SQL(right) for right in login.in_dagster)
        sequences = sql.SQL("USAGE, SELECT") if "INSERT" in login.in_dagster else sql.SQL("SELECT")
        conn.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, user))
        for kind, allowed in (("TABLES", rights), ("SEQUENCES", sequences)):
            which = sql.SQL(kind)
            conn.execute(sql.SQL("REVOKE ALL ON ALL {} IN SCHEMA public FROM {}").format(which, user))
            conn.execute(sql.SQL("GRANT {} ON ALL {} IN SCHEMA public TO {}").format(allowed, which, user))
            default = sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {} ON {} TO {}")
            conn.execute(default.format(allowed, which, user))
        if "UPDATE" not in login.in_dagster:
            conn.execute(sql.SQL("GRANT UPDATE (cached_status_data) ON public.asset_keys TO {}").format(user))

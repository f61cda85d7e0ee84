"""Personal logins of the database: given one of our roles, listed, taken away with every open session at once.

Works as who logs in, who must be allowed to make roles. A login is one person's; what a role may do is in the migrations.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
from psycopg import sql

from connectors.store.address import ServerAddress
from connectors.store.refusals import INSUFFICIENT_PRIVILEGE, store_errors
from schemas.errors import ConfigurationError, StoreError

# What a login can be given, and the database's role of it.
ROLES = {
    "pipeline": "intake_pipeline",
    "operator": "intake_operator",
    "privacy_officer": "intake_privacy_officer",
    "finance": "intake_finance",
    "preferences": "intake_preferences",
}
# What makes a login more than a member of a role.
POWERS = "rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls"
SHORTEST_PASSWORD = 12
_ENDING_S = 10.0

_MEMBERS = """
select u.rolname as user_name, r.rolname as db_role, u.rolcanlogin as can_log_in, g.granted_by, g.granted_at, g.ends_on,
    (select count(*) from pg_stat_activity a where a.usename = u.rolname) as sessions,
    (select max(l.read_at) from intake.access_log l where l.login = u.rolname) as last_read_at
from pg_auth_members m join pg_roles u on u.oid = m.member join pg_roles r on r.oid = m.roleid
left join lateral (select * from intake.access_grant g where g.user_name = u.rolname and g.role = r.rolname
    and g.revoked_at is null order by g.grant_id desc limit 1) g on true
where r.rolname = any(%s) and u.rolname not like 'intake\\_%%' and not u.rolsuper order by 1, 2
"""
_SESSIONS = "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s and pid <> pg_backend_pid()"
_MAY_END_SESSIONS = (
    "select rolsuper or pg_has_role('pg_signal_backend', 'usage') from pg_roles where rolname = current_user"
)
# Of a login that is there still, and whose access was not wholly taken away.
_BEGUN = (
    "select from intake.access_grant g join pg_roles u on u.rolname = g.user_name"
    " where g.user_name = %s and g.revoked_at is null"
)
_NOTE = "insert into intake.access_grant (user_name, role, granted_by, ends_on) values (%s, %s, %s, %s)"
_NOTED_END = (
    "update intake.access_grant set revoked_by = %s, revoked_at = clock_timestamp()"
    " where user_name = %s and revoked_at is null"
)


@dataclass(frozen=True)
class Access:
    """A role for a person's own login: given by whom, and until which day (inclusive; None: until it is taken away)."""

    user: str
    role: str
    by: str
    ends_on: date | None = None


def grant_access(address: ServerAddress, access: Access, *, password: str | None = None) -> None:
    """Give a role to a login, made where there is none.

    ConfigurationError for a role that there is not, and for another last day than that of a role the login has: a login
    has one end, and a role that outlived its day by another's would be nobody's decision.

    The password, if any, reaches the server as a SCRAM verifier only; without one the login is let in as the server's
    pg_hba.conf says (certificate, directory, peer).
    """
    role = _db_role(access.role)
    user = sql.Identifier(access.user)
    with _administering(address) as conn:
        if access.user.startswith(("intake_", "pg_")) or has_powers(conn, access.user):
            raise ConfigurationError(
                f"{access.user} is not a person's login, or may do more on this server than log in: give access to a login"
                " of the person's own."
            )
        if not exists(conn, access.user):
            conn.execute(sql.SQL("CREATE ROLE {}").format(user))
        _require_one_end(conn, access)
        until = sql.Literal("infinity" if access.ends_on is None else f"{access.ends_on} 23:59:59")
        conn.execute(sql.SQL("ALTER ROLE {} LOGIN VALID UNTIL {}").format(user, until))
        if password is not None:
            verifier = password_verifier(conn, access.user, password)
            conn.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(user, sql.Literal(verifier)))
        conn.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), user))
        conn.execute(_NOTE, (access.user, role, access.by, access.ends_on))


def _require_one_end(conn: psycopg.Connection[Any], access: Access) -> None:
    role = _db_role(access.role)
    for held in _members(conn):
        if held["user_name"] == access.user and held["db_role"] != role and held["ends_on"] != access.ends_on:
            end = f"--until {held['ends_on']}" if held["ends_on"] else "without --until"
            raise ConfigurationError(
                f"{access.user} has another role with another last day. Give this one {end}, or take the other away first:"
                f" `crm-intake access revoke {access.user} --by NAME`."
            )


def revoke_access(address: ServerAddress, user: str, *, by: str) -> int:
    """Take all our roles from a login and end its sessions; how many were open. The login itself is dropped.

    First it can log in no more, then its sessions are ended until none is left: there is no moment between.
    """
    with _administering(address) as conn:
        begun = conn.execute(_BEGUN, (user,)).fetchone() is not None
        if not begun and user not in {row["user_name"] for row in _members(conn)}:
            raise ConfigurationError(f"{user} has no access of ours. See `crm-intake access list`.")
        if conn.execute(_MAY_END_SESSIONS).fetchone() != (True,):
            raise ConfigurationError(
                "This login may not end another's sessions, and nothing was taken away: let an administrator of the server"
                " do it, or first grant this login pg_signal_backend."
            )
        name = sql.Identifier(user)
        conn.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(name))
        held = [row["db_role"] for row in _members(conn) if row["user_name"] == user]
        for role in held:
            conn.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), name))
        ended = _end_sessions(conn, user)
        conn.execute(_NOTED_END, (by, user))
        _drop(conn, name)
    return ended


def list_access(address: ServerAddress) -> list[dict[str, Any]]:
    """Who has which role, since when and by whom (None: not given by `access grant`), and how many sessions are open."""
    with _administering(address) as conn:
        named = {db_role: role for role, db_role in ROLES.items()}
        return [{**row, "role": named[row.pop("db_role")]} for row in _members(conn)]


def _members(conn: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    cursor = conn.execute(_MEMBERS, (list(ROLES.values()),))
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _end_sessions(conn: psycopg.Connection[Any], user: str) -> int:
    ended = conn.execute(_SESSIONS, (user,)).rowcount
    deadline = time.monotonic() + _ENDING_S
    while conn.execute(_SESSIONS, (user,)).rowcount:
        if time.monotonic() > deadline:
            raise StoreError(
                f"Sessions of {user} do not end. The login is shut; let the server's administrator end them."
            )
        time.sleep(0.05)
    return ended


def _drop(conn: psycopg.Connection[Any], name: sql.Identifier) -> None:
    try:
        conn.execute(sql.SQL("DROP OWNED BY {}").format(name))
        conn.execute(sql.SQL("DROP ROLE {}").format(name))
    except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.InsufficientPrivilege):
        # It has something of its own in another database, or is not ours to drop: it stays, shut and without a role.
        return


def _db_role(role: str) -> str:
    if role not in ROLES:
        raise ConfigurationError(f"There is no role {role!r}; there are {', '.join(ROLES)}.")
    return ROLES[role]


def exists(conn: psycopg.Connection[Any], user: str) -> bool:
    """Whether the server has a role of that name."""
    return conn.execute("select from pg_roles where rolname = %s", (user,)).fetchone() is not None


def password_verifier(conn: psycopg.Connection[Any], user: str, password: str) -> str:
    """What the server keeps of a password (RFC 5803); from it nobody can log in."""
    return conn.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()


def has_powers(conn: psycopg.Connection[Any], user: str) -> bool:
    """Whether a role may do anything on the server beside what its memberships allow."""
    return conn.execute(f"select from pg_roles where rolname = %s and ({POWERS})", (user,)).fetchone() is not None


@contextmanager
def _administering(address: ServerAddress) -> Iterator[psycopg.Connection[Any]]:
    """A connection of who logs in, each statement by itself: a login that is shut must be shut at once."""
    try:
        with store_errors(), psycopg.connect(address.uri_adbc, autocommit=True) as conn:
            yield conn
    except StoreError as refused:
        if refused.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        raise ConfigurationError(
            "This login may not give or take access: let an administrator of the server do it (CREATEROLE, and our roles"
            " with ADMIN OPTION)."
        ) from None

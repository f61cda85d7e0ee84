"""Personal logins on a real server: what each role may do, that a removed user has nothing, and the log of readings."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from connectors.store.access_log import ReadEntry, append_read, read_log
from connectors.store.address import ServerAddress
from connectors.store.engine import create_store_engine
from connectors.store.migrate import OFFICER_ROLE, PIPELINE_ROLE, RETENTION_ROLE
from connectors.store.roles import ROLES, Access, grant_access, list_access, revoke_access
from schemas.errors import ConfigurationError, StoreError

ENTRY = ReadEntry("maija", "explain", "her own request", [], "")


def login(store: ServerAddress, user: str) -> ServerAddress:
    return ServerAddress(store.url.set(username=user))


def run_as(store: ServerAddress, user: str, role: str, statement: str) -> list[Any]:
    """A statement as our commands would run it: that user's own login, acting as the role."""
    engine = create_store_engine(login(store, user), role=role, pool_size=1)
    try:
        with engine.begin() as conn:
            result = conn.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


@pytest.fixture
def people(store: ServerAddress) -> Iterator[dict[str, str]]:
    with logins(store) as made:
        yield made


@contextmanager
def logins(store: ServerAddress) -> Iterator[dict[str, str]]:
    """One login for each role, gone afterwards. Logins belong to the whole server: their names are this database's."""
    made = {role: f"{role}_{store.database[-8:]}" for role in ROLES}
    for role, user in made.items():
        grant_access(store, Access(user, role, by="Anna Admin"))
    yield made
    left = {row["user_name"] for row in list_access(store)}
    for user in left & set(made.values()):
        revoke_access(store, user, by="Anna Admin")


ALLOWED = {
    "operator": [(PIPELINE_ROLE, "select count(*) from intake.person")],
    "privacy_officer": [
        (PIPELINE_ROLE, "select count(*) from intake.person"),
        (RETENTION_ROLE, "select count(*) from intake.consent_void"),
        (RETENTION_ROLE, "delete from intake.consent_evidence"),
        (OFFICER_ROLE, "select count(*) from intake.access_log"),
    ],
    "finance": [("intake_finance", "select count(*) from finance.party")],
    "pipeline": [(PIPELINE_ROLE, "select count(*) from intake.batch")],
    "preferences": [("intake_preferences", "select count(*) from intake.consent_state")],
}
# (role acted as, statement): each is refused, the role or the statement.
REFUSED = {
    "operator": [
        *(
            (PIPELINE_ROLE, f"update intake.consent_{table}")
            for table in ("evidence set address = ''", "wording set text = ''")
        ),
        *((PIPELINE_ROLE, f"delete from intake.consent_{table}") for table in ("event", "void", "evidence", "wording")),
        (RETENTION_ROLE, "select 1"),
        (OFFICER_ROLE, "select 1"),
        ("intake_finance", "select 1"),
        (PIPELINE_ROLE, "update intake.consent_event set value = 'grant'"),
    ],
    "privacy_officer": [
        ("intake_finance", "select 1"),
        (PIPELINE_ROLE, "select count(*) from finance.party"),
        *((RETENTION_ROLE, f"delete from intake.consent_{table}") for table in ("event", "void", "wording")),
        *(
            (RETENTION_ROLE, f"update intake.consent_{table}")
            for table in ("evidence set address = ''", "wording set text = ''")
        ),
    ],
    "finance": [
        (PIPELINE_ROLE, "select 1"),
        (RETENTION_ROLE, "select 1"),
        ("intake_finance", "insert into intake.consent_state values (gen_random_uuid(), 'marketing', '', 'granted')"),
    ],
    "pipeline": [("intake_finance", "select 1"), (RETENTION_ROLE, "select 1"), (OFFICER_ROLE, "select 1")],
    "preferences": [
        (PIPELINE_ROLE, "select 1"),
        ("intake_finance", "select 1"),
        ("intake_preferences", "select count(*) from intake.access_log"),
        ("intake_preferences", "delete from intake.consent_event"),
    ],
}


def test_each_role_may_do_what_it_is_for_and_no_more(each_store: ServerAddress) -> None:
    with logins(each_store) as people:
        for role, user in people.items():
            for acting, statement in ALLOWED[role]:
                run_as(each_store, user, acting, statement)
            for acting, statement in REFUSED[role]:
                with pytest.raises(StoreError):
                    run_as(each_store, user, acting, statement)


def test_a_removed_user_has_nothing_at_once(store: ServerAddress, people: dict[str, str]) -> None:
    user = people["operator"]
    with psycopg.connect(login(store, user).uri_adbc, autocommit=True) as open_session:
        open_session.execute("set role intake_pipeline")
        assert open_session.execute("select count(*) from intake.person").fetchone() == (0,)
        assert revoke_access(store, user, by="Anna Admin") == 1
        with pytest.raises(psycopg.OperationalError):
            open_session.execute("select count(*) from intake.person")
    for role in (None, PIPELINE_ROLE):
        with pytest.raises(StoreError):
            run_as(store, user, role, "select 1")  # type: ignore[arg-type]
    assert user not in {row["user_name"] for row in list_access(store)}


def test_a_login_is_listed_with_who_gave_it_what_until_when(store: ServerAddress, people: dict[str, str]) -> None:
    user = people["finance"]
    grant_access(store, Access(user, "finance", by="Bo Boss", ends_on=date(2026, 12, 31)))
    [row] = [row for row in list_access(store) if row["user_name"] == user]
    assert (row["role"], row["granted_by"], str(row["ends_on"]), row["can_log_in"]) == (
        *("finance", "Bo Boss", "2026-12-31", True),
    )


def test_no_role_outlives_its_day_by_another_of_the_login(store: ServerAddress) -> None:
    user = f"visitor_{store.database[-8:]}"
    grant_access(store, Access(user, "finance", by="Bo Boss", ends_on=date(2026, 12, 31)))
    with pytest.raises(ConfigurationError, match="--until 2026-12-31"):
        grant_access(store, Access(user, "operator", by="Bo Boss"))
    assert [row["role"] for row in list_access(store) if row["user_name"] == user] == ["finance"]
    grant_access(store, Access(user, "operator", by="Bo Boss", ends_on=date(2026, 12, 31)))
    assert revoke_access(store, user, by="Anna Admin") == 0


def test_a_role_that_nobody_granted_by_the_command_is_listed_so(store: ServerAddress) -> None:
    user = f"stranger_{store.database[-8:]}"
    with psycopg.connect(store.uri_adbc, autocommit=True) as conn:
        conn.execute(f"create role {user} login in role intake_operator")
    [row] = [row for row in list_access(store) if row["user_name"] == user]
    assert row["granted_by"] is None
    revoke_access(store, user, by="Anna Admin")


@pytest.mark.parametrize("user", ["postgres", "intake_pipeline", "pg_monitor"])
def test_no_role_is_given_to_what_is_no_person_and_none_taken(store: ServerAddress, user: str) -> None:
    with pytest.raises(ConfigurationError):
        grant_access(store, Access(user, "operator", by="Anna Admin"))
    with pytest.raises(ConfigurationError):
        revoke_access(store, user, by="Anna Admin")


def test_an_unknown_role_is_refused_before_a_login_is_made(store: ServerAddress) -> None:
    with pytest.raises(ConfigurationError, match="operator"):
        grant_access(store, Access("somebody", "king", by="Anna Admin"))


def test_a_password_reaches_the_server_as_a_verifier_only(store: ServerAddress, people: dict[str, str]) -> None:
    user = people["operator"]
    grant_access(store, Access(user, "operator", by="Anna Admin"), password="a long enough secret")
    with psycopg.connect(store.uri_adbc) as conn:
        row = conn.execute("select rolpassword from pg_authid where rolname = %s", (user,)).fetchone()
    assert row is not None
    assert row[0].startswith("SCRAM-SHA-256$")


@pytest.mark.parametrize(
    "statement",
    [
        "update intake.access_log set purpose = ''",
        "delete from intake.access_log",
        "truncate intake.access_log",
        "insert into intake.access_log (login, os_user, command, purpose, contact_point_ids, about)"
        " values ('somebody else', '', '', '', '{}', '')",
        "insert into intake.access_log (read_at, os_user, command, purpose, contact_point_ids, about)"
        " values ('2020-01-01', '', '', '', '{}', '')",
    ],
)
@pytest.mark.parametrize("role", [PIPELINE_ROLE, OFFICER_ROLE, "intake_finance", "intake_preferences"])
def test_the_log_of_readings_can_only_be_appended_to(store: ServerAddress, role: str, statement: str) -> None:
    engine = create_store_engine(store, role=role, pool_size=1)
    try:
        with pytest.raises(StoreError) as refused, engine.begin() as conn:
            conn.execute(text(statement))
        assert refused.value.sqlstate == "42501"
    finally:
        engine.dispose()


def test_everybody_sees_their_own_readings_and_the_officer_all(store: ServerAddress, people: dict[str, str]) -> None:
    for role in ("operator", "pipeline"):
        engine = create_store_engine(login(store, people[role]), role=PIPELINE_ROLE, pool_size=1)
        with engine.begin() as conn:
            append_read(conn, ENTRY)
            assert {entry["login"] for entry in read_log(conn)} == {people[role]}
        engine.dispose()
    engine = create_store_engine(login(store, people["privacy_officer"]), role=OFFICER_ROLE, pool_size=1)
    with engine.begin() as conn:
        assert {entry["login"] for entry in read_log(conn)} >= {people["operator"], people["pipeline"]}
    engine.dispose()


def test_retention_deletes_old_readings_only(store: ServerAddress) -> None:
    owner = create_store_engine(store, pool_size=1)
    keeping = create_store_engine(store, role=RETENTION_ROLE, pool_size=1)
    try:
        with owner.begin() as conn:
            append_read(conn, ENTRY)
            append_read(conn, ENTRY)
            old = "where entry_id = (select min(entry_id) from intake.access_log)"
            conn.execute(text(f"update intake.access_log set read_at = '2020-01-01' {old}"))
            before = conn.execute(text("select count(*) from intake.access_log")).scalar_one()
        with keeping.begin() as conn:
            assert conn.execute(text("delete from intake.access_log")).rowcount == 1
        with owner.connect() as conn:
            assert conn.execute(text("select count(*) from intake.access_log")).scalar_one() == before - 1
    finally:
        owner.dispose()
        keeping.dispose()

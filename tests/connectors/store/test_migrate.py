"""Migrating: once whoever races, all or nothing, and each role may do what it is for."""

import importlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from connectors.store import landing, tables
from connectors.store.address import ServerAddress
from connectors.store.engine import create_store_engine
from connectors.store.metadata import METADATA
from connectors.store.migrate import current_revision, upgrade
from schemas.errors import StoreError
from tests.archiving import NOW, Archive
from tests.throwaway import fresh_database

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def empty(each_store: ServerAddress) -> Iterator[ServerAddress]:
    with fresh_database(each_store) as address:
        yield address


@pytest.fixture(scope="module")
def with_table(empty: ServerAddress) -> ServerAddress:
    """At revision 0000, with one table that its owner made afterwards."""
    upgrade(empty, revision="0000")
    run(empty, None, "CREATE TABLE IF NOT EXISTS intake.later (n bigint GENERATED ALWAYS AS IDENTITY, v int)")
    return empty


def run(address: ServerAddress, role: str | None, statement: str) -> None:
    engine = create_store_engine(address, role=role, pool_size=1)
    try:
        with engine.begin() as conn:
            conn.execute(text(statement))
    finally:
        engine.dispose()


def test_two_at_once_migrate_once(each_store: ServerAddress) -> None:
    with fresh_database(each_store) as address:
        assert current_revision(address) is None
        with ThreadPoolExecutor(2) as pool:
            revisions = list(pool.map(upgrade, [address, address]))
        assert revisions[0] == revisions[1] == current_revision(address) is not None


def test_a_store_at_the_last_migration_is_not_gone_through_again(
    store: ServerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = ScriptDirectory(str(ROOT / "connectors" / "store" / "migrations"))
    monkeypatch.delattr(command, "upgrade")
    assert upgrade(store) == scripts.get_current_head()


def test_migrating_again_changes_nothing(with_table: ServerAddress) -> None:
    assert upgrade(with_table, revision="0000") == "0000"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO intake.later (v) VALUES (1)",
        "UPDATE intake.later SET v = 2",
        "SELECT * FROM intake.later",
        "DELETE FROM intake.later",
        "SELECT version_num FROM intake.alembic_version",
        "CREATE UNLOGGED TABLE staging.own (n int)",
    ],
)
def test_pipeline_works_with_tables_made_later_and_makes_its_own_in_staging(
    with_table: ServerAddress, statement: str
) -> None:
    run(with_table, "intake_pipeline", statement)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("intake_pipeline", "CREATE TABLE intake.own (n int)"),
        ("intake_pipeline", "DROP TABLE intake.later"),
        ("intake_pipeline", "TRUNCATE intake.later"),
        ("intake_pipeline", "DELETE FROM intake.alembic_version"),
        ("intake_pipeline", "CREATE SCHEMA own"),
        ("intake_retention", "SELECT * FROM intake.later"),
        ("intake_retention", "CREATE TABLE staging.own2 (n int)"),
    ],
)
def test_roles_may_do_no_more(with_table: ServerAddress, role: str, statement: str) -> None:
    with pytest.raises(StoreError) as raised:
        run(with_table, role, statement)
    assert raised.value.sqlstate == "42501"


def test_what_staff_or_a_survey_had_named_is_what_people_registered_for(store: ServerAddress) -> None:
    with fresh_database(store) as address:
        upgrade(address, revision="0043")
        engine = create_store_engine(address, role=None, pool_size=1)
        with engine.begin() as conn:
            archive = Archive(conn)
            of = {kind: archive.somebody() for kind in ("manual_entry", "survey", "event_registration")}
            named = {kind: archive.occasion(kind=kind, name="N", ends_at=NOW, version_at=NOW) for kind in of}
            archive.registered(of["manual_entry"], named["manual_entry"])
            archive.registered(of["event_registration"], named["event_registration"])
            archive.registered(of["survey"], named["survey"])
            conn.execute(text("update intake.submission set kind = 'course_registration' where subject_id = :id"),
                         {"id": of["survey"].subject})  # fmt: skip
        upgrade(address)
        told = (
            "select occasion_pk, kind, version, told_ends_at, ends_version_at, starts_version_at from intake.occasion"
        )
        with engine.begin() as conn:
            found = {pk: tuple(rest) for pk, *rest in conn.execute(text(told))}
            unfolded = set(conn.execute(text("select contact_point_id from intake.unfolded")).scalars())
        engine.dispose()
    assert found == {
        named["manual_entry"]: ("event_registration", 2, NOW, NOW, None),
        named["survey"]: ("course_registration", 2, NOW, NOW, None),
        named["event_registration"]: ("event_registration", 1, NOW, NOW, None),
    }
    assert unfolded == {of["manual_entry"].point, of["survey"].point}


def test_roles_cannot_log_in(store: ServerAddress) -> None:
    engine = create_store_engine(store)
    query = text("SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'intake%' ORDER BY 1")
    with engine.connect() as conn:
        logins = {row.rolname: row.rolcanlogin for row in conn.execute(query)}
    assert logins.keys() >= {"intake_pipeline", "intake_finance", "intake_preferences", "intake_retention"}
    assert not any(logins.values())
    engine.dispose()


def test_the_migrations_make_exactly_the_tables_that_are_declared(store: ServerAddress) -> None:
    """Wherever in the connectors they are declared."""
    declaring = [path for path in sorted((ROOT / "connectors").rglob("*.py")) if " = Table(\n" in path.read_text()]
    for path in declaring:
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    engine = create_store_engine(store)
    with engine.connect() as conn:
        options = {"include_schemas": True, "version_table_schema": "intake", "include_name": _is_ours}
        found = compare_metadata(MigrationContext.configure(conn, opts=options), METADATA)
    engine.dispose()
    assert found == []
    assert {table.fullname for table in (landing.LANDING_KEY, tables.CONSENT_EVENT)} <= set(METADATA.tables)
    assert len(declaring) > 3


def test_rows_that_are_written_again_have_room_beside_them(store: ServerAddress) -> None:
    with create_store_engine(store).connect() as conn:
        found = conn.execute(
            text("select relname, reloptions from pg_class where reloptions::text like '%fillfactor%'")
        )
        room = {row.relname: row.reloptions for row in found}
    half = {"outbox_intent": 50, "crm_row": 70}
    often = dict.fromkeys(("contact_point", "subject", "person_consent", "consent_state", "person_purpose"), 85)
    assert room == {name: [f"fillfactor={share}"] for name, share in {**half, **often}.items()}


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return name in ("intake", "finance") if kind == "schema" else True

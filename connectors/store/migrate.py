"""Brings a database to the newest layout: Alembic, driven from code, its scripts inside the package.

Two processes may do it at once: the second waits, and finds nothing to do.
"""

from pathlib import Path

from sqlalchemy import Connection, text

from connectors.store.address import ServerAddress
from connectors.store.engine import create_store_engine
from connectors.store.locks import advisory_lock
from connectors.store.refusals import INSUFFICIENT_PRIVILEGE
from schemas.errors import ConfigurationError, StoreError

PIPELINE_ROLE = "intake_pipeline"
RETENTION_ROLE = "intake_retention"
PREFERENCES_ROLE = "intake_preferences"
# Each made by a migration; `connectors.finance` and others name their own.
OPERATOR_ROLE, OFFICER_ROLE = "intake_operator", "intake_privacy_officer"
ROLES = (PIPELINE_ROLE, RETENTION_ROLE, PREFERENCES_ROLE, "intake_finance", OPERATOR_ROLE, OFFICER_ROLE)
_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK_S = 600


def upgrade(address: ServerAddress, *, revision: str = "head") -> str | None:
    """Migrates the database of `address`, as who logs in, and returns the revision it is at now.

    One transaction: a migration that fails leaves the database as it was. ConfigurationError where the login may not
    make schemas or roles, or does not own a store that has an earlier layout.
    """
    engine = create_store_engine(address, role=None, pool_size=1)
    found = None
    try:
        with engine.connect() as conn, advisory_lock(conn, "migrate", wait_s=_LOCK_S):
            found = _revision(conn)
            _migrate(conn, revision)
            return _revision(conn)
    except StoreError as refused:
        if refused.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
    finally:
        engine.dispose()
    if found is not None:
        raise ConfigurationError(
            f"The store in database '{address.database}' has layout {found} and this version needs {_newest()}: "
            "run `crm-intake upgrade` as the login that owns the store."
        )
    raise ConfigurationError(
        f"The login may not make what the store needs in database '{address.database}'. Let an administrator run: "
        f"{''.join(f'CREATE ROLE {role} NOLOGIN; ' for role in ROLES)}"
        f"GRANT {PIPELINE_ROLE} TO {OPERATOR_ROLE}; GRANT {PIPELINE_ROLE}, {RETENTION_ROLE} TO {OFFICER_ROLE}; "
        f"GRANT {', '.join(ROLES)} TO <login>; GRANT CREATE ON DATABASE {address.database} TO <login>;"
    )


def current_revision(address: ServerAddress) -> str | None:
    """The revision the database is at; None where it was never migrated."""
    engine = create_store_engine(address, role=None, pool_size=1)
    try:
        with engine.connect() as conn:
            return _revision(conn)
    finally:
        engine.dispose()


def _migrate(conn: Connection, revision: str) -> None:
    # All workspaces ask as they are opened, each step of a worker's too: to most there is nothing to do, nor to import.
    if revision == "head" and _revision(conn) == _newest():
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = conn
    # Alembic keeps its own table there, and makes it before the first migration.
    if not conn.execute(text("SELECT to_regnamespace('intake')")).scalar():
        conn.execute(text("CREATE SCHEMA intake"))
    command.upgrade(config, revision)
    conn.commit()


def _newest() -> str:
    """The last of the migrations, each of whose files begins with its number."""
    return max(path.name.partition("_")[0] for path in (_SCRIPTS / "versions").glob("[0-9]*_*.py"))


def _revision(conn: Connection) -> str | None:
    if conn.execute(text("SELECT to_regclass('intake.alembic_version')")).scalar() is None:
        return None
    revision = conn.execute(text("SELECT version_num FROM intake.alembic_version")).scalar_one_or_none()
    conn.commit()
    return revision

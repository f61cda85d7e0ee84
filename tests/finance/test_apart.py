"""Finance apart: what the roles may do, what code may name, and that no account number is found outside `finance`."""

import ast
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.finance.merging import FINANCE_ROLE
from connectors.store.engine import create_store_engine
from connectors.store.migrate import PIPELINE_ROLE, RETENTION_ROLE
from connectors.store.roles import ROLES
from schemas.errors import StoreError
from tests.finance.conftest import IBAN, OVT, Bursar, make_row
from tests.invariants.world import tables
from tests.test_imports import MODULES, imported, is_within

ROOT = Path(__file__).parents[2]
# Finance's own, its part of the flow and of the command line, and what puts them together.
FINANCE_CODE = ("connectors/finance/", "pipelines/operations/finance/", "pipelines/transforms/finance/")
ITS_DOORS = {"pipelines/assets/finance.py", "pipelines/commands/financing.py"}
ASSEMBLY = {
    "pipelines/definitions.py": {"pipelines.assets.finance"},
    "pipelines/cli.py": {"pipelines.commands.financing"},
}
FINANCE_MODULES = {path.rstrip("/").replace("/", ".") for path in FINANCE_CODE}
MIGRATION = "connectors/store/migrations/versions/0009_finance.py"
# The record of processing lists every table by its columns, from their declarations; it opens no connection.
RECORD = "pipelines/operations/register.py"


def test_only_finance_imports_finance() -> None:
    broken = [
        f"{path} imports {name}"
        for path in MODULES
        if not path.startswith((*FINANCE_CODE, "tests/")) and path not in {*ITS_DOORS, RECORD}
        for name in imported(path)
        if any(is_within(name, module) for module in FINANCE_MODULES)
    ]
    assert broken == []


def test_its_doors_are_opened_by_the_assembly_only() -> None:
    doors = {path.removesuffix(".py").replace("/", ".") for path in ITS_DOORS}
    broken = [
        f"{path} imports {name}"
        for path in MODULES
        if path not in ASSEMBLY and path not in ITS_DOORS and not path.startswith("tests/")
        for name in imported(path)
        if any(is_within(name, door) for door in doors)
    ]
    assert broken == []


def test_the_record_of_processing_knows_finance_by_its_declarations_alone() -> None:
    assert {name for name in imported(RECORD) if any(is_within(name, m) for m in FINANCE_MODULES)} == {
        "connectors.finance"
    }
    assert not [
        name for name in imported(RECORD) if name.startswith(("sqlalchemy", "psycopg", "connectors.store.engine"))
    ]


def test_finance_imports_nothing_that_knows_the_crm_or_consents() -> None:
    barred = ("connectors.dataverse", "connectors.store.merge", "connectors.store.outbox", "schemas.consent")
    broken = [
        f"{path} imports {name}"
        for path in MODULES
        if path.startswith(FINANCE_CODE)
        for name in imported(path)
        if any(is_within(name, module) for module in barred)
    ]
    assert broken == []


def test_no_sql_outside_finance_names_its_schema() -> None:
    """Every string of the code, whole and put together: none says `finance.` or takes the role."""
    allowed = (*FINANCE_CODE, "tests/")
    broken = [
        f"{path}:{node.lineno}"
        for path, module in MODULES.items()
        if not path.startswith(allowed) and path != MIGRATION
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and names_finance(node.value)
    ]
    assert broken == []


def names_finance(text: str) -> bool:
    words = ("finance.entry", "finance.party", "finance.refusal", "finance.correction", "finance.taken")
    return any(word in text.casefold() for word in (*words, "set role intake_finance", "schema finance"))


def test_the_scan_bites() -> None:
    migration = ast.parse((ROOT / MIGRATION).read_text())
    assert any(
        isinstance(n, ast.Constant) and isinstance(n.value, str) and names_finance(n.value) for n in ast.walk(migration)
    )
    assert any("connectors.finance" in name for name in imported("pipelines/operations/finance/taking.py"))


@pytest.mark.parametrize("role", sorted({PIPELINE_ROLE, RETENTION_ROLE, *ROLES.values()} - {FINANCE_ROLE}))
def test_the_roles_of_the_crm_can_read_no_finance_column(bursar: Bursar, role: str) -> None:
    readable = bursar.rows(
        "select table_name, column_name from information_schema.columns where table_schema = 'finance' and"
        " (has_column_privilege(:role, format('finance.%I', table_name), column_name, 'SELECT')"
        "  or has_schema_privilege(:role, 'finance', 'USAGE'))",
        role=role,
    )
    assert readable == []
    assert len(bursar.rows("select from information_schema.columns where table_schema = 'finance'")) > 40


@pytest.mark.parametrize("table", ["entry", "party", "refusal", "correction", "taken"])
def test_connected_as_the_crm_s_role_every_finance_table_is_refused(bursar: Bursar, table: str) -> None:
    bursar.take(make_row(1))
    for statement in (f"select * from finance.{table}", f"insert into finance.{table} default values"):
        with pytest.raises(StoreError) as refused, bursar.workspace.transaction() as conn:
            conn.execute(sa.text(statement))
        assert refused.value.sqlstate == "42501"


def test_connected_as_finance_no_consent_row_is_writable_or_readable(bursar: Bursar) -> None:
    reached = bursar.rows(
        "select c.relname, p.privilege from pg_class c join pg_namespace n on n.oid = c.relnamespace,"
        " unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) as p(privilege)"
        " where n.nspname = 'intake' and c.relkind in ('r', 'v', 'm', 'p') and (has_table_privilege(:role, c.oid, p.privilege)"
        " or p.privilege not in ('DELETE', 'TRUNCATE') and has_any_column_privilege(:role, c.oid, p.privilege))",
        role=FINANCE_ROLE,
    )
    assert set(reached) <= {("alembic_version", "SELECT"), ("access_log", "INSERT")}
    for statement in (
        "insert into intake.consent_state values (gen_random_uuid(), 'marketing', '', 'granted')",
        "update intake.consent_event set value = 'grant'",
        "delete from intake.consent_evidence",
        "select * from intake.person",
    ):
        with pytest.raises(StoreError) as refused, bursar.office.transaction() as conn:
            conn.execute(sa.text(statement))
        assert refused.value.sqlstate == "42501"


def test_what_finance_stages_no_other_role_can_read(bursar: Bursar) -> None:
    with bursar.office.transaction() as conn:
        conn.execute(sa.text("create table staging.f_seen (iban text)"))
    try:
        with pytest.raises(StoreError) as refused, bursar.workspace.transaction() as conn:
            conn.execute(sa.text("select * from staging.f_seen"))
        assert refused.value.sqlstate == "42501"
    finally:
        with bursar.office.transaction() as conn:
            conn.execute(sa.text("drop table staging.f_seen"))


def test_a_role_of_the_crm_cannot_become_finance(bursar: Bursar) -> None:
    """As a login that is a member of the pipeline's role alone, as people and services have on a server of their own."""
    with bursar.owner.begin() as conn:
        conn.execute(sa.text("create role crm_login login in role intake_pipeline"))
    address = type(bursar.workspace.address)(bursar.workspace.address.url.set(username="crm_login"))
    engine = create_store_engine(address, role=PIPELINE_ROLE, pool_size=1)
    try:
        with pytest.raises(StoreError) as refused, engine.begin() as conn:
            conn.execute(sa.text("set role intake_finance"))
        assert refused.value.sqlstate == "42501"
    finally:
        engine.dispose()
        with bursar.owner.begin() as conn:
            conn.execute(sa.text("drop role crm_login"))


def test_no_account_or_invoice_address_is_found_outside_finance(bursar: Bursar) -> None:
    bursar.take(make_row(7), make_row(8, Account="", **{"Invoice to": OVT, "Company": "Example Oy"}))
    with bursar.owner.connect() as conn:
        names = [name for name in tables(conn) if name != "intake.landing_payload"]
        found = {
            name
            for name in names
            for secret in (IBAN, OVT)
            if conn.execute(
                sa.text(f"select exists (select from {name} t where t::text like :s)"), {"s": f"%{secret}%"}
            ).scalar()
        }
        assert conn.execute(sa.text("select count(*) from intake.registration")).scalar_one() >= 2
    assert found == {"finance.party"}

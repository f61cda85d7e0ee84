"""Export and explain of one person among many: complete, by indexes alone, and in time (a million by night)."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.store import erasure_sql, inspection, person_export
from connectors.store.address import ServerAddress
from pipelines.operations.erasure import find_person
from pipelines.operations.explain import explain
from pipelines.operations.person_export import export_person
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace, open_workspace, under_retention
from pipelines.settings import load_settings
from tests.invariants.world import write_config
from tests.sizes import sized
from tests.throwaway import fresh_database

PEOPLE = sized(20_000, 1_000_000)
_ID = "md5(cast(n as text) || '{}')::uuid"
SEED = (
    f"""insert into intake.contact_point (contact_point_id, address, address_key, is_role_address)
        select {_ID.format("c")}, 'p' || n || '@example.org', 'p' || n || '@example.org', false
        from generate_series(1, :people) n""",
    f"""insert into intake.person (person_id, contact_point_id, given_name, family_name)
        select {_ID.format("p")}, {_ID.format("c")}, 'Aino', 'Esimerkki' from generate_series(1, :people) n""",
    f"""insert into intake.subject (subject_id, contact_point_id, given_key, has_ground, person_id)
        select {_ID.format("s")}, {_ID.format("c")}, 'aino', true, {_ID.format("p")} from generate_series(1, :people) n""",
    f"""insert into intake.submission (source, submission_id, feed, kind, content_hash, received_at, batch_id, row_no,
               contact_point_id, subject_id, given_name, family_name, is_enquiry)
        select 'web_forms', 'n' || n || '-' || k, 'newsletter', 'mailing_list', '', now(), {_ID.format("b")}, n,
               {_ID.format("c")}, {_ID.format("s")}, 'Aino', 'Esimerkki', false
        from generate_series(1, :people) n, generate_series(1, 2) k""",
    """insert into intake.answer (source, submission_id, question, answer)
       select 'web_forms', 'n' || n || '-1', 'Question', 'Answer' from generate_series(1, :people) n""",
    """insert into intake.occasion (occasion_pk, source, occasion_id, kind, ends_at)
       select md5(k || 'o')::uuid, 'web_forms', k, 'event_registration', now() from generate_series(1, 1000) k""",
    f"""insert into intake.registration (registration_id, source, submission_id, occasion_pk, contact_point_id, subject_id,
               status, registered_at, is_sale, is_payer, notice_shown)
        select {_ID.format("r")}, 'web_forms', 'n' || n || '-2', md5((n % 1000 + 1) || 'o')::uuid, {_ID.format("c")},
               {_ID.format("s")}, 'active', now(), false, false, false from generate_series(1, :people) n""",
    """insert into intake.stated_value (source, submission_id, purpose, topic, contact_point_id, value, stated_at)
       select 'web_forms', 'n' || n || '-1', 'marketing', '', md5(cast(n as text) || 'c')::uuid, 'grant', now()
       from generate_series(1, :people) n""",
    f"""insert into intake.person_purpose (person_id, purpose, contact_point_id, begins_at)
        select {_ID.format("p")}, 'marketing', {_ID.format("c")}, now() from generate_series(1, :people) n""",
    f"""insert into intake.consent_state (contact_point_id, purpose, topic, state)
        select {_ID.format("c")}, 'marketing', '', 'granted' from generate_series(1, :people) n""",
    f"""insert into intake.person_consent (contact_point_id, person_id, purpose, topic, state, granted_at)
        select {_ID.format("c")}, {_ID.format("p")}, 'marketing', '', 'granted', now() from generate_series(1, :people) n""",
    f"""insert into intake.crm_row (table_name, row_id, contact_point_id, is_ours, columns)
        select 'contact', {_ID.format("p")}, {_ID.format("c")}, true, '{{"firstname": "Aino"}}'
        from generate_series(1, :people) n""",
    f"""insert into intake.outbox_intent (writing, phase, method, table_name, row_id, contact_point_id, is_raising,
               columns, state)
        select 'p', 1, 'upsert', 'contact', {_ID.format("p")}, {_ID.format("c")}, true, '{{}}', 'acknowledged'
        from generate_series(1, :people) n""",
    """insert into intake.consent_evidence (event_key, salt, submission_id, address)
        select decode(md5(cast(n as text)), 'hex'), '\\x00', 'n' || n || '-1', 'p' || n || '@example.org'
        from generate_series(1, :people) n""",
)
# What an erasure does in the store, once it is known who goes.
_GONE = [erasure_sql.FIND_SUBMISSIONS, erasure_sql.ADDRESSES_BEFORE, erasure_sql.CRM_ROWS,
         erasure_sql.SUPERSEDE_INTENTS, erasure_sql.PURGE_INTENTS,
         *(erasure_sql.DELETE_ROWS[name] for name in ("answer", "registration", "submission", "stated_value",
           "consent_evidence", "consent_evidence_elsewhere", "person_consent", "person_purpose",
           "subject_kept", "subject", "person"))]  # fmt: skip
LARGE = ("contact_point", "person", "subject", "submission", "answer", "stated_value", "crm_row", "outbox_intent",
         "consent_event", "consent_evidence", "person_purpose", "person_consent", "consent_state", "registration")  # fmt: skip


@pytest.fixture(scope="module")
def crowd(store_address: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    directory = tmp_path_factory.mktemp("crowd")
    write_config(directory / "config")
    with fresh_database(store_address, template=store_address.database) as address:
        owner = sa.create_engine(address.url_psycopg)
        with owner.begin() as conn:
            for statement in SEED:
                conn.execute(sa.text(statement), {"people": PEOPLE})
            conn.execute(sa.text(_event_seed(conn)), {"people": PEOPLE})
        with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(sa.text("analyze"))
        owner.dispose()
        settings = load_settings(data_dir=directory, config_dir=directory / "config", fast_for_tests=True)
        workspace = open_workspace(settings, address=address)
        yield workspace
        workspace.engine.dispose()


def _event_seed(conn: sa.Connection) -> str:
    """Events of whatever columns the ledger demands: those of its chain are filled with the same for all."""
    demanded = conn.execute(
        sa.text(
            "select column_name, udt_name from information_schema.columns where table_schema = 'intake'"
            " and table_name = 'consent_event' and is_nullable = 'NO' and column_default is null"
        )
    ).all()
    values = {
        "event_key": "decode(md5(cast(n as text)), 'hex')",
        "subject_id": _ID.format("s"),
        "contact_point_id": _ID.format("c"),
        "purpose": "'marketing'",
        "topic": "''",
        "value": "'grant'",
        "actor": "'subject'",
        "clock": "'web_forms'",
        "source": "'web_forms'",
        "group_id": _ID.format("g"),
    }
    filler = {"text": "''", "uuid": "gen_random_uuid()", "bytea": "'\\x00'", "timestamptz": "now()"}
    names = [row.column_name for row in demanded]
    picked = ", ".join(values.get(row.column_name, filler.get(row.udt_name, "n")) for row in demanded)
    return f"insert into intake.consent_event ({', '.join(names)}) select {picked} from generate_series(1, :people) n"


def test_one_person_among_many_is_exported_and_explained_in_time(
    crowd: Workspace, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    session = Session(crowd)
    began = time.perf_counter()
    with session.transaction() as conn:
        scope = find_person(conn, address=f"p{PEOPLE // 2}@example.org")
    made = export_person(session, scope, tmp_path / "out", crm=None)
    exported_s = time.perf_counter() - began
    explain(session, address=f"p{PEOPLE // 3}@example.org")
    began = time.perf_counter()
    told = explain(session, address=f"p{PEOPLE // 2}@example.org")
    explained_s = time.perf_counter() - began
    assert {kind: n for kind, n in made.counts.items() if n} == {
        **dict.fromkeys(
            ("contact_points", "persons", "purposes", "consents", "consent_history", "answers", "registrations"), 1
        ),
        **dict.fromkeys(("stated_values", "known_of_crm", "writes_to_crm"), 1),
        "submissions": 2,
    }
    assert len(told["submissions"]) == 2
    assert exported_s < 10 and explained_s < 1, f"export {exported_s:.2f} s, explain {explained_s:.3f} s"
    record_property("seconds", {"people": PEOPLE, "export": exported_s, "explain": explained_s})


@pytest.mark.parametrize("area", ["export", "explain", "erasure"])
def test_no_read_of_one_person_goes_through_a_whole_table(crowd: Workspace, area: str) -> None:
    statements = {
        "export": [*person_export._KINDS.values(), person_export._SUBJECTS],
        "explain": list(inspection._EXPLAIN.values()),
        "erasure": [erasure_sql.FIND_BY_ADDRESS, erasure_sql.FIND_BY_ID, *_GONE],
    }[area]
    with under_retention(crowd) as erasing, erasing.engine.connect() as conn:
        conn.execute(sa.text("create temporary table if not exists t_gone_subject (subject_id uuid, given_key text)"))
        conn.execute(
            sa.text("create temporary table if not exists t_gone_submission (source text, submission_id text)")
        )
        conn.execute(sa.text("analyze t_gone_subject, t_gone_submission"))
        scope = find_person(conn, address=f"p{PEOPLE // 2}@example.org")
        known = {**scope.parameters(), "registrations": "", "row_ids": list(scope.person_ids), "now": datetime.now(UTC)}
        known |= {**person_export._known(conn, scope), "ids": [scope.contact_point_id], "id": scope.person_ids[0]}
        known["address_key"] = scope.address_key
        for statement in statements:
            clause = sa.text(f"explain {statement.replace('create temporary table t_gone_submission as', '')}")
            plan = "\n".join(conn.execute(clause, {n: known[n] for n in clause._bindparams}).scalars())
            whole = [
                table for table in LARGE if f"Seq Scan on {table} " in plan or plan.endswith(f"Seq Scan on {table}")
            ]
            assert whole == [], f"{statement}\n{plan}"

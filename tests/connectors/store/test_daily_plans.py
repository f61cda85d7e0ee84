"""A daily run on a store that knows many people looks rows up, and goes through no large table from end to end.

Told by the server's own counts of rows and of entries of indexes that scans gave, whatever statement scanned.
"""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from benchmarks.known_day import opened, take_day
from benchmarks.seeding import seed_known
from connectors.store.address import ServerAddress
from pipelines.operations.workspace import Workspace
from tests.sizes import sized

# With fewer a scan is cheaper than a day's look-ups, and the planner right to choose it.
KNOWN = sized(gate=30_000, night=300_000)
ROWS = 10
# A share of the blast radius is counted as far as it matters: a hundred contacts for each row of the plan.
MOST_READ = KNOWN // 2

_SCANNED = """
select relname, seq_tup_read from pg_stat_user_tables where schemaname = 'intake' and n_live_tup >= :known
union all
select i.indexrelname, i.idx_tup_read from pg_stat_user_indexes i join pg_stat_user_tables using (relid)
where i.schemaname = 'intake' and n_live_tup >= :known
"""


@pytest.fixture(scope="module")
def settled(store: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    seed_known(store, KNOWN)
    with opened(store, tmp_path_factory.mktemp("settled")) as workspace:
        yield workspace


def scanned(workspace: Workspace) -> dict[str, int]:
    """By large table and index how many rows or entries scans have read so far; sessions tell at their end."""
    workspace.engine.dispose()
    owner = sa.create_engine(workspace.address.url_psycopg)
    with owner.connect() as conn:
        read = {row.relname: row.seq_tup_read for row in conn.execute(sa.text(_SCANNED), {"known": KNOWN})}
    owner.dispose()
    return read


def gone_through(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """The large tables and their indexes of which most was read in between."""
    return [name for name, read in before.items() if after[name] - read >= MOST_READ]


def test_a_day_goes_through_no_large_table(settled: Workspace) -> None:
    take_day(settled, 0, known=KNOWN, rows=ROWS)
    before = scanned(settled)
    assert {"contact_point", "submission", "subject", "consent_event", "person", "person_purpose", "crm_row"} <= set(
        before
    )
    assert take_day(settled, 1, known=KNOWN, rows=ROWS).intents > ROWS
    assert gone_through(before, scanned(settled)) == []


def test_a_table_gone_through_would_be_seen(settled: Workspace) -> None:
    before = scanned(settled)
    with settled.transaction() as conn:
        conn.execute(sa.text("select count(*) from intake.person where lower(given_name) = 'nobody'"))
        conn.execute(sa.text("set local enable_seqscan = off"))
        conn.execute(sa.text("select from intake.contact_point where is_role_address order by contact_point_id"))
    assert sorted(gone_through(before, scanned(settled))) == ["person", "pk_contact_point"]

"""A store whose people the CRM knows already: what the plan wants of each is put down as acknowledged, by COPY.

The bare CRM begins with the same rows, so that a correction finds the row and its version.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import psycopg

from benchmarks.consenting import Person
from pipelines.operations.link_maker import link_maker
from pipelines.operations.views import iter_views
from pipelines.operations.workspace import Workspace
from pipelines.transforms.desired import desired_rows
from schemas.tables import TABLES

_COLUMNS = "table_name, row_id, contact_point_id, is_ours, columns, written"


def make_known(workspace: Workspace, kept: Path) -> None:
    """Mark every address as up to date, and write the CRM's rows to a file: set, key, columns, a line each."""
    with psycopg.connect(workspace.address.uri_adbc) as conn, kept.open("wb") as out:
        with conn.cursor().copy(f"copy intake.crm_row ({_COLUMNS}) from stdin") as copy:
            for table, row_id, point, columns in _wanted(workspace):
                held = orjson.dumps(columns).decode()
                copy.write_row((table, row_id, point, True, held, held))
                out.write(orjson.dumps([TABLES[table].entity_set, row_id, columns]) + b"\n")
        conn.execute("update intake.contact_point set acked_version = version")
        conn.commit()
        conn.autocommit = True
        conn.execute("vacuum analyze")


def _wanted(workspace: Workspace) -> Iterator[tuple[str, str, Any, dict[str, Any]]]:
    now = workspace.now()
    with workspace.transaction() as conn:
        for view, _ in iter_views(conn, workspace.policy, now=now, every=True, links=link_maker(workspace)):
            for (table, row_id), columns in desired_rows(view, workspace.policy, now=now).items():
                yield table, str(row_id), view.contact_point_id, columns


def rename(workspace: Workspace, people: Sequence[Person]) -> None:
    """Give people the family name that they have here, as an intake would: the address is at its next version."""
    with psycopg.connect(workspace.address.uri_adbc) as conn:
        for point, person, _, family, _ in people:
            conn.execute("update intake.person set family_name = %s where person_id = %s", (family, person))
            conn.execute("update intake.contact_point set version = version + 1 where contact_point_id = %s", (point,))

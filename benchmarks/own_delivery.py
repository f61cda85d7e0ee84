"""Our side of the delivery benchmarks, as a process of its own: plan into the outbox, deliver stage by stage, close.

`python -m benchmarks.own_delivery DATA_DIR CONFIG_DIR DATABASE CRM_JSON` over a seeded store; prints one JSON object.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from benchmarks.consenting import NOW
from benchmarks.servers import CrmAccess
from connectors.store import batches
from connectors.store.server import ensure_server
from pipelines.operations.delivery import STAGES, deliver_phases, recover
from pipelines.operations.sessions import Session
from pipelines.operations.sync import as_writer, close, plan_now
from pipelines.operations.workspace import dataverse_client, open_workspace
from pipelines.settings import load_settings


def run(data_dir: Path, config_dir: Path, database: str, crm: CrmAccess) -> dict[str, Any]:
    """Plan and deliver everything; seconds by stage, seconds of delivery, and the intents by what became of them."""
    settings = load_settings(
        data_dir=data_dir,
        config_dir=config_dir,
        fixed_now=NOW,
        blast_radius_rows=2**31 - 1,
        dataverse_url=crm.base_url,
        dataverse_authority=crm.authority,
        dataverse_tenant=crm.tenant,
        dataverse_client_id=crm.client_id,
        dataverse_client_secret=crm.client_secret,
        dataverse_ca_path=crm.ca_path,
    )
    workspace = open_workspace(settings, address=ensure_server(data_dir / "postgres").with_database(database))
    session = Session(workspace)
    with session.transaction() as conn:
        batches.start_run(conn, session.run_id, "benchmark", at=session.now)
    client = dataverse_client(settings, workspace.policy)
    with as_writer(session, client):
        return _synchronise(session, client)


def _synchronise(session: Session, client: Any) -> dict[str, Any]:
    stages: dict[str, float] = {}
    outcomes: Counter[str] = Counter()
    recover(session, client)
    began = perf_counter()
    plan = plan_now(session)
    stages["plan"] = perf_counter() - began
    worked = process_time()
    for stage in STAGES:
        began = perf_counter()
        for report in deliver_phases(session, client, stage).values():
            outcomes += report.counts
        stages[", ".join(phase.name.lower() for phase in stage)] = perf_counter() - began
    began = perf_counter()
    close(session)
    stages["close"] = perf_counter() - began
    delivered = sum(stages.values()) - stages["plan"]
    told = {"seconds": delivered, "cpu_s": process_time() - worked, "stages": stages}
    return {**told, "intents": plan.size, "outcomes": dict(outcomes)}


if __name__ == "__main__":
    told = run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], CrmAccess(**json.loads(sys.argv[4])))
    sys.stdout.write(json.dumps(told) + "\n")

"""The narrow synchronisation as an asset of its own, apart from the night: for the addresses that people acted on."""

import dagster as dg

from pipelines.assets.steps import declared_errors
from pipelines.operations.deliveries import sweep
from pipelines.operations.following import follow_once
from pipelines.operations.sessions import Session
from pipelines.resources import WorkspaceResource, open_crm

NAME, GROUP = "calls__people", "calls"


def calls_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """What the sensor asks for: not in the pool of the CRM, whose steps may take hours."""

    @dg.asset(
        name=NAME,
        group_name=GROUP,
        retry_policy=retry,
        kinds={"python", "dynamics"},
        description="Withdrawals and choices made on the preference page, and forms that were pushed, told to the CRM at once.",
    )
    def serve(workspace: WorkspaceResource) -> dg.MaterializeResult:
        with declared_errors():
            opened = workspace.open()
            with open_crm(opened) as crm:
                followed = follow_once(opened, crm)
            sweep(Session(opened))
        counts = {
            "pushed_forms": followed.deliveries,
            "changes_of_address": followed.moves,
            "calls_taken": followed.calls.taken,
            "calls_served": followed.calls.served,
        }
        return dg.MaterializeResult(metadata={"run_id": str(followed.run_id), **counts})

    return serve

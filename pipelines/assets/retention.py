"""Retention in the store alone, for the nights on which the CRM fails: what is overdue here does not wait for it.

A job of its own: in the CRM's job nothing runs after a step that failed, and deleting before the plan would leave the
removals in the CRM unproven.
"""

from typing import Any

import dagster as dg

from pipelines.assets import metadata as md
from pipelines.assets.steps import step
from pipelines.operations.certificates import certify
from pipelines.operations.retention import retain
from pipelines.resources import WorkspaceResource

NAME, GROUP = "retention__store", "retention"


def store_retention_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The end of what has outlived its purpose here, and of nobody whom the CRM still shows."""

    @dg.asset(
        name=NAME,
        group_name=GROUP,
        retry_policy=retry,
        kinds={"postgres"},
        description="What has outlived its purpose goes from the store, with a signed certificate, where the CRM fails.",
    )
    def let_go(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, GROUP) as session:
            done = retain(session, None)
            certificate = certify(session, done)
        rows = [{"rule": rule, "rows": n} for rule, n in sorted(done.deleted.items())]
        told: dict[str, Any] = {"deleted": sum(done.deleted.values()), "certificate": certificate.name}
        return dg.MaterializeResult(metadata={**told, "by_rule": md.table(rows, ("rule", "rows"))})

    return let_go

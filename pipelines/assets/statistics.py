"""Statistics: counts gathered while the people are known, and months published once they are closed. Counts only."""

from typing import Any

import dagster as dg

from pipelines.assets import metadata as md
from pipelines.assets.intake import NOUNS, asset_name
from pipelines.assets.steps import step
from pipelines.operations.statistics import gather_participations, publish_closed
from pipelines.plots import draw_participants
from pipelines.resources import WorkspaceResource

BY = "the schedule"
_COLUMNS = ("dimension", "value", "participants")


def statistics_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """Participants by month, kind, topic, course or event, and region."""

    @dg.asset(
        name="ops__statistics",
        group_name="ops",
        deps=[asset_name("core", source) for source in NOUNS],
        retry_policy=retry,
        kinds={"matplotlib", "postgres"},
        description="Participants counted without anybody in them; a month is published once, when it is closed.",
    )
    def count(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
        with step(context, workspace, "crm") as session:
            gathered = gather_participations(session)
            published = publish_closed(session, by=BY)
        return dg.MaterializeResult(metadata={"counts_gathered": gathered, **_published(published)})

    return count


def _published(months: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    told: dict[str, Any] = {"months_published": len(months)}
    for period, cells in months.items():
        told[f"cells_{period}"] = md.table(cells, _COLUMNS)
        told[f"picture_{period}"] = md.picture(draw_participants(cells), f"Participants in {period}")
    return told

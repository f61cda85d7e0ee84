"""The sensor that watches: it looks at the status, and has somebody told of each breach once."""

import dagster as dg

from pipelines.operations.sessions import Session
from pipelines.operations.status import check_status
from pipelines.operations.watching import tell_breaches
from pipelines.resources import WorkspaceResource
from schemas.errors import IntakeError

LOOK_EVERY_S = 600


def watch() -> dg.SensorDefinition:
    """Looks every ten minutes and starts nothing. On from the start; it tells nobody until the settings name somebody."""

    @dg.sensor(
        name="watch",
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells by mail or webhook what is overdue, once while it lasts (INTAKE_ALERT_*).",
    )
    def look(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SkipReason:
        try:
            session = Session(workspace.open())
            context.log.debug("looking at the status")
            found = check_status(session)
            told = tell_breaches(session, found.alarms)
        except IntakeError as error:
            raise dg.Failure(f"{type(error).__name__}: {error}") from None
        return dg.SkipReason(f"{len(found.alarms)} alarms, {len(told)} told now.")

    return look

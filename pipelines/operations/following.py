"""Following the people's door: as soon as somebody acted, or a form was pushed, the store and then the CRM know.

A loop for a process of its own. It is woken by the store (LISTEN) and looks by itself every few seconds. While the CRM
is down it keeps trying, further and further apart; what waits meanwhile stands in the store, and the page stays up.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import psycopg
from sqlalchemy import text

from connectors.store import narrow_calls
from connectors.store.refusals import store_errors
from pipelines.operations.corrections import apply_moves
from pipelines.operations.deliveries import sweep, take_in_deliveries
from pipelines.operations.narrow_sync import NarrowReport, serve_calls
from pipelines.operations.restored import require_replayed
from pipelines.operations.sessions import Session
from pipelines.operations.sync import Crm
from pipelines.operations.workspace import Workspace
from schemas.errors import IntakeError

LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 5.0
SWEEP_EVERY_S = 3600.0
_LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True)
class Followed:
    """One round: pushed forms taken in, changes of address made, calls served. `run_id` is what took the forms in."""

    run_id: UUID
    deliveries: int
    moves: int
    calls: NarrowReport


def follow_once(workspace: Workspace, crm: Crm) -> Followed:
    """One round: changes of address and the calls that are due; then forms that were pushed, and what they call for.

    Raises DatabaseRestored where the database is older than what was erased since.
    """
    session = Session(workspace)
    require_replayed(session)
    moves = apply_moves(session)
    calls = serve_calls(workspace, crm)
    deliveries = take_in_deliveries(session)
    if deliveries:
        LOG.info("Run %s took in pushed forms (%d).", session.run_id, deliveries)
        calls = calls + serve_calls(workspace, crm)
    return Followed(session.run_id, deliveries, moves, calls)


def follow(workspace: Workspace, crm: Crm, *, until: Callable[[], bool], look_every_s: float = LOOK_EVERY_S) -> None:
    """Rounds until told to stop. An error of ours is logged and the round tried again; nothing is lost meanwhile."""
    pause, swept_at = 1.0, float("-inf")
    while not until():
        try:
            with _listening(workspace) as wait:
                while not until():
                    followed = follow_once(workspace, crm)
                    pause = 1.0
                    if time.monotonic() - swept_at > SWEEP_EVERY_S:
                        sweep(Session(workspace))
                        swept_at = time.monotonic()
                    if not followed.calls.served and not followed.deliveries:
                        wait(look_every_s)
        except IntakeError as error:
            LOG.warning("Will try again in %.0f s: %s", pause, error)
            _sleep(pause, until)
            pause = min(pause * 2, _LONGEST_PAUSE_S)


@contextmanager
def _listening(workspace: Workspace) -> Iterator[Callable[[float], None]]:
    """A function that waits until somebody calls, or so many seconds."""
    with workspace.engine.connect() as conn:
        conn.execution_options(isolation_level="AUTOCOMMIT")
        conn.execute(text(f"listen {narrow_calls.CHANNEL}"))
        driver = conn.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)

        def wait(seconds: float) -> None:
            with store_errors():
                for _ in driver.notifies(timeout=seconds, stop_after=1):
                    pass

        try:
            yield wait
        finally:
            # A connection that listens does not go back into the pool.
            conn.invalidate()


def _sleep(seconds: float, until: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at and not until():
        time.sleep(0.1)

"""A step of a run: a session under the run's id, errors in Dagster's words, the record of the run.

What may pass is tried again by TRANSIENT; all else fails at once, and no message repeats what an unexpected error said.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from uuid import UUID

import dagster as dg

from connectors.store import batches
from pipelines.operations.sessions import Session
from pipelines.resources import WorkspacePort
from schemas.errors import IntakeError
from schemas.records import Window

# An outside system that restarts is back within a minute; 5, 10 and 20 seconds are waited, some more or less.
TRANSIENT = dg.RetryPolicy(max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
# Of a run for which nobody named the days: each of its sources is read from where it was last read without a gap.
FROM_UNREAD = {"crm_intake/from_unread": "yes"}
_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def step(context: dg.AssetExecutionContext, workspace: WorkspacePort, kind: str) -> Iterator[Session]:
    """The session of one step of a run of a kind (`intake`, `crm`); Failure says whether to try again."""
    name = context.asset_key.to_user_string()
    workspace.tell(f"{name} …")
    with declared_errors():
        session = open_session(context.run.run_id, workspace)
        with session.transaction() as conn:
            batches.start_run(conn, session.run_id, kind, at=session.now)
        try:
            yield session
        except IntakeError as error:
            if not may_retry(context, error):
                mark_failed(session)
            raise
    workspace.tell(f"{name} done")


@contextmanager
def declared_errors() -> Iterator[None]:
    """Errors as Failure: of ours with their message, any other with its kind and place only."""
    try:
        yield
    except (dg.DagsterError, dg.Failure):
        raise
    except IntakeError as error:
        raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=error.transient) from None
    except Exception as error:  # noqa: BLE001 - a library's message may quote a person's row, and is stored for good
        raise dg.Failure(f"Unexpected {type(error).__name__} at {_place(error)}.", allow_retries=False) from None


def makes(context: dg.AssetExecutionContext, asset: str) -> bool:
    """Whether the step that makes the asset is part of this run. A run that goes on where another failed leaves out what
    that one made, and has nothing of it: what is staged and planned is known by its run.
    """
    steps = context.run.step_keys_to_execute
    return dg.AssetKey(asset) in context.job_def.asset_layer.selected_asset_keys and (steps is None or asset in steps)


def open_session(run_id: str, workspace: WorkspacePort) -> Session:
    """A session under a run's id."""
    return Session(workspace.open(), run_id=UUID(run_id))


def may_retry(context: dg.AssetExecutionContext, error: IntakeError) -> bool:
    """Whether the step will be tried again after this error."""
    return error.transient and context.retry_number < TRANSIENT.max_retries


def mark_failed(session: Session, *, unread: str | None = None) -> None:
    """A run of which a part failed is no good run, even if its other parts go on; of the source `unread` not all was read."""
    with session.transaction() as conn:
        batches.fail_run(conn, session.run_id, at=session.now, unread=unread)


def mark_done(session: Session, part: str, *, of: list[str]) -> None:
    """A part of the run is done; the run is with the last of its parts."""
    with session.transaction() as conn:
        batches.finish_part(conn, session.run_id, part, of=of, at=session.workspace.now())


def window_of(context: dg.AssetExecutionContext) -> Window:
    """The days received that the step is for."""
    keys = context.partition_key_range
    return Window(date.fromisoformat(keys.start), date.fromisoformat(keys.end))


def is_from_unread(context: dg.AssetExecutionContext) -> bool:
    """Whether the run leaves out, of each source, the days that are read already."""
    return context.run.tags.items() >= FROM_UNREAD.items()


def _place(error: BaseException) -> str:
    """The deepest line of ours that the error came through."""
    frames = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)]
    ours = [
        f"{path.relative_to(_ROOT)}:{line}"
        for path, line in zip(frames, lines, strict=True)
        if path.is_relative_to(_ROOT) and ".venv" not in path.parts
    ]
    return ours[-1] if ours else "a place outside the project"

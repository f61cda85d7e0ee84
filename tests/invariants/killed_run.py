"""Runs in processes of their own, to be killed: `python tests/invariants/killed_run.py WORLD.json`.

WORLD.json holds the settings and the store's URL. For each line on standard input a child is forked that runs once, and
is killed after that many seconds (0: never); `ended N` tells its wait status. What a run imports is imported before, so
that a kill strikes the run.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import great_expectations.expectations  # noqa: F401
from sqlalchemy import make_url

from connectors.store import batches
from connectors.store.address import ServerAddress
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import dataverse_client, open_workspace
from pipelines.settings import load_settings
from tests.invariants.world import whole_run


def main() -> None:
    """Serve until the input ends."""
    given = json.loads(Path(sys.argv[1]).read_text())
    _say("ready")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run_once(given)
            os._exit(0)
        if float(line) > 0:
            time.sleep(float(line))
            os.kill(child, signal.SIGKILL)  # not waited for yet, so its id is nobody else's
        _, status = os.waitpid(child, 0)
        _say(f"ended {status}")


def run_once(given: dict[str, object]) -> None:
    """One run, with everything opened anew."""
    settings = load_settings(**given["settings"])  # type: ignore[arg-type]
    workspace = open_workspace(settings, address=ServerAddress(make_url(str(given["url"]))))
    session = Session(workspace)
    with session.transaction() as conn:
        batches.start_run(conn, session.run_id, "run", at=session.now)
    whole_run(session, dataverse_client(settings, workspace.policy))


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""Workers, and the processes that hand out their runs, forked from one that has the pipeline imported.

What a worker does is the command `crm-intake worker`, in a session and an environment of its own; what it does not is
read all modules again. This module is imported in that one process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, get_context
from multiprocessing.context import ForkServerProcess

import dagster_celery.core_execution_loop
import dagster_celery.executor
import dagster_celery.tasks
import great_expectations.expectations  # noqa: F401

import pipelines.definitions  # noqa: F401
from connectors.store.address import ServerAddress
from pipelines.cli import APP
from pipelines.launch import child_environment, dagster_home
from pipelines.processes import stop
from pipelines.settings import Settings
from pipelines.workers import with_broker

# How often the library looks whether a step has ended: of no matter to what is tested, and seconds a run.
dagster_celery.core_execution_loop.TICK_SECONDS = 0.1


class ForkedWorker(ForkServerProcess):
    """One worker of this machine, as `pipelines.cluster.start_worker` starts it; its group is its own."""

    def __init__(self, settings: Settings, number: int, *, address: ServerAddress) -> None:
        super().__init__(name=f"worker-{number}")
        self._environment = child_environment(with_broker(settings, address), address)
        self._log = dagster_home(settings) / f"{self.name}.log"
        self.start()

    def run(self) -> None:
        """Serve until stopped."""
        os.setsid()
        os.environ.clear()
        os.environ.update(self._environment)
        with self._log.open("wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        APP(["worker", "--name", self.name])

    def wait(self) -> None:
        """Until it has ended."""
        self.join()


def prepare_forks() -> None:
    """Let whatever this test process forks by a server from now on come from one that has this module imported."""
    get_context("forkserver").set_forkserver_preload([__name__])
    forkserver.ensure_running()


@contextmanager
def forked_workers(settings: Settings, count: int, *, address: ServerAddress) -> Iterator[list[ForkedWorker]]:
    """As `pipelines.cluster.local_workers`."""
    crew: list[ForkedWorker] = []
    try:
        crew.extend(ForkedWorker(settings, number, address=address) for number in range(1, count + 1))
        yield crew
    finally:
        stop(crew)

"""A job whose one step ends the process that executes it, as the kernel does where memory is short."""

import os
import signal

import dagster as dg

from pipelines.settings import load_settings
from pipelines.workers import executor_of


@dg.op
def kill_worker() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killing() -> dg.JobDefinition:
    """The job as a worker finds it by name."""

    @dg.job(name="killing", executor_def=executor_of(load_settings()))
    def job() -> None:
        kill_worker()

    return job

"""The workers: Dagster's steps as Celery tasks, over RabbitMQ, or over the store's own server where no broker answers.

Executor and workers take the same configuration, made here from the settings. A step is acknowledged when it has ended,
so the step of a worker that was killed goes to another; that it may run twice is what the store's locks are for.
Celery is imported where it is used: an intake in one process has no need of it.
"""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import SecretStr

from connectors.store.address import ServerAddress
from connectors.store.server import ensure_database
from pipelines.settings import Settings
from schemas.errors import ConfigurationError, WorkersLost

if TYPE_CHECKING:
    from celery import Celery

RABBITMQ = ("127.0.0.1", 5672)
BROKER_DATABASE = "broker"
QUEUE = "dagster"
# How often a step is begun whose workers are lost: machines are lost now and then, but not five for one step.
MOST_STARTS = 5
_BEGAN = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED)
# Kept until the step has ended, and given to another worker where the process or the machine is lost. RabbitMQ takes
# back what is not acknowledged in 30 minutes: its consumer_timeout is to be above the longest step (deploy/).
CELERY: dict[str, Any] = {
    # Dagster binds its queue by the pattern `dagster.#`, which means nothing to Celery's direct exchange: what is sent
    # there is dropped without a word.
    "task_default_exchange": "crm-intake",
    "task_default_exchange_type": "topic",
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "worker_hijack_root_logger": True,
    "broker_connection_retry_on_startup": True,
}


def with_broker(settings: Settings, address: ServerAddress) -> Settings:
    """The settings for work on workers, with a broker: the settings' own, else a RabbitMQ of this machine.

    Without that it is a database on the store's server. It serves trials and tests: over it the step of a lost process
    goes to another, but not the step of a whole lost worker, whose run waits until dagster.yaml's `max_runtime_seconds`.
    """
    if settings.celery_broker is not None:
        broker, backend = settings.celery_broker, settings.celery_backend or SecretStr("rpc://")
    elif answers(*RABBITMQ):
        broker, backend = SecretStr(f"pyamqp://guest:guest@{RABBITMQ[0]}:{RABBITMQ[1]}//"), SecretStr("rpc://")
    else:
        ensure_database(address, BROKER_DATABASE)
        url = address.with_database(BROKER_DATABASE).url_psycopg2
        broker, backend = SecretStr(f"sqla+{url}"), SecretStr(f"db+{url}")
    return settings.model_copy(
        update={"executor": "celery", "celery_broker": broker, "celery_backend": backend},
    )


def scheme_of(settings: Settings) -> str:
    """What kind of broker it is, without where it is and who logs in."""
    return settings.celery_broker.get_secret_value().partition("://")[0] if settings.celery_broker else "none"


def answers(host: str, port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def celery_config(settings: Settings) -> dict[str, Any]:
    """What executor and workers are told: broker, result backend, and Celery's own settings."""
    if settings.celery_broker is None:
        raise ConfigurationError("Workers need a broker: set INTAKE_CELERY_BROKER, as pyamqp://USER:PASSWORD@HOST//.")
    backend = settings.celery_backend.get_secret_value() if settings.celery_backend else "rpc://"
    return {"broker": settings.celery_broker.get_secret_value(), "backend": backend, "config_source": CELERY}


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """Steps in this process, or on the workers, as the settings say."""
    if settings.executor == "in_process":
        return dg.in_process_executor
    from dagster_celery import celery_executor

    return celery_executor.configured(celery_config(settings), name="celery")


def worker_app(settings: Settings) -> "Celery":
    """The Celery application of a worker: Dagster's, with the one task that executes a step.

    A step that was begun `MOST_STARTS` times and of which no worker ever said how it ended is not begun again: it would
    take one worker after the other with it. Its run fails with WorkersLost.
    """
    from celery import Task
    from dagster._grpc.types import ExecuteStepArgs
    from dagster_celery.executor import CeleryExecutor
    from dagster_celery.make_app import make_app
    from dagster_celery.tasks import create_task
    from dagster_shared.serdes import unpack_value

    # RabbitMQ tells of what a worker had before, and saves asking; a database as broker does not.
    tells_again = scheme_of(settings) in ("amqp", "pyamqp")

    class StepTask(Task):
        def before_start(self, _task_id: str, _args: Any, kwargs: Mapping[str, Any]) -> None:
            asked = unpack_value(kwargs["execute_step_args_packed"], as_type=ExecuteStepArgs)
            if tells_again and not self.request.delivery_info["redelivered"]:
                return
            if asked.instance_ref is None:
                raise ConfigurationError("A step came without Dagster's instance; whoever hands it out must have one.")
            with dg.DagsterInstance.from_ref(asked.instance_ref) as instance:
                for step_key in asked.step_keys_to_execute or ():
                    _refuse_killer(instance, asked.run_id, step_key)

    app = make_app(CeleryExecutor.for_cli(**celery_config(settings)).app_args())
    create_task(app, base=StepTask)
    return app


def _refuse_killer(instance: dg.DagsterInstance, run_id: str, step_key: str) -> None:
    records = instance.all_logs(run_id, of_type={*_BEGAN, dg.DagsterEventType.STEP_UP_FOR_RETRY})
    kinds = [record.get_dagster_event().event_type for record in records if record.step_key == step_key]
    # Each attempt that ended badly and is allowed another says so; what is over is that nobody heard the end of.
    lost = sum(1 if kind in _BEGAN else -1 for kind in kinds)
    if lost >= MOST_STARTS:
        raise WorkersLost(
            f"Step {step_key} was begun {lost} times, and each time its worker was lost in the middle of it: killed for "
            "the memory it took, or with its machine. Look at the memory limit of the workers (docs/deploy.md), then start "
            "the run again."
        )


def serve_worker(settings: Settings, *, name: str, processes: int = 1) -> None:
    """Work until asked to stop: SIGTERM finishes the steps under way, SIGQUIT gives them back.

    A step opens Dagster's instance by what stands in the environment: what is not told there is told here. What a step
    needs is imported before processes are forked off, and no connection is kept open.
    """
    from pipelines.launch import tell_dagster

    tell_dagster(settings)
    import pipelines.definitions  # noqa: F401

    options = ["--hostname", f"{name}@%h", "--queues", QUEUE, "--concurrency", str(processes)]
    worker_app(settings).worker_main(["worker", "--loglevel", "WARNING", "--without-gossip", *options])

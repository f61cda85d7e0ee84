"""A broker for a test alone: a virtual host of RabbitMQ where one answers here, else a database of the test's own server."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from connectors.store.address import ServerAddress
from pipelines.settings import Settings
from pipelines.workers import RABBITMQ, answers
from tests.throwaway import fresh_database


@contextmanager
def own_broker(settings: Settings, address: ServerAddress) -> Iterator[Settings]:
    """The settings with a broker that no other test's worker listens to."""
    rabbitmqctl = shutil.which("rabbitmqctl")
    if rabbitmqctl and answers(*RABBITMQ):
        with _virtual_host(rabbitmqctl) as name:
            url = f"pyamqp://guest:guest@{RABBITMQ[0]}:{RABBITMQ[1]}/{name}"
            yield settings.model_copy(update={"celery_broker": SecretStr(url), "celery_backend": SecretStr("rpc://")})
    else:
        with fresh_database(address) as database:
            url = database.url_psycopg2
            told = {"celery_broker": SecretStr(f"sqla+{url}"), "celery_backend": SecretStr(f"db+{url}")}
            yield settings.model_copy(update=told)


@contextmanager
def _virtual_host(rabbitmqctl: str) -> Iterator[str]:
    name = f"crm_intake_test_{os.getpid()}_{secrets.token_hex(4)}"
    subprocess.run([rabbitmqctl, "add_vhost", name], check=True, capture_output=True)
    try:
        allowed = [rabbitmqctl, "set_permissions", "-p", name, "guest", ".*", ".*", ".*"]
        subprocess.run(allowed, check=True, capture_output=True)
        yield name
    finally:
        subprocess.run([rabbitmqctl, "delete_vhost", name], check=True, capture_output=True)

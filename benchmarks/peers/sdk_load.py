"""The vendor's SDK (PowerPlatform-Dataverse-Client): chunks by `records.upsert`, or by `records.create` as in its quick start.

`python sdk_load.py CRM_JSON ROWS_FOLDER upsert|create CHUNK THREADS`; prints one JSON object. One thread is the tool as
shipped; several are tuned by hand, each with a client of its own. A chunk that raises is noted and the next one is sent:
the SDK retries what fails on the network (5 attempts, half a second doubled), and no status, 429 among them.
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from azure.core.credentials import AccessToken
from crm import KEY, Access, DeadLetters, Row, columns_of, read_rows
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import DataverseError
from PowerPlatform.Dataverse.models.upsert import UpsertItem

_local = threading.local()


class Credential:
    """A token credential as azure-identity's are."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        return AccessToken(self._access.token(), self._access.expires_on)


def client_of(access: Access) -> DataverseClient:
    """This thread's client, with pooled connections as `with DataverseClient(...)` gives."""
    if not hasattr(_local, "client"):
        _local.client = DataverseClient(access.base_url, Credential(access))
        _local.client.__enter__()
    return _local.client


def send(access: Access, mode: str, table: str, chunk: list[Row]) -> None:
    """One call of the SDK."""
    records = client_of(access).records
    if mode == "create":
        records.create(table, [columns_of(row) for row in chunk])
    else:
        records.upsert(table, [UpsertItem({KEY: row["key"]}, columns_of(row)) for row in chunk])


def main(crm: str, folder: str, mode: str, chunk_rows: str, threads: str) -> None:
    access, dead, size = Access(crm), DeadLetters(), int(chunk_rows)
    tables = read_rows(folder)

    def deliver(table: str, chunk: list[Row]) -> None:
        try:
            send(access, mode, table, chunk)
        except (DataverseError, requests.RequestException):
            dead.add(chunk)

    began = time.perf_counter()
    with ThreadPoolExecutor(int(threads)) as pool:
        for table, rows in tables.items():
            chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
            list(pool.map(lambda chunk, table=table: deliver(table, chunk), chunks))
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began, "dead_letters": sorted(dead.keys)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

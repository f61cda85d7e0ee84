"""What every peer needs of a CRM: rows to write, a token, a bulk upsert by alternate key, a list of what was not taken.

Written as a user would write it around each tool. Imports nothing of the project.
"""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import requests

TABLES = {"contact": "contacts", "msdynmkt_contactpointconsent4": "msdynmkt_contactpointconsent4s"}
KEY = "crmb_key"
Row = dict[str, Any]


class Access:
    """Where the CRM is and who we are there; a token is taken once and kept until a minute before it ends."""

    def __init__(self, line: str) -> None:
        given = json.loads(line)
        self.base_url: str = given["base_url"]
        self._token_url = f"{given['base_url']}/{given['tenant']}/oauth2/v2.0/token"
        self._form = {
            "grant_type": "client_credentials",
            "client_id": given["client_id"],
            "client_secret": given["client_secret"],
            "scope": f"{given['base_url']}/.default",
        }
        os.environ["REQUESTS_CA_BUNDLE"] = given["ca_path"]
        self._lock = threading.Lock()
        self._token, self.expires_on = "", 0

    def token(self) -> str:
        """A bearer token."""
        with self._lock:
            if time.time() > self.expires_on - 60:
                answer = requests.post(self._token_url, data=self._form, timeout=30)
                answer.raise_for_status()
                content = answer.json()
                self._token, self.expires_on = content["access_token"], int(time.time()) + int(content["expires_in"])
            return self._token


class DeadLetters:
    """The rows that a tool gave up and told of, by key; thread-safe."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self._lock = threading.Lock()

    def add(self, rows: list[Row]) -> None:
        """Note the rows of one call."""
        with self._lock:
            self.keys.update(row["key"] for row in rows)


def read_rows(folder: str) -> dict[str, list[Row]]:
    """Rows by table, in the order of TABLES; each has its `key` and, a consent row, its `purpose_id`."""
    return {table: [json.loads(line) for line in (Path(folder) / f"{table}.jsonl").open()] for table in TABLES}


def columns_of(row: Row) -> Row:
    """A row as the Web API takes it, without its key."""
    columns = {name: value for name, value in row.items() if name not in ("key", "purpose_id") and value is not None}
    if row.get("purpose_id"):
        columns["msdynmkt_purposeId@odata.bind"] = f"/msdynmkt_purposes({row['purpose_id']})"
    return columns


def upsert_request(access: Access, table: str, rows: list[Row]) -> dict[str, Any]:
    """The arguments of `requests.post` for one UpsertMultiple by alternate key."""
    target = {"@odata.type": f"Microsoft.Dynamics.CRM.{table}"}
    targets = [{**columns_of(row), **target, "@odata.id": f"{TABLES[table]}({KEY}='{row['key']}')"} for row in rows]
    return {
        "url": f"{access.base_url}/api/data/v9.2/{TABLES[table]}/Microsoft.Dynamics.CRM.UpsertMultiple",
        "json": {"Targets": targets},
        "headers": {"Authorization": f"Bearer {access.token()}", "OData-Version": "4.0", "OData-MaxVersion": "4.0"},
        "timeout": 120,
    }

"""The emulator as the side by side has it: an alternate key for the peers, answers lost, 429s, poison rows; and what it holds."""

import json
import ssl
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bare_crm import REFUSED_CONSENT, REFUSED_CONTACT
from benchmarks.consenting import Person
from benchmarks.servers import CrmAccess
from sandbox.dataverse.server import RunningEmulator, start_emulator
from schemas.tables import CONSENT, CONTACT, ConsentValue

LOST_SHARE, THROTTLED_SHARE, RETRY_AFTER_S = 0.03, 0.1, "1"
KEY = "crmb_key"
_PURPOSE = {"msdynmkt_name": "marketing", "msdynmkt_type": 534120000, "msdynmkt_enforcementmodel": 534120000}


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows wanted, landed as they should be, doubled (a second row of an address), missing, and other rows left behind."""

    wanted: int
    landed: int
    doubled: int
    unfinished: int

    @property
    def lost(self) -> int:
        """Good rows that the CRM does not have at all."""
        return self.wanted - self.landed - self.unfinished


@contextmanager
def troubled_emulator(
    directory: Path, people: Sequence[Person], *, purpose_id: str, seed: int
) -> Iterator[RunningEmulator]:
    """An emulator with the purpose, the peers' key and the faults; stopped at the end."""
    with start_emulator(directory) as emulator:
        emulator.control.seed({"msdynmkt_purposes": [{"msdynmkt_purposeid": purpose_id, **_PURPOSE}]})
        for table in (CONTACT.logical_name, CONSENT.logical_name):
            _add_key(emulator, table)
        emulator.control.faults(*_faults(people, seed))
        emulator.control.clear_requests()
        yield emulator


def access_of(emulator: RunningEmulator) -> CrmAccess:
    """How a contestant reaches it."""
    return CrmAccess(
        emulator.base_url, emulator.tenant_id, emulator.client_id, emulator.client_secret, str(emulator.ca_path)
    )


def _faults(people: Sequence[Person], seed: int) -> list[dict[str, Any]]:
    """Every request may meet a 429; a write's answer may be lost after it was kept; marked rows are refused."""
    always = {"times": None, "seed": seed}
    lost = {"kind": "cut", "method": "POST|PATCH", "after_commit": True, "probability": LOST_SHARE, **always}
    pushed_back = {"times": None, "seed": seed + 1, "retry_after": RETRY_AFTER_S}
    throttled = {"kind": "throttle", "probability": THROTTLED_SHARE, **pushed_back}
    return [lost, throttled, *filter(None, (_poison(address) for *_, address in people))]


def _poison(address: str) -> dict[str, Any] | None:
    if address.startswith(REFUSED_CONTACT):
        table, column = CONTACT.logical_name, "emailaddress1"
    elif address.startswith(REFUSED_CONSENT):
        table, column = CONSENT.logical_name, "msdynmkt_contactpointvalue"
    else:
        return None
    return {"kind": "poison", "table": table, "column": column, "value": address, "times": None}


def tally(emulator: RunningEmulator, people: Sequence[Person]) -> Tally:
    """Count what the emulator holds against what is wanted: a contact that may be mailed and its consent row."""
    contacts, consents = emulator.control.rows(CONTACT.entity_set), emulator.control.rows(CONSENT.entity_set)
    found = Counter(("contact", row["emailaddress1"]) for row in contacts)
    found.update(("consent", row["msdynmkt_contactpointvalue"]) for row in consents)
    right = {("contact", row["emailaddress1"]) for row in contacts if row.get("donotbulkemail") is False}
    right |= {("contact", row["emailaddress1"]) for row in contacts if row["emailaddress1"].startswith(REFUSED_CONSENT)}
    right |= {
        ("consent", row["msdynmkt_contactpointvalue"])
        for row in consents
        if row["msdynmkt_value"] == int(ConsentValue.OPTED_IN)
    }
    good = [key for *_, address in people for key in _good(address)]
    return Tally(
        wanted=len(good),
        landed=sum(key in right for key in good),
        doubled=sum(count - 1 for count in found.values()),
        unfinished=sum(key in found and key not in right for key in good),
    )


def _good(address: str) -> list[tuple[str, str]]:
    if address.startswith(REFUSED_CONTACT):
        return []
    if address.startswith(REFUSED_CONSENT):
        return [("contact", address)]
    return [("contact", address), ("consent", address)]


def _add_key(emulator: RunningEmulator, table: str) -> None:
    """A column of one's own and an alternate key on it, without which the peers' upserts cannot name a row."""
    token = _token(emulator)
    column = {"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": KEY, "MaxLength": 100}
    key = {"SchemaName": f"{KEY}s", "KeyAttributes": [KEY]}
    for part, body in (("Attributes", column), ("Keys", key)):
        url = f"{emulator.api_url}EntityDefinitions(LogicalName='{table}')/{part}"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        _opened(emulator, urllib.request.Request(url, json.dumps(body).encode(), headers))


def _token(emulator: RunningEmulator) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
        "scope": f"{emulator.base_url}/.default",
    }
    url = f"{emulator.authority}/oauth2/v2.0/token"
    content = _opened(emulator, urllib.request.Request(url, urllib.parse.urlencode(form).encode()))
    return str(json.loads(content)["access_token"])


def _opened(emulator: RunningEmulator, request: urllib.request.Request) -> bytes:
    context = ssl.create_default_context(cafile=str(emulator.ca_path))
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    with urllib.request.build_opener(*handlers).open(request, timeout=60) as response:
        content: bytes = response.read()
        return content

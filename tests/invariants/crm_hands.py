"""What people do in the CRM with their own hands: edit, deactivate, merge and delete rows, make contacts of their own.

Everything goes through the emulator's control, as another user than ours; the merge is the Web API's own action.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import requests

from pipelines.operations.reconciliation import Reconciliation, reconcile
from schemas.tables import ConsentValue
from tests.invariants.world import CONSENTS, REGISTRATIONS, World

OPTED_IN, OPTED_OUT = int(ConsentValue.OPTED_IN), int(ConsentValue.OPTED_OUT)
PREFERENCE_PAGE, INTERNAL, CENTRE, LIST_UNSUBSCRIBE = 534120001, 534120000, 534120004, 534120007
INACTIVE = {"statecode": 1, "statuscode": 2}


def set_crm_clock(world: World, at: datetime) -> None:
    """What the CRM dates from now on."""
    world.emulator.control.clock(set=at.isoformat())


def contact_of(world: World, address: str, given: str = "") -> dict[str, Any]:
    """The active contact with this main address (and first name)."""
    found = [
        row
        for row in world.rows("contacts")
        if str(row.get("emailaddress1")).lower() == address
        and row["statecode"] == 0
        and (not given or str(row.get("firstname")).lower() == given)
    ]
    assert len(found) == 1, f"{len(found)} contacts have the address"
    return found[0]


def contacts_of(world: World, address: str) -> list[dict[str, Any]]:
    """Every contact with this main address."""
    return [row for row in world.rows("contacts") if str(row.get("emailaddress1")).lower() == address]


def edit_contact(world: World, address: str, **values: Any) -> str:
    """Change columns of a contact; returns its id."""
    row_id = str(contact_of(world, address)["contactid"])
    world.emulator.control.edit("contacts", row_id, values)
    return row_id


def delete_contact(world: World, address: str) -> str:
    """Delete a contact; returns the id it had."""
    row_id = str(contact_of(world, address)["contactid"])
    world.emulator.control.remove("contacts", row_id)
    return row_id


def new_contact(world: World, **values: Any) -> str:
    """A contact that the CRM's own people make; returns its id."""
    (row_id,) = world.emulator.control.seed({"contacts": [values]}, as_user="human")["contacts"]
    return row_id


def consents_of(world: World, address: str, purpose: str = "marketing") -> dict[str, dict[str, Any]]:
    """The consent rows of an address by topic; '' is the purpose itself."""
    target = world.workspace.policy.crm.purposes[purpose]
    topics = {str(i): topic for topic, i in target.topics.items()}
    return {
        topics.get(str(row.get("_msdynmkt_topicid_value")), ""): row
        for row in world.rows(CONSENTS)
        if row["msdynmkt_contactpointvalue"].lower() == address
        and row["_msdynmkt_purposeid_value"] == str(target.purpose_id)
    }


def edit_consent(world: World, address: str, topic: str = "", **values: Any) -> None:
    """Change columns of a consent row of marketing."""
    row = consents_of(world, address)[topic]
    world.emulator.control.edit(CONSENTS, str(row["msdynmkt_contactpointconsent4id"]), values)


def delete_consent(world: World, address: str, topic: str = "") -> None:
    """Delete a consent row of marketing."""
    row = consents_of(world, address)[topic]
    world.emulator.control.remove(CONSENTS, str(row["msdynmkt_contactpointconsent4id"]))


def new_consent(world: World, address: str, *, value: int, source: int) -> str:
    """A consent row about marketing as a whole that a page of the CRM or its people make."""
    purpose = world.workspace.policy.crm.purposes["marketing"].purpose_id
    row_id = str(uuid4())
    row = {
        "msdynmkt_contactpointconsent4id": row_id,
        "msdynmkt_contactpointvalue": address,
        "msdynmkt_contactpointtype": 534120000,
        "msdynmkt_contactpointconsenttype": 534120000,
        "msdynmkt_value": value,
        "msdynmkt_source": source,
        "msdynmkt_logicalreason": 534119999,
        "msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({purpose})",
    }
    world.emulator.control.seed({CONSENTS: [row]}, as_user="human")
    return row_id


def is_opted_in(world: World, address: str) -> bool:
    """Whether any row opts the address in to marketing, or a contact with it that was not merged away may be mailed."""
    rows = consents_of(world, address).values()
    opted_in = any(row["msdynmkt_value"] == OPTED_IN for row in rows)
    return opted_in or any(
        row.get("donotbulkemail") is not True for row in contacts_of(world, address) if not row.get("merged")
    )


def registrations_of(world: World, contact_id: str) -> list[dict[str, Any]]:
    """The registrations bound to a contact."""
    return [row for row in world.rows(REGISTRATIONS) if row.get("_msevtmgt_contactid_value") == contact_id]


def merge_contacts(world: World, *, master: str, loser: str, **chosen: Any) -> None:
    """Merge one contact into another, as a user does it with the button, choosing some values."""
    emulator = world.emulator
    form = {
        "grant_type": "client_credentials",
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
        "scope": f"{emulator.base_url}/.default",
    }
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(emulator.ca_path)
        token = session.post(f"{emulator.authority}/oauth2/v2.0/token", data=form, timeout=30).json()
        kind = {"@odata.type": "Microsoft.Dynamics.CRM.contact"}
        body = {
            "Target": {**kind, "contactid": master},
            "Subordinate": {**kind, "contactid": loser},
            "UpdateContent": {**kind, **chosen},
            "PerformParentingChecks": False,
        }
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        answer = session.post(f"{emulator.api_url}Merge", json=body, headers=headers, timeout=30)
        assert answer.status_code == 204, answer.text


def reconciled(world: World) -> Reconciliation:
    """The CRM against the ledger now."""
    return reconcile(world.session(), world.crm)


def assert_settled(world: World) -> None:
    """One more run writes nothing, and every difference is explained (I14, I15)."""
    again = world.writes(world.run().since)
    assert not again, f"a second run writes: {[(entry['method'], entry['path']) for entry in again]}"
    assert reconciled(world).unexplained == [], reconciled(world).unexplained


def events_at(world: World, address: str) -> Sequence[Any]:
    """What the CRM told the ledger about an address: purpose, topic, value, actor."""
    statement = (
        "select e.purpose, e.topic, e.value, e.actor from intake.consent_event e join intake.contact_point c"
        " using (contact_point_id) where c.address_key = :key and e.source = 'dataverse' order by 1, 2, 3, 4"
    )
    return [tuple(row) for row in world.query(statement, key=address)]

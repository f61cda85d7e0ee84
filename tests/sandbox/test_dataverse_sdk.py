"""The vendor's own Python client, unmodified, against the emulator; and our client beside it, to the same rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient as VendorClient
from PowerPlatform.Dataverse.core.config import DataverseConfig
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from connectors.dataverse import ClientSecret, DataverseClient, DataverseSettings, TableName

CONTACTS = TableName("contacts", "contact", "contactid")
CONSENTS = TableName(
    "msdynmkt_contactpointconsent4s", "msdynmkt_contactpointconsent4", "msdynmkt_contactpointconsent4id"
)
PURPOSE = "10000000-0000-0000-0000-000000000003"
KEY = "externaluseridentifier"
STAMPS = ("createdon", "modifiedon", "versionnumber")
NOON = "2026-10-02T12:00:00+00:00"


class Credential:
    """What azure-identity would be: tokens of the emulator's authority, for the scope that is asked for."""

    def __init__(self, api: Any, session: Any) -> None:
        self.api, self.session = api, session

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        form = {"grant_type": "client_credentials", "scope": scopes[0]}
        client = {"client_id": self.api.emulator.client_id, "client_secret": self.api.emulator.client_secret}
        url = f"{self.api.emulator.authority}/oauth2/v2.0/token"
        answer = self.session.post(url, data={**form, **client}, timeout=30).json()
        return AccessToken(answer["access_token"], int(time.time()) + answer["expires_in"])


@pytest.fixture
def vendor(api, session_to, monkeypatch: pytest.MonkeyPatch) -> Iterator[VendorClient]:
    """The vendor's client over TLS; it trusts the emulator as `requests` is told to by the environment."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(api.emulator.ca_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    credential = Credential(api, session_to(api.emulator))
    with VendorClient(api.base.partition("/api/")[0], credential, DataverseConfig(http_retries=1)) as client:
        yield client


@pytest.fixture
def ours(api) -> Iterator[DataverseClient]:
    emulator = api.emulator
    settings = DataverseSettings(
        base_url=emulator.base_url,
        tenant=emulator.tenant_id,
        client_id=emulator.client_id,
        credential=ClientSecret(emulator.client_secret),
        authority=emulator.authority,
        ca_path=emulator.ca_path,
    )
    client = DataverseClient(settings)
    yield client
    client.close()


def named(api) -> list[str]:
    return sorted(row.get("firstname", "") for row in api.control.rows("contacts"))


def test_creates_one_row_and_many_and_takes_their_ids_from_the_answer(api, vendor):
    first = vendor.records.create("contact", {"firstname": "Aino", "gendercode": "Female"})
    others = vendor.records.create("contact", [{"firstname": name} for name in ("Bo", "Eeva")])
    assert api.row("contacts", first)["gendercode"] == 2
    assert [api.row("contacts", row_id)["firstname"] for row_id in others] == ["Bo", "Eeva"]


def test_updates_one_row_and_many_and_never_creates(api, vendor):
    ids = vendor.records.create("contact", [{"firstname": "Aino"}, {"firstname": "Bo"}])
    vendor.records.update("contact", ids[0], {"firstname": "Eeva"})
    vendor.records.update("contact", ids, {"jobtitle": "Dean"})
    assert [(row["firstname"], row["jobtitle"]) for row in api.control.rows("contacts")] == [
        ("Eeva", "Dean"),
        ("Bo", "Dean"),
    ]
    with pytest.raises(HttpError) as refused:
        vendor.records.update("contact", str(uuid4()), {"firstname": "Nobody"})
    assert refused.value.status_code == 404


def test_upserts_by_alternate_key_one_and_many(api, vendor):
    vendor.tables.create_alternate_key("contact", "crmi_Source", [KEY])
    vendor.records.upsert("contact", [_item("s-1", firstname="Aino")])
    vendor.records.upsert("contact", [_item("s-1", firstname="Eeva"), _item("s-2", firstname="O'Neil")])
    assert {row[KEY]: row["firstname"] for row in api.control.rows("contacts")} == {"s-1": "Eeva", "s-2": "O'Neil"}


def test_key_that_the_vendors_client_leaves_unencoded_is_cut_and_refused(api, vendor):
    vendor.tables.create_alternate_key("contact", "crmi_Source", [KEY])
    with pytest.raises(HttpError) as refused:
        vendor.records.upsert("contact", [_item("s#1", firstname="Aino")])
    assert refused.value.status_code == 400
    assert api.control.rows("contacts") == []


def test_gets_a_row_with_labels_and_what_it_points_at_and_none_for_no_row(api, vendor):
    row_id = vendor.records.create("contact", {"firstname": "Aino", "gendercode": 2})
    row = vendor.records.retrieve("contact", row_id, select=["gendercode"], expand=["createdby"])
    labelled = vendor.records.retrieve("contact", row_id, select=["gendercode"], include_annotations="*")
    assert row["createdby"]["fullname"].startswith("# Intake")
    assert labelled.data["gendercode"] == 2
    assert labelled.data["gendercode@OData.Community.Display.V1.FormattedValue"] == "Female"
    assert "gendercode@OData.Community.Display.V1.FormattedValue" not in row.data
    assert vendor.records.retrieve("contact", str(uuid4()), select=["gendercode"]) is None


def test_lists_every_row_once_over_pages_whatever_top_says(api, vendor):
    vendor.records.create("contact", [{"firstname": f"n{number}"} for number in range(7)])
    pages = list(vendor.records.list_pages("contact", select=["firstname"], orderby=["firstname"], page_size=3, top=2))
    assert [[row["firstname"] for row in page] for page in pages] == [["n0", "n1", "n2"], ["n3", "n4", "n5"], ["n6"]]
    found = vendor.records.list("contact", filter="firstname eq 'N3'", select=["firstname"], count=True)
    assert [row["firstname"] for row in found] == ["n3"]


def test_deletes_one_row_at_once_and_many_by_a_job_that_takes_its_time(api, vendor):
    api.control.limits(job_delay_s=60)
    api.control.clock(set=NOON, pinned=True)
    ids = vendor.records.create("contact", [{"firstname": name} for name in ("Aino", "Bo", "Eeva", "Kari")])
    vendor.records.delete("contact", ids[0])
    job = vendor.records.delete("contact", ids[1:3])
    states = []
    for _ in range(3):
        states.append((api.get(f"asyncoperations({job})").json()["statuscode"], len(named(api))))
        api.control.clock(advance=30)
    assert states == [(0, 3), (20, 3), (30, 1)]
    assert named(api) == ["Kari"]
    assert [row["successcount"] for row in api.control.rows("bulkdeleteoperations")] == [2]


def test_batch_keeps_order_and_change_sets_refer_to_their_rows(api, vendor):
    batch = vendor.batch.new()
    batch.records.create("contact", {"firstname": "Aino"})
    batch.records.create("contact", [{"firstname": "Bo"}, {"firstname": "Eeva"}])
    batch.records.update("contact", str(uuid4()), {"firstname": "Nobody"})
    with batch.changeset() as changes:
        made = changes.records.create("contact", {"firstname": "Kari"})
        changes.records.update("contact", made, {"lastname": "Example"})
    result = batch.execute(continue_on_error=True)
    assert [answer.status_code for answer in result.responses] == [204, 200, 404, 204, 204]
    assert named(api) == ["Aino", "Bo", "Eeva", "Kari"]
    assert api.row("contacts", result.responses[3].entity_id)["lastname"] == "Example"


def test_batch_upserts_reads_and_deletes_and_stops_where_it_is_not_told_to_go_on(api, vendor):
    vendor.tables.create_alternate_key("contact", "crmi_Source", [KEY])
    kept, gone = vendor.records.create("contact", [{"firstname": "Aino"}, {"firstname": "Bo"}])
    batch = vendor.batch.new()
    batch.records.upsert("contact", [_item("s-1", firstname="Eeva")])
    batch.records.upsert("contact", [_item("s-1", firstname="Kari"), _item("s-2", firstname="Lea")])
    batch.records.retrieve("contact", kept, select=["firstname"])
    batch.records.delete("contact", gone)
    result = batch.execute()
    assert [answer.status_code for answer in result.responses] == [204, 204, 200, 204]
    assert result.responses[2].data["firstname"] == "Aino"
    stopping = vendor.batch.new()
    stopping.records.update("contact", kept, {"jobtitle": "Dean"})
    stopping.records.update("contact", str(uuid4()), {"firstname": "Nobody"})
    stopping.records.update("contact", kept, {"firstname": "Never"})
    with pytest.raises(HttpError) as refused:
        stopping.execute()
    assert refused.value.status_code == 404
    assert named(api) == ["Aino", "Kari", "Lea"]
    assert api.row("contacts", kept)["jobtitle"] == "Dean"


def test_keys_are_made_listed_and_taken_away(api, vendor):
    made = vendor.tables.create_alternate_key("contact", "crmi_Source", [KEY])
    listed = vendor.tables.get_alternate_keys("contact")
    assert [(key.schema_name, key.key_attributes, key.status) for key in listed] == [("crmi_Source", [KEY], "Active")]
    vendor.tables.delete_alternate_key("contact", made.metadata_id)
    assert vendor.tables.get_alternate_keys("contact") == []


def test_columns_are_added_described_changed_and_taken_away(api, vendor):
    specs = {"crmi_Note": "string", "crmi_Score": "float", "crmi_Seen": "datetime", "crmi_Told": "bool"}
    vendor.tables.add_columns("contact", specs)
    vendor.tables.update_column("contact", "crmi_Note", {"max_length": 300})
    text = vendor.tables.list_columns("contact", select=["LogicalName"], filter="AttributeType eq 'String'")
    row_id = vendor.records.create("contact", {"crmi_Note": "x" * 300, "crmi_Score": 0.5, "crmi_Told": True})
    assert vendor.tables.get_column("contact", "crmi_note", typed=True)["MaxLength"] == 300
    assert "crmi_note" in {column["LogicalName"] for column in text}
    assert api.row("contacts", row_id)["crmi_score"] == 0.5
    vendor.tables.remove_columns("contact", ["crmi_Note", "crmi_Told"])
    assert vendor.tables.get_column("contact", "crmi_note") is None
    assert "crmi_note" not in api.row("contacts", row_id)


def test_table_is_made_used_and_taken_away(api, vendor):
    info = vendor.tables.create("crmi_Course", {"crmi_Places": "int"})
    row_id = vendor.records.create("crmi_Course", {"crmi_name": "Weaving", "crmi_places": 12})
    assert info.entity_set_name == "crmi_courses"
    assert api.row("crmi_courses", row_id)["crmi_places"] == 12
    vendor.tables.delete("crmi_Course")
    assert vendor.tables.get("crmi_Course") is None
    assert api.get("crmi_courses").status_code == 404


def test_sql_and_fetchxml_read_what_a_filter_reads(api, vendor):
    vendor.records.create("contact", [{"firstname": f"n{number}", "lastname": "O'Neil"} for number in range(5)])
    sql = "SELECT TOP 3 firstname FROM contact WHERE lastname = 'O''Neil' AND firstname <> 'n1' ORDER BY firstname DESC"
    fetch = (
        "<fetch count='2'><entity name='contact'><attribute name='firstname'/><order attribute='firstname'/>"
        "<filter type='or'><condition attribute='firstname' operator='like' value='%1'/>"
        "<condition attribute='firstname' operator='in'><value>n0</value><value>N4</value></condition></filter>"
        "</entity></fetch>"
    )
    pages = [[row["firstname"] for row in page] for page in vendor.query.fetchxml(fetch).execute_pages()]
    assert [row["firstname"] for row in vendor.query.sql(sql)] == ["n4", "n3", "n2"]
    assert pages == [["n0", "n1"], ["n4"]]


def test_environment_may_refuse_sql(api, vendor):
    api.control.limits(sql_reads=False)
    with pytest.raises(HttpError):
        vendor.query.sql("SELECT firstname FROM contact")


def test_both_clients_leave_the_same_rows_for_the_same_work(api, vendor, ours):
    theirs = _state_after(api, lambda: _vendors_work(vendor))
    assert theirs == _state_after(api, lambda: _our_work(ours))
    assert len(theirs["contacts"]) == 5
    assert len(theirs["msdynmkt_contactpointconsent4s"]) == 1


def _item(key: str, **record: Any) -> UpsertItem:
    return UpsertItem(alternate_key={KEY: key}, record=record)


def _ids() -> list[str]:
    return [str(UUID(int=number + 1)) for number in range(8)]


def _consent(address: str) -> dict[str, Any]:
    return {
        "msdynmkt_contactpointconsent4id": str(UUID(int=99)),
        "msdynmkt_contactpointvalue": address,
        "msdynmkt_contactpointtype": 534120000,
        "msdynmkt_contactpointconsenttype": 534120000,
        "msdynmkt_value": 534120002,
        "msdynmkt_logicalreason": 534119999,
        "msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({PURPOSE})",
    }


def _state_after(api, work: Callable[[], None]) -> dict[str, list[dict[str, Any]]]:
    """Every row of every set after some work in a fresh environment, without its times and version."""
    api.control.reset()
    api.control.seed({"msdynmkt_purposes": [{"msdynmkt_purposeid": PURPOSE, "msdynmkt_name": "Commercial"}]})
    key = {"SchemaName": "crmi_Source", "KeyAttributes": [KEY]}
    assert api.send("POST", "EntityDefinitions(LogicalName='contact')/Keys", key).status_code == 204
    work()
    sets = [each["name"] for each in api.get("").json()["value"]]
    return {name: sorted(map(_unstamped, api.control.rows(name)), key=repr) for name in sets}


def _unstamped(row: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted((name, value) for name, value in row.items() if name not in STAMPS))


def _vendors_work(vendor: VendorClient) -> None:
    ids = _ids()
    vendor.records.create("contact", {"contactid": ids[0], "firstname": "Åsa", "donotemail": False})
    vendor.records.create("contact", [{"contactid": row_id, "firstname": "Bo"} for row_id in ids[1:4]])
    vendor.records.update("contact", ids[1], {"firstname": "O'Neil", "jobtitle": None})
    vendor.records.update("contact", ids[2:4], [{"lastname": "First"}, {"lastname": "Second"}])
    vendor.records.upsert("contact", [_item("s-4", contactid=ids[4], firstname="Aino")])
    vendor.records.upsert("contact", [_item("s-4", firstname="Eeva"), _item("s-5", contactid=ids[5], donotemail=True)])
    vendor.records.create("msdynmkt_contactpointconsent4", _consent("aino@example.org"))
    vendor.records.delete("contact", ids[3])
    with (batch := vendor.batch.new()).changeset() as changes:
        changes.records.create("contact", {"contactid": ids[6], "firstname": "Kari"})
        changes.records.delete("contact", ids[2])
    assert not batch.execute().failed


def _our_work(ours: DataverseClient) -> None:
    ids = _ids()
    acknowledged = [
        *ours.upsert_many(CONTACTS, [{"contactid": ids[0], "firstname": "Åsa", "donotemail": False}]),
        *ours.upsert_many(CONTACTS, [{"contactid": row_id, "firstname": "Bo"} for row_id in ids[1:4]]),
        *ours.update_existing(CONTACTS, [{"contactid": ids[1], "firstname": "O'Neil", "jobtitle": None}]),
        *ours.update_existing(CONTACTS, [{"contactid": ids[2], "lastname": "First"}]),
        *ours.update_existing(CONTACTS, [{"contactid": ids[3], "lastname": "Second"}]),
        *ours.upsert_many(CONTACTS, [{"contactid": ids[4], KEY: "s-4", "firstname": "Aino"}]),
        *ours.upsert_many(CONTACTS, [{"contactid": ids[4], "firstname": "Eeva"}]),
        *ours.upsert_many(CONTACTS, [{"contactid": ids[5], KEY: "s-5", "donotemail": True}]),
        *ours.upsert_many(CONSENTS, [_consent("aino@example.org")]),
        *ours.upsert_many(CONTACTS, [{"contactid": ids[6], "firstname": "Kari"}]),
        *ours.delete_many(CONTACTS, ids[2:4]),
    ]
    assert {result.outcome for result in acknowledged} == {"acknowledged"}

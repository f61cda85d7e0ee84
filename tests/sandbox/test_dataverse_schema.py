"""Changes of the schema through the Web API: tables, columns, choices, change tracking, and when they are seen."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from sandbox.dataverse.options import EmulatorOptions
from sandbox.dataverse.server import start_emulator

CONTACT = "EntityDefinitions(LogicalName='contact')"
NOON = "2026-10-02T12:00:00+00:00"


def labelled(text: str) -> dict:
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]}


def column(name: str, kind: str = "String", **more) -> dict:
    return {"@odata.type": f"Microsoft.Dynamics.CRM.{kind}AttributeMetadata", "SchemaName": name, **more}


def table(name: str = "crmi_Course", **more) -> dict:
    primary = column("crmi_Name", IsPrimaryName=True, MaxLength=50)
    return {"SchemaName": name, "Attributes": [primary, column("crmi_Places", "Integer")], **more}


def test_table_made_by_its_definition_is_one_like_the_others(api):
    assert api.send("POST", "EntityDefinitions", table(ChangeTrackingEnabled=True)).status_code == 204
    assert api.bulk("CreateMultiple", "crmi_courses", [{"crmi_name": "Weaving"}], "crmi_course").status_code == 200
    assert api.get("crmi_courses", Prefer="odata.track-changes").status_code == 200
    found = api.get("EntityDefinitions(LogicalName='crmi_course')").json()
    assert (found["SchemaName"], found["PrimaryNameAttribute"]) == ("crmi_Course", "crmi_name")
    names = [each["name"] for each in api.get("privileges?$filter=contains(name,'crmi_Course')").json()["value"]]
    assert "prvReadcrmi_Course" in names
    assert api.send("POST", "EntityDefinitions", table()).status_code == 400


@pytest.mark.parametrize("body", [table("Course"), {**table(), "Attributes": [column("crmi_Name")]}])
def test_table_needs_a_prefix_and_a_primary_name(api, body):
    assert api.send("POST", "EntityDefinitions", body).status_code == 400


def test_made_tables_with_their_rows_and_columns_outlive_a_restart_and_deleted_ones_do_not(tmp_path: Path, connect_to):
    with start_emulator(tmp_path, tls=False) as running:
        api = connect_to(running)
        for name in ("crmi_Course", "crmi_Gone"):
            assert api.send("POST", "EntityDefinitions", table(name)).status_code == 204
        course = "EntityDefinitions(LogicalName='crmi_course')"
        assert api.send("POST", f"{course}/Attributes", column("crmi_Room")).status_code == 204
        assert api.send("DELETE", f"{course}/Attributes(LogicalName='crmi_places')").status_code == 204
        api.send("POST", "crmi_courses", {"crmi_name": "Weaving", "crmi_room": "A1"})
        api.send("POST", "crmi_gones", {"crmi_name": "Lost"})
        assert api.send("DELETE", "EntityDefinitions(LogicalName='crmi_gone')").status_code == 204
        running.kill()
    for _ in range(2):
        with start_emulator(tmp_path, tls=False) as again:
            (row,) = connect_to(again).get("crmi_courses").json()["value"]
            assert (row["crmi_name"], row["crmi_room"], "crmi_places" in row) == ("Weaving", "A1", False)
            assert connect_to(again).get("crmi_gones").status_code == 404


def test_what_belongs_to_the_product_or_to_a_key_cannot_be_deleted(api):
    api.send("POST", f"{CONTACT}/Attributes", column("crmi_Source"))
    api.send("POST", f"{CONTACT}/Keys", {"SchemaName": "crmi_Key", "KeyAttributes": ["crmi_source"]})
    assert api.send("DELETE", CONTACT).status_code == 405
    assert api.send("DELETE", f"{CONTACT}/Attributes(LogicalName='firstname')").status_code == 405
    assert api.send("DELETE", f"{CONTACT}/Attributes(LogicalName='crmi_source')").status_code == 400


def test_new_column_is_seen_after_a_while_or_by_a_strong_read(api):
    api.control.limits(metadata_delay_s=20)
    api.control.clock(set=NOON, pinned=True)
    api.send("POST", f"{CONTACT}/Attributes", column("crmi_Early"))
    api.send("POST", "EntityDefinitions", table())
    statuses = [api.get("contacts?$select=crmi_early").status_code, api.get("crmi_courses").status_code]
    api.control.clock(advance=21)
    statuses += [api.get("contacts?$select=crmi_early").status_code, api.get("crmi_courses").status_code]
    assert statuses == [400, 404, 200, 200]
    api.send("POST", f"{CONTACT}/Attributes", column("crmi_Late"))
    one = f"{CONTACT}/Attributes(LogicalName='crmi_late')"
    assert [api.get(one).status_code, api.get(one, Consistency="Strong").status_code] == [404, 200]


def test_choice_takes_the_options_of_a_global_set(api):
    options = [{"Value": 534120000, "Label": labelled("Day")}, {"Value": 534120001, "Label": labelled("Night")}]
    made = api.send("POST", "GlobalOptionSetDefinitions", {"Name": "crmi_shift", "Options": options})
    assert made.status_code == 204
    named = api.get("GlobalOptionSetDefinitions(Name='crmi_shift')").json()
    by_id = api.get(f"GlobalOptionSetDefinitions({named['MetadataId']})").json()
    assert [option["Value"] for option in named["Options"]] == [534120000, 534120001]
    assert (named, named["IsGlobal"]) == (by_id, True)
    bound = {"GlobalOptionSet@odata.bind": f"/GlobalOptionSetDefinitions({named['MetadataId']})"}
    body = column("crmi_Shift", "Picklist", **bound)
    assert api.send("POST", f"{CONTACT}/Attributes", body).status_code == 204
    assert api.send("POST", "contacts", {"crmi_shift": 534120001}).status_code == 204
    assert api.send("POST", "contacts", {"crmi_shift": 1}).json()["error"]["code"] == "0x8004431a"
    assert api.send("POST", "GlobalOptionSetDefinitions", {"Name": "crmi_shift", "Options": options}).status_code == 400
    assert api.send("DELETE", "GlobalOptionSetDefinitions(Name='crmi_shift')").status_code == 204
    assert api.get("GlobalOptionSetDefinitions").json()["value"] == []


def test_changed_metadata_is_told_for_the_table_and_columns_asked_for(api):
    equals = {"PropertyName": "LogicalName", "ConditionOperator": "Equals"}
    query = {
        "Properties": {"PropertyNames": ["LogicalName", "Attributes"]},
        "Criteria": {"Conditions": [{**equals, "Value": {"Type": "System.String", "Value": "contact"}}]},
        "AttributeQuery": {
            "Properties": {"PropertyNames": ["LogicalName", "MaxLength"]},
            "Criteria": {"Conditions": [{**equals, "Value": {"Type": "System.String", "Value": "jobtitle"}}]},
        },
    }
    url = f"RetrieveMetadataChanges(Query=@p1)?@p1={quote(orjson.dumps(query))}"
    (found,) = api.get(url).json()["EntityMetadata"]
    assert [(each["LogicalName"], each["MaxLength"]) for each in found["Attributes"]] == [("jobtitle", 100)]


@pytest.fixture(scope="module")
def peculiar(tmp_path_factory, connect_to):
    """An environment in which four tables are not as usual."""
    options = EmulatorOptions(
        elastic_tables=("msevtmgt_checkin",),
        untracked_tables=("contact",),
        unversioned_tables=("contact",),
        single_row_tables=("msdynmkt_contactpointconsent4",),
        strict_headers=False,
    )
    with start_emulator(tmp_path_factory.mktemp("peculiar"), tls=False, options=options) as running:
        yield connect_to(running)


def test_definitions_tell_what_a_table_cannot(peculiar):
    select = "$select=ChangeTrackingEnabled,IsOptimisticConcurrencyEnabled,TableType"
    found = peculiar.get(f"{CONTACT}?{select}").json()
    elastic = peculiar.get(f"EntityDefinitions(LogicalName='msevtmgt_checkin')?{select}").json()
    assert (found["ChangeTrackingEnabled"], found["IsOptimisticConcurrencyEnabled"]) == (False, False)
    assert elastic["TableType"] == "Elastic"
    query = "primaryobjecttypecode eq 'msdynmkt_contactpointconsent4' and sdkmessageid/name eq 'UpsertMultiple'"
    assert peculiar.get(f"sdkmessagefilters?$filter={query}").json()["value"] == []


def test_unknown_mscrm_header_is_ignored_where_headers_are_not_strict(peculiar):
    headers = {"MSCRM.BypassSynchronousLogic": "true"}
    assert peculiar.send("POST", "contacts", {"firstname": "Aino"}, **headers).status_code == 204


def test_etag_on_a_table_without_optimistic_concurrency_is_refused(peculiar):
    row_id = peculiar.contact()
    etag = peculiar.get(f"contacts({row_id})").headers["ETag"]
    answer = peculiar.send("PATCH", f"contacts({row_id})", {"firstname": "Bo"}, If_Match=etag)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "0x8006088d")


def test_change_tracking_can_be_switched_on_once_and_not_off_again(peculiar):
    tracked = {"Prefer": "odata.track-changes"}
    before = peculiar.get("contacts", **tracked).status_code
    assert peculiar.send("PUT", CONTACT, {"ChangeTrackingEnabled": True}).status_code == 204
    after = peculiar.get("contacts", **tracked).status_code
    assert (before, after) == (400, 200)
    assert peculiar.send("PUT", CONTACT, {"ChangeTrackingEnabled": False}).status_code == 400


def test_elastic_table_keeps_the_good_rows_and_tells_how_each_fared(peculiar):
    rows = [{"msevtmgt_name": "a"}, {"msevtmgt_name": "x" * 101}, {"msevtmgt_name": "c"}]
    targets = [{"@odata.type": "Microsoft.Dynamics.CRM.msevtmgt_checkin", **row} for row in rows]
    url = "msevtmgt_checkins/Microsoft.Dynamics.CRM.CreateMultiple"
    answer = peculiar.send("POST", url, {"Targets": targets}, Prefer="odata.include-annotations=*")
    details = answer.json()["error"]["@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails"]
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "0x80044331")
    assert [(each["RequestIndex"], each["StatusCode"]) for each in orjson.loads(details)] == [
        (0, 200),
        (1, 400),
        (2, 200),
    ]
    assert sorted(row["msevtmgt_name"] for row in peculiar.control.rows("msevtmgt_checkins")) == ["a", "c"]
    plain = peculiar.send("POST", url, {"Targets": targets}).json()["error"]
    assert set(plain) == {"code", "message"}


def test_elastic_upsert_replaces_the_whole_row_and_rows_are_deleted_in_bulk(peculiar):
    row_id = "00000000-0000-0000-0000-000000000077"
    first = {"msevtmgt_checkinid": row_id, "msevtmgt_name": "a", "msevtmgt_checkintype": 100000001}
    for row in (first, {"msevtmgt_checkinid": row_id, "msevtmgt_name": "b"}):
        answer = peculiar.bulk("UpsertMultiple", "msevtmgt_checkins", [row], "msevtmgt_checkin")
        assert answer.status_code == 204
    found = peculiar.row("msevtmgt_checkins", row_id)
    assert (found["msevtmgt_name"], "msevtmgt_checkintype" in found) == ("b", False)
    gone = [{"msevtmgt_checkinid": row_id}]
    assert peculiar.bulk("DeleteMultiple", "msevtmgt_checkins", gone, "msevtmgt_checkin").status_code == 204
    assert peculiar.get(f"msevtmgt_checkins({row_id})").status_code == 404
    key = {"SchemaName": "crmi_Key", "KeyAttributes": ["msevtmgt_name"]}
    url = "EntityDefinitions(LogicalName='msevtmgt_checkin')/Keys"
    assert peculiar.send("POST", url, key).status_code == 400

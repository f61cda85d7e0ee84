"""What the emulator tells about its tables, and the unbound actions."""

from __future__ import annotations

from uuid import uuid4

import pytest

CONTACT = "EntityDefinitions(LogicalName='contact')"


def values(response) -> list[dict]:
    assert response.status_code == 200, response.text
    return response.json()["value"]


def test_definition_by_name_and_by_id_is_the_same(api):
    by_name = api.get(f"{CONTACT}?$select=EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled").json()
    assert (by_name["EntitySetName"], by_name["PrimaryIdAttribute"]) == ("contacts", "contactid")
    by_id = api.get(f"EntityDefinitions({by_name['MetadataId']})?$select=LogicalName").json()
    assert by_id["LogicalName"] == "contact"


def test_definitions_are_filtered_by_form_encoded_text(api):
    path = "EntityDefinitions?%24select=LogicalName%2CEntitySetName&%24filter=LogicalName+eq+%27contact%27"
    assert [row["EntitySetName"] for row in values(api.get(path))] == ["contacts"]


def test_unknown_table_is_404(api):
    assert api.get("EntityDefinitions(LogicalName='nothing')").status_code == 404


def test_attributes_tell_lengths_and_what_may_be_written(api):
    columns = {row["LogicalName"]: row for row in values(api.get(f"{CONTACT}/Attributes"))}
    assert columns["emailaddress1"]["MaxLength"] == 100
    assert columns["crmi_preferencelink"]["MaxLength"] == 500
    assert columns["crmi_preferencelink"]["SchemaName"] == "crmi_PreferenceLink"
    assert columns["merged"]["IsValidForUpdate"] is False
    assert columns["birthdate"]["Format"] == "DateOnly"
    assert columns["parentcustomerid"]["Targets"] == ["account", "contact"]


def test_one_attribute_is_found_by_name_and_a_missing_one_is_404(api):
    assert api.get(f"{CONTACT}/Attributes(LogicalName='lastname')").json()["MaxLength"] == 50
    assert api.get(f"{CONTACT}/Attributes(LogicalName='nothing')").status_code == 404


def test_option_sets_come_by_cast_and_expansion(api):
    path = (
        "EntityDefinitions(LogicalName='msdynmkt_contactpointconsent4')/Attributes/"
        "Microsoft.Dynamics.CRM.PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet($select=Options)"
    )
    found = {row["LogicalName"]: row["OptionSet"]["Options"] for row in values(api.get(path))}
    labels = {option["Value"]: option["Label"]["UserLocalizedLabel"]["Label"] for option in found["msdynmkt_value"]}
    assert labels == {534120000: "Not Set", 534120001: "Opted In", 534120002: "Opted Out"}
    assert "statuscode" not in found


def test_status_reasons_name_their_state(api):
    path = f"{CONTACT}/Attributes/Microsoft.Dynamics.CRM.StatusAttributeMetadata?$expand=OptionSet"
    options = values(api.get(path))[0]["OptionSet"]["Options"]
    assert [(option["Value"], option["State"]) for option in options] == [(1, 0), (2, 1)]


def test_navigation_names_are_told_as_they_must_be_written(api):
    path = (
        "EntityDefinitions(LogicalName='msevtmgt_eventregistration')/ManyToOneRelationships"
        "?$select=ReferencingAttribute,ReferencingEntityNavigationPropertyName,ReferencedEntity"
    )
    found = {row["ReferencingEntityNavigationPropertyName"]: row["ReferencedEntity"] for row in values(api.get(path))}
    assert found["msevtmgt_ContactId"] == "contact"
    assert found["msevtmgt_EventId"] == "msevtmgt_event"


def test_message_filters_tell_which_bulk_actions_exist(api):
    path = (
        "sdkmessagefilters?$select=sdkmessagefilterid&$filter=sdkmessageid/name eq @message and "
        "primaryobjecttypecode eq @table&@message='{}'&@table='{}'"
    )
    assert len(values(api.get(path.format("UpsertMultiple", "contact")))) == 1
    assert len(values(api.get(path.format("CreateMultiple", "msdynmkt_contactpointconsent4")))) == 1
    assert values(api.get(path.format("CreateMultiple", "systemuser"))) == []


def merge(api, target: str, subordinate: str, content: dict | None = None):
    kind = {"@odata.type": "Microsoft.Dynamics.CRM.contact"}
    body = {
        "Target": {"contactid": target, **kind},
        "Subordinate": {"contactid": subordinate, **kind},
        "UpdateContent": {**(content or {}), **kind},
        "PerformParentingChecks": False,
    }
    return api.send("POST", "Merge", body)


def test_merge_deactivates_the_loser_and_moves_its_children(api):
    winner, loser = api.contact(), api.contact()
    api.control.seed({"incidents": [{"title": "Case", "customerid_contact@odata.bind": f"/contacts({loser})"}]})
    assert merge(api, winner, loser, {"jobtitle": "Dean"}).status_code == 204
    row = api.get(f"contacts({loser})").json()
    assert (row["statecode"], row["statuscode"], row["merged"], row["_masterid_value"]) == (1, 2, True, winner)
    assert api.row("contacts", winner)["jobtitle"] == "Dean"
    assert api.control.rows("incidents")[0]["_customerid_value"] == winner


def test_merged_row_keeps_its_key_so_that_the_key_leads_to_it(api):
    key = {"SchemaName": "crmi_Source", "KeyAttributes": ["externaluseridentifier"]}
    assert api.send("POST", "EntityDefinitions(LogicalName='contact')/Keys", key).status_code == 204
    winner, loser = api.contact(), api.contact(externaluseridentifier="s-1")
    assert merge(api, winner, loser).status_code == 204
    assert api.get("contacts(externaluseridentifier='s-1')").json()["contactid"] == loser
    assert api.send("PATCH", f"contacts({winner})", {"externaluseridentifier": "s-1"}).status_code == 412


def test_merge_with_itself_or_with_nothing_is_refused(api):
    row_id = api.contact()
    assert merge(api, row_id, row_id).status_code == 400
    assert merge(api, row_id, str(uuid4())).status_code == 404


def test_list_members_are_added_once(api):
    contact_id = api.contact()
    list_id = api.control.seed({"lists": [{"listname": "News", "createdfromcode": 2}]})["lists"][0]
    body = {
        "List": {"listid": list_id, "@odata.type": "Microsoft.Dynamics.CRM.list"},
        "Members": [{"contactid": contact_id, "@odata.type": "Microsoft.Dynamics.CRM.contact"}],
    }
    for _ in range(2):
        assert api.send("POST", "AddListMembersList", body).status_code == 204
    assert [row["_entityid_value"] for row in api.control.rows("listmembers")] == [contact_id]
    assert api.row("lists", list_id)["membercount"] == 1


@pytest.mark.parametrize("kept", [{"createdfromcode": 2, "type": True}, {"createdfromcode": 4}])
def test_a_dynamic_list_and_one_of_another_kind_take_no_contact(api, kept):
    list_id = api.control.seed({"lists": [{"listname": "News", **kept}]})["lists"][0]
    body = {
        "List": {"listid": list_id, "@odata.type": "Microsoft.Dynamics.CRM.list"},
        "Members": [{"contactid": api.contact(), "@odata.type": "Microsoft.Dynamics.CRM.contact"}],
    }
    assert api.send("POST", "AddListMembersList", body).status_code == 400
    assert api.control.rows("listmembers") == []


def test_change_history_is_deleted_once(api):
    row_id = api.contact()
    api.send("PATCH", f"contacts({row_id})", {"jobtitle": "Dean"})
    body = {"Target": {"contactid": row_id, "@odata.type": "Microsoft.Dynamics.CRM.contact"}}
    counts = [api.send("POST", "DeleteRecordChangeHistory", body).json()["DeletedEntriesCount"] for _ in range(2)]
    assert counts == [2, 0]


def test_bulk_delete_deletes_what_its_query_names(api):
    gone, kept = api.contact(), api.contact()
    condition = {"AttributeName": "contactid", "Operator": "In", "Values": [{"Value": gone, "Type": "System.Guid"}]}
    query = {"EntityName": "contact", "Criteria": {"FilterOperator": "And", "Conditions": [condition]}}
    response = api.send("POST", "BulkDelete", {"JobName": "clean", "QuerySet": [query]})
    job = api.get(f"asyncoperations({response.json()['JobId']})").json()
    assert job["statuscode"] == 30
    assert [row["contactid"] for row in api.control.rows("contacts")] == [kept]


@pytest.mark.parametrize("path", ["Merge", "Nothing.Here", "contacts/Microsoft.Dynamics.CRM.CreateMultiple"])
def test_wrong_verb_on_an_action_is_404(api, path):
    assert api.get(path).status_code == 404

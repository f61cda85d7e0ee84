"""`$expand`: the row behind a lookup inside the row that has it, and keys and option sets inside definitions."""

from __future__ import annotations

import pytest


def id_in(response) -> str:
    return response.headers["OData-EntityId"].rpartition("(")[2][:-1]


@pytest.fixture
def topic(api) -> str:
    purpose = id_in(api.send("POST", "msdynmkt_purposes", {"msdynmkt_name": "Commercial"}))
    bound = {"msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({purpose})"}
    return id_in(api.send("POST", "msdynmkt_topics", {"msdynmkt_name": "Newsletter", **bound}))


def test_row_behind_a_lookup_comes_with_the_columns_asked_for(api, topic):
    query = (
        "$select=msdynmkt_name&$expand=msdynmkt_purposeId($select=msdynmkt_name;$expand=createdby($select=fullname))"
    )
    (found,) = api.get(f"msdynmkt_topics?{query}").json()["value"]
    assert found["msdynmkt_purposeId"]["msdynmkt_name"] == "Commercial"
    assert found["msdynmkt_purposeId"]["createdby"]["fullname"].startswith("# Intake")
    assert api.get(f"msdynmkt_topics({topic})?{query}").json()["msdynmkt_purposeId"] == found["msdynmkt_purposeId"]


def test_empty_lookup_is_null_and_one_over_several_tables_is_only_what_it_points_at(api):
    other = api.contact(firstname="Bo")
    row_id = api.contact(**{"parentcustomerid_contact@odata.bind": f"/contacts({other})"})
    expand = "$select=firstname&$expand=parentcustomerid_contact($select=firstname),parentcustomerid_account,masterid"
    found = api.get(f"contacts({row_id})?{expand}").json()
    assert found["parentcustomerid_contact"]["firstname"] == "Bo"
    assert (found["parentcustomerid_account"], found["masterid"]) == (None, None)


@pytest.mark.parametrize("expand", ["msdynmkt_purposeid", "contact_customer_accounts", "createdby($filter=x eq 1)"])
def test_what_cannot_be_expanded_is_refused(api, topic, expand):
    assert api.get(f"msdynmkt_topics?$expand={expand}").status_code == 400


def test_unchanged_row_is_sent_again_where_it_is_expanded_or_annotated(api, topic):
    etag = api.get(f"msdynmkt_topics({topic})").headers["ETag"]
    url, annotated = f"msdynmkt_topics({topic})", 'odata.include-annotations="*"'
    statuses = [
        api.get(url, If_None_Match=etag).status_code,
        api.get(f"{url}?$expand=createdby", If_None_Match=etag).status_code,
        api.get(url, If_None_Match=etag, Prefer=annotated).status_code,
    ]
    assert statuses == [304, 200, 200]


def test_definitions_come_with_their_keys_and_columns(api):
    key = {"SchemaName": "crmi_Source", "KeyAttributes": ["externaluseridentifier"]}
    api.send("POST", "EntityDefinitions(LogicalName='contact')/Keys", key)
    query = (
        "$select=LogicalName&$expand=Keys($select=KeyAttributes,EntityKeyIndexStatus),Attributes($select=LogicalName)"
    )
    found = api.get(f"EntityDefinitions(LogicalName='contact')?{query}").json()
    assert [each["KeyAttributes"] for each in found["Keys"]] == [["externaluseridentifier"]]
    assert found["Keys"][0]["EntityKeyIndexStatus"] == "Active"
    assert "firstname" in {column["LogicalName"] for column in found["Attributes"]}
    listed = api.get("EntityDefinitions?$select=LogicalName&$expand=Keys&$filter=LogicalName eq 'contact'").json()[
        "value"
    ]
    assert len(listed[0]["Keys"]) == 1
    assert api.get("EntityDefinitions?$expand=Nothing").status_code == 400

"""Alternate keys by the environment's collation, and columns added to a living environment."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from sandbox.dataverse.options import EmulatorOptions
from sandbox.dataverse.server import start_emulator

KEYS = "EntityDefinitions(LogicalName='contact')/Keys"
LABEL = {"LocalizedLabels": [{"Label": "Source key", "LanguageCode": 1033}]}


def define_key(api, *columns: str, name: str = "crmi_SourceKey") -> None:
    body = {"SchemaName": name, "KeyAttributes": list(columns), "DisplayName": LABEL}
    response = api.send("POST", KEYS, body)
    assert response.status_code == 204, response.text


def status(api) -> str:
    return api.get(f"{KEYS}?$select=SchemaName,EntityKeyIndexStatus").json()["value"][0]["EntityKeyIndexStatus"]


def by_key(value: str) -> str:
    return "contacts(externaluseridentifier='{}')".format(quote(value.replace("'", "''"), safe="'"))


@pytest.fixture
def keyed(api):
    define_key(api, "externaluseridentifier")
    assert status(api) == "Active"
    return api


def test_upsert_by_key_creates_then_updates_and_echoes_the_key(keyed):
    for name in ("Aino", "Eino"):
        response = keyed.send("PATCH", by_key("s-1"), {"firstname": name})
        assert response.status_code == 204
        assert response.headers["OData-EntityId"].endswith("contacts(externaluseridentifier='s-1')")
    (row,) = keyed.control.rows("contacts")
    assert (row["firstname"], row["externaluseridentifier"]) == ("Eino", "s-1")


def test_key_in_the_body_wins_on_create_and_is_dropped_on_update(keyed):
    keyed.send("PATCH", by_key("s-1"), {"externaluseridentifier": "s-2"})
    assert keyed.control.rows("contacts")[0]["externaluseridentifier"] == "s-2"
    keyed.send("PATCH", by_key("s-2"), {"externaluseridentifier": "s-3", "firstname": "Aino"})
    row = keyed.control.rows("contacts")[0]
    assert (row["externaluseridentifier"], row["firstname"]) == ("s-2", "Aino")


def test_missing_row_by_key_is_404_with_its_own_code(keyed):
    for response in (keyed.get(by_key("s-1")), keyed.send("PATCH", by_key("s-1"), {}, If_Match="*")):
        assert (response.status_code, response.json()["error"]["code"]) == (404, "0x80060891")


def test_second_row_with_the_same_key_is_412_without_the_value_in_its_message(keyed):
    keyed.contact(externaluseridentifier="s-1")
    body = {"externaluseridentifier": "S-1"}
    plain = keyed.send("POST", "contacts", body)
    assert (plain.status_code, plain.json()["error"]["code"]) == (412, "0x80060892")
    assert "DuplicateAttributes" not in plain.text
    annotated = keyed.send("POST", "contacts", body, Prefer='odata.include-annotations="*"').json()["error"]
    found = annotated["@Microsoft.PowerApps.CDS.ErrorDetails.DuplicateAttributes"]
    assert "<externaluseridentifier>S-1</externaluseridentifier>" in found


def test_row_with_a_null_key_is_outside_it_and_an_inactive_one_is_not(keyed):
    keyed.contact()
    keyed.contact()
    keyed.contact(externaluseridentifier="s-1", statecode=1)
    assert keyed.send("POST", "contacts", {"externaluseridentifier": "s-1"}).status_code == 412


def test_accents_make_no_difference_to_a_key_in_an_english_environment(keyed):
    keyed.contact(externaluseridentifier="zoë")
    assert keyed.send("POST", "contacts", {"externaluseridentifier": "ZOE"}).status_code == 412


@pytest.mark.parametrize(("kept", "like_it"), [("s-1", "S-1  "), ("zoë", "ZOË "), ("straße", "STRASSE"), ("æ", "AE")])
def test_trailing_blanks_and_letters_that_stand_for_two_make_no_difference_to_a_key(keyed, kept, like_it):
    keyed.contact(externaluseridentifier=kept)
    assert keyed.send("POST", "contacts", {"externaluseridentifier": like_it}).status_code == 412


def test_row_that_lacks_one_part_of_a_key_is_outside_it_whatever_the_other_is(api):
    define_key(api, "emailaddress1", "gendercode", name="crmi_Pair")
    for _ in range(2):
        api.contact(emailaddress1="aino@example.org")
    api.contact(emailaddress1="aino@example.org", gendercode=2)
    pair = {"emailaddress1": "Aino@example.org", "gendercode": 2}
    assert api.send("POST", "contacts", pair).status_code == 412


def test_accents_make_a_difference_to_a_key_in_a_finnish_environment(finnish_api):
    define_key(finnish_api, "externaluseridentifier")
    finnish_api.contact(externaluseridentifier="zoë")
    assert finnish_api.send("POST", "contacts", {"externaluseridentifier": "ZOE"}).status_code == 204
    assert finnish_api.send("POST", "contacts", {"externaluseridentifier": "ZOË"}).status_code == 412


@pytest.mark.parametrize("value", ["a+b", "a/b", "a%b", "a&b"])
def test_restricted_characters_cannot_be_addressed_by_key(keyed, value):
    assert keyed.send("PATCH", by_key(value), {"firstname": "Aino"}).status_code in (400, 404)
    assert keyed.control.rows("contacts") == []


def test_upsert_multiple_by_key_finds_the_row_and_refuses_the_key_in_the_body_of_a_new_one(keyed):
    known = keyed.contact(externaluseridentifier="s-1")
    rows = [{"@odata.id": f"contacts(externaluseridentifier='{key}')", "firstname": key} for key in ("S-1", "s-2")]
    assert keyed.bulk("UpsertMultiple", "contacts", rows).status_code == 204
    assert keyed.row("contacts", known)["firstname"] == "S-1"
    repeated = {"@odata.id": "contacts(externaluseridentifier='s-3')", "externaluseridentifier": "s-3"}
    response = keyed.bulk("UpsertMultiple", "contacts", [repeated])
    assert (response.status_code, response.json()["error"]["code"]) == (400, "0x80040216")


def test_keys_equal_by_collation_are_duplicates_inside_one_payload(keyed):
    rows = [{"@odata.id": f"contacts(externaluseridentifier='{key}')"} for key in ("s-1", "S-1")]
    response = keyed.bulk("UpsertMultiple", "contacts", rows)
    # Not the index, which comes to it later and says 0x80060892.
    assert (response.status_code, response.json()["error"]["code"]) == (412, "0x80040237")
    assert keyed.control.rows("contacts") == []


def test_bind_by_key_finds_the_row_or_says_that_there_is_none(keyed):
    contact_id = keyed.contact(externaluseridentifier="s-1")
    body = {"msevtmgt_ContactId@odata.bind": "/contacts(externaluseridentifier='s-1')"}
    made = keyed.send("POST", "msevtmgt_eventregistrations", body, Prefer="return=representation").json()
    assert made["_msevtmgt_contactid_value"] == contact_id
    body = {"msevtmgt_ContactId@odata.bind": "/contacts(externaluseridentifier='s-9')"}
    response = keyed.send("POST", "msevtmgt_eventregistrations", body)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "0x80060891")


def test_key_over_existing_duplicates_fails_and_enforces_nothing(api):
    for _ in range(2):
        api.contact(externaluseridentifier="s-1")
    define_key(api, "externaluseridentifier")
    assert status(api) == "Failed"
    api.contact(externaluseridentifier="s-1")
    assert api.get(by_key("s-1")).status_code == 400
    for row in api.control.rows("contacts")[1:]:
        api.send("DELETE", f"contacts({row['contactid']})")
    body = {"EntityLogicalName": "contact", "EntityKeyLogicalName": "crmi_sourcekey"}
    assert api.send("POST", "ReactivateEntityKey", body).status_code == 204
    assert status(api) == "Active"


def test_key_of_two_columns_needs_both_in_any_order(api):
    define_key(api, "emailaddress1", "gendercode", name="crmi_Pair")
    row_id = api.contact(emailaddress1="aino@example.org", gendercode=2)
    for text in ("emailaddress1='aino@example.org',gendercode=2", "gendercode=2,emailaddress1='aino@example.org'"):
        assert api.get(f"contacts({text})").json()["contactid"] == row_id
    assert api.get("contacts(gendercode=2)").status_code == 400


def test_key_waits_then_is_built_and_only_then_counts(api):
    api.control.limits(key_delay_s=60)
    api.control.clock(set="2026-10-02T12:00:00+00:00", pinned=True)
    define_key(api, "externaluseridentifier")
    states = []
    for _ in range(3):
        api.contact(externaluseridentifier=f"s-{len(states)}")
        states.append((status(api), api.get(by_key("s-0")).status_code))
        api.control.clock(advance=30)
    assert states == [("Pending", 400), ("InProgress", 400), ("Active", 200)]


def test_table_takes_ten_keys_of_sixteen_columns(api):
    for number in range(10):
        define_key(api, "firstname", "lastname", name=f"crmi_Key{number}")
    body = {"SchemaName": "crmi_Eleventh", "KeyAttributes": ["firstname"]}
    assert api.send("POST", KEYS, body).status_code == 400
    api.control.reset()
    assert api.send("POST", KEYS, body | {"KeyAttributes": ["firstname"] * 17}).status_code == 400


def test_deleted_key_is_gone(keyed):
    key_id = keyed.get(KEYS).json()["value"][0]["MetadataId"]
    assert keyed.send("DELETE", f"{KEYS}({key_id})").status_code == 204
    assert keyed.get(KEYS).json()["value"] == []
    assert keyed.get(by_key("s-1")).status_code == 400


def column(name: str, kind: str, **more) -> dict:
    return {"@odata.type": f"Microsoft.Dynamics.CRM.{kind}AttributeMetadata", "SchemaName": name, **more}


def test_added_columns_can_be_written_and_are_told_by_the_metadata(api):
    path = "EntityDefinitions(LogicalName='contact')/Attributes"
    option = {"Value": 100000000, "Label": {"LocalizedLabels": [{"Label": "One", "LanguageCode": 1033}]}}
    assert api.send("POST", path, column("new_SourceId", "String", MaxLength=5)).status_code == 204
    assert api.send("POST", path, column("new_Kind", "Picklist", OptionSet={"Options": [option]})).status_code == 204
    assert api.send("POST", path, column("new_SourceId", "String")).status_code == 400
    assert api.get(f"{path}(LogicalName='new_sourceid')").json()["MaxLength"] == 5
    row_id = api.contact(new_sourceid="12345", new_kind=100000000)
    assert api.get(f"contacts({row_id})?$select=new_sourceid,new_kind").json()["new_sourceid"] == "12345"
    assert api.send("PATCH", f"contacts({row_id})", {"new_sourceid": "123456"}).json()["error"]["code"] == "0x80044331"


def test_late_keys_and_provisioned_columns_outlive_a_restart(tmp_path: Path, connect_to):
    options = EmulatorOptions(key_delay_s=60, missing_columns=("contact.crmi_preferencelink",))
    with start_emulator(tmp_path, tls=False, options=options) as running:
        api = connect_to(running)
        define_key(api, "externaluseridentifier")
        assert status(api) == "Pending"
        assert api.get(by_key("s-1")).status_code == 400
        api.control.clock(advance=61)
        assert status(api) == "Active"
        assert api.send("POST", "contacts", {"crmi_preferencelink": "x"}).status_code == 400
        body = column("crmi_PreferenceLink", "String", MaxLength=500)
        assert api.send("POST", "EntityDefinitions(LogicalName='contact')/Attributes", body).status_code == 204
    with start_emulator(tmp_path, tls=False, options=options) as again:
        api = connect_to(again)
        assert status(api) == "Active"
        assert api.send("POST", "contacts", {"crmi_preferencelink": "x"}).status_code == 204

"""What an environment tells about itself and its consent set-up: settings that decide who is mailed, and flows."""

from __future__ import annotations

import orjson
import pytest

from sandbox.dataverse.clock import Clock
from sandbox.dataverse.environment import prepare, user_id_of
from sandbox.dataverse.options import ClientOptions, EmulatorOptions
from sandbox.dataverse.privileges import granted_to
from sandbox.dataverse.state import Store
from sandbox.dataverse.tables import TABLES


def test_compliance_profile_tells_its_link_provider_tracking_and_double_opt_in(api):
    purposes = [{"msdynmkt_name": "Tracking", "msdynmkt_type": 534120002, "msdynmkt_enforcementmodel": 534120000}]
    provider = {"msdynmkt_name": "Ours", "msdynmkt_consentcheckurltemplate": "crmi_consentcheck"}
    ids = api.control.seed({"msdynmkt_purposes": purposes, "msdynmkt_consentproviders": [provider]})
    profile = {
        "msdynmkt_name": "Default",
        "msdynmkt_consentlinktype": 534120002,
        "msdynmkt_consentlink": "https://preferences.example.org/",
        "msdynmkt_doistatus": 534120001,
        "msdynmkt_TrackingConsentPurpose@odata.bind": f"/msdynmkt_purposes({ids['msdynmkt_purposes'][0]})",
        "msdynmkt_ConsentProviderId@odata.bind": f"/msdynmkt_consentproviders({ids['msdynmkt_consentproviders'][0]})",
    }
    assert api.send("POST", "msdynmkt_compliancesettings4s", profile).status_code == 204
    expand = "msdynmkt_ConsentProviderId($select=msdynmkt_consentcheckurltemplate),msdynmkt_TrackingConsentPurpose"
    prefer = 'odata.include-annotations="OData.Community.Display.V1.FormattedValue"'
    (found,) = api.get(f"msdynmkt_compliancesettings4s?$expand={expand}", Prefer=prefer).json()["value"]
    assert found["msdynmkt_consentlinktype@OData.Community.Display.V1.FormattedValue"] == "External link"
    assert found["msdynmkt_doistatus@OData.Community.Display.V1.FormattedValue"] == "Enabled"
    assert found["msdynmkt_ConsentProviderId"]["msdynmkt_consentcheckurltemplate"] == "crmi_consentcheck"
    assert found["msdynmkt_TrackingConsentPurpose"]["msdynmkt_enforcementmodel"] == 534120000


def test_each_purpose_has_an_enforcement_model_for_each_channel(api):
    models = {f"msdynmkt_{channel}enforcementmodel": 534120001 for channel in ("", "sms", "custom", "voice")}
    assert api.send("POST", "msdynmkt_purposes", {"msdynmkt_name": "Courses", **models}).status_code == 204
    (found,) = api.get(f"msdynmkt_purposes?$select={','.join(models)}").json()["value"]
    assert {name: found[name] for name in models} == models
    wrong = {"msdynmkt_name": "Courses", "msdynmkt_smsenforcementmodel": 1}
    assert api.send("POST", "msdynmkt_purposes", wrong).json()["error"]["code"] == "0x8004431a"


def test_cloud_flows_are_listed_with_their_definition(api):
    definition = {"properties": {"definition": {"triggers": {"When_a_row_is_modified": {}}}}}
    flows = [
        {"name": "Flags to opt-ins", "statecode": 1, "clientdata": orjson.dumps(definition).decode()},
        {"name": "A draft"},
        {"name": "A rule", "category": 2, "statecode": 1},
    ]
    api.control.seed({"workflows": flows})
    found = api.get("workflows?$select=name,clientdata&$filter=category eq 5 and statecode eq 1").json()["value"]
    assert [row["name"] for row in found] == ["Flags to opt-ins"]
    assert orjson.loads(found[0]["clientdata"]) == definition


def test_organisation_tells_its_language_and_how_long_changes_are_kept(api):
    (found,) = api.get("organizations?$select=languagecode,expirechangetrackingindays").json()["value"]
    assert (found["languagecode"], found["expirechangetrackingindays"]) == (1033, 7)


def an_environment(client: ClientOptions) -> Store:
    options = EmulatorOptions(clients=(client,))
    store = Store(TABLES, Clock(), options=options)
    prepare(store, options)
    return store


def test_client_may_be_given_a_role_of_named_privileges():
    client = ClientOptions("5a4d0000-0000-4000-8000-0000000000c9", "secret", privileges=("prvReadContact",))
    assert granted_to(an_environment(client), user_id_of(client.client_id)) == {"prvreadcontact"}


def test_options_with_privileges_come_back_from_json_as_they_went():
    options = EmulatorOptions(clients=(ClientOptions("a", "b", privileges=("prvReadContact",)), ClientOptions("c")))
    read = EmulatorOptions.from_json(orjson.loads(orjson.dumps(options.to_json())))
    assert read.clients == options.clients


def test_privilege_that_no_table_has_is_a_mistake_in_the_options():
    client = ClientOptions("5a4d0000-0000-4000-8000-0000000000c9", "secret", privileges=("prvReadContacts",))
    with pytest.raises(ValueError, match="prvReadContacts"):
        an_environment(client)

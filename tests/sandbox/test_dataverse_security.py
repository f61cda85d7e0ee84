"""Roles and privileges of the emulator: what a user lacks is 403, and what they have is told."""

from __future__ import annotations

import pytest

MISSING = (403, "0x80040220")


def user_of(api) -> str:
    return api.get("WhoAmI").json()["UserId"]


def privilege(api, name: str) -> str:
    (found,) = api.get(f"privileges?$select=name&$filter=name eq '{name}'").json()["value"]
    return found["privilegeid"]


def grant(api, role_id: str, *names: str, action: str = "AddPrivilegesRole") -> None:
    body = {"Privileges": [{"PrivilegeId": privilege(api, name), "Depth": "Global"} for name in names]}
    assert api.send("POST", f"roles({role_id})/Microsoft.Dynamics.CRM.{action}", body).status_code == 204


def refused(response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.fixture
def limited(api, second_api) -> str:
    """The role of the second application user, which is no administrator any more; the role has no privilege yet."""
    roles = f"systemusers({user_of(second_api)})/systemuserroles_association"
    (administrator,) = api.get(f"{roles}?$select=name").json()["value"]
    role_id = api.send("POST", "roles", {"name": "Intake"}).headers["OData-EntityId"].rpartition("(")[2][:-1]
    assert api.send("DELETE", f"{roles}({administrator['roleid']})/$ref").status_code == 204
    assert api.send("POST", f"{roles}/$ref", {"@odata.id": f"{api.base}roles({role_id})"}).status_code == 204
    return role_id


def test_each_access_to_a_table_takes_its_own_privilege(api, second_api, limited):
    row_id = api.contact()
    grant(api, limited, "prvReadContact")
    assert second_api.get("contacts").status_code == 200
    assert refused(second_api.send("POST", "contacts", {"firstname": "Bo"})) == MISSING
    assert refused(second_api.send("PATCH", f"contacts({row_id})", {"firstname": "Bo"})) == MISSING
    assert refused(second_api.send("DELETE", f"contacts({row_id})")) == MISSING
    grant(api, limited, "prvCreateContact", "prvWriteContact", "prvDeleteContact", action="ReplacePrivilegesRole")
    assert second_api.send("POST", "contacts", {"firstname": "Bo"}).status_code == 204
    assert second_api.send("PATCH", f"contacts({row_id})", {"firstname": "Bo"}).status_code == 204
    assert second_api.send("DELETE", f"contacts({row_id})").status_code == 204
    assert refused(second_api.get("contacts")) == MISSING


def test_missing_privilege_rolls_a_bulk_call_back_and_says_which_it_is(api, second_api, limited):
    grant(api, limited, "prvReadContact")
    answer = second_api.bulk("CreateMultiple", "contacts", [{"firstname": "Aino"}, {"firstname": "Bo"}])
    assert refused(answer) == MISSING
    assert "prvCreateContact" in answer.json()["error"]["message"]
    assert api.control.rows("contacts") == []


def test_lookup_takes_append_on_the_row_and_append_to_on_the_other(api, second_api, limited):
    account = api.send("POST", "accounts", {"name": "Example"}).headers["OData-EntityId"].rpartition("/")[2]
    payload = {"firstname": "Aino", "parentcustomerid_account@odata.bind": f"/{account}"}
    answers = []
    for name in ("prvCreateContact", "prvAppendContact", "prvAppendToAccount"):
        grant(api, limited, name)
        answers.append(second_api.send("POST", "contacts", payload).status_code)
    assert answers == [403, 403, 204]


def test_user_privileges_are_those_of_their_roles(api, second_api, limited):
    grant(api, limited, "prvReadContact", "prvBulkDelete")
    url = f"systemusers({user_of(second_api)})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges"
    mine = api.get(f"{url}()").json()["RolePrivileges"]
    of_role = api.get(f"RetrieveRolePrivilegesRole(RoleId={limited})").json()["RolePrivileges"]
    assert sorted((each["PrivilegeName"], each["Depth"]) for each in mine) == [
        ("prvBulkDelete", "Global"),
        ("prvReadContact", "Global"),
    ]
    assert of_role == mine
    assert len(api.get(f"roles({limited})/roleprivileges_association?$select=name").json()["value"]) == 2


def test_administrator_has_every_privilege_there_is(api):
    listed = api.get(f"systemusers({user_of(api)})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()").json()
    names = {each["PrivilegeName"] for each in listed["RolePrivileges"]}
    assert {"prvReadContact", "prvCreatemsdynmkt_contactpointconsent4", "prvActOnBehalfOfAnotherUser"} <= names


def test_acting_for_another_takes_a_privilege_and_both_users_rights(api, second_api, limited):
    mine, other = user_of(api), user_of(second_api)
    grant(api, limited, "prvReadContact", "prvCreateContact")
    assert refused(second_api.get("contacts", CallerObjectId=mine)) == MISSING
    grant(api, limited, "prvActOnBehalfOfAnotherUser")
    assert second_api.get("contacts", CallerObjectId=mine).status_code == 200
    assert refused(second_api.get("accounts", CallerObjectId=mine)) == MISSING
    made = api.send("POST", "contacts", {"firstname": "Aino"}, CallerObjectId=other)
    row = api.row("contacts", made.headers["OData-EntityId"].rpartition("(")[2][:-1])
    assert (row["_createdby_value"], row["_createdonbehalfby_value"]) == (other, mine)
    assert refused(api.send("POST", "accounts", {"name": "Example"}, CallerObjectId=other)) == MISSING


@pytest.mark.parametrize(
    ("header", "needed"),
    [
        ({"MSCRM.BypassBusinessLogicExecution": "CustomSync"}, "prvBypassCustomBusinessLogic"),
        ({"MSCRM.BypassCustomPluginExecution": "true"}, "prvBypassCustomPlugins"),
    ],
)
def test_bypass_header_takes_its_privilege(api, second_api, limited, header, needed):
    grant(api, limited, "prvCreateContact")
    assert refused(second_api.send("POST", "contacts", {"firstname": "Aino"}, **header)) == MISSING
    grant(api, limited, needed)
    assert second_api.send("POST", "contacts", {"firstname": "Aino"}, **header).status_code == 204


def test_disabled_application_user_is_no_member(api, second_api):
    api.send("PATCH", f"systemusers({user_of(second_api)})", {"isdisabled": True})
    assert refused(second_api.get("WhoAmI")) == (403, "0x80072560")


def test_privilege_at_another_depth_than_the_organisations_is_refused(api, limited):
    body = {"Privileges": [{"PrivilegeId": privilege(api, "prvReadContact"), "Depth": "Basic"}]}
    assert api.send("POST", f"roles({limited})/Microsoft.Dynamics.CRM.AddPrivilegesRole", body).status_code == 400

"""Single rows: create, the upsert matrix of PATCH, delete, and what a payload may hold."""

from __future__ import annotations

from uuid import uuid4

import pytest

PURPOSE = "10000000-0000-0000-0000-000000000003"
HUMAN = "00000000-0000-0000-0000-0000000000e1"


def error_code(response) -> str:
    return response.json()["error"]["code"]


def seed_purpose(api) -> None:
    api.control.seed({"msdynmkt_purposes": [{"msdynmkt_purposeid": PURPOSE, "msdynmkt_name": "Commercial"}]})


def consent(**changes):
    row = {
        "msdynmkt_contactpointvalue": "aino@example.org",
        "msdynmkt_contactpointtype": 534120000,
        "msdynmkt_contactpointconsenttype": 534120000,
        "msdynmkt_value": 534120002,
        "msdynmkt_logicalreason": 534119999,
        "msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({PURPOSE})",
    }
    return {**row, **changes}


def test_post_creates_with_a_new_id_and_names_it_in_the_headers(api):
    response = api.send("POST", "contacts", {"firstname": "Aino"})
    assert response.status_code == 204
    assert response.headers["OData-EntityId"] == response.headers["Location"]
    assert api.get(response.headers["Location"]).json()["firstname"] == "Aino"


def test_post_with_a_taken_id_is_412_duplicate(api):
    row_id = api.contact()
    response = api.send("POST", "contacts", {"contactid": row_id})
    assert (response.status_code, error_code(response)) == (412, "0x80040237")


def test_post_with_representation_is_201_with_the_selected_columns(api):
    response = api.send("POST", "contacts?$select=firstname", {"firstname": "Aino"}, Prefer="return=representation")
    assert response.status_code == 201
    assert response.headers["Preference-Applied"] == "return=representation"
    assert response.headers["ETag"] == response.json()["@odata.etag"]
    assert set(response.json()) == {"@odata.context", "@odata.etag", "firstname", "contactid"}


@pytest.mark.parametrize("headers", [{}, {"If_None_Match": "null"}])
def test_patch_without_precondition_upserts(api, headers):
    row_id = str(uuid4())
    for name in ("Aino", "Eino"):
        response = api.send("PATCH", f"contacts({row_id})", {"firstname": name}, **headers)
        assert response.status_code == 204
        assert response.headers["OData-EntityId"].endswith(f"contacts({row_id})")
    assert api.row("contacts", row_id)["firstname"] == "Eino"


def test_patch_with_representation_tells_create_from_update(api):
    path = f"contacts({uuid4()})"
    prefer = "return=representation"
    assert api.send("PATCH", path, {"firstname": "Aino"}, Prefer=prefer).status_code == 201
    assert api.send("PATCH", path, {"firstname": "Eino"}, Prefer=prefer).status_code == 200


def test_patch_if_match_any_never_creates(api):
    response = api.send("PATCH", f"contacts({uuid4()})", {"firstname": "Aino"}, If_Match="*")
    assert (response.status_code, error_code(response)) == (404, "0x80040217")
    assert api.control.rows("contacts") == []


def test_patch_if_none_match_any_never_updates(api):
    row_id = api.contact()
    response = api.send("PATCH", f"contacts({row_id})", {"firstname": "Eino"}, If_None_Match="*")
    assert response.status_code == 412
    assert api.row("contacts", row_id)["firstname"] == "Aino"
    assert api.send("PATCH", f"contacts({uuid4()})", {}, If_None_Match="*").status_code == 204


def test_patch_with_an_old_etag_is_412_and_with_the_current_one_goes_through(api):
    row_id = api.contact()
    etag = api.get(f"contacts({row_id})").json()["@odata.etag"]
    api.control.edit("contacts", row_id, {"jobtitle": "Teacher"})
    stale = api.send("PATCH", f"contacts({row_id})", {"firstname": "Eino"}, If_Match=etag)
    assert (stale.status_code, error_code(stale)) == (412, "0x80060882")
    current = api.get(f"contacts({row_id})").headers["ETag"]
    assert api.send("PATCH", f"contacts({row_id})", {"firstname": "Eino"}, If_Match=current).status_code == 204


def test_delete_honours_if_match_and_tells_a_missing_row(api):
    row_id = api.contact()
    assert api.send("DELETE", f"contacts({row_id})", If_Match='W/"1"').status_code == 412
    assert api.send("DELETE", f"contacts({row_id})").status_code == 204
    assert api.send("DELETE", f"contacts({row_id})").status_code == 404


def test_omitted_columns_stay_and_null_clears(api):
    row_id = api.contact(jobtitle="Teacher", emailaddress1="aino@example.org")
    api.send("PATCH", f"contacts({row_id})", {"jobtitle": None})
    row = api.row("contacts", row_id)
    assert "jobtitle" not in row
    assert row["emailaddress1"] == "aino@example.org"


def test_every_write_bumps_version_and_modifiedon_even_without_a_difference(api):
    row_id = api.contact()
    before = api.row("contacts", row_id)
    api.control.clock(advance=60)
    api.send("PATCH", f"contacts({row_id})", {"firstname": "Aino"})
    after = api.row("contacts", row_id)
    assert after["versionnumber"] > before["versionnumber"]
    assert after["modifiedon"] > before["modifiedon"]
    assert after["createdon"] == before["createdon"]


def test_rows_carry_who_made_and_who_changed_them(api, second_api):
    row_id = api.contact()
    second_api.send("PATCH", f"contacts({row_id})", {"jobtitle": "Teacher"})
    row = api.row("contacts", row_id)
    assert row["_createdby_value"] == api.get("WhoAmI").json()["UserId"]
    assert row["_modifiedby_value"] == second_api.get("WhoAmI").json()["UserId"]


def test_human_edit_is_by_the_human(api):
    row_id = api.contact()
    before = api.row("contacts", row_id)["versionnumber"]
    row = api.control.edit("contacts", row_id, {"donotbulkemail": True})
    assert row["_modifiedby_value"] == HUMAN
    assert row["versionnumber"] > before


def test_impersonation_is_kept_as_on_behalf(api):
    row_id = str(uuid4())
    api.send("PATCH", f"contacts({row_id})", {"firstname": "Aino"}, CallerObjectId=HUMAN)
    row = api.row("contacts", row_id)
    assert row["_createdby_value"] == HUMAN
    assert row["_createdonbehalfby_value"] == api.get("WhoAmI").json()["UserId"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"firstName": "Aino"}, "0x0"),
        ({"firstname": "x" * 51}, "0x80044331"),
        ({"emailaddress1": "x" * 101}, "0x80044331"),
        ({"firstname": "😀" * 25 + "x"}, "0x80044331"),
        ({"crmi_preferencelink": "x" * 501}, "0x80044331"),
        ({"gendercode": 5}, "0x8004431a"),
        ({"gendercode": "Male"}, "0x80048d19"),
        ({"firstname": 5}, "0x80048d19"),
        ({"donotbulkemail": "true"}, "0x80048d19"),
        ({"birthdate": "2001-02-03T00:00:00.000Z"}, "0x80048d19"),
        ({"birthdate": "2001-02-30"}, "0x80048d19"),
        ({"msdyn_portaltermsagreementdate": "2026-01-01"}, "0x80048d19"),
        ({"statecode": 0, "statuscode": 2}, "0x80048408"),
        ({"_parentcustomerid_value": str(uuid4())}, "0x80048d19"),
        ({"parentcustomerid@odata.bind": f"/accounts({uuid4()})"}, "0x80048d19"),
    ],
)
def test_payload_that_does_not_fit_is_400_and_writes_nothing(api, payload, code):
    response = api.send("POST", "contacts", payload)
    assert (response.status_code, error_code(response)) == (400, code)
    assert api.control.rows("contacts") == []


def test_a_length_counts_as_the_database_does_by_sixteen_bits(api):
    assert api.row("contacts", api.contact(firstname="😀" * 25))["firstname"] == "😀" * 25


def test_columns_of_the_server_are_ignored_in_a_payload(api):
    row_id = api.contact(fullname="Somebody Else", merged=True, createdon="2001-01-01T00:00:00Z")
    row = api.row("contacts", row_id)
    assert row["fullname"] == "Aino Example"
    assert row["merged"] is False
    assert row["createdon"] > "2025"


def test_empty_text_is_null_and_times_are_utc_seconds(api):
    row_id = api.contact(jobtitle="", msdyn_portaltermsagreementdate="2026-10-02T10:00:00.123+02:00")
    row = api.row("contacts", row_id)
    assert "jobtitle" not in row
    assert row["msdyn_portaltermsagreementdate"] == "2026-10-02T08:00:00Z"


def test_contact_defaults_allow_mailing(api):
    row = api.row("contacts", api.contact())
    assert (row["donotbulkemail"], row["donotemail"], row["followemail"]) == (False, False, True)


@pytest.mark.parametrize(
    "column",
    ["msdynmkt_contactpointvalue", "msdynmkt_contactpointtype", "msdynmkt_value", "msdynmkt_contactpointconsenttype"],
)
def test_consent_row_without_a_required_column_is_refused(api, column):
    seed_purpose(api)
    row = consent()
    del row[column]
    response = api.send("POST", "msdynmkt_contactpointconsent4s", row)
    assert (response.status_code, error_code(response)) == (400, "0x80040203")


def test_consent_row_binds_its_purpose_and_shows_it_as_a_lookup(api):
    seed_purpose(api)
    response = api.send("POST", "msdynmkt_contactpointconsent4s", consent(), Prefer="return=representation")
    assert response.status_code == 201, response.text
    assert response.json()["_msdynmkt_purposeid_value"] == PURPOSE
    assert response.json()["msdynmkt_source"] == 534120000


def test_navigation_names_are_case_sensitive(api):
    seed_purpose(api)
    row = consent(**{"msdynmkt_purposeid@odata.bind": f"/msdynmkt_purposes({PURPOSE})"})
    response = api.send("POST", "msdynmkt_contactpointconsent4s", row)
    assert (response.status_code, error_code(response)) == (400, "0x80048d19")


def test_bind_to_a_missing_row_is_404(api):
    response = api.send("POST", "msdynmkt_contactpointconsent4s", consent())
    assert (response.status_code, error_code(response)) == (404, "0x80040217")


def test_bind_to_a_row_of_another_table_is_refused(api):
    seed_purpose(api)
    row = consent(**{"msdynmkt_topicId@odata.bind": f"/msdynmkt_purposes({PURPOSE})"})
    assert api.send("POST", "msdynmkt_contactpointconsent4s", row).status_code == 400


def test_registration_binds_contact_and_event_and_null_unbinds(api):
    contact_id = api.contact()
    event = api.send("POST", "msevtmgt_events", {"msevtmgt_name": "Open day"}, Prefer="return=representation").json()
    registration_id = str(uuid4())
    binds = {
        "msevtmgt_ContactId@odata.bind": f"/contacts({contact_id})",
        "msevtmgt_EventId@odata.bind": f"{api.base}msevtmgt_events({event['msevtmgt_eventid']})",
    }
    path = f"msevtmgt_eventregistrations({registration_id})"
    assert api.send("PATCH", path, binds).status_code == 204
    assert api.row("msevtmgt_eventregistrations", registration_id)["_msevtmgt_contactid_value"] == contact_id
    assert api.send("PATCH", path, {"msevtmgt_ContactId@odata.bind": None}).status_code == 204
    assert "_msevtmgt_contactid_value" not in api.row("msevtmgt_eventregistrations", registration_id)


def test_deleting_a_contact_unbinds_its_registrations_and_deletes_its_cases(api):
    contact_id = api.contact()
    seeded = api.control.seed(
        {
            "incidents": [{"title": "Case", "customerid_contact@odata.bind": f"/contacts({contact_id})"}],
            "msevtmgt_eventregistrations": [{"msevtmgt_ContactId@odata.bind": f"/contacts({contact_id})"}],
        },
        as_user="human",
    )
    assert api.send("DELETE", f"contacts({contact_id})").status_code == 204
    assert api.control.rows("incidents") == []
    registration = api.row("msevtmgt_eventregistrations", seeded["msevtmgt_eventregistrations"][0])
    assert "_msevtmgt_contactid_value" not in registration


def test_purpose_in_use_cannot_be_deleted(api):
    seed_purpose(api)
    api.send("POST", "msdynmkt_contactpointconsent4s", consent())
    assert api.send("DELETE", f"msdynmkt_purposes({PURPOSE})").status_code == 405


def test_unknown_set_is_404_with_its_own_code_and_names_are_case_sensitive(api):
    for path in ("Contacts", "contact", "nothings"):
        response = api.get(path)
        assert (response.status_code, error_code(response)) == (404, "0x8006088a")


def test_task_starts_open_and_is_completed_later(api):
    response = api.send("POST", "tasks", {"subject": "Check", "statecode": 1, "statuscode": 5})
    assert response.status_code == 400
    task = api.send("POST", "tasks", {"subject": "Check"}, Prefer="return=representation").json()
    done = api.send("PATCH", f"tasks({task['activityid']})", {"statecode": 1})
    assert done.status_code == 204
    assert api.row("tasks", task["activityid"])["statuscode"] == 5


def test_single_property_and_reference_can_be_put_and_deleted(api):
    contact_id = api.contact(jobtitle="Teacher")
    api.send("PUT", f"contacts({contact_id})/jobtitle", {"value": "Dean"})
    assert api.get(f"contacts({contact_id})/jobtitle").json()["value"] == "Dean"
    api.send("DELETE", f"contacts({contact_id})/jobtitle")
    assert api.get(f"contacts({contact_id})/jobtitle").status_code == 204
    account_id = api.control.seed({"accounts": [{"name": "Example"}]})["accounts"][0]
    reference = f"contacts({contact_id})/parentcustomerid_account/$ref"
    api.send("PUT", reference, {"@odata.id": f"{api.base}accounts({account_id})"})
    assert api.row("contacts", contact_id)["_parentcustomerid_value"] == account_id
    api.send("DELETE", reference)
    assert "_parentcustomerid_value" not in api.row("contacts", contact_id)


def test_misspelt_mscrm_header_is_refused_and_a_known_one_is_not(api):
    assert api.get("WhoAmI", **{"MSCRM.BypassSynchronousLogic": "true"}).status_code == 400
    assert api.get("WhoAmI", **{"MSCRM.SuppressDuplicateDetection": "false"}).status_code == 200


def test_error_annotations_come_only_when_asked_for(api):
    plain = api.send("POST", "contacts", {"nothing": 1}).json()["error"]
    annotated = api.send("POST", "contacts", {"nothing": 1}, Prefer='odata.include-annotations="*"').json()["error"]
    assert set(plain) == {"code", "message"}
    assert "@Microsoft.PowerApps.CDS.TraceText" in annotated

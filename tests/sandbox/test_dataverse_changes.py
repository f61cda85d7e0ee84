"""Change tracking: first read, delta, deletes, expiry, and the options it does not take."""

from __future__ import annotations

import pytest


def begin(api) -> dict:
    response = api.get("contacts?$select=firstname", Prefer="odata.track-changes")
    assert response.headers["Preference-Applied"] == "odata.track-changes"
    return response.json()


def ids(page: dict) -> list[str]:
    return [row.get("contactid") or row["id"] for row in page["value"]]


def test_first_read_gives_all_rows_and_a_delta_link(api):
    row_id = api.contact()
    page = begin(api)
    assert ids(page) == [row_id]
    assert "$deltatoken=" in page["@odata.deltaLink"]


def test_delta_link_gives_the_columns_that_were_first_asked_for(api):
    row_id = api.contact(jobtitle="Dean")
    link = begin(api)["@odata.deltaLink"]
    api.send("PATCH", f"contacts({row_id})", {"jobtitle": "Rector"})
    again = api.get(link).json()
    [row] = again["value"]
    assert "firstname" in row and "jobtitle" not in row
    assert "$select=firstname" in again["@odata.deltaLink"]


def test_delta_has_changed_rows_once_then_the_deleted(api):
    kept, changed, deleted = api.contact(), api.contact(), api.contact()
    link = begin(api)["@odata.deltaLink"]
    new = api.contact()
    api.send("DELETE", f"contacts({deleted})")
    for name in ("Eino", "Väinö"):
        api.send("PATCH", f"contacts({changed})", {"firstname": name})
    delta = api.get(link).json()
    assert ids(delta) == [new, changed, deleted]
    assert kept not in ids(delta)
    assert delta["value"][1]["firstname"] == "Väinö"
    assert delta["value"][2]["reason"] == "deleted"
    assert delta["value"][2]["@odata.context"].endswith("$metadata#contacts/$deletedEntity")
    assert delta["@odata.context"].endswith("/$delta")
    assert api.get(delta["@odata.deltaLink"]).json()["value"] == []


def test_row_made_and_deleted_between_two_reads_is_only_a_deletion(api):
    link = begin(api)["@odata.deltaLink"]
    row_id = api.contact()
    api.control.remove("contacts", row_id)
    assert [row["reason"] for row in api.get(link).json()["value"]] == ["deleted"]


def test_pages_of_the_first_read_lose_no_change_made_meanwhile(api):
    rows = [api.contact() for _ in range(3)]
    prefer = "odata.track-changes,odata.maxpagesize=2"
    first = api.get("contacts?$select=firstname", Prefer=prefer).json()
    assert "@odata.deltaLink" not in first
    api.send("PATCH", f"contacts({rows[0]})", {"firstname": "Eino"})
    last = api.get(first["@odata.nextLink"], Prefer=prefer).json()
    assert ids(first) + ids(last) == rows
    assert ids(api.get(last["@odata.deltaLink"]).json()) == [rows[0]]


def test_delta_comes_in_pages_too(api):
    link = begin(api)["@odata.deltaLink"]
    rows = [api.contact() for _ in range(3)]
    first = api.get(link, Prefer="odata.maxpagesize=2").json()
    last = api.get(first["@odata.nextLink"], Prefer="odata.maxpagesize=2").json()
    assert ids(first) + ids(last) == rows
    assert api.get(last["@odata.deltaLink"]).json()["value"] == []


def test_number_of_changes_can_be_counted(api):
    link = begin(api)["@odata.deltaLink"]
    api.contact()
    token = link.partition("$deltatoken=")[2]
    assert api.get(f"contacts/$count?$deltatoken={token}").text == "1"


def test_token_older_than_the_organisation_keeps_is_expired(api):
    link = begin(api)["@odata.deltaLink"]
    api.control.clock(advance=6 * 86400)
    headers = {"Authorization": api.session.headers["Authorization"]}
    assert api.get(link).status_code == 401
    api.control.clock(release=True)
    api.control.edit("organizations", "00000000-0000-0000-0000-0000000000a1", {"expirechangetrackingindays": 0})
    api.control.clock(advance=2)
    response = api.get(link, **headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "0x80044352")


@pytest.mark.parametrize("option", ["$filter=firstname eq 'x'", "$orderby=firstname", "$top=5"])
def test_options_that_tracking_does_not_take_are_400(api, option):
    response = api.get(f"contacts?{option}", Prefer="odata.track-changes")
    assert response.status_code == 400
    assert "Change Tracking is enabled" in response.json()["error"]["message"]


def test_table_without_tracking_refuses_it(api):
    assert api.get("organizations", Prefer="odata.track-changes").status_code == 400

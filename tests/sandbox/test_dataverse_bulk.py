"""Bulk actions: all or nothing, ids in order, and the silent and loud treatment of duplicates."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest


def people(count: int) -> list[dict]:
    return [{"contactid": str(uuid4()), "firstname": f"Person {number}"} for number in range(count)]


def test_create_multiple_gives_the_ids_in_the_order_of_its_targets(api):
    rows = people(3)
    response = api.bulk("CreateMultiple", "contacts", rows)
    assert response.status_code == 200
    assert response.json()["Ids"] == [row["contactid"] for row in rows]


def test_create_multiple_makes_ids_where_none_are_given(api):
    ids = api.bulk("CreateMultiple", "contacts", [{"firstname": "Aino"}, {"firstname": "Eino"}]).json()["Ids"]
    assert [api.row("contacts", row_id)["firstname"] for row_id in ids] == ["Aino", "Eino"]


def test_create_multiple_with_one_taken_id_creates_nothing(api):
    taken = api.contact()
    response = api.bulk("CreateMultiple", "contacts", [*people(2), {"contactid": taken}])
    assert (response.status_code, response.json()["error"]["code"]) == (412, "0x80040237")
    assert len(api.control.rows("contacts")) == 1


def test_upsert_multiple_creates_and_updates_without_saying_which(api):
    known = api.contact(jobtitle="Dean")
    response = api.bulk("UpsertMultiple", "contacts", [{"contactid": known, "firstname": "Eino"}, *people(1)])
    assert (response.status_code, response.content) == (204, b"")
    assert api.row("contacts", known)["firstname"] == "Eino"
    assert api.row("contacts", known)["jobtitle"] == "Dean"
    assert len(api.control.rows("contacts")) == 2


def test_upsert_multiple_takes_the_id_from_the_reference(api):
    row_id = str(uuid4())
    rows = [{"@odata.id": f"contacts({row_id})", "firstname": "Aino"}]
    for _ in range(2):
        assert api.bulk("UpsertMultiple", "contacts", rows).status_code == 204
    assert [row["contactid"] for row in api.control.rows("contacts")] == [row_id]


def test_upsert_multiple_with_the_same_row_twice_fails_as_a_whole(api):
    row = people(1)[0]
    response = api.bulk("UpsertMultiple", "contacts", [row, {**row, "contactid": row["contactid"].upper()}])
    assert response.status_code == 412
    assert api.control.rows("contacts") == []


def test_update_multiple_applies_only_the_first_of_duplicates(api):
    row_id = api.contact()
    rows = [{"contactid": row_id, "firstname": "First"}, {"contactid": row_id, "firstname": "Second"}]
    assert api.bulk("UpdateMultiple", "contacts", rows).status_code == 204
    assert api.row("contacts", row_id)["firstname"] == "First"


def test_update_multiple_of_a_missing_row_changes_nothing(api):
    row_id = api.contact()
    rows = [{"contactid": row_id, "firstname": "Eino"}, {"contactid": str(uuid4()), "firstname": "Nobody"}]
    assert api.bulk("UpdateMultiple", "contacts", rows).status_code == 404
    assert api.row("contacts", row_id)["firstname"] == "Aino"


@pytest.mark.parametrize("message", ["CreateMultiple", "UpsertMultiple"])
def test_one_bad_row_rolls_all_back_and_is_not_named(api, message):
    rows = people(20)
    rows[13]["firstname"] = "x" * 51
    response = api.bulk(message, "contacts", rows)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "0x80044331")
    assert rows[13]["contactid"] not in response.text
    assert "13" not in response.json()["error"]["message"]
    assert api.control.rows("contacts") == []


def test_a_rolled_back_update_restores_the_row_with_its_version(api):
    row_id = api.contact()
    before = api.row("contacts", row_id)
    rows = [{"contactid": row_id, "firstname": "Eino"}, {"contactid": str(uuid4()), "nothing": 1}]
    assert api.bulk("UpsertMultiple", "contacts", rows).status_code == 400
    assert api.row("contacts", row_id) == before
    found = api.get("contacts?$filter=firstname eq 'Aino'").json()["value"]
    assert [row["contactid"] for row in found] == [row_id]


def test_target_without_its_type_or_with_another_is_400(api):
    for target in ({"firstname": "Aino"}, {"@odata.type": "Microsoft.Dynamics.CRM.account", "firstname": "Aino"}):
        response = api.send("POST", "contacts/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": [target]})
        assert response.status_code == 400


def test_delete_multiple_does_not_exist_on_standard_tables(api):
    response = api.bulk("DeleteMultiple", "contacts", [{"contactid": api.contact()}])
    assert response.status_code == 400
    assert "not yet been implemented" in response.json()["error"]["message"]


def test_bulk_on_a_table_without_it_is_refused(api):
    assert api.bulk("CreateMultiple", "systemusers", [{"fullname": "X"}], "systemuser").status_code == 400


def test_bulk_ignores_if_match(api):
    row_id = api.contact()
    target = {"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": row_id, "firstname": "Eino"}
    path = "contacts/Microsoft.Dynamics.CRM.UpdateMultiple"
    assert api.send("POST", path, {"Targets": [target]}, If_Match='W/"1"').status_code == 204


def test_twenty_thousand_rows_in_chunks_of_a_hundred(api, record_property):
    rows = [
        {**row, "emailaddress1": f"p{n}@example.org", "donotbulkemail": True} for n, row in enumerate(people(20_000))
    ]
    started = time.perf_counter()
    for first in range(0, len(rows), 100):
        assert api.bulk("UpsertMultiple", "contacts", rows[first : first + 100]).status_code == 204
    record_property("rows_per_second", round(len(rows) / (time.perf_counter() - started)))
    assert api.get('RetrieveTotalRecordCount(EntityNames=@p1)?@p1=["contact"]').json()["EntityRecordCountCollection"][
        "Values"
    ] == [20_000]

"""What the emulator does after the answer, and the rules of duplicate detection that are published by such a job."""

from __future__ import annotations

import pytest

NOON = "2026-10-02T12:00:00+00:00"
DETECT = {"MSCRM.SuppressDuplicateDetection": "false"}
DUPLICATE = "0x80040333"


def id_in(response) -> str:
    return response.headers["OData-EntityId"].rpartition("(")[2][:-1]


def make_rule(api, column: str = "emailaddress1", **condition) -> str:
    rule = {"name": "Same", "baseentityname": "contact", "matchingentityname": "contact"}
    rule_id = id_in(api.send("POST", "duplicaterules", rule))
    columns = {"baseattributename": column, "matchingattributename": column, "operatorcode": 0, **condition}
    bound = {"regardingobjectid@odata.bind": f"/duplicaterules({rule_id})"}
    assert api.send("POST", "duplicateruleconditions", {**columns, **bound}).status_code == 204
    return rule_id


def publish(api, rule_id: str):
    return api.send("POST", f"duplicaterules({rule_id})/Microsoft.Dynamics.CRM.PublishDuplicateRule")


def test_bulk_delete_counts_what_it_may_not_delete(api):
    purpose = api.send("POST", "msdynmkt_purposes", {"msdynmkt_name": "Commercial"})
    topic = {"msdynmkt_name": "Newsletter", "msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({id_in(purpose)})"}
    api.send("POST", "msdynmkt_topics", topic)
    api.send("POST", "msdynmkt_purposes", {"msdynmkt_name": "Unused"})
    query = {"EntityName": "msdynmkt_purpose", "Criteria": {"Conditions": []}}
    assert api.send("POST", "BulkDelete", {"JobName": "clean", "QuerySet": [query]}).status_code == 200
    (record,) = api.control.rows("bulkdeleteoperations")
    assert (record["successcount"], record["failurecount"]) == (1, 1)
    assert [row["msdynmkt_name"] for row in api.control.rows("msdynmkt_purposes")] == ["Commercial"]


def test_query_that_is_not_understood_is_refused_before_any_job(api):
    condition = {"AttributeName": "firstname", "Operator": "BeginsWith", "Values": [{"Value": "A"}]}
    query = {"EntityName": "contact", "Criteria": {"Conditions": [condition]}}
    assert api.send("POST", "BulkDelete", {"JobName": "clean", "QuerySet": [query]}).status_code == 400
    assert api.control.rows("asyncoperations") == []


def test_published_rule_refuses_a_like_row_to_who_asks_for_it(api):
    assert publish(api, make_rule(api)).status_code == 200
    first = api.contact(emailaddress1="Aino@Example.org")
    like = {"firstname": "Bo", "emailaddress1": "aino@example.org"}
    refused = api.send("POST", "contacts", like, **DETECT)
    assert (refused.status_code, refused.json()["error"]["code"]) == (500, DUPLICATE)
    assert api.send("POST", "contacts", like).status_code == 204
    assert api.send("PATCH", f"contacts({first})", like, **DETECT).json()["error"]["code"] == DUPLICATE
    assert api.send("POST", "contacts", {"firstname": "No address"}, **DETECT).status_code == 204


def test_bulk_call_with_a_duplicate_is_refused_whole_and_the_status_can_be_the_other_one(api):
    publish(api, make_rule(api))
    api.control.limits(duplicate_rule_status=412)
    rows = [{"emailaddress1": "a@example.org"}, {"emailaddress1": "a@example.org"}]
    targets = [{"@odata.type": "Microsoft.Dynamics.CRM.contact", **row} for row in rows]
    answer = api.send("POST", "contacts/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": targets}, **DETECT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (412, DUPLICATE)
    assert api.control.rows("contacts") == []


def test_rule_works_between_its_publishing_and_its_withdrawal(api):
    api.control.limits(job_delay_s=10)
    api.control.clock(set=NOON, pinned=True)
    rule_id = make_rule(api)
    api.contact(emailaddress1="aino@example.org")
    statuses = []
    for step in (lambda: publish(api, rule_id), lambda: api.control.clock(advance=11), lambda: withdraw(api, rule_id)):
        step()
        like = {"emailaddress1": "aino@example.org"}
        statuses.append(api.send("POST", "contacts", like, **DETECT).status_code)
    assert statuses == [204, 500, 204]


def withdraw(api, rule_id: str) -> None:
    assert api.send("POST", "UnpublishDuplicateRule", {"DuplicateRuleId": rule_id}).status_code == 204


@pytest.mark.parametrize(
    ("operator", "other", "status"),
    [(1, "+358 40 999", 500), (1, "+359 40 123", 204), (2, "0999 40 123", 500), (2, "+358 40 999", 204)],
)
def test_rule_may_compare_the_first_or_last_characters_only(api, operator, other, status):
    publish(api, make_rule(api, "mobilephone", operatorcode=operator, operatorparam=7))
    api.contact(mobilephone="+358 40 123")
    assert api.send("POST", "contacts", {"mobilephone": other}, **DETECT).status_code == status

"""Actions and functions: WhoAmI, totals, Merge, list members, change history, jobs, the making of tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from .columns import BUSINESS_UNIT, ORGANIZATION, SYSTEM_USER, Column, Row, Table
from .jobs import BULK_DELETE, PUBLISH_RULE, queried_ids, start_job
from .key_provisioning import reactivate_key
from .messages import Answer, Call, Caller, answer_json
from .metadata_changes import retrieve_metadata_changes
from .privileges import demand, demand_named
from .provisioning import create_table
from .refusals import invalid, payload_error
from .security import retrieve_role_privileges
from .state import Store, TableRows
from .urls import existing, parse_path, parse_query
from .values import read_payload, type_property
from .writes import create_row

_PREFIX = "Microsoft.Dynamics.CRM."
# createdfromcode of a list.
_MEMBER_KINDS = {"account": 1, "contact": 2, "lead": 4}


def who_am_i(_store: Store, call: Call) -> Answer:
    context = f"{call.base_url}$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse"
    user = call.caller.user_id
    return answer_json(
        {"@odata.context": context, "BusinessUnitId": BUSINESS_UNIT, "UserId": user, "OrganizationId": ORGANIZATION}
    )


def retrieve_total_record_count(store: Store, call: Call) -> Answer:
    """Rows of the named tables, as the snapshot has them (here: always fresh)."""
    options = parse_query(call.query)
    argument = (parse_path(call.path).key or "").partition("=")[2]
    names = orjson.loads(options.get(argument, argument).replace("'", '"') or "[]")
    if any(name not in store.data for name in names):
        raise invalid("The entity with a name was not found in the MetadataCache.", "0x80041102")
    counts = [len(store.data[name].rows) for name in names]
    context = f"{call.base_url}$metadata#Microsoft.Dynamics.CRM.RetrieveTotalRecordCountResponse"
    return answer_json(
        {
            "@odata.context": context,
            "EntityRecordCountCollection": {"Count": len(names), "Keys": names, "Values": counts},
        }
    )


def merge(store: Store, call: Call) -> Answer:
    """The subordinate's children go to the target; the subordinate is deactivated, not deleted."""
    body = call.json()
    rows, target_id = _named_row(store, body.get("Target"))
    other, subordinate_id = _named_row(store, body.get("Subordinate"))
    if not rows.table.mergeable or other is not rows or target_id == subordinate_id:
        raise invalid("Merge needs two different rows of one table that supports it.", "0x80040203")
    demand_named(store, call.caller, "prvMerge")
    demand(store, call.caller, "Write", rows.table)
    with store.transaction():
        _update_as_system(store, rows.table, target_id, body.get("UpdateContent") or {})
        _reparent(store, rows.table.logical, subordinate_id, target_id)
        _retire(store, rows, subordinate_id, target_id)
    return Answer(204)


def add_list_members(store: Store, call: Call) -> Answer:
    """Adds members to a static list of their kind; a member that is there already stays as it is.

    [U] the codes of a list that is dynamic, or of another kind.
    """
    body = call.json()
    lists, list_id = _named_row(store, body.get("List"))
    demand(store, call.caller, "Write", lists.table)
    if lists.rows[list_id].get("type"):
        raise invalid("Members cannot be added to a dynamic list.", "0x80040203")
    members = store.data["listmember"]
    present = {members.rows[row_id]["_entityid_value"] for row_id in members.ids_where("_listid_value", [list_id])}
    with store.transaction():
        for member in body.get("Members", ()):
            rows, member_id = _named_row(store, member)
            if lists.rows[list_id].get("createdfromcode") not in (None, _MEMBER_KINDS.get(rows.table.logical)):
                raise invalid("The member is of another kind than the list.", "0x80040203")
            if member_id not in present:
                present.add(member_id)
                _add_member(store, call.caller, list_id, rows.table, member_id)
        store.put("list", list_id, {**lists.rows[list_id], "membercount": len(present)})
    return Answer(204)


def delete_record_change_history(store: Store, call: Call) -> Answer:
    """Forgets the audit trail of one row, which may be deleted already."""
    table, target_id = _reference(store, call.json().get("Target"))
    demand_named(store, call.caller, "prvDeleteRecordChangeHistory")
    deleted = store.history.pop((table.logical, target_id), 0)
    context = f"{call.base_url}$metadata#Microsoft.Dynamics.CRM.DeleteRecordChangeHistoryResponse"
    return answer_json({"@odata.context": context, "DeletedEntriesCount": deleted})


def bulk_delete(store: Store, call: Call) -> Answer:
    """Deletes what the query sets name, as a job; rows that may not go are left."""
    body = call.json()
    queries = body.get("QuerySet") or []
    demand_named(store, call.caller, "prvBulkDelete")
    for query in queries:
        queried_ids(store, query)
    name = str(body.get("JobName", "Bulk delete"))
    job_id = start_job(store, name, BULK_DELETE, {"JobName": name, "QuerySet": queries}, call.caller)
    return _job_answer(call, "BulkDeleteResponse", job_id)


def publish_rule(store: Store, call: Call, rule_id: str) -> Answer:
    """Publishes a duplicate detection rule, as a job."""
    demand_named(store, call.caller, "prvPublishDuplicateRule")
    rule = store.data["duplicaterule"].rows[rule_id]
    with store.transaction():
        store.put("duplicaterule", rule_id, {**rule, "statecode": 0, "statuscode": 1})
    job_id = start_job(store, "Publish duplicate detection rule", PUBLISH_RULE, {"rule": rule_id}, call.caller)
    return _job_answer(call, "PublishDuplicateRuleResponse", job_id)


def unpublish_rule(store: Store, call: Call) -> Answer:
    rule_id = str(call.json().get("DuplicateRuleId", "")).lower()
    rule = existing(store.data["duplicaterule"], rule_id)
    demand_named(store, call.caller, "prvPublishDuplicateRule")
    with store.transaction():
        store.put("duplicaterule", rule_id, {**rule, "statecode": 0, "statuscode": 0})
    return Answer(204)


def create_entities(store: Store, call: Call) -> Answer:
    """The action by which the vendor's SDK makes a table: one entity with its columns."""
    entities = call.json().get("Entities") or []
    if len(entities) != 1:
        raise payload_error("the emulator makes one table a call")
    demand_named(store, call.caller, "prvCreateEntity")
    made = create_table(store, call, entities[0])
    context = f"{call.base_url}$metadata#Microsoft.Dynamics.CRM.CreateEntitiesResponse"
    return answer_json({"@odata.context": context}, headers=made.headers)


def _job_answer(call: Call, kind: str, job_id: str) -> Answer:
    return answer_json({"@odata.context": f"{call.base_url}$metadata#Microsoft.Dynamics.CRM.{kind}", "JobId": job_id})


def _reference(store: Store, named: Any) -> tuple[Table, str]:
    """The table and id of an entity reference such as `{"contactid": ..., "@odata.type": ...}`."""
    kind = str((named or {}).get("@odata.type", "")).removeprefix("#").removeprefix(_PREFIX)
    if kind not in store.data:
        raise payload_error("an entity reference needs an @odata.type of a table that exists")
    table = store.data[kind].table
    row_id = named.get(table.id_column)
    if not isinstance(row_id, str):
        raise payload_error(f"an entity reference to {kind} needs its {table.id_column}")
    return table, row_id.lower()


def _named_row(store: Store, named: Any) -> tuple[TableRows, str]:
    table, row_id = _reference(store, named)
    rows = store.data[table.logical]
    existing(rows, row_id)
    return rows, row_id


def _update_as_system(store: Store, table: Table, row_id: str, content: Row) -> None:
    changes = read_payload(store, table, content, creating=False)
    row = {**store.data[table.logical].rows[row_id], **changes}
    kept = {name: value for name, value in row.items() if value is not None}
    store.put(table.logical, row_id, _stamped(store, kept))


def _reparent(store: Store, logical: str, old_id: str, new_id: str) -> None:
    for child, column in store.dependents[logical]:
        for child_id in child.ids_where(column.property_name, [old_id]):
            row = child.rows[child_id]
            if column.name != "masterid" and _points_at(row, column, logical):
                store.put(child.table.logical, child_id, {**row, column.property_name: new_id})


def _points_at(row: Row, column: Column, logical: str) -> bool:
    return len(column.targets) == 1 or row.get(type_property(column)) == logical


def _retire(store: Store, rows: TableRows, row_id: str, master_id: str) -> None:
    state = list(rows.table.states)[-1]
    reason = list(rows.table.states[state][1])[-1]
    ended = {"statecode": state, "statuscode": reason, "merged": True, "_masterid_value": master_id}
    store.put(rows.table.logical, row_id, _stamped(store, {**rows.rows[row_id], **ended}))


def _stamped(store: Store, row: Row) -> Row:
    return {**row, "modifiedon": store.clock.stamp(), "_modifiedby_value": SYSTEM_USER}


def _add_member(store: Store, caller: Caller, list_id: str, table: Table, member_id: str) -> None:
    payload = {
        "listid@odata.bind": f"/lists({list_id})",
        f"entityid_{table.logical}@odata.bind": f"/{table.set_name}({member_id})",
    }
    create_row(store, store.data["listmember"].table, payload, replace(caller, trusted=True))


FUNCTIONS = {
    "WhoAmI": who_am_i,
    "RetrieveTotalRecordCount": retrieve_total_record_count,
    "RetrieveMetadataChanges": retrieve_metadata_changes,
    "RetrieveRolePrivilegesRole": retrieve_role_privileges,
}
ACTIONS = {
    "Merge": merge,
    "AddListMembersList": add_list_members,
    "DeleteRecordChangeHistory": delete_record_change_history,
    "BulkDelete": bulk_delete,
    "ReactivateEntityKey": reactivate_key,
    "UnpublishDuplicateRule": unpublish_rule,
    "CreateEntities": create_entities,
}

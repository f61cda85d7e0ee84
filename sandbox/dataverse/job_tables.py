"""The tables of work that the server does by itself: system jobs, bulk deletions, duplicate detection rules."""

from __future__ import annotations

from .columns import States, choice, lookup, memo, numbered, table, text, whole

JOB_STATES: States = {
    0: ("Ready", {0: "Waiting For Resources"}),
    2: ("Locked", {20: "In Progress"}),
    3: ("Completed", {30: "Succeeded", 31: "Failed"}),
}
RULE_STATES: States = {
    0: ("Inactive", {0: "Unpublished", 1: "Publishing"}),
    1: ("Active", {2: "Published"}),
}

ASYNC_OPERATION = table(
    "asyncoperation",
    "asyncoperations",
    "name",
    text("name", 256),
    whole("operationtype"),
    memo("data", 1073741823),
    states=JOB_STATES,
    bulk=False,
    change_tracking=False,
    schema_name="AsyncOperation",
    type_code=4700,
)

BULK_DELETE_OPERATION = table(
    "bulkdeleteoperation",
    "bulkdeleteoperations",
    "name",
    text("name", 256),
    whole("successcount"),
    whole("failurecount"),
    lookup("asyncoperationid", ("asyncoperationid", "asyncoperation"), on_delete="cascade"),
    states=JOB_STATES,
    bulk=False,
    change_tracking=False,
    schema_name="BulkDeleteOperation",
    type_code=4424,
)

DUPLICATE_RULE = table(
    "duplicaterule",
    "duplicaterules",
    "name",
    text("name", 160),
    text("baseentityname", 100),
    text("matchingentityname", 100),
    states=RULE_STATES,
    bulk=False,
    change_tracking=False,
    schema_name="DuplicateRule",
    type_code=4414,
)

DUPLICATE_RULE_CONDITION = table(
    "duplicaterulecondition",
    "duplicateruleconditions",
    "duplicateruleconditionid",
    text("baseattributename", 50),
    text("matchingattributename", 50),
    choice("operatorcode", numbered(0, "Exact Match", "Same First Characters", "Same Last Characters")),
    whole("operatorparam"),
    lookup("regardingobjectid", ("regardingobjectid", "duplicaterule"), on_delete="cascade"),
    bulk=False,
    change_tracking=False,
    schema_name="DuplicateRuleCondition",
    type_code=4416,
)

JOB_TABLES = (ASYNC_OPERATION, BULK_DELETE_OPERATION, DUPLICATE_RULE, DUPLICATE_RULE_CONDITION)

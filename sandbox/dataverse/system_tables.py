"""The tables that describe the environment itself: the organisation and the flows that run in it."""

from __future__ import annotations

from .columns import States, choice, flag, memo, numbered, table, text, whole

WORKFLOW_STATES: States = {0: ("Draft", {1: "Draft"}), 1: ("Activated", {2: "Activated"})}
WORKFLOW_CATEGORIES = numbered(
    0, "Workflow", "Dialog", "Business Rule", "Action", "Business Process Flow", "Modern Flow", "Desktop Flow"
)

ORGANISATION = table(
    "organization",
    "organizations",
    "name",
    text("name", 160),
    whole("languagecode"),
    whole("expirechangetrackingindays"),
    flag("isauditenabled", default=True),
    bulk=False,
    change_tracking=False,
    schema_name="Organization",
    type_code=1019,
)

WORKFLOW = table(
    "workflow",
    "workflows",
    "name",
    text("name", 100),
    memo("description"),
    choice("category", WORKFLOW_CATEGORIES, default=5),
    choice("type", numbered(1, "Definition", "Activation", "Template"), default=1),
    text("primaryentity", 100),
    memo("clientdata", 1073741823),
    flag("triggeroncreate"),
    memo("triggeronupdateattributelist", 1073741823),
    states=WORKFLOW_STATES,
    bulk=False,
    schema_name="Workflow",
    type_code=4703,
)

SYSTEM_TABLES = (ORGANISATION, WORKFLOW)

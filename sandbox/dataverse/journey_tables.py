"""Tables of Customer Insights - Journeys around a send: mails, journeys, feature switches, matching rules of forms.

[U] marks columns that no public page names: the state of a feature, and the lookup of a matching attribute. States and
columns of a journey are those of generated metadata; its definition is JSON of which nothing is checked here.
"""

from __future__ import annotations

from .columns import States, choice, flag, lookup, memo, numbered, table, text

MAIL_STATES: States = {
    0: ("Active", {1: "Draft", 2: "Ready to send", 3: "Ready to send (editing)"}),
    1: ("Inactive", {100: "Inactive"}),
}

JOURNEY_STATES: States = {
    0: ("Draft", {1: "Draft"}),
    1: ("Live", {2: "Live"}),
    2: ("Stopped", {3: "Stopped"}),
    3: ("Publishing", {4: "Publishing"}),
    4: ("Deleted", {6: "Deleted"}),
    5: ("Completing", {7: "Completing"}),
    6: ("Completed", {8: "Completed"}),
    8: ("Stopping", {9: "Stopping"}),
}

EMAIL = table(
    "msdynmkt_email",
    "msdynmkt_emails",
    "msdynmkt_name",
    text("msdynmkt_name", 100),
    choice("msdynmkt_messagedesignation", numbered(534120000, "Commercial", "Transactional")),
    lookup("msdynmkt_purpose", ("msdynmkt_purpose", "msdynmkt_purpose")),
    lookup("msdynmkt_topic", ("msdynmkt_topic", "msdynmkt_topic")),
    lookup("msdynmkt_compliancesettings4", ("msdynmkt_compliancesettings4", "msdynmkt_compliancesettings4")),
    states=MAIL_STATES,
    starts_in_default_state=True,
    type_code=10421,
)

JOURNEY = table(
    "msdynmkt_journey",
    "msdynmkt_journeys",
    "msdynmkt_name",
    text("msdynmkt_name", 100),
    memo("msdynmkt_journeyjson", 1073741823),
    choice("msdynmkt_purpose", numbered(721460000, "Marketing", "Double Opt-In")),
    choice("msdynmkt_triggertype", numbered(0, "Recurring", "Ongoing", "OneTime", "Event")),
    states=JOURNEY_STATES,
    type_code=10425,
)

FEATURE = table(
    "msdynmkt_featureconfiguration",
    "msdynmkt_featureconfigurations",
    "msdynmkt_name",
    text("msdynmkt_name", 100),
    text("msdynmkt_uniquename", 100),
    flag("msdynmkt_featurestate"),
    type_code=10422,
)

MATCHING_STRATEGY = table(
    "msdynmkt_matchingstrategy",
    "msdynmkt_matchingstrategies",
    "msdynmkt_name",
    text("msdynmkt_name", 100),
    text("msdynmkt_targetentity", 100),
    flag("msdynmkt_matchinactiverecords"),
    type_code=10423,
)

MATCHING_ATTRIBUTE = table(
    "msdynmkt_matchingstrategyattribute",
    "msdynmkt_matchingstrategyattributes",
    "msdynmkt_name",
    text("msdynmkt_name", 100),
    lookup("msdynmkt_matchingstrategyid", ("msdynmkt_matchingstrategyid", "msdynmkt_matchingstrategy")),
    type_code=10424,
)

JOURNEY_TABLES = (EMAIL, JOURNEY, FEATURE, MATCHING_STRATEGY, MATCHING_ATTRIBUTE)

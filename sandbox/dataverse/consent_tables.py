"""The tables of consent in Customer Insights - Journeys: rows by address, purposes, topics, compliance profiles.

Values and lengths as the vendor's table reference has them; a publisher's options begin at its own number.
"""

from __future__ import annotations

from .columns import choice, lookup, memo, moment, numbered, table, text

_PUBLISHER = 534120000

POINT_TYPES = numbered(_PUBLISHER, "Email", "Text message", "Custom", "Voice")
CONSENT_TYPES = numbered(_PUBLISHER, "Purpose", "Topic")
CONSENT_VALUES = numbered(_PUBLISHER, "Not Set", "Opted In", "Opted Out")
CONSENT_SOURCES = numbered(
    _PUBLISHER,
    "Internal",
    "Preference page",
    "Text message",
    "Loaded",
    "Preference center",
    "Realtime form",
    "Subscription center",
    "List-unsubscribe",
)
CONSENT_REASONS = numbered(
    _PUBLISHER - 1,
    "No reason",
    "Opt-in ad",
    "Opt-in landing page",
    "Opt-in events",
    "Opt-out irrelevant",
    "Opt-out too frequent",
    "Opt-out didn't recall signing up",
    "Opt-out privacy",
    "One-click unsubscribe",
)
ENFORCEMENT = numbered(_PUBLISHER, "Restrictive", "Non-restrictive", "Disabled")

CONSENT = table(
    "msdynmkt_contactpointconsent4",
    "msdynmkt_contactpointconsent4s",
    "msdynmkt_contactpointvalue",
    text("msdynmkt_contactpointvalue", 400, required=True),
    choice("msdynmkt_contactpointtype", POINT_TYPES, required=True),
    choice("msdynmkt_contactpointconsenttype", CONSENT_TYPES, required=True),
    choice("msdynmkt_value", CONSENT_VALUES, required=True),
    choice("msdynmkt_source", CONSENT_SOURCES, default=_PUBLISHER),
    choice("msdynmkt_logicalreason", CONSENT_REASONS, required=True),
    lookup("msdynmkt_purposeid", ("msdynmkt_purposeId", "msdynmkt_purpose"), required=True, on_delete="restrict"),
    lookup("msdynmkt_topicid", ("msdynmkt_topicId", "msdynmkt_topic"), on_delete="restrict"),
    text("msdynmkt_reason", 500),
    text("msdynmkt_modifiedonbehalf", 500),
    moment("msdynmkt_migrationtimestamp"),
    type_code=10401,
)

PURPOSE = table(
    "msdynmkt_purpose",
    "msdynmkt_purposes",
    "msdynmkt_name",
    text("msdynmkt_name", 100, required=True),
    memo("msdynmkt_description"),
    choice("msdynmkt_type", numbered(_PUBLISHER, "Commercial", "Transactional", "Tracking")),
    *(choice(f"msdynmkt_{way}enforcementmodel", ENFORCEMENT) for way in ("", "sms", "custom", "voice")),
    lookup(
        "msdynmkt_uionlycomplianceprofilelookup",
        ("msdynmkt_UIOnlyComplianceProfileLookup", "msdynmkt_compliancesettings4"),
    ),
    type_code=10402,
)

TOPIC = table(
    "msdynmkt_topic",
    "msdynmkt_topics",
    "msdynmkt_name",
    text("msdynmkt_name", 100, required=True),
    memo("msdynmkt_description"),
    lookup("msdynmkt_purposeid", ("msdynmkt_purposeId", "msdynmkt_purpose"), on_delete="restrict"),
    type_code=10403,
)

COMPLIANCE = table(
    "msdynmkt_compliancesettings4",
    "msdynmkt_compliancesettings4s",
    "msdynmkt_name",
    text("msdynmkt_name", 100, required=True),
    text("msdynmkt_legaladdress", 500),
    choice("msdynmkt_jurisdiction", numbered(_PUBLISHER, "GDPR-CCPA", "Other")),
    choice(
        "msdynmkt_consentlinktype",
        numbered(_PUBLISHER, "Preference page", "Subscription center", "External link", "Preference center"),
    ),
    text("msdynmkt_consentlink", 2000),
    lookup("msdynmkt_consentproviderid", ("msdynmkt_ConsentProviderId", "msdynmkt_consentprovider")),
    lookup("msdynmkt_trackingconsentpurpose", ("msdynmkt_TrackingConsentPurpose", "msdynmkt_purpose")),
    choice("msdynmkt_doistatus", numbered(_PUBLISHER, "Not enabled", "Enabled", "Deprecated")),
    type_code=10404,
)

CONSENT_PROVIDER = table(
    "msdynmkt_consentprovider",
    "msdynmkt_consentproviders",
    "msdynmkt_name",
    text("msdynmkt_name", 100, required=True),
    text("msdynmkt_consentcheckurltemplate", 100),
    type_code=10405,
)

CONSENT_TABLES = (CONSENT, PURPOSE, TOPIC, COMPLIANCE, CONSENT_PROVIDER)

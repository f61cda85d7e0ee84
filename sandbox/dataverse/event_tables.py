"""The tables of event management. Their navigation properties differ in case from table to table, as published."""

from __future__ import annotations

from .columns import choice, flag, lookup, memo, moment, numbered, table, text, whole

_PUBLISHED = numbered(100000000, "Draft", "Ready to go live", "In progress", "Live", "Cancelled", "Going live")

EVENT = table(
    "msevtmgt_event",
    "msevtmgt_events",
    "msevtmgt_name",
    text("msevtmgt_name", 100, required=True),
    text("msevtmgt_readableeventid", 100),
    memo("msevtmgt_description"),
    moment("msevtmgt_eventstartdate"),
    moment("msevtmgt_eventenddate"),
    whole("msevtmgt_eventtimezone"),
    choice("msevtmgt_eventformat", numbered(100000001, "On-site event", "Webinar event", "Hybrid event")),
    choice(
        "msevtmgt_eventtype",
        numbered(100000001, "Executive Briefing", "Conference", "Demonstration", "Training", "Webcast"),
    ),
    choice("msevtmgt_publishstatus", _PUBLISHED, default=100000000),
    choice("msevtmgt_sourcesystem", numbered(100000001, "Outbound", "Real-time")),
    whole("msevtmgt_maximumeventcapacity"),
    whole("msevtmgt_registrationcount"),
    whole("msevtmgt_checkincount"),
    type_code=10411,
)

REGISTRATION = table(
    "msevtmgt_eventregistration",
    "msevtmgt_eventregistrations",
    "msevtmgt_name",
    text("msevtmgt_name", 100),
    lookup("msevtmgt_contactid", ("msevtmgt_ContactId", "contact")),
    lookup("msevtmgt_eventid", ("msevtmgt_EventId", "msevtmgt_event"), on_delete="cascade"),
    lookup("msevtmgt_registeredby", ("msevtmgt_registeredby", "contact")),
    flag("msevtmgt_iscanceled"),
    text("msevtmgt_registrationstatus", 100),
    choice("msevtmgt_internalregistrationstatus", numbered(100000000, "New", "Ready")),
    choice("msevtmgt_primaryrole", numbered(100000000, "Attendee", "Journalist", "Other")),
    choice(
        "msevtmgt_publishingstate",
        numbered(100000000, "Pending", "Published", "Parent failed", "Failed", "Provider error"),
    ),
    text("msevtmgt_qrcode", 100),
    text("msevtmgt_registrationid", 100),
    whole("msevtmgt_timescheckedin"),
    moment("msevtmgt_originaltimestamp"),
    flag("msevtmgt_createdfromapi"),
    text("msevtmgt_correlationid", 100),
    type_code=10412,
)

SESSION = table(
    "msevtmgt_session",
    "msevtmgt_sessions",
    "msevtmgt_name",
    text("msevtmgt_name", 100, required=True),
    lookup("msevtmgt_event", ("msevtmgt_Event", "msevtmgt_event"), on_delete="cascade"),
    moment("msevtmgt_starttime"),
    moment("msevtmgt_endtime"),
    text("msevtmgt_sessioncode", 100),
    whole("msevtmgt_sessionmaxcapacity"),
    choice("msevtmgt_publishstatus", _PUBLISHED, default=100000000),
    type_code=10413,
)

SESSION_REGISTRATION = table(
    "msevtmgt_sessionregistration",
    "msevtmgt_sessionregistrations",
    "msevtmgt_name",
    text("msevtmgt_name", 100),
    lookup("msevtmgt_registrationid", ("msevtmgt_RegistrationID", "msevtmgt_eventregistration"), on_delete="cascade"),
    lookup("msevtmgt_sessionid", ("msevtmgt_SessionId", "msevtmgt_session"), on_delete="cascade"),
    lookup("msevtmgt_contactid", ("msevtmgt_ContactId", "contact")),
    lookup("msevtmgt_event", ("msevtmgt_Event", "msevtmgt_event"), on_delete="cascade"),
    flag("msevtmgt_iscanceled"),
    type_code=10414,
)

CHECK_IN = table(
    "msevtmgt_checkin",
    "msevtmgt_checkins",
    "msevtmgt_name",
    text("msevtmgt_name", 100),
    lookup("msevtmgt_registrationid", ("msevtmgt_RegistrationId", "msevtmgt_eventregistration"), on_delete="cascade"),
    lookup("msevtmgt_contact", ("msevtmgt_Contact", "contact")),
    lookup("msevtmgt_event", ("msevtmgt_Event", "msevtmgt_event"), on_delete="cascade"),
    lookup("msevtmgt_sessionattended", ("msevtmgt_SessionAttended", "msevtmgt_session")),
    moment("msevtmgt_checkintime"),
    moment("msevtmgt_checkouttime"),
    choice("msevtmgt_checkintype", numbered(100000000, "Session", "Event")),
    type_code=10415,
)

EVENT_TABLES = (EVENT, REGISTRATION, SESSION, SESSION_REGISTRATION, CHECK_IN)

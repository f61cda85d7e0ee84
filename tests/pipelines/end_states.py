"""What two systems must agree on that took the same in, however the work was cut: the store's facts and the CRM's rows."""

import hashlib
import json
import re
from collections import Counter

from tests.pipelines.conftest import World

# What the store says of whom, without ids that are random or made of what came first, times of recording and runs.
FACTS = {
    "addresses": "select address_key, is_role_address from intake.contact_point",
    "people": "select c.address_key, p.given_name, p.family_name, p.phone, p.organisation from intake.person p"
    " join intake.contact_point c using (contact_point_id)",
    "purposes": "select c.address_key, p.given_name, u.purpose, u.begins_at, u.ends_at from intake.person_purpose u"
    " join intake.person p using (person_id) join intake.contact_point c on c.contact_point_id = u.contact_point_id",
    "registrations": "select source, submission_id, status, registered_at, is_sale, is_payer, notice_shown"
    " from intake.registration",
    "events": "select encode(event_key, 'hex'), purpose, topic, value, actor, clock, occurred_at, effective_at, reason, source"
    " from intake.consent_event",
    "consents": "select c.address_key, s.purpose, s.topic, s.state from intake.consent_state s"
    " join intake.contact_point c using (contact_point_id)",
}
CONTACT = ("firstname", "lastname", "emailaddress1", "mobilephone", "donotbulkemail", "followemail")
CONSENT = ("msdynmkt_contactpointvalue", "msdynmkt_value", "_msdynmkt_purposeid_value", "_msdynmkt_topicid_value")

# Of every other column of ours: chance (ids, salts), the clock (times of recording), or the way the work was cut.
_BY_CHANCE = ("uuid", "_uuid", "bytea", "int8")
_OF_THE_WAY = {
    "landed_at", "gate", "moved_at", "first_seen_at", "created_at", "recorded_at", "acked_at", "kept_at", "read_at",
    "made_at", "since_at", "expires_at", "row_no", "batch_row_no", "address", "found_at", "position", "detail", "origin",
}  # fmt: skip
# Tables of the way itself: runs, plans, images, locks, links of the chain. What is asked of the CRM is in ASKED.
_TABLES_OF_THE_WAY = {
    "run", "run_count", "plan", "staged_group", "reading", "row_image", "lock_fence", "outbox_intent", "crm_cursor",
    "landing", "landing_key", "ledger_head", "ledger_group", "alembic_version", "crm_row",
}  # fmt: skip
# Of two batches with the same row the first that is merged applies it, and the other finds it unchanged; where one merge
# takes both, the later one is it. So the row has the times of either. A feed that says the same on two days is one batch,
# of the day that was landed first.
_OF_THE_ORDER = {
    ("batch", "received_at"), ("batch", "received_on"),
    ("row_outcome", "state"), ("row_outcome", "reason"), ("row_outcome", "effects"),
    ("submission", "received_at"), ("occasion", "version_at"), ("consent_event", "nth"),
}  # fmt: skip

# What was asked of the CRM in one synchronisation, and what it is then known to hold; without run, times and row ids.
ASKED = {
    "outbox_intent": "select contact_point_id, phase, method, table_name, is_raising, valid_until, columns, before, state,"
    " status, code from intake.outbox_intent",
    "crm_row": "select contact_point_id, table_name, is_ours, columns, written, edits from intake.crm_row",
}
# Who has an id that is made of the submission that came first: a person's may be that of the address.
_WHOSE = """
select contact_point_id::text, address_key from intake.contact_point
union select p.person_id::text, c.address_key from intake.person p join intake.contact_point c using (contact_point_id)"""
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PREFERENCE_LINK = re.compile(r"/p/[\w-]+")  # signs a contact's id


def facts(world: World, name: str) -> set[tuple[str, ...]]:
    return {tuple(map(str, row)) for row in world.rows(FACTS[name])}


def digest(rows: set[tuple[str, ...]]) -> str:
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def crm_rows(world: World, entity_set: str, columns: tuple[str, ...]) -> list[list[str]]:
    """The rows of a set; in lower case, since an address is spelt as in the delivery that came first, here or there."""
    rows = world.sandbox.emulator.control.rows(entity_set)
    return sorted([str(row.get(column)).lower() for column in columns] for row in rows)


def asked_of_crm(world: World, table: str) -> Counter[str]:
    """How often each row of a table of ASKED is there, in lower case, with addresses in the place of ids of people."""
    whose = dict(world.rows(_WHOSE))
    rows = (json.dumps(row, default=str).lower() for row in world.rows(ASKED[table]))
    return Counter(_PREFERENCE_LINK.sub("/p/", _ID.sub(lambda id_: whose.get(id_[0], id_[0]), row)) for row in rows)


def store_digests(world: World) -> dict[str, str]:
    """By table of ours a hash of its rows, and by column one of its values, so that a difference has a name.

    Up to ids, salts, times of recording, and how the work was cut.
    """
    found = world.rows(
        "select table_name, column_name from information_schema.columns where table_schema = 'intake'"
        " and udt_name <> all(:chance) order by 1, 2",
        chance=list(_BY_CHANCE),
    )
    columns: dict[str, list[str]] = {}
    for table, column in found:
        is_of_the_way = table in _TABLES_OF_THE_WAY or column in _OF_THE_WAY
        if not is_of_the_way and (table, column) not in _OF_THE_ORDER:
            columns.setdefault(table, []).append(column)
    whole = {table: _digest_of(world, table, names) for table, names in columns.items()}
    each = {f"{table}.{name}": _digest_of(world, table, [name]) for table, names in columns.items() for name in names}
    return whole | each


def _digest_of(world: World, table: str, columns: list[str]) -> str:
    rows = world.rows(f"select {', '.join(columns)} from intake.{table}")
    return digest({(str(number), *map(str, row)) for number, row in enumerate(sorted(rows, key=str))})

"""What went over the wire, checked against the ledger: the rules that stand above all others.

Reads the emulator's log of requests and the ledger's rows with the times at which they were recorded (one machine, one
clock), and folds what was recorded before a request by the tests' own model. `check_wire` raises AssertionError.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.invariants.model import MARKETING, RELATED, Address, Facts, Said
from tests.invariants.world import CONSENTS, OPTED_IN, OPTED_OUT, REGISTRATIONS, World

BULK = re.compile(r"(\w+)/Microsoft\.Dynamics\.CRM\.UpsertMultiple\Z")
ROW = re.compile(r"(\w+)\(([0-9a-f-]{36})\)\Z")
FLAG = "donotbulkemail"
SHUT = {FLAG: True, "followemail": False}
MARKETING_ONLY = {"firstname", "lastname", "emailaddress1", FLAG, "followemail", "crmi_preferencelink"}
CONSENT_COLUMNS = {
    "msdynmkt_contactpointvalue",
    "msdynmkt_contactpointtype",
    "msdynmkt_contactpointconsenttype",
    "msdynmkt_value",
    "msdynmkt_purposeId@odata.bind",
    "msdynmkt_topicId@odata.bind",
    "msdynmkt_source",
    "msdynmkt_logicalreason",
    "msdynmkt_reason",
}


@dataclass(frozen=True)
class Sent:
    """One row in one request. `is_bulk` tells an upsert, which may make the row; `columns` are as sent."""

    sequence: int
    received_at: datetime
    method: str
    set_name: str
    row_id: str
    columns: dict[str, Any]
    is_bulk: bool
    committed: bool

    @property
    def is_lowering(self) -> bool:
        """An opt-out, a flag that shuts an existing contact, a cancellation."""
        if self.set_name == CONSENTS:
            return self.columns.get("msdynmkt_value") == OPTED_OUT
        if self.set_name == "contacts":
            return not self.is_bulk and self.columns.get(FLAG) is True
        return self.set_name == REGISTRATIONS and not self.is_bulk and self.columns.get("msevtmgt_iscanceled") is True

    @property
    def is_raising(self) -> bool:
        """An opt-in, a flag that opens, a new contact or registration, a column of a purpose."""
        if self.method == "DELETE" or self.is_lowering:
            return False
        return any(value is not None for value in self.columns.values()) and self.set_name != "msevtmgt_events"


def sent_rows(requests: Iterable[Mapping[str, Any]]) -> Iterator[Sent]:
    """Every row written by these requests, in the order in which the requests were taken up."""
    for entry in requests:
        at = datetime.fromisoformat(entry["received_at"])
        if bulk := BULK.match(entry["path"]):
            for target in (entry["body"] or {}).get("Targets", []):
                yield _sent(entry, at, entry, (bulk[1], target["@odata.id"]), target)
        for part in entry.get("operations", []):
            if part["method"] in ("PATCH", "DELETE"):
                yield _sent(entry, at, part, (part["path"].partition("(")[0], part["path"]), part["body"] or {})


def _sent(
    entry: Mapping[str, Any], at: datetime, part: Mapping[str, Any], row: tuple[str, str], columns: Mapping[str, Any]
) -> Sent:
    found = ROW.match(row[1])
    assert found is not None, "a row is written by its id"
    plain = {name: value for name, value in columns.items() if not name.startswith("@")}
    committed = bool(part.get("committed")) and bool(entry.get("committed"))
    return Sent(entry["sequence"], at, part["method"], row[0], found[2], plain, part is entry, committed)


@dataclass(frozen=True)
class Ledger:
    """The ledger with the time at which each event was recorded, and what else can make a purpose live."""

    events: list[tuple[datetime, Said]]
    persons: dict[str, list[str]]
    sold: set[str]
    active: set[str]

    def address(self, address: str, purpose: str, before: datetime) -> Address:
        """What was decided about one address by then."""
        said = [s for recorded_at, s in self.events if recorded_at < before and s.address == address]
        return Address(Facts(said), self.persons.get(address, []), purpose)


_POINTS = "join intake.contact_point c using (contact_point_id)"
EVENTS = f"""
select e.recorded_at, c.address_key, s.given_key, e.purpose, e.topic, e.value, e.clock, e.effective_at, e.received_at
from intake.consent_event e {_POINTS} join intake.subject s on s.subject_id = e.subject_id
"""
PERSONS = f"select c.address_key, s.given_key from intake.subject s {_POINTS} where s.has_ground"
REGISTERED = f"select distinct c.address_key, g.is_sale and g.notice_shown from intake.registration g {_POINTS}"
ASKED = f"select distinct c.address_key from intake.submission u {_POINTS} where u.is_enquiry"


def read_ledger(world: World) -> Ledger:
    """The ledger as it stands, straight from its tables."""
    persons: dict[str, list[str]] = {}
    for address, given in world.query(PERSONS):
        persons.setdefault(address, []).append(given)
    registered = world.query(REGISTERED)
    return Ledger(
        [(row.recorded_at, _recorded(row)) for row in world.query(EVENTS)],
        {address: _persons(names) for address, names in persons.items()},
        {address for address, is_sold in registered if is_sold},
        {address for address, _ in registered} | {address for (address,) in world.query(ASKED)},
    )


def _recorded(row: Any) -> Said:
    at = row.effective_at
    return Said(
        row.address_key, row.given_key, row.value, row.clock, at, at, row.received_at, row.topic or None, row.purpose
    )


def _persons(names: Sequence[str]) -> list[str]:
    full = sorted(name for name in names if name)
    return full if len(full) == 1 or "" not in names else [*full, ""]


def check_wire(world: World, *, since: int = 0) -> None:
    """Every request (after a point of the log) keeps the rules above all, by the ledger and the people as they are now."""
    sent = list(sent_rows(world.requests()))
    ledger = read_ledger(world)
    identity: dict[tuple[str, str], dict[str, Any]] = {}
    opted_in: set[str] = set()
    for one in sent:
        known = identity.setdefault((one.set_name, one.row_id), {})
        known.update({name: value for name, value in one.columns.items() if value is not None})
        if one.method == "DELETE":
            continue
        if one.set_name == CONSENTS:
            if one.sequence > since:
                _check_consent(one, known, ledger, world)
            if one.committed and one.columns.get("msdynmkt_value") == OPTED_IN and _names(known, world)[0] == MARKETING:
                opted_in.add(known["msdynmkt_contactpointvalue"].lower())
        elif one.set_name == "contacts":
            if one.sequence > since:
                _check_contact(one, known, ledger)
            is_opened = one.columns.get(FLAG) is False
            assert not is_opened or known["emailaddress1"].lower() in opted_in, "the flag went before its consent row"
    check_order(sent, sorted({*world.syncs, *_readings(world)}))


def _readings(world: World) -> list[int]:
    """Where the CRM's changes were read: a plan made anew after a conflict knows what nobody knew before that."""
    return [
        entry["sequence"]
        for entry in world.requests()
        for part in (entry, *entry.get("operations", []))
        if "deltatoken" in part["query"]
    ]


def _check_consent(one: Sent, known: Mapping[str, Any], ledger: Ledger, world: World) -> None:
    assert set(one.columns) <= CONSENT_COLUMNS, "a consent row carries the listed columns only"
    if one.columns.get("msdynmkt_value") != OPTED_IN:
        return
    address = known["msdynmkt_contactpointvalue"].lower()
    purpose, topic = _names(known, world)
    folded = ledger.address(address, purpose, one.received_at)
    if purpose == MARKETING:
        assert folded.is_granted() is True, "an opt-in was sent without a grant recorded before"
        assert topic == "" or folded.has_topic(topic), "a topic was opted in without a grant recorded before"
    else:
        assert purpose == RELATED, "only marketing and news of similar events are ever opted in"
        assert address in ledger.sold, "news of similar events begin with a purchase only"
        assert folded.is_granted() is not False, "an objection was recorded before"


def _names(known: Mapping[str, Any], world: World) -> tuple[str, str]:
    for name, target in world.workspace.policy.crm.purposes.items():
        if known["msdynmkt_purposeId@odata.bind"] == f"/msdynmkt_purposes({target.purpose_id})":
            topic = known.get("msdynmkt_topicId@odata.bind")
            topics = {f"/msdynmkt_topics({found})": title for title, found in target.topics.items()}
            return name, topics[topic] if topic else ""
    raise AssertionError("a purpose that the policy does not have")


def _check_contact(one: Sent, known: Mapping[str, Any], ledger: Ledger) -> None:
    address = known["emailaddress1"].lower()
    folded = ledger.address(address, MARKETING, one.received_at)
    if one.is_bulk:
        assert SHUT.items() <= one.columns.items(), "a contact is made shut"
    if one.is_raising:
        assert address in ledger.active or folded.is_granted(), "nobody is sent for whom no purpose lives"
    if one.columns.get(FLAG) is False:
        assert folded.is_granted() is True, "a flag was raised without a grant recorded before"
    if address not in ledger.active:
        shown = {name for name, value in one.columns.items() if value is not None}
        assert shown <= MARKETING_ONLY, "marketing shows a name and an address, nothing else"
    assert one.columns.get("followemail") is not True


def check_order(sent: Sequence[Sent], syncs: Sequence[int]) -> None:
    """From each beginning of a synchronisation, or reading of changes, to the next all that lowers goes before what raises."""
    ends = [*syncs[1:], 2**62]
    for since, until in zip(syncs, ends, strict=True):
        within = [one for one in sent if since < one.sequence <= until]
        lowered = [one.sequence for one in within if one.is_lowering]
        raised = [one.sequence for one in within if one.is_raising]
        assert not lowered or not raised or max(lowered) < min(raised), "something was raised before all was lowered"

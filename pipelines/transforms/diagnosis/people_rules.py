"""Audits over contacts and consent rows, in counts only: D2, D5, D6, D8, D10."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from pipelines.transforms.diagnosis.facts import People
from pipelines.transforms.diagnosis.findings import Finding, Gap, Row, fails, of_rows, ok, unknown, warning
from pipelines.transforms.emails import canonical_address
from schemas.policy import Policy
from schemas.tables import ConsentRowType, ConsentValue

CONTACT_COLUMNS = ("contactid", "emailaddress1", "donotbulkemail", "donotemail", "statecode")
CONSENT_COLUMNS = (
    "msdynmkt_contactpointconsent4id",
    "msdynmkt_contactpointvalue",
    "msdynmkt_contactpointtype",
    "msdynmkt_contactpointconsenttype",
    "msdynmkt_value",
    "_msdynmkt_purposeid_value",
    "_msdynmkt_topicid_value",
    "statecode",
)
MARKETING = "marketing"
_FLAGS = ("donotbulkemail", "donotemail")

AddressRule = Callable[[Sequence[Row], Mapping[str, set[object]]], Iterator[Finding]]
"""Of the active contacts, and by address the values of its rows for marketing as a whole."""


def address_key(address: object) -> str:
    """What two writings of one address have in common; its lower case where it is no address."""
    text = str(address or "").strip()
    return canonical_address(text).key or text.casefold()


def mirrored_withdrawals(people: People, policy: Policy) -> list[Finding]:
    """D2: the preference centre never writes a contact's flags, so what reads only these misses a withdrawal."""

    def rule(contacts: Sequence[Row], values: Mapping[str, set[object]]) -> Iterator[Finding]:
        lowered = {key for key, found in values.items() if ConsentValue.OPTED_OUT in found}
        open_ = {address_key(row.get("emailaddress1")) for row in contacts if row.get("donotbulkemail") is False}
        hidden = list(_hidden_flags(contacts, ("donotbulkemail",)))
        yield from hidden
        if missed := len(lowered & open_):
            yield warning(f"{missed} addresses are Opted Out of marketing while a contact's flag still allows it.")
        elif not hidden:
            yield from ok("No contact's flag allows what its address is Opted Out of.")

    return _of_people(people, policy, rule)


def shared_addresses(people: People, policy: Policy) -> list[Finding]:
    """D8: an address that several contacts share may be Opted In only if none of them forbids it.

    A flag that is as the CRM acknowledged it from us forbids nothing: it says that we know of no purpose.
    """

    def rule(contacts: Sequence[Row], values: Mapping[str, set[object]]) -> Iterator[Finding]:
        sharing = defaultdict(list)
        for row in contacts:
            sharing[address_key(row.get("emailaddress1"))].append(row)
        granted = {key for key, found in values.items() if ConsentValue.OPTED_IN in found}
        against = [
            key
            for key, rows in sharing.items()
            if len(rows) > 1 and key in granted and any(_forbids(row, people) for row in rows)
        ]
        hidden = list(_hidden_flags(contacts, _FLAGS))
        yield from hidden
        if against:
            yield fails(f"{len(against)} shared addresses are Opted In although one of their contacts forbids it.")
        elif not hidden:
            yield from ok("No shared address is Opted In against one of its contacts.")

    return _of_people(people, policy, rule)


def _forbids(row: Row, people: People) -> bool:
    ours = people.acknowledged.get(str(row["contactid"]), {})
    return any(row.get(flag) is True and ours.get(flag) is not True for flag in _FLAGS)


def _hidden_flags(contacts: Sequence[Row], flags: Sequence[str]) -> Iterator[Finding]:
    """A flag is never empty; it reads so where column security hides it from us."""
    hidden = sum(any(row.get(flag) is None for flag in flags) for row in contacts)
    if hidden:
        yield unknown(f"{hidden} contacts do not show us {' and '.join(flags)}.")


def duplicate_rows(people: People, _policy: Policy) -> list[Finding]:
    """D5: nothing keeps two consent rows for one address, purpose and topic from standing side by side."""

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        groups: dict[tuple[object, ...], list[object]] = defaultdict(list)
        for row in rows:
            groups[_what_it_is_for(row)].append(row.get("msdynmkt_value"))
        doubled = [values for values in groups.values() if len(values) > 1]
        at_odds = sum(len(set(values)) > 1 for values in doubled)
        if at_odds:
            yield fails(f"{at_odds} addresses have several rows for one purpose or topic that contradict each other.")
        if len(doubled) > at_odds:
            yield warning(f"{len(doubled) - at_odds} addresses have several rows for one purpose or topic that agree.")
        if not doubled:
            yield from ok(f"{len(rows)} consent rows, none of them twice.")

    return of_rows(people.consents, rule)


def _what_it_is_for(row: Row) -> tuple[object, ...]:
    names = ("msdynmkt_contactpointtype", "_msdynmkt_purposeid_value", "_msdynmkt_topicid_value")
    return address_key(row.get("msdynmkt_contactpointvalue")), *(row.get(name) for name in names)


def deactivated_rows(people: People, _policy: Policy) -> list[Finding]:
    """D6: a deactivated consent row stays in force, so whoever deactivated an Opted In one changed nothing."""

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        inactive = [row for row in rows if row.get("statecode") == 1]
        still_in = sum(row.get("msdynmkt_value") == ConsentValue.OPTED_IN for row in inactive)
        if still_in:
            yield fails(f"{still_in} consent rows were deactivated and are Opted In all the same.")
        else:
            yield from ok(f"None of {len(inactive)} deactivated consent rows is Opted In.")

    return of_rows(people.consents, rule)


def moved_addresses(people: People, _policy: Policy) -> list[Finding]:
    """D10: consent belongs to the address; a contact whose address is edited leaves it, and its withdrawals, behind."""

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        moved = 0
        for row in rows:
            ours = people.acknowledged.get(str(row["contactid"]), {}).get("emailaddress1")
            moved += ours is not None and address_key(ours) != address_key(row.get("emailaddress1"))
        if moved:
            yield warning(f"{moved} contacts of ours have another address in the CRM than we gave them.")
        else:
            yield from ok("Every contact of ours has the address that we gave it.")

    return of_rows(people.contacts, rule)


def _of_people(people: People, policy: Policy, rule: AddressRule) -> list[Finding]:
    target = policy.crm.purposes.get(MARKETING)
    if target is None:
        return [unknown("The policy has no purpose marketing in the CRM.")]
    contacts, consents = people.contacts, people.consents
    if isinstance(contacts, Gap) or isinstance(consents, Gap):
        return [unknown(gap) for gap in (contacts, consents) if isinstance(gap, Gap)]
    values: dict[str, set[object]] = defaultdict(set)
    for row in consents:
        is_whole = row.get("msdynmkt_contactpointconsenttype") == ConsentRowType.PURPOSE
        if is_whole and str(row.get("_msdynmkt_purposeid_value")) == str(target.purpose_id):
            values[address_key(row.get("msdynmkt_contactpointvalue"))].add(row.get("msdynmkt_value"))
    active = [row for row in contacts if row.get("statecode") == 0 and row.get("emailaddress1")]
    return list(rule(active, values))

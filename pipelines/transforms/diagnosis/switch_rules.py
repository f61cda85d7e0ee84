"""Switches and rules of Customer Insights - Journeys that decide how far a contact counts: D1, D7, D9."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pipelines.transforms.diagnosis.facts import Setup, TableFacts
from pipelines.transforms.diagnosis.findings import Finding, Gap, Row, fails, listed, of_rows, ok, unknown, warning
from schemas.policy import Policy
from schemas.tables import CONTACT

# Of the switch "Check contact consent for real-time journeys", without blanks and signs.
_SWITCH = "contactconsent"
_ENOUGH_TO_TELL_PEOPLE_APART = 2


def contact_flags(setup: Setup, policy: Policy) -> list[Finding]:
    """D1: Journeys looks at a contact's donot* flags only while a feature switch is on."""

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        states = [row.get("msdynmkt_featurestate") for row in rows if _is_switch(row, policy)]
        if not states or any(state not in (0, 1) for state in states):
            yield unknown(
                "The switch for contact consent checks is not among the features, or says neither on nor off."
            )
        elif not all(states):
            yield warning("The contact's flags are ignored: a no that stands only there does not stop a mail.")
        else:
            yield from ok("Journeys looks at the contact's flags too.")

    return of_rows(setup.of("features"), rule)


def _is_switch(row: Row, policy: Policy) -> bool:
    if policy.crm.contact_consent_switch is not None:
        return row.get("msdynmkt_uniquename") == policy.crm.contact_consent_switch
    names = (str(row.get(name) or "") for name in ("msdynmkt_uniquename", "msdynmkt_name"))
    return any(_SWITCH in "".join(filter(str.isalnum, name)).lower() for name in names)


def lasting_link(contact: TableFacts | Gap, policy: Policy) -> list[Finding]:
    """D7: unsubscribe links of the CRM's own expire after six months; a lasting one of ours has its column."""
    column = policy.crm.preference_link_column
    if column is None:
        return [fails("The policy names no column for a link of ours, so that mails have only the CRM's.")]
    if isinstance(contact, Gap):
        return [unknown(contact)]
    there, needed = contact.columns.get(column), CONTACT.columns[column].max_length
    if there is None:
        return [fails(f"The contact has no column {column}.")]
    if there.get("type") != "String" or not _is_at_least(there.get("max_length"), needed):
        return [fails(f"Column {column} is not a text column of {needed} characters or more.")]
    return ok(f"Column {column} is there.")


def _is_at_least(length: object, needed: int | None) -> bool:
    return isinstance(length, int) and length >= (needed or 1)


def matching_rules(setup: Setup, _policy: Policy) -> list[Finding]:
    """D9: where several contacts match a form, the latest updated is taken: a rule must tell people apart."""
    attributes = setup.of("matched_attributes")

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        of_contacts = [row for row in rows if row.get("msdynmkt_targetentity") == CONTACT.logical_name]
        untold = [row["msdynmkt_matchingstrategyid"] for row in rows if not row.get("msdynmkt_targetentity")]
        if untold:
            yield unknown(f"Matching rules that do not say whether they are for contacts: {listed(untold)}.")
        if isinstance(attributes, Gap):
            yield unknown(attributes) if of_contacts else ok("No matching rule is for contacts.")[0]
            return
        counts = Counter(str(row.get("_msdynmkt_matchingstrategyid_value")) for row in attributes)
        ids = [row["msdynmkt_matchingstrategyid"] for row in of_contacts]
        loose = [i for i in ids if counts[str(i)] < _ENOUGH_TO_TELL_PEOPLE_APART]
        if loose:
            yield warning(f"Matching rules by one column alone, which take the latest of several: {listed(loose)}.")
        else:
            yield from ok(f"Each of {len(ids)} matching rules for contacts looks at more than one column.")

    return of_rows(setup.of("matching"), rule)

"""What the CRM should hold of an address, laid over the rows that it has by itself. Pure.

A consent row that is there already is used instead of a second one, and every duplicate of it says the same. What the
ledger knows nothing of is left as it is (unmanaged) until somebody withdraws or the organisation cuts over; what is
suppressed is shut on every contact with the address, ours or not: lowering is always ours, raising never on others'.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipelines.transforms.adopted_rows import FLAG, purposes_by_bind
from pipelines.transforms.adoption import collation_fold
from pipelines.transforms.emails import canonical_address
from pipelines.transforms.minimise import (
    AddressView,
    AdoptedRow,
    RowKey,
    consent_row_id,
    living_purposes,
    minimise_address,
)
from schemas.policy import Policy
from schemas.tables import CONSENT, CONTACT, MARKER, NO_REASON, SOURCE_LOADED, ConsentValue

Rows = dict[RowKey, dict[str, Any]]
MARKETING = "marketing"
_MEMBER = "entityid_contact@odata.bind"
_FLAGS = (FLAG, "followemail")
_PROVENANCE = {"msdynmkt_source": SOURCE_LOADED, "msdynmkt_logicalreason": NO_REASON, "msdynmkt_reason": MARKER}


def desired_rows(view: AddressView, policy: Policy, *, now: datetime) -> Rows:
    """`minimise_address`, with the rows that the CRM had by itself in their places; a row absent is not ours to show."""
    rows = minimise_address(view, policy, now=now)
    for (table, row_id), adopted in view.adopted.items():
        if table == CONTACT.logical_name:
            _lay_over_contact(rows, (table, row_id), adopted, view)
    for (purpose, topic), keys in _adopted_consents(view, policy).items():
        _lay_over_consents(rows, (purpose, topic), keys, view=view, now=now)
    return rows


def is_managed(view: AddressView) -> bool:
    """Whether the ledger decides about mail to this address: somebody said something of marketing, or it is cut over."""
    return view.is_cut_over or (MARKETING, "") in view.consents


def _lay_over_contact(rows: Rows, key: RowKey, adopted: AdoptedRow, view: AddressView) -> None:
    state = view.consents.get((MARKETING, ""))
    if key not in rows:
        if state == "withdrawn" or (view.is_cut_over and state is None):
            rows[key] = {FLAG: True}
        return
    columns = rows[key]
    if not is_managed(view):
        columns = {name: value for name, value in columns.items() if name not in _FLAGS}
    spelled = adopted.columns.get("emailaddress1", "")
    if spelled.casefold() == view.address.casefold():
        columns = {**columns, "emailaddress1": spelled}
    elif spelled and columns.get("emailaddress1") == view.address and _is_another(spelled, view.address):
        # Somebody said that it is theirs, for another of its addresses. Its main one was not given to us, nor agreed to.
        kept = {name: value for name, value in columns.items() if name != "emailaddress1"}
        columns = {name: value for name, value in kept.items() if (name, value) != (FLAG, False)}
        for member in [name for name, row in rows.items() if row.get(_MEMBER) == f"/contacts({key[1]})"]:
            del rows[member]
    rows[key] = columns


def _is_another(one: str, other: str) -> bool:
    is_one = canonical_address(one).key == canonical_address(other).key
    return not is_one and collation_fold(one) != collation_fold(other)


def _adopted_consents(view: AddressView, policy: Policy) -> dict[tuple[str, str], list[RowKey]]:
    found: dict[tuple[str, str], list[RowKey]] = {}
    consents = {key: row.columns for key, row in view.adopted.items() if key[0] == CONSENT.logical_name}
    purposes = purposes_by_bind(policy) if consents else {}
    for key, columns in consents.items():
        named = purposes.get((columns.get("msdynmkt_purposeId@odata.bind"), columns.get("msdynmkt_topicId@odata.bind")))
        if named is not None:
            found.setdefault(named, []).append(key)
    return found


def _lay_over_consents(
    rows: Rows, named: tuple[str, str], keys: list[RowKey], *, view: AddressView, now: datetime
) -> None:
    purpose, topic = named
    own = CONSENT.logical_name, consent_row_id(view.contact_point_id, purpose, topic)
    wanted = rows.get(own)
    if own not in view.owned:
        rows.pop(own, None)
    for key in keys:
        columns = view.adopted[key].columns
        value = _value(wanted, columns, is_known=_is_known(purpose, view, now), is_cut_over=view.is_cut_over)
        if value is not None:
            rows[key] = {**columns, "msdynmkt_value": value, **_PROVENANCE}


def _value(
    wanted: Mapping[str, Any] | None, columns: Mapping[str, Any], *, is_known: bool, is_cut_over: bool
) -> int | None:
    """The value a row is to have; None where it is nobody's of ours to say."""
    if wanted is not None and is_known:
        return int(wanted["msdynmkt_value"])
    is_open = columns.get("msdynmkt_value") == ConsentValue.OPTED_IN
    return int(ConsentValue.OPTED_OUT) if is_cut_over and is_open else None


def _is_known(purpose: str, view: AddressView, now: datetime) -> bool:
    lives = any(purpose in living_purposes(person, now=now) for person in view.persons)
    return is_managed(view) or lives or (purpose, "") in view.consents

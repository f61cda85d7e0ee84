"""Consent rows of the CRM: what a change of one means. Pure.

Rows whose source is a page, form, centre, text message or list-unsubscribe are by the subject, and the last two opt nobody
in; all else is by staff, and only restricts. Deactivating a row has no effect in the CRM and deleting one leaves no trace,
but both are acts of somebody who wanted less: they withdraw what the row opted in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pipelines.transforms.crm_changes import (
    STATE,
    UNREGISTERED,
    CrmDecision,
    Finding,
    KnownRow,
    Noted,
    Told,
    differences,
    instant,
    modified_at,
    row_id_of,
    state_edit,
)
from pipelines.transforms.crm_contacts import MARKETING, RELATED
from pipelines.transforms.emails import canonical_address
from pipelines.transforms.readback import as_read, as_written
from schemas.consent import Actor, Value
from schemas.policy import Policy, RegisteredProfile
from schemas.tables import CONSENT, ConsentValue

TABLE = CONSENT.logical_name
VALUE, POINT = "msdynmkt_value", "msdynmkt_contactpointvalue"
PURPOSE, TOPIC = "msdynmkt_purposeId@odata.bind", "msdynmkt_topicId@odata.bind"
# msdynmkt_source: preference page, text message, preference centre, real-time form, subscription centre, one-click.
BY_SUBJECT = frozenset(534120000 + n for n in (1, 2, 4, 5, 6, 7))
# Those of them that show the wording one agrees to. Nobody opts an address in by a text message or by unsubscribing: a
# row that says so has its source from before, for who changes the value alone leaves it.
SHOWS_WORDING = BY_SUBJECT - {534120002, 534120007}
NEVER_RAISED = "tracking"


@dataclass(frozen=True, slots=True)
class Raised:
    """An opt-in made in the CRM, which stands as noted. `is_ours`: on a row of ours, which the plan lowers in any case."""

    decision: CrmDecision
    purpose_id: UUID
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Purposes:
    """The policy's names of the CRM's purposes and topics, by their row ids."""

    purposes: Mapping[str, str]
    topics: Mapping[str, str]

    def named(self, row: Mapping[str, Any]) -> tuple[str, str | None] | None:
        """Purpose and topic (None: the whole) of a row as read; None where the policy does not have them."""
        purpose = self.purposes.get(str(row.get("_msdynmkt_purposeid_value")))
        topic_id = row.get("_msdynmkt_topicid_value")
        topic = self.topics.get(str(topic_id)) if topic_id else None
        return None if purpose is None or (topic_id and topic is None) else (purpose, topic)


def purposes_of(policy: Policy) -> Purposes:
    """The purposes of a policy by their ids in the CRM."""
    targets = policy.crm.purposes
    topics = {str(i): topic for target in targets.values() for topic, i in target.topics.items()}
    return Purposes({str(target.purpose_id): name for name, target in targets.items()}, topics)


def read_consent(
    row: Mapping[str, Any], known: KnownRow | None, told: Told, purposes: Purposes, *, since: datetime | None
) -> Raised | None:
    """Add to `told` what a consent row comes to; an opt-in is returned, for its wording has to be looked up.

    `since` is when the table was last read: an opt-in never seen is one only where the row was made after that, else
    an unrelated edit would date an old value anew. None: the table was never read.
    """
    named = purposes.named(row)
    if named is None or not row.get(POINT):
        return None
    is_ours = known is not None and known.is_managed
    before = known.columns.get(VALUE) if known is not None else None
    told.decisions += _lowered(row, known, named, before)
    changed = differences(TABLE, row, known.columns) if known is not None and is_ours else {}
    edits = state_edit(row, known) if is_ours else {}
    if changed or edits:
        told.noted.append(Noted(TABLE, row_id_of(TABLE, row), changed, edits))
    is_new = known is not None or _is_new(row, since)
    if not is_ours and before != row[VALUE] and (is_new or _is_out(row)):
        told.noted.append(_as_other(row))
    return _raised(row, named, before, is_ours=is_ours, is_new=is_new)


def _is_new(row: Mapping[str, Any], since: datetime | None) -> bool:
    # The CRM tells whole seconds.
    at = row.get("createdon")
    return since is not None and bool(at) and instant(str(at)) >= since.replace(microsecond=0)


def _is_out(row: Mapping[str, Any]) -> bool:
    return bool(row[VALUE] == ConsentValue.OPTED_OUT)


def _lowered(
    row: Mapping[str, Any], known: KnownRow | None, named: tuple[str, str | None], before: Any
) -> list[CrmDecision]:
    was_in = before == ConsentValue.OPTED_IN
    is_in = row[VALUE] == ConsentValue.OPTED_IN
    put_away = known is not None and known.is_managed and state_edit(row, known).get(STATE) is not None
    lowers = (_is_out(row) and before != ConsentValue.OPTED_OUT) or (was_in and not is_in) or (is_in and put_away)
    if not lowers or named[0] == NEVER_RAISED:
        return []
    address = known.columns.get(POINT, row[POINT]) if known is not None else row[POINT]
    decision = _decision(row, named, Value.WITHDRAW, address)
    return [decision, *_objection(decision)]


def _objection(decision: CrmDecision) -> list[CrmDecision]:
    """A person who leaves marketing as a whole objects to news of similar events too."""
    is_whole = decision.purpose == MARKETING and decision.topic is None and decision.actor is Actor.SUBJECT
    return [replace(decision, purpose=RELATED)] if is_whole else []


def _decision(row: Mapping[str, Any], named: tuple[str, str | None], value: Value, address: str) -> CrmDecision:
    sources = SHOWS_WORDING if value is Value.GRANT else BY_SUBJECT
    actor = Actor.SUBJECT if row.get("msdynmkt_source") in sources else Actor.STAFF
    return CrmDecision(TABLE, row_id_of(TABLE, row), address, *named, value, actor, modified_at(row))


def _raised(
    row: Mapping[str, Any], named: tuple[str, str | None], before: Any, *, is_ours: bool, is_new: bool
) -> Raised | None:
    raises = row[VALUE] == ConsentValue.OPTED_IN and before != ConsentValue.OPTED_IN and is_new
    if not raises or named[0] == NEVER_RAISED:
        return None
    decision = _decision(row, named, Value.GRANT, row[POINT])
    if not is_ours and before is None:
        decision = replace(decision, at=min(decision.at, instant(row["createdon"])))
    return Raised(decision, UUID(str(row["_msdynmkt_purposeid_value"])), is_ours)


def _as_other(row: Mapping[str, Any]) -> Noted:
    """A row that is not ours is remembered with what it opts in or out: the plan compares it with the ledger."""
    key = canonical_address(str(row[POINT])).key
    columns = as_written(TABLE, row, (VALUE, PURPOSE, TOPIC))
    return Noted(TABLE, row_id_of(TABLE, row), columns, {}, [key] if key else [])


def decide_raised(
    found: Iterable[Raised], profiles: Mapping[UUID, UUID], registered: Mapping[UUID, RegisteredProfile], told: Told
) -> None:
    """Opt-ins by the subject grant where their purpose's compliance profile has a registered wording; else they do not.

    `profiles` has the profile of each purpose. What does not grant is reported; the plan lowers it. A purpose row that
    was opted in along with a topic under it says no more than the topic.
    """
    raised = list(found)
    with_topic = {(r.decision.address, r.decision.purpose) for r in raised if r.decision.topic is not None}
    for one in raised:
        profile_id = profiles.get(one.purpose_id)
        profile = registered.get(profile_id) if profile_id is not None else None
        decision = one.decision
        if decision.actor is Actor.SUBJECT and profile is not None:
            if decision.topic is not None or (decision.address, decision.purpose) not in with_topic:
                told.decisions.append(replace(decision, profile=profile))
        else:
            _refuse(one, str(profile_id or "no profile"), told)


def _refuse(one: Raised, profile: str, told: Told) -> None:
    decision = one.decision
    by_subject = decision.actor is Actor.SUBJECT
    kind = "unregistered_opt_in" if by_subject else "staff_opt_in"
    told.findings.append(Finding(kind, TABLE, decision.row_id, profile if by_subject else ""))
    if not one.is_ours and by_subject:
        told.noted.append(Noted(TABLE, decision.row_id, {}, {UNREGISTERED: decision.at.isoformat()}))


def read_deleted_consent(row_id: UUID, known: KnownRow, told: Told, purposes: Purposes, *, now: datetime) -> None:
    """A consent row that is gone: no trace of who or when. If it opted in, that is withdrawn as of now.

    One that opted out is simply not known any more, and so written again: it is all that suppresses.
    """
    told.forgotten.append((TABLE, row_id))
    row = as_read(TABLE, {name: known.columns[name] for name in (PURPOSE, TOPIC) if name in known.columns})
    named = purposes.named(row)
    is_in = known.columns.get(VALUE) == ConsentValue.OPTED_IN
    if not (known.is_managed and is_in and named) or named[0] == NEVER_RAISED:
        return
    address = known.columns[POINT]
    told.decisions.append(CrmDecision(TABLE, row_id, address, *named, Value.WITHDRAW, Actor.STAFF, now))

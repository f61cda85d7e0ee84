"""Records: the columns of every frame that passes between the layers, declared once.

dtypes are pandas 3 names: `str` (Arrow-backed, missing = NA), `bool`, `int64`, `datetime64[us, UTC]`.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

UTC_TIME = "datetime64[us, UTC]"

# What normalising makes of each input row, in the order read. One row per input row.
#   row_no               position in the batch, from 1
#   submission_id        stable id within the source (feed included)
#   content_hash         hash of all that was mapped, to tell a changed submission from a repeated one
#   version_at           the source's own time of this version of the row (changed_at, else submitted_from)
#   submitted_from/_to   earliest and latest instant the submitted time can mean; NA = no readable time
#   received_at          when this row was first had: the batch's time, or the end of its own day in a window of several
#   address/address_key  the address of record, and the one key everything matches by
#   given_key/family_key folded names for identity; '' = nameless
#   occasion_id          course or event within the source; registration_status is NA where nothing is registered
#   is_deleted           the source says the person was erased or anonymised there
#   is_usable            False where a fault or a rule bars every raising effect of the row
SUBMISSION_COLUMNS: dict[str, str] = {
    "row_no": "int64",
    "submission_id": "str",
    "content_hash": "str",
    "version_at": UTC_TIME,
    "submitted_from": UTC_TIME,
    "submitted_to": UTC_TIME,
    "received_at": UTC_TIME,
    "address": "str",
    "address_key": "str",
    "is_role_address": "bool",
    "given_name": "str",
    "family_name": "str",
    "given_key": "str",
    "family_key": "str",
    "phone": "str",
    "organisation": "str",
    "country": "str",
    "postal_code": "str",
    "city": "str",
    "occasion_id": "str",
    "registration_status": "str",
    "is_sale": "bool",
    "is_payer": "bool",
    "notice_shown": "bool",
    "is_enquiry": "bool",
    "is_child": "boolean",
    "is_deleted": "bool",
    "is_usable": "bool",
    "withheld": "str",
}

# Decisions about purposes found in a batch: zero or more per input row.
#   value        'grant' or 'withdraw'; or LIFTED: a flag that shows a present value forbids nothing now. That is no
#                event, but the next time it forbids is one. Or UNTICKED: a box says nothing, as it does by itself; where
#                an earlier version of the submission said yes, it takes that back.
#   occurred_at  the instant as stated; effective_at: as the fold counts it (rule 3: grant earliest, withdrawal latest)
#   clock        the source that stamped the time
#   value        'pending': a yes that counts once the person follows the link in the mailbox (double opt-in)
#   covers_all   withdrawing marketing as a whole: also an objection to related_events
LIFTED, PENDING, UNTICKED = "lifted", "pending", "unticked"
DECISION_COLUMNS: dict[str, str] = {
    "row_no": "int64",
    "purpose": "str",
    "topic": "str",
    "value": "str",
    "actor": "str",
    "clock": "str",
    "occurred_at": UTC_TIME,
    "precision_s": "int64",
    "effective_at": UTC_TIME,
    "states_current_value": "bool",
    "reason": "str",
    "channel": "str",
    "wording_hash": "str",
    "notice_version": "str",
    "collected_by": "str",
    "method": "str",
}

# Faults: what is wrong with a value, never the value. field = our field name; blocks = 'row' | 'effect' | 'field', or
# 'rule': nothing is wrong, but a rule lets that effect go (a booker's tick is not the attendee's).
FAULT_COLUMNS: dict[str, str] = {
    "row_no": "int64",
    "field": "str",
    "column": "str",
    "fault": "str",
    "value_class": "str",
    "blocks": "str",
}

# The courses and events that a batch names, one row each; what no row tells is NA.
#   kind                 'course_registration' or 'event_registration'
#   starts_at/starts_to  earliest and latest instant that the start can mean
#   told_ends_at         the end as told; ends_at: when it is over, for all that is known (transforms.occasions)
#   ..._version_at       version of the newest row that tells that part
#   starts_told_at       when the start was told: by that row; NA by the mapping itself, which tells it now
#   earlier_ended_at     an end that had passed when a start after it was told: the id was used again, or it was postponed late
OCCASION_COLUMNS: dict[str, str] = {
    "occasion_id": "str",
    "kind": "str",
    "name": "str",
    "name_version_at": UTC_TIME,
    "starts_at": UTC_TIME,
    "starts_to": UTC_TIME,
    "starts_version_at": UTC_TIME,
    "starts_told_at": UTC_TIME,
    "told_ends_at": UTC_TIME,
    "ends_version_at": UTC_TIME,
    "ends_at": UTC_TIME,
    "earlier_ended_at": UTC_TIME,
    "field": "str",
    "field_version_at": UTC_TIME,
    "organiser_unit": "str",
    "organiser_contact": "str",
    "version_at": UTC_TIME,
}

# Event-specific answers that the mapping lists; kept in the store only, until the event and its follow-up are over.
ANSWER_COLUMNS: dict[str, str] = {"row_no": "int64", "question": "str", "answer": "str"}


class BatchState(StrEnum):
    """Where a received batch stands. `stopped` batches gave their lowering effects only, and can be replayed; `undone` ones
    gave nothing that still stands, and are read again once their mapping is another."""

    LANDED = "landed"
    STOPPED = "stopped"
    APPLIED = "applied"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Window:
    """Days received, both inclusive, in the organisation's timezone."""

    first_on: date
    last_on: date


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """What a connector received in one piece, as received, with its manifest.

    `received_at` is when the organisation's side had it (a file's arrival, the end of a pulled day);
    `origin` names the door (a feed and a hash, never a file name); `watermark` is the source's position after it.
    """

    source: str
    feed: str
    media_type: str
    payload: bytes
    received_on: date
    received_at: datetime
    origin: str
    content_hash: str
    watermark: str | None = None

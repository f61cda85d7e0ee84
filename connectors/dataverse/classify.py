"""What an answer means for the row or the run, by status and code alone; messages are localised and never read.

The table is data. Codes marked (U) are not documented and were taken from names or third parties.
https://learn.microsoft.com/power-apps/developer/data-platform/webapi/compose-http-requests-handle-errors
"""

from enum import Enum, auto

from connectors.dataverse.contract import Outcome
from connectors.dataverse.odata import Answer


class Verdict(Enum):
    """What to do about an answer."""

    DONE = auto()
    THROTTLED = auto()  # certainly not executed: wait and send again
    UNAUTHENTICATED = auto()  # not executed: refresh the token once
    REFUSED = auto()  # permanent: quarantine the row
    RECONCILE = auto()  # the row is not what we thought: read it and decide
    MISCONFIGURED = auto()  # names, privileges or protocol: stop the run
    ROLLED_BACK = auto()  # a deadlock's victim: send again, a few times
    RACED = auto()  # lost a race with another write of the same key: send again once
    TOO_LARGE = auto()  # not executed at this size: halve the chunk
    NO_BULK = auto()  # the table has no bulk message: send its rows one by one
    EXPIRED = auto()  # the delta link is too old: synchronise in full
    UNCERTAIN = auto()  # may or may not be executed: read back before anything else


BY_STATUS_AND_CODE: dict[tuple[int, str | None], Verdict] = {
    # Unknown property, malformed JSON, undeclared navigation property.
    (400, "0x0"): Verdict.MISCONFIGURED,
    (400, "0x80048d19"): Verdict.MISCONFIGURED,
    # "Error in query syntax", and answers of gateways that are no JSON at all.
    (400, ""): Verdict.MISCONFIGURED,
    (400, None): Verdict.MISCONFIGURED,
    # A key in the body of an UpsertMultiple; elsewhere an unexpected error.
    (400, "0x80040216"): Verdict.MISCONFIGURED,
}

BY_CODE: dict[str, Verdict] = {
    # Service protection, and the search service's own limit.
    "0x80072321": Verdict.THROTTLED,
    "0x80072322": Verdict.THROTTLED,
    "0x80072326": Verdict.THROTTLED,
    "0x8005f103": Verdict.THROTTLED,
    # Not a member of the organisation; PrivilegeDenied (U); PrincipalPrivilegeDenied (U).
    "0x80072560": Verdict.MISCONFIGURED,
    "0x80040220": Verdict.MISCONFIGURED,
    "0x80048306": Verdict.MISCONFIGURED,
    # Row absent; unknown segment; bind or read by a key that is absent; row has dependants (U).
    "0x80040217": Verdict.RECONCILE,
    "0x8006088a": Verdict.MISCONFIGURED,
    "0x80060891": Verdict.RECONCILE,
    "0x80040227": Verdict.RECONCILE,
    # Alternate key violated; unique index violated; ETag differs (U); duplicate rule hit (500 or 412).
    "0x80060892": Verdict.RECONCILE,
    "0x80073002": Verdict.RECONCILE,
    "0x80060882": Verdict.RECONCILE,
    "0x80040333": Verdict.RECONCILE,
    # Primary key created by another request meanwhile.
    "0x80040237": Verdict.RACED,
    # Too long; option outside the set; status that does not fit the state (U); plug-in without a transaction.
    "0x80044331": Verdict.REFUSED,
    "0x8004431a": Verdict.REFUSED,
    "0x80040203": Verdict.REFUSED,
    "0x80048408": Verdict.REFUSED,
    "0x80040251": Verdict.REFUSED,
    # Generic SQL error (1205, deadlock); transaction already rolled back; SQL timeout.
    "0x80044150": Verdict.ROLLED_BACK,
    "0x80040255": Verdict.ROLLED_BACK,
    "0x80044151": Verdict.TOO_LARGE,
    "0x80044352": Verdict.EXPIRED,
    # A message that the table does not support (U).
    "0x80040800": Verdict.NO_BULK,
}

BY_STATUS: dict[int, Verdict] = {
    304: Verdict.DONE,
    400: Verdict.REFUSED,
    401: Verdict.UNAUTHENTICATED,
    408: Verdict.UNCERTAIN,
    409: Verdict.RECONCILE,
    410: Verdict.EXPIRED,
    412: Verdict.RECONCILE,
    413: Verdict.TOO_LARGE,
    429: Verdict.THROTTLED,
    501: Verdict.MISCONFIGURED,
}

OUTCOMES: dict[Verdict, Outcome] = {
    Verdict.DONE: "acknowledged",
    # Transient: the row may go again, after it has been read back where it may have been executed.
    Verdict.THROTTLED: "unresolved",
    Verdict.UNAUTHENTICATED: "unresolved",
    Verdict.ROLLED_BACK: "unresolved",
    Verdict.TOO_LARGE: "unresolved",
    Verdict.UNCERTAIN: "unresolved",
    # Permanent.
    Verdict.REFUSED: "refused",
    Verdict.MISCONFIGURED: "refused",
    Verdict.NO_BULK: "refused",
    # Reconcile.
    Verdict.RECONCILE: "conflict",
    Verdict.RACED: "conflict",
    Verdict.EXPIRED: "conflict",
}
"""The class of each verdict, once nothing more can be done about it, as the outcome of a row."""

# Said of names and protocol, and just as well of one row: by a plug-in, or by a firewall that takes offence at its text.
_VAGUE = frozenset({(400, "0x80040216"), (400, ""), (400, None), (403, None)})

# A failure after so long is taken for one of time: a server gives a plug-in two minutes, databases and gateways less.
_LONG_S = 60.0

# A code in these statuses cannot change what they mean: 401 and 403 come before the row is looked at, 429 before
# anything is, and gateways answer 502 to 504 without knowing what the server did.
_STATUS_DECIDES = frozenset({401, 429, 502, 503, 504})


def classify(status: int, code: str | None) -> Verdict:
    """The verdict on an answer; `code` as `Answer.error_code` gives it."""
    if 200 <= status < 300:
        return Verdict.DONE
    if status in _STATUS_DECIDES:
        return _by_status(status)
    if status == 403:
        return Verdict.MISCONFIGURED
    if (status, code) in BY_STATUS_AND_CODE:
        return BY_STATUS_AND_CODE[status, code]
    return BY_CODE.get(code or "") or _by_status(status)


def verdict_of(answer: Answer) -> Verdict:
    """The verdict on an answer."""
    return classify(answer.status, None if answer.status < 300 else answer.error_code)


def verdict_of_write(answer: Answer) -> Verdict:
    """The verdict on the answer to a write that answers with no content: another success is that of something in between."""
    verdict = verdict_of(answer)
    return Verdict.UNCERTAIN if verdict is Verdict.DONE and answer.status != 204 else verdict


def is_out_of_time(answer: Answer) -> bool:
    """Whether the server, or a gateway before it, gave a request up for its time, or may have."""
    return answer.status in (502, 504) or (answer.status >= 500 and answer.elapsed_s > _LONG_S)


def is_vague(answer: Answer) -> bool:
    """Whether an answer that speaks of the configuration may be meant for what one row holds."""
    return (answer.status, answer.error_code) in _VAGUE


def outcome_of(answer: Answer) -> Outcome:
    """The outcome for a row whose own answer this is; a row too large even alone is refused for its size (413)."""
    return "refused" if answer.status == 413 else OUTCOMES[verdict_of(answer)]


def _by_status(status: int) -> Verdict:
    default = Verdict.UNCERTAIN if status >= 500 or status < 200 else Verdict.MISCONFIGURED
    return BY_STATUS.get(status, default)

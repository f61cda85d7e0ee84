"""Acts of people at the door, made events of the ledger before they are answered; the CRM is called at once.

One clock stamps them all, so that their order is exact. A withdrawal told again within the clock-skew window changes
nothing that the first did not, so it is the same act: however often a mail system repeats it, it is one event.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store import narrow_calls
from connectors.store.locks import lock_key
from connectors.store.own_data import lowered_since
from pipelines.operations.acts import record_acts
from pipelines.operations.sessions import Session
from preferences.door import Door
from schemas.acts import Act, ActEvidence, Deed, ShownWording
from schemas.consent import Actor
from schemas.errors import ActRefused, StoreError

CLOCK = "preference_page"
MARKETING, RELATED = "marketing", "related_events"
_ATTEMPTS = 5
T = TypeVar("T")


def leave_all(door: Door, contact_point_id: UUID, *, channel: str) -> None:
    """Withdraw marketing as a whole, which objects to news of similar events as well."""
    _lower(door, contact_point_id, Deed.WITHDRAW, (MARKETING, RELATED), channel=channel)


def object_to_related(door: Door, contact_point_id: UUID, *, channel: str) -> None:
    """Object to news of similar events alone."""
    _lower(door, contact_point_id, Deed.OBJECT, (RELATED,), channel=channel)


def leave_topic(door: Door, contact_point_id: UUID, topic: str, *, channel: str) -> None:
    """Withdraw one topic of marketing."""
    _lower(door, contact_point_id, Deed.WITHDRAW, (MARKETING,), topic=topic, channel=channel)


def choose_topics(
    door: Door,
    contact_point_id: UUID,
    on: Sequence[tuple[str, ShownWording]],
    off: Sequence[str],
    *,
    notice: str | None,
) -> None:
    """Switch topics off, then others on, each by the very words it was ticked under.

    What is switched off is durable first, for a grant that is refused holds back no withdrawal. Grants are all recorded,
    or none where the address can grant nothing: an office's, a child's. Whether they count, the fold says.
    """
    reference = _reference()
    lowered = [_of_topic(door, contact_point_id, Deed.WITHDRAW, topic, reference) for topic in off]
    if lowered:
        again(door, lambda conn: _record(door, conn, contact_point_id, lowered))
    raised = [
        _of_topic(door, contact_point_id, Deed.GRANT, topic, reference, wording=wording, notice_version=notice)
        for topic, wording in on
    ]
    if raised:
        with suppress(ActRefused):
            again(door, lambda conn: _record(door, conn, contact_point_id, raised))


def _of_topic(
    door: Door, contact_point_id: UUID, deed: Deed, topic: str, reference: str, **evidence: ShownWording | str | None
) -> Act:
    told: dict[str, Any] = evidence
    return Act(
        deed=deed,
        purposes=(MARKETING,),
        topics=(topic,),
        evidence=ActEvidence(request_reference=f"{reference}:{topic}", channel=CLOCK, **told),
        **_stamp(door, contact_point_id),
    )


def _lower(
    door: Door, contact_point_id: UUID, deed: Deed, purposes: tuple[str, ...], *, channel: str, topic: str = ""
) -> None:
    known = tuple(name for name in purposes if name in door.workspace.policy.purposes)
    window = timedelta(seconds=door.workspace.policy.clock_skew_s)

    def lower(conn: Connection) -> None:
        # The same act twice at once must not both find that it is the first.
        conn.execute(text("select pg_advisory_xact_lock(:key)"), {"key": lock_key(f"door:{contact_point_id}")})
        since = door.now() - window
        if not lowered_since(conn, contact_point_id, known, topic, clocks=[CLOCK], since=since):
            evidence = ActEvidence(request_reference=_reference(), channel=channel)
            topics, stamp = (topic,) if topic else (), _stamp(door, contact_point_id)
            act = Act(deed=deed, purposes=known, topics=topics, evidence=evidence, **stamp)
            _record(door, conn, contact_point_id, [act])

    again(door, lower)


def _stamp(door: Door, contact_point_id: UUID) -> dict[str, Any]:
    """Who and when: whoever reads the mailbox, now, by the door's one clock."""
    return {
        "actor": Actor.SUBJECT,
        "clock": CLOCK,
        "occurred_at": door.now(),
        "contact_point_id": contact_point_id,
    }


def _reference() -> str:
    return secrets.token_hex(12)


def _record(door: Door, conn: Connection, contact_point_id: UUID, acts: Sequence[Act]) -> None:
    record_acts(Session(door.workspace), conn, acts)
    narrow_calls.call(conn, [contact_point_id])


def again(door: Door, work: Callable[[Connection], T]) -> T:
    """Do it in one transaction, and again where the store says that it may pass; StoreUnavailable passes on at once."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with door.transaction() as conn:
                return work(conn)
        except StoreError as refused:
            if refused.sqlstate not in ("40001", "40P01", "55P03") or attempt == _ATTEMPTS:
                raise
            time.sleep(0.02 * attempt)
    raise AssertionError("every attempt returns or raises")

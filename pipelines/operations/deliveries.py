"""Forms that were pushed by a webhook, taken in at once: staged, gated and merged as every batch is, then the CRM is called.

Some hundreds at a time, so that nobody's click waits behind a storm; and not while a run merges, which may take long:
they wait for the next look. What is not taken in here, the night's run takes in with the rest of its source.
"""

from datetime import timedelta

from connectors.store import mailbox_proofs, narrow_calls, webhook_deliveries
from pipelines.operations.intake import apply_batches
from pipelines.operations.merging import as_merger
from pipelines.operations.sessions import Session
from schemas.errors import StoreUnavailable

AT_A_TIME = 300
# No sender's window is longer (preferences.secrets_file).
SIGNATURES_FOR = timedelta(hours=2)
# A body told again after that is read again, and found unchanged.
DELIVERIES_FOR = timedelta(days=30)
PROOFS_FOR = timedelta(days=1)


def take_in_deliveries(session: Session) -> int:
    """Take in what webhooks landed and nobody has read; returns how many batches, none while a run merges."""
    with session.transaction() as conn:
        if not webhook_deliveries.landed_deliveries(conn, limit=1):
            return 0
    try:
        with as_merger(session, wait_s=0.0):
            return _take_in(session)
    except StoreUnavailable as held:
        if held.sqlstate != "55P03":
            raise
        return 0


def _take_in(session: Session) -> int:
    with session.transaction() as conn:
        taken = webhook_deliveries.landed_deliveries(conn, limit=AT_A_TIME)
    apply_batches(session, taken)
    with session.transaction() as conn:
        touched = webhook_deliveries.addresses_of(conn, taken)
        if touched:
            narrow_calls.call(conn, touched)
    return len(taken)


def sweep(session: Session) -> None:
    """Forget what the door has no use for any more: links that expired, signatures, which bodies came long ago."""
    with session.transaction() as conn:
        mailbox_proofs.forget_expired(conn, before=session.now - PROOFS_FOR)
        webhook_deliveries.forget_signatures(conn, older_than=SIGNATURES_FOR)
        webhook_deliveries.forget_deliveries(conn, older_than=DELIVERIES_FOR)

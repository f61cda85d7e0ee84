"""Forms that were pushed by a webhook, taken in at once: staged, gated and merged as every batch is, then the CRM is called.

What is not taken in here, the night's run takes in with the rest of its source; and what a webhook missed, its pull.
"""

from datetime import timedelta

from connectors.store import narrow_calls, webhook_deliveries
from pipelines.operations.intake import apply_batches
from pipelines.operations.merging import as_merger
from pipelines.operations.sessions import Session

AT_A_TIME = 5000
# No sender's window is longer (preferences.secrets_file).
SIGNATURES_FOR = timedelta(hours=2)


def take_in_deliveries(session: Session) -> int:
    """Take in what webhooks landed and nobody has read; returns how many batches."""
    with session.transaction() as conn:
        landed = webhook_deliveries.landed_deliveries(conn, limit=AT_A_TIME)
    if not landed:
        return 0
    with as_merger(session):
        with session.transaction() as conn:
            still = set(webhook_deliveries.landed_deliveries(conn, limit=AT_A_TIME))
        taken = [batch_id for batch_id in landed if batch_id in still]
        apply_batches(session, taken)
    with session.transaction() as conn:
        webhook_deliveries.forget_signatures(conn, older_than=SIGNATURES_FOR)
        touched = webhook_deliveries.addresses_of(conn, taken)
        if touched:
            narrow_calls.call(conn, touched)
    return len(taken)

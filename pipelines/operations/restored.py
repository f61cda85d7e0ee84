"""Recognising a restored database: it is older than what is noted outside of it, and nothing may run on it.

A database that does not know the newest entry of the journal of erasures is older than it. So is one that does not know
the last run that was noted beside the journal: its outbox, what it knows of the CRM's rows, and its change tokens are of
another day.
"""

from sqlalchemy import Connection

from connectors.erasure_journal import JournalEntry
from connectors.store import restoring
from connectors.store.tombstones import hold_off_erasures
from pipelines.operations.sessions import Session
from schemas.errors import DatabaseRestored


def require_replayed(session: Session) -> None:
    """Raise DatabaseRestored where the database is older than the journal beside it."""
    with session.transaction() as conn:
        if not (missing_entries(session, conn) or is_older_than_noted(session, conn)):
            return
        # The journal is a moment ahead of an erasure that is under way.
        hold_off_erasures(conn)
        if missing_entries(session, conn) or is_older_than_noted(session, conn):
            raise DatabaseRestored(
                "The database is older than the journal of erasures beside it: it was restored from a backup. Nothing"
                " runs until `crm-intake privacy replay` has brought it up to date."
            )


def missing_entries(session: Session, conn: Connection) -> list[JournalEntry]:
    """The journal's entries that the database does not know, oldest first."""
    journal = session.workspace.journal
    last = journal.last_hash()
    if last is None or restoring.knows_entry(conn, last):
        return []
    return [entry for entry in journal.entries() if not restoring.knows_entry(conn, entry.entry_hash)]


def is_older_than_noted(session: Session, conn: Connection) -> bool:
    """Whether a run was noted outside the database that the database does not know."""
    noted = session.workspace.journal.noted_run()
    return noted is not None and not restoring.knows_run(conn, noted)


def note_run(session: Session) -> None:
    """Note outside the database that a run has changed the CRM."""
    if session.is_rehearsal:
        return
    with session.transaction() as conn:
        is_recorded = restoring.knows_run(conn, session.run_id)
    if is_recorded:
        session.workspace.journal.note_run(session.run_id)

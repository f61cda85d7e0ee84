"""After a restore: the journal's erasures are done again, and what the database believes of the CRM is let go.

Until then nothing runs (`operations.restored`).
"""

from dataclasses import dataclass, field

from connectors.erasure_journal import JournalEntry
from connectors.store import restoring
from connectors.store.tombstones import KEY_NAME
from pipelines.operations.erasure import ErasureReport, erase_again
from pipelines.operations.restored import is_older_than_noted, missing_entries
from pipelines.operations.sessions import Session


@dataclass
class Replay:
    """What a replay did: erasures done again and the people found by them; open intents set aside; tables read anew."""

    entries: int = 0
    people: int = 0
    reports: list[ErasureReport] = field(default_factory=list)
    intents: int = 0
    tables: list[str] = field(default_factory=list)
    was_restored: bool = False


def replay(session: Session, *, is_restored: bool = False) -> Replay:
    """Do the journal's erasures again, and let go of what the restored database believes of outbox and change tokens:
    where it is older than the journal and the note beside it, or `is_restored`, as whoever restored it knows best.

    To be called alone (see `operations.erasure.alone`). Every table of the CRM is then read in full by the next run,
    which finds what is not there any more and what changed; the CRM's client is not needed here.
    """
    done = Replay()
    with session.transaction() as conn:
        missing = missing_entries(session, conn)
        done.was_restored = is_restored or bool(missing) or is_older_than_noted(session, conn)
    with session.under_retention() as retention:
        for entry in missing:
            report, people = _replay_entry(retention, entry)
            done.entries, done.people = done.entries + 1, done.people + people
            done.reports.append(report)
        if done.was_restored:
            with retention.transaction() as conn:
                done.intents = restoring.set_intents_aside(conn, at=session.now)
                done.tables = restoring.forget_cursors(conn)
                restoring.dirty_everything(conn)
    session.workspace.journal.note_run(None)
    return done


def _replay_entry(retention: Session, entry: JournalEntry) -> tuple[ErasureReport, int]:
    keys = retention.workspace.keys.all_keys(KEY_NAME)
    report, scopes = erase_again(retention, entry, lambda conn: restoring.match(conn, entry.tombstones, keys))
    return report, sum(len(scope.person_ids) or 1 for scope in scopes)

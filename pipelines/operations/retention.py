"""Retention: what is kept no longer than its purpose lives goes, in the store and in the CRM, and that is certified.

What statistics need is counted first. Then the store by the policy's rules, then the CRM by its plan as always (a plan
beyond the blast radius waits for a named person), then what was removed there is read back as proof, then people of
whom neither keeps anything any more.
GDPR Art. 5(1)(e), 5(2).
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store import batches, crm_rows
from connectors.store import retention as store
from connectors.store.merge import refresh_addresses
from connectors.store.retention import Limits, Related
from pipelines.operations.delivery import table_name
from pipelines.operations.erasure import alone
from pipelines.operations.images import purge_images
from pipelines.operations.planning import make_plan
from pipelines.operations.restored import require_replayed
from pipelines.operations.sessions import Session
from pipelines.operations.statistics import gather_participations
from pipelines.operations.sync import LOCK_WAIT_S, NARROW_LOCK, Crm, sync_crm
from pipelines.operations.undo import refresh_request
from schemas.errors import CrmError, RaisingRefused
from schemas.intents import Phase
from schemas.policy import Policy
from schemas.purposes import Begin, PersonalData
from schemas.tables import EVENT, REGISTRATION

# By rule of the store: what the policy calls it (a purpose that begins so, or a store beside the purposes).
_BEGINS = {
    "event_answers": Begin.EVENT_REGISTRATION,
    "event_registrations": Begin.EVENT_REGISTRATION,
    "course_answers": Begin.COURSE_REGISTRATION,
    "course_registrations": Begin.COURSE_REGISTRATION,
    "enquiry_messages": Begin.ENQUIRY,
}
_IMAGES = "images_of_"


@dataclass
class Retained:
    """What one run of retention did: rows by rule, rows of the CRM by table, and how many were read back as absent.

    `failed`: why the CRM could not be told; what the store deleted is deleted all the same.
    """

    deleted: dict[str, int] = field(default_factory=dict)
    crm_removed: Counter[str] = field(default_factory=Counter)
    crm_absent: int = 0
    crm_still_there: int = 0
    waits: str | None = None
    failed: CrmError | None = None
    left: dict[str, int] = field(default_factory=dict)
    holds: int = 0


def limits_of(policy: Policy) -> Limits:
    """The policy's days by kind of data; a purpose that is not there deletes nothing."""
    lives = {purpose.begins: purpose.lives_after_days for purpose in policy.purposes.values()}
    related = (
        Related(name, purpose.lives_after_days, purpose.begins is Begin.REGISTRATION_WITH_NOTICE)
        for name, purpose in policy.purposes.items()
        if purpose.begins in (Begin.SALE_WITH_NOTICE, Begin.REGISTRATION_WITH_NOTICE)
    )
    return Limits(
        event=lives.get(Begin.EVENT_REGISTRATION),
        course=lives.get(Begin.COURSE_REGISTRATION),
        related=tuple(related),
        enquiry=lives.get(Begin.ENQUIRY),
        evidence=policy.retention.evidence_days,
        quarantine=policy.retention.quarantine_days,
        with_phone=_using(policy, PersonalData.PHONE, column="mobilephone"),
        with_organisation=_using(policy, PersonalData.ORGANISATION),
        with_place=_using(policy, PersonalData.PLACE),
    )


def _using(policy: Policy, detail: PersonalData, *, column: str = "") -> tuple[str, ...]:
    """The purposes that use a detail of a person, or show its column in the CRM."""
    return tuple(
        name
        for name, purpose in policy.purposes.items()
        if detail in purpose.personal_data or column in purpose.contact_columns
    )


def rules_of(policy: Policy) -> list[dict[str, Any]]:
    """Each rule with its days, and the class of the information-management plan under which its data is kept."""
    by_begin = {purpose.begins: purpose for purpose in policy.purposes.values()}
    kept, classes = policy.retention, policy.retention.class_ids
    rules: list[dict[str, Any]] = [
        {"rule": rule, "days": purpose.lives_after_days, "class_id": purpose.class_id}
        for rule, begin in _BEGINS.items()
        if (purpose := by_begin.get(begin)) is not None
    ]
    rules += [
        {"rule": "evidence", "days": kept.evidence_days, "class_id": classes.get("evidence")},
        *(
            {"rule": rule, "days": 0, "class_id": classes.get(rule)}
            for rule in ("groundless_answers", "contact_details")
        ),
        {"rule": "groundless_submissions", "days": kept.quarantine_days, "class_id": classes.get("quarantine")},
        *(
            {"rule": rule, "days": kept.evidence_days, "class_id": classes.get("evidence")}
            for rule in ("disclosed_references", "answered_requests", "ended_holds", "ended_accesses")
        ),
        {"rule": "log_of_readings", "days": store.READINGS_DAYS, "class_id": classes.get("readings")},
        {"rule": "quarantine", "days": kept.quarantine_days, "class_id": classes.get("quarantine")},
        {"rule": "landing", "days": kept.landing_days, "class_id": classes.get("landing")},
        {"rule": "images_of_writes", "days": kept.image_days, "class_id": classes.get("image")},
        {"rule": "images_of_readings", "days": kept.image_days, "class_id": classes.get("image")},
    ]
    remains = ("people", "addresses", "occasions", "submission_ids")
    return rules + [{"rule": rule, "days": 0, "class_id": classes.get(rule)} for rule in remains]


def retain(session: Session, crm: Crm | None) -> Retained:
    """Let go of all that is overdue now. Without the CRM's client the store alone, and nobody whom the CRM still shows.

    The store does not wait for a CRM that fails: `failed` of what was done says why, for the caller to raise once it is
    certified. Raises DatabaseRestored where the database is older than what was erased since.
    """
    require_replayed(session)
    done = Retained()
    with session.transaction() as conn:
        batches.start_run(conn, session.run_id, "retention", at=session.now)
    gather_participations(session)
    with alone(session, crm), session.under_retention() as retention:
        with retention.transaction() as conn:
            done.deleted = _delete_overdue(retention, conn) | _purge_images(retention, conn)
        if crm is not None:
            try:
                _in_crm(session, crm, done)
            except CrmError as error:
                done.failed = error
        # What a narrow synchronisation has on its way is a row that would be left behind.
        with session.holding(NARROW_LOCK, wait_s=LOCK_WAIT_S), retention.transaction() as conn:
            done.deleted |= _delete_people(retention, conn)
            done.holds = sum(hold["holds"] for hold in store.list_holds(conn, today=session.now.date()))
    # An image counts from when the CRM answered, and this run's own writes were answered by the server's clock.
    done.left = {rule: rows for rule, rows in foretell(session).deleted.items() if not rule.startswith(_IMAGES)}
    with session.transaction() as conn:
        counts = {"deleted": done.deleted, "left": done.left, "crm": dict(done.crm_removed)}
        state = "done" if done.failed is None else "failed"
        batches.finish_run(conn, session.run_id, state, counts, at=session.workspace.now())
    return done


def foretell(session: Session) -> Retained:
    """What a run of retention would delete now, by rule, and what the plan would then remove in the CRM; nothing is kept."""
    told = Retained()
    with session.under_retention() as retention, retention.workspace.engine.connect() as conn:
        transaction = conn.begin()
        try:
            told.deleted = _delete_overdue(retention, conn) | _purge_images(retention, conn)
            for (phase, table), rows in make_plan(retention, conn).tally.items():
                if phase >= Phase.CLEARS:
                    told.crm_removed[table] += rows
            told.deleted |= _delete_people(retention, conn)
        finally:
            transaction.rollback()
    return told


def _delete_overdue(session: Session, conn: Connection) -> dict[str, int]:
    store.begin(conn, now=session.now)
    deleted = store.delete_overdue(conn, limits_of(session.workspace.policy), now=session.now)
    refresh_addresses(conn, refresh_request(session), store.touched(conn))
    return deleted


def _purge_images(session: Session, conn: Connection) -> dict[str, int]:
    return {f"{_IMAGES}{of}": rows for of, rows in purge_images(session, conn).items()}


def _delete_people(session: Session, conn: Connection) -> dict[str, int]:
    store.begin(conn, now=session.now)
    deleted = store.delete_people(conn, limits_of(session.workspace.policy), now=session.now)
    refresh_addresses(conn, refresh_request(session), store.touched(conn))
    return deleted


def _in_crm(session: Session, crm: Crm, done: Retained) -> None:
    """The plan removes what no purpose shows any more; each row that was removed is looked for again."""
    with session.transaction() as conn:
        before = conn.execute(text("select max(intent_id) from intake.outbox_intent")).scalar()
    try:
        report = sync_crm(session, crm)
        if report.plan.waits:
            done.waits = f"Plan {report.plan.plan_id} waits: crm-intake run --approve {report.plan.plan_id} --by NAME"
    except RaisingRefused as refused:
        done.waits = str(refused)
    _remove_events(session, crm, done)
    with session.transaction() as conn:
        removed = conn.execute(text(_REMOVED), {"before": before or 0}).all()
    by_table: dict[str, list[str]] = {}
    for row in removed:
        by_table.setdefault(row.table_name, []).append(str(row.row_id))
    for table, ids in by_table.items():
        _prove(crm, table, ids, done)


def _prove(crm: Crm, table: str, ids: list[str], done: Retained) -> None:
    there = crm.fetch_rows(table_name(table), ids, [])
    done.crm_removed[table] += len(ids)
    done.crm_absent += len(ids) - len(there)
    done.crm_still_there += len(there)


def _remove_events(session: Session, crm: Crm, done: Retained) -> None:
    """Courses and events that are over and for which the CRM, too, has no registration any more."""
    with session.transaction() as conn:
        wanted = [row_id for row_id, _ in store.events_of_no_use(conn, now=session.now)]
    unused = [row_id for row_id in wanted if not _is_registered_for(crm, row_id)]
    if not unused:
        return
    results = crm.delete_many(table_name(EVENT.logical_name), list(map(str, unused)))
    gone = [UUID(result.row_id) for result in results if result.outcome == "acknowledged"]
    with session.transaction() as conn:
        crm_rows.forget_rows(conn, [(EVENT.logical_name, row_id) for row_id in gone])
    _prove(crm, EVENT.logical_name, list(map(str, gone)), done)


def _is_registered_for(crm: Crm, event_id: UUID) -> bool:
    rows = crm.iter_rows(table_name(REGISTRATION.logical_name), [], filter=f"_msevtmgt_eventid_value eq {event_id}")
    return next(iter(rows), None) is not None


# A plan made anew after a conflict has a run id of its own.
_REMOVED = """
select table_name, row_id from intake.outbox_intent
where intent_id > :before and method = 'delete' and state = 'acknowledged' order by table_name, row_id
"""

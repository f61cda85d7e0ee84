"""Status: what an operator must know, and whether anything is overdue; as data, and as Prometheus text."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.store.inspection import read_status
from pipelines.operations.quarantine import owner_of
from pipelines.operations.questions import changed_feeds
from pipelines.operations.sessions import Session
from pipelines.operations.unread import REACH
from pipelines.operations.watching import read_watch, watch_alarms

WITHDRAWAL_DUE_S = 3600
INTAKE_DUE = timedelta(days=2)
SILENT_DAYS = 8
QUARANTINE_DUE_DAYS = 14
EXPIRY_WARNING_DAYS = 7


@dataclass(frozen=True)
class Status:
    """`facts` as read from the store; `alarms` are sentences, empty when all is well."""

    facts: dict[str, Any]
    alarms: list[str]
    now: datetime


def check_status(session: Session) -> Status:
    """Read the store and say what is overdue."""
    with session.transaction() as conn:
        policy = session.workspace.policy
        facts = read_status(
            conn,
            since=session.now - timedelta(days=7),
            read_since=(session.now - REACH).date(),
            timezone=policy.organisation.timezone,
            allowed=policy.crm.allow_list,
        )
    for feed in facts["quarantine"]:
        feed["owner"] = owner_of(session, feed["feed"])
    facts |= {**read_watch(session), "questions": changed_feeds(session)}
    return Status(facts, [*_alarms(facts, session.now), *watch_alarms(facts)], session.now)


def _alarms(facts: dict[str, Any], now: datetime) -> list[str]:
    alarms = []
    last_at = facts["last_intake_at"]
    if last_at is None or now - last_at > INTAKE_DUE:
        since = "yet" if last_at is None else f"since {last_at:%Y-%m-%d}"
        alarms.append(f"No intake has ended well {since}: see that the schedule `nightly` is on, or `crm-intake run`.")
    for behind in facts["behind"]:
        alarms.append(
            f"Source {behind['source']} has unread data from {behind['unread_on']}, further back than the nightly run reaches:"
            f" run `crm-intake run --source {behind['source']} --from {behind['unread_on']}`."
        )
    for feed in facts["questions"]:
        alarms.append(f"Feed {feed['feed']}: its questions changed: {'; '.join(feed['diff'])}.")
    age = oldest_withdrawal_s(facts, now)
    if age > WITHDRAWAL_DUE_S:
        alarms.append(f"A withdrawal has waited {age / 3600:.1f} hours for the CRM: run `crm-intake run`.")
    if refused := facts["withdrawals_refused"]["open"]:
        alarms.append(
            f"The CRM refused to take the withdrawals of {refused} addresses: see `refused` in `crm-intake status --json`,"
            " mend what it says there, and run `crm-intake run`."
        )
    for feed in facts["feeds"]:
        if now - feed["last_at"] > timedelta(days=SILENT_DAYS):
            alarms.append(f"Feed {feed['feed']} has been silent since {feed['last_at']:%Y-%m-%d}: ask its owner.")
    alarms += _overdue(facts["quarantine"], now)
    for feed in facts["stopped"]:
        alarms.append(
            f"Feed {feed['feed']}: {feed['batches']} stopped batches: see `crm-intake quarantine list --stopped`."
        )
    alarms += _told_by_crm(facts["crm_findings"])
    if facts["waiting_plan"]:
        plan = facts["waiting_plan"]["plan_id"]
        alarms.append(f"Plan {plan} waits for approval: `crm-intake run --approve {plan} --by NAME`.")
    return alarms


def _overdue(feeds: list[dict[str, Any]], now: datetime) -> Iterator[str]:
    """Feeds whose quarantine waits too long, with who can mend it; and those whose rows are about to go unmended."""
    for feed in feeds:
        age, left = now - feed["oldest_at"], feed["first_expires_at"] - now
        if age > timedelta(days=QUARANTINE_DUE_DAYS):
            yield (
                f"Feed {feed['feed']}: {feed['open']} quarantined faults, the oldest {age.days} days old: ask"
                f" {feed['owner'] or 'its owner'} to mend them (`crm-intake quarantine export {feed['feed']} --to FILE`),"
                " or discard them."
            )
        if left < timedelta(days=EXPIRY_WARNING_DAYS):
            yield (
                f"Feed {feed['feed']}: quarantined rows leave the landing in {max(left.days, 0)} days, and cannot be"
                " mended after that."
            )


def _told_by_crm(findings: list[dict[str, Any]]) -> Iterator[str]:
    """What people did in the CRM that somebody should know of."""
    for found in findings:
        if found["kind"] == "unregistered_opt_in":
            yield (
                f"{found['rows']} opt-ins made in the CRM were lowered again: the wording under compliance profile"
                f" {found['detail']} is not known. List it under crm.registered_profiles, or link our preference page."
            )
        elif found["kind"] == "do_not_email":
            yield (
                f"{found['rows']} contacts forbid all e-mail in the CRM, notices of courses too: ask their owners"
                " whether donotbulkemail was meant."
            )
        elif found["kind"] == "list_lost":
            yield (
                f"The marketing list of {found['detail']} was deleted, made anew or emptied in the CRM. Nobody's consent was"
                " withdrawn for it: see `crm-intake crm doctor`, and record withdrawals if they were meant."
            )


def oldest_withdrawal_s(facts: dict[str, Any], now: datetime) -> float:
    """Age in seconds of the oldest withdrawal not yet in the CRM; 0 where there is none."""
    oldest = [
        facts[name]["oldest_at"]
        for name in ("withdrawals_planned", "withdrawals_unplanned", "withdrawals_refused")
        if facts[name]["oldest_at"]
    ]
    return max(((now - at).total_seconds() for at in oldest), default=0.0)


def as_prometheus(status: Status) -> str:
    """The status in the text exposition format of Prometheus."""
    facts = status.facts
    lines = [
        "# TYPE crm_intake_oldest_withdrawal_seconds gauge",
        f"crm_intake_oldest_withdrawal_seconds {oldest_withdrawal_s(facts, status.now):.0f}",
        "# TYPE crm_intake_alarms gauge",
        f"crm_intake_alarms {len(status.alarms)}",
        "# TYPE crm_intake_quarantine_open gauge",
    ]
    lines += [_sample("crm_intake_quarantine_open", feed, feed["open"]) for feed in facts["quarantine"]]
    lines.append("# TYPE crm_intake_quarantine_oldest_seconds gauge")
    lines += [
        _sample("crm_intake_quarantine_oldest_seconds", feed, (status.now - feed["oldest_at"]).total_seconds())
        for feed in facts["quarantine"]
    ]
    lines.append("# TYPE crm_intake_overdue_deletions gauge")
    lines += [
        f'crm_intake_overdue_deletions{{of="{of}"}} {found["rows"]}' for of, found in facts["overdue_deletions"].items()
    ]
    lines.append("# TYPE crm_intake_days_left gauge")
    lines += [f'crm_intake_days_left{{of="{of}"}} {days:.1f}' for of, days in facts["days_left"].items()]
    lines.append("# TYPE crm_intake_feed_last_timestamp_seconds gauge")
    lines += [_sample("crm_intake_feed_last_timestamp_seconds", f, f["last_at"].timestamp()) for f in facts["feeds"]]
    if facts["last_good_at"]:
        lines += [
            "# TYPE crm_intake_last_good_run_timestamp_seconds gauge",
            f"crm_intake_last_good_run_timestamp_seconds {facts['last_good_at'].timestamp():.0f}",
        ]
    return "\n".join(lines) + "\n"


def _sample(name: str, feed: dict[str, Any], value: float) -> str:
    return f'{name}{{source="{feed["source"]}",feed="{feed["feed"]}"}} {value:.0f}'

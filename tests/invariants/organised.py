"""A synthetic organisation run day by day through all its sources, and the facts of what it truly submitted.

`facts_of_history` reads the organisation's own truth (`Organisation.submissions`), never the rows or the store.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import SecretStr

from connectors.store.address import ServerAddress
from pipelines.operations.workspace import open_workspace
from sandbox import drop_folder, short_courses
from sandbox.crm_seed import purpose_rows
from sandbox.dataverse.server import RunningEmulator
from sandbox.organisation import Organisation, Said, Submission, make_organisation
from sandbox.organisation.exports import EXPORTS
from sandbox.sources_server import RunningSources, start_sources
from schemas.records import Window
from tests.invariants import model
from tests.invariants.model import MARKETING, RELATED, Did, Facts, Named
from tests.invariants.world import CONFIG, World, whole_run

UNTIL = date(2026, 11, 20)
HELSINKI = ZoneInfo("Europe/Helsinki")
CLOCKS = ("short_courses", "webropol", "web_forms", "manual")
KINDS = {"short_courses": "course_registration", "webropol": "event_registration"}


class Captured(logging.Handler):
    """Every line that is logged, with what was raised."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@dataclass
class Organised:
    """What is left after the last day: the organisation, the world it went through, what was logged and reported."""

    organisation: Organisation
    world: World
    logged: list[str]
    told: list[str] = field(default_factory=list)


@contextmanager
def organised(
    directory: Path,
    emulator: RunningEmulator,
    addresses: tuple[ServerAddress, ServerAddress],
    *,
    people: int,
    days: int,
) -> Iterator[Organised]:
    """Run every day of a new organisation; `addresses` are the store's database and the short-course system's."""
    organisation = make_organisation(seed=5, people=people, days=days, until=UNTIL)
    store, register = addresses
    world = World(directory, emulator, store)
    engine = sa.create_engine(register.url_psycopg)
    captured = Captured()
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(captured)
    root.setLevel(logging.DEBUG)
    try:
        with start_sources(directory / "sources", organisation, through=UNTIL) as sources:
            _open(world, sources, register)
            result = Organised(organisation, world, captured.lines)
            for number in range(days):
                run_day(result, sources, engine, UNTIL - timedelta(days=days - 1 - number))
            yield result
    finally:
        root.setLevel(level)
        root.removeHandler(captured)
        engine.dispose()
        world.close()


def _open(world: World, sources: RunningSources, register: ServerAddress) -> None:
    keys = sources.credentials
    world.settings = world.settings.model_copy(
        update={
            "config_dir": CONFIG,
            "short_courses_url": SecretStr(register.url_psycopg),
            "webropol_url": sources.webropol_url,
            "webropol_username": keys.webropol_username,
            "webropol_password": SecretStr(keys.webropol_password),
            "web_forms_url": sources.drupal_url,
            "web_forms_api_key": SecretStr(keys.drupal_api_key),
            "sources_ca_path": sources.ca_path,
        }
    )
    world.workspace.engine.dispose()
    world.workspace = open_workspace(world.settings, address=world.address)
    world.emulator.control.reset()
    world.emulator.control.seed(purpose_rows(world.workspace.policy))


def run_day(result: Organised, sources: RunningSources, register: sa.Engine, day: date) -> None:
    """One day's sources, and the run of the night after it."""
    world = result.world
    sources.set_through(day)
    short_courses.load(result.organisation, register, day)
    drop_folder.drop_files(result.organisation, world.drop, first_on=day, last_on=day)
    world.at(datetime.combine(day + timedelta(days=1), time(1), UTC))
    world.syncs.append(world.emulator.control.last_sequence())
    landed, gated, _ = whole_run(world.session(), world.crm, Window(day, day))
    result.told += [str(refusal) for report in landed.values() for refusal in report.refused]
    result.told += [str(one.stop) for one in gated if one.stop]


def facts_of_history(organisation: Organisation, roles: set[str]) -> Facts:
    """All that was said and done, from the organisation's own account; `roles` are addresses of no one person."""
    facts = Facts()
    flags: dict[object, str] = {}
    did: dict[str, Did] = {}
    for submission in organisation.submissions:
        if submission.is_draft:
            continue
        if submission.is_deleted:
            key = _key(submission)
            did.update({key: replace(did[key], status="deleted")} if key in did else {})
        elif submission.is_usable and submission.address is not None:
            said = list(_said(submission, flags, is_role=submission.address in roles))
            facts.said += said
            _do(submission, did, facts, is_role=submission.address in roles)
            gives = any(one.value == "grant" for one in said) or submission.is_enquiry
            gives = gives or (submission.status in ("active", "waitlisted") and "status" not in submission.faults)
            if gives and submission.address not in roles:
                facts.named.append(_named(submission))
    facts.did += [*did.values()]
    occasions = organisation.occasions
    facts.did = [replace(one, ends_at=occasions[one.occasion].ends_at) if one.occasion else one for one in facts.did]
    return facts


def _key(submission: Submission) -> str:
    return f"{submission.feed}|{submission.key or submission.no}"


def _clock(submission: Submission) -> str:
    return next(clock for clock in CLOCKS if submission.feed.startswith(clock))


def _given(submission: Submission) -> str:
    return (submission.given_name or "").lower()


def _received_at(submission: Submission) -> datetime:
    noon, next_day = time(12), submission.delivered_on + timedelta(days=1)
    if submission.feed in EXPORTS:
        return datetime.combine(submission.delivered_on, noon, HELSINKI).astimezone(UTC)
    return datetime.combine(next_day, time(0), HELSINKI).astimezone(UTC)


def _said(submission: Submission, flags: dict[object, str], *, is_role: bool) -> Iterator[model.Said]:
    if "current" in _ways(submission):
        yield from _flagged(submission, flags, is_role=is_role)
        return
    for one in submission.said:
        has_time = "submitted_at" not in submission.faults or one.way == "spoken"
        is_grant = one.value == "grant"
        if one.actor == "booker" or (is_grant and (not one.has_evidence or not has_time or is_role)):
            continue
        yield from _told(submission, one, has_time=has_time)


def _ways(submission: Submission) -> set[str]:
    is_flag = submission.feed.startswith("short_courses")
    return {"current"} if is_flag else set()


def _flagged(submission: Submission, flags: dict[object, str], *, is_role: bool) -> Iterator[model.Said]:
    key, shown = _key(submission), submission.flag
    last = flags.get(key, "")
    forbids = submission.feed.endswith("open_studies")
    if forbids:
        flags[key] = shown
        is_event = shown == "yes" and last != "yes"
    else:
        is_event = (shown == "yes" and last != "yes" and not is_role) or (shown == "no" and last == "yes")
        flags[key] = shown if shown == "no" or (shown == "yes" and not is_role) else last
    if is_event:
        for one in submission.said:
            yield from _told(submission, one, has_time=True)


def _told(submission: Submission, one: Said, *, has_time: bool) -> Iterator[model.Said]:
    assert submission.address is not None
    decision = model.Said(
        submission.address,
        _given(submission),
        one.value,
        _clock(submission),
        one.stated_from if has_time else None,
        one.stated_to if has_time else None,
        _received_at(submission),
        one.topic,
    )
    yield decision
    if (
        one.purpose == MARKETING
        and one.topic is None
        and one.way in ("prohibition", "spoken")
        and one.value == "withdraw"
    ):
        yield replace(decision, purpose=RELATED)


def _do(submission: Submission, did: dict[str, Did], facts: Facts, *, is_role: bool) -> None:
    assert submission.address is not None
    where, given = submission.address, _given(submission)
    if submission.is_enquiry and not is_role:
        facts.did.append(Did(where, given, "enquiry", submission.at, submission.at))
    if submission.occasion_id is None or submission.status is None or "status" in submission.faults:
        return
    key, status = _key(submission), submission.status
    if status in ("cancelled", "deleted"):
        did.update({key: replace(did[key], status=status)} if key in did else {})
    elif not is_role:
        kind = KINDS[_clock(submission)]
        at = submission.first_at if "submitted_at" not in submission.faults else _received_at(submission)
        did[key] = Did(
            *(where, given, kind, at, at, key, submission.occasion_id, status),  # type: ignore[arg-type]
            bool(submission.is_sale),
            submission.notice_shown,
        )


def _named(submission: Submission) -> Named:
    assert submission.address is not None
    return Named(
        submission.address,
        _given(submission),
        submission.first_at,
        submission.given_name,
        submission.family_name,
        submission.phone,
    )

"""B2 and B3: a day on people that the CRM knows already. One in a hundred changed their name, or nobody did.

The anchor of B2 is a tool without a diff: the SDK sends every row again, as shipped and as tuned by hand. Ours is timed
from planning to closing; what is written is compared with what changed, row by row and column by column.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bare_limits import Limits
from benchmarks.consenting import Person, make_people, write_rows
from benchmarks.deliveries import Deliveries, Terms, open_deliveries
from benchmarks.limits import Limit, asking
from benchmarks.machine import require_peers
from benchmarks.measuring import Run
from benchmarks.report import Report, Summary
from benchmarks.servers import run_bare_server
from schemas.tables import CONTACT

OURS = "crm-intake"
PEERS = {
    "SDK as shipped": ("sdk_load.py", "upsert", "1000", "1"),
    "SDK, 16 threads x 100": ("sdk_load.py", "upsert", "100", "16"),
}
CHANGED_OF = 100
GOAL_TIMES, GOAL_S = 50.0, 3.0
_HEADINGS = ["", "seconds (min to max)", "its / ours", "rows written", "requests", "CPU s: process + database"]


@dataclass(frozen=True, slots=True)
class Day:
    """One run: the process, its seconds of work, what the server wrote (set, key, columns), its requests."""

    run: Run
    seconds: float
    written: list[tuple[str, str, list[str]]]
    requests: int


def run_changed(directory: Path, terms: Terms) -> Report:
    """B2; RuntimeError where ours wrote anything but the changed columns of the changed rows."""
    if terms.peers:
        require_peers()
    people = make_people(terms.people, seed=terms.seed)
    changed = [_renamed(person) for person in people[::CHANGED_OF]]
    expected = sorted((CONTACT.entity_set, str(person[1]), ["lastname"]) for person in changed)
    days: dict[str, list[Day]] = {OURS: []}
    with open_deliveries(directory, writers=terms.writers) as deliveries:
        kept = _seed(deliveries, directory, people, changed)
        for number in range(terms.repeat):
            days[OURS].append(_our_day(deliveries, directory, kept))
            if sorted(days[OURS][-1].written) != expected:
                raise RuntimeError(f"Of {len(expected)} changed names {len(days[OURS][-1].written)} rows were written.")
            terms.tell(f"run {number + 1} of {terms.repeat}, {OURS}: {days[OURS][-1].seconds:.2f} s")
        # Once each: their minutes do not differ by the second.
        for name in PEERS if terms.peers else ():
            days[name] = [_peer_day(deliveries, directory, kept, name)]
            terms.tell(f"{name}: {days[name][0].seconds:.2f} s")
    return _report_changed(days, at_once(len(changed)), people=terms.people, changed=len(changed))


def at_once(rows: int) -> Limit:
    """The least time in which the bare CRM takes so many rows: all connections that it hints at, one call each."""
    crm = Limits()
    return Limit(
        f"{rows} rows in one call over each of {crm.dop_hint} connections", crm.work_s(ceil(rows / crm.dop_hint)), "s"
    )


def run_unchanged(directory: Path, terms: Terms) -> Report:
    """B3; RuntimeError where anything was written."""
    people = make_people(terms.people, seed=terms.seed)
    days: list[Day] = []
    with open_deliveries(directory, writers=terms.writers) as deliveries:
        kept = _seed(deliveries, directory, people, ())
        for number in range(terms.repeat):
            days.append(_our_day(deliveries, directory, kept))
            if days[-1].written:
                raise RuntimeError(f"Nothing changed, and {len(days[-1].written)} rows were written.")
            terms.tell(f"run {number + 1} of {terms.repeat}: {days[-1].seconds:.2f} s")
        limit = asking(deliveries.address)
    return Report(
        name="b3",
        title=f"B3 nothing changed: {terms.people} known contacts, {terms.repeat} runs",
        goal=f"nothing written, at most {GOAL_S:g} s for 100,000",
        headings=_HEADINGS,
        cells=[_cells(OURS, days, ours=median(day.seconds for day in days))],
        facts=["From planning to closing, with the store and the CRM there."],
        data={"people": terms.people, "limit": asdict(limit), "runs": [_described(day) for day in days]},
        summary=_summary_unchanged(median(day.seconds for day in days), limit),
    )


def _summary_unchanged(seconds: float, limit: Limit) -> Summary:
    ratio = f"{seconds:.2f} of {GOAL_S:g} s"
    return Summary(f"{seconds:.2f} s", "-", limit.beside(seconds), ratio, seconds <= GOAL_S)


def _renamed(person: Person) -> Person:
    point, person_id, given, family, address = person
    return point, person_id, given, f"{family}-Uusi", address


def _seed(deliveries: Deliveries, directory: Path, people: Sequence[Person], changed: Sequence[Person]) -> Path:
    kept = directory / "kept.jsonl"
    deliveries.seed("known", people)
    deliveries.make_known("known", kept, changed=changed)
    by_id = {person[0]: person for person in changed}
    now = [by_id.get(person[0], person) for person in people]
    write_rows(now, directory / "rows" / "known", purpose_id=deliveries.purpose_id)
    return kept


def _our_day(deliveries: Deliveries, directory: Path, kept: Path) -> Day:
    with run_bare_server(directory / "crm", Limits(), kept) as server:
        run = deliveries.run_ours("known", server.access)
        seconds = sum(run.told["stages"].values())
        return Day(run, seconds, server.written(), server.counts()["requests"])


def _peer_day(deliveries: Deliveries, directory: Path, kept: Path, name: str) -> Day:
    with run_bare_server(directory / "crm", Limits(), kept) as server:
        run = deliveries.run_peer("known", server.access, PEERS[name])
        return Day(run, float(run.told["seconds"]), server.written(), server.counts()["requests"])


def _report_changed(days: dict[str, list[Day]], limit: Limit, *, people: int, changed: int) -> Report:
    ours = median(day.seconds for day in days[OURS])
    return Report(
        name="b2",
        title=f"B2 one in {CHANGED_OF} changed: {people} known contacts, {len(days[OURS])} runs",
        goal=f"exactly the changed columns of the changed rows; {GOAL_TIMES:g} times less time than a tool without a diff",
        headings=_HEADINGS,
        cells=[_cells(name, done, ours=ours) for name, done in days.items()],
        facts=[
            f"{changed} people changed their family name: as many rows of one column were written by us, and no other.",
            "Ours from planning to closing; the SDK sends every contact and consent row, which it has in memory.",
        ],
        data={
            "people": people,
            "limit": asdict(limit),
            "runs": {name: [_described(day) for day in done] for name, done in days.items()},
        },
        summary=_summary_changed({name: median(day.seconds for day in done) for name, done in days.items()}, limit),
    )


def _summary_changed(seconds: dict[str, float], limit: Limit) -> Summary:
    ours = seconds[OURS]
    ratios = {name: took / ours for name, took in seconds.items() if name != OURS}
    return Summary(
        f"{ours:.2f} s",
        "; ".join(f"{name} {took:,.1f} s" for name, took in seconds.items() if name != OURS) or "-",
        limit.beside(ours),
        "; ".join(f"{ratio:.1f} of {GOAL_TIMES:g}" for ratio in ratios.values()) or "-",
        all(ratio >= GOAL_TIMES for ratio in ratios.values()) if ratios else None,
    )


def _cells(name: str, days: Sequence[Day], *, ours: float) -> list[str]:
    seconds = [day.seconds for day in days]
    return [
        name,
        f"{median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})",
        f"{median(seconds) / ours:,.1f}",
        f"{len(days[0].written):,}",
        f"{days[0].requests:,}",
        f"{median(day.run.process_cpu_s for day in days):.1f} + {median(day.run.server_cpu_s for day in days):.1f}",
    ]


def _described(day: Day) -> dict[str, Any]:
    told = {name: value for name, value in day.run.told.items() if name != "dead_letters"}
    return {"seconds": day.seconds, "rows_written": len(day.written), "requests": day.requests, "told": told}

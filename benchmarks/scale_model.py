"""What 10 million, 100 million and 1 billion contacts would take: a simulation on measured costs. Nothing is run.

`python -m benchmarks.scale_model` prints the table that docs/scale.md shows. Time goes in windows of five minutes, which is
how the CRM counts: in each the workers take rows in, the shards merge and settle, and the application users send, each as
much as their limits admit; what is taken in earliest can be sent in the window after.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

WINDOW_S = 300.0


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs: seconds of one core for each row taken in and each write sent, split into ours and the database's.

    Bytes: a first load of 10,917 people with their outbox. The CRM's times are ten times those of the benchmarks' bare server,
    which is a tenth of what the vendor publishes for standard tables. A write on a condition goes alone, one after the other
    within a request: five times a row of a bulk call, which the vendor says are up to five times as fast. `first_load_alone`
    is the share of such writes in a first load.
    """

    intake_process_s: float
    intake_database_s: float
    send_process_s: float
    send_database_s: float
    first_load_alone: float
    bytes_a_person: float = 17_400.0
    crm_request_s: float = 0.130
    crm_row_s: float = 0.011
    crm_alone_s: float = 0.055
    rows_a_request: int = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """What the CRM admits: per application user, web server and five minutes, and for all application users a day.

    https://learn.microsoft.com/power-apps/developer/data-platform/api-limits
    https://learn.microsoft.com/power-platform/admin/api-request-limits-allocations (each row of a bulk call counts; the pool
    is what the tenant has bought, and is not enforced by an answer of 429)
    """

    requests: int = 6_000
    execution_s: float = 1_200.0
    concurrent: int = 52
    web_servers: int = 1
    pool_a_day: float = 10_000_000.0

    def writes_a_window(self, costs: Costs, alone: float) -> dict[str, float]:
        """The writes that one application user may make in five minutes, by the limit that would bound them, where a share
        of them goes alone.
        """
        row_s = (1 - alone) * costs.crm_row_s + alone * costs.crm_alone_s
        request_s = costs.crm_request_s + costs.rows_a_request * row_s
        bounds = {
            "requests": float(self.requests),
            "execution time": self.execution_s / request_s,
            "concurrency": self.concurrent * WINDOW_S / request_s,
        }
        return {name: self.web_servers * requests * costs.rows_a_request for name, requests in bounds.items()}


@dataclass(frozen=True, slots=True)
class Load:
    """Work to be done: rows to take in and writes that come of them, within how many hours; the share of writes that go alone."""

    name: str
    contacts: int
    rows: float
    writes: float
    within_h: float
    alone: float


WORKER_CORES, SHARD_CORES = 2, 4
RESULTS = Path(__file__).parent / "results"
# What a first load writes on a condition; all else is new, and goes in bulk.
_ALONE = ("flags:contact",)


def measured(folder: Path = RESULTS) -> Costs:
    """The costs that the published results came to: intake with its plan by B11's million rows, sending by B1's writes."""
    intake = json.loads((folder / "b11_1m.json").read_text())
    taken = intake["contestants"]["crm-intake"]
    sends = json.loads((folder / "b1.json").read_text())["runs"]["crm-intake"]

    def a_write(name: str) -> float:
        return median(run["process"][name] / _acknowledged(run) for run in sends)

    plan = taken["runs"][0]["told"]["plan"]
    return Costs(
        first_load_alone=sum(plan[group] for group in _ALONE) / sum(plan.values()),
        intake_process_s=taken["process_cpu_s"] / intake["rows"],
        intake_database_s=taken["server_cpu_s"] / intake["rows"],
        send_process_s=a_write("process_cpu_s"),
        send_database_s=a_write("server_cpu_s"),
    )


def _acknowledged(run: dict[str, Any]) -> int:
    return int(run["told"]["outcomes"]["acknowledged"])


@dataclass(frozen=True, slots=True)
class Machines:
    """How many there are of each: application users, workers, shards of the database; and how many merge at once.

    What is built merges one batch after the other in a store; more than one merger is yet to be built.
    """

    users: int
    workers: int
    shards: int
    mergers: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load took: hours, and the share of the windows in which each part was what held the others up."""

    load: Load
    machines: Machines
    hours: float
    holds_up: dict[str, float] = field(default_factory=dict)

    @property
    def breaks_first(self) -> str:
        """The part that held up longest; "-" where none did."""
        return max(self.holds_up, key=lambda part: self.holds_up[part]) if any(self.holds_up.values()) else "-"


ROWS_A_CONTACT, WRITES_A_CONTACT = 2.9, 7.3
CHANGED_A_DAY = 0.002
SIZES = (10_000_000, 100_000_000, 1_000_000_000)
FIRST_LOAD_H, DAY_H = 7 * 24.0, 4.0
HEADINGS = (
    "contacts", "work", "rows in", "writes", "application users", "workers", "shards", "mergers", "hours", "held up by",
    "days of the request pool",
)  # fmt: skip
# A shard that is to be backed up, restored and moved within hours.
SHARD_BYTES = 1e12


def loads(contacts: int, costs: Costs) -> Iterator[Load]:
    """The first load of so many contacts, and a day's change: two in a thousand say something new."""
    rows, writes = contacts * ROWS_A_CONTACT, contacts * WRITES_A_CONTACT
    yield Load("first load", contacts, rows, writes, FIRST_LOAD_H, costs.first_load_alone)
    # As many writes of each changed contact as at first, and all on a condition: more than there will be.
    yield Load("a day's change", contacts, rows * CHANGED_A_DAY, writes * CHANGED_A_DAY, DAY_H, 1.0)


def machines_for(load: Load, costs: Costs, limits: Limits) -> Machines:
    """The least of each that does a load in its time, with a fifth to spare; a shard holds a terabyte at most."""
    seconds = load.within_h * 3600 / 1.2
    ours_s = load.rows * costs.intake_process_s + load.writes * costs.send_process_s
    database_s = load.rows * costs.intake_database_s + load.writes * costs.send_database_s
    stored = load.contacts * costs.bytes_a_person
    return Machines(
        users=ceil(load.writes * WINDOW_S / seconds / min(limits.writes_a_window(costs, load.alone).values())),
        workers=ceil(ours_s / seconds / WORKER_CORES),
        shards=max(ceil(database_s / seconds / SHARD_CORES), ceil(stored / SHARD_BYTES)),
        mergers=ceil(load.rows * costs.intake_database_s / seconds),
    )


def simulate(load: Load, machines: Machines, costs: Costs, limits: Limits) -> Outcome:
    """Go through a load window by window until every write is sent."""
    sends = machines.users * min(limits.writes_a_window(costs, load.alone).values())
    taken = sent = 0.0
    windows = 0
    held = {"application users": 0, "workers": 0, "shards": 0, "merging": 0}
    ratio = load.writes / load.rows
    while sent < load.writes * (1 - 1e-9):
        ours_s, database_s = machines.workers * WORKER_CORES * WINDOW_S, machines.shards * SHARD_CORES * WINDOW_S
        waiting = taken * ratio - sent
        possible = {
            "application users": sends,
            "workers": ours_s / costs.send_process_s,
            "shards": database_s / costs.send_database_s,
        }
        sending = min(waiting, *possible.values())
        ours_s, database_s = ours_s - sending * costs.send_process_s, database_s - sending * costs.send_database_s
        by_part = {
            "workers": ours_s / costs.intake_process_s,
            "shards": database_s / costs.intake_database_s,
            "merging": machines.mergers * WINDOW_S / costs.intake_database_s,
        }
        taking = min(load.rows - taken, *by_part.values())
        # In a window with nothing more to take in or to send, nothing holds up.
        if waiting >= min(possible.values()):
            held[min(possible, key=lambda part: possible[part])] += 1
        elif taking < load.rows - taken:
            held[min(by_part, key=lambda part: by_part[part])] += 1
        taken, sent, windows = taken + taking, sent + sending, windows + 1
    return Outcome(load, machines, windows * WINDOW_S / 3600, {part: n / windows for part, n in held.items()})


def table(costs: Costs, limits: Limits) -> list[str]:
    """The lines of the table: for each size the first load and a day's change."""
    lines = [f"| {' | '.join(HEADINGS)} |", "| --- " * len(HEADINGS) + "|"]
    for contacts in SIZES:
        for load in loads(contacts, costs):
            done = simulate(load, machines_for(load, costs, limits), costs, limits)
            parts = done.machines
            cells = [f"{contacts:,}", load.name, f"{load.rows:,.0f}", f"{load.writes:,.0f}"]
            cells += [str(n) for n in (parts.users, parts.workers, parts.shards, parts.mergers)]
            cells += [f"{done.hours:,.1f}", done.breaks_first, f"{load.writes / limits.pool_a_day:,.1f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print what one application user may write, and the table."""
    costs, limits = measured(), Limits()
    for name, alone in (("in bulk", 0.0), ("on a condition", 1.0)):
        bounds = limits.writes_a_window(costs, alone)
        told = ", ".join(f"{limit} {writes / WINDOW_S:,.0f}" for limit, writes in bounds.items())
        sys.stdout.write(f"Writes {name} a second of one application user, by limit: {told}.\n")
    sys.stdout.write("\n")
    sys.stdout.write("\n".join(table(costs, limits)) + "\n")


if __name__ == "__main__":
    main()

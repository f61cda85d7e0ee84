"""B13: what a day of a thousand rows costs on ten thousand, a hundred thousand, a million known people: the same.

The people are put there by SQL, into databases that are copied for a run; those of a server that is kept
(`--kept DIRECTORY`) are seeded once. Each day brings other rows. Each size has the machine's memory for itself and the smallest,
with which it takes turns, a day of each after the other, so that whatever else the machine does meets both alike. The first
day of each store warms the server's memory and is not counted. Before each the server makes a checkpoint, and
before the first each store's files are read once.
"""

import os
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psycopg

from benchmarks.asking import Ask, Server, own_server, spread
from benchmarks.known_day import Cost, opened, take_day
from benchmarks.report import Report, Summary
from benchmarks.seeding import known_database
from connectors.store.address import ServerAddress

SMALLEST = 10_000
GOAL_RATIO = 1.2


@dataclass(frozen=True, slots=True)
class Pair:
    """The days of the smallest store and of a larger one, taken by turns."""

    smallest: list[Cost]
    larger: list[Cost]

    def seconds(self) -> float:
        """How many times a day of the smallest one of the larger takes, by medians."""
        return median(day.seconds for day in self.larger) / median(day.seconds for day in self.smallest)

    def cpu_s(self) -> float:
        """The same by processor time."""
        return median(day.cpu_s for day in self.larger) / median(day.cpu_s for day in self.smallest)


def run_flat_cost(directory: Path, ask: Ask) -> Report:
    """Days on ever more known people, up to `rows`; ten million are asked for by hand (`--rows 10000000`)."""
    pairs: dict[int, Pair] = {}
    smallest, *larger = sizes(ask.rows)
    with own_server(ask.kept or directory) as server:
        for people in larger:
            days = _by_turns(server, directory, ask, [smallest, people])
            pairs[people] = Pair(days[smallest], days[people])
            ask.tell(f"{people:,} known: {spread([day.seconds for day in days[people]])} s a day")
            ask.tell(f"{smallest:,} known, by turns: {spread([day.seconds for day in days[smallest]])} s")
    return _report(smallest, pairs)


def _by_turns(server: Server, directory: Path, ask: Ask, stores: Collection[int]) -> dict[int, list[Cost]]:
    days: dict[int, list[Cost]] = {people: [] for people in stores}
    with ExitStack() as stack:
        workspaces = {}
        # The smallest last: where the machine's memory does not hold all, the largest is to want for it.
        for people in reversed(days):
            store = stack.enter_context(known_database(server.address, people))
            workspaces[people] = stack.enter_context(opened(store, directory / f"known_{max(stores)}_{people}"))
        # What was copied is on its way to the disk for minutes, otherwise beside the days.
        os.sync()
        for number in range(1 + ask.repeat):
            for people, workspace in workspaces.items():
                _checkpoint(workspace.address)
                cost = take_day(workspace, number, known=people, server=server.process)
                if number > 0:
                    days[people].append(cost)
    return days


def _checkpoint(address: ServerAddress) -> None:
    """As a server does many times between two days: what is touched first after it is written whole into the log."""
    with psycopg.connect(address.uri_adbc, autocommit=True) as conn:
        conn.execute("checkpoint")


def sizes(largest: int) -> list[int]:
    """From the smallest, or a tenth of the largest, in steps of ten up to the largest asked for."""
    found, size = [], min(SMALLEST, max(1, largest // 10))
    while size < largest:
        found.append(size)
        size *= 10
    return [*found, largest]


def is_met(ratio: float, sizes_of: Collection[int]) -> bool | None:
    """Missed is missed at any size; met it is only where both ends were measured."""
    if ratio > GOAL_RATIO:
        return False
    return True if {10_000, 10_000_000} <= set(sizes_of) else None


def _report(smallest: int, pairs: Mapping[int, Pair]) -> Report:
    last = max(pairs)
    ratio = pairs[last].seconds()
    return Report(
        name="b13",
        title=f"B13 a day of 1,000 rows on {smallest:,} to {last:,} known people, {len(pairs[last].larger)} days each",
        goal=f"10 million known people cost at most {GOAL_RATIO:g} times 10,000",
        headings=[
            "known people",
            "seconds a day (min to max)",
            f"on {smallest:,}, by turns",
            "times",
            "CPU s",
            "times",
            "writes",
        ],
        cells=[
            [
                f"{people:,}",
                spread([day.seconds for day in pair.larger]),
                spread([day.seconds for day in pair.smallest]),
                f"{pair.seconds():.2f}",
                spread([day.cpu_s for day in pair.larger]),
                f"{pair.cpu_s():.2f}",
                f"{pair.larger[0].intents:,}",
            ]
            for people, pair in pairs.items()
        ],
        facts=[
            "Read, shaped, gated, merged, folded and planned; half of the rows are of known people.",
            "Known people are put there by SQL with what is looked up of them: without outcomes of rows, outbox and"
            " registrations, which a store that took them in has.",
        ],
        data={
            "days": {
                str(smallest): [asdict(day) for pair in pairs.values() for day in pair.smallest],
                **{str(people): [asdict(day) for day in pair.larger] for people, pair in pairs.items()},
            },
            "smallest_by_turns": {
                str(people): [asdict(day) for day in pair.smallest] for people, pair in pairs.items()
            },
        },
        summary=Summary(
            f"{last:,} known: {ratio:.2f} times {smallest:,}",
            "-",
            "1 (flat)",
            f"{ratio:.2f} of {GOAL_RATIO:g}",
            is_met(ratio, [smallest, *pairs]),
        ),
    )

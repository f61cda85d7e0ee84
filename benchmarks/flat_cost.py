"""B13: what a day of a thousand rows costs on ten thousand, a hundred thousand, a million known people: the same.

The people are put there by SQL, into databases that are copied for a run; those of a server that is kept
(`--kept DIRECTORY`) are seeded once. Each day brings other rows. The first day of each store warms the server's memory and
is not counted; the others are taken by turns, a day of each store after the other, so that whatever else the machine does
meets all sizes alike. Before each the server makes a checkpoint, and before the first each store's files are read once.
"""

import os
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median

import psycopg

from benchmarks.asking import Ask, own_server, spread
from benchmarks.known_day import Cost, opened, take_day
from benchmarks.report import Report, Summary
from benchmarks.seeding import known_database
from connectors.store.address import ServerAddress

SMALLEST = 10_000
GOAL_RATIO = 1.2


def run_flat_cost(directory: Path, ask: Ask) -> Report:
    """Days on ever more known people, up to `rows`; ten million are asked for by hand (`--rows 10000000`)."""
    days: dict[int, list[Cost]] = {people: [] for people in sizes(ask.rows)}
    with own_server(ask.kept or directory) as server, ExitStack() as stack:
        workspaces = {}
        # The smallest last: where the machine's memory does not hold all, the largest is to want for it.
        for people in reversed(days):
            store = stack.enter_context(known_database(server.address, people))
            workspaces[people] = stack.enter_context(opened(store, directory / f"known_{people}"))
            ask.tell(f"{people:,} people are known")
        # What was copied is on its way to the disk for minutes, otherwise beside the days.
        os.sync()
        for number in range(1 + ask.repeat):
            for people in days:
                workspace = workspaces[people]
                _checkpoint(workspace.address)
                cost = take_day(workspace, number, known=people, server=server.process)
                if number > 0:
                    days[people].append(cost)
    for people, done in days.items():
        ask.tell(f"{people:,} known: {spread([day.seconds for day in done])} s a day")
    return _report(days)


def _checkpoint(address: ServerAddress) -> None:
    """As a server does many times between two days: what is touched first after it is written whole into the log."""
    with psycopg.connect(address.uri_adbc, autocommit=True) as conn:
        conn.execute("checkpoint")


def sizes(largest: int) -> list[int]:
    """From the smallest in steps of ten up to the largest asked for."""
    found, size = [], min(SMALLEST, largest)
    while size < largest:
        found.append(size)
        size *= 10
    return [*found, largest]


def is_met(ratio: float, sizes_of: Collection[int]) -> bool | None:
    """Missed is missed at any size; met it is only where both ends were measured."""
    if ratio > GOAL_RATIO:
        return False
    return True if {10_000, 10_000_000} <= set(sizes_of) else None


def _report(days: dict[int, list[Cost]]) -> Report:
    first, last = min(days), max(days)
    seconds = {people: median(day.seconds for day in done) for people, done in days.items()}
    cpu_s = {people: median(day.cpu_s for day in done) for people, done in days.items()}
    ratio = seconds[last] / seconds[first]
    return Report(
        name="b13",
        title=f"B13 a day of 1,000 rows on {first:,} to {last:,} known people, {len(days[first])} days each",
        goal=f"10 million known people cost at most {GOAL_RATIO:g} times 10,000",
        headings=[
            "known people",
            "seconds a day (min to max)",
            "to the smallest",
            "CPU s",
            "to the smallest",
            "writes",
        ],
        cells=[
            [
                f"{people:,}",
                spread([day.seconds for day in done]),
                f"{seconds[people] / seconds[first]:.2f}",
                spread([day.cpu_s for day in done]),
                f"{cpu_s[people] / cpu_s[first]:.2f}",
                f"{done[0].intents:,}",
            ]
            for people, done in days.items()
        ],
        facts=[
            "Read, shaped, gated, merged, folded and planned; half of the rows are of known people.",
            "Known people are put there by SQL with what is looked up of them: without outcomes of rows, outbox and"
            " registrations, which a store that took them in has.",
        ],
        data={"days": {str(people): [asdict(day) for day in done] for people, done in days.items()}},
        summary=Summary(
            f"{last:,} known: {ratio:.2f} times {first:,}",
            "-",
            "1 (flat)",
            f"{ratio:.2f} of {GOAL_RATIO:g}",
            is_met(ratio, days),
        ),
    )

"""B5: one row in a hundred is refused, and with it the whole bulk call that it comes in; our speed as a share of a clean run.

The refusal names no row, as the vendor's does not, and nothing in the row betrays it to a check before sending.
"""

from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks.bare_limits import Limits
from benchmarks.consenting import Person, make_people
from benchmarks.deliveries import Delivered, Terms, described, open_deliveries, wanted
from benchmarks.report import Report, Summary

POISON_SHARE = 0.01
GOAL_SHARE = 0.8
CLEAN, POISONED = "clean", "1 % poison"
_HEADINGS = [
    "",
    "rows/s (min to max)",
    "share",
    "good rows lost",
    "rows refused",
    "requests",
    "CPU s: process + database",
]


def run_poison(directory: Path, terms: Terms) -> Report:
    """Deliver clean and poisoned people in turn, `repeat` times."""
    sets = {
        CLEAN: make_people(terms.people, seed=terms.seed),
        POISONED: make_people(terms.people, seed=terms.seed, poison_share=POISON_SHARE),
    }
    runs: dict[str, list[Delivered]] = {name: [] for name in sets}
    with open_deliveries(directory, writers=terms.writers) as deliveries:
        stores = {CLEAN: "clean", POISONED: "poisoned"}
        for name, made in sets.items():
            deliveries.seed(stores[name], made)
        limit = deliveries.limit(stores[CLEAN])
        for number in range(terms.repeat):
            for name, made in sets.items():
                runs[name].append(deliveries.ours(stores[name], made, Limits()))
                terms.tell(f"run {number + 1} of {terms.repeat}, {name}: {runs[name][-1].rows_per_s:,.0f} rows/s")
    pace, clean = deliveries.pace, median(one.rows_per_s for one in runs[CLEAN])
    share = median(one.rows_per_s for one in runs[POISONED]) / clean
    lost = max(wanted(sets[POISONED]) - one.landed for one in runs[POISONED])
    return Report(
        name="b5",
        title=f"B5 poison rows: {terms.people} people, {terms.repeat} runs",
        goal=f"at least {GOAL_SHARE:.0%} of the clean speed, every good row landed",
        headings=_HEADINGS,
        cells=[_cells(name, sets[name], done, clean=clean) for name, done in runs.items()],
        facts=[
            f"1 % of the contacts and 1 % of the consent rows are refused; {pace}.",
            "A consent row of a refused contact is not sent, and is not wanted.",
        ],
        data={
            "limit": asdict(limit),
            "runs": {name: [described(one) for one in done] for name, done in runs.items()},
        },
        summary=Summary(
            f"{share:.0%}, {lost} good rows lost",
            "-",
            limit.beside(share * clean),
            f"{share:.0%} of {GOAL_SHARE:.0%}",
            share >= GOAL_SHARE and lost == 0,
        ),
    )


def _cells(name: str, people: list[Person], done: list[Delivered], *, clean: float) -> list[str]:
    speeds = [one.rows_per_s for one in done]
    process = median(one.run.process_cpu_s for one in done)
    database = median(one.run.server_cpu_s for one in done)
    return [
        name,
        f"{median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})",
        f"{median(speeds) / clean:.0%}",
        str(max(wanted(people) - one.landed for one in done)),
        str(done[0].run.told["outcomes"].get("refused", 0)),
        f"{done[0].counts['requests']:,}",
        f"{process:.1f} + {database:.1f}",
    ]

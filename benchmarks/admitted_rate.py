"""B4: a server that admits so many rows a second and answers 429 with Retry-After beyond; our share of what it admits.

The server counts: rows written from the first request to the last answer, and requests that came while a Retry-After was
running. Its bucket is empty at first, so that nobody can have more than the rate. Only ours runs; the peers' behaviour
under 429 is in the side by side.
"""

from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bare_limits import Limits
from benchmarks.consenting import make_people
from benchmarks.deliveries import Delivered, Terms, described, open_deliveries, wanted
from benchmarks.limits import Limit
from benchmarks.report import Report, Summary

# Less than we can send, so that the limit decides and not our speed.
ROWS_PER_S = 500.0
GOAL_SHARE = 0.95
_HEADINGS = [
    "run",
    "rows/s admitted",
    "rows/s written",
    "share",
    "rows lost",
    "inside Retry-After",
    "429s",
    "on the way",
]


def run_admitted_rate(directory: Path, terms: Terms, rate: float = ROWS_PER_S) -> Report:
    """Deliver `repeat` times against the limited server."""
    made = make_people(terms.people, seed=terms.seed)
    done: list[Delivered] = []
    with open_deliveries(directory, writers=terms.writers) as deliveries:
        deliveries.seed("people", made)
        for number in range(terms.repeat):
            done.append(deliveries.ours("people", made, Limits(rows_per_s=rate)))
            terms.tell(f"run {number + 1} of {terms.repeat}: {share_of(done[-1].counts, rate):.1%} of {rate:g} rows/s")
        limits = [Limit("the rate that is admitted", rate, "rows/s"), deliveries.limit("people")]
    pace, shares = deliveries.pace, [share_of(one.counts, rate) for one in done]
    written = rate * median(shares)
    return Report(
        name="b4",
        title=f"B4 a limited server: {rate:g} rows/s, {terms.repeat} runs",
        goal=f"at least {GOAL_SHARE:.0%} of the rate, no row lost, no request inside a Retry-After",
        headings=_HEADINGS,
        cells=[_cells(str(n), one, rate, wanted(made) - one.landed) for n, one in enumerate(done, start=1)],
        facts=[
            f"Median share {median(shares):.1%}. {pace}.",
            "Rows written are three a person: the contact, its consent row, and the contact opened at the end.",
            "On the way: sent within 0.1 s of a 429, before the thread that got it could tell the others.",
        ],
        data={
            "rate": rate,
            "shares": shares,
            "limits": list(map(asdict, limits)),
            "runs": [described(one) for one in done],
        },
        summary=Summary(
            f"{median(shares):.1%}",
            "-",
            "; ".join(limit.beside(written) for limit in limits),
            f"{median(shares):.1%} of {GOAL_SHARE:.0%}",
            min(shares) >= GOAL_SHARE and all(wanted(made) == one.landed and not one.counts["inside"] for one in done),
        ),
    )


def share_of(counts: dict[str, Any], rate: float) -> float:
    """Rows written as a share of what the rate admits in the time it took."""
    return float(counts["rows_written"] / (rate * counts["seconds"]))


def _cells(number: str, one: Delivered, rate: float, lost: int) -> list[str]:
    counts = one.counts
    return [
        number,
        f"{rate:,.0f}",
        f"{counts['rows_written'] / counts['seconds']:,.0f}",
        f"{share_of(counts, rate):.1%}",
        str(lost),
        str(counts["inside"]),
        str(counts["refused_rows"] + counts["refused_concurrent"]),
        str(counts["on_the_way"]),
    ]

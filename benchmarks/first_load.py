"""B1, the first load: people with their consent rows into an empty CRM, by us with our outbox and by the peers without one.

The bare CRM takes 13 ms a request and 1.1 ms a row, 52 requests at once. Every contestant tells its own seconds, from
rows at hand to the last answer; what a row costs us more (written down, claimed, acknowledged; contacts made shut and
opened by a second, conditional write) is in our figure. At its published size ours alone is also measured with fewer people
against slower and faster CRMs.
"""

from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bare_limits import Limits
from benchmarks.consenting import Person, make_people
from benchmarks.deliveries import Delivered, Deliveries, Terms, described, open_deliveries, wanted
from benchmarks.limits import Limit
from benchmarks.machine import require_peers
from benchmarks.report import Report, Summary

OURS = "crm-intake"
# What follows the CRM and the rows in each peer's command line.
PEERS = {
    "SDK as shipped": ("sdk_load.py", "upsert", "1000", "1"),
    "SDK, 16 threads x 100": ("sdk_load.py", "upsert", "100", "16"),
    "dlt as shipped": ("dlt_load.py", "10", "1", "WORK"),
    "dlt, 16 workers x 100": ("dlt_load.py", "100", "16", "WORK"),
}
AS_SHIPPED, TUNED = 10.0, 1.3
# ms a request.
LATENCIES_MS = (0.0, 13.0, 50.0, 200.0)
_SWEPT_FROM = 10_000
_HEADINGS = ["", "rows/s (min to max)", "ours / its", "requests", "CPU s: process + database", "429s"]


def run_first_load(directory: Path, terms: Terms) -> Report:
    """Measure each contestant `repeat` times, in turn; RuntimeError where one has not landed every row."""
    if terms.peers:
        require_peers()
    made = make_people(terms.people, seed=terms.seed)
    runs: dict[str, list[Delivered]] = {name: [] for name in (OURS, *(PEERS if terms.peers else ()))}
    with open_deliveries(directory, writers=terms.writers) as deliveries:
        deliveries.seed("people", made)
        limit = deliveries.limit("people")
        for number in range(terms.repeat):
            for name, done in runs.items():
                one = _deliver(deliveries, name, made)
                if one.landed != wanted(made):
                    raise RuntimeError(f"{name} landed {one.landed} rows of {wanted(made)}.")
                done.append(one)
                terms.tell(f"run {number + 1} of {terms.repeat}, {name}: {one.rows_per_s:,.0f} rows/s")
        swept = _swept(deliveries, made, terms)
    return _report(runs, limit, swept, rows=wanted(made), pace=deliveries.pace)


def _swept(deliveries: Deliveries, made: list[Person], terms: Terms) -> dict[str, Any]:
    """Ours by the CRM's latency, over a quarter of many people; over all of few at the longest latency alone."""
    few, name, are_many = made, "people", terms.people >= _SWEPT_FROM
    if are_many:
        few, name = made[: terms.people // 4], "few"
        deliveries.seed(name, few)
    found = []
    for latency_ms in LATENCIES_MS if are_many else LATENCIES_MS[-1:]:
        limits = Limits(latency_ms_per_request=latency_ms)
        speeds = [deliveries.ours(name, few, limits).rows_per_s for _ in range(terms.repeat)]
        found.append({"latency_ms": latency_ms, "rows_per_s": speeds})
        terms.tell(f"{latency_ms:g} ms a request: {median(speeds):,.0f} rows/s")
    return {"rows_by_latency": wanted(few), "by_latency": found}


def _deliver(deliveries: Deliveries, name: str, people: list[Person]) -> Delivered:
    if name == OURS:
        return deliveries.ours("people", people, Limits())
    return deliveries.peer("people", people, PEERS[name])


def _report(runs: dict[str, list[Delivered]], limit: Limit, swept: dict[str, Any], *, rows: int, pace: str) -> Report:
    ours = median(one.rows_per_s for one in runs[OURS])
    stages = runs[OURS][0].run.told["stages"]
    longest = {name: took for name, took in stages.items() if took >= 0.05}
    return Report(
        name="b1",
        title=f"B1 first load: {rows} rows, {len(runs[OURS])} runs",
        goal=f"at least {AS_SHIPPED:g} times the peers as shipped and {TUNED:g} times the peers as tuned by hand",
        headings=_HEADINGS,
        cells=[_cells(name, done, ours=ours) for name, done in runs.items()],
        facts=[
            f"Ours: {pace}; durable outbox in PostgreSQL, planning not counted.",
            "Ours, by stage in the first run: " + ", ".join(f"{n} {took:.1f} s" for n, took in longest.items()) + ".",
            f"Ours over {swept['rows_by_latency']:,} rows by the CRM's latency: {_by_latency(swept)}.",
            "Peers have their rows in memory and keep nothing; dlt's figure has its extract and normalise steps in it.",
        ],
        data={
            "rows": rows,
            "limit": asdict(limit),
            **swept,
            "runs": {name: [described(one) for one in done] for name, done in runs.items()},
        },
        summary=_summary({name: median(one.rows_per_s for one in done) for name, done in runs.items()}, limit),
    )


def _by_latency(swept: dict[str, Any]) -> str:
    return ", ".join(f"{one['latency_ms']:g} ms {median(one['rows_per_s']):,.0f} rows/s" for one in swept["by_latency"])


def _summary(speeds: dict[str, float], limit: Limit) -> Summary:
    ours = speeds[OURS]
    ratios = {name: ours / speed for name, speed in speeds.items() if name != OURS}
    goals = {name: AS_SHIPPED if name.endswith("as shipped") else TUNED for name in ratios}
    return Summary(
        f"{ours:,.0f} rows/s",
        "; ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items() if name != OURS) or "-",
        limit.beside(ours),
        "; ".join(f"{ratio:.2f} of {goals[name]:g}" for name, ratio in ratios.items()) or "-",
        all(ratio >= goals[name] for name, ratio in ratios.items()) if ratios else None,
    )


def _cells(name: str, done: list[Delivered], *, ours: float) -> list[str]:
    speeds = [one.rows_per_s for one in done]
    process = median(one.run.process_cpu_s for one in done)
    database = median(one.run.server_cpu_s for one in done)
    return [
        name,
        f"{median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})",
        "1" if name == OURS else f"{ours / median(speeds):.2f}",
        f"{done[0].counts['requests']:,}",
        f"{process:.1f} + {database:.1f}",
        str(sum(one.counts["refused_concurrent"] for one in done)),
    ]

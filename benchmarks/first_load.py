"""B1, the first load: people with their consent rows into an empty CRM, by us with our outbox and by the peers without one.

The bare CRM takes 13 ms a request and 1.1 ms a row, 52 requests at once. Every contestant tells its own seconds, from
rows at hand to the last answer; what a row costs us more (written down, claimed, acknowledged; contacts made shut and
opened by a second, conditional write) is in our figure.
"""

from pathlib import Path
from statistics import median

from benchmarks.bare_limits import Limits
from benchmarks.consenting import make_people
from benchmarks.deliveries import Delivered, Deliveries, Terms, described, open_deliveries, wanted
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
_HEADINGS = ["", "rows/s (min to max)", "ours / its", "requests", "CPU s: process + database", "429s"]


def run_first_load(directory: Path, terms: Terms) -> Report:
    """Measure each contestant `repeat` times, in turn; RuntimeError where one has not landed every row."""
    if terms.peers:
        require_peers()
    made = make_people(terms.people, seed=terms.seed)
    runs: dict[str, list[Delivered]] = {name: [] for name in (OURS, *(PEERS if terms.peers else ()))}
    with open_deliveries(directory, writers=terms.writers) as deliveries:
        deliveries.seed("people", made)
        for number in range(terms.repeat):
            for name, done in runs.items():
                one = _deliver(deliveries, name, made)
                if one.landed != wanted(made):
                    raise RuntimeError(f"{name} landed {one.landed} rows of {wanted(made)}.")
                done.append(one)
                terms.tell(f"run {number + 1} of {terms.repeat}, {name}: {one.rows_per_s:,.0f} rows/s")
    return _report(runs, rows=wanted(made), pace=deliveries.pace)


def _deliver(deliveries: Deliveries, name: str, people: list) -> Delivered:
    if name == OURS:
        return deliveries.ours("people", people, Limits())
    return deliveries.peer("people", people, PEERS[name])


def _report(runs: dict[str, list[Delivered]], *, rows: int, pace: str) -> Report:
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
            "Peers have their rows in memory and keep nothing; dlt's figure has its extract and normalise steps in it.",
        ],
        data={"rows": rows, "runs": {name: [described(one) for one in done] for name, done in runs.items()}},
        summary=_summary({name: median(one.rows_per_s for one in done) for name, done in runs.items()}),
    )


def _summary(speeds: dict[str, float]) -> Summary:
    ours, most = speeds[OURS], Limits().most_rows_per_s(100)
    ratios = {name: ours / speed for name, speed in speeds.items() if name != OURS}
    goals = {name: AS_SHIPPED if name.endswith("as shipped") else TUNED for name in ratios}
    return Summary(
        f"{ours:,.0f} rows/s",
        "; ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items() if name != OURS) or "-",
        f"the server's latency: {most:,.0f} rows/s, {most / ours:.1f} times that",
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

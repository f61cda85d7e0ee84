"""`python -m benchmarks [NAME] [--rows N] [--repeat K]`: run a benchmark, print its table and write its results."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.admitted_rate import run_admitted_rate
from benchmarks.consenting import ROWS_A_PERSON
from benchmarks.deliveries import Terms
from benchmarks.first_load import run_first_load
from benchmarks.known_contacts import run_changed, run_unchanged
from benchmarks.measuring import pin_to_cores
from benchmarks.poison import run_poison
from benchmarks.report import Report, write_report
from benchmarks.report import table_of as report_table
from benchmarks.reporting import summarise, table_of, write_results
from benchmarks.servers import ROOT
from benchmarks.side_by_side import run_side_by_side
from benchmarks.whole_intake import run_whole_intake

# Rows of each at its published size; for the delivery benchmarks contacts and consent rows together.
ROWS = {"B1": 40_000, "B2": 200_000, "B3": 200_000, "B4": 10_000, "B5": 20_000, "B11": 100_000, "side_by_side": 10_000}
RESULTS = ROOT / "benchmarks" / "results"
DELIVERIES: dict[str, Callable[..., Report]] = {
    "B1": run_first_load,
    "B2": run_changed,
    "B3": run_unchanged,
    "B4": run_admitted_rate,
    "B5": run_poison,
    "side_by_side": run_side_by_side,
}


def main(
    name: Annotated[
        str,
        typer.Argument(
            help="B1 first load, B2 and B3 known contacts, B4 limited server, B5 poison, B11 intake, side_by_side."
        ),
    ] = "B11",
    rows: Annotated[int, typer.Option(min=0, help="Rows to be delivered, at least; 0: the published size.")] = 0,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of each; 5 for publishing.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the made-up people.")] = 1,
    peers: Annotated[bool, typer.Option(help="Whether the peers run too.")] = True,
    writers: Annotated[int, typer.Option(min=0, help="Our writers; 0: as the policy ships.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Measure, print and write down."""
    if name not in ROWS:
        raise typer.BadParameter(f"'{name}' is none of {', '.join(ROWS)}.")
    console = Console()
    cores = pin_to_cores()
    rows = rows or ROWS[name]
    with tempfile.TemporaryDirectory(prefix="crm-intake-bench-") as directory:
        if name == "B11":
            given = {"rows": rows, "repeat": repeat, "seed": seed, "peers": peers, "tell": console.print}
            table, paths = _intake(Path(directory), out, cores, given)
        else:
            people = max(1, rows // ROWS_A_PERSON)
            terms = Terms(people, repeat, seed, writers or None, peers, console.print)
            report = DELIVERIES[name](Path(directory), terms)
            table, paths = report_table(report), write_report(report, out, cores=cores, seed=seed)
    console.print(table)
    for path in paths:
        console.print(f"Wrote {path}")


def _intake(directory: Path, out: Path, cores: int, options: dict[str, Any]) -> tuple[Table, list[Path]]:
    summary = summarise(run_whole_intake(directory, **options), seed=options["seed"], cores=cores)
    return table_of(summary), write_results(summary, out)


if __name__ == "__main__":
    typer.run(main)

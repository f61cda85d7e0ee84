"""`python -m benchmarks [NAME] [--rows N] [--repeat K]`: run a benchmark, print its table and write its results."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.admitted_rate import run_admitted_rate
from benchmarks.consenting import ROWS_A_PERSON
from benchmarks.first_load import run_first_load
from benchmarks.measuring import pin_to_cores
from benchmarks.poison import run_poison
from benchmarks.report import Report, write_report
from benchmarks.report import table_of as report_table
from benchmarks.reporting import summarise, table_of, write_results
from benchmarks.servers import ROOT
from benchmarks.side_by_side import run_side_by_side
from benchmarks.whole_intake import run_whole_intake

# Rows of each at its published size; for the delivery benchmarks contacts and consent rows together.
ROWS = {"B1": 40_000, "B4": 20_000, "B5": 20_000, "B11": 100_000, "side_by_side": 10_000}
RESULTS = ROOT / "benchmarks" / "results"
Outcome = tuple[Table, list[Path]]


def main(
    name: Annotated[
        str, typer.Argument(help="B1 first load, B4 limited server, B5 poison, B11 intake, side_by_side.")
    ] = "B11",
    rows: Annotated[int, typer.Option(min=0, help="Rows to be delivered, at least; 0: the published size.")] = 0,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of each; 5 for publishing.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the made-up people.")] = 1,
    peers: Annotated[bool, typer.Option(help="Whether the peers run too.")] = True,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Measure, print and write down."""
    if name not in ROWS:
        raise typer.BadParameter(f"'{name}' is none of {', '.join(ROWS)}.")
    console = Console()
    cores = pin_to_cores()
    rows = rows or ROWS[name]
    with tempfile.TemporaryDirectory(prefix="crm-intake-bench-") as directory:
        bench = _Bench(Path(directory), console, rows, repeat, seed, peers)
        table, paths = bench.intake(out, cores) if name == "B11" else bench.delivery(name, out, cores)
    console.print(table)
    for path in paths:
        console.print(f"Wrote {path}")


class _Bench:
    """One benchmark's options."""

    def __init__(self, directory: Path, console: Console, rows: int, repeat: int, seed: int, peers: bool) -> None:
        self._directory, self._tell = directory, console.print
        self._rows, self._repeat, self._seed, self._peers = rows, repeat, seed, peers

    def intake(self, out: Path, cores: int) -> Outcome:
        """B11."""
        outcome = run_whole_intake(
            self._directory, rows=self._rows, repeat=self._repeat, seed=self._seed, peers=self._peers, tell=self._tell
        )
        summary = summarise(outcome, seed=self._seed, cores=cores)
        return table_of(summary), write_results(summary, out)

    def delivery(self, name: str, out: Path, cores: int) -> Outcome:
        """A benchmark of delivery."""
        report = self._delivered(name)
        return report_table(report), write_report(report, out, cores=cores, seed=self._seed)

    def _delivered(self, name: str) -> Report:
        people, seed, tell = max(1, self._rows // ROWS_A_PERSON), self._seed, self._tell
        if name == "B4":
            return run_admitted_rate(self._directory, people=people, repeat=self._repeat, seed=seed, tell=tell)
        if name == "B5":
            return run_poison(self._directory, people=people, repeat=self._repeat, seed=seed, tell=tell)
        if name == "side_by_side":
            return run_side_by_side(self._directory, people=people, seed=seed, peers=self._peers, tell=tell)
        return run_first_load(
            self._directory, people=people, repeat=self._repeat, seed=seed, peers=self._peers, tell=tell
        )


if __name__ == "__main__":
    typer.run(main)

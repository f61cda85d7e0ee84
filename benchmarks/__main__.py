"""`python -m benchmarks [NAME] [--rows N] [--repeat K]`: run a benchmark, print its table and write its results."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.measuring import pin_to_cores
from benchmarks.reporting import summarise, table_of, write_results
from benchmarks.whole_intake import ROOT, run_whole_intake

NAMES = ("B11",)
RESULTS = ROOT / "benchmarks" / "results"


def main(
    name: Annotated[str, typer.Argument(help="Which benchmark: B11, the whole intake.")] = "B11",
    rows: Annotated[int, typer.Option(min=100, help="Rows to be delivered, at least.")] = 100_000,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of each; 5 for publishing.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the made-up organisation.")] = 1,
    peers: Annotated[bool, typer.Option(help="Whether pandas and dlt run too.")] = True,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Measure, print and write down."""
    if name not in NAMES:
        raise typer.BadParameter(f"'{name}' is none of {', '.join(NAMES)}.")
    console = Console()
    cores = pin_to_cores()
    with tempfile.TemporaryDirectory(prefix="crm-intake-bench-") as directory:
        outcome = run_whole_intake(
            Path(directory), rows=rows, repeat=repeat, seed=seed, peers=peers, tell=console.print
        )
    summary = summarise(outcome, seed=seed, cores=cores)
    console.print(table_of(summary))
    for path in write_results(summary, out):
        console.print(f"Wrote {path}")


if __name__ == "__main__":
    typer.run(main)

"""`statistics`: participants by course, event, month, region and topic; published once a month is closed."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.console import CONSOLE, ConfigOption, JsonOption, print_json, print_table, session_for
from pipelines.operations.statistics import publish_period, show_published
from pipelines.plots import draw_participants
from pipelines.transforms.sheets import csv_table

STATISTICS = typer.Typer(help="Counts of participants, from rows that tell of nobody.", no_args_is_help=True)
_COLUMNS = ("period", "dimension", "value", "participants")


@STATISTICS.command("publish")
def publish(
    period: Annotated[str, typer.Argument(help="A month that is over, YYYY-MM.")],
    by: Annotated[str, typer.Option("--by", help="Who publishes it, by name.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Publish a month, once and for good; then the counts it was made of go."""
    with session_for(config) as session:
        cells = publish_period(session, period, by=by)
    if as_json:
        print_json(cells)
    else:
        print_table(period, cells, _COLUMNS[1:])


@STATISTICS.command("show")
def show(
    period: Annotated[str | None, typer.Argument(help="A month, YYYY-MM; without it all.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write them there.", dir_okay=False)] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw them there (PNG).", dir_okay=False)] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What was published. Blank: withheld, because it or another cell would tell of too few."""
    with session_for(config) as session:
        cells = show_published(session, period)
    if csv is not None:
        rows = [[None if cell[name] is None else str(cell[name]) for name in _COLUMNS] for cell in cells]
        csv.write_bytes(csv_table(_COLUMNS, rows))
    if plot is not None:
        plot.write_bytes(draw_participants(cells))
    if as_json:
        print_json(cells)
    elif csv is None and plot is None:
        print_table("Published", cells, _COLUMNS)
    else:
        CONSOLE.print(f"{len(cells)} cells written.")

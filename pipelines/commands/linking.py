"""`identity`: who may be one human being at several addresses, for people to judge."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.console import CONSOLE, ConfigOption, JsonOption, print_json, session_for
from pipelines.operations.proposals import propose as propose_pairs

IDENTITY = typer.Typer(help="Who may be one human being; people judge, nothing is merged.", no_args_is_help=True)


@IDENTITY.command("propose")
def propose(
    out: Annotated[Path, typer.Option("--out", help="The new file to write (.xlsx, .csv). It holds people's data.")],
    above: Annotated[float, typer.Option("--above", min=0.01, max=0.999, help="The least match probability.")] = 0.9,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write pairs of people at different addresses who may be one, likeliest first, by Splink. Nothing else is changed.

    It shows a person's data. Needs the extra `linking`: .uv/bin/uv sync --locked --extra linking.
    """
    with session_for(config) as session:
        proposed = propose_pairs(session, out, above=above)
    if as_json:
        print_json(proposed)
    else:
        CONSOLE.print(
            f"{proposed.people} people compared, {proposed.pairs} pairs proposed. Who is one is for people to judge;"
            " delete the file afterwards."
        )

"""`privacy register`: the record of processing, made from configuration and code."""

from pathlib import Path
from typing import Annotated

import typer

from connectors.mappings import load_finance_feeds, load_mappings, load_policy
from pipelines.commands.console import CONSOLE, ConfigOption, JsonOption, print_json, settings_for, speaking
from pipelines.operations.register import as_markdown, make_register


def register(
    out: Annotated[Path | None, typer.Option("--out", help="Write the Markdown there.", dir_okay=False)] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The record of processing activities (GDPR Art. 30) as Markdown, or as JSON. It reads no row of the store."""
    with speaking():
        folder = settings_for(config).config_dir
        feeds = [*load_mappings(folder).values(), *load_finance_feeds(folder).values()]
        record = make_register(load_policy(folder), feeds)
    if as_json:
        print_json(record)
    elif out is not None:
        out.write_text(as_markdown(record), "utf-8")
        CONSOLE.print(f"{len(record['purposes'])} purposes, {len(record['tables'])} tables written.")
    else:
        typer.echo(as_markdown(record), nl=False)

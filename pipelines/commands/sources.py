"""`sources`: which feeds are mapped, and whether a file would be understood."""

from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.decoders import decode
from connectors.files import media_type_of
from pipelines.commands.console import (
    CONSOLE,
    INCOMPLETE,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations.gate import gate_batch
from pipelines.transforms.shape import shape_batch
from schemas.errors import ConfigurationError
from schemas.mappings import json_schema

SOURCES = typer.Typer(help="What is mapped, and whether a file would be understood.", no_args_is_help=True)


@SOURCES.command("list")
def list_sources(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The feeds that are mapped, how each is delivered and what is asked."""
    with session_for(config) as session:
        feeds = [_described(mapping) for mapping in session.workspace.mappings.values()]
    if as_json:
        print_json(feeds)
    else:
        print_table("Feeds", feeds, ("source", "feed", "title", "kind", "delivery", "purposes", "owner"))


def _described(mapping: Any) -> dict[str, Any]:
    delivery = next(way for way in ("file", "api", "table", "rest") if getattr(mapping, way))
    purposes = sorted({consent.purpose for consent in mapping.consents})
    return {
        "source": str(mapping.source),
        "feed": mapping.feed,
        "title": mapping.title,
        "kind": str(mapping.kind),
        "delivery": delivery,
        "purposes": ", ".join(purposes),
        "owner": mapping.owner,
    }


@SOURCES.command("check")
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="An export.")],
    feed: Annotated[str, typer.Option("--feed", help="The feed it belongs to.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Would this file be understood? A dry run with a verdict per fault; nothing is kept and no value is shown."""
    with session_for(config) as session:
        mapping = session.workspace.mappings.get(feed)
        if mapping is None:
            raise ConfigurationError(f"There is no feed {feed!r}. See `crm-intake sources list`.")
        raw = decode(media_type_of(mapping), file.read_bytes(), mapping)
        shaped = shape_batch(raw, mapping, received_at=session.now, policy=session.workspace.policy)
        verdict = gate_batch(shaped, mapping)
    counted = shaped.faults.groupby(["field", "fault", "blocks"]).size().reset_index(name="rows")
    faults: list[dict[str, Any]] = [
        dict(zip(counted.columns, row, strict=True)) for row in counted.itertuples(index=False)
    ]
    failed = [result.name for result in verdict.results if not result.passed]
    if as_json:
        print_json(
            {"rows": len(shaped.submissions), "faults": faults, "rules_failed": failed, "dropped": shaped.dropped}
        )
    else:
        CONSOLE.print(f"{len(shaped.submissions)} rows; rules failed: {', '.join(failed) or 'none'}.")
        print_table("Faults", faults, ("field", "fault", "blocks", "rows"))
    raise typer.Exit(INCOMPLETE if failed else 0)


@SOURCES.command("schema")
def schema() -> None:
    """The JSON Schema of a mapping, for editors to complete and check."""
    print_json(json_schema())

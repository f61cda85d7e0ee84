"""`sources`: which feeds are mapped, and whether a file would be understood."""

from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.mappings import load_mapping
from pipelines.commands.console import (
    CONSOLE,
    DONE,
    INCOMPLETE,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    session_for,
    speaking,
    write_anew,
)
from pipelines.operations import suggesting
from pipelines.operations.checking import check_file
from pipelines.operations.suggesting import Wish
from pipelines.operations.webform_handler import webform_handler
from schemas.errors import ConfigurationError
from schemas.mappings import Mapping, Source, json_schema

SHOWN_ROWS = 50
PARTIAL = (
    "Only answered questions are in the sample, so that a question that is gone cannot be told from one that nobody answered."
    " Save Webropol's answer of surveys/ID/questions too, and give it with --questions."
)
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
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="An export, or a sample of what is pulled.")
    ],
    feed: Annotated[str | None, typer.Option("--feed", help="The feed it belongs to.")] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", exists=True, dir_okay=False, help="A mapping that is not in the configuration yet."),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions",
            exists=True,
            dir_okay=False,
            help="Webropol's answer of surveys/ID/questions, for a survey that is pulled.",
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Would this file be understood? A dry run with a verdict per column and row; nothing is kept and no value is shown."""
    with speaking():
        asked = _asked(feed, mapping)
    with session_for(config) as session:
        listed = questions.read_bytes() if questions else None
        verdict = check_file(session, asked, file.read_bytes(), questions=listed)
    if as_json:
        print_json(verdict)
    else:
        states = ", ".join(f"{count} {state}" for state, count in verdict.states.items())
        CONSOLE.print(
            f"{verdict.read} rows: {states or 'none'}; rules failed: {', '.join(verdict.rules_failed) or 'none'}."
        )
        if verdict.refused is not None:
            CONSOLE.print(verdict.refused, markup=False)
        if verdict.changed:
            CONSOLE.print("The questions are not those last taken in:", *verdict.changed, sep="\n  ", markup=False)
        if verdict.is_partial:
            CONSOLE.print(PARTIAL, markup=False)
        if verdict.purposeless:
            CONSOLE.print(
                f"Read for no purpose: {', '.join(verdict.purposeless)}. Name them under ignored.", markup=False
            )
        print_table("Columns", verdict.columns, ("column", "verdict", "for", "blank", "faults"))
        print_table("Rows", verdict.rows[:SHOWN_ROWS], ("row", "state", "field", "what", "remedy"))
        if len(verdict.rows) > SHOWN_ROWS:
            CONSOLE.print(f"... and {len(verdict.rows) - SHOWN_ROWS} more: see --json.")
    raise typer.Exit(DONE if verdict.is_understood else INCOMPLETE)


def _asked(feed: str | None, mapping: Path | None) -> str | Mapping:
    """The feed that is asked about: one of the configuration by name, or a mapping in a file of its own."""
    if (feed is None) == (mapping is None):
        raise ConfigurationError("Say which feed the file is of: --feed NAME, or --mapping FILE.yaml before it is one.")
    return feed if feed is not None else load_mapping(mapping or Path())


@SOURCES.command("suggest")
def suggest(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="An export, a sample, a form's definition.")
    ],
    to: Annotated[
        Path | None, typer.Option("--to", help="Write the YAML there, not to the screen; no file that exists.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Which system it is of.")] = None,
    feed: Annotated[str | None, typer.Option("--feed", help="The feed's name; else the file's.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="What people do by it, such as survey.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Who mends its rows.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="The file is a sample of this table.")] = None,
    rest: Annotated[str | None, typer.Option("--rest", help="The file is an answer of this address.")] = None,
    records: Annotated[str, typer.Option("--records", help="JMESPath of the records in that answer.")] = "@",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Propose a mapping, with what only a human may decide left as TODO. The preview shows people's data; nothing is kept."""
    wish = Wish(source, feed, kind, owner, table, rest, records)
    with session_for(config) as session:
        suggestion = suggesting.suggest(session, file.name, file.read_bytes(), wish)
    if to is not None:
        with speaking():
            write_anew(to, suggestion.text.encode())
    if as_json:
        print_json(suggestion)
        return
    if to is None:
        CONSOLE.print(suggestion.text, markup=False, soft_wrap=True)
    filled = tuple(name for name in (suggestion.rows or [{}])[0] if any(row[name] for row in suggestion.rows))
    print_table("As they would be stored", suggestion.rows, filled)
    dropped = [{"column": column, "why": why} for column, why in suggestion.dropped.items()]
    print_table("Dropped", dropped, ("column", "why"))
    print_table("To be decided", [{"field": path} for path in suggestion.to_decide], ("field",))


@SOURCES.command("template")
def template(
    feed: Annotated[str, typer.Argument(help="A manual feed or its source (manual), or a form of a website.")],
    to: Annotated[Path, typer.Option("--to", help="The file to write (.xlsx, for a form .yml); none that exists.")],
    config: ConfigOption = None,
) -> None:
    """Write what a feed's other side needs: for manual entries the workbook (the feed's titles, what each column means, lists
    of what may be chosen); for a form of a Drupal site the handler that sends its submissions here."""
    from pipelines.operations.entry_templates import entry_workbook, manual_feed

    with session_for(config) as session:
        workspace = session.workspace
        form = workspace.mappings.get(feed)
        if form is not None and form.source is Source.WEB_FORMS:
            address = workspace.settings.preferences_url or workspace.policy.crm.preference_page
            write_anew(to, webform_handler(form, address).encode(), suffix=".yml")
            CONSOLE.print("Written. Its first lines say where it goes.")
            return
        mapping = manual_feed(workspace.mappings, feed)
        write_anew(to, entry_workbook(mapping, workspace.policy), suffix=".xlsx")
    pattern = mapping.file.pattern if mapping.file else ""
    CONSOLE.print(f"Written. Filled in, drop it under a name like {pattern}.", markup=False)


@SOURCES.command("page")
def page(
    port: Annotated[int, typer.Option("--port", help="On this machine only; 0 for any that is free.")] = 8765,
    config: ConfigOption = None,
) -> None:
    """Serve the page for mapping a form and for manual entries, on this machine only, until interrupted."""
    from preferences.local.serving import serve_local

    with session_for(config) as session:
        serve_local(
            session.workspace, port=port, on_ready=lambda address: CONSOLE.print(f"Open {address}", soft_wrap=True)
        )


@SOURCES.command("schema")
def schema() -> None:
    """The JSON Schema of a mapping, for editors to complete and check."""
    print_json(json_schema())

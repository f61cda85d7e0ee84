"""`preferences`: the people's door: serve it, follow what people do there, make the links for a mailing."""

import csv
import io
import logging
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.clients import client_for
from pipelines.commands.console import (
    CONSOLE,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    session_for,
    settings_for,
    speaking,
    write_anew,
)
from pipelines.operations.deliveries import sweep
from pipelines.operations.following import LOG as FOLLOWING
from pipelines.operations.following import follow, follow_once
from pipelines.operations.preference_links import fill_links, mailing_links
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import open_workspace

PREFERENCES = typer.Typer(help="The people's door: preference page, links, webhooks.", no_args_is_help=True)
_COLUMNS = ("contactid", "link", "List-Unsubscribe", "List-Unsubscribe-Post")


@PREFERENCES.command("serve")
def serve(
    host: Annotated[str, typer.Option(help="Put a proxy with TLS before anything but loopback.")] = "127.0.0.1",
    port: Annotated[int, typer.Option()] = 8460,
    proxies: Annotated[
        str, typer.Option(help="Addresses or networks of proxies whose X-Forwarded-For is believed.")
    ] = "127.0.0.1",
    config: ConfigOption = None,
) -> None:
    """Serve the page, one-click unsubscribing, webhooks and the consent provider, until Ctrl-C."""
    from preferences.door import open_door
    from preferences.serving import serve as serve_door

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with speaking():
        door = open_door(settings_for(config))
        CONSOLE.print(f"Preference page at http://{host}:{port}, for people at {door.base_url}. Ctrl-C stops it.")
        serve_door(door, host=host, port=port, proxies=proxies)


@PREFERENCES.command("sync")
def sync(
    once: Annotated[bool, typer.Option("--once", help="One round, then end.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell the CRM at once of what people do at the door; take in forms that were pushed. Until Ctrl-C."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    FOLLOWING.setLevel(logging.INFO)
    with speaking():
        workspace = open_workspace(settings_for(config))
        try:
            with client_for(workspace) as crm:
                if not once:
                    follow(workspace, crm, until=_stopped().is_set)
                    return
                followed = follow_once(workspace, crm)
            sweep(Session(workspace))
        finally:
            workspace.engine.dispose()
    told = {
        "run_id": str(followed.run_id),
        "pushed_forms": followed.deliveries,
        "changes_of_address": followed.moves,
        "calls_taken": followed.calls.taken,
        "calls_served": followed.calls.served,
    }
    print_json(told) if as_json else print_table("Followed", [told], tuple(told))


@PREFERENCES.command("links")
def links(
    purpose: Annotated[str, typer.Option(help="What the mailing is for.")] = "marketing",
    topic: Annotated[str | None, typer.Option(help="Its topic.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A CSV file, none that exists; else standard output.")
    ] = None,
    fill: Annotated[bool, typer.Option("--fill", help="Have contacts without a link get it in the next run.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """A withdraw-only link and its header fields for each contact of the CRM that may have the mailing. No address is in it."""
    with session_for(config) as session:
        if fill:
            CONSOLE.print(f"{fill_links(session)} addresses will get their link in the next run.")
            return
        with client_for(session.workspace) as crm:
            made = mailing_links(session, crm, purpose=purpose, topic=topic)
    if as_json:
        print_json({"links": made.rows, "left_out": dict(made.left_out)})
        return
    if output is None:
        sys.stdout.buffer.write(_table(made.rows))
    else:
        with speaking():
            write_anew(output, _table(made.rows), option="--output")
    left = ", ".join(f"{why} {n}" for why, n in sorted(made.left_out.items())) or "none"
    typer.echo(f"{len(made.rows)} links. Contacts left out: {left}.", err=True)


def _table(rows: Sequence[Mapping[str, str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, _COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _stopped() -> threading.Event:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped

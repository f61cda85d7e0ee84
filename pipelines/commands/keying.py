"""`keys`: which keys there are, what a loss would cost, and a new one in a key's place."""

from typing import Annotated

import typer

from pipelines.commands.console import CONSOLE, ConfigOption, JsonOption, print_json, print_table, session_for
from pipelines.operations.rotation import list_keys, make_keys, rotate_key

KEYS = typer.Typer(help="The key ring: kept outside the database and its dumps.", no_args_is_help=True)


@KEYS.command("list")
def list_ring(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Every key by id, with what still needs it and what its loss would cost. No secret is shown."""
    with session_for(config) as session:
        keys = list_keys(session)
    if as_json:
        print_json(keys)
    else:
        print_table("Keys", keys, ("name", "key_id", "is_current", "needed_by", "rotates", "loss"))


@KEYS.command("make")
def make(config: ConfigOption = None) -> None:
    """Make each key that the ring does not have yet, so that a deployment can be given them all."""
    with session_for(config) as session:
        CONSOLE.print("\n".join(make_keys(session)), markup=False)


@KEYS.command("rotate")
def rotate(
    name: Annotated[str, typer.Argument(help="landing, tombstone, link, ledger_head ...")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a new key and use it from now on; older ones stay in the ring as long as something needs them."""
    with session_for(config) as session:
        done = rotate_key(session, name)
    if as_json:
        print_json(done)
    else:
        CONSOLE.print(f"{done['key_id']} is the current key. {done['note']}", markup=False)

"""`policy`: what a changed config/intake.yaml would change, and letting it count."""

from typing import Annotated, Any

import typer

from pipelines.commands.console import CONSOLE, ConfigOption, JsonOption, print_json, print_table, session_for
from pipelines.operations.policy_versions import PolicyDiff, apply_policy, policy_diff

POLICY = typer.Typer(help="Versions of the policy: look at a change, and apply it.", no_args_is_help=True)


@POLICY.command("diff")
def diff(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """What config/intake.yaml changes against the policy applied last, and for how many people. Keeps nothing."""
    with session_for(config) as session:
        found = policy_diff(session)
    _show(found, as_json=as_json, title="Would change")


@POLICY.command("apply")
def apply(
    by: Annotated[str, typer.Option("--by", help="Who applies it, by name.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Let config/intake.yaml count from now on; the next run brings the CRM up to it."""
    with session_for(config) as session:
        found = apply_policy(session, by=by)
    _show(found, as_json=as_json, title="Changed")


def _show(found: PolicyDiff, *, as_json: bool, title: str) -> None:
    rows: list[dict[str, Any]] = [
        {"where": c.where, "before": c.before, "after": c.after, "widens": c.widens} for c in found.changes
    ]
    if as_json:
        print_json({"widens": found.widens, "settings": rows, "people": found.people})
        return
    print_table(f"{title}: settings", rows, ("where", "before", "after", "widens"))
    columns = ("purpose", "begins", "ends", "lives_longer", "lives_shorter", "people")
    print_table(f"{title}: people by purpose", found.people, columns)
    if found.widens:
        CONSOLE.print("It widens: until it is applied by name, runs send lowerings only.")

"""`crm`: the CRM as it is, beside what the ledger says it should be."""

from typing import Annotated, Any

import typer

from pipelines.commands import adopting, doctoring
from pipelines.commands.clients import client_for
from pipelines.commands.console import (
    CONSOLE,
    INCOMPLETE,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations.reconciliation import Reconciliation, reconcile
from pipelines.transforms.differences import RULES

CRM = typer.Typer(help="The CRM: what it holds, and whether it is as it should be.", no_args_is_help=True)
CRM.command("adopt")(adopting.adopt)
CRM.add_typer(adopting.REVIEW, name="review")
CRM.command("doctor")(doctoring.doctor)
CRM.command("provision")(doctoring.provision)


@CRM.command("reconcile")
def reconcile_crm(
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many addresses, picked by chance.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare every row of ours with the ledger; writes nothing. Exit 1 where a difference has no explanation."""
    with session_for(config) as session, client_for(session.workspace) as crm:
        outcome = reconcile(session, crm, sample=sample)
    if as_json:
        print_json(_told(outcome))
    else:
        _show(outcome)
    raise typer.Exit(INCOMPLETE if outcome.unexplained else 0)


def _told(outcome: Reconciliation) -> dict[str, Any]:
    return {
        "compared": outcome.compared,
        "explained": dict(outcome.explained),
        "rules": {rule: {"rows": n, "because": RULES[rule]} for rule, n in sorted(outcome.rules.items())},
        "unexplained": [{"table": t, "row_id": str(i), "difference": d} for t, i, d in outcome.unexplained],
        "unmanaged": dict(outcome.unmanaged),
    }


def _show(outcome: Reconciliation) -> None:
    explained = [{"difference": name, "rows": n} for name, n in sorted(outcome.explained.items())]
    print_table("Explained differences", explained, ("difference", "rows"))
    rules = [{"rule": rule, "rows": n, "because": RULES[rule]} for rule, n in sorted(outcome.rules.items())]
    print_table("By rule", rules, ("rule", "rows", "because"))
    print_table("Unexplained differences", _told(outcome)["unexplained"], ("table", "row_id", "difference"))
    unmanaged = ", ".join(f"{table} {n}" for table, n in sorted(outcome.unmanaged.items())) or "none"
    CONSOLE.print(f"{outcome.compared} rows of ours compared. Rows that are not ours: {unmanaged}.")

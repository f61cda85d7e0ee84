"""`crm doctor` and `crm provision`: whether the CRM may be written to, and making there what is ours to make."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.dataverse import DataverseClient
from connectors.dataverse.administration import Administration
from pipelines.commands.console import (
    CONSOLE,
    DONE,
    INCOMPLETE,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations.doctor.examination import examine
from pipelines.operations.provision import Provided, Provision, provide
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import dataverse_settings
from pipelines.transforms.diagnosis.findings import Diagnosis, Verdict

_LOOKS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILS: "bold red", Verdict.UNKNOWN: "cyan"}


def doctor(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Examine the CRM's set-up; only reads. Exit 1 where a check fails."""
    with _opened(config) as (session, crm, administration):
        diagnoses = examine(session, crm, administration)
    if as_json:
        print_json([_told(one) for one in diagnoses])
    else:
        _show(diagnoses)
    raise typer.Exit(INCOMPLETE if any(one.verdict is Verdict.FAILS for one in diagnoses) else DONE)


def provision(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make in the CRM what is ours to make: the link's column, the role, purposes if the policy says so."""
    with _opened(config) as (session, crm, administration):
        provisions = provide(session.workspace, crm, administration, dry_run=dry_run)
    rows = [{"what": one.what, "state": str(one.state), "note": one.note} for one in provisions]
    if as_json:
        print_json(rows)
    else:
        print_table("What the CRM needs of ours", rows, ("what", "state", "note"))
    raise typer.Exit(INCOMPLETE if _is_refused(provisions) else DONE)


def _is_refused(provisions: Sequence[Provision]) -> bool:
    return any(one.state is Provided.REFUSED for one in provisions)


@contextmanager
def _opened(config: Path | None) -> Iterator[tuple[Session, DataverseClient, Administration]]:
    with session_for(config) as session:
        settings = dataverse_settings(session.workspace.settings, session.workspace.policy)
        with closing(Administration(settings)) as administration, closing(DataverseClient(settings)) as crm:
            yield session, crm, administration


def _told(one: Diagnosis) -> dict[str, Any]:
    return {
        "check": one.check.check_id,
        "title": one.check.title,
        "verdict": str(one.verdict),
        "findings": [{"verdict": str(f.verdict), "evidence": f.evidence} for f in one.findings],
        "protects": one.check.protects,
        "holds_back": one.holds_back,
        "remedy": one.check.remedy,
        "source": one.check.source,
    }


def _show(diagnoses: Sequence[Diagnosis]) -> None:
    rows = [
        {"check": one.check.check_id, "verdict": str(one.verdict), "what": one.check.title, "evidence": one.evidence}
        for one in diagnoses
    ]
    print_table("The CRM's set-up", rows, ("check", "verdict", "what", "evidence"))
    for one in diagnoses:
        if one.verdict is not Verdict.OK:
            CONSOLE.print(f"{one.check.check_id}: ", style=_LOOKS[one.verdict], end="")
            CONSOLE.print(f"{one.check.remedy} {one.check.source}", markup=False)
    held = [one.check.check_id for one in diagnoses if one.holds_back]
    if held:
        CONSOLE.print(f"A run sends lowerings only, because of {', '.join(held)}.", style="bold red")

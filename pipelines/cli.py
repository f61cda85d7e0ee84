"""`crm-intake`: the command line. Exit 0 done, 1 done but not all of it, 2 wrong use, 3 an outside system failed."""

from typing import Annotated

import typer

from pipelines.commands import clustering, quarantine, repairing, running, sandboxing, sources, undoing
from pipelines.commands.accessing import ACCESS
from pipelines.commands.consenting import CONSENT
from pipelines.commands.console import PURPOSE, noting_readings
from pipelines.commands.counting import STATISTICS
from pipelines.commands.crm import CRM
from pipelines.commands.financing import FINANCE
from pipelines.commands.keying import KEYS
from pipelines.commands.linking import IDENTITY
from pipelines.commands.policies import POLICY
from pipelines.commands.preferring import PREFERENCES
from pipelines.commands.privacy import PRIVACY
from pipelines.operations.access import NOT_STATED

APP = typer.Typer(
    name="crm-intake",
    help="From consented intake to a CRM: every person once, correct, and visible only for what they agreed to.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


@APP.callback()
def about(
    purpose: Annotated[
        str | None,
        typer.Option("--for", help="What a person's data is needed for (a case, a request); kept in the access log."),
    ] = None,
) -> None:
    """From consented intake to a CRM: every person once, correct, and visible only for what they agreed to."""
    PURPOSE.set(purpose or NOT_STATED)


APP.command()(sandboxing.demo)
APP.command()(running.run)
APP.command()(running.plan)
APP.command()(undoing.undo)
APP.command()(repairing.status)
APP.command()(repairing.explain)
APP.command()(sandboxing.ui)
APP.command()(clustering.worker)
APP.command()(clustering.cluster)
APP.command()(clustering.upgrade)
APP.add_typer(sources.SOURCES, name="sources")
APP.add_typer(quarantine.QUARANTINE, name="quarantine")
APP.add_typer(CONSENT, name="consent")
APP.add_typer(IDENTITY, name="identity")
APP.add_typer(CRM, name="crm")
APP.add_typer(POLICY, name="policy")
APP.add_typer(FINANCE, name="finance")
APP.add_typer(ACCESS, name="access")
APP.add_typer(STATISTICS, name="statistics")
APP.add_typer(KEYS, name="keys")
APP.add_typer(PREFERENCES, name="preferences")
APP.add_typer(PRIVACY, name="privacy")
APP.add_typer(sandboxing.SANDBOX, name="sandbox")
APP.add_typer(sandboxing.STORE, name="store")


noting_readings(APP)


def main() -> None:
    """The entry point of the installed command."""
    APP()

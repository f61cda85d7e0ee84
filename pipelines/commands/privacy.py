"""`privacy`: the rights of the people whose data this is, each as a command. The answers are for who may see them."""

import typer

from pipelines.commands import disclosing, erasing, registering

PRIVACY = typer.Typer(help="The rights of the data subject, and how long data lives.", no_args_is_help=True)
PRIVACY.command("erase")(erasing.erase)
PRIVACY.command("disclose")(disclosing.disclose_event)
PRIVACY.command("disclosures")(disclosing.disclosures)
PRIVACY.command("register")(registering.register)
PRIVACY.command("replay")(erasing.replay_journal)

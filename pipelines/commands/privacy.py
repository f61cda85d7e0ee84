"""`privacy`: the rights of the people whose data this is, each as a command. The answers are for who may see them."""

import typer

from pipelines.commands import disclosing, erasing, exercising, registering, retaining

PRIVACY = typer.Typer(help="The rights of the data subject, and how long data lives.", no_args_is_help=True)
PRIVACY.command("erase")(erasing.erase)
PRIVACY.command("disclose")(disclosing.disclose_event)
PRIVACY.command("disclosures")(disclosing.disclosures)
PRIVACY.command("register")(registering.register)
PRIVACY.command("replay")(erasing.replay_journal)
PRIVACY.command("retention")(retaining.retention)
PRIVACY.command("hold")(retaining.hold)
PRIVACY.command("holds")(retaining.holds)
PRIVACY.command("release")(retaining.release)
PRIVACY.command("export")(exercising.export)
PRIVACY.command("rectify")(exercising.rectify_person)
PRIVACY.command("restrict")(exercising.restrict_person)
PRIVACY.command("object")(exercising.object_person)
PRIVACY.add_typer(exercising.REQUESTS, name="requests")

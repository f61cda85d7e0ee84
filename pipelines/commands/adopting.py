"""`crm adopt` and `crm review`: what the CRM had before us, matched once; what is in doubt, decided by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from connectors.store import batches
from pipelines.commands.clients import client_for
from pipelines.commands.console import (
    CONSOLE,
    INCOMPLETE,
    ConfigOption,
    JsonOption,
    named,
    print_json,
    print_table,
    session_for,
)
from pipelines.operations import cutover, reviews
from pipelines.operations.adoption import Adoption, adopt_all
from pipelines.operations.evidence import Evidenced, bring_evidence
from pipelines.operations.sessions import Session, rehearse
from pipelines.operations.sync import as_writer

REVIEW = typer.Typer(help="Contacts of the CRM that may be a person's of ours.", no_args_is_help=True)

ByOption = Annotated[str | None, typer.Option("--by", help="Who decides or approves.")]


def adopt(
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this nothing is kept.")] = False,
    evidence: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="CSV of consents that people gave, with evidence.")
    ] = None,
    cut_over: Annotated[
        bool, typer.Option("--cutover", help="Opt out whatever is opted in without evidence; first as a dry run.")
    ] = False,
    approve: Annotated[str | None, typer.Option(help="The id that the dry run of --cutover printed.")] = None,
    by: ByOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Match what the CRM has already with what we know. A dry run with counts, unless told to --apply."""
    if evidence is not None and cut_over:
        raise typer.BadParameter("give either --evidence or --cutover")
    with session_for(config) as session:
        if cut_over:
            _cut_over(session, approve=approve, by=by, as_json=as_json)
        elif evidence is not None:
            _bring(session, evidence, apply=apply, as_json=as_json)
        else:
            _adopt(session, apply=apply, as_json=as_json)


@contextmanager
def _acting(session: Session, kind: str, *, apply: bool) -> Iterator[Session]:
    """The session as it is with the writer's lock and a record of the run, or one whose every write is rolled back."""
    if not apply:
        with rehearse(session.workspace) as rehearsal, rehearsal.transaction() as conn:
            batches.start_run(conn, rehearsal.run_id, kind, at=rehearsal.now)
            yield rehearsal
        return
    with as_writer(session):
        with session.transaction() as conn:
            batches.start_run(conn, session.run_id, kind, at=session.now)
        yield session
        with session.transaction() as conn:
            batches.finish_run(conn, session.run_id, "done", {}, at=session.now)


def _adopt(session: Session, *, apply: bool, as_json: bool) -> None:
    with _acting(session, "adopt", apply=apply) as acting, client_for(session.workspace) as crm:
        outcome = adopt_all(acting, crm)
    if as_json:
        print_json({"applied": apply, **asdict(outcome)})
        return
    _show(outcome)
    CONSOLE.print("Kept." if apply else "Nothing was kept: this was a dry run. Add --apply.")


def _show(outcome: Adoption) -> None:
    told = asdict(outcome)
    in_review, without = told.pop("in_review"), told.pop("without_evidence")
    print_table("Adoption", [{"what": name, "rows": n} for name, n in told.items()], ("what", "rows"))
    print_table("In review", [{"doubt": name, "contacts": n} for name, n in in_review.items()], ("doubt", "contacts"))
    left = [{"table": name, "rows": n} for name, n in without.items()]
    print_table("Opt-ins without evidence, left as they are", left, ("table", "rows"))


def _bring(session: Session, path: Path, *, apply: bool, as_json: bool) -> None:
    with _acting(session, "evidence", apply=apply) as acting:
        outcome = bring_evidence(acting, path)
    if as_json:
        print_json({"applied": apply, **asdict(outcome)})
    else:
        _show_evidence(outcome, apply=apply)
    raise typer.Exit(INCOMPLETE if outcome.refused else 0)


def _show_evidence(outcome: Evidenced, *, apply: bool) -> None:
    print_table("Refused", outcome.refused, ("row_no", "column", "reason"))
    CONSOLE.print(f"{outcome.rows} rows, {outcome.grants} grants with their evidence.")
    CONSOLE.print("Kept." if apply else "Nothing was kept: this was a dry run. Add --apply.")


def _cut_over(session: Session, *, approve: str | None, by: str | None, as_json: bool) -> None:
    with client_for(session.workspace) as crm:
        if approve is None:
            outcome = cutover.propose(session, crm)
        else:
            name = named(by, "A cut-over")
            with _acting(session, "cutover", apply=True) as acting:
                outcome = cutover.cut_over(acting, crm, approve, by=name)
    if as_json:
        print_json(asdict(outcome))
        return
    rows = [{"opted_in": name, "rows": n} for name, n in sorted(outcome.counts.items())]
    print_table("Opted in without evidence", rows, ("opted_in", "rows"))
    if approve is None:
        CONSOLE.print(
            f"Nothing was changed. To opt them out: crm-intake crm adopt --cutover --approve {outcome.cutover_id} --by NAME"
        )
    else:
        CONSOLE.print(
            "Opted out in the ledger; the next run tells the CRM. From now on every row there is ours to lower."
        )


@REVIEW.command("list")
def list_reviews(
    every: Annotated[bool, typer.Option("--all", help="Also what is decided or settled.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Contacts in doubt, oldest first, by their ids in the CRM; no name and no address is shown."""
    with session_for(config) as session:
        entries = reviews.list_reviews(session, every=every)
    if as_json:
        print_json(entries)
    else:
        shown = [{**entry, "persons": " ".join(map(str, entry["persons"]))} for entry in entries]
        print_table("Reviews", shown, ("review_id", "reason", "row_id", "persons", "state", "first_seen_at"))


@REVIEW.command("decide")
def decide(
    review: Annotated[int, typer.Argument(help="The number in the list.")],
    by: ByOption = None,
    link: Annotated[UUID | None, typer.Option(help="The contact is this person's.")] = None,
    new: Annotated[bool, typer.Option("--new", help="It is somebody else; the person gets a contact.")] = False,
    ignore: Annotated[bool, typer.Option("--ignore", help="Leave all as it is.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Decide what a contact of the CRM is to us. The next run acts on it."""
    if [link is not None, new, ignore].count(True) != 1:
        raise typer.BadParameter("give exactly one of --link, --new and --ignore")
    with session_for(config) as session:
        said: dict[str, Any] = {"by": by or ""}
        if link is not None:
            with client_for(session.workspace) as crm:
                reviews.decide_link(session, crm, review, person=link, **said)
        elif new:
            reviews.decide_new(session, review, **said)
        else:
            reviews.decide_ignore(session, review, **said)
    if as_json:
        print_json({"decided": review})
    else:
        CONSOLE.print(f"Review {review} is decided.")

"""What recipients of a disclosure are told of what changed since: corrections, each cause once, and nothing unseen as told."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from connectors.store.corrections import Names
from connectors.store.data_requests import lift, restrict
from connectors.store.erasure import Scope
from pipelines.operations.consents import Told, record_told
from pipelines.operations.corrections import correct_name
from pipelines.operations.disclosing import disclose, mark_told, to_tell
from pipelines.operations.erasure import find_person
from pipelines.operations.person_export import gather
from pipelines.operations.rights import rectify
from pipelines.operations.sessions import Session
from schemas.acts import Deed
from schemas.errors import ConfigurationError
from tests.finance.conftest import NOW, Bursar, bursar, make_row  # noqa: F401 - a fixture
from tests.pipelines.test_disclosing import SECRET, ask, opened, session_of

BY = "Tiina Tietosuoja"
SHARED = "both@example.org"


@pytest.fixture(scope="module", autouse=True)
def registered(bursar: Bursar) -> None:  # noqa: F811
    """Two with an address of their own; two who share one, of whom one gave no given name."""
    bursar.take(
        make_row(0, First="Aino"),
        make_row(1, First="Bertta"),
        make_row(2, First="Cecilia", Email=SHARED),
        make_row(3, First="Daavid", Email=SHARED),
    )


def later(session: Session, **by: float) -> Session:
    settings = session.workspace.settings.model_copy(update={"fixed_now": NOW + timedelta(**by)})
    return Session(replace(session.workspace, settings=settings))


def person(bursar: Bursar, given: str) -> Scope:  # noqa: F811
    ((person_id,),) = bursar.rows("select person_id from intake.person where given_name = :given", given=given)
    with bursar.workspace.transaction() as conn:
        return find_person(conn, person=str(person_id))


def made(session: Session, path: Path, recipient: str = "participants") -> tuple[UUID, dict[str, str]]:
    """A disclosure, and the reference of each."""
    disclosed = disclose(session, ask(recipient), path, passphrase=SECRET)
    return disclosed.disclosure_id, {row["given_name"]: row["reference"] for row in opened(path)}


def causes(session: Session, disclosure_id: UUID) -> dict[str, str]:
    return {row["reference"]: row["of"] for row in to_tell(session) if row["disclosure_id"] == disclosure_id}


def listing(session: Session, disclosure_id: UUID) -> str:
    (said,) = {row["listing"] for row in to_tell(session) if row["disclosure_id"] == disclosure_id}
    return str(said)


@pytest.mark.parametrize("door", ["by staff", "on the page"])
def test_a_correction_is_disclosed_from_then_on_and_whoever_had_the_old_name_is_told(
    bursar: Bursar,  # noqa: F811
    tmp_path: Path,
    door: str,
) -> None:
    hours, family = (1, "Malli") if door == "by staff" else (11, "Toinen")
    session = later(session_of(bursar, shares_contacts=True), hours=hours)
    disclosure_id, references = made(session, tmp_path / "before.zip")
    scope = person(bursar, "Cecilia")
    correcting = later(session, hours=hours + 1)
    if door == "by staff":
        rectify(correcting, scope, {"family_name": family, "phone": "+44 7700 900199"}, by=BY)
    else:
        with correcting.transaction() as conn:
            names = Names("Cecilia", family)
            assert correct_name(correcting, conn, scope.contact_point_id, scope.person_ids[0], names)
    told = later(session, hours=hours + 2)
    assert causes(told, disclosure_id) == {references["Cecilia"]: "rectified"}
    after, _ = made(told, tmp_path / "after.zip")
    rows = {row["given_name"]: row for row in opened(tmp_path / "after.zip")}
    assert rows["Cecilia"]["family_name"] == family and rows["Daavid"]["family_name"] == "Esimerkki"
    assert rows["Cecilia"]["phone"] is None, "what the event's form did not ask for is not disclosed"
    assert causes(told, after) == {}
    assert mark_told(told, disclosure_id, listing=listing(told, disclosure_id), by=BY) == 1
    assert causes(told, disclosure_id) == {}


def test_who_is_no_person_of_the_store_is_disclosed_as_they_registered(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    with bursar.owner.begin() as conn:
        statement = (
            "update intake.subject set person_id = {} where subject_id in"
            " (select subject_id from intake.submission where given_name = 'Bertta')"
        )
        kept = bursar.rows("select person_id from intake.person where given_name = 'Bertta'")[0][0]
        conn.execute(sa.text(statement.format("null")))
    _, references = made(later(session_of(bursar), hours=20), tmp_path / "list.zip")
    with bursar.owner.begin() as conn:
        conn.execute(sa.text(statement.format(":kept")), {"kept": kept})
    assert "Bertta" in references


def test_what_came_after_the_listing_is_not_marked_as_told(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    session = later(session_of(bursar), hours=30)
    disclosure_id, references = made(session, tmp_path / "list.zip")
    rectify(later(session, hours=31), person(bursar, "Aino"), {"family_name": "Uusi"}, by=BY)
    seen = listing(session, disclosure_id)
    rectify(later(session, hours=31), person(bursar, "Bertta"), {"family_name": "Uusi"}, by=BY)
    with pytest.raises(ConfigurationError, match="since it was listed"):
        mark_told(session, disclosure_id, listing=seen, by=BY)
    assert causes(session, disclosure_id) == {references["Aino"]: "rectified", references["Bertta"]: "rectified"}
    assert mark_told(session, disclosure_id, listing=listing(session, disclosure_id), by=BY) == 2
    assert causes(session, disclosure_id) == {}
    rectify(later(session, hours=32), person(bursar, "Aino"), {"family_name": "Uudempi"}, by=BY)
    assert causes(session, disclosure_id) == {references["Aino"]: "rectified"}, "a second time is listed anew"


def test_of_two_causes_that_were_told_neither_is_listed_again(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    session = later(session_of(bursar), hours=40)
    disclosure_id, references = made(session, tmp_path / "list.zip")
    scope = person(bursar, "Bertta")
    with session.transaction() as conn:
        restrict(conn, scope, reason="accuracy", by=BY, at=session.now + timedelta(hours=1))
    said = Told(deed=Deed.OBJECT, purpose="networking", said_at="2026-11-20 11:00", by="Desk", method="phone",
                address="person1@example.org")  # fmt: skip
    record_told(later(session, hours=41), said)
    both = causes(session, disclosure_id)
    assert both == {references["Bertta"]: "restricted; withdrawn or objected: networking"}
    assert mark_told(session, disclosure_id, listing=listing(session, disclosure_id), by=BY) == 1
    assert causes(later(session, hours=50), disclosure_id) == {}
    with session.transaction() as conn:
        lift(conn, scope)
        restrict(conn, scope, reason="accuracy again", by=BY, at=session.now + timedelta(hours=2))
    assert causes(session, disclosure_id) == {references["Bertta"]: "restricted"}
    with session.transaction() as conn:
        lift(conn, scope)


def test_the_export_of_one_of_two_at_an_address_has_the_disclosures_of_that_one_alone(
    bursar: Bursar,  # noqa: F811
    tmp_path: Path,
) -> None:
    with bursar.owner.begin() as conn:
        away = "update intake.registration set status = :status where submission_id = 'courses:r3'"
        conn.execute(sa.text(away), {"status": "cancelled"})
    made(later(session_of(bursar), hours=60), tmp_path / "catering.zip", "catering")

    def recipients(given: str) -> set[Any]:
        told = gather(later(session_of(bursar), hours=61), person(bursar, given), crm=None)
        return {row["recipient"] for row in told["data"]["disclosures"]}

    assert "catering" in recipients("Cecilia") and "catering" not in recipients("Daavid")
    assert "participants" in recipients("Daavid")

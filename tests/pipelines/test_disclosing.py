"""Disclosure: what the policy allows and no more, sealed, formula-safe, written down, and whom the recipient must be told of."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import pyzipper
import sqlalchemy as sa

from connectors.store import data_requests
from connectors.store.erasure import Scope
from pipelines.operations import disclosing
from pipelines.operations.consents import Told, record_told
from pipelines.operations.disclosing import Asked, disclose, mark_told, to_tell
from pipelines.operations.erasure import Asked as Erase
from pipelines.operations.erasure import erase_person
from pipelines.operations.sessions import Session
from pipelines.operations.status import check_status
from pipelines.transforms.sheets import csv_table, xlsx_table
from schemas.acts import Deed
from schemas.errors import ConfigurationError, StoreError
from schemas.mappings import Mapping
from tests.finance.conftest import FEED, Bursar, bursar, make_row  # noqa: F401 - a fixture

SECRET = "a passphrase of some length"
NAMES = ("Aino", "Bertta", "Cecilia", "Daavid", "Eeva")


def session_of(bursar: Bursar, **occasion: Any) -> Session:  # noqa: F811
    """A session in which the event's form names these recipients."""
    stated = {**FEED["occasion"], "recipients": ["catering", "participants", "transport"], **occasion}
    mapping = Mapping.model_validate({**FEED, "kind": "event_registration", "occasion": stated})
    return Session(replace(bursar.workspace, mappings={"courses": mapping}))


def ask(recipient: str = "catering", **changes: Any) -> Asked:
    plain = {"event": "c1", "recipient": recipient, "by": "Olli Organiser", "reason": "meals", "form": "xlsx"}
    return Asked(**{**plain, **changes})


def opened(path: Path) -> list[dict[str, Any]]:
    """The rows of the one workbook in the archive."""
    with pyzipper.AESZipFile(path) as archive:
        archive.setpassword(SECRET.encode())
        [name] = archive.namelist()
        sheet = openpyxl.load_workbook(io.BytesIO(archive.read(name))).active
    assert sheet is not None
    titles, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(map(str, titles), row, strict=True)) for row in rows]


@pytest.fixture(scope="module", autouse=True)
def registered(bursar: Bursar) -> None:  # noqa: F811
    bursar.take(*(make_row(n, First=name, Last="Esimerkki") for n, name in enumerate(NAMES)))


def test_a_file_has_the_columns_of_the_policy_and_a_reference_for_each(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    made = disclose(session_of(bursar), ask(), tmp_path / "catering.zip", passphrase=SECRET)
    rows = opened(tmp_path / "catering.zip")
    assert list(rows[0]) == ["reference", "given_name", "family_name"]
    assert {row["given_name"] for row in rows} == set(NAMES)
    assert len({row["reference"] for row in rows}) == len(NAMES) == made.people
    [told] = bursar.rows(
        "select recipient, purpose, columns, people, reason, disclosed_by from intake.disclosure where disclosure_id = :i",
        i=made.disclosure_id,
    )
    assert told == ("catering", "disclosure:catering", made.columns, 5, "meals", "Olli Organiser")
    assert bursar.rows(
        "select count(*) from intake.disclosure_subject where disclosure_id = :i", i=made.disclosure_id
    ) == [(5,)]


def test_the_archive_is_sealed_and_its_owner_s_alone(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "sealed.zip"
    disclose(session_of(bursar), ask(), path, passphrase=SECRET)
    assert path.stat().st_mode & 0o077 == 0
    assert b"Esimerkki" not in path.read_bytes()
    with pyzipper.AESZipFile(path) as archive:
        assert archive.infolist()[0].wz_aes_strength == 3  # 256 bits
        archive.setpassword(b"a wrong passphrase")
        with pytest.raises(RuntimeError):
            archive.read(archive.namelist()[0])


@pytest.mark.parametrize("recipient", ["marketing", "crm", "statistics", "somebody"])
def test_marketing_data_and_unknown_recipients_are_refused_always(
    bursar: Bursar,  # noqa: F811
    tmp_path: Path,
    recipient: str,
) -> None:
    before = bursar.rows("select count(*) from intake.disclosure")
    with pytest.raises(ConfigurationError, match="Marketing data is disclosed to nobody"):
        disclose(session_of(bursar, recipients=[recipient]), ask(recipient), tmp_path / "no.zip", passphrase=SECRET)
    assert not (tmp_path / "no.zip").exists()
    assert bursar.rows("select count(*) from intake.disclosure") == before


def test_no_policy_lets_a_consent_disclose(bursar: Bursar) -> None:  # noqa: F811
    marketing = bursar.workspace.policy.purposes["marketing"]
    for wrong in ({"discloses": ("email",), "recipients": ("caterer",)},):
        with pytest.raises(ValueError, match="disclosed to nobody"):
            type(marketing).model_validate({**marketing.model_dump(), **wrong})
        policy = bursar.workspace.policy.model_copy(
            update={"purposes": {"marketing": marketing.model_copy(update=wrong)}}
        )
        with pytest.raises(ConfigurationError, match="disclosed to nobody"):
            disclosing.purpose_for(policy, "caterer")


@pytest.mark.parametrize(
    ("occasion", "asked", "why"),
    [
        ({"recipients": ["transport"]}, {}, "does not name"),
        ({}, {"event": "c2"}, "There is no event"),
        ({}, {"by": " "}, "named person"),
        ({}, {"reason": ""}, "reason"),
    ],
)
def test_what_the_event_s_form_did_not_say_is_refused(
    bursar: Bursar,  # noqa: F811
    tmp_path: Path,
    occasion: dict[str, Any],
    asked: dict[str, str],
    why: str,
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        disclose(session_of(bursar, **occasion), ask(**asked), tmp_path / "no.zip", passphrase=SECRET)


@pytest.mark.parametrize("recipient", ["transport", "participants"])
def test_an_event_of_which_the_mapping_of_one_form_is_gone_is_disclosed_to_nobody(
    bursar: Bursar,  # noqa: F811
    tmp_path: Path,
    recipient: str,
) -> None:
    came_by = "update intake.submission set feed = :feed where submission_id = 'courses:r0'"
    with bursar.owner.begin() as conn:
        conn.execute(sa.text(came_by), {"feed": "closed_form"})
    try:
        with pytest.raises(ConfigurationError, match=r"closed_form.*Put its file back under config/sources"):
            disclose(session_of(bursar), ask(recipient), tmp_path / "no.zip", passphrase=SECRET)
        assert not (tmp_path / "no.zip").exists()
    finally:
        with bursar.owner.begin() as conn:
            conn.execute(sa.text(came_by), {"feed": "courses"})


def test_a_disclosure_after_the_event_is_refused(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    session = session_of(bursar)
    session.now = datetime(2027, 1, 1, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="over"):
        disclose(session, ask(), tmp_path / "no.zip", passphrase=SECRET)


def test_a_file_that_cannot_be_written_leaves_no_record(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "there.zip").write_bytes(b"")
    before = bursar.rows("select count(*) from intake.disclosure")
    for path, secret in ((tmp_path / "there.zip", SECRET), (tmp_path / "new.zip", "short")):
        with pytest.raises(ConfigurationError):
            disclose(session_of(bursar), ask(), path, passphrase=secret)
    assert bursar.rows("select count(*) from intake.disclosure") == before


def test_the_list_for_networking_has_contacts_only_where_the_form_says_so(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    disclose(session_of(bursar), ask("participants"), tmp_path / "plain.zip", passphrase=SECRET)
    assert list(opened(tmp_path / "plain.zip")[0]) == ["reference", "given_name", "family_name", "organisation"]
    disclose(session_of(bursar, shares_contacts=True), ask("participants"), tmp_path / "full.zip", passphrase=SECRET)
    assert list(opened(tmp_path / "full.zip")[0])[-2:] == ["email", "phone"]


def test_of_an_event_whose_id_was_used_again_only_who_registered_since_is_on_the_list(
    bursar: Bursar,  # noqa: F811
    tmp_path: Path,
) -> None:
    session, again = session_of(bursar), datetime(2026, 3, 2, 12, tzinfo=UTC)
    told = "update intake.occasion set earlier_ended_at = :at where occasion_id = 'c1'"
    with bursar.owner.begin() as conn:
        conn.execute(sa.text(told), {"at": again})
        later = "update intake.registration set registered_at = :at where submission_id = 'courses:r0'"
        conn.execute(sa.text(later), {"at": datetime(2026, 3, 2, 12, 0, 1, tzinfo=UTC)})
    try:
        made = disclose(session, ask("transport"), tmp_path / "bus.zip", passphrase=SECRET)
        assert [row["given_name"] for row in opened(tmp_path / "bus.zip")] == ["Aino"]
        assert (made.people, made.registered_after) == (1, again)
        [used] = check_status(session).facts["occasions_used_again"]
        assert used == {"source": "webropol", "occasion_id": "c1", "registrations": len(NAMES) - 1}
        [alarm] = [one for one in check_status(session).alarms if "told again" in one]
        assert alarm.startswith("1 courses or events") and "(c1)" in alarm
        postponed = disclose(session, ask("transport", is_postponed=True), tmp_path / "all.zip", passphrase=SECRET)
        assert {row["given_name"] for row in opened(tmp_path / "all.zip")} == set(NAMES)
        assert postponed.registered_after is None
    finally:
        with bursar.owner.begin() as conn:
            conn.execute(sa.text(told), {"at": None})
    assert not [one for one in check_status(session).alarms if "told again" in one]


def test_who_objected_or_cancelled_is_not_on_the_list(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    with bursar.owner.begin() as conn:
        conn.execute(
            sa.text(
                "insert into intake.consent_state (contact_point_id, purpose, topic, state) select contact_point_id,"
                " 'networking', '', 'withdrawn' from intake.contact_point where address = 'person1@example.org'"
            )
        )
        conn.execute(sa.text("update intake.registration set status = 'cancelled' where submission_id = 'courses:r2'"))
    disclose(session_of(bursar), ask("participants"), tmp_path / "list.zip", passphrase=SECRET)
    assert {row["given_name"] for row in opened(tmp_path / "list.zip")} == set(NAMES) - {"Bertta", "Cecilia"}
    disclose(session_of(bursar), ask("catering"), tmp_path / "meals.zip", passphrase=SECRET)
    assert "Bertta" in {row["given_name"] for row in opened(tmp_path / "meals.zip")}, "an objection is to one purpose"


def test_recipients_must_be_told_of_what_changed_by_the_references_in_their_files(
    bursar: Bursar,  # noqa: F811
    tmp_path: Path,
) -> None:
    session = session_of(bursar)
    made = disclose(session, ask("transport"), tmp_path / "bus.zip", passphrase=SECRET)
    references = {row["given_name"]: row["reference"] for row in opened(tmp_path / "bus.zip")}
    assert not [row for row in to_tell(session) if row["disclosure_id"] == made.disclosure_id]
    bursar.take(make_row(0, First="Aino", Last="Malli"))
    with bursar.owner.begin() as conn:
        conn.execute(sa.text("update intake.registration set status = 'cancelled' where submission_id = 'courses:r3'"))
    later = Session(bursar.workspace)
    erase_person(later, Erase(by="Pia Privacy", address="person4@example.org"), crm=None)
    told = {row["reference"]: row["of"] for row in to_tell(session) if row["disclosure_id"] == made.disclosure_id}
    assert told == {
        references["Aino"]: "rectified",
        references["Daavid"]: "registration cancelled",
        references["Eeva"]: "erased",
    }
    (listing,) = {row["listing"] for row in to_tell(session) if row["disclosure_id"] == made.disclosure_id}
    assert mark_told(session, made.disclosure_id, listing=listing, by="Olli Organiser") == 3
    assert not [row for row in to_tell(session) if row["disclosure_id"] == made.disclosure_id]


def test_a_recipient_is_told_of_what_was_objected_to_of_its_own_purpose_and_of_no_other(
    bursar: Bursar,  # noqa: F811
    tmp_path: Path,
) -> None:
    session = session_of(bursar)
    bursar.take(make_row(11, First="Fanni", Last="Esimerkki"))
    made = {
        one: disclose(session, ask(one), tmp_path / f"{one}.zip", passphrase=SECRET)
        for one in ("catering", "participants")
    }
    told = Told(deed=Deed.OBJECT, purpose="marketing", said_at="2026-11-20 11:00", by="Desk", method="phone",
                address="person11@example.org")  # fmt: skip
    record_told(session, replace(told, deed=Deed.WITHDRAW))
    of_these = {one.disclosure_id for one in made.values()}
    assert not [row for row in to_tell(session) if row["disclosure_id"] in of_these], "marketing is none of theirs"
    record_told(session, replace(told, purpose="networking"))
    found = [row for row in to_tell(session) if row["disclosure_id"] in of_these]
    references = {row["given_name"]: row["reference"] for row in opened(tmp_path / "participants.zip")}
    assert [(row["recipient"], row["reference"], row["of"]) for row in found] == [
        ("participants", references["Fanni"], "withdrawn or objected: networking")
    ]


def test_the_watch_names_who_holds_a_list_that_is_not_so_any_more_and_nobody_who_is_on_it(
    bursar: Bursar,  # noqa: F811
    tmp_path: Path,
) -> None:
    session = session_of(bursar, recipients=["accommodation"])
    bursar.take(make_row(12, First="Gunnar", Last="Esimerkki"))
    made = disclose(session, ask("accommodation"), tmp_path / "beds.zip", passphrase=SECRET)

    def alarms() -> list[str]:
        return [alarm for alarm in check_status(session).alarms if alarm.startswith("Recipient accommodation ")]

    assert not alarms()
    with bursar.owner.begin() as conn:
        conn.execute(sa.text("update intake.registration set status = 'cancelled' where submission_id = 'courses:r12'"))
    (alarm,) = alarms()
    assert "told of 1 changes" in alarm and "`crm-intake privacy disclosures --to-tell`" in alarm
    assert "Gunnar" not in alarm and "example.org" not in alarm
    (row,) = [row for row in to_tell(session) if row["disclosure_id"] == made.disclosure_id]
    mark_told(session, made.disclosure_id, listing=row["listing"], by="Olli Organiser")
    assert not alarms()


def test_a_record_of_a_disclosure_cannot_be_changed(bursar: Bursar) -> None:  # noqa: F811
    for statement in ("update intake.disclosure set people = 0", "delete from intake.disclosure_subject"):
        with pytest.raises(StoreError) as refused, bursar.workspace.transaction() as conn:
            conn.execute(sa.text(statement))
        assert refused.value.sqlstate == "42501"


@pytest.mark.parametrize("cell", ["=1+1", "+447700900123", "-1", "@sum(a1)", "\tx", "\r=1", " =1", "＝1"])
def test_no_cell_can_become_a_formula(cell: str) -> None:
    text = csv_table(["name"], [[cell]]).decode("utf-8-sig")
    assert text.splitlines()[-1 if "\r" not in cell else 1].startswith("\"'")
    sheet = openpyxl.load_workbook(io.BytesIO(xlsx_table(["name"], [[cell]], title="list"))).active
    assert sheet is not None
    found = sheet["A2"]
    assert (found.data_type, found.number_format) == ("s", "@")
    assert found.value is not None


def test_a_phone_number_stays_as_it_is_in_a_workbook() -> None:
    book = openpyxl.load_workbook(io.BytesIO(xlsx_table(["phone"], [["+447700900123"]], title="list")))
    assert book.active is not None
    assert book.active["A2"].value == "+447700900123"


def test_whoever_is_under_restriction_is_told_to_nobody(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    session = session_of(bursar)
    before = disclose(session, ask(), tmp_path / "all.zip", passphrase=SECRET).people
    with session.transaction() as conn:
        person = conn.execute(
            sa.text(
                "select p.person_id, p.contact_point_id from intake.person p join intake.registration g"
                " using (contact_point_id) where g.status = 'active' order by 1 limit 1"
            )
        ).one()
        scope = Scope(person.contact_point_id, "", (person.person_id,), is_whole=True)
        assert data_requests.restrict(conn, scope, reason="accuracy", by="Olli Organiser", at=session.now) == 1
    assert disclose(session, ask(), tmp_path / "fewer.zip", passphrase=SECRET).people == before - 1
    with session.transaction() as conn:
        data_requests.lift(conn, scope)


def test_a_restriction_after_a_disclosure_is_to_be_told(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    session = session_of(bursar)
    made = disclose(session, ask(), tmp_path / "meals.zip", passphrase=SECRET)
    with session.transaction() as conn:
        told = "select contact_point_id, reference from intake.disclosure_subject where disclosure_id = :id limit 1"
        somebody = conn.execute(sa.text(told), {"id": made.disclosure_id}).one()
        person = "select person_id from intake.person where contact_point_id = :id"
        person_id = conn.execute(sa.text(person), {"id": somebody.contact_point_id}).scalar_one()
        scope = Scope(somebody.contact_point_id, "", (person_id,), is_whole=True)
        data_requests.restrict(conn, scope, reason="accuracy", by="Olli Organiser", at=session.now)
    found = {row["reference"]: row["of"] for row in to_tell(session) if row["disclosure_id"] == made.disclosure_id}
    assert found == {somebody.reference: "restricted"}
    with session.transaction() as conn:
        data_requests.lift(conn, scope)


def test_an_event_that_tells_no_end_is_over_when_it_has_begun(bursar: Bursar, tmp_path: Path) -> None:  # noqa: F811
    session = session_of(bursar)
    with bursar.owner.begin() as conn:
        (kept,) = conn.execute(sa.text("select starts_at, ends_at from intake.occasion where occasion_id = 'c1'"))
        begun = "update intake.occasion set ends_at = null, starts_at = :at where occasion_id = 'c1'"
        conn.execute(sa.text(begun), {"at": session.now})
    try:
        with pytest.raises(ConfigurationError, match="The event is over"):
            disclose(session, ask(), tmp_path / "late.zip", passphrase=SECRET)
    finally:
        with bursar.owner.begin() as conn:
            back = "update intake.occasion set starts_at = :starts_at, ends_at = :ends_at where occasion_id = 'c1'"
            conn.execute(sa.text(back), dict(kept._mapping))

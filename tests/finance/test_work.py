"""Finance's work: taking its columns from what was landed and from its own template, correcting, letting go in time."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import openpyxl
import pytest
import sqlalchemy as sa

from connectors.finance.desk import Correction
from connectors.store import batches
from connectors.store.landing import get_payload
from pipelines.operations.erasure import Asked, alone, erase_person
from pipelines.operations.finance import work
from pipelines.operations.finance.taking import take_file, take_landed
from pipelines.operations.intake import apply_batches, merge_staged, stage_source
from pipelines.operations.sessions import Session
from schemas.errors import BatchRefused, ConfigurationError, StoreError
from schemas.mappings import Mapping
from tests.finance.conftest import FEED, IBAN, NOW, OTHER_IBAN, OVT, Bursar, make_row

TEMPLATE_ROW = {
    "Tositenumero": "T1",
    "Päiväys": "2.3.2026",
    "Laji": "Matkalasku",
    "Summa": "312,40",
    "Saajan nimi": "Aino Esimerkki",
    "Saajan osoite": "Esimerkkitie 1",
    "Saajan postinumero": "40100",
    "Saajan tilinumero": "FI21 1234 5600 0007 85",
}


def template(bursar: Bursar, path: Path, *rows: dict[str, str]) -> Path:
    """The template filled in: every column that the feed names."""
    feed = bursar.office.feeds["finance_template"]
    titles = sorted(feed.mapped_columns() | feed.finance_columns() | set(feed.ignored))
    book = openpyxl.Workbook()
    book.active.append(titles)
    for row in rows:
        book.active.append([row.get(title) for title in titles])
    book.save(path)
    return path


def party(bursar: Bursar, record: str, role: str = "payer") -> dict[str, object]:
    [entry] = work.show_entries(bursar.office, entry=bursar.entry(record))
    return next(one for one in entry["parties"] if one["role"] == role)


def fix(bursar: Bursar, record: str, value: str, *, role: str = "payer", field: str = "iban") -> None:
    told = Correction(UUID(bursar.entry(record)), role, field, value, reason="asked the payer", by="Fia Finance")
    work.correct(bursar.office, told)


def test_payment_columns_go_to_finance_with_who_pays_and_who_is_invoiced(bursar: Bursar) -> None:
    taken = bursar.take(
        make_row(10), make_row(11, Account="", Company="Example Oy", VAT="FI90000003", **{"Invoice to": OVT})
    )
    assert (taken.entries, taken.refusals, taken.problems) == (2, 0, [])
    assert party(bursar, "r10")["iban"] == IBAN
    assert party(bursar, "r11", "invoice_recipient")["einvoice_address"] == OVT
    [(amount, dated_on, kept)] = bursar.rows(
        "select amount::text, dated_on::text, kept_until::text from finance.entry where record_id = 'courses:r10'"
    )
    assert (amount, dated_on, kept) == ("120.00", "2026-03-02", "2032-12-31")


def test_a_batch_is_taken_once_and_a_newer_delivery_of_a_record_stands(bursar: Bursar) -> None:
    bursar.take(make_row(20), make_row(21))
    assert take_landed(Session(bursar.workspace), bursar.office)[0].deliveries == 0
    taken = bursar.take(make_row(20, Account=OTHER_IBAN), make_row(21))
    assert taken.entries == 1
    assert party(bursar, "r20")["iban"] == OTHER_IBAN


def erase(bursar: Bursar, address: str) -> None:
    session = Session(bursar.workspace)
    with alone(session):
        erase_person(session, Asked("Tiina Tietosuoja", address=address), crm=None)


def in_landing(bursar: Bursar) -> str:
    """What stands in the landing, whatever its batches are."""
    keys = bursar.workspace.keys
    with bursar.workspace.transaction() as conn:
        payloads = [get_payload(conn, one.batch_id, keys=keys) for one in batches.landed_with_payload(conn)]
    return str(payloads)


def merge(bursar: Bursar) -> None:
    session = Session(bursar.workspace)
    stage_source(session, "webropol")
    merge_staged(session, "webropol")


def test_a_payment_of_somebody_erased_before_it_came_is_taken_and_then_nothing_of_it_is_left(bursar: Bursar) -> None:
    bursar.take(make_row(35, Last="Poistettu", Price="0", Account=""))
    erase(bursar, "person35@example.org")
    late = {"Email": "person35@example.org", "Last": "Poistettu", "Account": OTHER_IBAN, "Company": "Poistettu Oy"}
    bursar.land([make_row(36, **late), make_row(37)])
    merge(bursar)
    assert "person35@" not in in_landing(bursar), "what finance does not read of it is gone at once"
    states = "select state, reason from intake.row_outcome where reason = 'erased' and row_no = 1"
    assert bursar.rows(states)
    [taken] = take_landed(Session(bursar.workspace), bursar.office)
    assert (
        taken.entries == 2
        and party(bursar, "r36")["iban"] == OTHER_IBAN
        and party(bursar, "r36")["name"] == "Poistettu"
    )
    left = in_landing(bursar)
    assert "Poistettu" not in left and "person37@" in left
    assert not bursar.rows("select from intake.submission where family_name = 'Poistettu'")
    assert take_landed(Session(bursar.workspace), bursar.office)[0].deliveries == 0


def test_a_payment_that_finance_has_yet_to_take_outlives_an_erasure_and_is_read_by_nobody_else(bursar: Bursar) -> None:
    bursar.land([make_row(38, Last="Lahtenyt", Account=OTHER_IBAN), make_row(39)])
    merge(bursar)
    erase(bursar, "person38@example.org")
    assert "person38@" not in in_landing(bursar)
    [batch] = bursar.rows("select batch_id from intake.submission where submission_id = 'courses:r39'")
    apply_batches(Session(bursar.workspace), [batch[0]])
    assert not bursar.rows("select from intake.quarantine") and not bursar.rows(
        "select from intake.submission where submission_id = 'courses:r38'"
    )
    take_landed(Session(bursar.workspace), bursar.office)
    assert party(bursar, "r38")["iban"] == OTHER_IBAN
    assert "Lahtenyt" not in in_landing(bursar)


def test_a_row_without_a_payment_makes_no_entry(bursar: Bursar) -> None:
    bursar.take(make_row(30, Account="", Price="0"))
    assert bursar.rows("select from finance.entry where record_id = 'courses:r30'") == []
    assert bursar.rows("select count(*) from intake.submission where submission_id = 'courses:r30'") == [(1,)]


def test_an_amount_that_cannot_be_read_is_kept_for_finance_though_nothing_else_tells_of_a_payment(
    bursar: Bursar,
) -> None:
    taken = bursar.take(make_row(31, Account="", Price="1.200"))
    assert (taken.entries, taken.refusals) == (1, 1)
    [entry] = work.show_entries(bursar.office, entry=bursar.entry("r31"))
    assert [(one["field"], one["fault"], one["written"]) for one in entry["refusals"]] == [
        ("amount", "amount_invalid", "1.200")
    ]
    assert (entry["amount"], entry["parties"]) == (None, [])


def test_what_is_not_valid_is_refused_kept_for_finance_and_mended_by_a_correction(bursar: Bursar) -> None:
    bursar.take(make_row(40, Account="FI00 0000"))
    [entry] = work.show_entries(bursar.office, entry=bursar.entry("r40"))
    assert [(one["field"], one["fault"], one["written"]) for one in entry["refusals"]] == [
        ("iban", "iban_invalid", "FI00 0000")
    ]
    assert any(one["refused"] == "payer iban" for one in work.list_entries(bursar.office, refused_only=True))
    with pytest.raises(ConfigurationError, match="not an IBAN"):
        fix(bursar, "r40", "FI00 0001")
    fix(bursar, "r40", "FI21 1234 5600 0007 85")
    [entry] = work.show_entries(bursar.office, entry=bursar.entry("r40"))
    assert entry["refusals"] == []
    [told] = entry["corrections"]
    assert (told["before"], told["after"], told["corrected_by"]) == (None, IBAN, "Fia Finance")


def test_a_later_delivery_does_not_undo_a_correction(bursar: Bursar) -> None:
    bursar.take(make_row(50))
    fix(bursar, "r50", OTHER_IBAN)
    bursar.take(make_row(50, Price="150,00"))
    assert party(bursar, "r50")["iban"] == OTHER_IBAN
    assert bursar.rows("select amount::text from finance.entry where record_id = 'courses:r50'") == [("150.00",)]


def test_corrections_cannot_be_changed_or_deleted(bursar: Bursar) -> None:
    for statement in ("update finance.correction set reason = ''", "delete from finance.correction"):
        with pytest.raises(StoreError) as refused, bursar.office.transaction() as conn:
            conn.execute(sa.text(statement))
        assert refused.value.sqlstate == "42501"


def test_a_correction_is_by_name_and_of_a_party_that_there_is(bursar: Bursar) -> None:
    bursar.take(make_row(60))
    entry = UUID(bursar.entry("r60"))
    for wrong in (
        Correction(entry, "payer", "iban", IBAN, reason="", by="Fia"),
        Correction(entry, "payer", "iban", IBAN, reason="asked", by=" "),
        Correction(entry, "payer", "colour", "red", reason="asked", by="Fia"),
        Correction(entry, "payee", "iban", IBAN, reason="asked", by="Fia"),
    ):
        with pytest.raises(ConfigurationError):
            work.correct(bursar.office, wrong)


def test_the_template_of_finance_brings_payees_without_the_intake(bursar: Bursar, tmp_path: Path) -> None:
    before = bursar.rows("select count(*) from intake.batch")
    grant = {**TEMPLATE_ROW, "Tositenumero": "T2", "Laji": "Apuraha", "Saajan tilinumero": "wrong"}
    file = template(bursar, tmp_path / "talous.xlsx", TEMPLATE_ROW, grant)
    taken = take_file(bursar.office, file, "finance_template", now=NOW)
    assert (taken.entries, taken.refusals) == (2, 1)
    found = work.show_entries(bursar.office, written="aino esimerkki")
    assert sorted((one["kind"], one["source"]) for one in found) == [
        ("grant", "finance"),
        ("travel_invoice", "finance"),
    ]
    assert bursar.rows("select count(*) from intake.batch") == before


def test_a_template_with_another_column_is_refused_by_name(bursar: Bursar, tmp_path: Path) -> None:
    file = template(bursar, tmp_path / "talous.xlsx", TEMPLATE_ROW)
    book = openpyxl.load_workbook(file)
    book.active.cell(1, book.active.max_column + 1, "Henkilötunnus")
    book.active.cell(2, book.active.max_column, "x")
    book.save(file)
    with pytest.raises(BatchRefused, match="Henkilötunnus"):
        take_file(bursar.office, file, "finance_template", now=NOW)


def test_entries_go_when_the_law_keeps_them_no_longer_and_not_a_day_before(bursar: Bursar) -> None:
    bursar.take(make_row(70, Time="2019-05-05T12:00:00"), make_row(71))
    entry = bursar.entry("r70")
    kept = replace(bursar.office, settings=bursar.office.settings.model_copy(update={"fixed_now": at(2025, 12, 31)}))
    assert work.let_go(kept) == []
    past = replace(kept, settings=kept.settings.model_copy(update={"fixed_now": at(2026, 1, 1)}))
    [told] = work.let_go(past, dry_run=True)
    assert (str(told["fiscal_year_end"]), told["entries"]) == ("2019-12-31", 1)
    assert bursar.entry("r70") == entry
    work.let_go(past)
    assert bursar.rows("select from finance.party where entry_id = :e", e=entry) == []
    assert bursar.entry("r71")


def at(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)


def test_a_payment_column_alone_does_not_change_what_the_intake_knows(bursar: Bursar) -> None:
    bursar.take(make_row(80))
    bursar.take(make_row(80, Account=OTHER_IBAN))
    states = bursar.rows(
        "select o.state from intake.row_outcome o join intake.batch b using (batch_id)"
        " where o.submission_id = 'courses:r80' order by b.received_at"
    )
    assert states == [("applied",), ("unchanged",)]


def test_a_payment_of_which_the_day_alone_is_put_right_is_of_that_day(bursar: Bursar) -> None:
    bursar.take(make_row(81, Time="2024-12-31T12:00:00"))
    bursar.take(make_row(81, Time="2025-01-02T12:00:00"))
    assert bursar.rows(
        "select dated_on::text, kept_until::text from finance.entry where record_id = 'courses:r81'"
    ) == [("2025-01-02", "2031-12-31")]


def test_a_batch_read_again_under_a_corrected_mapping_is_what_that_one_says(bursar: Bursar) -> None:
    bursar.take(make_row(90), make_row(91))
    fix(bursar, "r91", OTHER_IBAN)
    was = FEED["finance"]
    swapped = {"payer": was["invoice_recipient"], "invoice_recipient": was["payer"]}
    told = {**FEED, "finance": {**was, **swapped, "record_class": "books"}}
    workspace = replace(bursar.workspace, mappings={"courses": Mapping.model_validate(told)})
    [taken] = take_landed(Session(workspace), bursar.office)
    assert taken.problems == [] and taken.entries >= 2
    [entry] = work.show_entries(bursar.office, entry=bursar.entry("r90"))
    assert [(one["role"], one["name"], one["iban"]) for one in entry["parties"]] == [
        ("invoice_recipient", "Esimerkki", IBAN)
    ]
    assert (entry["record_class"], str(entry["kept_until"])) == ("books", "2036-12-31")
    assert party(bursar, "r91")["iban"] == OTHER_IBAN, "what finance put right stays"
    assert take_landed(Session(workspace), bursar.office)[0].deliveries == 0


def test_a_feed_of_finance_has_a_part_for_finance_and_stands_apart() -> None:
    for wrong in ({"source": "finance"}, {"kind": "finance_entry"}, {"finance": {**FEED["finance"], "kind": None}}):
        with pytest.raises(ValueError, match="finance"):
            Mapping.model_validate({**FEED, **wrong})

"""The workbook for manual entries: written by the command, filled in by staff, read back by the manual feed itself."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from connectors.decoders import decode
from connectors.files import media_type_of
from connectors.mappings import load_mapping, load_mappings, load_policy
from connectors.store.address import ServerAddress
from pipelines.cli import APP
from pipelines.operations.entry_templates import GUIDANCE, LISTS, entry_workbook, manual_feed
from pipelines.transforms.shape import StagedBatch, shape_batch
from schemas.errors import ConfigurationError
from tests.feeds import CONFIG

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
MAPPING = load_mapping(CONFIG / "sources" / "manual_entries.yaml")
POLICY = load_policy(CONFIG)
SAID = {
    "Kirjattu": "20.11.2026",
    "Sähköposti": "aino@example.org",
    "Tarkoitus": "marketing",
    "Aihe": "training",
    "Päätös": "lupa",
    "Kirjaaja": "Staff One",
    "Tapa": "puhelin",
    "Sanamuoto": "Saa lähettää koulutuksista.",
    "Sanottu": "19.11.2026",
}


def read_back(cells: dict[str, object], workbook: bytes | None = None) -> StagedBatch:
    book = load_workbook(BytesIO(workbook or entry_workbook(MAPPING, POLICY)))
    sheet = book.worksheets[0]
    titles = [cell.value for cell in sheet[1]]
    for title, value in cells.items():
        sheet.cell(2, titles.index(title) + 1, value)
    filled = BytesIO()
    book.save(filled)
    raw = decode(media_type_of(MAPPING), filled.getvalue(), MAPPING)
    return shape_batch(raw, MAPPING, received_at=NOW, policy=POLICY)


@pytest.mark.parametrize("is_typed_as_date", [False, True])
def test_a_row_filled_into_the_template_is_one_consent_of_the_manual_feed(is_typed_as_date: bool) -> None:
    dates = {"Kirjattu": datetime(2026, 11, 20), "Sanottu": datetime(2026, 11, 19)} if is_typed_as_date else {}
    shaped = read_back(SAID | dates)
    assert shaped.faults.empty
    [decision] = shaped.decisions.to_dict("records")
    assert (decision["purpose"], decision["topic"], decision["value"]) == ("marketing", "training", "grant")
    assert (decision["collected_by"], decision["method"]) == ("Staff One", "puhelin")
    assert len(shaped.submissions) == 1


def test_a_yes_without_its_evidence_is_no_consent_in_the_template_either() -> None:
    shaped = read_back(SAID | {"Sanamuoto": None})
    assert shaped.decisions.empty
    assert set(shaped.faults["fault"]) == {"spoken_incomplete"}


def test_the_empty_template_has_no_row_and_every_title_is_explained() -> None:
    book = load_workbook(BytesIO(entry_workbook(MAPPING, POLICY)))
    titles = {cell.value for cell in book.worksheets[0][1]}
    assert titles == MAPPING.mapped_columns() - set(MAPPING.ignored)
    explained = {row[0]: row[1:] for row in book[GUIDANCE].iter_rows(min_row=3, values_only=True)}
    assert set(explained) == titles
    assert all(fi and en and "määrityksen" not in fi for fi, en in explained.values())
    assert len(decode(media_type_of(MAPPING), entry_workbook(MAPPING, POLICY), MAPPING)) == 0


def test_purpose_topic_and_decision_are_chosen_from_the_policys_lists() -> None:
    book = load_workbook(BytesIO(entry_workbook(MAPPING, POLICY)))
    sheet = book.worksheets[0]
    titles = [cell.value for cell in sheet[1]]
    offered: dict[object, list[object]] = {}
    for rule in sheet.data_validations.dataValidation:
        title = titles[next(iter(rule.sqref.ranges)).min_col - 1]
        cells = book[LISTS][rule.formula1.split("!")[1].replace("$", "")]
        offered[title] = [row[0].value for row in cells]
        assert rule.type == "list" and rule.showErrorMessage
    assert set(offered) == {"Tarkoitus", "Aihe", "Päätös"}
    assert "marketing" in offered["Tarkoitus"] and set(offered["Tarkoitus"]) <= set(POLICY.purposes)
    assert {"training", "rdi", "services", "events"} <= set(offered["Aihe"])
    assert offered["Päätös"] == ["lupa", "peruu", "kieltää"]


def test_the_command_writes_the_template_once_and_never_over_a_file(store: ServerAddress, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": store.uri_adbc, "INTAKE_DATA_DIR": str(tmp_path)}
    words = ["sources", "template", "manual", "--to", str(tmp_path / "kirjaukset.xlsx"), "--config", str(CONFIG)]
    written = CliRunner().invoke(APP, words, env=environment)
    assert written.exit_code == 0, written.output
    assert "kirjaukset_*.xlsx" in written.output
    assert len(read_back(SAID, (tmp_path / "kirjaukset.xlsx").read_bytes()).decisions) == 1
    again = CliRunner().invoke(APP, words, env=environment)
    assert (again.exit_code, "exists" in again.output) == (2, True)


def test_for_a_form_of_a_website_the_command_writes_its_handler(store: ServerAddress, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": store.url_psycopg, "INTAKE_DATA_DIR": str(tmp_path / "data")}
    words = ["sources", "template", "web_forms_newsletter", "--config", str(CONFIG), "--to"]
    assert CliRunner().invoke(APP, [*words, str(tmp_path / "handler.xlsx")], env=environment).exit_code == 2
    handler = tmp_path / "handler.yml"
    assert CliRunner().invoke(APP, [*words, str(handler)], env=environment).exit_code == 0
    assert "/hooks/web_forms_newsletter" in handler.read_text("utf-8")


def test_a_feed_that_is_not_manual_has_no_template() -> None:
    mappings = load_mappings(CONFIG)
    assert manual_feed(mappings, "manual") == manual_feed(mappings, "manual_entries") == MAPPING
    with pytest.raises(ConfigurationError, match="not a manual feed"):
        manual_feed(mappings, "webropol")
    with pytest.raises(ConfigurationError, match="not mapped"):
        manual_feed(mappings, "nosuch")

"""What commands print is what people wrote, and a file that is there is never written over."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.store.address import ServerAddress
from pipelines.cli import APP
from pipelines.commands.console import print_table
from tests.feeds import CONFIG


def test_brackets_and_colons_in_what_people_wrote_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Rows [/i]", [{"a [1]": "[/b] [bold]aino@example.org", "[/c]": ":cat: [x]"}], ("a [1]", "[/c]"))
    printed = capsys.readouterr().out
    for written in ("Rows [/i]", "a [1]", "[/c]", "[/b] [bold]aino@example.org", ":cat: [x]"):
        assert written in printed


@pytest.mark.parametrize("name", ["mapping.yaml", "nowhere/mapping.yaml"])
def test_a_suggestion_is_written_to_a_new_file_alone(store: ServerAddress, tmp_path: Path, name: str) -> None:
    sample, taken = tmp_path / "survey.csv", tmp_path / "mapping.yaml"
    sample.write_text("Sähköposti;Etunimi\naino@example.org;Aino\n", "utf-8")
    taken.write_text("in use", "utf-8")
    words = ["sources", "suggest", str(sample), "--to", str(tmp_path / name), "--config", str(CONFIG)]
    environment = {"DATABASE_URL": store.uri_adbc, "INTAKE_DATA_DIR": str(tmp_path / "data")}
    said = CliRunner().invoke(APP, words, env=environment)
    assert (said.exit_code, "--to" in said.output) == (2, True), said.output
    assert taken.read_text("utf-8") == "in use"

"""What commands print is what people wrote."""

import pytest
from pipelines.commands.console import print_table


def test_brackets_and_colons_in_what_people_wrote_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Rows [/i]", [{"a [1]": "[/b] [bold]aino@example.org", "[/c]": ":cat: [x]"}], ("a [1]", "[/c]"))
    printed = capsys.readouterr().out
    for written in ("Rows [/i]", "a [1]", "[/c]", "[/b] [bold]aino@example.org", ":cat: [x]"):
        assert written in printed

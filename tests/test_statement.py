"""The table of the privacy statement: every sentence is in it, and every purpose, file and test that it names is there."""

import ast
import re
from pathlib import Path

import pytest

from connectors.mappings import load_policy

ROOT = Path(__file__).parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|\n ").split(" | ")]
    for line in (ROOT / "docs" / "statement.md").read_text("utf-8").splitlines()
    if re.match(r"\| [0-9]+ \|", line)
]


def sentences() -> list[str]:
    """The statement's sentences, headings and items of lists, in its order."""
    text = (ROOT / "tests" / "statement.fi.txt").read_text("utf-8")
    blocks = [" ".join(block.replace("•", " ").split()) for block in re.split(r"\n\s*\n|\n\s*•", text)]
    return [part for block in blocks if block for part in re.split(r"(?<=[.!?])\s+(?=[A-ZÄÖÅ])", block)]


def test_every_sentence_of_the_statement_stands_in_the_table_in_its_order() -> None:
    assert [row[1] for row in ROWS] == sentences()
    assert len(ROWS) > 45
    assert all(len(row) == 6 and all(row) for row in ROWS), "each row is in both languages, with purpose, code and test"


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_a_row_names_is_there(row: list[str]) -> None:
    _, _, _, purposes, code, test = row
    if test == "-":
        assert "organisational: " in code or code.startswith("otsikko")
        return
    paths = [path for path in re.findall(r"`([^`]+)`", code) if "/" in path]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    [named] = re.findall(r"`([^`]+)`", test)
    path, _, name = named.partition("::")
    assert (ROOT / path).exists()
    assert not name or name in functions_of(ROOT / path), f"{path} has no {name}"
    known = load_policy(ROOT / "config").purposes
    listed = re.sub(r" \(.*?\)", "", purposes)
    assert listed in ("all", "all that the CRM shows") or set(listed.split(", ")) <= set(known)


def test_what_is_said_to_be_deleted_is_shown_to_go_from_the_store() -> None:
    """That the CRM is not shown it any more is not that it is gone."""
    deleting = [row for row in ROWS if "deleted" in row[2]]
    assert deleting
    assert [row[0] for row in deleting if "tests/invariants/test_retention.py::" not in row[5]] == []


def functions_of(path: Path) -> set[str]:
    """The names of the functions of a file."""
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}

"""docs/traps.md: every trap names a test or a file of the corpus, and what it names is there."""

import ast
import re
from pathlib import Path

from tests.corpus.test_corpus import EXPECTED

ROOT = Path(__file__).parents[1]
ROWS = re.findall(
    r"^\| (?!Trap |-)(.+) \| (.+) \| `([^`]+)` \|$", (ROOT / "docs" / "traps.md").read_text("utf-8"), re.M
)


def names_of(path: str) -> set[str]:
    """The test functions of a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_trap_says_what_is_done_and_names_a_test_that_exists() -> None:
    assert len(ROWS) >= 170
    for trap, done, shown_by in ROWS:
        assert done, trap
        path, _, name = shown_by.partition("::")
        assert name in names_of(path) if name else path in EXPECTED, f"{trap}: {shown_by} is not there"


def test_every_row_of_the_page_is_a_trap_that_this_test_reads() -> None:
    lines = (ROOT / "docs" / "traps.md").read_text("utf-8").splitlines()
    tabled = [line for line in lines if line.startswith("| ") and not line.startswith("| Trap")]
    assert len(tabled) == len(ROWS)

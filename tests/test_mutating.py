"""The mutants themselves: each differs from the module in one place, and none is left behind in its tree."""

import ast
from pathlib import Path

from connectors.dataverse import classify
from pipelines.transforms import minimise
from tests.mutating import importers, mutants, sql_changes

SOURCE = '''
"""Text."""
LIMIT: int = 3
QUERY = "select 1 from t where a = 1 and b is null"


def is_over(count: int, *, known: dict[str, int]) -> bool:
    """Text."""
    for one in known:
        if count > LIMIT and not known[one]:
            continue
        known[one] += 1
    return any(value for value in known.values() if value)
'''


def test_each_mutant_is_another_module_and_the_tree_is_the_module_again_at_the_end() -> None:
    tree = ast.parse(SOURCE)
    unchanged = ast.unparse(tree)
    found = [ast.unparse(tree) for _ in mutants(tree)]
    assert len(found) == len(set(found)) == 18
    assert unchanged not in found
    assert ast.unparse(tree) == unchanged


def test_a_mutant_says_in_which_line_it_is() -> None:
    assert {int(told.partition(":")[0]) for told in mutants(ast.parse(SOURCE))} == {3, 4, 9, 10, 12, 13}


def test_sql_is_changed_in_what_decides_and_not_in_what_it_sets() -> None:
    changed = {*sql_changes("update t set a = 1\nwhere b = 'x' and c in (1)\n  and d is null\n")}
    assert changed == {
        "update t set a = 1\nwhere b <> 'x' and c in (1)\n  and d is null\n",
        "update t set a = 1\nwhere b = 'x' or c in (1)\n  and d is null\n",
        "update t set a = 1\nwhere b = 'x' and c not in (1)\n  and d is null\n",
        "update t set a = 1\nwhere b = 'x' and c in (1)\n  or d is null\n",
        "update t set a = 1\nwhere b = 'x' and c in (1)\n  and d is not null\n",
        "update t set a = 1\nwhere b = 'XXx' and c in (1)\n  and d is null\n",
        "update t set a = 1\nwhere b = 'x' and c in (1)\n",
    }


def test_what_imports_a_module_is_loaded_anew_with_it_and_what_it_imports_is_not() -> None:
    found = importers(Path(minimise.__file__))
    assert {"pipelines.transforms.minimise", "pipelines.transforms.plan", "tests.transforms.test_plan"} <= found
    assert not {"schemas.tables", "pipelines.transforms.row_ids", "tests.feeds"} & found


def test_a_module_is_loaded_anew_with_the_package_it_lies_in() -> None:
    found = importers(Path(classify.__file__))
    assert {"connectors.dataverse", "connectors.dataverse.odata", "pipelines.operations.sending"} <= found
    assert not {"connectors.store.outbox", "schemas.intents"} & found

"""The import table of the house: what each folder may know. Kept over every module, wherever in it an import stands."""

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = {"schemas", "connectors", "pipelines", "preferences", "sandbox", "tests", "benchmarks"}
NETWORK = {
    "requests",
    "urllib3",
    "httpx",
    "msal",
    "sqlalchemy",
    "psycopg",
    "psycopg2",
    "adbc_driver_postgresql",
    "fsspec",
}
# Assets call operations, and may know no door of their own: neither the environment nor the network.
DAGSTER_SIDE = {"os", "requests", "httpx", "preferences", "sandbox", "tests", "benchmarks"}

# By folder, the most particular first: what it must not import (a package, or a module and what is below it).
NEVER: dict[str, set[str]] = {
    "schemas/": (OURS - {"schemas"}) | NETWORK | {"dagster", "pandas", "pyarrow", "numpy"},
    "connectors/": (OURS - {"schemas", "connectors"}) | {"dagster"},
    "pipelines/transforms/": (OURS - {"schemas", "pipelines"})
    | NETWORK
    | {"dagster", "os", "time", "socket", "subprocess", "pathlib", "pipelines.operations", "pipelines.assets"}
    | {"pipelines.checks", "pipelines.settings", "pipelines.cli"},
    "pipelines/operations/": {"dagster", "pipelines.assets", "pipelines.checks", "pipelines.cli", "preferences"}
    | {"sandbox", "tests", "benchmarks"},
    "pipelines/assets/": DAGSTER_SIDE | {"pipelines.checks"},
    "pipelines/checks/": DAGSTER_SIDE,
    "pipelines/": {"tests", "benchmarks"},
    "preferences/": {"dagster", "pipelines.assets", "pipelines.checks", "sandbox", "tests", "benchmarks"},
    "sandbox/dataverse/": OURS,
    "sandbox/": OURS - {"sandbox", "schemas"},
}
DEMO = "pipelines/demo.py"
# The second hands its own environment on to the processes of Dagster that it starts; it reads no setting there.
READS_ENVIRONMENT = {"pipelines/settings.py", "pipelines/launch.py"}


def modules() -> dict[str, ast.Module]:
    """Every Python file of the project that is tracked or about to be, by path."""
    listed = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    paths = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    return {path: ast.parse((ROOT / path).read_text()) for path in paths if (ROOT / path).exists()}


MODULES = modules()


# Texts that stand alone are docstrings: programmers read them.
DOCSTRINGS = {
    path: {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for path, module in MODULES.items()
}


def imported(path: str) -> set[str]:
    return IMPORTED[path]


def names_in(path: str, body: Iterable[ast.AST]) -> Iterator[str]:
    """What is imported in some nodes: `a.b` of `import a.b`, `a.b.c` of `from a.b import c`; relative ones in full."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(Path(path).parts[: -node.level]) + "." if node.level else ""
            yield from (f"{above}{node.module or ''}.{alias.name}".replace("..", ".") for alias in node.names)


IMPORTED = {path: set(names_in(path, ast.walk(module))) for path, module in MODULES.items()}


def is_within(name: str, barred: str) -> bool:
    return name == barred or name.startswith(f"{barred}.")


def test_each_folder_imports_only_what_it_may_know() -> None:
    broken = [
        f"{path} imports {name}"
        for path in MODULES
        for folder in [next((folder for folder in NEVER if path.startswith(folder)), None)]
        if folder is not None
        for name in imported(path)
        if any(is_within(name, barred) for barred in NEVER[folder])
        and not (folder == "sandbox/dataverse/" and name.startswith("sandbox.dataverse."))
    ]
    assert broken == []


def test_workbooks_are_read_in_the_bounded_child_and_nowhere_else() -> None:
    outside = ("tests/", "benchmarks/")
    readers = ("python_calamine", "openpyxl.load_workbook", "openpyxl.reader", "xlrd", "fastexcel")
    importers = {p for p in MODULES for name in imported(p) for reader in readers if is_within(name, reader)}
    assert {path for path in importers if not path.startswith(outside)} == {"connectors/workbook_child.py"}
    excel = {
        p for p, m in MODULES.items() for n in ast.walk(m) if getattr(n, "attr", "") in ("read_excel", "ExcelFile")
    }
    assert {path for path in excel if not path.startswith(outside)} == set()


def test_what_compares_people_is_an_extra_that_one_module_asks_for_when_it_is_used() -> None:
    extra = ("splink", "duckdb")
    users = {p for p in MODULES for name in imported(p) for library in extra if is_within(name, library)}
    ours = {path for path in users if not path.startswith(("tests/", "benchmarks/"))}
    assert ours == {"pipelines/transforms/likeness.py"}
    at_import = names_in("pipelines/transforms/likeness.py", MODULES["pipelines/transforms/likeness.py"].body)
    assert not any(is_within(name, library) for name in at_import for library in extra)


def test_no_text_for_people_sends_them_to_a_file_of_code() -> None:
    folders = ("schemas/", "connectors/", "pipelines/", "preferences/")
    texts = [
        f"{path}, line {node.lineno}"
        for path, module in MODULES.items()
        if path.startswith(folders)
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in DOCSTRINGS[path]
        if " " in node.value and re.search(r"\w\.py\b", node.value)
    ]
    assert texts == []


def test_the_sandbox_is_imported_by_tests_benchmarks_and_the_demo_only() -> None:
    allowed = ("sandbox/", "tests/", "benchmarks/", DEMO)
    importers = {path for path in MODULES if any(is_within(name, "sandbox") for name in imported(path))}
    assert {path for path in importers if not path.startswith(allowed)} == set()


def test_the_demo_is_imported_inside_functions_only() -> None:
    broken = [
        path
        for path, module in MODULES.items()
        if path.startswith("pipelines/") and any(is_within(n, "pipelines.demo") for n in names_in(path, module.body))
    ]
    assert broken == []


def test_the_environment_is_read_in_one_settings_module() -> None:
    folders = ("schemas/", "connectors/", "pipelines/", "preferences/")
    readers = {path for path in MODULES if path.startswith(folders) and reads_environment(MODULES[path])}
    assert readers <= READS_ENVIRONMENT


def reads_environment(module: ast.Module) -> bool:
    """Whether `os.environ` or `getenv` stands in it other than to be set."""
    nodes = list(ast.walk(module))
    set_there = {id(n.value) for n in nodes if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)}
    return any(
        (
            isinstance(node, ast.Attribute)
            and node.attr in ("environ", "environb", "getenv")
            and id(node) not in set_there
        )
        or (isinstance(node, ast.ImportFrom) and bool({"environ", "getenv"} & {alias.name for alias in node.names}))
        for node in nodes
    )


def test_transforms_have_no_clock() -> None:
    clocks = {"now", "today", "utcnow", "time_ns", "monotonic", "perf_counter"}
    broken = [
        f"{path}:{node.lineno}"
        for path, module in MODULES.items()
        if path.startswith(("schemas/", "pipelines/transforms/"))
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clocks
    ]
    assert broken == []


def test_the_table_bites() -> None:
    assert "schemas.intents.Intent" in imported("connectors/store/outbox.py")
    assert reads_environment(ast.parse("import os\nprint(os.environ)"))
    assert {folder for folder in NEVER if any(path.startswith(folder) for path in MODULES)} >= {
        "schemas/",
        "connectors/",
        "pipelines/transforms/",
        "sandbox/dataverse/",
    }

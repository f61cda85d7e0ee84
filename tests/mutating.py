"""Mutation testing: which single changes of a module no test notices (`make mutate TARGET=... TESTS=...`).

Operators, constants, conditions, comprehension filters, dictionary entries, returned values and bare statements are
changed in the syntax tree; in SQL, its operators, quantifiers and literals, and conditions on a line of their own are
left out. Each mutant is compiled in a fork of this process, so that no file is touched, and run against the tests given
until one fails, the one that failed last before the others; tests of the store share one server. Hypothesis draws the
same examples for each mutant. The forks find loaded whatever the tests import that does not itself import the module.
Killed is what a failing test noticed; what ran out of time, here or in the database, and what could not even be
imported count apart. A test has ten seconds and five times what the slowest takes unchanged: a mutant that loops costs
no more. A target of FILE:FROM-TO has the mutants of those lines only.
DeMillo, Lipton, Sayward, Hints on Test Data Selection, Computer 11(4), 1978.
"""

import ast
import functools
import gc
import importlib.machinery
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[1]
SURVIVED, KILLED, TIMED_OUT, UNLOADED = "survived", "killed", "timed out", "could not be imported"
SWAPPED: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,), ast.And: (ast.Or,), ast.Or: (ast.And,), ast.Add: (ast.Sub,), ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv,), ast.BitOr: (ast.BitAnd,), ast.BitAnd: (ast.BitOr,),
}  # fmt: skip
NAMES = {"any": "all", "all": "any", "max": "min", "min": "max"}
BARE = (ast.AugAssign, ast.Continue, ast.Delete, ast.Expr, ast.Raise)
IN_SQL = [(re.compile(pattern), new) for pattern, new in (
    (r"\band\b(?! ')", "or"), (r"\bor\b", "and"), (r"\bnot exists\b", "exists"), (r"(?<!not )\bexists\b", "not exists"),
    (r"\bnot in\b", "in"), (r"(?<!not )\bin \(", "not in ("), (r"<=", "<"), (r">=", ">"), (r" > ", " >= "),
    (r" < ", " <= "), (r"(?<![<>:!=])=(?![>=])", "<>"), (r"<>", "="), (r" \+ ", " - "), (r"\bis null\b", "is not null"),
    (r"\bis not null\b", "is null"), (r"\bmax\(", "min("), (r"\bbool_or\(", "bool_and("), (r"\bbool_and\(", "bool_or("),
    (r"\bgreatest\(", "least("), (r"\bleft join\b", "join"), (r" desc\b", " asc"), (r"\bdistinct\b", ""),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r"'(?=\w+')", "'XX"),
    (r"\n\s*(and|or) [^\n()]*(\([^\n()]*\)[^\n()]*)*(?=\n)", ""),
)]  # fmt: skip


def changes(node: ast.AST) -> Iterator[dict[str, Any]]:
    """The fields of a node that one mutant has otherwise."""
    match node:
        case ast.Compare():
            for at, op in enumerate(node.ops):
                yield from ({"ops": [*node.ops[:at], new(), *node.ops[at + 1 :]]} for new in SWAPPED.get(type(op), ()))
        case ast.BoolOp(op=op):
            yield from ({"op": new()} for new in SWAPPED[type(op)])
            neutral = ast.Constant(isinstance(op, ast.And))
            yield from ({"values": [*node.values[:i], neutral, *node.values[i + 1 :]]} for i in range(len(node.values)))
        case ast.BinOp(op=op) | ast.AugAssign(op=op):
            yield from ({"op": new()} for new in SWAPPED.get(type(op), ()))
        case ast.IfExp(test=test) | ast.If(test=test) | ast.While(test=test):
            yield {"test": ast.UnaryOp(ast.Not(), test)}
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield {"operand": ast.UnaryOp(ast.Not(), operand)}
        case ast.comprehension(ifs=ifs):
            yield from ({"ifs": ifs[:at] + ifs[at + 1 :]} for at in range(len(ifs)))
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield {"value": ast.Constant(None)}
        case ast.Dict(keys=keys, values=values):
            yield from (
                {f: fs[:i] + fs[i + 1 :] for f, fs in (("keys", keys), ("values", values))} for i in range(len(keys))
            )
        case ast.Name(id=name) if name in NAMES:
            yield {"id": NAMES[name]}
        case ast.Constant(value=bool() as value):
            yield {"value": not value}
        case ast.Constant(value=int() as value):
            yield {"value": value + 1}
        case ast.Constant(value=str() as value) if value:
            yield from ({"value": new} for new in (sql_changes(value) if " " in value else [f"XX{value}"]))
    for part in ("body", "orelse"):
        for at, inner in enumerate(body if isinstance(body := getattr(node, part, None), list) else []):
            if isinstance(inner, BARE) and not _is_docstring(inner):
                yield {part: [*body[:at], ast.copy_location(ast.Pass(), inner), *body[at + 1 :]]}


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_offer(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def sql_changes(statement: str) -> Iterator[str]:
    for pattern, new in IN_SQL:
        for found in pattern.finditer(statement):
            line = statement[statement.rfind("\n", 0, found.start()) + 1 : found.start()]
            if not (new == "<>" and re.search(r"\bset\b", line)):
                yield statement[: found.start()] + new + statement[found.end() :]


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """What is run: neither docstrings nor annotations nor decorators, nor the list of what a module offers (lint reads it)."""
    for part, value in ast.iter_fields(tree):
        if part in ("annotation", "returns", "decorator_list"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not _is_docstring(node) and not _is_offer(node):
                yield node
                yield from nodes(node)


def mutants(tree: ast.Module) -> Iterator[str]:
    """Change the tree, yield where and what it is, and change it back."""
    for node in [tree, *nodes(tree)]:
        for changed in changes(node):
            before, old = ast.unparse(node), {field: getattr(node, field) for field in changed}
            vars(node).update(changed)
            line = min((n.lineno for n in ast.walk(node) if hasattr(n, "lineno")), default=1)
            yield f"{line}: {_difference(before, ast.unparse(ast.fix_missing_locations(node)))}"
            vars(node).update(old)


def _difference(before: str, after: str) -> str:
    start = next((i for i, pair in enumerate(zip(before, after, strict=False)) if len(set(pair)) > 1), len(after))
    return f"…{before[max(0, start - 40) : start + 30]!r} -> …{after[max(0, start - 40) : start + 30]!r}"


@dataclass
class Watch:
    """What a run of the tests came to: the verdict, and the test that failed. Each test has its time and no more."""

    first: str = ""
    limit_s: int = 3600
    failed: str = ""
    verdict: str = SURVIVED
    began: float = 0.0
    slowest_s: float = 0.0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: item.nodeid != self.first)

    def pytest_runtest_logstart(self) -> None:
        signal.alarm(self.limit_s)
        self.began = time.monotonic()

    def pytest_runtest_logfinish(self) -> None:
        self.slowest_s = max(self.slowest_s, time.monotonic() - self.began)

    def pytest_exception_interact(self, node: pytest.Item | pytest.Collector, call: pytest.CallInfo[Any]) -> None:
        if not isinstance(node, pytest.Item):
            self.verdict = UNLOADED
        elif call.excinfo and any(isinstance(e, psycopg.errors.QueryCanceled) for e in _causes(call.excinfo.value)):
            self.verdict = TIMED_OUT
        else:
            self.verdict, self.failed = KILLED, node.nodeid


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@dataclass
class Range:
    """Where mutants are run: a module, its tests, a server's directory, and what is loaded beforehand."""

    target: Path
    tests: list[str]
    directory: Path
    limit_s: int = 3600
    last_killer: str = ""
    slowest_s: float = 0.0
    loaded: list[str] = field(default_factory=list)

    def verdict(self, tree: ast.Module) -> str:
        """What the tests say where the module is that tree."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            signal.alarm(self.limit_s)
            try:
                os.write(writing, json.dumps(self._run(tree)).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            said = told.read()
        if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            return TIMED_OUT
        found: dict[str, Any] = json.loads(said)
        self.last_killer, self.slowest_s = found["failed"] or self.last_killer, found["slowest_s"]
        self.loaded = found["loaded"]
        return str(found["verdict"])

    def _run(self, tree: ast.Module) -> dict[str, Any]:
        loader, quiet = importlib.machinery.SourceFileLoader, os.open(os.devnull, os.O_WRONLY)
        compiled, load = compile(tree, str(self.target), "exec"), loader.get_code
        loader.get_code = lambda it, name: compiled if Path(it.path) == self.target else load(it, name)  # type: ignore[method-assign]
        os.dup2(quiet, 1), os.dup2(quiet, 2)
        from tests import throwaway

        throwaway.server_directory = lambda: nullcontext(self.directory)  # type: ignore[assignment,return-value]
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile("mutants", phases=phases, derandomize=True, database=None, deadline=None)
        hypothesis.settings.load_profile("mutants")
        watch = Watch(self.last_killer, self.limit_s)
        ended = pytest.main(["-x", "-q", "--tb=no", "--assert=plain", *self.tests], plugins=[watch])
        if (ended == pytest.ExitCode.OK) is not (watch.verdict == SURVIVED):
            watch.verdict = UNLOADED
        told = {"verdict": watch.verdict, "failed": watch.failed, "slowest_s": watch.slowest_s}
        return {**told, "loaded": [*sys.modules]}

    def load(self) -> None:
        """Import what the last run imported, save the tests and what is changed by a change of the module."""
        changed = importers(self.target)
        for name in self.loaded:
            if name not in changed and not re.match(r"tests\b(?!\.throwaway)|__main__", name):
                with suppress(Exception):
                    importlib.import_module(name)
        gc.freeze()
        assert not changed & set(sys.modules), "the harness itself would keep the module as it is"


def importers(target: Path) -> set[str]:
    """The names of a module of the project and of all that import it, directly or not.

    Whoever imports a module imports the packages that it lies in, and these what they offer.
    """
    named = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in _sources()}
    imports = {name: _with_packages({name, *_imported(path)}) - {name} for name, path in named.items()}
    found = {next(name for name, path in named.items() if path == target)}
    while more := {name for name, those in imports.items() if name not in found and those & found}:
        found |= more
    return found | {name.removesuffix(".__init__") for name in found}


def _with_packages(names: set[str]) -> set[str]:
    parts = [name.split(".") for name in names]
    return names | {".".join([*some[:depth], "__init__"]) for some in parts for depth in range(1, len(some))}


def _sources() -> Iterator[Path]:
    for package in ("benchmarks", "connectors", "pipelines", "preferences", "sandbox", "schemas", "tests"):
        # The benchmarks' peers live in a hidden folder of theirs.
        yield from (path for path in (ROOT / package).rglob("*.py") if "/." not in str(path.relative_to(ROOT)))


@functools.cache
def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, f"{node.module}.__init__", *(f"{node.module}.{a.name}" for a in node.names)})
    return found


def _bound_statements(directory: Path) -> None:
    """A join of everything with everything ends, also after its test was given up."""
    from connectors.store.server import ensure_server

    if any(directory.iterdir()):
        with psycopg.connect(ensure_server(directory).uri_adbc, autocommit=True) as conn:
            conn.execute("alter system set statement_timeout = '20s'")
            conn.execute("select pg_reload_conf()")


def main(named: str, *tests: str) -> int:
    path, _, lines = named.partition(":")
    first, last = map(int, lines.split("-")) if lines else (1, 10**6)
    target = Path(path).resolve()
    tree = ast.parse(target.read_text())
    with tempfile.TemporaryDirectory(prefix="crm-intake-test-") as place:
        counted = _counted(Range(target, list(tests), Path(place)), tree, range(first, last + 1))
    total = counted.total() or sys.exit(f"{named} has nothing to change there.")
    summary = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counted.items()))
    sys.stdout.write(f"{named}: {counted[KILLED]} of {total} killed ({counted[KILLED] / total:.1%}): {summary}\n")
    return int(counted[KILLED] < 0.95 * total)


def _counted(where: Range, tree: ast.Module, lines: range) -> Counter[str]:
    """Verdicts by kind; each mutant that was not killed is printed."""
    from connectors.store.server import stop_server

    counted: Counter[str] = Counter()
    try:
        _demand_unchanged_passes(where, tree)
        where.load()
        _demand_unchanged_passes(where, tree)
        where.limit_s = 10 + int(5 * where.slowest_s)
        _bound_statements(where.directory)
        for mutant in mutants(tree):
            if int(mutant.partition(":")[0]) in lines:
                verdict = where.verdict(tree)
                counted[verdict] += 1
                if verdict != KILLED:
                    sys.stdout.write(f"{where.target.name}:{mutant} {verdict}\n")
                    sys.stdout.flush()
        _demand_unchanged_passes(where, tree)
    finally:
        stop_server(where.directory)
    return counted


def _demand_unchanged_passes(where: Range, tree: ast.Module) -> None:
    if (verdict := where.verdict(tree)) != SURVIVED:
        sys.exit(f"The tests fail without any change: {verdict} {where.last_killer}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Mutation testing: which single changes of a module no test notices (`make mutate TARGET=... TESTS=...`).

Operators, constants, conditions, comprehension filters, dictionary entries, returned values and bare statements are
changed in the syntax tree; in SQL, its operators, quantifiers and literals, and conditions on a line of their own are
left out. Each mutant is compiled in a fork of this process, so that no file is touched, and run against the tests given
until one fails; tests of the store share one server. Hypothesis draws the same examples for each mutant.
DeMillo, Lipton, Sayward, Hints on Test Data Selection, Computer 11(4), 1978.
"""

import ast
import importlib.machinery
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import hypothesis
import pandas
import psycopg
import pydantic
import pytest
import sqlalchemy

LOADED = (pandas, pydantic, sqlalchemy)  # once, before any fork
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
    for field in ("body", "orelse"):
        for at, inner in enumerate(body if isinstance(body := getattr(node, field, None), list) else []):
            if isinstance(inner, BARE) and not _is_docstring(inner):
                yield {field: [*body[:at], ast.copy_location(ast.Pass(), inner), *body[at + 1 :]]}


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def sql_changes(statement: str) -> Iterator[str]:
    for pattern, new in IN_SQL:
        for found in pattern.finditer(statement):
            line = statement[statement.rfind("\n", 0, found.start()) + 1 : found.start()]
            if not (new == "<>" and re.search(r"\bset\b", line)):
                yield statement[: found.start()] + new + statement[found.end() :]


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """What is run: neither docstrings nor annotations nor decorators."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not _is_docstring(node):
                yield node
                yield from nodes(node)


def mutants(tree: ast.Module) -> Iterator[str]:
    """Change the tree, yield where and what it is, and change it back."""
    for node in [tree, *nodes(tree)]:
        for changed in changes(node):
            before, old = ast.unparse(node), {field: getattr(node, field) for field in changed}
            vars(node).update(changed)
            yield f"{getattr(node, 'lineno', 1)}: {_difference(before, ast.unparse(ast.fix_missing_locations(node)))}"
            vars(node).update(old)


def _difference(before: str, after: str) -> str:
    start = next((i for i, pair in enumerate(zip(before, after, strict=False)) if len(set(pair)) > 1), len(after))
    return f"…{before[max(0, start - 40) : start + 30]!r} -> …{after[max(0, start - 40) : start + 30]!r}"


def is_killed(target: Path, tree: ast.Module, tests: list[str], directory: Path, *, limit_s: float) -> bool:
    """Whether a test fails, or does not end in time, where the module is that tree."""
    child = os.fork()
    if not child:
        signal.alarm(int(limit_s))
        code = 1
        try:
            code = _run(target, tree, tests, directory)
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] != 0


def _run(target: Path, tree: ast.Module, tests: list[str], directory: Path) -> int:
    loader, quiet = importlib.machinery.SourceFileLoader, os.open(os.devnull, os.O_WRONLY)
    compiled, load = compile(tree, str(target), "exec"), loader.get_code
    loader.get_code = lambda self, name: compiled if Path(self.path) == target else load(self, name)  # type: ignore[method-assign]
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    from tests import throwaway

    throwaway.server_directory = lambda: nullcontext(directory)  # type: ignore[assignment,return-value]
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutants", phases=phases, derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutants")
    return int(pytest.main(["-x", "-q", *tests]))


def _bound_statements(directory: Path) -> None:
    """A join of everything with everything ends, also after its test was given up."""
    from connectors.store.server import ensure_server

    if any(directory.iterdir()):
        with psycopg.connect(ensure_server(directory).uri_adbc, autocommit=True) as conn:
            conn.execute("alter system set statement_timeout = '20s'")
            conn.execute("select pg_reload_conf()")


def main(named: str, *tests: str) -> int:
    target, say = Path(named).resolve(), sys.stdout.write
    tree = ast.parse(target.read_text())
    with tempfile.TemporaryDirectory(prefix="crm-intake-test-") as place:
        began = time.monotonic()
        if is_killed(target, tree, list(tests), Path(place), limit_s=3600):
            say("The tests fail without any change.\n")
            return 2
        limit_s = 60 + 5 * (time.monotonic() - began)
        _bound_statements(Path(place))
        killed = []
        for mutant in mutants(tree):
            killed.append(is_killed(target, tree, list(tests), Path(place), limit_s=limit_s))
            say("" if killed[-1] else f"{named}:{mutant}\n")
        from connectors.store.server import stop_server

        stop_server(Path(place))
    say(f"{named}: {sum(killed)} of {len(killed)} killed ({sum(killed) / len(killed):.1%})\n")
    return int(sum(killed) < 0.95 * len(killed))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

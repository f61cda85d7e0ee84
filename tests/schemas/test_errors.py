"""The hierarchy of errors: the tree that its docstring draws is the one that there is."""

import re

from schemas import errors


def drawn() -> dict[str, str]:
    """Each class of the tree in the docstring, with the class under which it is drawn."""
    above: list[str] = []
    found = {}
    for indent, name in re.findall(r"^    ([ │├└─]*)([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 4
        above = [*above[:depth], name]
        found[name] = above[depth - 1] if depth else "Exception"
    return found


def test_the_tree_names_every_error_under_the_one_it_derives_from() -> None:
    classes = {name: one for name, one in vars(errors).items() if isinstance(one, type)}
    assert drawn() == {name: one.__base__.__name__ for name, one in classes.items()}

"""What is wrong with a file of the configuration, in words for people who write YAML and no code.

Each fault says where it is (line and field), what is wrong there and how to mend it; no value is repeated, and nothing is
said in the words of the library that found it.
"""

from collections.abc import Sequence
from typing import Any

import yaml
from pydantic_core import ErrorDetails

from schemas.suggestions import TODO

GROUP = (
    "it must be a group of fields",
    "Write each as `name: value`, one a line and indented, or all of them in braces.",
)
LIST = ("it must be a list", "Write it as [one, another], or as one `- item` a line.")
TEXT = ("it must be text", "Put the value in quotes.")
WHOLE = ("it must be a whole number", "Write digits alone, without quotes.")
NUMBER = ("it must be a number", "Write digits alone, with a point for the fraction and without quotes.")
TRUTH = ("it must be true or false", "Write one of the two, without quotes.")
DAY = ("it must be a date", "Write it as 2026-11-27.")
TIME = ("it must be a time", "Write it as 2026-11-27T10:00:00+02:00.")
ONE_OF = ("it may only be {expected}", "Use one of the words listed.")

# By the library's name of the fault (https://docs.pydantic.dev/latest/errors/validation_errors/), by its beginning.
WORDS: dict[str, tuple[str, str]] = {
    "missing": ("it is not there", "Add the field."),
    "extra_forbidden": (
        "there is no such field",
        "Check its spelling and indentation, or remove it; {all_fields}.",
    ),
    "literal_error": ONE_OF,
    "enum": ONE_OF,
    "model": GROUP,
    "dict": GROUP,
    "list": LIST,
    "tuple": LIST,
    "set": LIST,
    "frozen_set": LIST,
    "too_short": ("it needs at least {min_length} of them", "Add what is missing."),
    "too_long": ("it may hold at most {max_length} of them", "Take some away."),
    "string_too_short": ("it needs at least {min_length} characters", "Write it out."),
    "string_too_long": ("it may have at most {max_length} characters", "Shorten it."),
    "string_type": TEXT,
    "string_sub_type": TEXT,
    "string_unicode": TEXT,
    "int": WHOLE,
    "float": NUMBER,
    "finite_number": NUMBER,
    "decimal": NUMBER,
    "bool": TRUTH,
    "date": DAY,
    "datetime": TIME,
    "greater_than_equal": ("it must be at least {ge}", "Write a number that is."),
    "greater_than": ("it must be more than {gt}", "Write a number that is."),
    "less_than_equal": ("it must be at most {le}", "Write a number that is."),
    "less_than": ("it must be less than {lt}", "Write a number that is."),
    "uuid": ("it must be an id such as 3f2504e0-4f89-41d3-9a0c-0305e82c3301", "Copy it from where it was given."),
}

PATTERNS: dict[str, str] = {
    r"^[a-z0-9][a-z0-9_]{1,60}$": "2 to 61 of the letters a to z, digits and underscores, and no underscore first",
    r"^[a-z][a-z0-9_]{0,30}$": "1 to 31 of the letters a to z, digits and underscores, and a letter first",
    r"^[0-9a-f]{16}$": "the 16 letters and digits that `crm-intake sources suggest` wrote",
    r"^[A-Z][A-Z0-9_]{1,60}$": "a name in capitals such as SHOP_TOKEN (what comes after INTAKE_REST_ in the setting)",
    r"^[A-Za-z0-9-]{1,60}$": "the name of a header such as X-Api-Key",
    r"^[^/?#:][^?#]*$": "the part of the address after base_url, without a leading / and without ? and #",
    r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$": "a month and a day such as 12-31",
    r"^https://[^/?#]+(/[^?#]*)?$": "an address that begins with https:// and holds no ? and #",
    r"^[A-Z]{2}$": "a country's two letters such as FI",
}


def sentence(fault: ErrorDetails, node: yaml.Node | None, *, all_fields: str) -> str:
    """`, line N, FIELD: what is wrong. How to mend it.`; `all_fields` says where every field is explained."""
    where = [part for part in fault["loc"] if part != "[key]" and not str(part).startswith("function-")]
    field = ".".join(str(part) for part in where) or "the whole"
    what, remedy = _words(fault, all_fields)
    return f", line {_line(node, where)}, {field}: {what}. {remedy}"


def _words(fault: ErrorDetails, all_fields: str) -> tuple[str, str]:
    context: dict[str, Any] = {**(fault.get("ctx") or {}), "all_fields": all_fields}
    if fault["type"] == "value_error" and TODO in str(context["error"]):
        return str(
            context["error"]
        ), "Replace each TODO by what you decide; the comment beside it says what may stand there."
    if fault["type"] == "value_error":
        return str(context["error"]), f"Correct it; {all_fields}."
    if fault["type"] == "string_pattern_mismatch" and (form := PATTERNS.get(context["pattern"])):
        return f"it must be {form}", "Write it so."
    known = max((name for name in WORDS if fault["type"].startswith(name)), key=len, default=None)
    if known is None:
        return "what stands there cannot be read", f"Correct it; {all_fields}."
    what, remedy = WORDS[known]
    return what.format(**context), remedy.format(**context)


def _line(node: yaml.Node | None, where: Sequence[int | str]) -> int:
    """The line of the deepest part of the path that the file has."""
    line = 1
    for part in where:
        key, node = _child(node, part)
        if node is None:
            break
        line = (key or node).start_mark.line + 1
    return line


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), (None, None))
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None, None

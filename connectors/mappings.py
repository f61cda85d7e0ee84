"""Reading the configuration: config/intake.yaml (the policy), config/sources/*.yaml (one mapping per feed), crm_role.yaml.

An error names the file, the field, the line and how to mend it; it never repeats a value.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from connectors.yaml_documents import UnsoundYamlError, read_yaml
from schemas.crm_role import CrmRole
from schemas.errors import ConfigurationError, MappingError
from schemas.mappings import Mapping, Source
from schemas.policy import Policy

Model = TypeVar("Model", bound=BaseModel)

_REMEDIES = {
    "missing": "Add the field.",
    "extra_forbidden": "There is no such field: check its spelling and indentation, or remove it.",
    "literal_error": "Use one of the words listed.",
    "enum": "Use one of the words listed.",
    "string_type": "Put the value in quotes.",
}


def load_policy(config: Path) -> Policy:
    """The policy in `config`/intake.yaml. Raises ConfigurationError."""
    return _load(config / "intake.yaml", Policy, ConfigurationError)


def load_role(config: Path) -> CrmRole:
    """The security role in `config`/crm_role.yaml. Raises ConfigurationError."""
    return _load(config / "crm_role.yaml", CrmRole, ConfigurationError)


def load_mappings(config: Path) -> dict[str, Mapping]:
    """All mappings under `config`/sources by feed, in the order of their files' names.

    Raises MappingError, with every fault of every file in one message.
    """
    return _feeds_in(config / "sources", lambda mapping: mapping.source is not Source.FINANCE)


def load_finance_feeds(config: Path) -> dict[str, Mapping]:
    """Finance's own feeds under `config`/finance, which the intake never sees. Raises MappingError."""
    return _feeds_in(config / "finance", lambda mapping: mapping.source is Source.FINANCE)


def _feeds_in(folder: Path, belongs: Callable[[Mapping], bool]) -> dict[str, Mapping]:
    mappings: dict[str, Mapping] = {}
    faults: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            mapping = load_mapping(path)
        except MappingError as error:
            faults.append(str(error))
            continue
        if not belongs(mapping):
            faults.append(
                f"{path.name}: feeds of the source finance, and they alone, stand in config/finance. Move it."
            )
        if mapping.feed in mappings:
            faults.append(
                f"{path.name}: feed {mapping.feed!r} is already the feed of another file. Give it a name of its own."
            )
        mappings[mapping.feed] = mapping
    if faults:
        raise MappingError("\n".join(faults))
    return mappings


def load_mapping(path: Path) -> Mapping:
    """One mapping. Raises MappingError."""
    return _load(path, Mapping, MappingError)


def mapping_of_text(text: str, *, name: str = "The mapping") -> Mapping:
    """A mapping out of its text, called `name` in what is said of it. Raises MappingError."""
    return _validated(text, name, model=Mapping, kind=MappingError)


def _load(path: Path, model: type[Model], kind: type[ConfigurationError]) -> Model:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise kind(
            f"{path.name} cannot be read ({type(error).__name__}). Check that it is there and is UTF-8."
        ) from None
    return _validated(text, path.name, model=model, kind=kind)


def _validated(text: str, name: str, *, model: type[Model], kind: type[ConfigurationError]) -> Model:
    try:
        node, content = read_yaml(text)
    except UnsoundYamlError as unsound:
        raise kind(f"{name}, {unsound}.") from None
    try:
        return model.model_validate(content)
    except ValidationError as invalid:
        faults = [_sentence(fault, node) for fault in invalid.errors(include_input=False, include_url=False)]
        raise kind("\n".join(f"{name}{fault}" for fault in faults)) from None


def _sentence(fault: ErrorDetails, node: yaml.Node | None) -> str:
    where = [part for part in fault["loc"] if not str(part).startswith("function-")]
    field = ".".join(str(part) for part in where) or "the whole"
    remedy = _REMEDIES.get(fault["type"], "Correct it; the language is in schemas/mappings.py and schemas/policy.py.")
    return f", line {_line(node, where)}, {field}: {fault['msg']}. {remedy}"


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

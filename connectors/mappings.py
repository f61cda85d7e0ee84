"""Reading the configuration: config/intake.yaml (the policy), config/sources/*.yaml (one mapping per feed), crm_role.yaml.

An error names the file, the field, the line and how to mend it; it never repeats a value.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from connectors.configuration_faults import sentence
from connectors.yaml_documents import UnsoundYamlError, read_yaml
from schemas.crm_role import CrmRole
from schemas.errors import ConfigurationError, MappingError
from schemas.mappings import Mapping, Source
from schemas.policy import Policy

Model = TypeVar("Model", bound=BaseModel)

_SHIPPED = "compare it with the file as this software ships it"
_ALL_FIELDS = {
    Mapping: "docs/sources.md shows them in use, and `crm-intake sources schema` lists every field",
    Policy: _SHIPPED,
    CrmRole: _SHIPPED,
}


def load_policy(config: Path) -> Policy:
    """The policy in `config`/intake.yaml. Raises ConfigurationError."""
    return _load(config / "intake.yaml", Policy, ConfigurationError)


def load_role(config: Path) -> CrmRole:
    """The security role in `config`/crm_role.yaml. Raises ConfigurationError."""
    return _load(config / "crm_role.yaml", CrmRole, ConfigurationError)


def load_mappings(config: Path) -> dict[str, Mapping]:
    """All mappings under `config`/sources by feed, in the order of their files' names.

    Raises MappingError, with every fault of every file in one message; and where there is no such folder, for then a
    deployment was given a part of its configuration, and would take nothing in without a word.
    """
    if not (config / "sources").is_dir():
        raise MappingError(f"There is no folder {config / 'sources'}: each feed has a file there (docs/sources.md).")
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
        found = invalid.errors(include_input=False, include_url=False)
        faults = [sentence(fault, node, all_fields=_ALL_FIELDS[model]) for fault in found]
        raise kind("\n".join(f"{name}{fault}" for fault in faults)) from None

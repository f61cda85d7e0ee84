"""Reading the configuration: what is read, and that an error names the file, the line, the field and the remedy."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from connectors.configuration_faults import PATTERNS, sentence
from connectors.mappings import load_mapping, load_mappings, load_policy
from schemas.crm_role import CrmRole
from schemas.errors import ConfigurationError, MappingError
from schemas.mappings import Mapping
from schemas.policy import Policy
from tests.feeds import CONFIG, make_mapping

PLAIN = make_mapping().model_dump(mode="json", exclude_none=True)


def write(folder: Path, content: dict[str, Any] | str, *, name: str = "form.yaml") -> Path:
    path = folder / "sources" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False), "utf-8")
    return path


def complaint(path: Path) -> str:
    with pytest.raises(MappingError) as error:
        load_mapping(path)
    assert error.value.__cause__ is None
    return str(error.value)


def test_a_configuration_without_its_feeds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"There is no folder .*sources"):
        load_mappings(tmp_path)


def test_a_mapping_read_from_its_file_is_the_mapping(tmp_path: Path) -> None:
    assert load_mapping(write(tmp_path, PLAIN)) == make_mapping()


def test_the_projects_own_configuration_is_read() -> None:
    mappings = load_mappings(CONFIG)
    assert mappings
    assert all(feed == mapping.feed for feed, mapping in mappings.items())
    assert load_policy(CONFIG).purposes["marketing"].topics


def test_a_misspelt_field_is_named_with_its_line_and_remedy(tmp_path: Path) -> None:
    text = yaml.safe_dump(PLAIN, sort_keys=False).replace("owner:", "ovner:")
    line = 1 + next(n for n, row in enumerate(text.splitlines()) if row.startswith("ovner"))
    found = complaint(write(tmp_path, text))
    assert f"form.yaml, line {line}, ovner:" in found
    assert "spelling" in found
    assert "owner: it is not there. Add the field." in found


def test_a_fault_deep_inside_is_named_by_its_path(tmp_path: Path) -> None:
    consents = [{**PLAIN["consents"][0], "grants": [True]}]
    assert "consents.0.grants.0" in (found := complaint(write(tmp_path, {**PLAIN, "consents": consents})))
    assert "Put the value in quotes" in found


def test_a_rule_that_is_broken_is_told_in_its_own_words(tmp_path: Path) -> None:
    consents = [{**PLAIN["consents"][0], "wording": None}]
    assert "a grant without them is no grant" in complaint(write(tmp_path, {**PLAIN, "consents": consents}))


@pytest.mark.parametrize("text", ["feed: [1", "", "- a\n- b\n", "feed: a\n\tb: c\n"])
def test_what_is_no_mapping_at_all_is_a_mapping_error(tmp_path: Path, text: str) -> None:
    assert "form.yaml" in complaint(write(tmp_path, text))


def test_a_file_that_is_not_there_or_no_text_is_a_mapping_error(tmp_path: Path) -> None:
    assert "form.yaml cannot be read" in complaint(tmp_path / "form.yaml")
    path = write(tmp_path, "")
    path.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in complaint(path)


def test_the_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, {**PLAIN, "kind": "party"}, name="a.yaml")
    write(tmp_path, {**PLAIN, "feed": "A B"}, name="b.yaml")
    with pytest.raises(MappingError) as error:
        load_mappings(tmp_path)
    assert "a.yaml" in str(error.value)
    assert "b.yaml" in str(error.value)


def test_two_files_cannot_map_one_feed(tmp_path: Path) -> None:
    write(tmp_path, PLAIN, name="a.yaml")
    write(tmp_path, PLAIN, name="b.yaml")
    with pytest.raises(MappingError, match=r"b.yaml: feed 'form'"):
        load_mappings(tmp_path)


def test_a_policy_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"intake\.yaml"):
        load_policy(tmp_path)


def documents() -> Iterator[tuple[type[BaseModel], dict[str, Any]]]:
    files = {
        Mapping: CONFIG.glob("sources/*.yaml"),
        Policy: [CONFIG / "intake.yaml"],
        CrmRole: [CONFIG / "crm_role.yaml"],
    }
    yield from ((model, yaml.safe_load(path.read_text("utf-8"))) for model, paths in files.items() for path in paths)
    rest = {"base_url": "https://x.example.org/", "path": "a", "auth": {"kind": "bearer", "secret": "SHOP"}}
    paging = {"kind": "cursor", "param": "after", "next_path": "next", "page_rows": 10}
    yield Mapping, {**PLAIN, "file": None, "rest": {**rest, "paging": paging, "window": {"since": "from"}}}
    block = {"id": "booker", "is_subject": True, "columns": {"email": "Email"}}
    yield Mapping, {**PLAIN, "arrangement": {"blocks": [block]}, "drafts": {"column": "D", "values": {"x": "draft"}}}


def mistakes_in(document: dict[str, Any], seen: set[str]) -> Iterator[dict[str, Any]]:
    """The document with each kind of its parts replaced by each of some things that people write by mistake."""
    for path in paths_in(document):
        kind = ".".join("*" if isinstance(part, int) else str(part) for part in path)
        if kind in seen:
            continue
        seen.add(kind)
        for mistake in (None, 5, -1.5, "x y", "", [], {}, True, [{}], {"zz": 1}, date(2026, 1, 1)):
            yield replaced(document, path, mistake)


def paths_in(node: Any) -> Iterator[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (key,)
        yield from ((key, *path) for path in paths_in(child))


def replaced(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = node.copy()
    copy[path[0]] = replaced(node[path[0]], path[1:], value)
    return copy


# How the library speaks (to programmers) of what it found.
JARGON = re.compile(
    r"\.py\b|Input|input|instance|dictionary|tuple|string|integer|boolean|UUID|datetime|pattern|None|Error|error"
)
UNREAD = "what stands there cannot be read"


def test_whatever_is_wrong_in_the_configuration_is_told_without_a_programmers_words() -> None:
    seen: dict[type[BaseModel], set[str]] = defaultdict(set)
    told = {
        words
        for model, document in documents()
        for mistake in mistakes_in(document, seen[model])
        for words in faults(model, mistake)
    }
    assert len(told) > 400
    for words in told:
        where, _, what = words.partition(": ")
        assert re.fullmatch(r", line \d+, \S.*", where), words
        assert not JARGON.search(re.sub(r"'[^']*'", "", what)), words
        assert UNREAD not in what, words
        assert re.search(r"\. [A-Z][^.]+\.", what), f"{words}: it says no remedy"


def faults(model: type[BaseModel], document: dict[str, Any]) -> list[str]:
    try:
        model.model_validate(document)
    except ValidationError as invalid:
        found = invalid.errors(include_input=False, include_url=False)
        return [sentence(fault, None, all_fields="see docs") for fault in found]
    return []


def test_every_form_that_a_text_must_have_is_said_in_words() -> None:
    schemas = json.dumps([model.model_json_schema() for model in (Mapping, Policy, CrmRole)])
    asked = {json.loads(f'"{form}"') for form in re.findall(r'"pattern": "((?:[^"\\\\]|\\\\.)*)"', schemas)}
    assert len(asked) > 5
    assert asked <= set(PATTERNS), asked - set(PATTERNS)


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    write(tmp_path, {**PLAIN})
    text = yaml.safe_dump(PLAIN) + "owner: !!python/object/apply:os.getcwd []\n"
    assert "form.yaml" in complaint(write(tmp_path, text))

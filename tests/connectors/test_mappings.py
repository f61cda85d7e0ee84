"""Reading the configuration: what is read, and that an error names the file, the line, the field and the remedy."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.mappings import load_mapping, load_mappings, load_policy
from schemas.errors import ConfigurationError, MappingError
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
    assert "owner: Field required. Add the field." in found


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


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    write(tmp_path, {**PLAIN})
    text = yaml.safe_dump(PLAIN) + "owner: !!python/object/apply:os.getcwd []\n"
    assert "form.yaml" in complaint(write(tmp_path, text))

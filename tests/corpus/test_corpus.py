"""Every file of the corpus is read right, or refused with the reason. What is right stands in manifest.yaml."""

from typing import Any

import pytest
import yaml

from connectors.mappings import load_mapping
from tests.corpus.build import CASES, FILES, MANIFEST, MAPPINGS
from tests.corpus.reading import outcome_of
from tests.feeds import make_policy

POLICY = make_policy()
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load(MANIFEST.read_text("utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_file_of_the_corpus_is_read_right_or_refused_with_the_reason(name: str) -> None:
    expected = {key: value for key, value in EXPECTED[name].items() if key not in ("fact", "names")}
    outcome = outcome_of(FILES / name, load_mapping(MAPPINGS / f"{name}.yaml"), POLICY)
    said = outcome.pop("says", "")
    assert outcome == expected
    assert all(word in said for word in EXPECTED[name].get("names", []))
    assert bool(said) == ("Remedy:" in said), "a refusal tells how to mend it"
    assert "example.org" not in said.replace("privacy@example.org", "")


def test_the_corpus_has_every_file_that_the_builder_makes_and_no_other() -> None:
    assert {path.name for path in FILES.iterdir()} == set(EXPECTED) == {case.name for case in CASES}
    assert {path.name.removesuffix(".yaml") for path in MAPPINGS.iterdir()} == set(EXPECTED)
    assert len({case.name for case in CASES}) == len(CASES)


def test_each_file_names_the_fact_that_it_embodies_and_is_as_the_builder_makes_it() -> None:
    for case in CASES:
        assert EXPECTED[case.name]["fact"] == case.fact
        assert yaml.safe_load((MAPPINGS / f"{case.name}.yaml").read_text("utf-8")) == case.mapping
        if not case.name.endswith((".xlsx", ".zip", ".gz")):  # archives hold the time at which they were made
            assert (FILES / case.name).read_bytes() == case.payload

"""Writes the files of the corpus and the mappings that read them: `python -m tests.corpus.build`.

The manifest beside them, with the outcome that each file must have, is written by hand; `--show` prints the outcomes
of the cases that it does not have yet, for a person to check against the facts.
"""

import sys

import yaml

from schemas.mappings import Mapping
from tests.corpus import (
    course_systems,
    delivered_files,
    drupal_forms,
    form_engines,
    webropol_events,
    webropol_files,
    webropol_pulls,
)
from tests.corpus.cases import Case
from tests.corpus.reading import HERE, outcome_of
from tests.feeds import make_policy

FILES, MAPPINGS, MANIFEST = HERE / "files", HERE / "mappings", HERE / "manifest.yaml"
_MODULES = (
    webropol_files,
    webropol_events,
    webropol_pulls,
    drupal_forms,
    form_engines,
    course_systems,
    delivered_files,
)
CASES: list[Case] = [case for module in _MODULES for case in module.CASES]


def mapping_of(case: Case) -> Mapping:
    """The case's mapping; its file's type is that of the case's name."""
    return Mapping.model_validate(case.mapping)


def build() -> None:
    """Write every file and every mapping anew."""
    for folder in (FILES, MAPPINGS):
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
    for case in CASES:
        mapping_of(case)
        (FILES / case.name).write_bytes(case.payload)
        (MAPPINGS / f"{case.name}.yaml").write_text(
            yaml.safe_dump(case.mapping, allow_unicode=True, sort_keys=False), "utf-8"
        )


def show() -> None:
    """Print the outcomes that the manifest does not have yet, in its own form; what refusals say is in comments."""
    known = (yaml.safe_load(MANIFEST.read_text("utf-8")) if MANIFEST.exists() else None) or {}
    for case in CASES:
        if case.name not in known:
            outcome = outcome_of(FILES / case.name, mapping_of(case), make_policy())
            said = outcome.pop("says", None)
            entry = {case.name: {"fact": case.fact, **outcome}}
            sys.stdout.write(yaml.safe_dump(entry, allow_unicode=True, sort_keys=False, width=1000))
            sys.stdout.write(f"  # {said}\n" if said else "")


if __name__ == "__main__":
    show() if "--show" in sys.argv else build()

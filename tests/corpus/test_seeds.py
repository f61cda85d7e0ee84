"""The kept seeds of the fuzzing runs: each is read or refused by its reader, within bounds. A crash is never forgotten."""

import random
from pathlib import Path

import pytest

from tests.corpus import fuzzing
from tests.corpus.fuzzing import fuzz, kept_seeds, read_within_bounds
from tests.corpus.readers import READERS
from tests.sizes import sized


@pytest.mark.parametrize("name", READERS)
def test_kept_seeds_are_read_or_refused_within_bounds(name: str) -> None:
    for path in kept_seeds(name):
        try:
            read_within_bounds(name, path.read_bytes())
        except Exception as crashed:
            raise AssertionError(f"seeds/{name}/{path.name}: {type(crashed).__name__}") from crashed


def test_every_kept_seed_is_of_a_reader() -> None:
    assert {path.name for path in fuzzing.SEEDS.iterdir()} <= set(READERS)


def test_a_run_keeps_what_reaches_new_lines_and_what_crashes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzzing, "SEEDS", tmp_path)
    found = fuzz("drupal_form", seconds=sized(2, 600), dice=random.Random(7))
    assert found["kept"] == len(kept_seeds("drupal_form")) > 0

    def crash(payload: bytes) -> None:
        raise RecursionError

    monkeypatch.setitem(READERS, "manifest", crash)
    monkeypatch.setattr(fuzzing, "whole_inputs", lambda _: [])
    monkeypatch.setattr(fuzzing, "mutated", lambda pool, dice: b"an input that crashes")
    with pytest.raises(RecursionError):
        fuzz("manifest", seconds=1, dice=random.Random(7))
    assert [path.read_bytes() for path in kept_seeds("manifest")] == [b"an input that crashes"]

"""What is kept for the next run: what a large intake reads; known people, of whom each run has a copy that goes with it."""

import tempfile
from pathlib import Path

import psycopg
import pytest

from benchmarks import inputs, seeding
from benchmarks.asking import own_server
from connectors.store.address import ServerAddress

PEOPLE = 20


def names(address: ServerAddress) -> set[str]:
    with psycopg.connect(address.with_database("postgres").uri_adbc) as conn:
        return {name for (name,) in conn.execute("select datname from pg_database where datname ~ '^(known|seeded)_'")}


def people(address: ServerAddress) -> int:
    with psycopg.connect(address.uri_adbc) as conn:
        [count] = conn.execute("select count(*) from intake.person").fetchone() or [0]
        return int(count)


def test_people_are_seeded_once_and_what_a_run_does_to_its_copy_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="crm-intake-bench-") as directory, own_server(Path(directory)) as server:
        with pytest.raises(RuntimeError, match="broken off"), seeding.known_database(server.address, PEOPLE) as store:
            assert people(store) == PEOPLE
            with psycopg.connect(store.uri_adbc) as conn:
                [bad] = conn.execute(
                    "select count(*) from pg_index where not (indisready and indisvalid)"
                ).fetchone() or [1]
                assert bad == 0
                conn.execute("delete from intake.person")
                conn.commit()
            raise RuntimeError("broken off")
        assert names(server.address) == {f"seeded_{PEOPLE}"}
        monkeypatch.delattr(seeding, "seed_known")
        with seeding.known_database(server.address, PEOPLE) as store:
            assert people(store) == PEOPLE


def test_what_is_read_is_made_once_in_a_directory_that_is_kept() -> None:
    with tempfile.TemporaryDirectory(prefix="crm-intake-bench-") as kept, own_server(Path(kept)) as server:
        made = inputs.make_inputs(Path(kept), server.address, rows=30, seed=1)
        with pytest.MonkeyPatch.context() as patched:
            patched.delattr(inputs, "make_organisation")
            assert inputs.make_inputs(Path(kept), server.address, rows=30, seed=1) == made
        other = inputs.make_inputs(Path(kept), server.address, rows=30, seed=2)
        assert other != made and other.rows >= 30

"""Known people are seeded once on a server that is kept; each run has a copy of its own, which is gone after it."""

import tempfile
from pathlib import Path

import psycopg
import pytest

from benchmarks import seeding
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

"""Files dropped at a URL: taken, left, proven and removed as those of a folder are."""

import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest

from connectors.drop_places import drop_place
from connectors.files import DroppedFiles, FileSettings
from connectors.settled_files import settled_files
from pipelines.operations.workspace import source_settings
from pipelines.settings import load_settings
from schemas.errors import BatchRefused, ConfigurationError, SourceUnavailable
from tests.feeds import NOW, WINDOW, make_mapping

NOON = datetime(2026, 11, 20, 10, tzinfo=UTC)
ROWS = b"Id;Time;Email;Newsletter\n1;2026-11-20 10:00;a@example.org;Yes\n"
URL = "memory://drop"


@pytest.fixture
def store() -> Iterator[Any]:
    made = fsspec.filesystem("memory")
    made.makedirs("/drop", exist_ok=True)
    yield made
    made.rm("/drop", recursive=True)


def put(store: Any, content: bytes, *, name: str = "export.csv", at: datetime = NOON) -> None:
    store.pipe_file(f"/drop/{name}", content)
    store.store[f"/drop/{name}"].modified = at


def reader(**settings: Any) -> DroppedFiles:
    return DroppedFiles(FileSettings(**{"folder": URL, "settle_s": 0, **settings}))


def test_a_file_at_a_url_is_taken_and_removed_with_its_manifest_once_acknowledged(store: Any) -> None:
    put(store, ROWS)
    put(store, hashlib.sha256(ROWS).hexdigest().encode(), name="export.csv.sha256")
    put(store, b"not of the feed", name="other.txt")
    store.makedirs("/drop/folder.csv")
    source = reader()
    mapping = make_mapping(file={"type": "csv", "pattern": "*.csv", "manifest": "sha256"})
    [batch] = source.iter_batches(mapping, WINDOW, now=NOW)
    assert (batch.payload, batch.received_at) == (ROWS, NOON)
    assert store.exists("/drop/export.csv")
    source.acknowledge(batch)
    assert store.find("/drop") == ["/drop/other.txt"]
    source.acknowledge(batch)


def test_an_object_that_changes_between_two_looks_or_after_it_was_read_stays(store: Any) -> None:
    put(store, ROWS)
    growing = reader(sleep=lambda _seconds: put(store, ROWS + ROWS, at=NOON))
    assert list(growing.iter_batches(make_mapping(), WINDOW, now=NOW)) == []
    source = reader()
    [batch] = source.iter_batches(make_mapping(), WINDOW, now=NOW)
    put(store, ROWS + ROWS, at=NOON + timedelta(seconds=1))
    source.acknowledge(batch)
    assert store.exists("/drop/export.csv")


def test_a_cut_object_stays_and_one_of_a_later_day_waits(store: Any) -> None:
    put(store, ROWS[:-4], name="cut.csv")
    put(store, ROWS, name="later.csv", at=NOON + timedelta(days=1))
    with pytest.raises(BatchRefused, match="end of a line"):
        list(reader().iter_batches(make_mapping(), WINDOW, now=NOW))
    assert len(store.find("/drop")) == 2


def test_a_location_that_is_not_there_is_a_source_that_cannot_be_reached() -> None:
    with pytest.raises(SourceUnavailable):
        list(reader(folder="memory://nowhere").iter_batches(make_mapping(), WINDOW, now=NOW))


def test_the_look_of_the_sensor_tells_settled_objects_and_no_names(store: Any) -> None:
    put(store, ROWS, name="aino.example.csv")
    place = drop_place(URL, {})
    [seen] = settled_files(place, [make_mapping()], before=NOON)
    assert seen.content_hash() == hashlib.sha256(ROWS).hexdigest()
    assert "aino" not in seen.look
    put(store, ROWS, name="aino.example.csv", at=NOON + timedelta(seconds=1))
    assert settled_files(place, [make_mapping()], before=NOON) == []
    [changed] = settled_files(place, [make_mapping()], before=NOW)
    assert changed.look != seen.look


def test_the_settings_open_the_door_of_a_url_and_show_no_key(store: Any, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, drop_dir=URL, drop_storage='{"key": "s3cr3t"}')
    files = source_settings(settings, "Europe/Helsinki").files
    assert files is not None
    assert (files.folder, dict(files.storage)) == (URL, {"key": "s3cr3t"})
    assert "s3cr3t" not in f"{settings!r} {files!r}"
    with pytest.raises(ConfigurationError, match="JSON object"):
        load_settings(drop_storage="s3cr3t").drop_options()


def test_a_file_url_is_the_folder_itself(tmp_path: Path) -> None:
    assert drop_place(f"file://{tmp_path}", {}) == drop_place(tmp_path, {})


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://key:s3cr3t@bucket/in", "secret in the URL"),
        ("https://files.example.org/s3cr3t", "unencrypted or read only"),
        ("simplecache::s3://s3cr3t", "plain URL"),
        ("s3://s3cr3t/*", "plain URL"),
        ("nosuchkind://s3cr3t", "no known kind"),
    ],
)
def test_a_url_that_is_unfit_is_refused_without_being_repeated(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as refusal:
        drop_place(url, {})
    assert "s3cr3t" not in str(refusal.value)


def test_a_store_whose_client_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigurationError, match="uv sync --locked --extra s3"):
        drop_place("s3://bucket/in", {})


def test_a_stores_own_error_is_told_by_its_kind_alone(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("key=s3cr3t")

    monkeypatch.setattr(type(store), "glob", refuse)
    with pytest.raises(SourceUnavailable, match="PermissionError") as told:
        list(reader().iter_batches(make_mapping(), WINDOW, now=NOW))
    assert "s3cr3t" not in str(told.value)

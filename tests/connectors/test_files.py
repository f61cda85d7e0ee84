"""The drop folder: what is taken, when it counts as received, what stays, and what is removed."""

import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.decoders import decode
from connectors.files import DroppedFiles, FileSettings
from schemas.errors import BatchRefused, SourceUnavailable
from schemas.mappings import Mapping
from schemas.records import ReceivedBatch
from tests.feeds import DAY, NOW, WINDOW, make_mapping

NOON = datetime(2026, 11, 20, 10, tzinfo=UTC)
ROWS = "Id;Time;Email;Newsletter\n" + "".join(
    f'{n};2026-11-20 10:00;"person.{n}@example.org";"Yes; ""please""\nand thanks"\n' for n in range(40)
)


def drop(folder: Path, content: bytes | str, *, name: str = "export.csv", at: datetime = NOON) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def with_checksum(path: Path) -> Path:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    return path


def reader(folder: Path, *, between_looks: Callable[[float], None] = lambda _seconds: None) -> DroppedFiles:
    return DroppedFiles(FileSettings(folder, sleep=between_looks))


def take(source: DroppedFiles, mapping: Mapping | None = None) -> list[ReceivedBatch]:
    return list(source.iter_batches(mapping or make_mapping(), WINDOW, now=NOW))


def proven(manifest: str = "sha256") -> Mapping:
    return make_mapping(file={"type": "csv", "pattern": "*.csv", "manifest": manifest})


def test_a_file_is_received_on_the_local_day_of_its_modification_time(tmp_path: Path) -> None:
    just_before_midnight_utc = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    drop(tmp_path, ROWS, at=just_before_midnight_utc)
    [batch] = take(reader(tmp_path))
    assert (batch.received_on, batch.received_at) == (DAY, just_before_midnight_utc)
    assert batch.payload == ROWS.encode()
    assert batch.media_type == "text/csv"
    assert "export" not in batch.origin
    assert batch.origin == f"form/{batch.content_hash[:16]}"


def test_a_file_modified_after_the_windows_last_day_is_left_for_its_own(tmp_path: Path) -> None:
    drop(tmp_path, ROWS, at=datetime(2026, 11, 20, 22, 30, tzinfo=UTC))
    assert take(reader(tmp_path)) == []


def test_an_older_file_that_still_lies_there_is_taken(tmp_path: Path) -> None:
    drop(tmp_path, ROWS, at=datetime(2026, 9, 1, 9, tzinfo=UTC))
    [batch] = take(reader(tmp_path))
    assert batch.received_on.isoformat() == "2026-09-01"


def test_a_file_is_removed_only_once_it_is_acknowledged(tmp_path: Path) -> None:
    path = with_checksum(drop(tmp_path, ROWS))
    source = reader(tmp_path)
    [batch] = take(source, proven())
    assert path.exists()
    source.acknowledge(batch)
    assert list(tmp_path.iterdir()) == []
    source.acknowledge(batch)


def test_a_file_overwritten_after_it_was_read_is_not_removed(tmp_path: Path) -> None:
    path = drop(tmp_path, ROWS)
    source = reader(tmp_path)
    [batch] = take(source)
    drop(tmp_path, ROWS + "99;2026-11-20 10:00;a@example.org;Yes\n")
    source.acknowledge(batch)
    assert path.exists()


def test_equal_files_are_one_batch_of_the_oldest_and_go_together(tmp_path: Path) -> None:
    drop(tmp_path, ROWS, name="b.csv", at=datetime(2026, 11, 20, 8, tzinfo=UTC))
    drop(tmp_path, ROWS, name="a.csv", at=datetime(2026, 11, 20, 9, tzinfo=UTC))
    source = reader(tmp_path)
    [batch] = take(source)
    assert batch.received_at.hour == 8
    source.acknowledge(batch)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_not_acknowledged_is_given_again(tmp_path: Path) -> None:
    drop(tmp_path, ROWS)
    source = reader(tmp_path)
    assert take(source) == take(source) != []
    source.acknowledge(take(source)[0])
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_a_file_that_was_acknowledged_meanwhile_goes_with_the_next_run(tmp_path: Path) -> None:
    drop(tmp_path, ROWS, name="a.csv", at=datetime(2026, 11, 20, 8, tzinfo=UTC))
    drop(tmp_path, ROWS, name="b.csv")
    source = reader(tmp_path)
    for _ in range(2):
        for batch in source.iter_batches(make_mapping(), WINDOW, now=NOW):
            source.acknowledge(batch)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_grows_between_two_looks_is_left_alone(tmp_path: Path) -> None:
    path = drop(tmp_path, ROWS)

    def grow(_seconds: float) -> None:
        with path.open("a") as file:
            file.write("99;2026-11-20 10:00;a@example.org;Yes\n")
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))

    assert take(reader(tmp_path, between_looks=grow)) == []
    assert len(take(reader(tmp_path))) == 1


def test_links_folders_and_other_feeds_files_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "link.csv").symlink_to(drop(tmp_path, ROWS))
    (folder / "folder.csv").mkdir()
    drop(folder, ROWS, name="other.txt")
    assert take(reader(folder)) == []


def test_a_pattern_cannot_leave_the_drop_folder() -> None:
    for pattern in ("../*.csv", "/etc/*.csv", "a/../../b.csv"):
        with pytest.raises(ValueError, match="drop folder"):
            make_mapping(file={"type": "csv", "pattern": pattern})


def test_a_missing_folder_is_a_source_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable):
        take(reader(tmp_path / "gone"))


def test_a_cut_file_stays_and_the_others_are_given_first(tmp_path: Path) -> None:
    cut = drop(tmp_path, ROWS[:-5], name="a.csv", at=datetime(2026, 11, 20, 8, tzinfo=UTC))
    drop(tmp_path, ROWS, name="secret.name@example.org.csv")
    source = reader(tmp_path)
    batches = source.iter_batches(make_mapping(), WINDOW, now=NOW)
    source.acknowledge(next(batches))
    with pytest.raises(BatchRefused) as refusal:
        next(batches)
    assert refusal.value.code == "cut_short"
    assert "@" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == [cut]


@pytest.mark.parametrize("payload", [b"", b"Id;Time", b'Id;Time\n"1;2\n'])
def test_a_file_that_is_not_whole_is_refused_and_kept(tmp_path: Path, payload: bytes) -> None:
    path = drop(tmp_path, payload)
    with pytest.raises(BatchRefused) as refusal:
        take(reader(tmp_path))
    assert refusal.value.code == "cut_short"
    assert path.exists()


def test_a_quotation_mark_that_php_did_not_double_is_told_with_its_line_and_the_way_out(tmp_path: Path) -> None:
    payload = 'Id,Message\n1,"plain"\n2,"I say \\" and no more"\n'
    drop(tmp_path, payload)
    with pytest.raises(BatchRefused, match=r"line 3\).*as JSON") as at_the_door:
        take(reader(tmp_path))
    with pytest.raises(BatchRefused, match=r"line 3\).*as JSON") as decoded:
        decode("text/csv", payload.encode(), make_mapping())
    for refusal in (at_the_door, decoded):
        assert refusal.value.code == "cut_short"
        assert "no more" not in str(refusal.value)
    drop(tmp_path, payload.replace("\\", ""))
    with pytest.raises(BatchRefused) as cut:
        take(reader(tmp_path))
    assert "JSON" not in str(cut.value)


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    drop(tmp_path, ROWS)
    with pytest.raises(BatchRefused) as refusal:
        list(
            DroppedFiles(FileSettings(tmp_path, settle_s=0, max_bytes=100)).iter_batches(
                make_mapping(), WINDOW, now=NOW
            )
        )
    assert refusal.value.code == "too_large"
    assert "Export a shorter time" in refusal.value.remedy


def test_what_is_refused_for_two_reasons_is_told_with_both_remedies(tmp_path: Path) -> None:
    drop(tmp_path, ROWS)
    drop(tmp_path, b"", name="export_empty.csv")
    with pytest.raises(BatchRefused) as refusal:
        list(
            DroppedFiles(FileSettings(tmp_path, settle_s=0, max_bytes=100)).iter_batches(
                make_mapping(), WINDOW, now=NOW
            )
        )
    told = str(refusal.value)
    assert "2 files" in told and "it is empty; it is larger than 100 bytes. Remedy: Deliver" in told
    assert told.count("Remedy:") == 1 and "Export a shorter time" in told


@pytest.mark.parametrize("percent", range(100))
def test_a_proven_file_cut_at_any_percent_of_its_bytes_is_never_taken(tmp_path: Path, percent: int) -> None:
    path = with_checksum(drop(tmp_path, ROWS))
    drop(tmp_path, path.read_bytes()[: len(ROWS.encode()) * percent // 100])
    with pytest.raises(BatchRefused, match="whole") as refusal:
        take(reader(tmp_path), proven())
    assert refusal.value.code == "cut_short"
    assert path.exists()


def test_a_file_cut_exactly_between_two_rows_is_told_by_its_manifest(tmp_path: Path) -> None:
    whole = "Id;Time;Email;Newsletter\n1;2026-11-20;a@example.org;Yes\n2;2026-11-20;b@example.org;Yes\n"
    for manifest in ("sha256", "rows"):
        path = drop(tmp_path, whole)
        claims = {"rows": 2, "sha256": hashlib.sha256(whole.encode()).hexdigest()}
        (tmp_path / "export.csv.manifest.json").write_text(
            json.dumps(claims | {"sha256": None} if manifest == "rows" else claims)
        )
        assert len(take(reader(tmp_path), proven(manifest))) == 1
        drop(tmp_path, whole[: whole.index("2;2026")])
        with pytest.raises(BatchRefused):
            take(reader(tmp_path), proven(manifest))
        assert path.exists()


def test_a_proven_feed_takes_no_file_without_its_manifest(tmp_path: Path) -> None:
    drop(tmp_path, ROWS)
    with pytest.raises(BatchRefused, match="manifest"):
        take(reader(tmp_path), proven())
    with_checksum(tmp_path / "export.csv")
    [batch] = take(reader(tmp_path), proven())
    assert len(decode(batch.media_type, batch.payload, proven())) == 40
